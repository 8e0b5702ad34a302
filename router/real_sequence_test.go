package router_test

import (
	"testing"
	"time"

	"howdah/router"
	"howdah/tenants"
)

// testSequencePinTimeout has a client that keeps the only server for values of a
// sequence fall idle.
func testSequencePinTimeout(t *testing.T, h *house) {
	h.sql(t, "create sequence if not exists numbers", "grant all on sequence numbers to acme")
	const short, long = 500 * time.Millisecond, time.Hour
	limit := func(pin, idle time.Duration) func(*setup) {
		return limits(func(l *tenants.Limits) { l.SequencePinTimeout, l.ClientIdleTimeout = pin, idle })
	}
	const own = "select nextval('numbers') = currval('numbers')"
	const pinned = "sequence value"
	pins := func(d *door) int { return d.pool("acme").Pinned[pinned] }
	keeps := func(t *testing.T, d *door) {
		t.Helper()
		d.await(t, "a pin", func(p router.PoolStats) bool { return p.Pinned[pinned] == 1 })
	}

	t.Run("ends the pin", func(t *testing.T) {
		d := h.open(t, poolSize(1), limit(short, 0))
		r, other := d.raw(t), d.raw(t)
		r.expect(t, "row t; SELECT 1; ready I", query(own))
		keeps(t, d)
		r.expect(t, "SET; ready I", query("set work_mem = '7MB'")) // it travels along when the server goes
		for range 3 {
			r.expect(t, "row |t; SELECT 1; ready I", query("select pg_sleep(0.4), lastval() > 0"))
			keeps(t, d)
		}
		other.expect(t, "error 55000; ready I", query("select currval('numbers')"))
		r.expect(t, "error 55000; ready I", query("select currval('numbers')"))
		r.expect(t, "row 7MB; SHOW; ready I", query("show work_mem"))
		other.expect(t, "row 4MB; SHOW; ready I", query("show work_mem"))
		r.expect(t, "row t; SELECT 1; ready I", query(own))
		keeps(t, d)
		if !poll(func() bool { return pins(d) == 0 }) {
			t.Fatal("the pin does not end")
		}
		r.expect(t, "row t; SELECT 1; ready I", query("select currval('numbers') > 0")) // nobody was there
	})
	t.Run("spares transactions and other pins", func(t *testing.T) {
		d := h.open(t, poolSize(1), limit(short, 0))
		r := d.raw(t)
		r.expect(t, "row t; SELECT 1; ready I", query(own))
		r.expect(t, "row f; SELECT 1; ready I", query("select pg_advisory_lock(1) is null"))
		mine := r.say(t, query("select pg_backend_pid(), lastval()"))[0]
		time.Sleep(2 * short)
		keeps(t, d)
		r.expect(t, "row t; SELECT 1; ready I", query("select pg_advisory_unlock(1)"))
		r.expect(t, "BEGIN; ready T", query("begin"))
		time.Sleep(2 * short)
		r.expect(t, mine+"; SELECT 1; ready T", query("select pg_backend_pid(), lastval()"))
		r.expect(t, "COMMIT; ready I", query("commit"))
	})
	t.Run("0 is never", func(t *testing.T) {
		d := h.open(t, poolSize(1), limit(0, 0))
		r := d.raw(t)
		r.expect(t, "row t; SELECT 1; ready I", query(own))
		time.Sleep(2 * short)
		keeps(t, d)
	})
	t.Run("counts for client_idle_timeout", func(t *testing.T) {
		d := h.open(t, poolSize(1), limit(short, 2*short))
		r := d.raw(t)
		r.expect(t, "row t; SELECT 1; ready I", query(own))
		begin := time.Now()
		d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		r.wantEnd(t, "57P05", "client_idle_timeout")
		if took := time.Since(begin); took > 5*short {
			t.Errorf("it took %v", took)
		}
	})
	t.Run("comes after client_idle_timeout", func(t *testing.T) {
		d := h.open(t, poolSize(1), limit(long, short))
		r := d.raw(t)
		r.expect(t, "row t; SELECT 1; ready I", query(own))
		r.wantEnd(t, "57P05", "client_idle_timeout")
		d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	})
}

// testLastvalByExecute has a client ask, by SQL's EXECUTE, for what another's
// nextval left at the only server.
func testLastvalByExecute(t *testing.T, h *house) {
	h.sql(t, "create sequence if not exists numbers", "grant all on sequence numbers to acme")
	d := h.open(t, poolSize(1))
	other := d.raw(t)
	moves := func() { other.say(t, query("select nextval('numbers')")) }
	moves()
	r := d.raw(t)
	r.expect(t, "parsed; ready I; error 55000; ready I", parse("s1", "select lastval()"), syncMsg, query("execute s1"))
	moves()
	r.expect(t, "parsed; bound; error 55000; ready I", parse("", "execute s1"), bind(""), execute, syncMsg)
	moves()
	r.expect(t, "PREPARE; ready I; error 55000; ready I", query("prepare q1 as select lastval()"), query("execute q1"))
	r.Close()
	moves()
	d.raw(t).expect(t, "PREPARE; error 55000; ready I", query("prepare q1 as select lastval(); execute q1"))
}
