package fleet_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire"
)

// A dry run says what would be done, and does nothing.
func TestDryRuns(t *testing.T) {
	h := newManagedHouse(t)
	h.run()
	h.create("acme")
	plan := func(kind, want string) {
		t.Helper()
		steps, err := h.fleet.PlanTenant(t.Context(), kind, "acme")
		if got := strings.Join(steps, "; "); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %s, %v; want %s", kind, got, err, want)
		}
	}
	before := h.holds()
	plan("suspend", `let nobody into database "acme" and end the sessions in it (its clients are held meanwhile); refuse clients`)
	plan("resume", "take clients again")
	drop := func(keep time.Duration, exported bool, want string) {
		t.Helper()
		steps, err := h.fleet.PlanDrop(t.Context(), "acme", keep, exported)
		if got := strings.Join(steps, "; "); err != nil || !strings.Contains(got, `keep database "acme" as "howdah_drop_dry-run"`) || !strings.Contains(got, want) {
			t.Errorf("drop: %s, %v; want %s", got, err, want)
		}
	}
	drop(time.Hour, true, "strike it from the registry, and end the tokens that are bound to it; make no export: there is no store of exports ([backup] store); keep the database, closed, for 1h0m0s")
	drop(0, false, "make no export, since none is wanted; drop the database for good within")
	if _, err := h.fleet.PlanDrop(t.Context(), "acme", -1, true); !errors.As(err, new(*fleet.InvalidError)) {
		t.Errorf("kept for less than no time: %v", err)
	}
	for _, test := range []struct {
		n    fleet.NewPassword
		want string
	}{
		{fleet.NewPassword{Overlap: time.Hour}, `take the new password of user "acme"; the old one goes on for 1h0m0s`},
		{fleet.NewPassword{Server: true}, `keep a new secret, with which Howdah logs in to the server; set another password for role "acme"; take the new password of user "acme", and no old one`},
	} {
		test.n.Dry = true
		made, err := h.fleet.RotateTenant(t.Context(), anna, "acme", test.n)
		if err != nil || made.Operation != nil || made.Password != "" || strings.Join(made.Steps, "; ") != test.want {
			t.Errorf("rotate: %+v, %v; want %s", made, err, test.want)
		}
	}
	if _, err := h.fleet.PlanTenant(t.Context(), "undrop", "acme"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("bring back what is there: %v", err)
	}
	if all, err := h.catalog.Operations(t.Context(), "acme", 10); err != nil || len(all) != 1 || h.holds() != before {
		t.Errorf("behind dry runs there are the operations %+v, %v, and %s", all, err, h.holds())
	}

	e, err := h.catalog.Entry(t.Context(), catalog.Tenant, "acme")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.fleet.DropTenantOf(t.Context(), anna, "acme", e.Revision-1, time.Hour, true); !errors.Is(err, catalog.ErrChanged) {
		t.Errorf("dropped, though it was changed: %v", err)
	}
	o, err := h.fleet.DropTenantOf(t.Context(), anna, "acme", e.Revision, time.Hour, true)
	if err != nil {
		t.Fatal(err)
	}
	h.await(o, catalog.Done)
	plan("undrop", `to "acme", give it to role "acme" and open it; enter it into the registry`)
	plan("purge", `which was "acme", for good; `)
}

// Renaming asked for a second time by the same key is done once.
func TestRenameOnce(t *testing.T) {
	h := newHouse(t)
	h.run()
	h.create("acme")
	once := &fleet.Once{Key: "k", Secret: "s"}
	made, err := h.fleet.RenameTenantOnce(t.Context(), anna, "acme", "ajax", "", false, once)
	if err != nil {
		t.Fatal(err)
	}
	h.await(made.Operation, catalog.Done)
	again, err := h.fleet.RenameTenantOnce(t.Context(), anna, "acme", "ajax", "", false, once)
	if err != nil || again.Operation.ID != made.Operation.ID || again.Names != made.Names {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	var invalid *fleet.InvalidError
	if _, err := h.fleet.RenameTenantOnce(t.Context(), anna, "ajax", "aias", "", false, once); !errors.As(err, &invalid) {
		t.Errorf("another request by the same key: %v", err)
	}
}

// A cluster on which databases of dropped tenants are kept is not removed; and what is kept
// on one that is gone keeps no operation on the name out.
func TestClusterKeepsDropped(t *testing.T) {
	h := newHouse(t)
	dropped := func(cluster string) *catalog.Dropped {
		d := &catalog.Dropped{
			Operation: "00000000-0000-4000-8000-00000000000" + cluster[:1], ID: "00000000-0000-4000-8000-000000000001", Name: "acme",
			Settings: catalog.Settings{"cluster": cluster, "database": "acme", "user": "acme"}, User: catalog.Settings{}, OID: 4711, Purge: time.Now().Add(-time.Hour),
		}
		if err := h.catalog.Change(t.Context(), anna, func(tx *catalog.Tx) error { return tx.AddDropped(d) }); err != nil {
			t.Fatal(err)
		}
		return d
	}
	if _, err := h.fleet.PutEntry(t.Context(), anna, catalog.Cluster, "1spare", 0, catalog.Settings{}); err != nil {
		t.Fatal(err)
	}
	d := dropped("1spare")
	var invalid *fleet.InvalidError
	if err := h.fleet.DeleteEntry(t.Context(), anna, catalog.Cluster, "1spare", catalog.AnyRevision); !errors.As(err, &invalid) || !strings.Contains(err.Error(), `such as "acme"`) {
		t.Errorf("the cluster is removed: %v", err)
	}
	if err := h.catalog.Change(t.Context(), anna, func(tx *catalog.Tx) error { return tx.ForgetDropped(d.Operation) }); err != nil {
		t.Fatal(err)
	}
	if err := h.fleet.DeleteEntry(t.Context(), anna, catalog.Cluster, "1spare", catalog.AnyRevision); err != nil {
		t.Errorf("the cluster, of which nothing is kept, is not removed: %v", err)
	}
	dropped("2gone")
	if err := h.fleet.PurgeOld(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := h.fleet.PurgeTenant(t.Context(), anna, "acme"); !errors.As(err, &invalid) {
		t.Errorf("purged where nobody can: %v", err)
	}
	if all, err := h.catalog.Operations(t.Context(), "", 10); err != nil || len(all) > 0 {
		t.Errorf("begun were %+v, %v", all, err)
	}
}

// Old verifiers go when they have expired.
func TestExpiredPasswordsAreForgotten(t *testing.T) {
	h := newHouse(t)
	now := time.Now()
	verifier := wire.MakeVerifier("secret", 0, nil).String()
	old, still := tenants.OldVerifier(now.Add(-time.Hour), verifier), tenants.OldVerifier(now.Add(time.Hour), verifier)
	err := h.catalog.Change(t.Context(), anna, func(tx *catalog.Tx) error {
		for name, all := range map[string][]any{"acme": {old, still}, "ajax": {old}, "aias": {still}} {
			if err := tx.Create(catalog.User, name, "", catalog.Settings{"verifier": verifier, "old_verifiers": all}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.run()
	kept := func(name string) string {
		e, err := h.catalog.Entry(t.Context(), catalog.User, name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(userOf(e).OldVerifiers, " ")
	}
	h.wait("expired verifiers are gone", func() bool { return kept("acme") == still && kept("ajax") == "" })
	if got := kept("aias"); got != still {
		t.Errorf("kept are %q", got)
	}
}
