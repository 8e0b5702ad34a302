package wal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/backup/replication"
	"howdah/backup/store"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// start starts a primary whose commits are safe from its being killed.
func start(t testing.TB, binaries postgres.Binaries, options ...wiretest.PostgresOption) *postgres.Server {
	t.Helper()
	options = append([]wiretest.PostgresOption{
		wiretest.WithTrust(), wiretest.WithSetting("synchronous_commit", "on"), wiretest.WithSetting("wal_level", "replica"),
	}, options...)
	return wiretest.StartPostgresOf(t, binaries, options...)
}

func TestReceiver(t *testing.T) {
	primary := start(t, wiretest.FindPostgres(t))
	t.Run("what is stored is recovered", func(t *testing.T) { testRecover(t, primary) })
	t.Run("parts are folded", func(t *testing.T) { testFold(t, primary) })
	t.Run("one receives, and the others wait", func(t *testing.T) { testElsewhere(t, primary) })
	t.Run("a store that is away", func(t *testing.T) { testStall(t, primary) })
	t.Run("commits wait for it", func(t *testing.T) { testSynchronous(t, primary) })
	t.Run("nothing is replaced", func(t *testing.T) { testConflict(t, primary) })
	t.Run("the slot is gone", func(t *testing.T) { testGap(t, primary) })
	t.Run("the slot is lost", func(t *testing.T) { testLostSlot(t, primary) })
	t.Run("records are read", func(t *testing.T) { testRecords(t, primary, wiretest.FindPostgres(t)) })
	t.Run("tablespaces are made in place", func(t *testing.T) { testInPlace(t, primary, wiretest.FindPostgres(t)) })
	t.Run("a server that stops", func(t *testing.T) { testStopping(t, primary) }) // last
}

func testRecover(t *testing.T, primary *postgres.Server) {
	base := copyOf(t, primary, wiretest.FindPostgres(t))
	g := newRig(t)
	r := g.receiver(primary.AdminURL("postgres"))
	stop := run(t, r)
	until(t, "a connection", func() bool { return r.Stats().Connected })
	exec1(t, primary, "create table t as select generate_series(1, 300000) n") // more than a segment
	stored(t, r, primary)
	exec1(t, primary, "insert into t values (-1)")
	stored(t, r, primary)
	exec1(t, primary, "create database files strategy file_copy")
	stored(t, r, primary)
	copies, err := Copies(t.Context(), g.Repository)
	if err != nil || len(copies) == 0 || copies[len(copies)-1].Source != 1 || fmt.Sprint(copies[len(copies)-1].Database) != query(t, primary, "select oid from pg_database where datname = 'files'") {
		t.Errorf("what is recorded of copied databases is %+v, %v", copies, err)
	} else if at := r.Stats().Copied; at != copies[len(copies)-1].At {
		t.Errorf("it says that one was copied at %+v, not at %+v", at, copies[len(copies)-1].At)
	}
	exec1(t, primary, "drop database files")
	end := now(t, primary)
	committed := time.Now()
	until(t, "a sample after it", func() bool { return r.Stats().Sampled.After(committed) })
	until(t, "it has looked at the slot", func() bool { return r.Stats().Slot.Status == "reserved" })
	until(t, "it has counted", func() bool {
		w, known := r.Written(postgres.Superuser)
		return known && w.Total > 16*mib && w.Day == w.Total
	})
	if w, known := r.Written("nobody's"); known {
		t.Errorf("a database that is not there has written %+v", w)
	}
	counted, _ := r.Written(postgres.Superuser)
	if none := r.WrittenByNone(); none.Total == 0 || none.Total+counted.Total > r.Stats().BytesIn {
		t.Errorf("it has counted %+v and %+v of %d bytes", counted, none, r.Stats().BytesIn)
	}
	stats := r.Stats()
	stop()
	if slot := stats.Slot; slot.Status != "reserved" || slot.Asked.IsZero() || slot.Retained < 0 || slot.Safe != -1 {
		t.Errorf("the slot is %+v", slot)
	}
	if stats.Gaps != 0 || stats.BytesIn < 16*mib || stats.BytesOut == 0 || stats.BytesOut > stats.BytesIn || stats.LastError != "" {
		t.Errorf("it says %+v", stats)
	}
	c := list(t, g.Repository)
	if reached, err := c.Reaches(at(1, c.Timelines[0].Segments[0].Start), end, 0); err != nil {
		t.Errorf("it reaches %+v, %v", reached, err)
	}
	if lsn, reachable, err := c.TargetOf(t.Context(), g.Repository, committed.Add(-time.Minute)); err != nil || !reachable || lsn > end {
		t.Errorf("a minute ago: %s, %v, %v", lsn, reachable, err)
	}
	if lsn, reachable, err := c.TargetOf(t.Context(), g.Repository, time.Now().Add(time.Minute)); err != nil || reachable {
		t.Errorf("in a minute: %s, %v, %v", lsn, reachable, err)
	}
	// The slot keeps what is needed to go on in the middle of a segment.
	again := g.receiver(primary.AdminURL("postgres"))
	stop = run(t, again)
	exec1(t, primary, "insert into t values (-2)")
	stored(t, again, primary)
	stop()
	if w, known := again.Written(postgres.Superuser); !known || w.Total == 0 || w.Total > mib {
		t.Errorf("what was stored before is counted again: %+v, %v", w, known)
	}
	g.recover(t, base)
	if got := query(t, base, "select count(*) || ' ' || sum(n) from t"); got != "300002 45000149997" {
		t.Errorf("there are %s", got)
	}
	exec1(t, primary, "drop table t")
}

func testFold(t *testing.T, primary *postgres.Server) {
	g := newRig(t)
	r := g.receiver(primary.AdminURL("postgres"))
	r.Interval = 5 * time.Millisecond
	stop := run(t, r)
	exec1(t, primary, "create table fold (n int)")
	begin := now(t, primary)
	for range 40 {
		exec1(t, primary, "insert into fold values (1)")
		stored(t, r, primary)
	}
	until(t, "a sample", func() bool { return !r.Stats().Sampled.IsZero() })
	time.Sleep(sampling)
	for range 40 {
		exec1(t, primary, "insert into fold values (1)")
		stored(t, r, primary)
	}
	parts := func() int { return len(list(t, g.Repository).timeline(1).segment(begin.SegmentStart(16 * mib)).Parts) }
	until(t, "parts are deleted that others have taken the place of", func() bool { return parts() <= partsMost })
	stop()
	c := list(t, g.Repository)
	segment := c.timeline(1).segment(begin.SegmentStart(16 * mib))
	if objects := r.Stats().Objects; segment == nil || segment.Whole || len(segment.Parts) > partsMost || objects < 60 {
		t.Errorf("of %d objects there are %+v", objects, segment)
	}
	key := g.Key(partKey(1, segment.Start, 16*mib, segment.Parts[0]))
	info, err := g.Store.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if samples, err := parseSamples(info.Meta[samplesMeta]); err != nil || len(samples) == 0 {
		t.Errorf("the part that is folded has %v, %v", samples, err)
	}
	if reached, err := c.Reaches(at(1, begin), 0, 0); err != nil || reached.LSN != r.Stats().Durable {
		t.Errorf("it reaches %+v, %v", reached, err)
	}
	// Another process fills the segment: the parts are of no use then, their samples are.
	r = g.receiver(primary.AdminURL("postgres"))
	stop = run(t, r)
	exec1(t, primary, "insert into fold values (2)", "select pg_switch_wal()", "insert into fold values (3)")
	stored(t, r, primary)
	until(t, "the parts are deleted", func() bool { return parts() == 0 })
	stop()
	segment = list(t, g.Repository).timeline(1).segment(segment.Start)
	if !segment.Whole || len(segment.Parts) > 0 {
		t.Errorf("there are %+v", segment)
	}
	if info, err = g.Store.Stat(t.Context(), g.Key(segmentKey(1, segment.Start, 16*mib))); err != nil {
		t.Fatal(err)
	}
	if samples, err := parseSamples(info.Meta[samplesMeta]); err != nil || len(samples) == 0 || samples[0].Time.After(time.Now().Add(-sampling)) {
		t.Errorf("the whole segment has %v, %v", samples, err)
	}
}

func testElsewhere(t *testing.T, primary *postgres.Server) {
	g := newRig(t)
	one, other := g.receiver(primary.AdminURL("postgres")), g.receiver(primary.AdminURL("postgres"))
	stop := run(t, one)
	until(t, "a connection", func() bool { return one.Stats().Connected })
	stopOther := run(t, other)
	until(t, "the other waits", func() bool { return other.Stats().Elsewhere })
	if s := other.Stats(); s.Connected || s.LastError != "" {
		t.Errorf("the other says %+v", s)
	}
	stop()
	until(t, "the other takes over", func() bool { return other.Stats().Connected })
	exec1(t, primary, "create table elsewhere ()")
	stored(t, other, primary)
	stopOther()

	foreign := newRig(t)
	if _, err := foreign.Claim(t.Context(), replication.Server{System: "7", Major: 15, Segment: 16 * mib}); err != nil {
		t.Fatal(err)
	}
	r := foreign.receiver(primary.AdminURL("postgres"))
	run(t, r)
	until(t, "another's repository", func() bool { return strings.Contains(r.Stats().LastError, "another cluster's") })
}

func testStall(t *testing.T, primary *postgres.Server) {
	g := newRig(t)
	away := &gate{Store: g.Store}
	g.Store = away
	r := g.receiver(primary.AdminURL("postgres"))
	stop := run(t, r)
	exec1(t, primary, "create table stall (n int)")
	stored(t, r, primary)
	away.close()
	before := r.Stats()
	exec1(t, primary, "insert into stall select generate_series(1, 1500000)") // more than the memory
	full := func() bool { return r.Stats().BytesIn-before.BytesIn > memoryMost-2*chunkMost }
	until(t, "a full memory", full)
	time.Sleep(100 * time.Millisecond)
	s := r.Stats()
	if s.BytesIn-before.BytesIn > memoryMost+chunkMost || s.Durable > before.Durable+16*mib || !s.Connected {
		t.Errorf("while nothing can be stored: %+v", s)
	}
	slot := query(t, primary, "select restart_lsn from pg_replication_slots where slot_name = 'howdah'")
	if l, err := replication.ParseLSN(slot); err != nil || l > s.Durable {
		t.Errorf("the slot is at %s, and the store at %s", slot, s.Durable)
	}
	away.open()
	stored(t, r, primary)
	until(t, "the server knows", func() bool {
		l, _ := replication.ParseLSN(query(t, primary, "select restart_lsn from pg_replication_slots where slot_name = 'howdah'"))
		return l > s.Durable
	})
	stop()
	exec1(t, primary, "drop table stall")
}

// freeSlot drops the receiver's slot: it is in use until the server has seen that the receiver
// is gone.
func freeSlot(t *testing.T, primary *postgres.Server) {
	t.Helper()
	until(t, "the slot is free", func() bool {
		return primary.Exec(context.Background(), postgres.Superuser, "select pg_drop_replication_slot('howdah')") == nil
	})
}

func testConflict(t *testing.T, primary *postgres.Server) {
	g := newRig(t)
	exec1(t, primary, "select pg_switch_wal()")
	if _, err := g.Claim(t.Context(), func() replication.Server {
		c, err := replication.Connect(t.Context(), primary.AdminURL(""))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		return c.Server()
	}()); err != nil {
		t.Fatal(err)
	}
	start := now(t, primary).SegmentStart(16 * mib)
	put(t, g.Repository, segmentKey(1, start, 16*mib), []byte("another server's"))
	freeSlot(t, primary)
	r := g.receiver(primary.AdminURL("postgres"))
	stop := run(t, r)
	defer stop()
	// The slot begins before the segment: nobody knows that what is before it was stored.
	exec1(t, primary, "create table conflict ()", "select pg_switch_wal()", "drop table conflict")
	until(t, "a refusal", func() bool { return strings.Contains(r.Stats().LastError, "other contents") })
	sums, err := store.ReadSums(t.Context(), g.Store, g.Key(segmentKey(1, start, 16*mib)))
	if err != nil || sums.PlainSize != 16 {
		t.Errorf("it was replaced by %d bytes, %v", sums.PlainSize, err)
	}
}

func testGap(t *testing.T, primary *postgres.Server) {
	g := newRig(t)
	r := g.receiver(primary.AdminURL("postgres"))
	stop := run(t, r)
	exec1(t, primary, "create table gap (n int)")
	stored(t, r, primary)
	stop()
	// It is back before anything is lost: no gap.
	freeSlot(t, primary)
	exec1(t, primary, "insert into gap values (1)")
	r = g.receiver(primary.AdminURL("postgres"))
	stop = run(t, r)
	stored(t, r, primary)
	stop()
	if c := list(t, g.Repository); len(c.Gaps) != 0 {
		t.Errorf("there are gaps %+v", c.Gaps)
	}
	// Now the server throws WAL away.
	from := r.Stats().Durable
	freeSlot(t, primary)
	for range 3 {
		exec1(t, primary, "insert into gap values (1)", "select pg_switch_wal()", "checkpoint")
	}
	r = g.receiver(primary.AdminURL("postgres"))
	stop = run(t, r)
	until(t, "a connection", func() bool { return r.Stats().Connected && r.Stats().Gaps == 1 })
	exec1(t, primary, "insert into gap values (2)")
	stored(t, r, primary)
	stop()
	c := list(t, g.Repository)
	if len(c.Gaps) != 1 || c.Gaps[0].From.LSN < from || c.Gaps[0].To.LSN <= from {
		t.Fatalf("there are gaps %+v; it was at %s", c.Gaps, from)
	}
	if found := r.Stats().LastGap; !found.Equal(c.Gaps[0].Found) {
		t.Errorf("it was found at %v, and the record says %v", found, c.Gaps[0].Found)
	}
	if _, err := c.Reaches(at(1, from), 0, 0); !errors.Is(err, ErrHole) || !strings.Contains(err.Error(), "had it no more") {
		t.Errorf("across the gap: %v", err)
	}
	if reached, err := c.Reaches(c.Gaps[0].To, 0, 0); err != nil || reached.LSN < r.Stats().Durable {
		t.Errorf("behind the gap: %+v, %v", reached, err)
	}
	// It goes on behind the gap, and does not find it again.
	r = g.receiver(primary.AdminURL("postgres"))
	stop = run(t, r)
	exec1(t, primary, "insert into gap values (3)")
	stored(t, r, primary)
	stop()
	if found := r.Stats().LastGap; !found.Equal(c.Gaps[0].Found) {
		t.Errorf("it is told to have been found at %v, and the record says %v", found, c.Gaps[0].Found)
	}
	if c := list(t, g.Repository); len(c.Gaps) != 1 {
		t.Errorf("there are gaps %+v", c.Gaps)
	}
	exec1(t, primary, "drop table gap")
}

// testLostSlot has the server give up the slot: it keeps no more WAL than it was told to.
func testLostSlot(t *testing.T, primary *postgres.Server) {
	g := newRig(t)
	r := g.receiver(primary.AdminURL("postgres"))
	stop := run(t, r)
	exec1(t, primary, "create table lost_slot (n int)")
	stored(t, r, primary)
	stop()
	from := r.Stats().Durable
	exec1(t, primary, "alter system set max_slot_wal_keep_size = '1MB'", "select pg_reload_conf()")
	defer exec1(t, primary, "alter system reset max_slot_wal_keep_size", "select pg_reload_conf()")
	until(t, "the slot is lost", func() bool {
		exec1(t, primary, "insert into lost_slot values (1)", "select pg_switch_wal()", "checkpoint")
		return query(t, primary, "select wal_status from pg_replication_slots where slot_name = 'howdah'") == "lost"
	})
	r = g.receiver(primary.AdminURL("postgres"))
	stop = run(t, r)
	exec1(t, primary, "insert into lost_slot values (2)")
	stored(t, r, primary)
	stop()
	if s := r.Stats(); s.SlotLost.IsZero() || s.Gaps != 1 {
		t.Errorf("it says %+v", s)
	}
	if c := list(t, g.Repository); len(c.Gaps) != 1 || c.Gaps[0].From.LSN < from || c.Gaps[0].To.LSN <= from {
		t.Errorf("the gaps are %+v; it was at %s", c.Gaps, from)
	}
	if status := query(t, primary, "select wal_status from pg_replication_slots where slot_name = 'howdah'"); status == "lost" {
		t.Error("the slot is the lost one")
	}
	exec1(t, primary, "drop table lost_slot")
}

// testStopping stops a server while the store is away: it must not wait for ever, nor must
// be lost what has come.
func testStopping(t *testing.T, primary *postgres.Server) {
	g := newRig(t)
	away := &gate{Store: g.Store}
	g.Store = away
	r := g.receiver(primary.AdminURL("postgres"))
	r.patience = time.Second
	run(t, r)
	exec1(t, primary, "create table stopping (n int)")
	stored(t, r, primary)
	away.close()
	exec1(t, primary, "insert into stopping values (1)")
	end := now(t, primary)
	until(t, "it has come", func() bool { return r.Stats().Received >= end })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := primary.Stop(ctx, postgres.Fast); err != nil {
		t.Errorf("it does not stop: %v", err)
	}
	away.open()
	until(t, "what has come in the store", func() bool { return r.Stats().Durable >= end })
}

func TestKilledReceiver(t *testing.T) {
	testKilled(t, wiretest.FindPostgres(t), 12*time.Second)
}

func TestSoakKilledReceiver(t *testing.T) {
	binaries := wiretest.NewestPostgres(t)
	long, err := time.ParseDuration(os.Getenv("HOWDAH_SOAK"))
	if err != nil {
		t.Fatal(err)
	}
	testKilled(t, binaries, long)
}

// testKilled kills a receiver at random moments, then the primary, and has PostgreSQL
// recover from what is stored.
func testKilled(t *testing.T, binaries postgres.Binaries, long time.Duration) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("HOWDAH_TEST_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("HOWDAH_TEST_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	primary := start(t, binaries)
	exec1(t, primary, "create table t (n bigint, filler text)")
	base := copyOf(t, primary, binaries)
	g := newRig(t)
	url := primary.AdminURL("postgres")
	stopLoad, count := load(t, url)
	for end := time.Now().Add(long); time.Now().Before(end); {
		cmd := g.spawn(t, url)
		time.Sleep(time.Duration(100+random.IntN(1400)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	stopLoad()
	r := g.receiver(url)
	stop := run(t, r)
	stored(t, r, primary)
	primary.Kill()
	stop()
	c := list(t, g.Repository)
	if len(c.Gaps) > 0 || len(c.Odd) > 0 {
		t.Errorf("there are gaps %v, and %q", c.Gaps, c.Odd)
	}
	for i, s := range c.timeline(1).Segments {
		if last := i == len(c.timeline(1).Segments)-1; s.Whole == last && len(s.Parts) > 0 {
			t.Errorf("of a segment there is %+v", s)
		}
	}
	g.recover(t, base)
	want := fmt.Sprintf("%d %d", count(), count()*(count()+1)/2)
	if got := query(t, base, "select count(*) || ' ' || sum(n) from t where n > 0"); got != want {
		t.Errorf("there are %s, not %s", got, want)
	}
}

// load writes rows, one commit each, and now and then many, until it is stopped; count is
// of those that were acknowledged.
func load(t testing.TB, url string) (stop func(), count func() int64) {
	var done atomic.Bool
	var n atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := pgx.Connect(context.Background(), url)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(context.Background())
		for i := int64(1); !done.Load(); i++ {
			if _, err := conn.Exec(context.Background(), "insert into t values ($1, '')", i); err != nil {
				t.Error(err)
				return
			}
			n.Store(i)
			if i%500 == 0 {
				if _, err := conn.Exec(context.Background(), "insert into t select 0, repeat(md5(g::text), 10) from generate_series(1, 10000) g"); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	return func() { done.Store(true); <-ended }, n.Load
}

func TestPromotion(t *testing.T) {
	primary := start(t, wiretest.FindPostgres(t))
	exec1(t, primary, "create table t (n int)")
	base := copyOf(t, primary, wiretest.FindPostgres(t))
	standby := wiretest.StartStandby(t, primary, wiretest.WithTrust())
	g := newRig(t)
	url := fmt.Sprintf("postgres://postgres@%s,%s/postgres?target_session_attrs=primary", primary.Address(), standby.Address())
	r := g.receiver(url)
	run(t, r)
	defer func() {
		if t.Failed() {
			t.Logf("it is at %+v", r.Stats())
		}
	}()
	for i := range 3 {
		exec1(t, primary, fmt.Sprintf("insert into t values (%d)", i))
		stored(t, r, primary)
	}
	last := now(t, primary)
	until(t, "the standby has it", func() bool {
		l, err := replication.ParseLSN(query(t, standby, "pg_last_wal_replay_lsn()"))
		return err == nil && l >= last
	})
	primary.Kill()
	exec1(t, standby, "select pg_promote()", "insert into t values (100)")
	until(t, "the next timeline", func() bool { return r.Stats().Timeline == 2 })
	stored(t, r, standby)
	exec1(t, standby, "insert into t select generate_series(1001, 301000)") // on into the next segment
	stored(t, r, standby)
	c := list(t, g.Repository)
	begin := at(1, c.timeline(1).Segments[0].Start)
	if reached, err := c.Reaches(begin, 0, 0); err != nil || reached.Timeline != 2 || len(c.Gaps) > 0 {
		t.Errorf("it reaches %+v, %v; gaps %v", reached, err, c.Gaps)
	}
	if reached, err := c.Reaches(begin, 0, 1); err != nil || reached.Timeline != 1 || reached.LSN < last {
		t.Errorf("on the old timeline it reaches %+v, %v; it was at %s", reached, err, last)
	}
	g.recover(t, base)
	if got := query(t, base, "select count(*) || ' ' || max(n) from t"); got != "300004 301000" {
		t.Errorf("there are %s", got)
	}
}

// TestPromotionArchived has the new primary archive its timeline before the receiver is back,
// which has not got the end of the one before.
func TestPromotionArchived(t *testing.T) {
	primary := start(t, wiretest.FindPostgres(t))
	exec1(t, primary, "create table t (n int)")
	base := copyOf(t, primary, wiretest.FindPostgres(t))
	standby := wiretest.StartStandby(t, primary, wiretest.WithTrust())
	g := newRig(t)
	stop := run(t, g.receiver(primary.AdminURL("postgres")))
	exec1(t, primary, "insert into t values (0)")
	r := g.receiver(standby.AdminURL("postgres"))
	until(t, "a beginning", func() bool {
		c, err := List(t.Context(), g.Repository)
		return err == nil && c.Newest().LSN >= now(t, primary)
	})
	stop()
	exec1(t, standby, "select pg_create_physical_replication_slot('howdah', true)")
	exec1(t, primary, "insert into t select generate_series(1, 300000)") // more than a segment
	last := now(t, primary)
	until(t, "the standby has it", func() bool {
		l, err := replication.ParseLSN(query(t, standby, "pg_last_wal_replay_lsn()"))
		return err == nil && l >= last
	})
	primary.Kill()
	exec1(t, standby, "select pg_promote()", "insert into t values (-1)")
	name := query(t, standby, "pg_walfile_name(pg_current_wal_insert_lsn())")
	exec1(t, standby, "select pg_switch_wal()")
	archive := &Archive{Repo: g.Repository}
	for _, name := range []string{"00000002.history", name} {
		f, a, err := OpenArchived(filepath.Join(standby.Dir(), "pg_wal", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := archive.Push(t.Context(), a, f); err != nil {
			t.Fatal(err)
		}
	}
	run(t, r)
	exec1(t, standby, "insert into t values (-2)")
	until(t, "the next timeline", func() bool { return r.Stats().Timeline == 2 })
	stored(t, r, standby)
	c := list(t, g.Repository)
	if reached, err := c.Reaches(at(1, c.timeline(1).Segments[0].Start), 0, 0); err != nil || reached.Timeline != 2 || len(c.Gaps) > 0 {
		t.Errorf("it reaches %+v, %v; gaps %v", reached, err, c.Gaps)
	}
	g.recover(t, base)
	if got := query(t, base, "select count(*) || ' ' || min(n) from t"); got != "300003 -2" {
		t.Errorf("there are %s", got)
	}
}
