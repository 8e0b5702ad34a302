package fleet_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/fleet"
	"howdah/backup/export"
	"howdah/backup/store"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire/wiretest"
)

// storeIdentity opens what the tests' exports are sealed for.
const (
	storeIdentity  = "AGE-SECRET-KEY-1LAG097M3TVS53CHRUFYVFN6EM2U72SJGCUS4MD3ZHZ0UR3S9R30SZXLX6M"
	storeRecipient = "age15axrg0g3ynrrarxyg2c0mexjhny85nzq0t34m39p9pcecx7zqqzskd2elu"
)

// placeAt returns where exports are kept, in a folder.
func placeAt(path, identity string) (*export.Place, error) {
	dir, err := store.OpenDir(path)
	if err != nil {
		return nil, err
	}
	sealer, err := store.NewSealer([]string{storeRecipient}, identity)
	return &export.Place{Store: dir, Sealer: sealer}, err
}

// placesAt is placeAt for who has no other store.
func placesAt(path, identity string) ([]*export.Place, error) {
	place, err := placeAt(path, identity)
	if err != nil {
		return nil, err
	}
	return []*export.Place{place}, nil
}

// withStore has exports be kept in the store at path, if that is not "", and what is on
// its way beside it.
func withStore(path string) func(*fleet.Config) {
	return func(c *fleet.Config) {
		if path == "" {
			return
		}
		c.Exports = func(string, string) ([]*export.Place, error) { return placesAt(path, storeIdentity) }
		c.Scratch = path + "-scratch"
	}
}

// exporter is a house with a tenant "acme" and a store.
type exporter struct {
	*house
	password string
}

func newExporter(t *testing.T, more ...func(*fleet.Config)) *exporter {
	t.Helper()
	return newExporterOf(newHouse(t), more...)
}

// newExporterOf gives a house a store.
func newExporterOf(h *house, more ...func(*fleet.Config)) *exporter {
	t := h.t
	t.Helper()
	h.store = filepath.Join(wiretest.ServerDir(t), "store")
	if err := store.MakeDir(h.store); err != nil {
		t.Fatal(err)
	}
	h.fleet = newFleet(t.Context(), "house", h.key.Load, h.catalog, h.admins, h.pooler, h.log, nil, append([]func(*fleet.Config){withStore(h.store)}, more...)...)
	e := &exporter{house: h}
	return e
}

// make makes the tenant, with contents. It must not be called before run.
func (e *exporter) make() {
	e.t.Helper()
	made, err := e.fleet.CreateTenant(e.t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	if err != nil {
		e.t.Fatal(err)
	}
	e.await(made.Operation, catalog.Done)
	e.password = made.Password
	as(e.t, e.server, "acme", made.Password, contents)
}

// place is the store as the test looks into it.
func (e *exporter) place() *export.Place {
	e.t.Helper()
	p, err := placeAt(e.store, storeIdentity)
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

// keys lists all that is in the store.
func (e *exporter) keys() (keys []string) {
	e.t.Helper()
	for info, err := range e.place().Store.List(e.t.Context(), "") {
		if err != nil {
			e.t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// tidy checks that no dump is left.
func (e *exporter) tidy() {
	e.t.Helper()
	entries, err := os.ReadDir(e.store + "-scratch")
	if err != nil && !errors.Is(err, os.ErrNotExist) || len(entries) > 0 {
		e.t.Errorf("dumps are left: %v, %v", entries, err)
	}
}

// export exports acme.
func (e *exporter) export() *export.Manifest {
	e.t.Helper()
	made, err := e.fleet.ExportTenant(e.t.Context(), anna, "acme", false)
	if err != nil {
		e.t.Fatal(err)
	}
	e.await(made.Operation, catalog.Done)
	m, err := e.place().Verify(e.t.Context(), made.Export, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	return m
}

// An export holds what pg_restore reads; nobody is held for it, and nothing is left on
// the way.
func TestExport(t *testing.T) {
	e := newExporter(t)
	e.run()
	e.make()
	as(t, e.server, "acme", e.password, "alter database acme set timezone = 'Asia/Tokyo'")
	plan, err := e.fleet.ExportTenant(t.Context(), anna, "acme", true)
	if err != nil || len(plan.Steps) != 2 || plan.Operation != nil || plan.Size <= 0 {
		t.Errorf("dry run: %+v, %v", plan, err)
	}
	if keys := e.keys(); keys != nil {
		t.Errorf("a dry run stores %v", keys)
	}
	m := e.export()
	if m.Tenant != "acme" || m.Server < 15 || m.Encoding != "UTF8" || m.Collate != "C" || m.Provider != "libc" || !slices.Equal(m.Extensions, []string{"pg_trgm", "unaccent"}) {
		t.Errorf("manifest %+v", m)
	}
	into := t.TempDir()
	if err := e.place().Fetch(t.Context(), m, into, nil); err != nil {
		t.Fatal(err)
	}
	about, err := os.ReadFile(filepath.Join(into, "howdah.json"))
	if err != nil || !strings.Contains(string(about), `"Asia/Tokyo"`) {
		t.Errorf("details %s, %v", about, err)
	}
	if _, err := os.Stat(filepath.Join(into, "toc.dat")); err != nil {
		t.Error(err)
	}
	if _, held := e.pooler.holding(); held != nil {
		t.Errorf("held were %v", held)
	}
	all, err := e.fleet.ListExports(t.Context(), "acme")
	if err != nil || len(all) != 1 || all[0].ID != m.ID {
		t.Errorf("exports are %+v, %v", all, err)
	}
	e.exportsAreHeld(m.ID)
	e.tidy()
}

// exportsAreHeld holds an export, and releases it; both are in the audit log.
func (e *exporter) exportsAreHeld(id string) {
	e.t.Helper()
	ctx := e.t.Context()
	held := func() *export.Hold {
		e.t.Helper()
		all, err := e.fleet.ListExports(ctx, "acme")
		if err != nil || len(all) != 1 {
			e.t.Fatalf("exports are %+v, %v", all, err)
		}
		return all[0].Held
	}
	var invalid *fleet.InvalidError
	if err := e.fleet.HoldExport(ctx, anna, "../identity", ""); !errors.As(err, &invalid) {
		e.t.Errorf("what is none is held: %v", err)
	}
	if err := e.fleet.HoldExport(ctx, anna, "acme.20010101T000000Z.abcdef", ""); !errors.Is(err, catalog.ErrNotFound) {
		e.t.Errorf("one that is not there is held: %v", err)
	}
	if err := e.fleet.ReleaseExport(ctx, anna, id); !errors.Is(err, catalog.ErrNotFound) {
		e.t.Errorf("one that is not held is released: %v", err)
	}
	if err := e.fleet.HoldExport(ctx, anna, id, "case 4711"); err != nil {
		e.t.Fatal(err)
	}
	if h := held(); h == nil || h.Reason != "case 4711" || h.By != anna.Name {
		e.t.Errorf("the hold is %+v", h)
	}
	if err := e.fleet.ReleaseExport(ctx, anna, id); err != nil {
		e.t.Fatal(err)
	}
	if h := held(); h != nil {
		e.t.Errorf("released, the hold is %+v", h)
	}
	last, err := e.catalog.LastRecords(ctx, id, 10)
	if err != nil || len(last) != 2 || last[0].Action != "release" || last[1].Action != "hold" {
		e.t.Errorf("audited were %+v, %v", last, err)
	}
}

// What is wrong is told before anything is done.
func TestExportRefuses(t *testing.T) {
	e := newExporter(t, without("gone"))
	e.run()
	e.make()
	refused := func(f *fleet.Fleet, name, says string) {
		t.Helper()
		if _, err := f.ExportTenant(t.Context(), anna, name, false); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
	refused(e.fleet, "nobody", "not found")
	nowhere := newFleet(t.Context(), "nowhere", e.key.Load, e.catalog, e.admins, e.pooler, e.log, nil)
	refused(nowhere, "acme", "give [backup] store and recipients")
	away := newFleet(t.Context(), "away", e.key.Load, e.catalog, e.admins, e.pooler, e.log, nil, withStore(e.store+"-not"))
	refused(away, "acme", "is it mounted?")
	e.exportsToTheStoreOfNow()
	if keys := e.keys(); keys != nil {
		t.Errorf("the store has %v", keys)
	}
}

// without has there be no store of a name.
func without(name string) func(*fleet.Config) {
	return func(c *fleet.Config) {
		usual := c.Exports
		c.Exports = func(store, cluster string) ([]*export.Place, error) {
			if store == name {
				return nil, fmt.Errorf("store %q: %w", store, export.ErrNoPlace)
			}
			return usual(store, cluster)
		}
	}
}

// exportsToTheStoreOfNow has acme's exports go to a store that there is not, and looks that
// none goes elsewhere: where the registry does not know that yet, and where the store goes
// when an export has begun.
func (e *exporter) exportsToTheStoreOfNow() {
	e.t.Helper()
	deaf := newFleet(e.t.Context(), "deaf", e.key.Load, e.catalog, e.admins, e.pooler, e.log, nil, withStore(e.store), without("gone"), func(c *fleet.Config) {
		c.Registry = tenants.NewRegistry(snapshot(e.admins, nil))
	})
	if _, err := e.fleet.SetTenant(e.t.Context(), anna, "acme", catalog.AnyRevision, map[string]any{"export_store": "gone"}); err != nil {
		e.t.Fatal(err)
	}
	if _, err := deaf.ExportTenant(e.t.Context(), anna, "acme", false); !errors.Is(err, export.ErrNoPlace) {
		e.t.Errorf("to a store that there is not: %v", err)
	}
	if _, err := deaf.DropTenant(e.t.Context(), anna, "acme", 0); !errors.Is(err, export.ErrNoPlace) {
		e.t.Errorf("a drop, which exports there: %v", err)
	}
	e.suspend() // so that something is done before it comes to the store
	before := newFleet(e.t.Context(), "before", e.key.Load, e.catalog, e.admins, e.pooler, e.log, nil, withStore(e.store))
	made, err := before.ExportTenant(e.t.Context(), anna, "acme", false)
	if err != nil {
		e.t.Fatal(err)
	}
	e.await(made.Operation, catalog.Failed)
}

// suspend suspends acme.
func (e *exporter) suspend() {
	e.t.Helper()
	o, err := e.fleet.SuspendTenant(e.t.Context(), anna, "acme")
	if err != nil {
		e.t.Fatal(err)
	}
	e.await(o, catalog.Done)
}

// closedAs is what the server says of a suspended database.
const closedAs = "select concat_ws(' ', datallowconn, datconnlimit, regexp_replace(shobj_description(oid, 'pg_database'), '^howdah:[^ ]+ ', '')) from pg_database where datname = "

// A suspended tenant is exported and stays suspended: nobody but who exports it gets into
// its database meanwhile. So it is when the export is cancelled.
func TestExportOfSuspended(t *testing.T) {
	var e *exporter
	let, cancels := error(nil), false
	e = newExporter(t, func(c *fleet.Config) {
		c.Stepped = func(kind, step string, begun bool) {
			if kind != "export" || step != "dump" || begun {
				return
			}
			let = e.can("acme", e.password)
			if all, err := e.catalog.Operations(t.Context(), "acme", 1); cancels && err == nil {
				if err := e.fleet.CancelOperation(t.Context(), anna, all[0].ID); err != nil {
					t.Error(err)
				}
			}
		}
	})
	e.run()
	e.make()
	e.exec("alter database acme connection limit 7")
	want := e.all()
	e.suspend()
	plan, err := e.fleet.ExportTenant(t.Context(), anna, "acme", true)
	if err != nil || len(plan.Steps) != 4 || plan.Size <= 0 {
		t.Errorf("dry run: %+v, %v", plan, err)
	}
	stays := func(what string) {
		t.Helper()
		if let == nil || !strings.Contains(let.Error(), "too many connections") {
			t.Errorf("while it is %s, a client at the server itself meets %v", what, let)
		}
		if got := value(t, e.server, "postgres", closedAs+"'acme'"); got != "f 7 suspended" {
			t.Errorf("%s, the database is %s", what, got)
		}
		entry, err := e.catalog.Entry(t.Context(), catalog.Tenant, "acme")
		if err != nil || entry.Settings.Text("state") != "suspended" {
			t.Errorf("%s, the tenant is %+v, %v", what, entry, err)
		}
		let = nil
	}
	m := e.export()
	stays("exported")
	cancels = true
	made, err := e.fleet.ExportTenant(t.Context(), anna, "acme", false)
	if err != nil {
		t.Fatal(err)
	}
	e.await(made.Operation, catalog.Cancelled)
	stays("cancelled")
	e.gone("acme")
	e.await(e.imports("acme", m.ID).Operation, catalog.Done)
	if got := e.all(); got != want {
		t.Errorf("what is different:\n%s", difference(want, got))
	}
	e.tidy()
}

// An export that is cancelled leaves nothing.
func TestExportIsCancelled(t *testing.T) {
	e := newExporter(t)
	e.run()
	e.make()
	conn, err := pgx.Connect(t.Context(), e.server.AdminURL("acme"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "begin; lock table public.keyed"); err != nil {
		t.Fatal(err)
	}
	made, err := e.fleet.ExportTenant(t.Context(), anna, "acme", false)
	if err != nil {
		t.Fatal(err)
	}
	var busy *catalog.BusyError
	if _, err := e.fleet.ExportTenant(t.Context(), anna, "acme", false); !errors.As(err, &busy) || busy.Operation != made.Operation.ID {
		t.Errorf("a second export: %v", err)
	}
	e.wait("pg_dump waits for the lock", func() bool {
		return value(t, e.server, "postgres", "select count(*)::text from pg_stat_activity where application_name = 'howdah' and wait_event_type = 'Lock'") != "0"
	})
	if err := e.fleet.CancelOperation(t.Context(), anna, made.Operation.ID); err != nil {
		t.Fatal(err)
	}
	e.await(made.Operation, catalog.Cancelled)
	e.tidy()
	if all, err := e.fleet.ListExports(t.Context(), ""); err != nil || len(all) > 0 {
		t.Errorf("there is %+v, %v", all, err)
	}
}

// A dropped tenant is exported with its last row, a suspended one too; it can be imported
// when its database is gone.
func TestDropExports(t *testing.T) {
	e := newExporter(t)
	e.run()
	e.make()
	want := e.all()
	o, err := e.fleet.SuspendTenant(t.Context(), anna, "acme")
	if err != nil {
		t.Fatal(err)
	}
	e.await(o, catalog.Done)
	if o, err = e.fleet.DropTenant(t.Context(), anna, "acme", 0); err != nil {
		t.Fatal(err)
	}
	var told struct{ Export string }
	if err := json.Unmarshal(e.await(o, catalog.Done).Result, &told); err != nil || told.Export == "" {
		t.Fatalf("%+v, %v", told, err)
	}
	if o, err = e.fleet.PurgeTenant(t.Context(), anna, "acme"); err != nil {
		t.Fatal(err)
	}
	e.await(o, catalog.Done)
	if got := e.holds(); got != "|" {
		t.Errorf("there is %s", got)
	}
	e.await(e.imports("acme", told.Export).Operation, catalog.Done)
	if got := e.all(); got != want {
		t.Errorf("what is different:\n%s", difference(want, got))
	}
	e.tidy()
}

// A tenant that cannot be exported is not dropped, unless that is not wanted.
func TestDropThatCannotExport(t *testing.T) {
	e := newExporter(t)
	e.run()
	e.make()
	away := newFleet(t.Context(), "away", e.key.Load, e.catalog, e.admins, e.pooler, e.log, nil, withStore(e.store+"-not"))
	if _, err := away.DropTenant(t.Context(), anna, "acme", 0); err == nil || !strings.Contains(err.Error(), "without an export") {
		t.Errorf("it is dropped: %v", err)
	}
	if steps, err := away.PlanDrop(t.Context(), "acme", 0, true); err == nil || !strings.Contains(err.Error(), "without an export") {
		t.Errorf("the plan is %q, %v", steps, err)
	}
	if steps, err := e.fleet.PlanDrop(t.Context(), "acme", time.Hour, true); err != nil || !strings.Contains(strings.Join(steps, "; "), "export it, as it is when nobody can write any more, into the store") {
		t.Errorf("the plan is %q, %v", steps, err)
	}
	o, err := e.fleet.DropTenant(t.Context(), anna, "acme", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	e.await(o, catalog.Done)
	if o, err = e.fleet.UndropTenant(t.Context(), anna, "acme"); err != nil {
		t.Fatal(err)
	}
	e.await(o, catalog.Done)
	if err := e.can("acme", e.password); err != nil {
		t.Error(err)
	}
	if err := os.Rename(filepath.Join(e.store, "tmp"), filepath.Join(e.store, "gone")); err != nil { // nothing can be written, as on a full disk
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.store, "tmp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.fleet.DropTenant(t.Context(), anna, "acme", time.Hour); err == nil || !strings.Contains(err.Error(), "without an export") {
		t.Errorf("it is dropped: %v", err)
	}
	if o, err = e.fleet.DropUnexported(t.Context(), anna, "acme", time.Hour); err != nil {
		t.Fatal(err)
	}
	e.await(o, catalog.Done)
}
