package fleet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
)

// rename gives a tenant another name, and waits for it.
func (h *house) rename(name, to, user string) *fleet.Renaming {
	h.t.Helper()
	made, err := h.fleet.RenameTenant(h.t.Context(), anna, name, to, user, false)
	if err != nil {
		h.t.Fatal(err)
	}
	h.await(made.Operation, catalog.Done)
	h.letGo()
	return made
}

func TestRename(t *testing.T) {
	h := newHouse(t)
	h.run()
	made := h.create("acme")
	if err := h.can("acme", made.Password); err != nil {
		t.Fatal(err)
	}
	err := h.catalog.Change(t.Context(), anna, func(tx *catalog.Tx) error {
		_, err := tx.AddToken(catalog.Token{Name: "theirs", Role: "tenant", Tenant: "acme"}, "token")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	before, err := h.catalog.Entry(t.Context(), catalog.Tenant, "acme")
	if err != nil {
		t.Fatal(err)
	}
	h.rename("acme", "ajax", "")
	after, err := h.catalog.Entry(t.Context(), catalog.Tenant, "ajax")
	if err != nil || after.ID != before.ID || after.Settings.Text("database") != "ajax" || after.Settings.Text("user") != "ajax" {
		t.Errorf("renamed, it is %+v, %v", after, err)
	}
	if err := h.can("ajax", made.Password); err != nil {
		t.Errorf("by its new name: %v", err)
	}
	if got := h.holds(); got != "ajax|ajax" {
		t.Errorf("there is %s", got)
	}
	if _, ever := h.pooler.holding(); !slices.Contains(ever, "acme") || !slices.Contains(ever, "ajax") {
		t.Errorf("held were %q", ever)
	}
	var bound string
	if err := h.server.QueryRow(t.Context(), "catalog", "select tenant from howdah.token where name = 'theirs'", nil, &bound); err != nil || bound != "ajax" {
		t.Errorf("its token is for %q, %v", bound, err)
	}
	h.rename("ajax", "ajax", "odoo") // only the user
	if got := h.holds(); got != "ajax|odoo" {
		t.Errorf("there is %s", got)
	}
	h.rename("ajax", "achilles", "") // the user has a name of its own, and keeps it
	if got := h.holds(); got != "achilles|odoo" {
		t.Errorf("there is %s", got)
	}
	if _, err := h.fleet.SuspendTenant(t.Context(), anna, "acme"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("by its old name: %v", err)
	}
}

func TestRenameRefuses(t *testing.T) {
	h := newHouse(t)
	h.run()
	h.create("acme")
	h.create("globex")
	var invalid *fleet.InvalidError
	for _, n := range []struct{ to, user string }{
		{"", ""},
		{"acme", ""},
		{"acme", "acme"},
		{strings.Repeat("x", 64), ""},
		{"postgres", ""},
		{`a"; drop table x`, ""},
		{"ajax", "pg_x"},
	} {
		if _, err := h.fleet.RenameTenant(t.Context(), anna, "acme", n.to, n.user, false); !errors.As(err, &invalid) {
			t.Errorf("%+v: %v", n, err)
		}
	}
	for _, n := range []struct{ to, user string }{{"globex", ""}, {"ajax", "globex"}} {
		if _, err := h.fleet.RenameTenant(t.Context(), anna, "acme", n.to, n.user, false); !errors.Is(err, catalog.ErrExists) {
			t.Errorf("%+v: %v", n, err)
		}
	}
	if _, err := h.fleet.RenameTenant(t.Context(), anna, "nobody", "ajax", "", false); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	plan, err := h.fleet.RenameTenant(t.Context(), anna, "acme", "ajax", "", true)
	if err != nil || plan.Operation != nil || plan.User != "ajax" || len(plan.Steps) != 2 {
		t.Errorf("a dry run: %+v, %v", plan, err)
	}
	// A user of two tenants keeps its name.
	err = h.catalog.Change(t.Context(), anna, func(tx *catalog.Tx) error {
		return tx.Create(catalog.Tenant, "second", "", catalog.Settings{"cluster": "main", "database": "second", "user": "acme"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.fleet.RenameTenant(t.Context(), anna, "acme", "ajax", "ajax", true); !errors.As(err, &invalid) {
		t.Errorf("the user of two tenants: %v", err)
	}
	if plan, err := h.fleet.RenameTenant(t.Context(), anna, "acme", "ajax", "", true); err != nil || plan.User != "acme" {
		t.Errorf("the user of two tenants: %+v, %v", plan, err)
	}
}
