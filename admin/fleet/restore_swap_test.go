package fleet_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// unswaps swaps a tenant back.
func (v *vault) unswaps(name string) {
	v.t.Helper()
	plan, err := v.fleet.UndoRestore(v.t.Context(), anna, name, true)
	if err != nil || len(plan.Steps) == 0 || plan.Operation != nil {
		v.t.Fatalf("dry run: %+v, %v", plan, err)
	}
	made, err := v.fleet.UndoRestore(v.t.Context(), anna, name, false)
	if err != nil {
		v.t.Fatal(err)
	}
	v.await(made.Operation, catalog.Done)
}

// kept are the databases that are kept of a tenant.
func (v *vault) kept(name string) (n int) {
	v.t.Helper()
	all, err := v.catalog.DroppedTenants(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	for _, d := range all {
		if d.Name != name {
			continue
		}
		n++
		closed := "select count(*)::text from pg_database where oid = " + strconv.Itoa(int(d.OID)) + " and not datallowconn and datdba::regrole::text = '" + postgres.Superuser + "'"
		if got := value(v.t, v.server, "postgres", closed); got != "1" {
			v.t.Errorf("database %d, which is kept, is open, or is not Howdah's", d.OID)
		}
	}
	return n
}

// A tenant is swapped for what it was, back, and for what it was another time, before the
// first swap and behind it: its name, user, password, settings and rights stay, and what was
// there is kept.
func TestSwap(t *testing.T) { testSwap(t, newVault(t)) }

// The same with a newer major version.
func TestSwapNewestSoak(t *testing.T) { testSwap(t, newVaultAt(t, newestServer(t))) }

func testSwap(t *testing.T, v *vault) {
	v.run()
	v.make()
	v.backUp()
	e, err := v.catalog.Entry(t.Context(), catalog.Tenant, "acme")
	if err != nil {
		t.Fatal(err)
	}
	v.do("acme", "create role reader login", "grant connect on database acme to reader", "grant usage on schema own to reader", "set role acme",
		"alter default privileges in schema own grant select on tables to reader", `grant select on own."Odd Name" to reader`)
	v.do("postgres", "alter database acme connection limit 33", "alter role reader in database acme set search_path = own, public")
	first, before := v.now(), v.all()
	as(t, v.server, "acme", v.password, "delete from keyed where id > 200; drop table bare; alter database acme set work_mem = '9MB'")
	v.do("acme", "create role guest login", "grant select on keyed to guest")
	second := v.now()
	v.do("acme", "drop owned by guest", "drop role guest", "create role guest login") // for somebody else
	as(t, v.server, "acme", v.password, "insert into keyed (name) values ('last')")
	last := value(t, v.server, "acme", keyedRows)
	v.do("postgres", "alter role acme superuser")
	v.refusesAs(v.fleet, "acme", fleet.NewRestore{To: second, Swap: true}, "is a superuser")
	v.do("postgres", "alter role acme nosuperuser")
	_, held := v.pooler.holding()

	made, o := v.restores("acme", fleet.NewRestore{To: second, Swap: true})
	if got := value(t, v.server, "acme", "select has_table_privilege('guest', 'keyed', 'select')::text"); got != "false" || !strings.Contains(string(o.Result), "guest") {
		t.Errorf("another guest may read: %s; it is told %s", got, o.Result)
	}
	v.do("acme", "drop role guest")
	if made.Name != "acme" || made.User != "acme" || made.Password != "" || !made.Swap {
		t.Errorf("it is %+v", made)
	}
	if now, ever := v.pooler.holding(); now != 0 || len(ever) != len(held)+1 || ever[len(held)] != "acme" {
		t.Errorf("%d are held, and were %q, before the swap %q", now, ever, held)
	}
	if got := value(t, v.server, "acme", "select count(*)::text from keyed where name = 'last' or id between 201 and 1000"); got != "0" {
		t.Errorf("there are %s rows of before or after", got)
	}
	if err := v.can("acme", v.password); err != nil {
		t.Errorf("the password: %v", err)
	}
	as(t, v.server, "acme", v.password, "drop table kept; alter table keyed add extra int; alter table keyed drop extra") // which its owner may
	if n := v.kept("acme"); n != 1 {
		t.Errorf("%d databases are kept", n)
	}
	now, err := v.catalog.Entry(t.Context(), catalog.Tenant, "acme")
	if err != nil || now.ID != e.ID {
		t.Errorf("the entry is %+v, %v", now, err)
	}
	v.unswaps("acme")
	if got := value(t, v.server, "acme", keyedRows); got != last {
		t.Errorf("swapped back it has %s, not %s", got, last)
	}
	v.unswaps("acme") // and forth
	if got := value(t, v.server, "acme", "select count(*)::text from keyed where name = 'last'"); got != "0" {
		t.Error("it is not swapped forth again")
	}
	third := v.now() // the tenant has another database since
	as(t, v.server, "acme", v.password, "create table later (n int)")

	v.restores("acme", fleet.NewRestore{To: first, Swap: true})
	want := strings.Split(strings.Replace(before, "setting f t {extra_float_digits=0}", "setting f t {extra_float_digits=0,work_mem=9MB}", 1), "\n")
	for i, line := range strings.Split(v.all(), "\n") { // large objects' and roles' lines too
		if i < len(want) && line != want[i] {
			t.Errorf("there is %s\nand not %s", line, want[i])
		}
	}
	if got := value(t, v.server, "acme", "select pg_catalog.has_table_privilege('reader', 'own.\"Odd Name\"', 'select') || ' ' || has_database_privilege('reader', 'acme', 'connect') || ' ' || (select count(*) from pg_default_acl)"); got != "true true 1" {
		t.Errorf("the reader's rights are %s", got)
	}
	v.restores("acme", fleet.NewRestore{To: third, As: "third"})
	if got := value(t, v.server, "third", "select (to_regclass('public.later') is null and count(*) > 0)::text from keyed"); got != "true" {
		t.Errorf("what it was between the swaps is not restored: %s", got)
	}
	v.gone("third")
	if n := v.kept("acme"); n != 2 {
		t.Errorf("%d databases are kept", n)
	}
	if got, want := v.lineage(e.ID), "create acme, swap acme, unrestore acme, unrestore acme, swap acme, "; got != want {
		t.Errorf("recorded is %q, not %q", got, want)
	}
	for n := v.kept("acme"); n > 0; n-- {
		o, err := v.fleet.PurgeTenant(t.Context(), anna, "acme")
		if err != nil {
			t.Fatal(err)
		}
		v.await(o, catalog.Done)
	}
	if _, err := v.fleet.UndoRestore(t.Context(), anna, "acme", false); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("what is gone comes back: %v", err)
	}
	if got := v.holds(); got != "acme|acme reader" {
		t.Errorf("there is %s", got)
	}
	v.tidy()
}

// A node that dies at a moment of a restore that swaps, or of a swap back, has another go on:
// the outcome is the same, and nothing is left behind.
func TestCrashOfSwap(t *testing.T) {
	testCrashes(t, []int{13, 16, 19, 22}) // filled, handed over, exchanged, and about to be noted
}

// Of all moments, and of restores beside too.
func TestCrashOfRestoresSoak(t *testing.T) {
	if os.Getenv("HOWDAH_SOAK") == "" {
		t.Skip("it restores very often: HOWDAH_SOAK=1m runs it")
	}
	testCrashes(t, nil)
}

// undoMoments are those of a swap back.
const undoMoments = 9

// testCrashes crashes at some moments, or at all (nil).
func testCrashes(t *testing.T, at []int) {
	v := newVault(t)
	f := v.filesOf()
	t.Setenv(childFilestore, f.dir)
	stop := v.runs()
	v.make()
	stop()
	v.backUp()
	file := f.attach("acme", "then")
	f.sync("acme")
	target := v.now()
	files := func(crash int, tenant string) {
		t.Helper()
		if have := f.has(tenant, file); !have[0] {
			t.Errorf("crash %d: %s has no file", crash, tenant)
		}
		left, err := os.ReadDir(f.dir)
		if err != nil || len(left) != 1 && tenant == "acme" {
			t.Errorf("crash %d: folders of files are %v, %v", crash, left, err)
		}
	}
	want := value(t, v.server, "acme", keyedRows)
	as(t, v.server, "acme", v.password, "delete from keyed where id > 200")
	now := value(t, v.server, "acme", keyedRows)
	moments := func(do func(crash int) (killed bool)) {
		for _, crash := range at {
			do(crash)
		}
		for crash := 0; at == nil && do(crash); crash++ {
		}
	}
	run := func(made *fleet.Restoring, err error, crash int) bool {
		t.Helper()
		if err != nil {
			t.Fatalf("crash %d: %v", crash, err)
		}
		killed := v.node(made.Operation, crash)
		if killed {
			v.node(made.Operation, -1)
		}
		return killed
	}
	moments(func(crash int) bool {
		made, err := v.fleet.RestoreTenant(t.Context(), anna, "acme", fleet.NewRestore{To: target, Swap: true}, false)
		killed := run(made, err, crash)
		if at != nil && !killed {
			t.Errorf("crash %d: there is no such moment", crash)
		}
		if got := value(t, v.server, "acme", keyedRows); got != want {
			t.Errorf("crash %d, swapped: there is %s, not %s", crash, got, want)
		}
		files(crash, "acme")
		f.collect("acme", file)
		made, err = v.fleet.UndoRestore(t.Context(), anna, "acme", false)
		back := crash
		if at != nil {
			back %= undoMoments
		}
		killed = run(made, err, back) || killed
		if got := value(t, v.server, "acme", keyedRows); got != now {
			t.Errorf("crash %d, swapped back: there is %s, not %s", crash, got, now)
		}
		files(crash, "acme")
		if n := v.kept("acme"); n != 1 {
			t.Errorf("crash %d: %d databases are kept", crash, n)
		}
		o, err := v.fleet.PurgeTenant(t.Context(), anna, "acme")
		if err != nil {
			t.Fatal(err)
		}
		v.node(o, -1)
		if got := v.holds(); got != "acme|acme" {
			t.Errorf("crash %d: there is %s", crash, got)
		}
		var held int
		if err := v.server.QueryRow(t.Context(), "catalog", "select count(*) from howdah.hold where not ending", nil, &held); err != nil || held > 0 {
			t.Errorf("crash %d: %d holds are left, %v", crash, held, err)
		}
		return killed
	})
	if at != nil {
		return
	}
	moments(func(crash int) bool {
		made, err := v.fleet.RestoreTenant(t.Context(), anna, "acme", fleet.NewRestore{To: target, As: "beside"}, false)
		killed := run(made, err, crash)
		if got := value(t, v.server, "beside", keyedRows); got != want {
			t.Errorf("crash %d: there is %s, not %s", crash, got, want)
		}
		files(crash, "beside")
		f.known.Store(f.dir)
		stop := v.runs()
		v.gone("beside")
		stop()
		files(crash, "acme")
		if got := v.holds(); got != "acme|acme" {
			t.Errorf("crash %d: there is %s", crash, got)
		}
		return killed
	})
	v.tidy()
}
