package router_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/router"
	"howdah/tenants"
)

// TestRealCarry renames a tenant under its clients, in front of one PostgreSQL.
func TestRealCarry(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"RenameUnderLoad", testRenameUnderLoad},
		{"RenameKeepsSessions", testRenameKeepsSessions},
		{"RenameCarriesWhoIsPaused", testRenameCarriesWhoIsPaused},
		{"RenameCarriesWhoIsThrottled", testRenameCarriesWhoIsThrottled},
		{"NamesChangeHands", testNamesChangeHands},
		{"NameIsAnothersBehindOurBack", testNameIsAnothersBehindOurBack},
		{"ClosedDatabaseIsWaitedFor", testClosedDatabaseIsWaitedFor},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// ofCatalog has the tenants be of the catalog: they have an identity beside their names.
func ofCatalog(s *setup) {
	for i := range s.tenants {
		s.tenants[i].ID = fmt.Sprintf("tenant %d", i)
	}
	s.users = append([]tenants.User(nil), s.users...)
	for i := range s.users {
		s.users[i].ID = fmt.Sprintf("user %d", i)
	}
}

// postgres runs statements as superuser in the database postgres.
func (h *house) postgres(t *testing.T, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.Exec(ctx, "postgres", statements...); err != nil {
		t.Fatal(err)
	}
}

// renameTenant renames the first tenant as the operation does.
func (d *door) renameTenant(t *testing.T, to string) {
	t.Helper()
	from := d.setup.tenants[0].Name
	d.hold(t, from, "rename")
	d.hold(t, to, "rename")
	d.house.postgres(t,
		"alter database "+from+" allow_connections false",
		"alter database "+from+" rename to "+to, "alter role "+from+" rename to "+to,
		"alter database "+to+" allow_connections true")
	d.reload(t, func(s *setup) {
		s.tenants = append([]tenants.Tenant(nil), s.tenants...)
		s.tenants[0].Name, s.tenants[0].Database, s.tenants[0].User = to, to, to
		s.users = append([]tenants.User(nil), s.users...)
		s.users[0].Name = to
	})
	d.Release(from, "rename")
	d.Release(to, "rename")
}

// load is clients that stay connected and never stop.
type load struct {
	stop    chan struct{}
	clients sync.WaitGroup
	mu      sync.Mutex
	errs    []error
	queries int
	longest time.Duration // that one of them took
}

// stay has n clients work until leave: statements, prepared ones, transactions.
func (d *door) stay(t *testing.T, n int) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	for i := range n {
		c := d.connect(t)
		l.clients.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				begun := time.Now()
				err := work(c, i)
				took := time.Since(begun)
				l.mu.Lock()
				l.queries++
				l.longest = max(l.longest, took)
				if err != nil {
					l.errs = append(l.errs, err)
				}
				l.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	return l
}

// work is one thing that client i does.
func work(c *pgx.Conn, i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var n int
	switch i % 3 {
	case 0:
		return c.QueryRow(ctx, "select $1::int", i).Scan(&n) // prepared, and kept
	case 1:
		_, err := c.Exec(ctx, "begin; select 1; select 2; commit", pgx.QueryExecModeSimpleProtocol)
		return err
	}
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return tx.QueryRow(ctx, "select $1::int + 1", i).Scan(&n) })
}

func (l *load) done() (queries int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queries
}

// leave ends the load and returns its errors and the longest wait.
func (l *load) leave() ([]error, time.Duration) {
	close(l.stop)
	l.clients.Wait()
	return l.errs, l.longest
}

func testRenameUnderLoad(t *testing.T, h *house) {
	d := h.open(t, ofCatalog)
	l := d.stay(t, 24)
	goesOn := func() {
		t.Helper()
		before := l.done()
		if !poll(func() bool { return l.done() > before+300 }) {
			t.Fatalf("clients do not go on: %d things were done", l.done())
		}
	}
	for _, to := range []string{"ajax", "acme", "ajax", "acme"} {
		goesOn()
		d.renameTenant(t, to)
		goesOn()
		other := "acme"
		if to == "acme" {
			other = "ajax"
		}
		if pools := d.Stats().Pools; len(pools) != 1 || pools[0].Database != to || pools[0].User != to {
			t.Errorf("pools: %+v", pools)
		}
		_, err := tryLogin(d.address, to, other, secret)
		wantState(t, err, "3D000")
	}
	errs, longest := l.leave()
	if len(errs) > 0 {
		t.Errorf("%d errors, the first: %v", len(errs), errs[0])
	}
	t.Logf("the longest wait: %v", longest)
}

// testRenameKeepsSessions looks at what a session has.
func testRenameKeepsSessions(t *testing.T, h *house) {
	d := h.open(t, ofCatalog)
	r, listens, shared := d.raw(t), d.raw(t), d.connect(t, func(c *pgx.ConnConfig) { c.Database = "postgres" })
	r.say(t, query("set application_name = 'mine'; set timezone = 'Asia/Tokyo'"))
	r.say(t, parse("kept", "select current_database() || ' ' || session_user || ' ' || current_setting('application_name') || ' ' || current_setting('timezone')"), syncMsg)
	listens.expect(t, "LISTEN; ready I", query("listen news"))
	do(t, shared, "begin")
	do(t, shared, "select 1")
	d.renameTenant(t, "ajax")
	do(t, shared, "commit") // its server was of the old name
	if got := get[string](t, shared, "select session_user::text"); got != "ajax" {
		t.Errorf("in the shared database it is %s", got)
	}
	if got := r.say(t, bind("kept"), execute, syncMsg); len(got) < 2 || got[1] != "row ajax ajax mine Asia/Tokyo" {
		t.Errorf("got %q", got)
	}
	r.expect(t, "NOTIFY; ready I", query("notify news, 'behind'"))
	listens.hears(t, "news behind")
	late, err := tryLogin(d.address, "ajax", "ajax", secret)
	if err != nil {
		t.Fatalf("by the new name: %v", err)
	}
	late.Conn.Close()
	d.renameTenant(t, "acme")
	r.expect(t, "row acme; SELECT 1; ready I", query("select current_database()"))
}

// testRenameCarriesWhoIsPaused by an operator, and disabled.
func testRenameCarriesWhoIsPaused(t *testing.T, h *house) {
	d := h.open(t, ofCatalog)
	r := d.raw(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Pause(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	if err := r.send(query("select current_database()")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	d.renameTenant(t, "ajax")
	if p := d.pool("ajax"); p.ClientsWaiting != 1 || p.ServersActive > 0 {
		t.Errorf("the operator's PAUSE did not last: %+v", p)
	}
	if err := d.Resume("ajax"); err != nil {
		t.Fatal(err)
	}
	if got, err := r.answers(); err != nil || got[0] != "row ajax" {
		t.Fatalf("%q, %v", got, err)
	}
	d.renameTenant(t, "acme")
}

// testRenameCarriesWhoIsThrottled by the rate of queries that the tenant has.
func testRenameCarriesWhoIsThrottled(t *testing.T, h *house) {
	d := h.open(t, ofCatalog, limits(func(l *tenants.Limits) { l.MaxQueriesPerSecond = 1 }))
	r := d.raw(t)
	r.say(t, query("select 1"))
	if err := r.send(query("select current_database()")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "a client that waits for its turn", func(router.PoolStats) bool { return d.waiting("acme") == 1 })
	d.renameTenant(t, "ajax")
	if got, err := r.answers(); err != nil || got[0] != "row ajax" {
		t.Fatalf("%q, %v", got, err)
	}
	if n := d.waiting("ajax") + d.waiting("acme"); n != 0 {
		t.Errorf("%d clients count as waiting", n)
	}
	d.renameTenant(t, "acme")
}

// testNamesChangeHands between tenants of one role, while the registry is not read: each
// finds the other's name for its own. What each has goes along with it, not with the name.
func testNamesChangeHands(t *testing.T, h *house) {
	h.postgres(t, "create database one owner acme", "create database two owner acme")
	t.Cleanup(func() { h.postgres(t, "drop database one", "drop database two") })
	d := h.open(t, func(s *setup) {
		s.config.Loops = 1
		for _, name := range []string{"one", "two"} {
			x := s.tenants[0]
			x.ID, x.Name, x.Database = "tenant "+name, name, name
			s.tenants = append(s.tenants, x)
		}
	})
	names := []string{"one", "two"}
	clients, hear := []*raw{d.in(t, "one"), d.in(t, "two")}, []*raw{d.in(t, "one"), d.in(t, "two")}
	for i := range names {
		hear[i].expect(t, "LISTEN; ready I", query("listen news"))
	}
	d.Disable("one", true)
	for range 8 { // in whatever order they are come to
		d.hold(t, "one", "swap")
		d.hold(t, "two", "swap")
		for i, r := range clients {
			if err := r.send(query("notify news, 'of " + names[i] + "'; select current_database()")); err != nil {
				t.Fatal(err)
			}
		}
		h.postgres(t, "alter database one rename to three", "alter database two rename to one", "alter database three rename to two")
		was := names
		names = []string{was[1], was[0]}
		d.reload(t, func(s *setup) {
			s.tenants = append([]tenants.Tenant(nil), s.tenants...)
			for i, name := range names {
				s.tenants[2+i].Name, s.tenants[2+i].Database = name, name
			}
		})
		d.Release("one", "swap")
		d.Release("two", "swap")
		for i, r := range clients {
			if got, err := r.answers(); err != nil || got[len(got)-3] != "row "+names[i] {
				t.Fatalf("the client of %s, which was %s, got %q, %v", names[i], was[i], got, err)
			}
			hear[i].hears(t, "news of "+was[i])
		}
		_, err := d.tryIn(names[0])
		wantState(t, err, "08004")
	}
	if pools := d.Stats().Pools; len(pools) != 2 {
		t.Errorf("pools: %+v", pools)
	}
}

// testNameIsAnothersBehindOurBack has two databases of one role exchange their names, in
// which a node has clients that has not heard of it: it was cut off, and its servers ended.
func testNameIsAnothersBehindOurBack(t *testing.T, h *house) {
	h.postgres(t, "create database one owner acme", "create database two owner acme",
		"comment on database one is 'howdah:first'", "comment on database two is 'howdah:second'")
	t.Cleanup(func() { h.postgres(t, "drop database one", "drop database two") })
	d := h.open(t, func(s *setup) {
		s.config.ListenKeep = []string{"news"}
		for _, x := range []string{"first one", "second two"} {
			id, name, _ := strings.Cut(x, " ")
			x := s.tenants[0]
			x.ID, x.Name, x.Database = id, name, name
			s.tenants = append(s.tenants, x)
		}
	})
	first, hears := d.in(t, "one"), d.in(t, "one")
	first.expect(t, "row one; SELECT 1; ready I", query("select current_database()"))
	hears.expect(t, "LISTEN; ready I", query("listen news"))
	h.postgres(t, "alter database one allow_connections false", "alter database two allow_connections false",
		"select pg_terminate_backend(pid) from pg_stat_activity where datname in ('one', 'two')")
	if !poll(func() bool {
		return ask[int](t, h, "select count(*) from pg_stat_activity where datname in ('one', 'two')") == 0
	}) {
		t.Fatal("somebody is in the databases")
	}
	h.postgres(t, "alter database one rename to three", "alter database two rename to one", "alter database three rename to two",
		"alter database one allow_connections true", "alter database two allow_connections true")
	if err := first.send(query("select current_database()")); err != nil {
		t.Fatal(err)
	}
	if !poll(func() bool { return len(d.log.lines("is tenant second's now")) > 0 }) {
		t.Error("nobody has noticed")
	}
	if p := d.pool("one"); p.ClientsWaiting != 1 || p.ServersActive+p.ServersIdle > 0 {
		t.Errorf("its client does not wait: %+v", p)
	}
	d.reload(t, func(s *setup) {
		s.tenants = append([]tenants.Tenant(nil), s.tenants...)
		s.tenants[2].Name, s.tenants[2].Database = "two", "two"
		s.tenants[3].Name, s.tenants[3].Database = "one", "one"
	})
	if got, err := first.answers(); err != nil || got[0] != "row two" {
		t.Fatalf("the first tenant's client got %q, %v", got, err)
	}
	if !poll(func() bool {
		return ask[int](t, h, "select count(*) from pg_stat_activity where datname = 'two' and query = 'listen \"news\"'") == 1
	}) {
		t.Fatal("nobody listens")
	}
	first.expect(t, "NOTIFY; ready I", query("notify news, 'for the first'"))
	hears.hears(t, "news for the first")
}

// waiting counts a tenant's clients that wait.
func (d *door) waiting(tenant string) (n int) {
	for row := range d.Tenants(func(name string) bool { return name == tenant }) {
		n += row.Waiting
	}
	return n
}

// testClosedDatabaseIsWaitedFor where an operation may have closed it, and where none can
// have it is said at once.
func testClosedDatabaseIsWaitedFor(t *testing.T, h *house) {
	h.postgres(t, "alter database acme allow_connections false")
	file := h.open(t)
	_, err := tryLogin(file.address, "acme", "acme", secret)
	wantState(t, err, "55000")
	d := h.open(t, ofCatalog)
	entered := make(chan error, 1)
	go func() {
		c, err := tryLogin(d.address, "acme", "acme", secret)
		if err == nil {
			c.Conn.Close()
		}
		entered <- err
	}()
	d.await(t, "a login that waits behind a refusal", func(router.PoolStats) bool {
		return len(d.log.lines("does not accept|not currently accepting")) > 0 || d.pool("acme").ClientsWaiting == 1
	})
	select {
	case err := <-entered:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(300 * time.Millisecond): // behind the first refusal
	}
	h.postgres(t, "alter database acme rename to ajax")
	select {
	case err := <-entered:
		t.Errorf("it did not wait for the name: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	h.postgres(t, "alter database ajax rename to acme", "alter database acme allow_connections true")
	if err := <-entered; err != nil {
		t.Error(err)
	}
}
