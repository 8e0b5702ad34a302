package fleet_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/backup/lineage"
	"howdah/backup/repository"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// lineage is what is recorded of a tenant: the operations, and whether the database is there.
func (v *vault) lineage(id string) (text string) {
	v.t.Helper()
	all, err := lineage.List(v.t.Context(), v.repo, id)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, r := range all {
		text += r.What + " " + r.Name
		if r.OID == 0 {
			text += " gone"
		}
		text += ", "
	}
	return text
}

// Each operation after which a tenant has another database, another name or none is recorded
// beside the backups before it is done; while the store is away it is not waited for, and the
// records are stored later.
func TestLineage(t *testing.T) {
	v := newVault(t)
	var away atomic.Bool
	v.fleet.Repository = func(cluster string) (*repository.Repository, error) {
		if away.Load() {
			return nil, errors.New("the store is away")
		}
		return repositoryAt(v.store, cluster, storeIdentity)
	}
	stop := v.runs()
	v.make()
	e, err := v.catalog.Entry(t.Context(), catalog.Tenant, "acme")
	if err != nil {
		t.Fatal(err)
	}
	v.renames("acme", "umbrella")
	if got, want := v.lineage(e.ID), "create acme, rename umbrella, "; got != want {
		t.Errorf("recorded is %q, not %q", got, want)
	}
	away.Store(true)
	o, err := v.fleet.DropUnexported(t.Context(), anna, "umbrella", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	v.await(o, catalog.Done)
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("a store that is away keeps a drop for %v", took)
	}
	if kept, err := v.catalog.KeptLineage(t.Context(), "main"); err != nil || len(kept) != 1 {
		t.Errorf("kept are %+v, %v", kept, err)
	}
	stop()
	away.Store(false)
	stop = v.runs() // which does at once what is done each minute
	v.wait("for what was kept", func() bool { kept, err := v.catalog.KeptLineage(t.Context(), ""); return err == nil && len(kept) == 0 })
	if got, want := v.lineage(e.ID), "create acme, rename umbrella, drop umbrella gone, "; got != want {
		t.Errorf("recorded is %q, not %q", got, want)
	}
	if o, err = v.fleet.UndropTenant(t.Context(), anna, "umbrella"); err != nil {
		t.Fatal(err)
	}
	v.await(o, catalog.Done)
	if got, want := v.lineage(e.ID), "create acme, rename umbrella, drop umbrella gone, undrop umbrella, "; got != want {
		t.Errorf("recorded is %q, not %q", got, want)
	}
	stop()
}

// A tenant that has moved is restored from the backups of the cluster where it was.
func TestRestoreOfMoved(t *testing.T) {
	v := newVault(t, servers.Lend(t))
	v.run()
	v.make()
	v.backUp()
	want, at := value(t, v.server, "acme", keyedRows), v.now()
	moving, err := v.fleet.MoveTenant(t.Context(), anna, "acme", fleet.Destination{Cluster: "other", How: fleet.Dump}, false)
	if err != nil {
		t.Fatal(err)
	}
	v.await(moving.Operation, catalog.Done)
	made, _ := v.restores("acme", fleet.NewRestore{To: at, As: "was"})
	if made.From != "main" || made.Cluster != "other" {
		t.Errorf("it is %+v", made)
	}
	if got := value(t, v.others[0], "was", keyedRows); got != want {
		t.Errorf("there is %s, not %s", got, want)
	}
	if left := value(t, v.server, postgres.Superuser, "select count(*)::text from pg_database where datname = 'was'"); left != "0" {
		t.Error("it is where it was before")
	}
}
