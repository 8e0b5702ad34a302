package router_test

import (
	"strings"
	"testing"
	"time"

	"howdah/router"
	"howdah/tenants"
)

// TestRealLimits tests timeouts, limits and pool modes, in front of one PostgreSQL.
func TestRealLimits(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"Timeouts", testTimeouts},
		{"SequencePinTimeout", testSequencePinTimeout},
		{"ClientLimits", testClientLimits},
		{"MissingDatabaseDelaysNobody", testMissingDatabaseDelaysNobody},
		{"StatementMode", testStatementMode},
		{"SessionMode", testSessionMode},
		{"SessionModeRollsBackWhatIsOpen", testSessionModeRollsBackWhatIsOpen},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// wantEnd wants the connection to end with a FATAL error of this SQLSTATE that
// names a setting.
func (r *raw) wantEnd(t *testing.T, code, setting string) {
	t.Helper()
	last, err := r.ended()
	if err != nil || last == nil {
		t.Fatalf("no error, %v", err)
	}
	if last.Severity != "FATAL" || last.Code != code || !strings.Contains(last.Message+last.Hint, setting) {
		t.Fatalf("got %s %s: %s (hint: %s); want FATAL %s that names %q", last.Severity, last.Code, last.Message, last.Hint, code, setting)
	}
}

func testTimeouts(t *testing.T, h *house) {
	const short = 300 * time.Millisecond

	t.Run("query_wait_timeout", func(t *testing.T) {
		d := h.open(t, poolSize(1), limits(func(l *tenants.Limits) { l.QueryWaitTimeout = short }))
		holder, waiter := d.raw(t), d.raw(t)
		holder.say(t, query("begin; select 1"))
		if err := waiter.send(query("select 1")); err != nil {
			t.Fatal(err)
		}
		waiter.wantEnd(t, "57014", "query_wait_timeout")
		holder.expect(t, "COMMIT; ready I", query("commit"))
		if n := d.Stats().Refused["57014"]; n != 1 {
			t.Errorf("%d refusals counted, want 1", n)
		}
	})
	t.Run("idle_transaction_timeout", func(t *testing.T) {
		d := h.open(t, poolSize(1), limits(func(l *tenants.Limits) { l.IdleTransactionTimeout = short }))
		r := d.raw(t)
		r.expect(t, "BEGIN; ready T", query("begin"))
		r.wantEnd(t, "25P03", "idle_transaction_timeout")
		d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	})
	t.Run("idle_transaction_timeout counts from the last statement", func(t *testing.T) {
		d := h.open(t, poolSize(1), limits(func(l *tenants.Limits) { l.IdleTransactionTimeout = short }))
		r := d.raw(t)
		r.say(t, query("begin; select 1"))
		for range 6 {
			r.expect(t, "row ; SELECT 1; ready T", query("select pg_sleep(0.2)"))
		}
		r.expect(t, "COMMIT; ready I", query("commit"))
	})
	t.Run("idle_transaction_timeout spares a long statement, and comes after it", func(t *testing.T) {
		d := h.open(t, poolSize(1), limits(func(l *tenants.Limits) { l.IdleTransactionTimeout = short }))
		r := d.raw(t)
		r.say(t, query("begin; select 1"))
		r.expect(t, "row ; SELECT 1; ready T", query("select pg_sleep(0.8)"))
		r.wantEnd(t, "25P03", "idle_transaction_timeout")
	})
	t.Run("a pipeline without Sync counts as a transaction", func(t *testing.T) {
		d := h.open(t, poolSize(1), limits(func(l *tenants.Limits) { l.IdleTransactionTimeout = short }))
		r := d.raw(t)
		if err := r.send(parse("", "select 1"), bind(""), execute, flush); err != nil {
			t.Fatal(err)
		}
		r.wantEnd(t, "25P03", "idle_transaction_timeout")
		d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	})
	t.Run("query_timeout", func(t *testing.T) {
		d := h.open(t, poolSize(1), limits(func(l *tenants.Limits) { l.QueryTimeout = short }))
		r := d.raw(t)
		r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		if err := r.send(query("select pg_sleep(60)")); err != nil {
			t.Fatal(err)
		}
		r.wantEnd(t, "57014", "query_timeout")
		d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		if n := ask[int](t, h, "select count(*) from pg_stat_activity where query like '%pg_sleep(60)' and state = 'active'"); n != 0 {
			t.Error("the query goes on")
		}
	})
	t.Run("client_idle_timeout", func(t *testing.T) {
		d := h.open(t, limits(func(l *tenants.Limits) { l.ClientIdleTimeout = short }))
		fresh, used := d.raw(t), d.raw(t)
		for range 4 {
			used.expect(t, "row ; SELECT 1; ready I", query("select pg_sleep(0.2)"))
		}
		fresh.wantEnd(t, "57P05", "client_idle_timeout")
		used.wantEnd(t, "57P05", "client_idle_timeout")
	})
	t.Run("client_idle_timeout spares transactions", func(t *testing.T) {
		d := h.open(t, limits(func(l *tenants.Limits) { l.ClientIdleTimeout = short }))
		r := d.raw(t)
		r.say(t, query("begin; select 1"))
		r.SetReadDeadline(time.Now().Add(3 * short))
		if m, err := r.Receive(); err == nil {
			t.Fatalf("got %s", describe(m))
		}
		r = newRaw(dial(t, d.dialConfig("acme")))
		r.Close()
	})
}

func testClientLimits(t *testing.T, h *house) {
	refused := func(t *testing.T, d *door, tenant string) {
		t.Helper()
		_, err := tryLogin(d.address, tenant, tenant, secret)
		wantState(t, err, "53300")
		if !strings.Contains(err.Error(), "max_client_conn") {
			t.Errorf("%v does not name max_client_conn", err)
		}
	}
	t.Run("of a tenant", func(t *testing.T) {
		d := h.open(t, limits(func(l *tenants.Limits) { l.MaxClientConn = 3 }))
		first := d.raw(t)
		d.raw(t)
		d.raw(t)
		refused(t, d, "acme")
		other, err := d.tryRaw("globex")
		if err != nil {
			t.Fatalf("another tenant is refused too: %v", err)
		}
		other.Close()
		first.Close()
		if !poll(func() bool {
			r, err := d.tryRaw("acme")
			if err == nil {
				r.Close()
			}
			return err == nil
		}) {
			t.Error("a place that became free is not given out")
		}
	})
	t.Run("of all", func(t *testing.T) {
		d := h.open(t, func(s *setup) { s.config.MaxClientConn = 3 })
		first := d.raw(t)
		d.raw(t)
		other, err := d.tryRaw("globex")
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		refused(t, d, "globex")
		first.Close()
		if !poll(func() bool {
			r, err := d.tryRaw("acme")
			if err == nil {
				r.Close()
			}
			return err == nil
		}) {
			t.Error("a place that became free is not given out")
		}
	})
}

// testMissingDatabaseDelaysNobody connects to a tenant whose database does not
// exist yet, as Odoo does before it creates one. Nobody waits for that.
func testMissingDatabaseDelaysNobody(t *testing.T, h *house) {
	d := h.open(t, func(s *setup) {
		later := s.tenants[0]
		later.Name, later.Database, later.User = "later", "later", "acme"
		s.tenants = append(s.tenants, later)
	})
	for range 5 {
		began := time.Now()
		_, err := tryLogin(d.address, "acme", "later", secret)
		wantState(t, err, "3D000")
		e, err := tryLogin(d.address, "acme", "acme", secret)
		if err != nil {
			t.Fatal(err)
		}
		e.Conn.Close()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("a refusal and a login took %v", took)
		}
	}
	h.sql(t, "create database later owner acme")
	t.Cleanup(func() { h.sql(t, "drop database later with (force)") })
	e, err := tryLogin(d.address, "acme", "later", secret)
	if err != nil {
		t.Fatalf("right after the database was created: %v", err)
	}
	e.Conn.Close()
}

func testStatementMode(t *testing.T, h *house) {
	d := h.open(t, poolMode(tenants.Statement), poolSize(1))
	r := d.raw(t)
	r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	r.expect(t, "parsed; bound; row 2; SELECT 1; ready I", parse("", "select 2"), bind(""), execute, syncMsg)
	if err := r.send(query("begin")); err != nil {
		t.Fatal(err)
	}
	r.wantEnd(t, "0A000", "pool_mode")
	d.atRest(t)
	d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// testSessionMode has a session keep what it made at its server, and the next
// one find nothing of it.
func testSessionMode(t *testing.T, h *house) {
	d := h.open(t, poolMode(tenants.Session), poolSize(1))
	r := d.raw(t)
	pid := r.say(t, query("select pg_backend_pid()"))[0]
	r.say(t, query("set work_mem = '7MB'; set application_name = 'first'; create temp table mine (n int); prepare p as select 1; listen ch"))
	r.say(t, query("select pg_advisory_lock(42)"))
	r.expect(t, "row 7MB; SHOW; ready I", query("show work_mem"))
	r.expect(t, "parsed; ready I", parse("named", "select 'named'"), syncMsg)
	r.expect(t, "row 1; SELECT 1; ready I", query("execute p"))
	r.expect(t, "INSERT 0 1; ready I", query("insert into mine values (1)"))
	r.expect(t, "bound; row named; SELECT 1; ready I", bind("named"), execute, syncMsg)
	if got := strings.Join(r.say(t, query("notify ch, 'hello'")), "; "); !strings.Contains(got, "note ch hello") {
		t.Errorf("got %q, want the notification", got)
	}
	if err := r.send(terminate); err != nil {
		t.Fatal(err)
	}
	d.await(t, "an idle server", func(p router.PoolStats) bool { return p.ServersIdle == 1 })

	next := d.raw(t)
	next.expect(t, pid+"; SELECT 1; ready I", query("select pg_backend_pid()"))
	next.expect(t, "row 4MB; SHOW; ready I", query("show work_mem"))
	next.expect(t, "row ; SHOW; ready I", query("show application_name"))
	next.expect(t, "error 42P01; ready I", query("select * from mine"))
	next.expect(t, "error 26000; ready I", query("execute p"))
	next.expect(t, "error 26000; ready I", bind("named"), execute, syncMsg)
	next.expect(t, "row 0; SELECT 1; ready I", query("select count(*) from pg_locks where locktype = 'advisory'"))
	next.expect(t, "SELECT 0; ready I", query("select pg_listening_channels()"))
}

// testSessionModeRollsBackWhatIsOpen leaves a session with a transaction open.
func testSessionModeRollsBackWhatIsOpen(t *testing.T, h *house) {
	h.sql(t, "drop table if exists left_behind", "create table left_behind (what text)", "grant all on left_behind to acme")
	for name, leave := range map[string]func(*raw){
		"Terminate": func(r *raw) { r.send(terminate) },
		"reset":     (*raw).reset,
	} {
		t.Run(name, func(t *testing.T) {
			d := h.open(t, poolMode(tenants.Session), poolSize(1))
			r := d.raw(t)
			r.expect(t, "BEGIN; INSERT 0 1; ready T", query("begin; insert into left_behind values ('x')"))
			leave(r)
			d.raw(t).expect(t, "row 0; SELECT 1; ready I", query("select count(*) from left_behind"))
		})
	}
}
