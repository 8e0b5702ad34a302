package router_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router"
	"howdah/tenants"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRealFollow moves acme between two PostgreSQL servers while its clients work.
func TestRealFollow(t *testing.T) {
	h := startHouse(t)
	there := wiretest.StartPostgres(t)
	err := there.Exec(t.Context(), postgres.Superuser,
		fmt.Sprintf("create role acme login password '%s'", wiretest.Verifier(t, h.Server, "acme")), "create database elsewhere owner acme")
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{house: h, there: there}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *pair)
	}{
		{"UnderLoad", testFollowUnderLoad},
		{"SessionGoesAlong", testSessionGoesAlong},
		{"RunningTransactionEndsWhereItBegan", testRunningTransactionStays},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, p) })
	}
}

// pair is a house and a second server, on which acme's database is "elsewhere".
type pair struct {
	*house
	there *postgres.Server
}

// open starts a router that knows both servers. acme is at the house.
func (p *pair) open(t *testing.T, changes ...func(*setup)) *door {
	t.Helper()
	return p.house.open(t, append(changes, func(s *setup) {
		s.others = []tenants.Cluster{{Name: "other", Members: []tenants.Member{{Address: p.there.Address()}}}}
	})...)
}

// move has acme be at one of the servers.
func (p *pair) move(t *testing.T, d *door, away bool) {
	t.Helper()
	d.reload(t, func(s *setup) {
		if s.tenants[0].Cluster, s.tenants[0].Database = "main", "acme"; away {
			s.tenants[0].Cluster, s.tenants[0].Database = "other", "elsewhere"
		}
	})
}

func holdAcme(t *testing.T, d *door) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Hold(ctx, "acme", "move", 3*patience); err != nil {
		t.Fatal(err)
	}
}

func backendsAt(t *testing.T, s *postgres.Server) (n int) {
	t.Helper()
	if err := s.QueryRow(t.Context(), postgres.Superuser, "select count(*) from pg_stat_activity where usename = 'acme'", nil, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// testFollowUnderLoad moves acme back and forth, with and without a hold, while
// clients query, and others come and go. Nobody meets an error, and behind a move nobody
// is at the server that was left.
func testFollowUnderLoad(t *testing.T, p *pair) {
	d := p.open(t, poolSize(3))
	c, visitors := d.crowd(20), d.visitors("acme")
	for i := range 10 {
		c.await(t, 200)
		if away := i%2 == 0; i < 4 {
			holdAcme(t, d)
			d.await(t, "waiting clients", func(p router.PoolStats) bool { return p.ClientsWaiting >= 20 })
			p.move(t, d, away)
			d.Release("acme", "move")
		} else {
			p.move(t, d, away)
		}
		c.await(t, 200)
		left := p.Server
		if i%2 != 0 {
			left = p.there
		}
		if !poll(func() bool { return backendsAt(t, left) == 0 }) {
			t.Fatalf("move %d: %d backends stay", i, backendsAt(t, left))
		}
	}
	if errs := visitors(); len(errs) > 0 {
		t.Errorf("who came and went met errors: %v", errs)
	}
	if errs := c.leave(); len(errs) > 0 {
		t.Errorf("errors: %v", errs)
	}
	d.atRest(t)
}

// testSessionGoesAlong has a session's settings, prepared statements and channels at the
// new place, though the old one ended all its sessions while acme was held.
func testSessionGoesAlong(t *testing.T, p *pair) {
	d := p.open(t)
	r, sender := d.raw(t), d.raw(t)
	r.say(t, query("set work_mem = '17MB'"))
	r.say(t, &pgproto3.Parse{Name: "mine", Query: "select current_database() || current_setting('work_mem')"}, &pgproto3.Sync{})
	prepared := []pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "mine"}, &pgproto3.Execute{}, &pgproto3.Sync{}}
	r.expect(t, "bound; row acme17MB; SELECT 1; ready I", prepared...)
	r.expect(t, "LISTEN; ready I", query("listen news"))
	sender.expect(t, "NOTIFY; ready I", query("notify news, 'early'"))
	r.hears(t, "news early")
	holdAcme(t, d)
	if err := r.send(prepared...); err != nil { // it waits
		t.Fatal(err)
	}
	d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	p.sql(t, "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'acme' and pid <> pg_backend_pid()")
	p.move(t, d, true)
	d.Release("acme", "move")
	got, err := r.answers()
	if err != nil || len(got) < 2 || got[1] != "row elsewhere17MB" {
		t.Fatalf("the prepared statement answers %q, %v", got, err)
	}
	if n := p.listens(t, p.there); n != 1 { // before anybody could notify
		t.Errorf("%d listen at the new place", n)
	}
	sender.expect(t, "NOTIFY; ready I", query("notify news, 'late'"))
	r.hears(t, "news late")
	if !poll(func() bool { return p.listens(t, p.Server) == 0 }) {
		t.Error("somebody listens at the old place")
	}
}

func (p *pair) listens(t *testing.T, s *postgres.Server) (n int) {
	t.Helper()
	if err := s.QueryRow(t.Context(), postgres.Superuser, "select count(*) from pg_stat_activity where query ilike 'listen \"news\"'", nil, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// testRunningTransactionStays has a transaction end where it began that nobody waited for,
// and those begin at the new place that come when what it may have left has been looked for.
func testRunningTransactionStays(t *testing.T, p *pair) {
	d := p.open(t)
	r := d.raw(t)
	r.say(t, query("begin; select 1"))
	p.move(t, d, true)
	r.expect(t, "row acme; SELECT 1; ready T", query("select current_database()"))
	r.expect(t, "COMMIT; ready I", query("commit"))
	is := func(place string) bool { return r.say(t, query("select current_database()"))[0] == "row "+place }
	if !poll(func() bool { return is("elsewhere") }) {
		t.Error("it stays at the old place")
	}
	p.move(t, d, false)
	if !is("acme") {
		t.Error("an idle session does not follow at once")
	}
}
