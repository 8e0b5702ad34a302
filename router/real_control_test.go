package router_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"howdah/router"
	"howdah/tenants"
)

// TestRealControl tests PAUSE, RESUME, RELOAD, KILL and SHUTDOWN, and what is kept of those who left, in front of one PostgreSQL.
func TestRealControl(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"PauseUnderLoad", testPauseUnderLoad},
		{"PauseWaitsForTransactions", testPauseWaitsForTransactions},
		{"ReloadUnderLoad", testReloadUnderLoad},
		{"ReloadRemovesTenants", testReloadRemovesTenants},
		{"ReloadReachesSessions", testReloadReachesSessions},
		{"ShutdownDrains", testShutdownDrains},
		{"ShutdownDrainsSessions", testShutdownDrainsSessions},
		{"ShutdownServesTheLine", testShutdownServesTheLine},
		{"ShutdownIsCutShort", testShutdownIsCutShort},
		{"KillClient", testKillClient},
		{"NothingIsKeptOfUnusedTenants", testNothingIsKeptOfUnusedTenants},
		{"ComingAndGoingLeaksNothing", testComingAndGoingLeaksNothing},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

func testPauseUnderLoad(t *testing.T, h *house) {
	for _, database := range []string{"acme", ""} {
		t.Run("of "+database, func(t *testing.T) {
			d := h.open(t)
			c := d.crowd(30)
			for range 5 {
				c.await(t, 500)
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				if err := d.Pause(ctx, database); err != nil {
					t.Fatal(err)
				}
				cancel()
				if n := ask[int](t, h, "select count(*) from pg_stat_activity where usename = 'acme' and state <> 'idle'"); n != 0 {
					t.Fatalf("%d backends are busy during PAUSE", n)
				}
				before := c.queries.Load()
				if d.await(t, "waiting clients", func(p router.PoolStats) bool { return p.ClientsWaiting == 30 }); c.queries.Load() > before+30 {
					t.Fatalf("%d queries were answered during PAUSE", c.queries.Load()-before)
				}
				if err := d.Resume(database); err != nil {
					t.Fatal(err)
				}
			}
			c.await(t, 500)
			if errs := c.leave(); len(errs) > 0 {
				t.Errorf("errors: %v", errs)
			}
		})
	}
}

func testPauseWaitsForTransactions(t *testing.T, h *house) {
	d := h.open(t)
	r := d.raw(t)
	r.say(t, query("begin; select 1"))
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := d.Pause(ctx, "acme"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("PAUSE beside an open transaction returned %v", err)
	}
	r.expect(t, "COMMIT; ready I", query("commit"))
	ctx, cancel = context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Pause(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	if err := d.Pause(ctx, "nobody"); !errors.Is(err, router.ErrNotFound) {
		t.Errorf("PAUSE of nobody returned %v", err)
	}
	if err := r.send(query("select 1")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	if err := d.Resume("acme"); err != nil {
		t.Fatal(err)
	}
	if got, err := r.answers(); err != nil || got[0] != "row 1" {
		t.Fatalf("%q, %v", got, err)
	}
}

func testReloadUnderLoad(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	c := d.crowd(30)
	for _, size := range []int{8, 1, 6, 2} {
		d.reload(t, poolSize(size))
		c.await(t, 500)
		if !poll(func() bool {
			return h.backends(t) == size
		}) {
			t.Fatalf("pool_size is %d, backends are %d", size, h.backends(t))
		}
	}
	if errs := c.leave(); len(errs) > 0 {
		t.Errorf("errors: %v", errs)
	}
}

// testReloadRemovesTenants takes a tenant out of the registry, and puts it back.
func testReloadRemovesTenants(t *testing.T, h *house) {
	d := h.open(t)
	idle, busy := d.raw(t), d.raw(t)
	other, err := d.tryRaw("globex")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	busy.say(t, query("begin; select 1"))
	all := d.setup.tenants
	d.reload(t, func(s *setup) { s.tenants = all[1:] })
	for _, r := range []*raw{idle, busy} {
		if last, err := r.ended(); err != nil || last == nil || last.Code != "57P01" {
			t.Errorf("got %+v, %v; want 57P01", last, err)
		}
	}
	_, err = tryLogin(d.address, "acme", "acme", secret)
	wantState(t, err, "3D000")
	if !poll(func() bool { return len(d.Stats().Pools) == 1 }) {
		t.Errorf("pools are left: %+v", d.Stats().Pools)
	}
	other.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	d.reload(t, func(s *setup) { s.tenants = all })
	d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	d.reload(t, func(s *setup) { s.tenants[0].State = tenants.Suspended })
	_, err = tryLogin(d.address, "acme", "acme", secret)
	wantState(t, err, "57P03")
	d.reload(t, func(s *setup) { s.tenants[0].State = tenants.Active })
}

// testReloadReachesSessions has those that are there go by other limits at once.
func testReloadReachesSessions(t *testing.T, h *house) {
	d := h.open(t)
	idle, asks := d.raw(t), d.raw(t)
	asks.say(t, parse("one", "select 1"), syncMsg)
	d.reload(t, limits(func(l *tenants.Limits) { l.MaxClientPreparedStatements = 1 }))
	asks.expect(t, "error 53400; ready I", parse("two", "select 2"), syncMsg)
	d.reload(t, limits(func(l *tenants.Limits) { l.QueryTimeout = 200 * time.Millisecond }))
	if err := asks.send(query("select pg_sleep(60)")); err != nil {
		t.Fatal(err)
	}
	asks.wantEnd(t, "57014", "query_timeout")
	d.reload(t, limits(func(l *tenants.Limits) { l.ClientIdleTimeout = 50 * time.Millisecond }))
	idle.wantEnd(t, "57P05", "client_idle_timeout")
}

// testShutdownDrains has idle clients closed at once, transactions finished,
// and newcomers refused.
func testShutdownDrains(t *testing.T, h *house) {
	h.sql(t, "create table kept (n int)", "grant all on kept to acme")
	d := h.open(t)
	idle, open, busy := d.raw(t), d.raw(t), d.raw(t)
	open.expect(t, "BEGIN; INSERT 0 1; ready T", query("begin; insert into kept values (1)"))
	if err := busy.send(query("select pg_sleep(0.3)")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "two busy servers", func(p router.PoolStats) bool { return p.ServersActive == 2 })
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- d.Shutdown(ctx)
	}()
	idle.wantEnd(t, "57P01", "terminating connection")
	if got, err := busy.answers(); err != nil || got[0] != "row " {
		t.Fatalf("the running query was answered with %q, %v", got, err)
	}
	busy.wantEnd(t, "57P01", "terminating connection")
	if _, err := d.tryRaw("acme"); err == nil {
		t.Error("a newcomer was let in")
	}
	open.expect(t, "INSERT 0 1; ready T", query("insert into kept values (2)"))
	select {
	case err := <-done:
		t.Fatalf("shut down beside an open transaction: %v", err)
	default:
	}
	open.expect(t, "COMMIT; ready I", query("commit"))
	open.wantEnd(t, "57P01", "terminating connection")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := ask[int](t, h, "select count(*) from kept"); n != 2 {
		t.Errorf("%d rows were committed, want 2", n)
	}
}

// testShutdownDrainsSessions does so in session mode, where idle clients hold
// servers.
func testShutdownDrainsSessions(t *testing.T, h *house) {
	d := h.open(t, poolMode(tenants.Session))
	idle, open := d.raw(t), d.raw(t)
	idle.say(t, query("select 1"))
	open.say(t, query("begin; select 1"))
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- d.Shutdown(ctx)
	}()
	idle.wantEnd(t, "57P01", "terminating connection")
	open.expect(t, "COMMIT; ready I", query("commit"))
	open.wantEnd(t, "57P01", "terminating connection")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// testShutdownServesTheLine has clients that wait for a server when the drain
// begins get their turn.
func testShutdownServesTheLine(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	holder, waiter := d.raw(t), d.raw(t)
	holder.say(t, query("begin; select 1"))
	if err := waiter.send(query("select 'served'")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- d.Shutdown(ctx)
	}()
	if !poll(func() bool { return d.Stats().ShutDown }) {
		t.Fatal("not shutting down")
	}
	holder.expect(t, "COMMIT; ready I", query("commit"))
	if got, err := waiter.answers(); err != nil || got[0] != "row served" {
		t.Fatalf("%q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// testShutdownIsCutShort by its context, though a transaction is open.
func testShutdownIsCutShort(t *testing.T, h *house) {
	d := h.open(t)
	r := d.raw(t)
	r.say(t, query("begin; select 1"))
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := d.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	r.wantEnd(t, "57P01", "terminating connection")
}

func testKillClient(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	r := d.raw(t)
	if err := r.send(query("select pg_sleep(60)")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "a busy server", func(p router.PoolStats) bool { return p.ServersActive == 1 })
	id := d.Clients()[0].ID
	if err := d.KillClient(id); err != nil {
		t.Fatal(err)
	}
	r.wantEnd(t, "57P01", "terminating connection")
	if err := d.KillClient(id); !errors.Is(err, router.ErrNotFound) {
		t.Errorf("killed twice: %v", err)
	}
	d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// testNothingIsKeptOfUnusedTenants lets a tenant's servers time out after its
// last client has left.
func testNothingIsKeptOfUnusedTenants(t *testing.T, h *house) {
	d := h.open(t, limits(func(l *tenants.Limits) { l.ServerIdleTimeout = 200 * time.Millisecond }))
	for range 3 {
		r := d.raw(t)
		r.say(t, query("select 1"))
		if len(d.Stats().Pools) != 1 {
			t.Fatalf("pools: %+v", d.Stats().Pools)
		}
		r.Close()
		if !poll(func() bool {
			s := d.Stats()
			conns := 0
			for _, l := range s.LoopsStats {
				conns += l.Conns
			}
			return len(s.Pools) == 0 && s.Servers == 0 && s.Clients == 0 && conns == 0
		}) {
			t.Fatalf("something is kept: %+v", d.Stats())
		}
	}
}

// testComingAndGoingLeaksNothing has 2,000 clients come, ask, and go.
func testComingAndGoingLeaksNothing(t *testing.T, h *house) {
	d := h.open(t, poolSize(3))
	for i := range 10 { // whatever is made once
		come(t, d, i)
	}
	d.atRest(t)
	before := countDescriptors(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for i := range 100 {
				come(t, d, i)
			}
		})
	}
	wg.Wait()
	d.atRest(t)
	// Servers that were still missing may have been opened meanwhile.
	if now := countDescriptors(t); now > before+3 {
		t.Errorf("%d descriptors, %d before", now, before)
	}
	if s := d.Stats(); s.Accepted != 2010 || s.Servers > 3 {
		t.Errorf("%d accepted, %d servers", s.Accepted, s.Servers)
	}
}

// come is one visit, which ends in one of the ways there are.
func come(t *testing.T, d *door, i int) {
	r, err := d.tryRaw("acme")
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	switch {
	case i%20 == 0:
		r.send(query("begin"), query("select pg_sleep(10)"))
		return
	case i%3 == 0:
		return
	case i%3 == 1:
		r.reset()
		return
	}
	if got, err := r.talk(query("select 1")); err != nil || got[0] != "row 1" {
		t.Errorf("got %q, %v", got, err)
	}
	r.send(terminate)
}
