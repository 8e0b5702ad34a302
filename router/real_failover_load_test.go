package router_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/tenants"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// overdrawn is how many servers a pool may have above its size for processes that
// hold one.
const overdrawn = 4

// TestRealFailoverUnderLoad kills the primary under pgbench and tellers and promotes
// the standby. Whatever error a client meets belongs to a transaction that was open
// at the kill; all others wait and go on, those who read at the standby go on at
// once, and nothing that was confirmed is lost. Then the old primary comes back by
// pg_rewind, and what took its place is frozen and killed in turn: now it is known
// which clients held a server, and those alone meet an error.
func TestRealFailoverUnderLoad(t *testing.T) {
	const riders, size = 12, 4
	kept := wiretest.WithSetting("wal_keep_size", "256MB") // pg_rewind needs it, and who comes back
	soon := wiretest.WithSetting("wal_retrieve_retry_interval", "100ms")
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"), kept, soon)
	standby, members := h.cluster(t, kept, soon)
	h.fillPgbench(t, "globex")
	reading := h.tenant(t, "initech")
	d := h.open(t, members, reading, poolSize(size), keepTold, limits(func(l *tenants.Limits) { l.ServerLoginRetry = 15 * time.Second }))
	quiet := d.quiet(t)
	d.settleAt(t, "initech", standby)
	reads := filepath.Join(t.TempDir(), "reads.sql")
	if err := os.WriteFile(reads, []byte("select count(*) from pg_class;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := d.tellers(t, "acme", riders)
	writers := []*pgbench{d.pgbench(t, "globex", riders, 4*time.Second), d.pgbench(t, "globex", riders, 4*time.Second, "-M", "extended")}
	readers := d.pgbench(t, "initech", 2, 4*time.Second, "-M", "prepared", "-f", reads)
	all.goOn(t, riders, time.Now())
	synchronous(t, h.Server)
	time.Sleep(500 * time.Millisecond)

	before := time.Now()
	h.Kill()
	killed := time.Now()
	if !poll(func() bool { return d.serversAt(h.Port()) == 0 }) {
		t.Fatal("the router keeps servers of the killed primary")
	}
	noticed := time.Now()
	promote(t, standby)
	promoted := time.Now()
	all.goOn(t, riders, promoted)
	first := all.first(noticed)
	t.Logf("all servers were gone %v behind the kill, which took %v; the promotion took %v; the first success was %v behind it, %v behind the kill",
		noticed.Sub(killed), killed.Sub(before), promoted.Sub(noticed), first.Sub(promoted), first.Sub(killed))
	failed := all.errors()
	for _, a := range failed {
		if a.lostServer(t); a.began.After(noticed) || a.ended.Before(before) {
			t.Errorf("killed %s, noticed %s: %v", before.Format("05.000000"), noticed.Format("05.000000"), a)
		}
		if a.began.After(killed) {
			t.Logf("begun behind the kill: %v", a)
		}
	}
	aborted := 0
	for _, p := range writers {
		aborted += p.wentOn(t, riders, noticed, promoted)
	}
	if most := size + overdrawn; len(failed) > most || aborted > most || len(failed)+aborted == 0 {
		t.Errorf("%d tellers and %d clients of pgbench had an error, who had %d servers each", len(failed), aborted, size)
	}
	if n := readers.wentOn(t, 2, noticed, promoted); n > 0 {
		t.Errorf("%d clients had an error who read at the standby:\n%s", n, readers.out.String())
	}
	t.Logf("errors: %d of %d tellers, %d of %d clients of pgbench", len(failed), riders, aborted, 2*riders)
	quiet.goOn(t, standby)

	h.rejoin(t, standby, true)
	d.settleAt(t, "initech", h.Server)
	synchronous(t, standby)
	frozen := freeze(t, standby)
	time.Sleep(200 * time.Millisecond) // who is going to get a server has it now
	held := d.holders(standby.Port())
	standby.Kill()
	promote(t, h.Server)
	promoted = time.Now()
	all.goOn(t, riders, promoted)
	t.Logf("the first success was %v behind the second promotion", all.first(promoted).Sub(promoted))
	for _, a := range all.errors()[len(failed):] {
		if a.lostServer(t); !held[a.port] || a.began.After(frozen.Add(200*time.Millisecond)) {
			t.Errorf("it held no server when the primary died: %v", a)
		}
		delete(held, a.port)
	}
	if len(held) > 0 {
		t.Errorf("held a server that was killed, and had no error: the clients at ports %v", held)
	}
	quiet.goOn(t, h.Server)
	all.close(t, h.Server)
}

// wentOn waits for the end and returns how many clients were given up, none of them
// behind a transaction that ended well after a failure was noticed. All others have
// gone on behind it.
func (p *pgbench) wentOn(t *testing.T, clients int, noticed, later time.Time) (aborted int) {
	t.Helper()
	for i, o := range p.wait(t, clients) {
		switch {
		case o.aborted && o.last.After(noticed):
			t.Errorf("client %d of pgbench had an error behind a transaction that ended well %v behind the failure", i, o.last.Sub(noticed))
		case o.aborted:
			aborted++
		case o.last.Before(later):
			t.Errorf("client %d of pgbench had no error, and does not go on", i)
		}
	}
	return aborted
}

// tenant makes one more tenant.
func (h *house) tenant(t *testing.T, name string) func(*setup) {
	t.Helper()
	wiretest.CreateTenant(t, h.Server, name, secret)
	h.users = append(h.users, tenants.User{Name: name, Verifier: wiretest.Verifier(t, h.Server, name)})
	return func(s *setup) {
		more := s.tenants[0]
		more.Name, more.Database, more.User = name, name, name
		s.tenants = append(s.tenants, more)
	}
}

// synchronous has a primary, to which clients write, confirm nothing from now on that
// no standby has. Its checkpointer says when that begins.
func synchronous(t *testing.T, s *postgres.Server) {
	t.Helper()
	if err := s.Exec(t.Context(), postgres.Superuser, "alter system set synchronous_standby_names = '*'", "select pg_reload_conf()"); err != nil {
		t.Fatal(err)
	}
	var n int
	if !poll(func() bool {
		err := s.QueryRow(t.Context(), postgres.Superuser, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'", nil, &n)
		return err == nil && n > 0
	}) {
		t.Fatal("no COMMIT waits for a standby")
	}
}

// promote makes a standby the primary, one that needs no standby.
func promote(t *testing.T, s *postgres.Server) {
	t.Helper()
	err := s.Exec(t.Context(), postgres.Superuser, "select pg_promote()", "alter system reset synchronous_standby_names", "select pg_reload_conf()")
	if err != nil {
		t.Fatal(err)
	}
}

// serversAt counts the router's servers of one member that are in use, or could be.
func (d *door) serversAt(port int) (n int) {
	for _, s := range d.Servers() {
		if s.Port == port && s.State != "login" {
			n++
		}
	}
	return n
}

// holders returns the ports of the clients that hold a server of one member.
func (d *door) holders(port int) map[int]bool {
	at := map[uint64]bool{}
	for _, s := range d.Servers() {
		if s.Port == port {
			at[s.ID] = true
		}
	}
	held := map[int]bool{}
	for _, c := range d.Clients() {
		if c.State == "active" && at[c.Link] {
			held[c.Port] = true
		}
	}
	return held
}

// freeze stops all processes of a server where they are, as a machine that hangs
// does. Kill ends it.
func freeze(t *testing.T, s *postgres.Server) time.Time {
	t.Helper()
	pid := s.PID()
	pids := []int{pid}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // it makes no more
		t.Fatal(err)
	}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		name := text[strings.LastIndexByte(string(text), ')')+1:]
		if fields := strings.Fields(string(name)); fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, child)
		}
	}
	for _, pid := range pids[1:] {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // one may have ended
	}
	return time.Now()
}

// rejoin has the house's server come back as a standby.
func (h *house) rejoin(t *testing.T, primary *postgres.Server, rewind bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	if err := h.Rejoin(ctx, primary, "back", rewind); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// settleAt waits until a tenant's READ ONLY transactions run at a standby.
func (d *door) settleAt(t *testing.T, tenant string, standby *postgres.Server) {
	t.Helper()
	c, port := d.connect(t, func(c *pgx.ConnConfig) { c.User, c.Database = tenant, tenant }), 0
	defer c.Close(t.Context())
	if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == standby.Port() }) {
		t.Fatalf("READ ONLY transactions run at %d, not at %d: %+v", port, standby.Port(), d.Standbys())
	}
}

// quiet are clients who hold no server: one that does nothing, one that has begun a
// transaction and not said more, one with state of a session, one who listens.
type quiet struct {
	idle, begun, settled, listening *pgx.Conn
	begin                           pgx.Tx
}

// keepTold has those who listen stay when the connection for it is lost.
func keepTold(s *setup) { s.config.ListenKeep = []string{"told"} }

func (d *door) quiet(t *testing.T) *quiet {
	t.Helper()
	q := &quiet{idle: d.connect(t), begun: d.connect(t), settled: d.connect(t), listening: d.connect(t)}
	do(t, q.settled, "set application_name = 'mine'")
	if _, err := q.settled.Prepare(t.Context(), "kept", "select current_setting('application_name') || $1"); err != nil {
		t.Fatal(err)
	}
	do(t, q.listening, "listen told")
	do(t, q.idle, "select 1")
	q.begins(t)
	return q
}

func (q *quiet) begins(t *testing.T) {
	t.Helper()
	var err error
	if q.begin, err = q.begun.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// goOn has each of them do something, behind a failover.
func (q *quiet) goOn(t *testing.T, at *postgres.Server) {
	t.Helper()
	var port int
	if err := q.begin.QueryRow(t.Context(), where).Scan(&port); err != nil || port != at.Port() {
		t.Errorf("who had begun runs at %d: %v", port, err)
	}
	if err := q.begin.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	q.begins(t)
	if got := get[string](t, q.settled, "kept", "!"); got != "mine!" {
		t.Errorf("who had set and prepared gets %q", got)
	}
	if !poll(func() bool { // it hears again soon, not at once
		do(t, q.idle, "notify told")
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := q.listening.WaitForNotification(ctx)
		return err == nil
	}) {
		t.Error("who listens is told nothing")
	}
}
