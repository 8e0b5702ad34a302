package router_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router"
	"howdah/tenants"
	"howdah/wire"
)

// TestRealTenantLimits has each limit refuse or slow down acme, change while
// the router runs, and leave globex alone.
func TestRealTenantLimits(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"max_user_client_connections", testUserClients},
		{"max_user_connections", testUserServers},
		{"max_waiting_clients", testWaitingClients},
		{"max_logins_per_second", testLoginRate},
		{"max_queries_per_second", testQueryRate},
		{"max_queries_per_second in transactions", testQueryRateInTransactions},
		{"max_queries_per_second and query_wait_timeout", testQueryRateOverdue},
		{"max_queries_per_second and clients that go", testQueryRateLeave},
		{"max_bytes_per_second", testByteRate},
		{"transaction_timeout", testTransactionTimeout},
		{"limits of a user", testUserTimeouts},
		{"rates of a user", testUserRates},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// limitAcme changes acme's limits only.
func limitAcme(change func(*tenants.Limits)) func(*setup) {
	return func(s *setup) { change(&s.tenants[0].Limits) }
}

// change changes acme's limits while the router runs.
func (d *door) change(t *testing.T, change func(*tenants.Limits)) {
	t.Helper()
	if err := d.SetLimits("acme", change); err != nil {
		t.Fatal(err)
	}
}

// wantLimit wants a login to fail with all of these words.
func wantLimit(t *testing.T, err error, code string, words ...string) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	for _, word := range words {
		if !strings.Contains(e.Message+"; "+e.Hint, word) {
			t.Errorf("%q (hint %q) does not say %q", e.Message, e.Hint, word)
		}
	}
}

// wantWords is wantLimit for a session.
func (r *raw) wantWords(t *testing.T, code string, words ...string) {
	t.Helper()
	last, err := r.ended()
	if err != nil || last == nil || last.Severity != "FATAL" || last.Code != code {
		t.Fatalf("the session ended with %+v, %v; want FATAL %s", last, err, code)
	}
	for _, word := range words {
		if !strings.Contains(last.Message+"; "+last.Hint, word) {
			t.Errorf("%q (hint %q) does not say %q", last.Message, last.Hint, word)
		}
	}
}

// globexAnswers wants a query of the other tenant's to be answered at once.
func (d *door) globexAnswers(t *testing.T) {
	t.Helper()
	r, err := d.tryRaw("globex")
	if err != nil {
		t.Fatalf("another tenant: %v", err)
	}
	defer r.Close()
	r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// killWaiting closes the clients that wait.
func (d *door) killWaiting(t *testing.T) {
	t.Helper()
	for _, c := range d.Clients() {
		if c.State == "waiting" {
			if err := d.KillClient(c.ID); err != nil {
				t.Error(err)
			}
		}
	}
}

func testUserClients(t *testing.T, h *house) {
	two := 2
	d := h.open(t, func(s *setup) {
		for i := range s.tenants {
			s.tenants[i].Limits.MaxUserClientConn = 1
		}
		s.users = append([]tenants.User{}, s.users...)
		s.users[0].Limits.MaxUserClientConn = &two
	})
	first := d.raw(t)
	d.raw(t)
	_, err := d.tryRaw("acme")
	wantLimit(t, err, "53300", `max_user_client_connections: user "acme" has 2 clients already, the limit of user "acme"`, "raise max_user_client_connections for user")
	other, err := d.tryRaw("globex")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = d.tryRaw("globex")
	wantLimit(t, err, "53300", `user "globex" has 1 clients already, the limit of tenant "globex"`)

	first.Close()
	if !poll(func() bool { first, err = d.tryRaw("acme"); return err == nil }) {
		t.Fatalf("a place that became free is not given out: %v", err)
	}
	defer first.Close()
	three := 3
	d.reload(t, func(s *setup) { s.users[0].Limits.MaxUserClientConn = &three })
	d.raw(t)
	_, err = d.tryRaw("acme")
	wantLimit(t, err, "53300", "has 3 clients already")
}

// A user of two tenants has one server in the two: it goes to and fro.
func testUserServers(t *testing.T, h *house) {
	h.sql(t, "grant connect on database globex to acme")
	defer h.sql(t, "revoke connect on database globex from acme")
	d := h.open(t, func(s *setup) {
		for i := range s.tenants {
			s.tenants[i].Limits.MaxUserConnections, s.tenants[i].Limits.QueryWaitTimeout = 1, patience
		}
	})
	one := d.raw(t)
	c := d.dialConfig("acme")
	c.Parameters[1].Value = "globex"
	other := newRaw(dial(t, c))
	defer other.Close()
	one.expect(t, "BEGIN; ready T; row acme; SELECT 1; ready T", query("begin"), query("select current_database()"))
	if err := other.send(query("select current_database()")); err != nil {
		t.Fatal(err)
	}
	if !poll(func() bool { return d.pool("globex").ClientsWaiting == 1 }) {
		t.Fatal("nobody waits for the user's server")
	}
	one.expect(t, "COMMIT; ready I", query("commit"))
	if got, err := other.answers(); err != nil || strings.Join(got, "; ") != "row globex; SELECT 1; ready I" {
		t.Fatalf("the other tenant's client got %q, %v", got, err)
	}
	one.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	d.change(t, func(l *tenants.Limits) { l.MaxUserConnections = 2 })
	one.expect(t, "BEGIN; ready T; row 1; SELECT 1; ready T", query("begin"), query("select 1"))
	d.reload(t, func(s *setup) {
		for i := range s.tenants {
			s.tenants[i].Limits.MaxUserConnections = 2
		}
	})
	other.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

func testWaitingClients(t *testing.T, h *house) {
	d := h.open(t, poolSize(1), limitAcme(func(l *tenants.Limits) { l.MaxWaitingClients = 1 }))
	holder, first, second, third := d.raw(t), d.raw(t), d.raw(t), d.raw(t)
	holder.say(t, query("begin; select 1"))
	wait := func(r *raw, n int) {
		t.Helper()
		if err := r.send(query("select 7")); err != nil {
			t.Fatal(err)
		}
		d.await(t, fmt.Sprintf("%d waiting", n), func(p router.PoolStats) bool { return p.ClientsWaiting == n })
	}
	wait(first, 1)
	if err := second.send(query("select 7")); err != nil {
		t.Fatal(err)
	}
	second.wantWords(t, "53300", `max_waiting_clients: 1 clients of tenant "acme" wait already, and no more than 1 may`, `raise max_waiting_clients or pool_size for tenant "acme"`)
	d.globexAnswers(t)
	d.change(t, func(l *tenants.Limits) { l.MaxWaitingClients = 2 })
	wait(third, 2)
	d.raw(t) // the route knows its settings: a login does not wait
	holder.expect(t, "COMMIT; ready I", query("commit"))
	for _, r := range []*raw{first, third} {
		if got, err := r.answers(); err != nil || strings.Join(got, "; ") != "row 7; SELECT 1; ready I" {
			t.Errorf("a client that waited hears %q, %v", got, err)
		}
	}
	// Nobody is counted twice or left in the count.
	holder.say(t, query("begin; select 1"))
	wait(first, 1)
	d.killWaiting(t)
	d.await(t, "nobody waiting", func(p router.PoolStats) bool { return p.ClientsWaiting == 0 })
	d.change(t, func(l *tenants.Limits) { l.MaxWaitingClients = 1 })
	for range 2 {
		wait(third, 1)
		if err := d.cancel(third.key); err != nil {
			t.Fatal(err)
		}
		third.expect(t, "error 57014; ready I")
	}
	wait(third, 1)
}

func testLoginRate(t *testing.T, h *house) {
	d := h.open(t, limitAcme(func(l *tenants.Limits) { l.MaxLoginsPerSecond = 2 }))
	var refusals int
	began := time.Now()
	for range 12 {
		r, err := d.tryRaw("acme")
		if err == nil {
			r.Close()
			continue
		}
		refusals++
		wantLimit(t, err, "53300", `max_logins_per_second: there are more than 2 logins a second, the limit of tenant "acme"`, `raise max_logins_per_second for tenant "acme"`)
	}
	if most := 2 + 2*int(time.Since(began)/time.Second+1); 12-refusals > most || refusals == 0 {
		t.Errorf("%d of 12 logins in %v went through, want %d at most", 12-refusals, time.Since(began), most)
	}
	for range 12 {
		d.globexAnswers(t)
	}
	d.change(t, func(l *tenants.Limits) { l.MaxLoginsPerSecond = 0 })
	for range 12 {
		d.raw(t)
	}
}

// ask asks n times and returns how long that took.
func (r *raw) askTimes(t *testing.T, n int) time.Duration {
	t.Helper()
	began := time.Now()
	for range n {
		r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	}
	return time.Since(began)
}

func testQueryRate(t *testing.T, h *house) {
	const rate = 20
	d := h.open(t, limitAcme(func(l *tenants.Limits) { l.MaxQueriesPerSecond = rate }))
	r, other := d.raw(t), newRaw(dial(t, d.dialConfig("globex")))
	defer other.Close()
	other.askTimes(t, 10)
	if took := r.askTimes(t, 2*rate); took < 900*time.Millisecond {
		t.Errorf("two seconds' worth took %v", took)
	}
	// On a busy machine much of the second passes while the queries run.
	if waited := time.Duration(d.pool("acme").Counters.WaitTime) * time.Microsecond; waited < 300*time.Millisecond {
		t.Errorf("%v of waiting are counted", waited)
	}
	// A pipeline pays for all it held.
	began := time.Now()
	var pipeline []pgproto3.FrontendMessage
	for range rate {
		pipeline = append(pipeline, query("select 1"))
	}
	r.say(t, pipeline...)
	r.askTimes(t, 1)
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("a query behind a pipeline of a second's worth came after %v", took)
	}
	// Others of the tenant wait too, and are seen to.
	r.say(t, pipeline...)
	if err := d.raw(t).send(query("select 1")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "a client waiting", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	if got := other.askTimes(t, 10*rate); got > 5*time.Second {
		t.Errorf("another tenant's queries took %v", got)
	}
	if n := d.pool("globex").Counters.WaitTime; n > 2e6 {
		t.Errorf("another tenant waited for %d microseconds", n)
	}
	d.change(t, func(l *tenants.Limits) { l.MaxQueriesPerSecond = 1 })
	slow := d.raw(t)
	r.say(t, query("select 1"))
	if err := slow.send(query("select 1")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "a client waiting", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	d.change(t, func(l *tenants.Limits) { l.MaxQueriesPerSecond = 0 })
	if got, err := slow.answers(); err != nil || strings.Join(got, "; ") != "row 1; SELECT 1; ready I" {
		t.Errorf("when there is no limit any more a client hears %q, %v", got, err)
	}
	if took := r.askTimes(t, 100); took > 5*time.Second {
		t.Errorf("without a limit 100 queries took %v", took)
	}
}

// testQueryRateInTransactions has a transaction overdraw for a second's worth
// before it waits with its server.
func testQueryRateInTransactions(t *testing.T, h *house) {
	d := h.open(t, limitAcme(func(l *tenants.Limits) { l.MaxQueriesPerSecond = 10 }))
	r := d.raw(t)
	r.say(t, query("begin"))
	began := time.Now()
	ask := func(n int) {
		for range n {
			r.expect(t, "row 1; SELECT 1; ready T", query("select 1"))
		}
	}
	ask(35)
	if took := time.Since(began); took < time.Second || took > 5*time.Second {
		t.Errorf("35 queries in a transaction took %v, want 15 to be late", took)
	}
	r.expect(t, "COMMIT; ready I", query("commit"))
	d.globexAnswers(t)
}

func testQueryRateOverdue(t *testing.T, h *house) {
	d := h.open(t, limitAcme(func(l *tenants.Limits) { l.MaxQueriesPerSecond, l.QueryWaitTimeout = 1, 300*time.Millisecond }))
	r := d.raw(t)
	r.say(t, query("select 1"), query("select 1"), query("select 1"))
	if err := r.send(query("select 1")); err != nil {
		t.Fatal(err)
	}
	r.wantWords(t, "57014", `query_wait_timeout: max_queries_per_second has had a query wait for 300ms, the limit of tenant "acme"`, "raise max_queries_per_second or query_wait_timeout for tenant")
	d.globexAnswers(t)
}

// testQueryRateLeave has clients go while they wait in line.
func testQueryRateLeave(t *testing.T, h *house) {
	d := h.open(t, limitAcme(func(l *tenants.Limits) { l.MaxQueriesPerSecond, l.MaxWaitingClients = 2, 3 }))
	r := d.raw(t)
	r.say(t, query("select 1"), query("select 1"), query("select 1"), query("select 1"))
	for range 3 {
		w := d.raw(t)
		if err := w.send(query("select 1")); err != nil {
			t.Fatal(err)
		}
	}
	d.await(t, "three waiting", func(p router.PoolStats) bool { return p.ClientsWaiting == 3 })
	d.killWaiting(t)
	d.await(t, "nobody waiting", func(p router.PoolStats) bool { return p.ClientsWaiting == 0 })
	r.askTimes(t, 3)
}

func testByteRate(t *testing.T, h *house) {
	const rate = 1 << 20
	d := h.open(t, limitAcme(func(l *tenants.Limits) { l.MaxBytesPerSecond = rate }))
	read := func(c *pgx.Conn) time.Duration {
		t.Helper()
		began := time.Now()
		if n := get[int](t, c, "select length(string_agg(repeat('x', 1000), '')) from generate_series(1, 10)"); n != 10000 {
			t.Errorf("got %d", n)
		}
		rows, err := c.Query(context.Background(), "select repeat('x', 1000) from generate_series(1, 3000)")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rows.Next() {
			n++
		}
		if err := rows.Err(); err != nil || n != 3000 {
			t.Errorf("%d rows, %v", n, err)
		}
		return time.Since(began)
	}
	mine, other := d.connect(t), d.connect(t, func(c *pgx.ConnConfig) { c.User, c.Database = "globex", "globex" })
	turns := func() (sum uint64) {
		for _, l := range d.Stats().LoopsStats {
			sum += l.Turns
		}
		return sum
	}
	before := turns()
	if took := read(mine); took < 1700*time.Millisecond || took > 4*time.Second {
		t.Errorf("three seconds' worth with one second's burst took %v", took)
	}
	if n := turns() - before; n > 10_000 {
		t.Errorf("the loops turned %d times meanwhile: they are busy waiting", n)
	}
	if took := read(other); took > 1500*time.Millisecond {
		t.Errorf("another tenant's took %v", took)
	}
	// Two at once share, and while they wait the limit goes.
	second := d.connect(t)
	done := make(chan time.Duration, 2)
	for _, c := range []*pgx.Conn{mine, second} {
		go func() { done <- read(c) }()
	}
	d.await(t, "both active", func(p router.PoolStats) bool { return p.ClientsActive == 2 })
	d.change(t, func(l *tenants.Limits) { l.MaxBytesPerSecond = 0 })
	for range 2 {
		if took := <-done; took > 4*time.Second {
			t.Errorf("without a limit it took %v", took)
		}
	}
	// A client that goes while its server is not read leaves nothing behind.
	d.change(t, func(l *tenants.Limits) { l.MaxBytesPerSecond = 1000 })
	r := d.raw(t)
	if err := r.send(query("select repeat('x', 1000) from generate_series(1, 3000)")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "one active", func(p router.PoolStats) bool { return p.ClientsActive == 1 })
	r.reset()
	d.await(t, "none active", func(p router.PoolStats) bool { return p.ClientsActive == 0 && p.ServersActive == 0 })
}

func testTransactionTimeout(t *testing.T, h *house) {
	const short = 500 * time.Millisecond
	d := h.open(t, poolSize(1), limitAcme(func(l *tenants.Limits) { l.TransactionTimeout = short }))
	t.Run("of statements and pauses", func(t *testing.T) {
		r := d.raw(t)
		began := time.Now()
		r.say(t, query("begin; select 1"))
		var got []string
		for err := error(nil); err == nil; {
			if got, err = r.talk(query("select pg_sleep(0.1)")); time.Since(began) > patience {
				t.Fatal("the transaction goes on")
			}
		}
		if !strings.Contains(strings.Join(got, "; "), "error 25P04") {
			t.Fatalf("got %q, want 25P04", got)
		}
	})
	t.Run("of one statement", func(t *testing.T) {
		r := d.raw(t)
		if err := r.send(query("select pg_sleep(60)")); err != nil {
			t.Fatal(err)
		}
		r.wantWords(t, "25P04", `transaction_timeout: in one transaction for 500ms, the limit of tenant "acme"`, `raise transaction_timeout for tenant "acme"`)
		d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	})
	t.Run("of a BEGIN that no server has seen", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "BEGIN; ready T", query("begin"))
		r.wantWords(t, "25P04", "transaction_timeout")
	})
	t.Run("counts anew", func(t *testing.T) {
		r := d.raw(t)
		for range 8 {
			r.say(t, query("select pg_sleep(0.1)"))
		}
		d.globexAnswers(t)
	})
	t.Run("changes", func(t *testing.T) {
		d.change(t, func(l *tenants.Limits) { l.TransactionTimeout = 0 })
		r := d.raw(t)
		r.expect(t, "row ; SELECT 1; ready I", query("select pg_sleep(1)"))
	})
}

// testUserTimeouts gives a user timeouts of its own, longer and shorter than
// its tenant's.
func testUserTimeouts(t *testing.T, h *house) {
	off, short := time.Duration(0), 300*time.Millisecond
	d := h.open(t, poolSize(1), limits(func(l *tenants.Limits) { l.QueryTimeout = short }), func(s *setup) {
		s.users = append([]tenants.User{}, s.users...)
		s.users[0].Limits = tenants.UserLimits{QueryTimeout: &off, IdleTransactionTimeout: &short, QueryWaitTimeout: &short}
	})
	r := d.raw(t)
	r.expect(t, "row ; SELECT 1; ready I", query("select pg_sleep(0.8)"))
	r.say(t, query("begin; select 1"))
	w := d.raw(t)
	r.wantWords(t, "25P03", `idle_transaction_timeout: idle in a transaction for 300ms, the limit of user "acme"`, `raise idle_transaction_timeout for user "acme"`)
	other := newRaw(dial(t, d.dialConfig("globex")))
	defer other.Close()
	if err := other.send(query("select pg_sleep(60)")); err != nil {
		t.Fatal(err)
	}
	other.wantWords(t, "57014", `query_timeout: no answer within 300ms, the limit of tenant "globex"`)

	d.reload(t, func(s *setup) { s.users[0].Limits.IdleTransactionTimeout = nil })
	r = d.raw(t)
	r.say(t, query("begin; select 1"))
	if err := w.send(query("select 1")); err != nil {
		t.Fatal(err)
	}
	w.wantWords(t, "57014", "query_wait_timeout", `the limit of user "acme"`)
	r.expect(t, "COMMIT; ready I", query("commit"))
}

// acme's owner has rates of its own; another user of the tenant's has the tenant's.
func testUserRates(t *testing.T, h *house) {
	const rate = 20
	h.sql(t, "grant connect on database acme to globex")
	defer h.sql(t, "revoke connect on database acme from globex")
	queries, logins, waiting, bytes := rate, 3, 1, int64(1<<20)
	own := func(s *setup) {
		s.tenants[0].Limits.MaxQueriesPerSecond = 1000
		s.users = append([]tenants.User{}, s.users...)
		s.users[0].Limits.MaxQueriesPerSecond = &queries
	}
	d := h.open(t, poolSize(1), own)
	r := d.raw(t)
	c := d.dialConfig("globex")
	c.Parameters[1].Value = "acme"
	other := newRaw(dial(t, c))
	defer other.Close()
	if took := r.askTimes(t, 2*rate); took < 900*time.Millisecond {
		t.Errorf("two seconds' worth took %v", took)
	}
	if took := other.askTimes(t, 10*rate); took > 5*time.Second { // at the other rate it were nine
		t.Errorf("the tenant's other user took %v", took)
	}

	d.reload(t, func(s *setup) {
		own(s)
		s.users[0].Limits.MaxQueriesPerSecond, s.users[0].Limits.MaxLoginsPerSecond = nil, &logins
		s.users[0].Limits.MaxWaitingClients, s.users[0].Limits.MaxBytesPerSecond = &waiting, &bytes
	})
	if took := r.askTimes(t, 10*rate); took > 5*time.Second {
		t.Errorf("without a rate of its own: %v", took)
	}
	began := time.Now()
	r.expect(t, "row 3145728; SELECT 1; ready I", query("select length(x) from (select repeat('x', 3 << 20) x) x"))
	for range 3 {
		r.say(t, query("select repeat('x', 1 << 20)"))
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("three seconds' worth of bytes took %v", took)
	}
	var err error
	for range 10 {
		var more *raw
		if more, err = d.tryRaw("acme"); err != nil {
			break
		}
		defer more.Close()
	}
	wantLimit(t, err, "53300", `max_logins_per_second: there are more than 3 logins a second, the limit of user "acme"`, `raise max_logins_per_second for user "acme"`)

	var more *raw
	if !poll(func() bool { more, err = d.tryRaw("acme"); return err == nil }) {
		t.Fatal(err)
	}
	defer more.Close()
	other.say(t, query("begin; select 1"))
	r.say(t, query("begin; select 1"))
	if err := more.send(query("select 7")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "one waiting", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	var fourth *raw
	if !poll(func() bool { fourth, err = d.tryRaw("acme"); return err == nil }) {
		t.Fatal(err)
	}
	defer fourth.Close()
	if err := fourth.send(query("select 7")); err != nil {
		t.Fatal(err)
	}
	fourth.wantWords(t, "53300", `max_waiting_clients: 1 clients of user "acme" wait already, and no more than 1 may`, `raise max_waiting_clients or pool_size for user "acme"`)
}
