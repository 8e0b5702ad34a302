package router_test

import (
	"context"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"howdah/router"
	"howdah/tenants"
	"howdah/wire/postgres"
)

// TestRealTrouble tests servers that die, in front of one PostgreSQL.
func TestRealTrouble(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"ServerDiesUnderClients", testServerDiesUnderClients},
		{"CrashOfTheCluster", testCrashOfTheCluster},
		{"RestartUnderLoad", testRestartUnderLoad},
		{"UnreachableServerIsNamed", testUnreachableServerIsNamed},
		{"CommitInDoubt", testCommitInDoubt},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// backendOf returns the process that a client in a transaction talks to.
func backendOf(t *testing.T, r *raw) string {
	t.Helper()
	return strings.TrimPrefix(r.say(t, query("select pg_backend_pid()"))[0], "row ")
}

// testServerDiesUnderClients ends backends in all the ways there are. Whoever
// used one is told so, and the next query runs on another.
func testServerDiesUnderClients(t *testing.T, h *house) {
	kill := func(t *testing.T, pid string) {
		t.Helper()
		h.sql(t, "select pg_terminate_backend("+pid+")")
	}
	t.Run("idle", func(t *testing.T) {
		d := h.open(t, poolSize(1))
		r := d.raw(t)
		pid := backendOf(t, r)
		d.await(t, "an idle server", func(p router.PoolStats) bool { return p.ServersIdle == 1 })
		kill(t, pid)
		d.await(t, "no server", func(p router.PoolStats) bool { return p.ServersIdle == 0 })
		r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		if ended := d.pool("acme").Ended; len(ended) != 1 {
			t.Errorf("ends are counted as %v", ended)
		}
	})
	t.Run("in a transaction", func(t *testing.T) {
		d := h.open(t, poolSize(1))
		r := d.raw(t)
		r.say(t, query("begin; select 1"))
		kill(t, backendOf(t, r))
		if last, err := r.ended(); err != nil || last == nil || !strings.HasPrefix(last.Code, "57P") && last.Code != "08006" {
			t.Fatalf("got %+v, %v", last, err)
		}
		d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	})
	t.Run("at work", func(t *testing.T) {
		d := h.open(t, poolSize(1))
		r := d.raw(t)
		if err := r.send(query("select 'busy' from pg_sleep(60)")); err != nil {
			t.Fatal(err)
		}
		var pid string
		if !poll(func() bool {
			pid = ask[string](t, h, "select coalesce(min(pid)::text, '') from pg_stat_activity where query like 'select ''busy''%' and state = 'active'")
			return pid != ""
		}) {
			t.Fatal("the query does not run")
		}
		kill(t, pid)
		if last, err := r.ended(); err != nil || last == nil || !strings.HasPrefix(last.Code, "57P") && last.Code != "08006" {
			t.Fatalf("got %+v, %v", last, err)
		}
		d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	})
	t.Run("in the middle of a row", func(t *testing.T) {
		d := h.open(t, poolSize(1))
		r := d.raw(t)
		r.say(t, query("begin; select 1"))
		pid, _ := strconv.Atoi(backendOf(t, r))
		if err := r.send(query("select repeat('x', 50000000) from generate_series(1, 3)")); err != nil {
			t.Fatal(err)
		}
		// The client reads nothing, so the server is stuck inside the row.
		if !poll(func() bool {
			return ask[string](t, h, "select coalesce(wait_event, '') from pg_stat_activity where pid = $1", pid) == "ClientWrite"
		}) {
			t.Fatal("the server does not write")
		}
		kill(t, strconv.Itoa(pid))
		rows := 0
		r.SetReadDeadline(time.Now().Add(patience))
		for {
			m, err := r.Receive()
			if err != nil {
				break
			}
			if len(describe(m)) > 50_000_000 {
				rows++
			}
		}
		if rows > 2 {
			t.Errorf("%d whole rows arrived", rows)
		}
		d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	})
	t.Run("under load", func(t *testing.T) {
		d := h.open(t, poolSize(4))
		c := d.crowd(30)
		for range 10 {
			c.await(t, 200)
			h.sql(t, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'acme'")
		}
		c.await(t, 200)
		wantOnly(t, c.leave(), "57P01", "08006", "53300")
	})
}

// wantOnly wants a crowd to have met only these SQLSTATEs.
func wantOnly(t *testing.T, errs map[string]int, codes ...string) {
	t.Helper()
	total := 0
	for text, n := range errs {
		total += n
		known := false
		for _, code := range codes {
			known = known || text == code
		}
		if !known {
			t.Errorf("%d times: %s", n, text)
		}
	}
	if total == 0 {
		t.Error("nobody met an error: the test shows nothing")
	}
	t.Logf("errors: %v", errs)
}

// testCrashOfTheCluster kills a backend so that PostgreSQL restarts all of
// them, while clients query.
func testCrashOfTheCluster(t *testing.T, h *house) {
	d := h.open(t, limits(func(l *tenants.Limits) { l.ServerLoginRetry = 100 * time.Millisecond }))
	c := d.crowd(20)
	for range 2 {
		c.await(t, 200)
		var pid int
		if !poll(func() bool { // it may not have come down yet
			return h.QueryRow(t.Context(), "acme", "select pid from pg_stat_activity where usename = 'acme' limit 1", nil, &pid) == nil
		}) {
			t.Fatal("PostgreSQL stays away")
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if !poll(func() bool { return h.reachable() }) {
			t.Fatal("PostgreSQL does not come back")
		}
	}
	c.await(t, 1000)
	wantOnly(t, c.leave(), "57P01", "57P02", "57P03", "08006", "08007")
}

func (h *house) reachable() bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var one int
	return h.QueryRow(ctx, "acme", "select 1", nil, &one) == nil
}

// testRestartUnderLoad stops PostgreSQL in each way and starts it again. Idle
// clients notice nothing, and whoever asks meanwhile waits.
func testRestartUnderLoad(t *testing.T, h *house) {
	d := h.open(t, limits(func(l *tenants.Limits) { l.ServerLoginRetry = 100 * time.Millisecond }))
	idle := d.raw(t)
	idle.say(t, query("select 1"))
	c := d.crowd(20)
	for _, stop := range []func() error{
		func() error { return stopServer(h, postgres.Fast) },
		func() error { h.Kill(); return nil },
		func() error { return stopServer(h, postgres.Immediate) },
	} {
		c.await(t, 200)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if err := idle.send(query("select 'waited'")); err != nil {
			t.Fatal(err)
		}
		d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting > 0 })
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := h.Start(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := idle.answers(); err != nil || got[0] != "row waited" {
			t.Fatalf("a client that was idle got %q, %v", got, err)
		}
	}
	c.await(t, 500)
	wantOnly(t, c.leave(), "57P01", "57P02", "57P03", "08006", "08007")
	idle.Close()
	d.atRest(t)
}

func stopServer(h *house, mode postgres.StopMode) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return h.Stop(ctx, mode)
}

// testUnreachableServerIsNamed has clients wait for a PostgreSQL that is down:
// what they are told at last says why.
func testUnreachableServerIsNamed(t *testing.T, h *house) {
	d := h.open(t, limits(func(l *tenants.Limits) { l.QueryWaitTimeout = 500 * time.Millisecond }))
	r := d.raw(t)
	if err := stopServer(h, postgres.Fast); err != nil {
		t.Fatal(err)
	}
	if err := r.send(query("select 1")); err != nil {
		t.Fatal(err)
	}
	last, err := r.ended()
	if err != nil || last == nil || last.Code != "57014" || !strings.Contains(last.Detail, "refused") {
		t.Errorf("got %+v, %v", last, err)
	}
	if err := h.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// testCommitInDoubt kills the server while a COMMIT is on its way: nobody can
// know whether it was carried out, and the client is told so.
func testCommitInDoubt(t *testing.T, h *house) {
	h.sql(t, "create table slow (n int)", "grant all on slow to acme",
		"create function wait() returns trigger language plpgsql as 'begin perform pg_sleep(60); return null; end'",
		"create constraint trigger wait after insert on slow deferrable initially deferred for each row execute function wait()")
	d := h.open(t)
	r := d.raw(t)
	r.say(t, query("begin; insert into slow values (1)"))
	pid, _ := strconv.Atoi(backendOf(t, r))
	if err := r.send(query("commit")); err != nil {
		t.Fatal(err)
	}
	if !poll(func() bool {
		return ask[string](t, h, "select coalesce(wait_event, '') from pg_stat_activity where pid = $1", pid) == "PgSleep"
	}) {
		t.Fatal("the COMMIT does not run")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if last, err := r.ended(); err != nil || last == nil || last.Code != "08007" && last.Code != "57P02" {
		t.Errorf("got %+v, %v; want 08007", last, err)
	}
	if !poll(h.reachable) {
		t.Fatal("PostgreSQL does not come back")
	}
}
