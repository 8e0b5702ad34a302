package router_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"howdah/tenants"
	"howdah/wire"
)

// askerQuery is what `howdah help settings` has for a default.
const askerQuery = "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin"

// TestRealLookup has clients log in whom only PostgreSQL knows.
func TestRealLookup(t *testing.T) {
	h := startHouse(t)
	h.sql(t, "create role asker superuser login password '"+"asker''s own"+"'")
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"UsersAreLookedUp", testUsersAreLookedUp},
		{"LoginsThatMayNotBe", testLoginsThatMayNotBe},
		{"AChangedPasswordIsLearned", testAChangedPasswordIsLearned},
		{"SearchPathIsFixed", testSearchPathIsFixed},
		{"OneConnectionAsks", testOneConnectionAsks},
		{"WhoCannotBeAsked", testWhoCannotBeAsked},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// byLookup has a door know no user but the one who asks.
func byLookup(s *setup) {
	s.cluster.AuthUser, s.cluster.AuthQuery, s.cluster.AuthDatabase = "asker", askerQuery, "postgres"
	s.users = []tenants.User{{Name: "asker", ServerSecret: "asker's own"}}
}

func (d *door) withPassword(user, database, password string) wire.DialConfig {
	c := d.dialConfig(user)
	c.Secret = wire.Secret{Password: password}
	c.Parameters = []wire.Parameter{{Name: "user", Value: user}, {Name: "database", Value: database}}
	return c
}

// wantAskers waits until so many connections of the one who asks are left.
func (h *house) wantAskers(t *testing.T, want int) {
	t.Helper()
	var now int
	if !poll(func() bool {
		now = ask[int](t, h, "select count(*) from pg_stat_activity where usename = 'asker'")
		return now == want
	}) {
		t.Errorf("%d connections ask, want %d", now, want)
	}
}

func testUsersAreLookedUp(t *testing.T, h *house) {
	d := h.open(t, byLookup)
	wantUser(t, d.withPassword("acme", "acme", secret), "acme")
	wantUser(t, d.dialConfig("globex"), "globex")
	servers := 0
	for _, p := range d.Stats().Pools {
		servers += p.ServersActive + p.ServersIdle + p.ServersUsed + p.ServersTested + p.ServersLogin + p.ServersBeingClosed
	}
	if used := d.Budgets()[0].Used; used != servers+1 {
		t.Errorf("%d seats used by %d servers of tenants and the one that asks", used, servers)
	}
	wantRefusal(t, d.withPassword("acme", "acme", "wrong"), "28P01", `password authentication failed for user "acme"`)
	wantRefusal(t, d.withPassword("mallory", "acme", secret), "28P01", `password authentication failed for user "mallory"`)
	// Which databases there are is told only to who has logged in.
	wantRefusal(t, d.withPassword("acme", "nowhere", secret), "3D000", `database "nowhere" does not exist`)
	wantRefusal(t, d.withPassword("acme", "nowhere", "wrong"), "28P01", `password authentication failed for user "acme"`)
	d.Close()
	h.wantAskers(t, 0)
}

func testLoginsThatMayNotBe(t *testing.T, h *house) {
	h.sql(t, "create role late login password 'x' valid until '2001-01-01'", "create role barred nologin password 'x'", "create role bare login",
		"create role soon login password 'x' valid until '2999-01-01'", "grant all on database acme to soon")
	t.Cleanup(func() {
		h.sql(t, "drop role late", "drop role barred", "drop role bare", "drop owned by soon", "drop role soon")
	})
	d := h.open(t, byLookup)
	for _, user := range []string{"late", "barred", "bare"} {
		wantRefusal(t, d.withPassword(user, "acme", "x"), "28P01", fmt.Sprintf("password authentication failed for user %q", user))
	}
	wantUser(t, d.withPassword("soon", "acme", "x"), "soon")
	d.Close()
}

// testAChangedPasswordIsLearned takes less than the minute for which an answer
// is believed: what does not fit any more is dropped.
func testAChangedPasswordIsLearned(t *testing.T, h *house) {
	h.sql(t, "create role mover login password 'before'", "grant all on database acme to mover")
	t.Cleanup(func() { h.sql(t, "drop owned by mover", "drop role mover") })
	d := h.open(t, byLookup)
	wantUser(t, d.withPassword("mover", "acme", "before"), "mover")
	h.sql(t, "alter role mover password 'after'")
	if !poll(func() bool { _, err := whoAmI(d.withPassword("mover", "acme", "after")); return err == nil }) {
		t.Error("the new password is not learned")
	}
	wantRefusal(t, d.withPassword("mover", "acme", "before"), "28P01", `password authentication failed for user "mover"`)
	// Changes that pass through here are known at once: a superuser's, one's own.
	for i, by := range []wire.DialConfig{d.withPassword("asker", "acme", "asker's own"), d.withPassword("mover", "acme", "new0")} {
		r := newRaw(dial(t, by))
		r.expect(t, "ALTER ROLE; ready I", query(fmt.Sprintf("alter role mover password 'new%d'", i)))
		r.Close()
		d.atRest(t) // the server that ran it has been given back
		wantUser(t, d.withPassword("mover", "acme", fmt.Sprintf("new%d", i)), "mover")
	}
	d.Close()
}

// testSearchPathIsFixed puts a table of the same name into the way of a query
// that does not say which it means, and has the role's own setting prefer it.
func testSearchPathIsFixed(t *testing.T, h *house) {
	forged := wire.MakeVerifier("forged", 0, nil).String()
	d := h.open(t, byLookup, func(s *setup) {
		s.cluster.AuthDatabase, s.cluster.AuthQuery = "acme", "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1"
	})
	h.sql(t, "create schema evil", "create table evil.pg_authid as select 'acme'::name as rolname, '"+forged+"'::text as rolpassword",
		"alter role asker set search_path = evil, pg_catalog", "alter database acme set search_path = evil, pg_catalog")
	t.Cleanup(func() {
		h.sql(t, "alter role asker reset search_path", "alter database acme reset search_path", "drop schema evil cascade")
	})
	wantRefusal(t, d.withPassword("acme", "acme", "forged"), "28P01", `password authentication failed for user "acme"`)
	// Nor does a client's own startup parameter come near it.
	c := d.withPassword("acme", "acme", "forged")
	c.Parameters = append(c.Parameters, wire.Parameter{Name: "search_path", Value: "evil,pg_catalog"})
	wantRefusal(t, c, "28P01", `password authentication failed for user "acme"`)
	wantUser(t, d.withPassword("acme", "acme", secret), "acme")
	d.Close()
}

func testOneConnectionAsks(t *testing.T, h *house) {
	d := h.open(t, byLookup)
	for round := range 3 {
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				if i%2 == 0 {
					wantUser(t, d.dialConfig("acme"), "acme")
				} else {
					nobody := fmt.Sprint("nobody", round, "-", i) // of whom nothing is known yet
					wantRefusal(t, d.withPassword(nobody, "acme", "x"), "28P01", fmt.Sprintf("password authentication failed for user %q", nobody))
				}
			})
		}
		wg.Wait()
		h.wantAskers(t, 1)
		switch round {
		case 0: // a connection that was cut is opened again
			h.sql(t, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'asker'")
		case 1: // and a reload begins anew
			d.reload(t, func(*setup) {})
			h.wantAskers(t, 0)
		}
	}
	d.Close()
	h.wantAskers(t, 0)
}

func testWhoCannotBeAsked(t *testing.T, h *house) {
	d := h.open(t, byLookup)
	for name, change := range map[string]func(*setup){
		"wrong secret":   func(s *setup) { s.users = []tenants.User{{Name: "asker", ServerSecret: "wrong"}} },
		"no such role":   func(s *setup) { s.cluster.AuthUser = "nobody" },
		"no such column": func(s *setup) { s.cluster.AuthQuery = "select $1, nothing" },
		"one column":     func(s *setup) { s.cluster.AuthQuery = "select $1::text" },
		"another user":   func(s *setup) { s.cluster.AuthQuery = "select $1::text || 'x', 'y'" },
		"no verifier":    func(s *setup) { s.cluster.AuthQuery = "select $1::text, 'hunter2'" },
		"nobody there":   func(s *setup) { s.cluster.Members = []tenants.Member{{Address: "127.0.0.1:1"}} },
	} {
		old := d.setup
		begin := time.Now()
		d.reload(t, change)
		wantRefusal(t, d.withPassword("acme", "acme", secret), "08006", "cannot look the user's password up")
		if took := time.Since(begin); took > patience/2 {
			t.Errorf("%s: refused only after %v", name, took)
		}
		d.setup = old
		d.reload(t, func(*setup) {})
	}
	wantUser(t, d.withPassword("acme", "acme", secret), "acme")
	d.Close()
}
