package backup_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/store/storetest"
	"howdah/backup/wal"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// soak is a cluster under load whose WAL the real program stores in a real S3 server, and
// what is done to them.
type soak struct {
	*testing.T
	*load
	place    *place
	binaries postgres.Binaries
	primary  *postgres.Server
	standby  *postgres.Server // nil without one
	bucket   *storetest.S3
	kept     string // the folder of the server's own archive_command
	random   *rand.Rand
	first    *base.Manifest // the oldest base backup

	counts  map[string]int
	taking  *exec.Cmd // `howdah backup now` that runs
	took    chan error
	born    int // databases
	drops   []dropped
	created map[string]uint64 // by which transaction a database was made
}

// dropped is a database that was dropped, between two positions.
type dropped struct {
	name         string
	after, until replication.LSN
}

// TestKillSoak kills Howdah, the store, and PostgreSQL by KILL at random moments, while
// several tenants are written to and base backups are taken. Then clusters and databases are
// restored to random moments, and every row of every table is compared with the log of what
// was committed: nothing is missing from before the moment, and nothing is there from after
// it. HOWDAH_SOAK says for how long things are killed, and then for how long restores are
// begun; HOWDAH_SEED says in which order.
func TestKillSoak(t *testing.T) {
	t.Parallel()
	s := newSoak(t, wiretest.FindPostgres(t), false)
	long := soakTime(t)
	s.killAround(long)
	s.settled()
	s.checkStored(1)
	s.compare(readTruth(t, s.binaries, s.kept, leg{timeline: 1}), long)
}

// TestNewestKillSoak is TestKillSoak on the newest major version.
func TestNewestKillSoak(t *testing.T) {
	s := newSoak(t, wiretest.NewestPostgres(t), false)
	long := soakTime(t)
	s.killAround(long)
	s.settled()
	s.checkStored(1)
	s.compare(readTruth(t, s.binaries, s.kept, leg{timeline: 1}), long)
}

// TestFailoverKillSoak is TestKillSoak with a standby that is promoted half-way, after the
// primary was killed: what the primary had sent to Howdah and not to the standby is on no way
// to what is now.
func TestFailoverKillSoak(t *testing.T) {
	long := soakTime(t)
	if long == 0 {
		t.Skip("it takes minutes: HOWDAH_SOAK=1m runs it")
	}
	s := newSoak(t, wiretest.FindPostgres(t), true)
	s.killAround(long / 2)
	fork := s.failOver()
	s.killAround(long / 2)
	s.settled()
	s.checkStored(1, 2)
	s.compare(readTruth(t, s.binaries, s.kept, leg{1, fork}, leg{2, 0}), long)
}

// soakTime is for how long things are killed at least.
func soakTime(t *testing.T) (long time.Duration) {
	if text := os.Getenv("HOWDAH_SOAK"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	return long
}

func seed(t *testing.T) uint64 {
	n := uint64(1)
	if text := os.Getenv("HOWDAH_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("HOWDAH_SEED=%d", n)
	return n
}

func newSoak(t *testing.T, binaries postgres.Binaries, withStandby bool) *soak {
	n := seed(t)
	s := &soak{T: t, binaries: binaries, random: rand.New(rand.NewPCG(n, 1)), counts: map[string]int{}, created: map[string]uint64{}}
	s.kept = filepath.Join(wiretest.ServerDir(t), "kept")
	if err := os.Mkdir(s.kept, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Own(s.kept); err != nil {
		t.Fatal(err)
	}
	s.startServers(withStandby)
	addresses := []string{s.primary.Address()}
	if withStandby {
		addresses = append(addresses, s.standby.Address())
	}
	url := fmt.Sprintf("postgres://postgres@%s/postgres?target_session_attrs=primary", strings.Join(addresses, ","))
	s.bucket = storetest.StartS3(t)
	where := s.bucket.URL(t, "soak", "p")
	s.place = newPlace(t, where, storetest.OpenS3(t, where), url, addresses...)
	s.load = &load{t: t, url: url, random: s.random}
	s.place.startServe()
	for _, name := range []string{"acme", "globex", "initech"} {
		s.createDatabase(name)
	}
	s.place.done("backup", "now")
	all, err := base.List(t.Context(), s.place.repo)
	if err != nil || len(all) == 0 {
		t.Fatalf("the base backups are %v, %v", all, err)
	}
	s.first = &all[len(all)-1] // Howdah may have taken one by itself
	return s
}

// startServers starts servers that have thrown WAL away soon after Howdah has said that it
// is stored; but for a standby, on which nothing keeps it for Howdah.
func (s *soak) startServers(withStandby bool) {
	options := []wiretest.PostgresOption{wiretest.WithTrust()}
	settings := map[string]string{
		"wal_level": "replica", "synchronous_commit": "on", "full_page_writes": "on", "max_wal_size": "48MB", "min_wal_size": "32MB",
		"checkpoint_timeout": "30s", "archive_mode": "on", "autovacuum": "on", "autovacuum_naptime": "2s",
		"archive_command": fmt.Sprintf("cp %%p %[1]s/%%f.tmp && mv %[1]s/%%f.tmp %[1]s/%%f", s.kept),
	}
	if withStandby {
		settings["wal_keep_size"] = "512MB"
	}
	for name, value := range settings {
		options = append(options, wiretest.WithSetting(name, value))
	}
	s.primary = wiretest.StartPostgresOf(s, s.binaries, options...)
	if withStandby {
		s.standby = wiretest.StartStandby(s, s.primary, options...)
	}
}

// failOver kills the primary and promotes the standby, which need not have all of what was
// committed; it returns where the standby's timeline begins.
func (s *soak) failOver() replication.LSN {
	must := flushed(s, s.primary) // what databases there are is in front of it
	for has := replication.LSN(0); has < must; time.Sleep(20 * time.Millisecond) {
		has = position(s, s.standby, "pg_last_wal_replay_lsn()")
	}
	s.failover.Store(true)
	s.pause(2 * time.Second)
	s.primary.Kill()
	keepWAL(s, s.primary.Dir(), s.kept)
	s.primary = s.standby
	if err := s.primary.Exec(s.Context(), postgres.Superuser, "select pg_promote()"); err != nil {
		s.Fatal(err)
	}
	s.counts["failovers"]++
	text, err := os.ReadFile(filepath.Join(s.primary.Dir(), "pg_wal", replication.HistoryName(2)))
	if err != nil {
		s.Fatal(err)
	}
	legs, err := wal.ParseHistory(2, text)
	if err != nil {
		s.Fatal(err)
	}
	return legs[1].Begin
}

// createDatabase makes a database and has it written to.
func (s *soak) createDatabase(name string) []*writer {
	var xid uint64
	err := s.primary.Exec(s.Context(), postgres.Superuser, "create database "+name+" strategy wal_log")
	if err == nil {
		err = s.primary.QueryRow(s.Context(), postgres.Superuser, "select xmin::text::bigint from pg_database where datname = $1", []any{name}, &xid)
	}
	if err != nil {
		s.Fatal(err)
	}
	s.created[name] = xid
	return s.load.start(name)
}

// replace makes a database, and drops the one before the last.
func (s *soak) replace() {
	s.born++
	s.createDatabase(fmt.Sprintf("born%d", s.born))
	old := fmt.Sprintf("born%d", s.born-2)
	if s.created[old] == 0 {
		return
	}
	for _, w := range s.writers {
		if w.database == old {
			w.stop.Store(true)
			<-w.ended
		}
	}
	d := dropped{name: old, after: flushed(s, s.primary)}
	if err := s.primary.Exec(s.Context(), postgres.Superuser, "drop database "+old+" with (force)"); err != nil {
		s.Fatal(err)
	}
	d.until = flushed(s, s.primary)
	s.drops = append(s.drops, d)
}

// pause is a random time up to a longest.
func (s *soak) pause(longest time.Duration) {
	time.Sleep(time.Duration(s.random.Int64N(int64(longest))))
}

// deck is what is done, each so many times, in random order.
func (s *soak) deck() (cards []func()) {
	for _, c := range []struct {
		times int
		do    func()
	}{{7, s.killHowdah}, {4, s.killStore}, {3, s.killPostgres}, {3, s.takeBackup}, {1, s.killBackup}, {2, s.replace}} {
		for range c.times {
			cards = append(cards, c.do)
		}
	}
	s.random.Shuffle(len(cards), func(i, j int) { cards[i], cards[j] = cards[j], cards[i] })
	return cards
}

// killAround kills this and that: each often enough, and for a while at least.
func (s *soak) killAround(long time.Duration) {
	for begun, again := time.Now(), true; again; again = time.Since(begun) < long {
		for _, do := range s.deck() {
			s.pause(time.Second)
			s.finishBackup(false)
			do()
		}
	}
	s.finishBackup(true)
	if s.counts["base backups"] == 0 { // it may be that something was killed in each
		s.startBackup()
		s.finishBackup(true)
	}
}

func (s *soak) killHowdah() {
	s.place.killServe()
	s.pause(500 * time.Millisecond)
	s.place.startServe()
	s.counts["kills of Howdah"]++
}

func (s *soak) killStore() {
	s.bucket.Kill()
	s.pause(time.Second)
	s.bucket.Start(s)
	s.counts["kills of the store"]++
}

func (s *soak) killPostgres() {
	s.primary.Kill()
	s.pause(300 * time.Millisecond)
	if err := s.primary.Start(s.Context()); err != nil {
		s.Fatal(err)
	}
	s.counts["kills of PostgreSQL"]++
}

// takeBackup has a base backup be taken, and waits for it now and then: some must have the
// time to be done.
func (s *soak) takeBackup() {
	s.startBackup()
	if s.random.IntN(2) == 0 {
		s.finishBackup(true)
	}
}

// killBackup kills a base backup soon after it has begun.
func (s *soak) killBackup() {
	s.startBackup()
	s.pause(time.Second)
	_ = s.taking.Process.Kill() // it may be done
	s.finishBackup(true)
	s.counts["kills of base backups"]++
}

// startBackup has a base backup be taken, unless one is.
func (s *soak) startBackup() {
	if s.taking != nil {
		return
	}
	cmd := s.place.command("backup", "now")
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.taking, s.took = cmd, make(chan error, 1)
	go func(took chan<- error) { took <- cmd.Wait() }(s.took)
}

// finishBackup notes how a base backup has ended, and waits for that if it is told to.
func (s *soak) finishBackup(wait bool) {
	if s.taking == nil {
		return
	}
	var err error
	if wait {
		err = <-s.took
	} else {
		select {
		case err = <-s.took:
		default:
			return
		}
	}
	s.taking = nil
	if err == nil {
		s.counts["base backups"]++
	} else {
		s.counts["base backups that failed"]++
	}
}

// settled ends the load, and waits until all is stored.
func (s *soak) settled() {
	s.counts["transactions"] = s.load.stop()
	s.place.stored(flushed(s, s.primary))
	s.place.killServe()
	keepWAL(s, s.primary.Dir(), s.kept)
}

// checkStored compares what Howdah gives of the WAL with what the server's own
// archive_command has kept, byte for byte, has pg_waldump read it, and looks for what is left
// over.
func (s *soak) checkStored(timelines ...uint32) {
	contents, err := wal.List(s.Context(), s.place.repo)
	if err != nil {
		s.Fatal(err)
	}
	if len(contents.Gaps)+len(contents.Odd)+len(contents.Damaged) > 0 {
		s.Errorf("there are gaps %v, and objects %q and %q", contents.Gaps, contents.Odd, contents.Damaged)
	}
	for _, t := range contents.Timelines {
		if !slices.Contains(timelines, t.ID) {
			s.Errorf("there is a timeline %d", t.ID)
		}
		contents.Timeline = t.ID // of others nothing counts
		given := s.TempDir()
		for _, segment := range t.Segments {
			s.checkSegment(contents, t.ID, &segment, given)
		}
		// The server may have written more since.
		got := dumpWAL(s, s.binaries, given, t.ID)
		want := dumpWAL(s, s.binaries, s.kept, t.ID)
		first := slices.IndexFunc(want, func(e ending) bool { return e.at == got[0].at })
		if first < 0 || len(want) < first+len(got) || !slices.Equal(got, want[first:first+len(got)]) {
			s.Errorf("of timeline %d pg_waldump finds %d transactions that are none of the server's %d", t.ID, len(got), len(want))
		}
		s.counts["transactions in the WAL that Howdah gives"] += len(got)
	}
}

// checkSegment has a segment be given into a folder, and compares it if all of it is stored.
func (s *soak) checkSegment(contents *wal.Contents, timeline uint32, segment *wal.Segment, folder string) {
	name := replication.SegmentName(timeline, segment.Start, contents.Identity.Segment)
	var got bytes.Buffer
	if err := contents.Fetch(s.Context(), s.place.repo, name, &got); err != nil {
		s.Errorf("segment %s is not given: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(folder, name), got.Bytes(), 0o600); err != nil {
		s.Fatal(err)
	}
	if !segment.Whole {
		return
	}
	want, err := os.ReadFile(filepath.Join(s.kept, name))
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		s.Errorf("segment %s is not what the server has archived: %v", name, err)
	}
	s.counts["segments compared"]++
}

// moment is a target, and how many transactions have ended in front of it.
type moment struct {
	to string
	n  int
}

// moments thinks of targets: most are times, others are the ends of transactions.
func (s *soak) moments(way *truth, n int) (all []moment) {
	from := way.before(s.first.Finished) + 1
	for i := range n {
		k := from + s.random.IntN(len(way.ends)-from)
		e := way.ends[k]
		by := func(at time.Time) moment { return moment{at.Format("2006-01-02T15:04:05.000000Z"), way.before(at)} }
		switch {
		case i == 0:
			all = append(all, moment{"latest", len(way.ends)})
		case i%5 == 1 && !e.abort:
			all = append(all, moment{"lsn:" + e.at.String(), k + 1})
		case i%5 == 2:
			// One that is not long ago: it is looked for from one base backup after the other.
			for k = len(way.ends) - 1 - s.random.IntN((len(way.ends)-from)/8+1); way.ends[k].abort; k-- {
			}
			all = append(all, moment{fmt.Sprintf("xid:%d", way.ends[k].xid), k + 1})
		case i%5 == 3:
			all = append(all, by(e.time)) // which is in
		case i%5 == 4:
			all = append(all, by(e.time.Add(-1000))) // which is not
		default:
			length := way.ends[len(way.ends)-1].time.Sub(s.first.Finished)
			all = append(all, by(s.first.Finished.Add(1+time.Duration(s.random.Int64N(int64(length)))).Truncate(1000)))
		}
	}
	return all
}

// least is how many moments are restored to at least.
const least = 4

// compare restores to moments for so long, to the least of them anyway, and compares all that
// is there then.
func (s *soak) compare(way *truth, long time.Duration) {
	begun := time.Now()
	for i, m := range s.moments(way, least+int(long/time.Second)) {
		if i >= least && time.Since(begun) > long {
			break
		}
		s.Run(strings.ReplaceAll(m.to, "/", "-"), func(t *testing.T) {
			s.compareCluster(t, way, m)
			if i%2 == 0 {
				s.compareDatabase(t, way, m)
			}
		})
	}
	for _, w := range s.writers {
		i := slices.IndexFunc(w.ops, func(o *op) bool { return o.counts() && !way.in(o, len(way.ends)) })
		if i >= 0 {
			s.Errorf("transaction %d of %s in %s, committed as %d, is not in the WAL", w.ops[i].seq, w.name, w.database, w.ops[i].xid)
		}
	}
	for _, what := range []string{
		"clusters compared", "databases compared alone", "rows compared", "segments compared", "base backups", "kills of Howdah", "kills of the store", "kills of PostgreSQL",
	} {
		if s.counts[what] == 0 {
			s.Errorf("there were no %s", what)
		}
	}
	var told []string
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		told = append(told, fmt.Sprintf("%d %s", s.counts[what], what))
	}
	s.Log(strings.Join(told, ", "))
}

// there returns the databases that there are at a moment, and those of which the log does
// not tell, for they were being dropped.
func (s *soak) there(way *truth, n int) (there, perhaps []string) {
	at := replication.LSN(0)
	if n > 0 {
		at = way.ends[n-1].at
	}
	for _, name := range slices.Sorted(maps.Keys(s.created)) {
		if i, ok := way.commit[s.created[name]]; !ok || i >= n {
			continue
		}
		i := slices.IndexFunc(s.drops, func(d dropped) bool { return d.name == name })
		switch {
		case i < 0 || at < s.drops[i].after && (n == len(way.ends) || way.ends[n].at <= s.drops[i].after):
			there = append(there, name)
		case at < s.drops[i].until:
			perhaps = append(perhaps, name)
		}
	}
	return there, perhaps
}

// compareCluster restores the cluster to a moment.
func (s *soak) compareCluster(t *testing.T, way *truth, m moment) {
	dir := filepath.Join(wiretest.ServerDir(t), "restored")
	s.restored(t, "restore", "--to", m.to, "--into", dir)
	server := open(t, s.binaries, dir)
	defer server.Kill()
	var names []string
	err := server.QueryRow(t.Context(), postgres.Superuser, "select array_agg(datname::text) from pg_database where oid > 16383", nil, &names)
	if err != nil {
		t.Fatal(err)
	}
	there, perhaps := s.there(way, m.n)
	for _, name := range names {
		if !slices.Contains(there, name) && !slices.Contains(perhaps, name) {
			t.Errorf("database %s should not be there", name)
		}
	}
	for _, name := range there {
		if !slices.Contains(names, name) {
			t.Errorf("database %s is missing", name)
			continue
		}
		s.compareTables(t, server.AdminURL(name), name, way, m)
	}
	s.counts["clusters compared"]++
}

// compareDatabase restores one database to a moment, and loads the dump.
func (s *soak) compareDatabase(t *testing.T, way *truth, m moment) {
	there, _ := s.there(way, m.n)
	name := there[s.random.IntN(len(there))]
	dump := filepath.Join(t.TempDir(), "dump")
	s.restored(t, "restore", "--to", m.to, "--database", name, "--into", dump)
	if err := s.primary.Exec(t.Context(), postgres.Superuser, "drop database if exists loaded", "create database loaded"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(s.binaries.Path("pg_restore"), "--exit-on-error", "--dbname="+s.primary.AdminURL("loaded"), dump).CombinedOutput()
	if err != nil {
		t.Fatalf("pg_restore: %v\n%s", err, out)
	}
	s.compareTables(t, s.primary.AdminURL("loaded"), name, way, m)
	s.counts["databases compared alone"]++
}

// restored runs a restore that must succeed.
func (s *soak) restored(t *testing.T, args ...string) {
	t.Helper()
	if out, err := s.place.run(args...); err != nil {
		t.Fatalf("howdah %q: %v\n%s", args, err, out)
	}
}

// compareTables compares all tables of a database with what was committed before a moment,
// and sees to it that one transaction less would be found out.
func (s *soak) compareTables(t *testing.T, url, database string, way *truth, m moment) {
	t.Helper()
	got, err := read(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := differ(got, s.upTo(database, func(o *op) bool { return way.in(o, m.n) })); wrong != "" {
		t.Errorf("database %s, restored to %s, which %d transactions have ended before: %s", database, m.to, m.n, wrong)
	}
	last := -1
	for _, w := range s.writers {
		for _, o := range w.ops {
			if i, ok := way.commit[o.xid]; ok && w.database == database && o.counts() && i < m.n {
				last = max(last, i)
			}
		}
	}
	if last >= 0 && differ(got, s.upTo(database, func(o *op) bool { return way.in(o, last) })) == "" { // it may be too new to have any
		t.Errorf("database %s: one transaction less is the same", database)
	}
	for _, rows := range got {
		s.counts["rows compared"] += len(rows)
	}
}
