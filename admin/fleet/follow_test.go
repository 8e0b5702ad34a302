package fleet_test

import (
	"context"
	"strings"
	"testing"

	"howdah/admin/fleet"
	"howdah/router"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// sql does something to a database past Howdah, and returns what the router would tell
// of it.
func (h *house) sql(command router.DatabaseCommand, user, database, other, text string) router.DatabaseChange {
	h.t.Helper()
	if err := h.server.Exec(h.t.Context(), postgres.Superuser, text); err != nil {
		h.t.Fatal(err)
	}
	return router.DatabaseChange{Command: command, Done: true, Cluster: "main", Database: database, Other: other, User: user}
}

// tenants are the catalog's: name, database and user.
func (h *house) tenants() string {
	h.t.Helper()
	contents, err := h.catalog.Load(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for _, e := range contents.Entries {
		if e.Kind == catalog.Tenant {
			all = append(all, e.Name+":"+e.Settings.Text("database")+":"+e.Settings.Text("user"))
		}
	}
	return strings.Join(all, " ")
}

// crashFollowing has the role of tenant name make, rename and drop a database, and
// follows with operations that run ends.
func (h *house) crashFollowing(name, suffix string, run func(*catalog.Operation, error)) {
	h.t.Helper()
	made, renamed := "made"+suffix, "renamed"+suffix
	beside := " " + name + ":" + name + ":" + name
	wants := func(what, want string) {
		h.t.Helper()
		if got := h.tenants(); got != strings.TrimSpace(want) {
			h.t.Errorf("%s: the catalog has %s, want %s", what, got, want)
		}
	}
	run(h.fleet.BeginFollowing(h.t.Context(), h.sql(router.CreateDatabase, name, made, "template1", "create database "+made+" owner "+name)))
	wants("made", made+":"+made+":"+name+beside)
	run(h.fleet.BeginFollowing(h.t.Context(), h.sql(router.RenameDatabase, name, made, renamed, "alter database "+made+" rename to "+renamed)))
	wants("renamed", renamed+":"+renamed+":"+name+beside)
	run(h.fleet.BeginFollowing(h.t.Context(), h.sql(router.DropDatabase, name, renamed, "", "drop database "+renamed)))
	wants("dropped", beside)
}

// Who has a database dropped by SQL has all nodes leave it meanwhile, and no longer.
func TestVacating(t *testing.T) {
	h := newHouse(t)
	other := h.second(t.Context(), "other")
	h.run()
	h.create("acme")
	for _, d := range []router.DatabaseChange{
		{Command: router.DropDatabase, Cluster: "main", Database: "acme", User: "acme"},
		{Command: router.CreateDatabase, Cluster: "main", Database: "twin", Other: "acme", User: "acme"},
		{Command: router.RenameDatabase, Cluster: "main", Database: "nobodys", User: "acme"},
	} {
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.fleet.VacateDatabase(ctx, d) }()
		h.wait("both hold", func() bool {
			one, here := h.pooler.holding()
			two, there := other.holding()
			return one == 1 && two == 1 && here[len(here)-1] == d.Vacant() && there[len(there)-1] == d.Vacant()
		})
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.letGo()
		h.wait("the other lets go", func() bool { n, _ := other.holding(); return n == 0 })
	}
}

// A tenant whose role Howdah has not made, and does not know, is brought back when it was
// dropped: to the role that it was taken from, not to another one of that name.
func TestAdoptedTenantIsBroughtBack(t *testing.T) {
	h := newHouse(t)
	h.run()
	h.sql(router.CreateDatabase, "Odoo", "shop", "", `create role "Odoo" login createdb`)
	if err := h.fleet.FollowDatabase(t.Context(), h.sql(router.CreateDatabase, "Odoo", "shop", "", `create database shop owner "Odoo"`)); err != nil {
		t.Fatal(err)
	}
	end := func(o *catalog.Operation, err error, want catalog.State) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		h.await(o, want)
	}
	drop := func() {
		t.Helper()
		o, err := h.fleet.DropTenant(t.Context(), anna, "shop", 3600e9)
		end(o, err, catalog.Done)
	}
	drop()
	o, err := h.fleet.UndropTenant(t.Context(), anna, "shop")
	end(o, err, catalog.Done)
	if got := h.tenants(); got != "shop:shop:Odoo" {
		t.Errorf("the catalog has %s", got)
	}
	if got := value(t, h.server, "shop", "select concat(datdba::regrole, ' ', datallowconn) from pg_database where datname = 'shop'"); got != `"Odoo" t` {
		t.Errorf("the database is %s", got)
	}
	drop()
	h.sql(router.CreateDatabase, "Odoo", "", "", `alter role "Odoo" rename to "Gone"; create role "Odoo" login`)
	o, err = h.fleet.UndropTenant(t.Context(), anna, "shop")
	end(o, err, catalog.Failed)
}

// Databases that a tenant's user makes by SQL are tenants like others.
func TestFollowing(t *testing.T) {
	h := newHouse(t)
	h.run()
	acme := h.create("acme")
	follow := func(d router.DatabaseChange) {
		t.Helper()
		if err := h.fleet.FollowDatabase(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	follow(h.sql(router.CreateDatabase, "acme", "second", "template1", "create database second owner acme"))
	if got := h.tenants(); got != "acme:acme:acme second:second:acme" {
		t.Fatalf("the catalog has %s", got)
	}
	var open bool
	if err := h.server.QueryRow(t.Context(), "postgres", "select has_database_privilege('public', 'second', 'connect')", nil, &open); err != nil || open {
		t.Errorf("anybody may connect: %v, %v", open, err)
	}
	for _, begin := range []func() (*catalog.Operation, error){
		func() (*catalog.Operation, error) { return h.fleet.SuspendTenant(t.Context(), anna, "second") },
		func() (*catalog.Operation, error) { return h.fleet.ResumeTenant(t.Context(), anna, "second") },
		func() (*catalog.Operation, error) { return h.fleet.DropTenant(t.Context(), anna, "second", 3600e9) },
		func() (*catalog.Operation, error) { return h.fleet.UndropTenant(t.Context(), anna, "second") },
	} {
		o, err := begin()
		if err != nil {
			t.Fatal(err)
		}
		h.await(o, catalog.Done)
	}
	// The password of the user that both have is changed by either, and what is dropped
	// meanwhile is brought back to it.
	dropped, err := h.fleet.DropTenant(t.Context(), anna, "second", 3600e9)
	if err != nil {
		t.Fatal(err)
	}
	h.await(dropped, catalog.Done)
	h.rotate("acme", fleet.NewPassword{})
	if dropped, err = h.fleet.UndropTenant(t.Context(), anna, "second"); err != nil {
		t.Fatal(err)
	}
	h.await(dropped, catalog.Done)
	if err := h.can("acme", h.rotate("second", fleet.NewPassword{})); err != nil {
		t.Errorf("with the password that was given to the other tenant: %v", err)
	}
	// Whatever is told that is not so changes nothing.
	for _, d := range []router.DatabaseChange{
		{Command: router.DropDatabase, Done: true, Cluster: "main", Database: "second", User: "acme"},
		{Command: router.RenameDatabase, Done: true, Cluster: "main", Database: "second", Other: "third", User: "acme"},
		{Command: router.CreateDatabase, Done: false, Cluster: "main", Database: "second", User: "acme"},
		{Command: router.DropDatabase, Done: true, Cluster: "nowhere", Database: "second", User: "acme"},
		h.sql(router.CreateDatabase, "acme", "Upper", "", `create database "Upper" owner acme`),
		{Command: router.MoveDatabase, Done: true, Cluster: "main", Database: "second", User: "acme"},
	} {
		if d.Command == router.DropDatabase && d.Cluster == "main" || d.Command == router.RenameDatabase {
			o, err := h.fleet.BeginFollowing(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			h.await(o, catalog.Done)
		} else {
			follow(d)
		}
	}
	if got := h.tenants(); got != "acme:acme:acme second:second:acme" {
		t.Errorf("the catalog has %s", got)
	}
	// What a node that died has not followed is when PostgreSQL says that it is so.
	h.sql(router.CreateDatabase, "acme", "late", "", "create database late owner acme")
	follow(router.DatabaseChange{Command: router.CreateDatabase, Cluster: "main", Database: "late", User: "acme"})
	h.sql(router.DropDatabase, "acme", "late", "", "drop database late")
	follow(router.DatabaseChange{Command: router.DropDatabase, Cluster: "main", Database: "late", User: "acme"})
	follow(h.sql(router.DropDatabase, "acme", "second", "", "drop database second"))
	follow(h.sql(router.DropDatabase, "acme", "acme", "", "drop database acme"))
	if got := h.tenants(); got != "" {
		t.Errorf("the catalog has %s", got)
	}
	user, err := h.catalog.Entry(t.Context(), catalog.User, "acme")
	if err != nil || user.Settings.Text("cluster") != "main" {
		t.Errorf("the user, who may make another database, is %+v, %v", user, err)
	}
	var told int
	if err := h.server.QueryRow(t.Context(), "catalog", "select count(*) from howdah.audit where record ->> 'door' = 'sql'", nil, &told); err != nil || told == 0 {
		t.Errorf("%d lines of the audit log are of the door sql: %v", told, err)
	}
	if acme == nil {
		t.Error("nothing was made")
	}
	for _, c := range []struct {
		command         router.DatabaseCommand
		database, other string
		ok              bool
	}{
		{router.CreateDatabase, "fine", "", true},
		{router.CreateDatabase, "Upper", "", false},
		{router.CreateDatabase, "howdah", "", false},
		{router.RenameDatabase, "fine", "pg_x", false},
		{router.RenameDatabase, "Upper", "fine", true},
	} {
		err := h.fleet.MayChange(router.DatabaseChange{Command: c.command, Cluster: "main", Database: c.database, Other: c.other})
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
