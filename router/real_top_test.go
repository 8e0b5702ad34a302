package router_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router"
	"howdah/tenants"
)

// TestRealTenantNumbers tests what is told of each tenant: its slow statements,
// its times, its clients and servers.
func TestRealTenantNumbers(t *testing.T) {
	h := startHouse(t)
	t.Run("Top", func(t *testing.T) { testTop(t, h) })
	t.Run("Times", func(t *testing.T) { testTimes(t, h) })
	t.Run("Tenants", func(t *testing.T) { testTenants(t, h) })
}

// statement returns what is kept of acme's statements of a shape.
func (d *door) statement(shape string) (found router.StatementStats) {
	for _, s := range d.Top("acme") {
		if s.Shape == shape {
			return s
		}
	}
	return found
}

func testTop(t *testing.T, h *house) {
	d := h.open(t, func(s *setup) { s.config.TopStatements, s.config.TopStatementTime = 3, 100*time.Millisecond })
	r := d.raw(t)
	const shape = "select pg_sleep(?), g from generate_series(?) g"
	for _, messages := range [][]pgproto3.FrontendMessage{
		{query("select pg_sleep(0.06), g from generate_series(1, 3) g")},
		{query("select 1")},
		{query("begin")},
		{query("SELECT pg_sleep(0.2), g  FROM generate_series(1, 1) g /* again */")},
		{query("commit")},
		{parse("", "select pg_sleep($1::float8), g from generate_series(1, $2) g"), bind("", "0.15", "2"), execute, syncMsg},
		{parse("named", "select pg_sleep($1), g from generate_series($2::int, $3) g"), syncMsg},
		{bind("named", "0.25", "1", "1"), execute, syncMsg},
		{bind("named", "0.001", "1", "1"), execute, syncMsg},
	} {
		r.say(t, messages...)
	}
	got := d.statement(shape)
	if got.Tenant != "acme" || got.Calls != 2 || got.Rows != 4 || got.Max < 200*time.Millisecond || got.Total < 370*time.Millisecond || got.Total > 5*time.Second {
		t.Errorf("got %+v", got)
	}
	if got := d.statement("select pg_sleep(?::float8), g from generate_series(?) g"); got.Calls != 1 || got.Rows != 2 {
		t.Errorf("an unnamed statement is kept as %+v", got)
	}
	if got := d.statement("select pg_sleep(?), g from generate_series(?::int, ?) g"); got.Calls != 1 || got.Rows != 1 {
		t.Errorf("a named statement is kept as %+v", got)
	}
	if n := len(d.Top("globex")); n != 0 {
		t.Errorf("%d slow statements of another tenant", n)
	}
	// The threshold and the room change while the router runs.
	d.reload(t, func(s *setup) { s.config.TopStatementTime = 0 })
	r.say(t, query("select 'x'"))
	if got := d.statement("select ?"); got.Calls == 0 {
		t.Errorf("without a threshold a fast statement is not kept: %+v", d.Top(""))
	}
	for _, column := range strings.Split("abcdefghij", "") {
		r.say(t, query("select 1 as "+column))
	}
	if n := len(d.Top("")); n != 3 {
		t.Errorf("%d shapes are kept, want 3", n)
	}
	d.reload(t, func(s *setup) { s.config.TopStatements = 0 })
	before := d.Top("")
	r.say(t, query("select pg_sleep(0.15)"))
	if now := d.Top(""); len(now) != len(before) || d.statement("select pg_sleep(?)").Calls != 0 {
		t.Errorf("what is switched off counts: %+v", now)
	}
}

func testTimes(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	r, w := d.raw(t), d.raw(t)
	r.say(t, query("begin"))
	r.say(t, query("select pg_sleep(0.3)"))
	if err := w.send(query("select 1")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "a client waiting", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	r.say(t, query("select pg_sleep(0.2); commit"))
	if _, err := w.answers(); err != nil {
		t.Fatal(err)
	}
	used, gone := d.TenantStats()
	n := used["acme"]
	if n == nil {
		t.Fatal("acme has no numbers")
	}
	above := func(h *router.Histogram, d time.Duration) (n uint64) {
		for i, count := range h.Counts {
			if i > 0 && router.HistogramBound(i-1) >= d {
				n += count
			}
		}
		return n
	}
	if q, x, wait := &n.Times.Query, &n.Times.Transaction, &n.Times.Wait; above(q, 130*time.Millisecond) != 2 || above(x, 260*time.Millisecond) != 1 ||
		above(wait, 130*time.Millisecond) != 1 || q.Sum < 500_000 || x.Sum < 500_000 || q.Sum > 5_000_000 {
		t.Errorf("queries %v, transactions %v, waits %v", q, x, wait)
	}
	if n.Times.Query.Count() != n.Counters.Queries || n.Times.Transaction.Count() != n.Counters.Transactions {
		t.Errorf("%d of %d queries and %d of %d transactions are in the histograms", n.Times.Query.Count(), n.Counters.Queries,
			n.Times.Transaction.Count(), n.Counters.Transactions)
	}
	if gone.Counters.Queries != 0 {
		t.Errorf("%d queries of tenants not in use", gone.Counters.Queries)
	}
	// What a tenant did that is in use no more is not lost.
	d.reload(t, func(s *setup) { s.tenants[0].State = tenants.Suspended })
	if !poll(func() bool { used, gone = d.TenantStats(); return used["acme"] == nil }) {
		t.Fatal("a suspended tenant stays in use")
	}
	if gone.Counters.Queries != n.Counters.Queries || gone.Times.Query != n.Times.Query {
		t.Errorf("gone are %d queries, want %d", gone.Counters.Queries, n.Counters.Queries)
	}
}

func testTenants(t *testing.T, h *house) {
	d := h.open(t, func(s *setup) {
		for _, name := range []string{"idle", tenants.Fallback} {
			more := s.tenants[0]
			more.Name, more.User = name, ""
			s.tenants = append(s.tenants, more)
		}
		s.tenants[1].Limits.MaxClientConn = 77
	})
	d.raw(t)
	other, err := d.tryRaw("globex")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.say(t, query("begin; select 1"))
	shared, err := tryLogin(d.address, "acme", "postgres", secret)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Conn.Close()
	all := func(string) bool { return true }
	rows := map[string]router.TenantRow{}
	var order []string
	for row := range d.Tenants(all) {
		rows[row.Name] = row
		order = append(order, row.Name)
	}
	if got := strings.Join(order, " "); got != "acme globex idle postgres" {
		t.Errorf("the tenants are %q", got)
	}
	if r := rows["acme"]; r.Clients != 1 || r.Waiting != 0 || r.Paused {
		t.Errorf("acme: %+v", r)
	}
	if r := rows["globex"]; r.Clients != 1 || r.Servers != 1 || r.Limits.MaxClientConn != 77 {
		t.Errorf("globex: %+v", r)
	}
	if r := rows["idle"]; r.Clients != 0 || r.Servers != 0 {
		t.Errorf("idle: %+v", r)
	}
	if r := rows["postgres"]; r.Clients != 1 || r.User != "acme" {
		t.Errorf("postgres: %+v", r)
	}
	for row := range d.Tenants(func(name string) bool { return name == "idle" }) {
		if row.Name != "idle" {
			t.Errorf("%s was not asked for", row.Name)
		}
	}
	for range d.Tenants(all) {
		break // must not panic
	}
}
