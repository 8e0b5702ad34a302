package fleet_test

import (
	"strings"
	"testing"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// given returns what a tenant's role has set in the tenant's database.
func (h *house) given(tenant string) (text string) {
	h.t.Helper()
	err := h.server.QueryRow(h.t.Context(), postgres.Superuser, `select coalesce(string_agg(c, ' ' order by c), '') from pg_db_role_setting s, unnest(setconfig) c
		where setrole = '`+tenant+`'::regrole and setdatabase = (select oid from pg_database where datname = '`+tenant+`')`, nil, &text)
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// gets waits until a tenant's role has settings.
func (h *house) gets(tenant, want string) {
	h.t.Helper()
	h.wait(tenant+" has "+want, func() bool { return h.given(tenant) == want })
}

// A tenant's role has its tier's settings when the tenant has been made, and others when
// the tier has. What somebody has set by hand stays; what he has not is taken away.
func TestRolesHaveTheirTiersSettings(t *testing.T) {
	h := newHouse(t)
	h.run()
	gold, err := h.fleet.PutEntry(t.Context(), anna, catalog.Tier, "gold", 0, catalog.Settings{"work_mem": int64(16 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []fleet.NewTenant{
		{Name: "acme", Tier: "gold"}, {Name: "globex", Tier: "gold", Settings: catalog.Settings{"temp_file_limit": int64(1 << 20)}}, {Name: "initech"},
	} {
		made, err := h.fleet.CreateTenant(t.Context(), anna, n, false)
		if err != nil {
			t.Fatal(err)
		}
		h.await(made.Operation, catalog.Done)
	}
	if got := h.given("acme") + ", " + h.given("globex") + ", " + h.given("initech"); got != "work_mem=16384kB, temp_file_limit=1024kB work_mem=16384kB, " {
		t.Errorf("made, the roles have %s", got)
	}
	if err := h.server.Exec(t.Context(), postgres.Superuser, "alter role acme in database acme set work_mem = '1GB'"); err != nil {
		t.Fatal(err)
	}
	gold, err = h.fleet.SetEntry(t.Context(), anna, catalog.Tier, "gold", gold.Revision, catalog.Settings{"work_mem": int64(8 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	h.gets("globex", "temp_file_limit=1024kB work_mem=8192kB")
	if _, err := h.fleet.SetTenant(t.Context(), anna, "initech", catalog.AnyRevision, map[string]any{"tier": "gold"}); err != nil {
		t.Fatal(err)
	}
	h.gets("initech", "work_mem=8192kB")
	if got := h.given("acme"); got != "work_mem=1GB" {
		t.Errorf("what was set by hand is %s", got)
	}
	if _, err := h.fleet.SetEntry(t.Context(), anna, catalog.Tier, "gold", gold.Revision, catalog.Settings{"work_mem": nil}); err != nil {
		t.Fatal(err)
	}
	h.gets("globex", "temp_file_limit=1024kB")
	h.gets("initech", "")
	h.gets("acme", "work_mem=1GB")
	made, err := h.fleet.DropTenant(t.Context(), anna, "acme", 0)
	if err != nil {
		t.Fatal(err)
	}
	h.await(made, catalog.Done)
	if err := h.fleet.PurgeOld(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.wait("acme is gone", func() bool { return !strings.Contains(h.holds(), "acme") })
	h.wait("what was known of it too", func() bool {
		if err := h.fleet.ConfigureRoles(t.Context()); err != nil {
			t.Fatal(err)
		}
		known, err := h.catalog.Roles(t.Context())
		return err == nil && len(known) == 2
	})
}

// A node that dies between what it has noted and what it has done leaves neither a
// setting that stays for ever nor one that nobody hears of.
func TestRolesAfterACrash(t *testing.T) {
	h := newHouse(t)
	h.run()
	made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme", Settings: catalog.Settings{"work_mem": int64(1 << 20)}}, false)
	if err != nil {
		t.Fatal(err)
	}
	h.await(made.Operation, catalog.Done)
	contents, err := h.catalog.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var id string
	for _, e := range contents.Entries {
		if e.Kind == catalog.Tenant {
			id = e.ID
		}
	}
	for _, was := range []string{"1024kB", "2048kB"} { // nothing was done, or all but the last note
		err := h.catalog.Change(t.Context(), anna, func(tx *catalog.Tx) error {
			return tx.WantRole(id, catalog.Role{Wanted: map[string]string{"work_mem": "2048kB"}, Given: map[string][]string{"work_mem": {"1024kB", "2048kB"}}})
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.server.Exec(t.Context(), postgres.Superuser, "alter role acme in database acme set work_mem = '"+was+"'"); err != nil {
			t.Fatal(err)
		}
		if err := h.fleet.ConfigureRoles(t.Context()); err != nil {
			t.Fatal(err)
		}
		known, err := h.catalog.Roles(t.Context())
		if err != nil || !known[id].Done || len(known[id].Given["work_mem"]) != 1 || h.given("acme") != "work_mem=1024kB" {
			t.Errorf("after %s there is %s, and known is %+v, %v", was, h.given("acme"), known, err)
		}
	}
}
