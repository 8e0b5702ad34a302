package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/fleet"
	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/wal"
	"howdah/provision/odoo"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// repositoryAt returns what the store at path has of a cluster.
func repositoryAt(path, cluster, identity string) (*repository.Repository, error) {
	place, err := placeAt(path, identity)
	if err != nil {
		return nil, err
	}
	return &repository.Repository{Store: place.Store, Sealer: place.Sealer, Cluster: cluster}, nil
}

// withRepository has the store at path have the clusters' WAL and base backups.
func withRepository(path string) func(*fleet.Config) {
	return func(c *fleet.Config) {
		if path == "" {
			return
		}
		c.Repository = func(cluster string) (*repository.Repository, error) {
			return repositoryAt(path, cluster, storeIdentity)
		}
		c.ArchiveGet = []string{os.Args[0], "get"}
	}
}

// vault is a house whose cluster's WAL is stored.
type vault struct {
	*exporter
	repo   *repository.Repository
	others []*postgres.Server
	odoo   string // a folder for Odoo's files
}

func newVault(t *testing.T, others ...*postgres.Server) *vault {
	t.Helper()
	return newVaultAt(t, servers.Lend(t), others...)
}

// newVaultAt is newVault with a server that has nothing yet.
func newVaultAt(t *testing.T, s *postgres.Server, others ...*postgres.Server) *vault {
	t.Helper()
	v := &vault{exporter: newExporterOf(newHouseAt(t, s, others...)), others: others, odoo: wiretest.ServerDir(t)}
	t.Setenv("TMPDIR", wiretest.ServerDir(t)) // in which nobody else has anything
	withRepository(v.store)(&v.fleet.Config)
	var err error
	if v.repo, err = repositoryAt(v.store, "main", storeIdentity); err != nil {
		t.Fatal(err)
	}
	v.receive()
	v.wait("for whose repository it is", func() bool { _, err := v.repo.Identity(t.Context()); return err == nil })
	return v
}

// receive has the WAL be stored until the test ends.
func (v *vault) receive() {
	url := func() string { return v.server.AdminURL("postgres") }
	r := &wal.Receiver{Repo: v.repo, URL: url, SampleURL: url, Interval: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx) // until it is told to end
	}()
	v.t.Cleanup(func() { cancel(); <-done })
}

// backUp takes a base backup.
func (v *vault) backUp() *base.Manifest {
	v.t.Helper()
	ctx := v.t.Context()
	c, err := replication.Connect(ctx, v.server.AdminURL("postgres"))
	if err != nil {
		v.t.Fatal(err)
	}
	defer c.Close(context.Background())
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) { // until the receiver has its slot
		if value(v.t, v.server, "postgres", "select count(*)::text from pg_replication_slots where active") == "1" {
			break
		} else if time.Now().After(end) {
			v.t.Fatal("nobody receives the WAL")
		}
	}
	m, err := base.Take(ctx, v.repo, c, v.databases, base.Options{})
	if err != nil {
		v.t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		contents, err := wal.List(ctx, v.repo)
		if err == nil {
			_, err = contents.Reaches(replication.Position(m.Start), m.Stop.LSN, m.Stop.Timeline)
		}
		if err == nil {
			break
		} else if time.Now().After(end) {
			v.t.Fatal(err)
		}
	}
	if err := base.Commit(ctx, v.repo, m); err != nil {
		v.t.Fatal(err)
	}
	return m
}

func (v *vault) databases(ctx context.Context) (map[uint32]string, error) {
	conn, err := pgx.Connect(ctx, v.server.AdminURL("postgres"))
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(ctx, "select oid, datname::text from pg_database")
	if err != nil {
		return nil, err
	}
	all := map[uint32]string{}
	var oid uint32
	var name string
	_, err = pgx.ForEachRow(rows, []any{&oid, &name}, func() error { all[oid] = name; return nil })
	return all, err
}

// now is a moment with no commit close to it, by the server's clock.
func (v *vault) now() string {
	v.t.Helper()
	time.Sleep(20 * time.Millisecond)
	text := value(v.t, v.server, "postgres", `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`)
	time.Sleep(20 * time.Millisecond)
	return text
}

// restores restores a tenant beside itself.
func (v *vault) restores(name string, n fleet.NewRestore) (*fleet.Restoring, *catalog.Operation) {
	v.t.Helper()
	made, err := v.fleet.RestoreTenant(v.t.Context(), anna, name, n, false)
	if err != nil {
		v.t.Fatal(err)
	}
	return made, v.await(made.Operation, catalog.Done)
}

// tidy is the exporter's, and looks for what a recovery leaves.
func (v *vault) tidy() {
	v.t.Helper()
	v.exporter.tidy()
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		v.t.Errorf("scratch folders are left: %v, %v", left, err)
	}
}

// keyedRows is what the table of that name has.
const keyedRows = "select count(*) || ' ' || coalesce(md5(string_agg(k::text, ',' order by id)), '') from keyed k"

// Restores of tenants to a moment, one after the other with the same cluster.
func TestRestore(t *testing.T) { testRestore(t, newVault(t)) }

// The same with the newest major version.
func TestRestoreNewestSoak(t *testing.T) {
	testRestore(t, newVaultAt(t, newestServer(t)))
}

func newestServer(t *testing.T) *postgres.Server {
	return wiretest.StartPostgresOf(t, wiretest.NewestPostgres(t))
}

func testRestore(t *testing.T, v *vault) {
	f := v.filesOf()
	v.run()
	v.make()
	unborn := v.now()
	v.refuses(unborn, map[string]fleet.NewRestore{"no base backup": {}})
	taken := v.backUp()
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"held", func(t *testing.T) { v.testHeld(t, taken) }},
		{"beside", v.testBeside},
		{"refused", func(t *testing.T) { v.testRefused(t, unborn) }},
		{"renamed and born", v.testFound},
		{"files", f.testFiles},
		{"Odoo", f.testOdoo},
		{"hostile", v.testHostile},
	} {
		if !t.Run(part.name, part.test) {
			return // the others would be misled
		}
	}
	v.tidy()
}

// A tenant is restored beside itself: with all that it had then, and nothing that came later.
func (v *vault) testBeside(t *testing.T) {
	goOn := v.works(t, "globex")
	as(t, v.server, "acme", v.password, "insert into keyed (name) values ('before')")
	as(t, v.server, "acme", v.password, "vacuum (freeze) keyed")
	want := value(t, v.server, "acme", keyedRows)
	at := v.now()
	as(t, v.server, "acme", v.password, "delete from keyed where id > 100; drop table bare; insert into keyed (name) values ('after')")
	after := value(t, v.server, "acme", keyedRows)

	plan, err := v.fleet.RestoreTenant(t.Context(), anna, "acme", fleet.NewRestore{To: at}, true)
	if err != nil || plan.Operation != nil || plan.Password != "" || len(plan.Steps) == 0 || plan.Fetch == 0 || plan.WAL == 0 || plan.Room == 0 || plan.About == 0 {
		t.Fatalf("dry run: %+v, %v", plan, err)
	}
	made, o := v.restores("acme", fleet.NewRestore{To: at})
	goOn()
	if made.Name != "acme_restored" || made.Fetch != plan.Fetch {
		t.Errorf("it is %+v", made)
	}
	if got := value(t, v.server, "acme_restored", keyedRows); got != want {
		t.Errorf("it has %s, not %s", got, want)
	}
	if got := value(t, v.server, "acme_restored", "select count(*)::text from bare"); got != "100" {
		t.Errorf("the table that was dropped has %s rows", got)
	}
	if got := value(t, v.server, "acme", keyedRows); got != after {
		t.Errorf("the tenant has %s, and had %s", got, after)
	}
	if err := v.can("acme_restored", made.Password); err != nil {
		t.Error(err)
	}
	owners := "select string_agg(distinct relowner::regrole::text, ' ') from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
	if got := value(t, v.server, "acme_restored", owners); got != "acme_restored" {
		t.Errorf("tables are %s's", got)
	}
	settings := "select coalesce(string_agg(setconfig::text, ' '), '') from pg_db_role_setting where setdatabase = (select oid from pg_database where datname = 'acme_restored')"
	if got := value(t, v.server, "acme_restored", settings); !strings.Contains(got, "extra_float_digits=0") || !strings.Contains(got, "search_path") {
		t.Errorf("its settings are %s", got)
	}
	if !strings.Contains(string(o.Result), plan.Base) || !strings.Contains(string(o.Result), "seconds") {
		t.Errorf("the job says %s", o.Result)
	}
	v.gone("acme_restored")
}

// works has another tenant work, with all that a recovery without its files may meet, until
// goOn, which tells of what has gone wrong.
func (v *vault) works(t *testing.T, name string) (goOn func()) {
	t.Helper()
	made, err := v.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: name}, false)
	if err != nil {
		t.Fatal(err)
	}
	v.await(made.Operation, catalog.Done)
	as(t, v.server, name, made.Password, "create table works (n int primary key, what text); create table times (n int); insert into times values (0)")
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			err := v.server.Exec(context.Background(), name, fmt.Sprintf("insert into works select i, repeat('x', i) from generate_series(%d, %d) i", 100*n, 100*n+99),
				"update works set what = what || '!' where n % 3 = 0", "vacuum (freeze) works", "create table passing as select * from works", "drop table passing", "update times set n = n + 1")
			select {
			case <-stop:
				failed <- err
				return
			default:
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	return func() {
		t.Helper()
		close(stop)
		if err := <-failed; err != nil {
			t.Errorf("another tenant's work meanwhile: %v", err)
		}
		if got := value(t, v.server, name, "select ((select count(*) from works) = 100 * n and n > 0)::text from times"); got != "true" {
			t.Error("another tenant's work meanwhile is not whole")
		}
		v.gone(name)
	}
}

// refuses has restores of acme be refused, each for the reason that is its key.
func (v *vault) refuses(at string, all map[string]fleet.NewRestore) {
	v.t.Helper()
	for says, n := range all {
		if n.To == "" {
			n.To = at
		}
		v.refusesAs(v.fleet, "acme", n, says)
	}
}

func (v *vault) refusesAs(f *fleet.Fleet, name string, n fleet.NewRestore, says string) {
	v.t.Helper()
	before := v.holds()
	for _, dry := range []bool{true, false} {
		if _, err := f.RestoreTenant(v.t.Context(), anna, name, n, dry); err == nil || !strings.Contains(err.Error(), says) {
			v.t.Errorf("%+v: %v, want %q", n, err, says)
		}
	}
	if got := v.holds(); got != before {
		v.t.Errorf("there is %s, before %s", got, before)
	}
}

// What cannot be restored is refused before anything is changed.
func (v *vault) testRefused(t *testing.T, unborn string) {
	at := v.now()
	v.refuses(at, map[string]fleet.NewRestore{
		"ended at":                {To: unborn},
		"in the future":           {To: time.Now().Add(time.Hour).UTC().Format(time.RFC3339)},
		"time zone":               {To: "2026-01-31 10:42:00"},
		"neither latest":          {To: "yesterday"},
		"exists":                  {As: "acme"},
		"capital letter":          {As: "A b"},
		"though no tenant's":      {As: "catalog"},
		"none of auto":            {Neutralise: "a bit"},
		"keeps the tenant's name": {Swap: true, As: "other"},
		"keeps the tenant's user": {Swap: true, Password: "other"},
		"is not neutralised":      {Swap: true, Neutralise: odoo.Auto},
	})
	v.refusesAs(v.fleet, "globex", fleet.NewRestore{To: at}, "not found")
	another, _, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for identity, says := range map[string]string{"": "set identity_file", another: "sealed for others"} {
		f := newFleet(t.Context(), "other", v.key.Load, v.catalog, v.admins, v.pooler, v.log, nil, withRepository(v.store), func(c *fleet.Config) {
			c.Repository = func(cluster string) (*repository.Repository, error) { return repositoryAt(v.store, cluster, identity) }
		})
		v.refusesAs(f, "acme", fleet.NewRestore{To: at}, says)
	}
	none := newFleet(t.Context(), "none", v.key.Load, v.catalog, v.admins, v.pooler, v.log, nil)
	v.refusesAs(none, "acme", fleet.NewRestore{To: at}, "nothing to restore from")
	foreign := newFleet(t.Context(), "foreign", v.key.Load, v.catalog, v.admins, v.pooler, v.log, nil, withRepository(v.store), func(c *fleet.Config) {
		c.Repository = func(string) (*repository.Repository, error) { return repositoryAt(v.store, "another", storeIdentity) }
	})
	v.refusesAs(foreign, "acme", fleet.NewRestore{To: at}, "nothing has ever been backed up")
	v.refusesForLackOfRoom(at)
	provider := func(letter string) {
		err := v.server.Exec(t.Context(), postgres.Superuser, "update pg_database set datlocprovider = '"+letter+"' where datname = 'acme'")
		if err != nil {
			t.Fatal(err)
		}
	}
	provider("i")
	defer provider("c")
	v.refuses(at, map[string]fleet.NewRestore{"a locale of icu": {}})
	v.refuses(at, map[string]fleet.NewRestore{"a locale of icu": {Swap: true}})
}

// refusesForLackOfRoom has a restore be refused that would not have room for what it unpacks.
func (v *vault) refusesForLackOfRoom(at string) {
	v.t.Helper()
	if os.Geteuid() != 0 {
		return // only root can mount a small file system
	}
	small, err := os.MkdirTemp("", "small") // gone before anybody looks what is left
	if err != nil {
		v.t.Fatal(err)
	}
	defer os.Remove(small)
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=4m"); err != nil {
		v.t.Logf("cannot mount a small file system: %v", err)
		return
	}
	defer func() {
		if err := syscall.Unmount(small, 0); err != nil {
			v.t.Error(err)
		}
	}()
	f := newFleet(v.t.Context(), "small", v.key.Load, v.catalog, v.admins, v.pooler, v.log, nil, withRepository(v.store), func(c *fleet.Config) { c.Scratch = small })
	v.refusesAs(f, "acme", fleet.NewRestore{To: at}, "set scratch_dir to another disk")
}

// A tenant that was renamed since is found, one that was born behind the base backup too, and
// of one that was not there then it is said.
func (v *vault) testFound(t *testing.T) {
	want := value(t, v.server, "acme", keyedRows)
	at := v.now()
	v.renames("acme", "umbrella")
	born, err := v.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	if err != nil {
		t.Fatal(err)
	}
	v.await(born.Operation, catalog.Done)
	as(t, v.server, "acme", born.Password, "create table keyed (id serial primary key, name text); insert into keyed (name) values ('another')")
	v.restores("umbrella", fleet.NewRestore{To: at, As: "was"})
	if got := value(t, v.server, "was", keyedRows); got != want {
		t.Errorf("of one that was renamed there is %s, not %s", got, want)
	}
	v.restores("acme", fleet.NewRestore{To: "latest"}) // which a commit is made for
	if got, want := value(t, v.server, "acme_restored", keyedRows), value(t, v.server, "acme", keyedRows); got != want {
		t.Errorf("of one that was born there is %s, not %s", got, want)
	}
	before := v.holds()
	made, err := v.fleet.RestoreTenant(t.Context(), anna, "acme", fleet.NewRestore{To: at, As: "unborn"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if o := v.await(made.Operation, catalog.Failed); !strings.Contains(o.Error, "no such database then") {
		t.Errorf("of one that was not there: %s", o.Error)
	}
	if got := v.holds(); got != before {
		t.Errorf("there is %s, before %s", got, before)
	}
	for _, name := range []string{"was", "acme_restored", "acme"} {
		v.gone(name)
	}
	v.renames("umbrella", "acme")
}

func (v *vault) renames(name, to string) {
	v.t.Helper()
	made, err := v.fleet.RenameTenant(v.t.Context(), anna, name, to, "", false)
	if err != nil {
		v.t.Fatal(err)
	}
	v.await(made.Operation, catalog.Done)
}

// An Odoo that is restored beside is a copy, and neutralised. What goes wrong with its files
// is told, and ends no restore.
func (f *files) testOdoo(t *testing.T) {
	v := f.vault
	f.known.Store(filepath.Join(f.dir, "none"))
	defer f.known.Store("")
	v.do("acme", "set role acme", odoo17(t))
	f.attach("acme", "of Odoo")
	at := v.now()
	_, o := v.restores("acme", fleet.NewRestore{To: at, As: "staging"})
	if b := f.told(o).Filestore; b.Into != "" || b.Command == "" || b.Missing != 1 || !strings.Contains(b.Trouble, "no such file") {
		t.Errorf("without a disk it tells %s", o.Result)
	}
	if got := value(t, v.server, "staging", quiet); got != "1 true" {
		t.Errorf("active crons and neutralised are %s", got)
	}
	v.gone("staging")
}

// What a tenant has made runs as its role, whatever it tries: its restore fails without
// effect, and leaves nothing.
func (v *vault) testHostile(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	as(t, v.server, "acme", v.password, fmt.Sprintf(`create table public.trap (n int);
		create function public.spring() returns int language plpgsql as $$ begin
			begin execute 'copy (select 1) to program ''touch %s'''; exception when others then null; end;
			execute 'alter role ' || quote_ident(session_user) || ' superuser';
			return 1;
		end $$;
		create function public.sprung(n int) returns int language plpgsql immutable as $$ begin
			if current_database() <> 'acme' then perform public.spring(); end if;
			return n;
		end $$;
		create index on public.trap (public.sprung(n)); insert into public.trap values (1)`, mark))
	before := v.holds()
	made, err := v.fleet.RestoreTenant(t.Context(), anna, "acme", fleet.NewRestore{To: "latest"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if o := v.await(made.Operation, catalog.Failed); !strings.Contains(o.Error, "must be superuser") && !strings.Contains(o.Error, "permission denied") {
		t.Errorf("it fails with %s", o.Error)
	}
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Error("a program was run")
	}
	super := "select coalesce(string_agg(rolname, ' '), '') from pg_roles where rolsuper and rolname <> '" + postgres.Superuser + "'"
	if got := value(t, v.server, "postgres", super); got != "" {
		t.Errorf("superusers are %s", got)
	}
	if got := v.holds(); got != before {
		t.Errorf("there is %s, before %s", got, before)
	}
	as(t, v.server, "acme", v.password, "drop table public.trap")
}
