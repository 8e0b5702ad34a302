package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/fleet"
	"howdah/backup/export"
	"howdah/backup/store"
	"howdah/provision/dump"
	"howdah/provision/odoo"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// imports begins an import.
func (e *exporter) imports(name, id string) *fleet.Creation { return e.importsTo("", name, id) }

// importsTo begins an import on a cluster.
func (e *exporter) importsTo(cluster, name, id string) *fleet.Creation {
	e.t.Helper()
	made, err := e.fleet.ImportTenant(e.t.Context(), anna, fleet.NewTenant{Name: name, Export: id, Cluster: cluster}, false)
	if err != nil {
		e.t.Fatal(err)
	}
	return made
}

// rights are what others may: a dump's are not restored, for the roles are others.
var rights = regexp.MustCompile(`rights {[^}]*}`)

// secret is what the role has for a password.
var secret = regexp.MustCompile(`SCRAM-SHA-256\S*`)

// all is all that a database of acme's has, whatever the tenant's UUID.
func (e *exporter) all() string {
	e.t.Helper()
	text := value(e.t, e.server, "acme", sums)
	entry, err := e.catalog.Entry(e.t.Context(), catalog.Tenant, "acme")
	if err != nil {
		e.t.Fatal(err)
	}
	text = secret.ReplaceAllString(text, "")
	return rights.ReplaceAllString(strings.ReplaceAll(text, entry.ID, "UUID"), "rights ")
}

// gone drops a tenant for good.
func (e *exporter) gone(name string) {
	e.t.Helper()
	o, err := e.fleet.DropUnexported(e.t.Context(), anna, name, time.Hour)
	if err != nil {
		e.t.Fatal(err)
	}
	e.await(o, catalog.Done)
	if o, err = e.fleet.PurgeTenant(e.t.Context(), anna, name); err != nil {
		e.t.Fatal(err)
	}
	e.await(o, catalog.Done)
}

// A tenant that is imported has all that the exported one had, under the same name or
// another, and a password of its own.
func TestImport(t *testing.T) {
	other := filepath.Join(wiretest.ServerDir(t), "other")
	if err := store.MakeDir(other); err != nil {
		t.Fatal(err)
	}
	e := newExporter(t, func(c *fleet.Config) { // main's store is not that of other clusters
		usual := c.Exports
		c.Exports = func(store, cluster string) ([]*export.Place, error) {
			places, err := usual(store, cluster)
			if err != nil {
				return nil, err
			}
			others, err := placesAt(other, storeIdentity)
			if cluster == "main" && store == "" {
				return append(places, others...), err
			}
			others = append(others, places...)
			if cluster == "" && store == "" { // looked at one after the other
				others = slices.Insert(others, 0, &export.Place{Store: awayStore{}})
			}
			return others, err
		}
	})
	e.run()
	e.make()
	m, want := e.export(), e.all()
	if all, err := e.fleet.ListExports(t.Context(), "acme"); err != nil || len(all) != 1 {
		t.Errorf("there are %d exports, %v", len(all), err)
	}
	beside := e.imports("beside", m.ID)
	e.await(beside.Operation, catalog.Done)
	if err := e.can("beside", beside.Password); err != nil {
		t.Error(err)
	}
	const rows = "select md5(string_agg(k::text, ',' order by id)) from keyed k"
	if a, b := value(t, e.server, "acme", rows), value(t, e.server, "beside", rows); a != b {
		t.Error("the rows differ")
	}
	e.gone("beside")
	e.gone("acme")
	made := e.imports("acme", m.ID)
	var busy *catalog.BusyError
	if _, err := e.fleet.ImportTenant(t.Context(), anna, fleet.NewTenant{Name: "acme", Export: m.ID}, false); !errors.As(err, &busy) || busy.Operation != made.Operation.ID {
		if !errors.Is(err, catalog.ErrExists) { // it was quick
			t.Errorf("a second import: %v", err)
		}
	}
	e.await(made.Operation, catalog.Done)
	if got := e.all(); got != want {
		t.Errorf("what is different:\n%s", difference(want, got))
	}
	if err := e.can("acme", made.Password); err != nil {
		t.Error(err)
	}
	if got := e.holds(); got != "acme|acme" {
		t.Errorf("there is %s", got)
	}
	e.lastExportIn(other)
	e.tidy()
}

// awayStore is a store that nobody can read.
type awayStore struct{ store.Store }

var errAway = errors.New("it is away")

func (awayStore) Get(context.Context, string, int64, int64) (io.ReadCloser, store.Info, error) {
	return nil, store.Info{}, errAway
}

func (awayStore) List(context.Context, string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) { yield(store.Info{}, errAway) }
}

// lastExportIn has the last export of acme go to a store of its own.
func (e *exporter) lastExportIn(path string) {
	e.t.Helper()
	err := e.catalog.Change(e.t.Context(), anna, func(tx *catalog.Tx) error {
		entry, err := tx.Entry(catalog.Tenant, "acme")
		if err != nil {
			return err
		}
		entry.Settings["export_store"] = "own"
		return tx.Update(catalog.Tenant, "acme", catalog.AnyRevision, entry.Settings)
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.wait("its store is known", func() bool {
		tenant, ok := e.fleet.Registry.Snapshot().Tenant("acme")
		return ok && tenant.Backup.Exports == "own"
	})
	o, err := e.fleet.DropTenant(e.t.Context(), anna, "acme", time.Hour)
	if err != nil {
		e.t.Fatal(err)
	}
	e.await(o, catalog.Done)
	place, err := placeAt(path, storeIdentity)
	if err != nil {
		e.t.Fatal(err)
	}
	if all, err := place.List(e.t.Context(), "acme"); err != nil || len(all) != 1 {
		e.t.Errorf("its own store has %d exports, %v", len(all), err)
	}
}

// importsWhereItIsStored looks where an export of main may come to: without more being said
// to no cluster that is backed up elsewhere.
func (e *exporter) importsWhereItIsStored(id string) {
	e.t.Helper()
	if _, err := e.fleet.PutEntry(e.t.Context(), anna, catalog.Cluster, "abroad", 0, catalog.Settings{"store": "eu"}); err != nil {
		e.t.Fatal(err)
	}
	inEU := newFleet(e.t.Context(), "eu", e.key.Load, e.catalog, e.admins, e.pooler, e.log, nil, withStore(e.store), func(c *fleet.Config) {
		usual := c.Exports
		c.Exports = func(store, cluster string) ([]*export.Place, error) {
			places, err := usual(store, cluster)
			for _, p := range places {
				p.Name = "eu"
			}
			return places, err
		}
	})
	for _, f := range []*fleet.Fleet{e.fleet, inEU} {
		e.wait("the cluster is known", func() bool { _, ok := f.Registry.Snapshot().Cluster("abroad"); return ok })
	}
	for _, test := range []struct {
		f             *fleet.Fleet
		cluster       string
		another       bool
		comesTo, says string
	}{
		{e.fleet, "abroad", false, "", `is in store "default": where its data may go there, say --another-store`},
		{e.fleet, "abroad", true, "abroad", ""},
		{e.fleet, "", false, "main", ""}, // though abroad has fewer tenants
		{e.fleet, "", true, "abroad", ""},
		{inEU, "abroad", false, "abroad", ""},
		{inEU, "main", false, "main", ""}, // where it was
	} {
		n := fleet.NewTenant{Name: "new", Export: id, Cluster: test.cluster, AnotherStore: test.another}
		made, err := test.f.ImportTenant(e.t.Context(), anna, n, true)
		if test.says != "" {
			if err == nil || !strings.Contains(err.Error(), test.says) {
				e.t.Errorf("%+v: %v", n, err)
			}
		} else if err != nil || made.Cluster != test.comesTo {
			e.t.Errorf("%+v: %+v, %v", n, made, err)
		}
	}
}

// What cannot be imported is told before anything is done.
func TestImportRefuses(t *testing.T) {
	e := newExporter(t)
	e.run()
	e.make()
	m := e.export()
	newer := e.forge(func(m *export.Manifest) { m.Server = 99 })
	icu := e.forge(func(m *export.Manifest) { m.Provider = "icu" })
	lacking := e.forge(func(m *export.Manifest) { m.Extensions = []string{"no_such"} })
	refused := func(f *fleet.Fleet, n fleet.NewTenant, says string) {
		t.Helper()
		for _, dry := range []bool{true, false} {
			if _, err := f.ImportTenant(t.Context(), anna, n, dry); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%+v: %v, want %q", n, err, says)
			}
		}
	}
	refused(e.fleet, fleet.NewTenant{Name: "new", Export: "acme.20260131T120000Z.abcdef"}, "not found")
	refused(e.fleet, fleet.NewTenant{Name: "new", Export: "../acme"}, "no export's id")
	refused(e.fleet, fleet.NewTenant{Name: "new", Export: newer}, "is of PostgreSQL 99")
	refused(e.fleet, fleet.NewTenant{Name: "new", Export: icu}, "a locale of icu")
	refused(e.fleet, fleet.NewTenant{Name: "new", Export: lacking}, "has no extension no_such")
	refused(e.fleet, fleet.NewTenant{Name: "acme", Export: m.ID}, "exists")
	refused(e.fleet, fleet.NewTenant{Name: "new", Database: "acme", Export: m.ID}, `tenant "acme"'s`)
	refused(e.fleet, fleet.NewTenant{Name: "catalog", Export: m.ID}, "though no tenant's")
	refused(e.fleet, fleet.NewTenant{Name: "a b", Export: m.ID}, "character")
	refused(e.fleet, fleet.NewTenant{Name: "new", Export: m.ID, Cluster: "nowhere"}, "nowhere")
	refused(e.fleet, fleet.NewTenant{Name: "new", Export: m.ID, Neutralise: "a bit"}, "none of auto")
	e.importsWhereItIsStored(m.ID)
	two := newFleet(t.Context(), "two", e.key.Load, e.catalog, append(slices.Clone(e.admins), servers.Lend(t).AdminURL(postgres.Superuser)), e.pooler, e.log, nil, withStore(e.store))
	for name, id := range map[string]string{"is of PostgreSQL 99": newer, "has no extension no_such": lacking} { // of both clusters it is said why
		_, err := two.ImportTenant(t.Context(), anna, fleet.NewTenant{Name: "new", Export: id}, false)
		if err == nil || strings.Count(err.Error(), name) != 2 || !strings.Contains(err.Error(), `"main"`) || !strings.Contains(err.Error(), `"other"`) {
			t.Errorf("two clusters, %s: %v", name, err)
		}
	}
	another, _, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for identity, says := range map[string]string{"": "set identity_file", another: "sealed for others"} {
		f := newFleet(t.Context(), "other", e.key.Load, e.catalog, e.admins, e.pooler, e.log, nil, func(c *fleet.Config) {
			c.Exports = func(string, string) ([]*export.Place, error) { return placesAt(e.store, identity) }
		})
		refused(f, fleet.NewTenant{Name: "new", Export: m.ID}, says)
	}
	if got := e.holds(); got != "acme|acme" {
		t.Errorf("there is %s", got)
	}
}

// An Odoo that is imported goes on as what it was, or is a copy where that is asked for:
// then nobody can see it before it is neutralised, and one that cannot be leaves nothing.
func TestImportOfOdoo(t *testing.T) {
	e := newExporter(t)
	e.run()
	e.make()
	e.do("acme", "set role acme", odoo17(t))
	m := e.export()
	for _, test := range []struct {
		name  string
		way   odoo.Way
		quiet string
	}{{"live", "", "3 not"}, {"same", odoo.None, "3 not"}, {"staging", odoo.Auto, "1 true"}} {
		plan, err := e.fleet.ImportTenant(t.Context(), anna, fleet.NewTenant{Name: test.name, Export: m.ID, Neutralise: test.way}, true)
		if err != nil || strings.Contains(strings.Join(plan.Steps, ";"), "neutralise") != (test.quiet == "1 true") {
			t.Errorf("%s: dry run %+v, %v", test.name, plan, err)
		}
		made, err := e.fleet.ImportTenant(t.Context(), anna, fleet.NewTenant{Name: test.name, Export: m.ID, Neutralise: test.way}, false)
		if err != nil {
			t.Fatal(err)
		}
		o := e.await(made.Operation, catalog.Done)
		entry, err := e.catalog.Entry(t.Context(), catalog.Tenant, test.name)
		if err != nil {
			t.Fatal(err)
		}
		uuid := "old"
		if test.way == odoo.Auto {
			uuid = entry.ID
		}
		if got := value(t, e.server, test.name, quiet) + " " + value(t, e.server, test.name, newUUID); got != test.quiet+" "+uuid {
			t.Errorf("%s: active crons, neutralised and uuid are %s", test.name, got)
		}
		if strings.Contains(string(o.Result), `"odoo": "17.0.1.3"`) != (test.way == odoo.Auto) {
			t.Errorf("%s: the job says %s", test.name, o.Result)
		}
		if err := e.can(test.name, made.Password); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	e.do("acme", "set role acme", "alter table public.ir_mail_server add needed int not null default 1", "alter table public.ir_mail_server alter needed drop default")
	m = e.export()
	before := e.holds()
	made, err := e.fleet.ImportTenant(t.Context(), anna, fleet.NewTenant{Name: "bad", Export: m.ID, Neutralise: odoo.BuiltIn}, false)
	if err != nil {
		t.Fatal(err)
	}
	if o := e.await(made.Operation, catalog.Failed); !strings.Contains(o.Error, "cannot be neutralised") {
		t.Errorf("what cannot be neutralised: %s", o.Error)
	}
	if got := e.holds(); got != before {
		t.Errorf("there is %s, before %s", got, before)
	}
	e.tidy()
}

// forge stores an export that is none, and returns its id.
func (e *exporter) forge(change func(*export.Manifest)) string {
	e.t.Helper()
	folder := e.t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "toc.dat"), []byte("nothing"), 0o600); err != nil {
		e.t.Fatal(err)
	}
	id, err := export.NewID("acme", time.Now())
	if err != nil {
		e.t.Fatal(err)
	}
	m := export.Manifest{ID: id, Tenant: "acme", Server: 15, Taken: time.Now(), Encoding: "UTF8", Collate: "C", CType: "C", Provider: "libc", Extensions: []string{}}
	change(&m)
	if _, err := e.place().Put(e.t.Context(), m, folder, []string{"toc.dat"}, nil); err != nil {
		e.t.Fatal(err)
	}
	return id
}

// An import that cannot be ended leaves nothing: of one whose dump is none, whose locale
// is none, and of one that is damaged in the store.
func TestImportFails(t *testing.T) {
	e := newExporter(t)
	e.run()
	e.make()
	m := e.export()
	failed := func(id, says string) {
		t.Helper()
		if o := e.await(e.imports("new", id).Operation, catalog.Failed); !strings.Contains(o.Error, says) {
			t.Errorf("it failed with %s, want %q", o.Error, says)
		}
		if got := e.holds(); got != "acme|acme" {
			t.Errorf("%s: there is %s", says, got)
		}
		e.tidy()
	}
	failed(e.forge(func(*export.Manifest) {}), "none of pg_dump's")
	failed(e.forge(func(m *export.Manifest) { m.Collate = "xx_XX.UTF-8" }), "locale")
	key := fmt.Sprintf("exports/data/%s/%s/%06d", m.ID, m.Attempt, len(m.Parts)-1)
	r, _, err := e.place().Store.Get(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	if _, err := whole.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	r.Close()
	whole.Bytes()[whole.Len()/2] ^= 1
	if err := e.place().Store.Put(t.Context(), key, whole.Bytes(), nil); err != nil {
		t.Fatal(err)
	}
	failed(m.ID, "damaged")
}

// What a tenant has put into its database, to be run by who restores an export of it, is
// run by the new tenant's own role, which may not.
func TestHostileImport(t *testing.T) {
	e := newExporter(t)
	e.run()
	e.make()
	open := wiretest.ServerDir(t)
	if err := os.Chmod(open, 0o777); err != nil { // the server's user could leave a mark there
		t.Fatal(err)
	}
	mark := filepath.Join(open, "mark")
	var controls []*export.Manifest
	for what, refused := range map[string]string{
		"copy (select 1) to program 'touch " + mark + "'": "pg_execute_server_program",
		"execute 'alter role new superuser'":              "must be superuser",
	} {
		as(t, e.server, "acme", e.password, `set search_path = public; drop table if exists bait;
			create or replace function g() returns int volatile language sql as 'select 1';
			create or replace function f(i int) returns int immutable language plpgsql as 'begin return i + public.g(); end';
			create table bait (i int); create index on bait (f(i)); insert into bait values (1);
			create or replace function g() returns int volatile language plpgsql as $$ begin `+what+`; return 1; end $$`)
		m := e.export()
		if o := e.await(e.imports("new", m.ID).Operation, catalog.Failed); !strings.Contains(o.Error, refused) {
			t.Errorf("%s: it failed with %s", what, o.Error)
		}
		if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
			t.Error("its program ran")
		}
		if got := e.holds(); got != "acme|acme" {
			t.Errorf("%s: there is %s", what, got)
		}
		controls = append(controls, m)
	}
	for _, m := range controls {
		e.asSuperuser(m)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the bait is none: a superuser's restore does not run it: %v", err)
	}
}

// asSuperuser restores an export as it must never be, beside a role that the bait is for.
func (e *exporter) asSuperuser(m *export.Manifest) {
	e.t.Helper()
	e.exec("create database wrong", "create role new")
	defer e.exec("drop database wrong", "drop role new")
	scratch, err := dump.MakeScratch(e.store+"-wrong", 0)
	if err != nil {
		e.t.Fatal(err)
	}
	defer scratch.Remove()
	tools, err := postgres.FindClient(m.Server)
	if err == nil {
		err = os.Mkdir(scratch.Data(), 0o700)
	}
	if err == nil {
		err = e.place().Fetch(e.t.Context(), m, scratch.Data(), nil)
	}
	if err != nil {
		e.t.Fatal(err)
	}
	login, err := dump.ParseLogin(e.server.AdminURL("wrong"))
	if err != nil {
		e.t.Fatal(err)
	}
	conn, err := pgx.Connect(e.t.Context(), login.String())
	if err != nil {
		e.t.Fatal(err)
	}
	defer conn.Close(e.t.Context())
	if _, err := conn.Exec(e.t.Context(), "create extension unaccent; create extension pg_trgm; alter function unaccent(text) immutable"); err != nil {
		e.t.Fatal(err)
	}
	if err := conn.Close(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	if err := dump.Restore(e.t.Context(), dump.In{Tools: tools, Into: login}, scratch); err != nil {
		e.t.Error(err)
	}
}

func (e *exporter) exec(statements ...string) {
	e.t.Helper()
	if err := e.server.Exec(e.t.Context(), postgres.Superuser, statements...); err != nil {
		e.t.Fatal(err)
	}
}

// An import during which PostgreSQL dies goes on when it is back.
func TestImportGoesOnWhenPostgresDies(t *testing.T) {
	var e *exporter
	var once sync.Once
	e = newExporter(t, func(c *fleet.Config) {
		c.Stepped = func(kind, step string, begun bool) {
			if kind != "import" || step != "restore" || !begun {
				return
			}
			once.Do(func() {
				e.server.Kill()
				time.AfterFunc(300*time.Millisecond, func() {
					if err := e.server.Start(t.Context()); err != nil {
						t.Error(err)
					}
				})
			})
		}
	})
	e.run()
	e.make()
	m := e.export()
	made := e.imports("new", m.ID)
	e.wait("the import is done", func() bool {
		o, err := e.catalog.Operation(t.Context(), made.Operation.ID)
		if err == nil && o.State.Ended() && o.State != catalog.Done || err == nil && o.State == catalog.Attention {
			t.Fatalf("it is %s: %s", o.State, o.Error)
		}
		return err == nil && o.State == catalog.Done
	})
	if err := e.can("new", made.Password); err != nil {
		t.Error(err)
	}
	if got := e.holds(); got != "acme new|acme new" {
		t.Errorf("there is %s", got)
	}
	e.tidy()
}

// An export for which the store, or the folder on the way, has no room leaves nothing.
func TestExportOnFullDisks(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	where := ""
	e := newExporter(t, func(c *fleet.Config) {
		usual := c.Exports
		c.Exports = func(store, cluster string) ([]*export.Place, error) {
			if where != "" {
				return placesAt(where, storeIdentity)
			}
			return usual(store, cluster)
		}
	})
	e.run()
	e.make()
	as(t, e.server, "acme", e.password, "create table public.large as select md5(i::text) from generate_series(1, 200000) i")
	small := filepath.Join(wiretest.ServerDir(t), "small")
	if err := os.Mkdir(small, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, 0); err != nil {
			t.Error(err)
		}
	})
	other := func(change func(*fleet.Config)) *fleet.Fleet {
		return newFleet(t.Context(), "small", e.key.Load, e.catalog, e.admins, e.pooler, e.log, nil, withStore(e.store), change)
	}
	crowded := other(func(c *fleet.Config) { c.Scratch = small })
	if _, err := crowded.ExportTenant(t.Context(), anna, "acme", false); err == nil || !strings.Contains(err.Error(), "set scratch_dir to another disk") {
		t.Errorf("no room on the way: %v", err)
	}
	whole := e.export()
	if _, err := crowded.ImportTenant(t.Context(), anna, fleet.NewTenant{Name: "new", Export: whole.ID}, false); err == nil || !strings.Contains(err.Error(), "set scratch_dir to another disk") {
		t.Errorf("no room on the way: %v", err)
	}
	at := filepath.Join(small, "store")
	if err := store.MakeDir(at); err != nil {
		t.Fatal(err)
	}
	where = at
	made, err := e.fleet.ExportTenant(t.Context(), anna, "acme", false)
	if err != nil {
		t.Fatal(err)
	}
	if o := e.await(made.Operation, catalog.Failed); !strings.Contains(o.Error, "full") {
		t.Errorf("it failed with %s", o.Error)
	}
	e.tidy()
	e.store = at
	for _, key := range e.keys() {
		if strings.HasPrefix(key, "exports/data/") {
			t.Errorf("the store has %s", key)
		}
	}
}

// TestExportCrashSoak has a node die by KILL at moments of an export, of an import, and of
// the export and the drop of a suspended tenant, and another go on. With HOWDAH_SOAK it is at every moment.
func TestExportCrashSoak(t *testing.T) {
	every := 5
	if os.Getenv("HOWDAH_SOAK") != "" {
		every = 1
	}
	e := newExporter(t)
	made, err := e.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	if err != nil {
		t.Fatal(err)
	}
	e.node(made.Operation, -1)
	as(t, e.server, "acme", made.Password, contents)
	want := e.all()
	for crash, more := 0, true; more; crash += every {
		more = false
		run := func(o *catalog.Operation) {
			t.Helper()
			if e.node(o, crash) {
				more = true
				e.node(o, -1)
			}
		}
		exported, err := e.fleet.ExportTenant(t.Context(), anna, "acme", false)
		if err != nil {
			t.Fatal(err)
		}
		run(exported.Operation)
		m, err := e.place().Verify(t.Context(), exported.Export, nil)
		if err != nil {
			t.Fatalf("crash %d: %v", crash, err)
		}
		if keys := e.keys(); len(keys) != len(m.Parts)+1 {
			t.Errorf("crash %d: the store has %v", crash, keys)
		}
		name := "t" + strconv.Itoa(crash)
		imported := e.imports(name, m.ID)
		run(imported.Operation)
		if err := e.can(name, imported.Password); err != nil {
			t.Errorf("crash %d: %v", crash, err)
		}
		if got := e.holds(); got != "acme "+name+"|acme "+name {
			t.Errorf("crash %d: there is %s", crash, got)
		}
		const rows = "select md5(string_agg(k::text, ',' order by id)) from keyed k"
		if a, b := value(t, e.server, "acme", rows), value(t, e.server, name, rows); a != b {
			t.Errorf("crash %d: the rows differ", crash)
		}
		suspended, err := e.fleet.SuspendTenant(t.Context(), anna, name)
		if err != nil {
			t.Fatal(err)
		}
		e.node(suspended, -1)
		if exported, err = e.fleet.ExportTenant(t.Context(), anna, name, false); err != nil {
			t.Fatal(err)
		}
		run(exported.Operation)
		if got := value(t, e.server, "postgres", closedAs+"'"+name+"'"); got != "f -1 suspended" {
			t.Errorf("crash %d: exported, the suspended database is %s", crash, got)
		}
		e.unstore(exported.Export)
		dropped, err := e.fleet.DropTenant(t.Context(), anna, name, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		run(dropped)
		last, err := e.place().List(t.Context(), name)
		if err != nil || len(last) != 1 {
			t.Fatalf("crash %d: of the dropped tenant there is %+v, %v", crash, last, err)
		}
		if _, err := e.place().Verify(t.Context(), last[0].ID, nil); err != nil {
			t.Error(err)
		}
		if got := e.holds(); got != "acme howdah_drop_"+dropped.ID+"|acme "+name {
			t.Errorf("crash %d: dropped, there is %s", crash, got)
		}
		if open := value(t, e.server, "postgres", "select datallowconn::text from pg_database where datname = 'howdah_drop_"+dropped.ID+"'"); open != "false" {
			t.Errorf("crash %d: the dropped database lets somebody in", crash)
		}
		if dropped, err = e.fleet.PurgeTenant(t.Context(), anna, name); err != nil {
			t.Fatal(err)
		}
		e.node(dropped, -1)
		e.unstore(m.ID)
		e.unstore(last[0].ID)
		e.tidy()
	}
	if got := e.all(); got != want {
		t.Errorf("what is different in the exported tenant:\n%s", difference(want, got))
	}
}

// unstore has the store be as if an export had never been.
func (e *exporter) unstore(id string) {
	e.t.Helper()
	if err := e.place().Remove(e.t.Context(), id); err != nil {
		e.t.Fatal(err)
	}
	if err := e.place().Store.Delete(e.t.Context(), "exports/manifests/"+id); err != nil {
		e.t.Fatal(err)
	}
}
