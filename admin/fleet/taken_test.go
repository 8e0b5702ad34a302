package fleet_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/provision"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// What a tenant cannot have since something else has it is said before a job begins.
func TestTaken(t *testing.T) {
	h := newHouse(t)
	h.run()
	h.create("acme")
	h.create("globex")
	dropped, err := h.fleet.DropTenant(t.Context(), anna, "acme", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	h.await(dropped, catalog.Done)
	h.do(postgres.Superuser, "create role foreign_role", "create database strange", "create database lost",
		"comment on database lost is 'howdah:00000000-0000-4000-8000-000000000000'")
	before := h.holds()
	refused := func(what string, says string, do func(dry bool) error) {
		t.Helper()
		for _, dry := range []bool{true, false} {
			if err := do(dry); !errors.Is(err, catalog.ErrExists) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s, dry %v: %v, want %q", what, dry, err, says)
			}
		}
	}
	for _, test := range []struct{ name, database, user, says string }{
		{"acme", "", "", `kept for the dropped tenant "acme" until`},
		{"one", "", "acme", `kept for the dropped tenant "acme" until`},
		{"two", "globex", "", `database "globex" on cluster "main" is tenant "globex"'s`},
		{"three", "", "foreign_role", `role "foreign_role" is on cluster "main", though no tenant's`},
		{"strange", "", "", `database "strange" is on cluster "main", though no tenant's`},
		{"lost", "", "", `database "lost" on cluster "main" is marked as that of tenant 00000000-`},
	} {
		n := fleet.NewTenant{Name: test.name, Database: test.database, User: test.user}
		refused("create "+test.name, test.says, func(dry bool) error {
			_, err := h.fleet.CreateTenant(t.Context(), anna, n, dry)
			return err
		})
		if test.database == "" && test.user == "" {
			refused("clone as "+test.name, test.says, func(dry bool) error {
				_, err := h.fleet.CloneTenant(t.Context(), anna, "globex", fleet.NewClone{Name: test.name}, dry)
				return err
			})
		}
		if test.database == "" {
			refused("rename to "+test.name, test.says, func(dry bool) error {
				_, err := h.fleet.RenameTenant(t.Context(), anna, "globex", test.name, test.user, dry)
				return err
			})
		}
	}
	if after := h.holds(); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
	purged, err := h.fleet.PurgeTenant(t.Context(), anna, "acme")
	if err != nil {
		t.Fatal(err)
	}
	h.await(purged, catalog.Done)
	h.create("acme")
	h.admins[0] += "0" // nobody is there: the operation waits for the cluster, and who asks does not
	h.relog()
	if _, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "later"}, false); err != nil {
		t.Errorf("while the cluster is away: %v", err)
	}
}

// A name that is taken when the job runs has it fail. Who asks for the same meanwhile is
// told of the job, and not of what is in its way.
func TestTakenMeanwhile(t *testing.T) {
	h := newHouse(t)
	made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	if err != nil {
		t.Fatal(err)
	}
	h.do(postgres.Superuser, "create database acme")
	before := h.holds()
	var busy *catalog.BusyError
	if _, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false); !errors.As(err, &busy) || busy.Operation != made.Operation.ID {
		t.Errorf("the same again: %v", err)
	}
	h.run()
	if o := h.await(made.Operation, catalog.Failed); !strings.Contains(o.Error, provision.ErrConflict.Error()) {
		t.Errorf("it failed: %s", o.Error)
	}
	if after := h.holds(); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
}
