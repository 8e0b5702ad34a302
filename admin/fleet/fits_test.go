package fleet_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire"
	"howdah/wire/postgres"
)

// A create that is cancelled when its database is there already is a dropped tenant: it
// may have been used, and nothing of it keeps the name busy.
func TestCreateIsCancelledLate(t *testing.T) {
	h := newHouse(t)
	cancelled := false
	h.fleet = newFleet(t.Context(), "house", h.key.Load, h.catalog, h.admins, h.pooler, h.log, func(kind, step string, begun bool) {
		if kind != "create" || step != "enter into the registry" || !begun || cancelled {
			return
		}
		cancelled = true
		all, err := h.catalog.Operations(t.Context(), "acme", 1)
		if err == nil {
			err = h.fleet.CancelOperation(t.Context(), anna, all[0].ID)
		}
		if err != nil {
			t.Error(err)
		}
		time.Sleep(6 * time.Second) // a lease is renewed: that is when it is heard of
	})
	h.run()
	made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	if err != nil {
		t.Fatal(err)
	}
	h.await(made.Operation, catalog.Cancelled)
	if got := h.holds(); got != "howdah_drop_"+made.Operation.ID+"|acme" {
		t.Errorf("cancelled, there is %s", got)
	}
	o, err := h.fleet.UndropTenant(t.Context(), anna, "acme")
	if err != nil {
		t.Fatal(err)
	}
	h.await(o, catalog.Done)
	if err := h.can("acme", made.Password); err != nil {
		t.Error(err)
	}
}

// A user that came meanwhile is not the tenant's: its password would open the tenant.
func TestUserIsNotShared(t *testing.T) {
	h := newHouse(t)
	made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme", User: "boss"}, false)
	if err != nil {
		t.Fatal(err)
	}
	boss := func(change func(*catalog.Tx) error) {
		t.Helper()
		if err := h.catalog.Change(t.Context(), anna, change); err != nil {
			t.Fatal(err)
		}
	}
	var gone atomic.Bool
	h.fleet.Check = func([]catalog.Entry) error {
		if gone.Load() {
			return errors.New("its tier is gone")
		}
		return nil
	}
	another := wire.MakeVerifier("another's", 4096, []byte("another's salt 1")).String()
	boss(func(tx *catalog.Tx) error {
		return tx.Create(catalog.User, "boss", "", catalog.Settings{"verifier": another})
	})
	h.run()
	o := h.await(made.Operation, catalog.Failed)
	if !strings.Contains(o.Error, `user "boss"`) {
		t.Errorf("it failed with %s", o.Error)
	}
	if _, err := h.catalog.Entry(t.Context(), catalog.Tenant, "acme"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("the tenant has another's user: %v", err)
	}
	if _, err := h.fleet.UndropTenant(t.Context(), anna, "acme"); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("brought back with another's user: %v", err)
	}
	boss(func(tx *catalog.Tx) error { return tx.Delete(catalog.User, "boss", catalog.AnyRevision) })
	gone.Store(true)
	var invalid *fleet.InvalidError
	if _, err := h.fleet.UndropTenant(t.Context(), anna, "acme"); !errors.As(err, &invalid) {
		t.Errorf("brought back though the registry would not take it: %v", err)
	}
}

// What a tenant of the file or Howdah itself has in a database does not get into
// another's hands by a copy.
func TestTemplateIsNobodys(t *testing.T) {
	h := newHouse(t)
	f, err := fleet.New(t.Context(), "other", fleet.Config{
		Catalog: h.catalog, Log: slog.New(slog.NewTextHandler(h.log, nil)), Check: func([]catalog.Entry) error { return nil },
		Registry: tenants.NewRegistry(snapshot(h.admins, []catalog.Entry{
			{Kind: catalog.Tenant, Name: "filed", Settings: catalog.Settings{"cluster": "main", "database": "files", "user": "filed"}},
		})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.server.Exec(t.Context(), postgres.Superuser, "create database files"); err != nil {
		t.Fatal(err)
	}
	for _, template := range []string{"files", "postgres", "howdah_catalog"} {
		_, err := f.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme", Cluster: "main", Template: template}, true)
		var invalid *fleet.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != "template" {
			t.Errorf("a copy of %s: %v", template, err)
		}
	}
}
