package fleet_test

import (
	"path/filepath"
	"strings"
	"testing"

	"howdah/admin/fleet"
	"howdah/backup/store"
	"howdah/tenants/catalog"
	"howdah/wire/wiretest"
)

// withExports gives a pair a store, as exporters have one.
func (p *pair) withExports() *exporter {
	p.t.Helper()
	p.house.store = filepath.Join(wiretest.ServerDir(p.t), "store")
	if err := store.MakeDir(p.house.store); err != nil {
		p.t.Fatal(err)
	}
	p.fleet = newFleet(p.t.Context(), "house", p.key.Load, p.catalog, p.admins, p.pooler, p.log, p.stepped, withStore(p.house.store))
	return &exporter{house: p.house}
}

// TestCopiesToNewerMajorSoak clones a tenant to a newer major version, and imports its
// export there: the copies have all that it has. An older version has none of what comes
// from a newer one, and is not touched.
func TestCopiesToNewerMajorSoak(t *testing.T) {
	p := newMajors(t)
	e := p.withExports()
	p.run()
	made := p.create("acme")
	as(t, p.server, "acme", made.Password, contents)
	copied := func(name, password string) {
		t.Helper()
		if want, got := clonesums(t, p.server, "acme"), clonesums(t, p.other, name); got != want {
			t.Errorf("%s: what is different:\n%s", name, difference(want, got))
		}
		as(t, p.other, name, password, `insert into public.keyed (name) values ('new'); drop table own."Odd Name"; create table public.t ()`)
	}
	before := value(t, p.server, "acme", sums)
	clone := p.clone(fleet.NewClone{Name: "cloned", Cluster: "other"})
	p.await(clone.Operation, catalog.Done)
	copied("cloned", clone.Password)
	imported := e.importsTo("other", "imported", e.export().ID)
	e.await(imported.Operation, catalog.Done)
	copied("imported", imported.Password)
	if got := value(t, p.server, "acme", sums); got != before {
		t.Errorf("what is different at the source:\n%s", difference(before, got))
	}
	as(t, p.server, "acme", made.Password, odoo17(t))
	p.await(p.clone(fleet.NewClone{Name: "odoo", Cluster: "other"}).Operation, catalog.Done)
	if got := value(t, p.other, "odoo", quiet); got != "1 true" {
		t.Errorf("the Odoo's active crons, and whether it is neutralised: %s", got)
	}

	there := left(t, p.server) + left(t, p.other)
	if there != "acme | acme |cloned imported odoo | cloned imported odoo |" {
		t.Errorf("there is %s", there)
	}
	exported, err := p.fleet.ExportTenant(t.Context(), anna, "cloned", false)
	if err != nil {
		t.Fatal(err)
	}
	p.await(exported.Operation, catalog.Done)
	for _, dry := range []bool{true, false} {
		_, cloned := p.fleet.CloneTenant(t.Context(), anna, "cloned", fleet.NewClone{Name: "back", Cluster: "main"}, dry)
		if cloned == nil || !strings.Contains(cloned.Error(), `cluster "main" has PostgreSQL 15, the source 18`) {
			t.Errorf("a clone on an older version: %v", cloned)
		}
		_, imported := p.fleet.ImportTenant(t.Context(), anna, fleet.NewTenant{Name: "back", Cluster: "main", Export: exported.Export}, dry)
		if imported == nil || !strings.Contains(imported.Error(), `is of PostgreSQL 18, and cluster "main" has 15`) {
			t.Errorf("an import on an older version: %v", imported)
		}
	}
	if all, err := p.catalog.Operations(t.Context(), "back", 1); err != nil || len(all) > 0 {
		t.Errorf("operations %v, %v", all, err)
	}
	if got := left(t, p.server) + left(t, p.other); got != there {
		t.Errorf("refused, there is %s, before %s", got, there)
	}
	e.tidy()
	p.letGo()
}
