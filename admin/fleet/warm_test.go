package fleet_test

import (
	"strings"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/provision"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// warm waits until the server has so many databases made in advance and nothing that is
// only half made.
func (h *house) warm(n int) {
	h.t.Helper()
	var ready, others int
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		err := h.server.QueryRow(h.t.Context(), postgres.Superuser, `select count(*) filter (where datname ~ '^howdah_warm_' and not datallowconn),
			count(*) filter (where datname ~ '^howdah_new_' or datname ~ '^howdah_warm_' and datallowconn) from pg_database`, nil, &ready, &others)
		if err != nil {
			h.t.Fatal(err)
		}
		if ready == n && others == 0 {
			return
		}
	}
	h.t.Fatalf("%d databases are ready, %d half made; want %d: %s", ready, others, n, h.holds())
}

// keeps gives the cluster "main" so many databases to be kept ready.
func (h *house) keeps(warm int64) {
	h.t.Helper()
	s := catalog.Settings{"warm": warm}
	err := h.catalog.Change(h.t.Context(), anna, func(tx *catalog.Tx) error {
		if _, err := tx.Entry(catalog.Cluster, "main"); err == nil {
			return tx.Update(catalog.Cluster, "main", catalog.AnyRevision, s)
		}
		return tx.Create(catalog.Cluster, "main", "", s)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if c, _ := h.fleet.Registry.Snapshot().Cluster("main"); c.Warm == int(warm) {
			return
		}
	}
	h.t.Fatal("the registry does not follow")
}

// Ready-made databases are kept, taken, made anew, and dropped when nobody wants them.
// What a node has begun that is no more is gone on with.
func TestWarmDatabases(t *testing.T) {
	h := newHouse(t)
	unfinished := provision.NewWarm("left", provision.Content{Extensions: []string{"unaccent", "pg_trgm"}})
	if err := h.server.Exec(t.Context(), postgres.Superuser, `create database "howdah_new_`+unfinished.JobID+`"`); err != nil {
		t.Fatal(err)
	}
	h.keeps(3)
	h.run()
	h.warm(3)
	if got := h.holds(); !strings.Contains(got, "howdah_warm_left") {
		t.Errorf("what was half made is not gone on with: %s", got)
	}
	var before string
	const oids = "select string_agg(oid::text, ' ' order by oid) from pg_database where datname ~ '^howdah_warm_'"
	if err := h.server.QueryRow(t.Context(), postgres.Superuser, oids, nil, &before); err != nil {
		t.Fatal(err)
	}
	made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	if err != nil {
		t.Fatal(err)
	}
	h.await(made.Operation, catalog.Done)
	if err := h.can("acme", made.Password); err != nil {
		t.Error(err)
	}
	var taken string
	if err := h.server.QueryRow(t.Context(), postgres.Superuser, "select oid::text from pg_database where datname = 'acme'", nil, &taken); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(before, taken) {
		t.Errorf("database %s is none of the ready-made %s", taken, before)
	}
	h.warm(3)
	h.keeps(1)
	h.warm(1)
	if err := h.can("acme", made.Password); err != nil {
		t.Errorf("a tenant's database is gone too: %v", err)
	}
}

// While tenants wait to be created no database is made in advance.
func TestCreationsGoBeforeWarmDatabases(t *testing.T) {
	h := newHouse(t)
	h.keeps(1)
	var o *catalog.Operation
	err := h.catalog.Change(t.Context(), anna, func(tx *catalog.Tx) (err error) {
		o, err = tx.Begin("create", "acme", map[string]string{"cluster": "main"}) // nobody is told: it waits
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.fleet.KeepWarm(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.warm(0)
	if err := h.catalog.Change(t.Context(), anna, func(tx *catalog.Tx) error { return tx.End(o, catalog.Failed, "", nil) }); err != nil {
		t.Fatal(err)
	}
	if err := h.fleet.KeepWarm(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.warm(1)
}
