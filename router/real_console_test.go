package router_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"howdah/router"
	"howdah/tenants"
)

// TestRealConsole tests what the console's commands do to clients and servers,
// in front of one PostgreSQL.
func TestRealConsole(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"PauseLeavesNoBackend", testPauseLeavesNoBackend},
		{"PauseIsOneOrAll", testPauseIsOneOrAll},
		{"KillDatabase", testKillDatabase},
		{"KillAll", testKillAll},
		{"Disable", testDisable},
		{"WaitClose", testWaitClose},
		{"SuspendHoldsEverybody", testSuspendHoldsEverybody},
		{"SuspendStopsTheClocks", testSuspendStopsTheClocks},
		{"ShutdownWhileSwitched", testShutdownWhileSwitched},
		{"CancelStates", testCancelStates},
		{"ClosedIsClosed", testClosedIsClosed},
		{"NothingIsLost", testNothingIsLost},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// briefly is a context for what should not be done so soon.
func briefly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// patiently is a context for what should be done.
func patiently(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// must ends a test whose command failed.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr wants an error of a kind.
func wantErr(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want %v", err, kind)
	}
}

// testPauseLeavesNoBackend renames a database while its clients wait, which
// PostgreSQL allows only when nobody is connected to it.
func testPauseLeavesNoBackend(t *testing.T, h *house) {
	d := h.open(t)
	c := d.crowd(20)
	c.await(t, 500)
	must(t, d.Pause(patiently(t), "acme"))
	if n := h.backends(t); n != 0 {
		t.Errorf("%d backends are there when PAUSE has returned", n)
	}
	d.reload(t, func(*setup) {})
	before := c.queries.Load()
	d.await(t, "20 waiting clients", func(p router.PoolStats) bool { return p.ClientsWaiting == 20 && p.ServersLogin == 0 })
	if n := h.backends(t); n != 0 || c.queries.Load() > before+20 {
		t.Errorf("after a reload: %d backends, %d queries answered", n, c.queries.Load()-before)
	}
	for _, to := range []string{"acme_away", "acme"} {
		from := map[string]string{"acme": "acme_away", "acme_away": "acme"}[to]
		if err := h.Exec(patiently(t), "postgres", "alter database "+from+" rename to "+to); err != nil {
			t.Fatal(err)
		}
	}
	must(t, d.Resume("acme"))
	c.await(t, 500)
	if errs := c.leave(); len(errs) > 0 {
		t.Errorf("errors: %v", errs)
	}
}

// testPauseIsOneOrAll has the two kinds of PAUSE apart, as PgBouncer has them.
func testPauseIsOneOrAll(t *testing.T, h *house) {
	d := h.open(t)
	wantErr(t, d.Resume(""), router.ErrNotPaused)
	wantErr(t, d.Resume("acme"), router.ErrNotPaused)
	wantErr(t, d.Resume("nobody"), router.ErrNotFound)
	wantErr(t, d.Pause(patiently(t), "nobody"), router.ErrNotFound)
	must(t, d.Pause(patiently(t), "acme"))
	must(t, d.Pause(patiently(t), "acme"))
	wantErr(t, d.Suspend(patiently(t)), router.ErrDatabasesPaused)
	must(t, d.Pause(patiently(t), ""))
	wantErr(t, d.Pause(patiently(t), ""), router.ErrPaused)
	wantErr(t, d.Pause(patiently(t), "globex"), router.ErrPaused)
	wantErr(t, d.Kill("globex"), router.ErrPaused)
	wantErr(t, d.Suspend(patiently(t)), router.ErrPaused)
	if s := d.Stats(); !s.Paused || s.Suspended {
		t.Errorf("paused %v, suspended %v", s.Paused, s.Suspended)
	}
	must(t, d.Resume(""))
	if all := d.Databases(); !all[0].Paused || all[0].Disabled || all[1].Paused {
		t.Errorf("only acme should be paused: %+v", all)
	}
	other, err := d.tryRaw("globex")
	must(t, err)
	defer other.Close()
	other.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	must(t, d.Resume("acme"))
	d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// testKillDatabase kills a busy database beside another.
func testKillDatabase(t *testing.T, h *house) {
	d := h.open(t, poolSize(3))
	idle, open, busy, waits := d.raw(t), d.raw(t), d.raw(t), d.raw(t)
	d.raw(t).say(t, query("begin; select 1"))
	open.say(t, query("begin; select 1"))
	must(t, busy.send(query("select pg_sleep(60)")))
	d.await(t, "three busy servers", func(p router.PoolStats) bool { return p.ServersActive == 3 })
	must(t, waits.send(query("select 1")))
	d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	other, err := d.tryRaw("globex")
	must(t, err)
	defer other.Close()
	other.say(t, query("begin; select 1"))

	must(t, d.Kill("acme"))
	for _, r := range []*raw{idle, open, busy, waits} {
		r.wantEnd(t, "57P01", "terminating connection")
	}
	if !poll(func() bool { return h.backends(t) == 1 }) {
		t.Errorf("%d backends, want globex's alone", h.backends(t))
	}
	other.expect(t, "COMMIT; ready I", query("commit"))
	d.reload(t, func(*setup) {})
	served := make(chan error, 1)
	go func() { // a newcomer waits at the latest with its first query
		r, err := d.tryRaw("acme")
		if err == nil {
			defer r.Close()
			_, err = r.talk(query("select 1"))
		}
		served <- err
	}()
	d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 && p.ServersLogin == 0 })
	wantErr(t, d.Resume(""), router.ErrNotPaused)
	must(t, d.Resume("acme"))
	must(t, <-served)
}

func testKillAll(t *testing.T, h *house) {
	d := h.open(t)
	r := d.raw(t)
	other, err := d.tryRaw("globex")
	must(t, err)
	defer other.Close()
	must(t, d.Pause(patiently(t), "globex"))
	must(t, d.Kill(""))
	r.wantEnd(t, "57P01", "terminating connection")
	other.wantEnd(t, "57P01", "terminating connection")
	if all := d.Databases(); !all[0].Paused || !all[1].Paused {
		t.Errorf("both should be paused: %+v", all)
	}
	must(t, d.Resume(""))
	if all := d.Databases(); all[0].Paused || !all[1].Paused {
		t.Errorf("globex was paused before, and should be still: %+v", all)
	}
	d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

func testDisable(t *testing.T, h *house) {
	d := h.open(t)
	stays := d.raw(t)
	stays.say(t, query("begin; select 1"))
	wantErr(t, d.Disable("nobody", true), router.ErrNotFound)
	must(t, d.Disable("acme", true))
	d.reload(t, func(*setup) {})
	_, err := tryLogin(d.address, "acme", "acme", secret)
	wantState(t, err, "08004")
	if !strings.Contains(err.Error(), `database "acme" is disabled`) {
		t.Errorf("got %v", err)
	}
	if _, err := tryLogin(d.address, "acme", "acme", "a stranger"); state(err) != "28P01" {
		t.Errorf("a stranger is told %v", err)
	}
	stays.expect(t, "COMMIT; ready I", query("commit"))
	stays.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	other, err := d.tryRaw("globex")
	must(t, err)
	other.Close()
	if all := d.Databases(); !all[0].Disabled || all[0].Paused || all[1].Disabled {
		t.Errorf("only acme should be disabled: %+v", all)
	}
	must(t, d.Pause(patiently(t), "acme")) // as in PgBouncer, the one has nothing to do with the other
	must(t, d.Resume("acme"))
	must(t, d.Disable("acme", false))
	d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// testWaitClose marks servers by RECONNECT while transactions are open.
func testWaitClose(t *testing.T, h *house) {
	d := h.open(t)
	must(t, d.WaitClose(patiently(t), ""))
	open := d.raw(t)
	before := open.say(t, query("begin; select pg_backend_pid()"))[1]
	idle := d.raw(t)
	idle.say(t, query("select 1"))
	must(t, d.WaitClose(patiently(t), "acme"))
	wantErr(t, d.Reconnect("nobody"), router.ErrNotFound)
	must(t, d.Reconnect("acme"))
	for _, s := range d.Servers() {
		if s.State == "active" != s.CloseNeeded {
			t.Errorf("server %+v", s)
		}
	}
	wantErr(t, d.WaitClose(briefly(t), "acme"), context.DeadlineExceeded)
	wantErr(t, d.WaitClose(briefly(t), ""), context.DeadlineExceeded)
	must(t, d.WaitClose(patiently(t), "globex"))
	waited := make(chan error, 1)
	go func() { waited <- d.WaitClose(patiently(t), "acme") }()
	open.expect(t, "COMMIT; ready I", query("commit"))
	must(t, <-waited)
	if n := ask[int](t, h, "select count(*) from pg_stat_activity where pid = $1", strings.TrimPrefix(before, "row ")); n != 0 {
		t.Error("the marked server's backend is there when WAIT_CLOSE has returned")
	}
	open.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// testSuspendHoldsEverybody suspends and resumes a crowd.
func testSuspendHoldsEverybody(t *testing.T, h *house) {
	d := h.open(t)
	c := d.crowd(20)
	for range 5 {
		c.await(t, 300)
		must(t, d.Suspend(patiently(t)))
		wantErr(t, d.Pause(patiently(t), ""), router.ErrPaused)
		if s := d.Stats(); !s.Suspended || s.Paused {
			t.Fatalf("paused %v, suspended %v", s.Paused, s.Suspended)
		}
		came, welcomed := make(chan error, 1), make(chan bool)
		go func() {
			r, err := d.tryRaw("acme")
			close(welcomed)
			if err == nil {
				_, err = r.talk(query("select 1"))
				r.Close()
			}
			came <- err
		}()
		settled := c.queries.Load()
		select {
		case <-welcomed:
			t.Fatal("a client was welcomed during SUSPEND")
		case <-time.After(50 * time.Millisecond):
		}
		// One answer each may have been on its way to the client's eyes.
		if n := c.queries.Load() - settled; n > 20 {
			t.Fatalf("%d queries were answered during SUSPEND", n)
		}
		must(t, d.Resume(""))
		must(t, <-came)
	}
	c.await(t, 300)
	if errs := c.leave(); len(errs) > 0 {
		t.Errorf("errors: %v", errs)
	}
}

// testSuspendStopsTheClocks has no timeout strike who was not heard.
func testSuspendStopsTheClocks(t *testing.T, h *house) {
	const timeout = 2 * time.Second // long enough for a busy machine to get to SUSPEND
	d := h.open(t, limits(func(l *tenants.Limits) {
		l.QueryTimeout, l.IdleTransactionTimeout, l.ClientIdleTimeout = timeout, timeout, timeout
	}))
	idle, open, busy := d.raw(t), d.raw(t), d.raw(t)
	open.say(t, query("begin; select 1"))
	must(t, busy.send(query("select pg_sleep(1)")))
	d.await(t, "two busy servers", func(p router.PoolStats) bool { return p.ServersActive == 2 })
	must(t, d.Suspend(patiently(t)))
	time.Sleep(timeout + 300*time.Millisecond) // is not waited for, but must pass
	must(t, d.Resume(""))
	idle.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	open.expect(t, "COMMIT; ready I", query("commit"))
	if got, err := busy.answers(); err != nil || got[0] != "row " {
		t.Errorf("the sleeper got %q, %v", got, err)
	}
	idle.wantEnd(t, "57P05", "client_idle_timeout")
}

// testShutdownWhileSwitched ends what is suspended or paused: nobody is waited
// for in vain.
func testShutdownWhileSwitched(t *testing.T, h *house) {
	d := h.open(t)
	open := d.raw(t)
	open.say(t, query("begin; select 1"))
	must(t, d.Suspend(patiently(t)))
	done := make(chan error, 1)
	go func() { done <- d.Shutdown(patiently(t)) }()
	if !poll(func() bool { return d.Stats().ShutDown }) {
		t.Fatal("not shutting down")
	}
	wantErr(t, d.Resume(""), router.ErrShuttingDown)
	open.expect(t, "COMMIT; ready I", query("commit"))
	must(t, <-done)

	d = h.open(t)
	waits := d.raw(t)
	waits.say(t, query("select 1"))
	must(t, d.Pause(patiently(t), ""))
	must(t, waits.send(query("select 1")))
	d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	must(t, d.Shutdown(patiently(t)))
	waits.wantEnd(t, "57P01", "terminating connection")
}
