package router_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router"
	"howdah/tenants"
	"howdah/wire"
)

// TestRealDatabases tests CREATE, DROP and ALTER DATABASE sent through Howdah while it
// has servers in the database, in front of one PostgreSQL.
func TestRealDatabases(t *testing.T) {
	h := startHouse(t)
	h.sql(t, "alter role acme createdb")
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"IdleServersGiveWay", testIdleServersGiveWay},
		{"ClientsOfTheTemplateGoOn", testClientsOfTheTemplateGoOn},
		{"StrangerDisturbsNobody", testStrangerDisturbsNobody},
		{"StrangerHoldsNobodyUp", testStrangerHoldsNobodyUp},
		{"WhoLeavesIsNotWaitedFor", testWhoLeavesIsNotWaitedFor},
		{"OtherNodesLeave", testOtherNodesLeave},
		{"OpenTransactionStandsInTheWay", testOpenTransactionStandsInTheWay},
		{"ListenerComesBack", testListenerComesBack},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// anyDatabase has every name be a database, on two servers that stay open.
func anyDatabase(s *setup) {
	l := s.tenants[0].Limits
	l.MinPoolSize, l.SequencePinTimeout = 2, patience
	s.tenants = append(s.tenants, tenants.Tenant{Name: "*", Cluster: "main", Limits: l})
}

// in logs acme in to another database.
func (d *door) in(t *testing.T, database string) *raw {
	t.Helper()
	r, err := d.tryIn(database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Conn.Close() })
	return r
}

func (d *door) tryIn(database string) (*raw, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := d.dialConfig("acme")
	c.Parameters[1].Value = database
	e, err := wire.Dial(ctx, c)
	if err != nil {
		return nil, err
	}
	return newRaw(e), nil
}

// testIdleServersGiveWay does to a database what is done while nobody is in it.
func testIdleServersGiveWay(t *testing.T, h *house) {
	d := h.open(t, anyDatabase)
	admin := d.connect(t, func(c *pgx.ConnConfig) { c.Database = "postgres" })
	simple := d.in(t, "postgres")
	do(t, admin, "create database a")
	for _, step := range []struct {
		name, in, gone, sql string
	}{
		{"copy", "a", "", "create database b template a"},
		{"rename", "a", "a", `alter database a rename to "C"`},
		{"rename in a transaction", "b", "b", "begin; alter database b rename to d; commit"},
		{"drop", "C", "C", `drop database "C"`},
		{"drop if there", "d", "d", "drop database if exists d with (force)"},
	} {
		var inside [3]*raw
		for i := range inside {
			inside[i] = d.in(t, step.in)
			inside[i].say(t, query("begin; create sequence s; select nextval('s'); rollback; select 1"))
		}
		inside[0].say(t, query("create sequence if not exists kept"))
		inside[0].say(t, query("select lastval()"))
		inside[0].say(t, query("select nextval('kept')")) // it keeps its server for the value
		if !poll(func() bool { p := d.pool(step.in); return p.ServersIdle > 0 && p.ServersActive > 0 }) {
			t.Fatalf("%s: servers that are idle, and kept, are missing: %+v", step.name, d.pool(step.in))
		}
		began := time.Now()
		if strings.HasPrefix(step.sql, "begin") {
			if got := simple.say(t, query(step.sql)); got[len(got)-1] != "ready I" || strings.Contains(fmt.Sprint(got), "error") {
				t.Fatalf("%s: %q", step.name, got)
			}
		} else {
			do(t, admin, step.sql) // prepared, and bound behind it
		}
		t.Logf("%s took %v", step.name, time.Since(began))
		for _, r := range inside {
			if step.gone != "" {
				if last, err := r.ended(); err != nil || last == nil || last.Code != "57P01" {
					t.Errorf("%s: a client of the database got %+v, %v", step.name, last, err)
				}
				continue
			}
			if got := r.say(t, query("select 1")); got[0] != "row 1" {
				t.Errorf("%s: %q", step.name, got)
			}
		}
	}
	for _, gone := range []string{"a", "b", "C", "d"} {
		_, err := d.tryIn(gone)
		wantState(t, err, "3D000")
	}
}

// testClientsOfTheTemplateGoOn copies a database that is busy.
func testClientsOfTheTemplateGoOn(t *testing.T, h *house) {
	d := h.open(t, anyDatabase)
	admin := d.in(t, "postgres")
	admin.say(t, query("create database busy"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			r, err := d.tryIn("busy")
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			for {
				select {
				case <-stop:
					r.send(terminate)
					return
				default:
				}
				if got, err := r.talk(query("begin; select 1; select pg_sleep(0.005); commit")); err != nil || !strings.Contains(fmt.Sprint(got), "COMMIT") {
					t.Errorf("%q, %v", got, err)
					return
				}
			}
		})
	}
	for i := range 3 {
		name := fmt.Sprint("copy", i)
		admin.expect(t, "CREATE DATABASE; ready I", query("create database "+name+" template busy"))
		admin.expect(t, "DROP DATABASE; ready I", query("drop database "+name))
	}
	close(stop)
	wg.Wait()
	admin.expect(t, "DROP DATABASE; ready I", query("drop database busy"))
}

// testStrangerDisturbsNobody has a role try to drop what is another's. A machine that
// stands still for a moment looks like a server that waits, so it tries a few times.
func testStrangerDisturbsNobody(t *testing.T, h *house) {
	d := h.open(t, anyDatabase)
	mine := d.raw(t)
	stranger, err := d.tryRaw("globex")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	for range 20 {
		before := mine.say(t, query("select pg_backend_pid()"))
		stranger.expect(t, "error 42501; ready I", query("drop database acme"))
		stranger.expect(t, "error 42501; ready I", query("alter database acme rename to mine"))
		if after := mine.say(t, query("select pg_backend_pid()")); after[0] == before[0] {
			return
		}
	}
	t.Error("acme's server is closed each time")
}

// testStrangerHoldsNobodyUp has a role name another's database in commands that it has no
// right to, and that PostgreSQL comes to late, or refuses in a transaction that stays open,
// or the answer to which it does not read.
func testStrangerHoldsNobodyUp(t *testing.T, h *house) {
	d := h.open(t, anyDatabase)
	mine := d.raw(t)
	const rename = "alter database acme rename to mine"
	sleep := []pgproto3.FrontendMessage{parse("", "select pg_sleep(1)"), bind(""), execute}
	for _, test := range []struct {
		name string
		send []pgproto3.FrontendMessage
		want string
	}{
		{"behind another statement", []pgproto3.FrontendMessage{query("select pg_sleep(1); " + rename)}, "error 42501; ready I"},
		{"behind one that takes its time to commit", []pgproto3.FrontendMessage{query("begin; select pg_sleep(1)"), query("commit; " + rename)}, "error 42501; ready I"},
		{"behind others in a pipeline", append(sleep[:3:3], parse("", "drop database acme"), bind(""), execute, syncMsg), "error 25001; ready I"},
		{"behind another message", []pgproto3.FrontendMessage{query("select pg_sleep(1)"), query("drop database acme")}, "error 42501; ready I"},
		{"in a transaction that fails", []pgproto3.FrontendMessage{query("begin"), query(rename)}, "error 42501; ready E"},
		{"behind one that it may", []pgproto3.FrontendMessage{query("alter database globex set work_mem to default; " + rename)}, "error 42501; ready I"},
		{"unread", []pgproto3.FrontendMessage{query("select repeat('x', 1000000) from generate_series(1, 30)"), query("drop database acme")}, "error 42501; ready I"},
	} {
		took := time.Hour
		for tries := 0; tries < 3 && took > 600*time.Millisecond; tries++ { // the machine may stand still for a moment
			stranger, err := d.tryRaw("globex")
			if err != nil {
				t.Fatal(err)
			}
			if err := stranger.send(test.send...); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * vacatesAfter)
			began := time.Now()
			mine.expect(t, "row acme; SELECT 1; ready I", query("select current_database()"))
			took = time.Since(began)
			if got, err := stranger.answers(); err != nil || !strings.HasSuffix(strings.Join(got, "; "), test.want) {
				t.Errorf("%s: the stranger got %.200q, %v", test.name, got, err)
			}
			stranger.Close()
		}
		if took > 600*time.Millisecond {
			t.Errorf("%s: acme's client waits for %v", test.name, took)
		}
	}
}

// vacatesAfter is about when Howdah makes room for a command on a database.
const vacatesAfter = 20 * time.Millisecond

// testWhoLeavesIsNotWaitedFor has clients go before the registry knows what they have done.
func testWhoLeavesIsNotWaitedFor(t *testing.T, h *house) {
	d := h.open(t, anyDatabase)
	told := make(chan struct{})
	d.HandleDatabases(router.DatabaseDoor{
		May: func(router.DatabaseChange) error { return nil },
		Follow: func(_ context.Context, c router.DatabaseChange) {
			if c.Command == router.DropDatabase {
				<-told
			}
		},
		Vacate: func(ctx context.Context, _ router.DatabaseChange) { <-ctx.Done() },
	})
	admin := d.in(t, "postgres")
	admin.say(t, query("create database left"))
	admin.say(t, query("create database right"))
	in, out := d.in(t, "postgres"), d.in(t, "postgres")
	for _, x := range []struct {
		r    *raw
		send []pgproto3.FrontendMessage
	}{
		{in, []pgproto3.FrontendMessage{query("drop database left"), query("select 1"), terminate}},
		{out, []pgproto3.FrontendMessage{parse("", "drop database right"), bind(""), execute, syncMsg, query("select 1"), terminate}},
	} {
		if err := x.r.send(x.send...); err != nil {
			t.Fatal(err)
		}
		x.r.Conn.Close()
	}
	if !poll(func() bool {
		return ask[int](t, h, "select count(*) from pg_database where datname in ('left', 'right')") == 0
	}) {
		t.Fatal("the databases are there")
	}
	if !poll(func() bool { return d.pool("postgres").ServersActive == 0 }) {
		t.Errorf("servers are kept for who has left: %+v", d.pool("postgres"))
	}
	close(told)
	admin.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// testOtherNodesLeave has a server of another node's be in the database, which is told.
func testOtherNodesLeave(t *testing.T, h *house) {
	d := h.open(t, anyDatabase)
	told, ended := make(chan string, 1), make(chan struct{}, 1)
	d.HandleDatabases(router.DatabaseDoor{
		May:    func(router.DatabaseChange) error { return nil },
		Follow: func(context.Context, router.DatabaseChange) {},
		Vacate: func(ctx context.Context, c router.DatabaseChange) {
			if c.Command == router.DropDatabase {
				told <- c.Vacant()
				<-ctx.Done()
				ended <- struct{}{}
			}
		},
	})
	admin := d.in(t, "postgres")
	admin.say(t, query("create database shared"))
	other := dial(t, wire.DialConfig{
		Address: h.Address(), Secret: wire.Secret{Password: secret},
		Parameters: []wire.Parameter{{Name: "user", Value: "acme"}, {Name: "database", Value: "shared"}},
	})
	go func() {
		if database := <-told; database == "shared" {
			other.Conn.Close()
		}
	}()
	admin.expect(t, "DROP DATABASE; ready I", query("drop database shared"))
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the others are still to keep out")
	}
}

// testOpenTransactionStandsInTheWay has PostgreSQL say no in its own words and time,
// and the database's clients served again behind that; also when nobody waits any more.
func testOpenTransactionStandsInTheWay(t *testing.T, h *house) {
	d := h.open(t, anyDatabase)
	admin := d.in(t, "postgres")
	admin.say(t, query("create database held"))
	inside, other := d.in(t, "held"), d.in(t, "held")
	inside.say(t, query("begin; select 1"))
	other.say(t, query("select 1"))
	admin.expect(t, "error 55006; ready I", query("drop database held"))
	other.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	leaves := d.in(t, "postgres")
	if err := leaves.send(query("drop database held"), terminate); err != nil {
		t.Fatal(err)
	}
	if !poll(func() bool { return d.pool("held").ServersIdle == 0 }) {
		t.Fatal("the database is not vacated")
	}
	if err := other.send(query("select 2")); err != nil {
		t.Fatal(err)
	}
	if !poll(func() bool { return d.pool("held").ClientsWaiting == 1 }) {
		t.Fatal("nobody waits")
	}
	inside.say(t, query("commit"))
	if last, err := other.ended(); err != nil || last == nil || last.Code != "57P01" {
		t.Errorf("whose database has gone got %+v, %v", last, err)
	}
}

// testListenerComesBack copies a database in which Howdah listens.
func testListenerComesBack(t *testing.T, h *house) {
	d := h.open(t, anyDatabase, func(s *setup) { s.config.ListenKeep = []string{"kept"} })
	admin := d.in(t, "postgres")
	admin.say(t, query("create database heard"))
	kept, closed, sender := d.in(t, "heard"), d.in(t, "heard"), d.in(t, "heard")
	kept.say(t, query("listen kept"))
	closed.say(t, query("listen other"))
	admin.expect(t, "CREATE DATABASE; ready I", query("create database heard2 template heard"))
	if last, err := closed.ended(); err != nil || last == nil || last.Code != "08006" {
		t.Errorf("who listens to what is not kept got %+v, %v", last, err)
	}
	if !poll(func() bool {
		return ask[int](t, h, "select count(*) from pg_stat_activity where datname = 'heard' and query ilike '%listen%'") > 0
	}) {
		t.Fatal("nobody listens")
	}
	sender.say(t, query("notify kept, 'again'"))
	kept.hears(t, "kept again")
	kept.say(t, query("unlisten *"))
	admin.expect(t, "DROP DATABASE; ready I", query("drop database heard"))
	admin.expect(t, "DROP DATABASE; ready I", query("drop database heard2"))
}
