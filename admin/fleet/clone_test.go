package fleet_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/provision/dump"
	"howdah/provision/odoo"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

func (p *pair) clone(n fleet.NewClone) *fleet.Cloning {
	p.t.Helper()
	made, err := p.fleet.CloneTenant(p.t.Context(), anna, "acme", n, false)
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// rightsAndNames are what sums tells that a clone has of its own.
var rightsAndNames = regexp.MustCompile(`(?m)^(role|database of|setting t) .*\n|rights [^ ]*, `)

// clonesums is what sums tells of a clone, as if it were acme.
func clonesums(t *testing.T, s *postgres.Server, name string) string {
	t.Helper()
	text := value(t, s, name, strings.ReplaceAll(sums, "'acme'", "'"+name+"'"))
	return rightsAndNames.ReplaceAllString(strings.ReplaceAll(text, name, "acme")+"\n", "")
}

// odoo17 is a tenant's Odoo.
func odoo17(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../provision/odoo/testdata/odoo17.sql")
	if err != nil {
		t.Fatal(err)
	}
	return "set search_path = public;" + string(text)
}

const (
	quiet   = "select (select count(*) from public.ir_cron where active) || ' ' || (select coalesce(min(value), 'not') from public.ir_config_parameter where key = 'database.is_neutralized')"
	newUUID = "select value from public.ir_config_parameter where key = 'database.uuid'"
)

// A clone has what its source has, in either way, on this cluster or another, and is
// nobody's but its own role's.
func TestClone(t *testing.T) {
	p := newPair(t)
	p.fleet.Scratch = t.TempDir()
	p.run()
	as(t, p.server, "acme", p.create("acme").Password, contents)
	want := clonesums(t, p.server, "acme")
	for _, n := range []fleet.NewClone{
		{Name: "copied", How: fleet.Template},
		{Name: "dumped", How: fleet.Dump},
		{Name: "elsewhere", Cluster: "other"},
	} {
		made := p.clone(n)
		p.await(made.Operation, catalog.Done)
		there := p.server
		if n.Cluster != "" {
			there = p.other
		}
		if got := clonesums(t, there, n.Name); got != want {
			t.Errorf("%s: what is different:\n%s", n.Name, difference(want, got))
		}
		const whose = `select concat_ws(' ', datdba::regrole, datallowconn, datconnlimit, datacl, (select string_agg(setting, ' ' order by setting) from pg_db_role_setting, unnest(setconfig) setting where setrole = datdba))
			from pg_database where datname = current_database()`
		if got := value(t, there, n.Name, whose); got != n.Name+" t -1 {"+n.Name+"=CTc/"+n.Name+`} search_path=own, "$user", public work_mem=7MB` {
			t.Errorf("it is %s", got)
		}
		as(t, there, n.Name, made.Password, "insert into public.keyed (name) values ('new'); drop table own.\"Odd Name\"; create table public.t ()")
		if err := p.server.Exec(t.Context(), "acme", `select * from own."Odd Name"`); err != nil {
			t.Error(err)
		}
	}
	if got := clonesums(t, p.server, "acme"); got != want {
		t.Errorf("what is different at the source:\n%s", difference(want, got))
	}
	if got := left(t, p.server) + left(t, p.other); got != "acme copied dumped | acme copied dumped |elsewhere | elsewhere |" {
		t.Errorf("there is %s", got)
	}
	if _, ever := p.pooler.holding(); len(ever) != 1 || ever[0] != "acme" { // once, for the copy by template
		t.Errorf("held were %q", ever)
	}
	p.letGo()
	if dumps, err := os.ReadDir(p.fleet.Scratch); err != nil || len(dumps) > 0 {
		t.Errorf("scratch has %v, %v", dumps, err)
	}
	// The next one goes by what the last ones took.
	var factor float64
	if err := p.server.QueryRow(t.Context(), "catalog", "select (result ->> 'held_seconds')::float8 / (result ->> 'model_seconds')::float8 from howdah.operation where tenant = 'copied'", nil, &factor); err != nil || factor <= 0 {
		t.Fatalf("%v, %v", factor, err)
	}
	plan, err := p.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "next", How: fleet.Template}, true)
	if err != nil || plan.HeldFor <= 0 || plan.Password != "" || plan.Operation != nil || len(plan.Steps) < 5 {
		t.Errorf("%+v, %v", plan, err)
	}
	t.Logf("a copy took %.2f of what was guessed; the next would hold clients for %.3f s", factor, plan.HeldFor)
}

// The clone of an Odoo is neutralised and has an identity of its own, in either way; its
// source stays what it was.
func TestCloneOfOdoo(t *testing.T) {
	h := newManagedHouse(t)
	h.run()
	made := h.create("acme")
	if err := h.can("acme", made.Password); err != nil {
		t.Fatal(err)
	}
	h.do("acme", "set role acme", odoo17(t))
	for _, test := range []struct {
		fleet.NewClone
		quiet string
	}{
		{fleet.NewClone{Name: "copied", How: fleet.Template}, "1 true"},
		{fleet.NewClone{Name: "dumped", How: fleet.Dump, Neutralise: odoo.BuiltIn}, "1 true"},
		{fleet.NewClone{Name: "loud", Neutralise: odoo.None, Password: "correct horse"}, "3 not"},
	} {
		clone, err := h.fleet.CloneTenant(t.Context(), anna, "acme", test.NewClone, false)
		if err != nil {
			t.Fatal(err)
		}
		o := h.await(clone.Operation, catalog.Done)
		if got := value(t, h.server, test.Name, quiet); got != test.quiet {
			t.Errorf("%s: active crons, and neutralised: %s", test.Name, got)
		}
		e, err := h.catalog.Entry(t.Context(), catalog.Tenant, test.Name)
		if err != nil {
			t.Fatal(err)
		}
		if got := value(t, h.server, test.Name, newUUID); got != e.ID {
			t.Errorf("%s: its uuid is %s, and the tenant's %s", test.Name, got, e.ID)
		}
		if err := h.can(test.Name, clone.Password); err != nil {
			t.Errorf("%s: %v", test.Name, err)
		}
		if test.Password != "" && clone.Password != test.Password {
			t.Errorf("%s: the password is another", test.Name)
		}
		if !strings.Contains(string(o.Result), `"odoo": "17.0.1.3"`) {
			t.Errorf("%s: the job says %s", test.Name, o.Result)
		}
	}
	if got := value(t, h.server, "acme", quiet) + value(t, h.server, "acme", newUUID); got != "3 notold" {
		t.Errorf("the source has %s", got)
	}
	// What cannot be neutralised is never opened.
	h.do("acme", "alter table public.ir_mail_server add needed int not null default 1", "alter table public.ir_mail_server alter needed drop default")
	before := h.holds()
	for _, how := range []string{fleet.Template, fleet.Dump} {
		clone, err := h.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "bad", How: how}, false)
		if err != nil {
			t.Fatal(err)
		}
		if o := h.await(clone.Operation, catalog.Failed); !strings.Contains(o.Error, "cannot be neutralised") || !strings.Contains(o.Error, `"needed"`) {
			t.Errorf("%s: %s", how, o.Error)
		}
		if got := h.holds(); got != before {
			t.Errorf("%s: there is %s, before %s", how, got, before)
		}
	}
	h.letGo()
}

// What cannot be cloned is told before anything is done, or leaves nothing.
func TestCloneRefuses(t *testing.T) {
	p := newPair(t)
	p.run()
	p.create("acme")
	p.create("taken")
	p.do(postgres.Superuser, "create role strange")
	for _, test := range []struct {
		fleet.NewClone
		says string
	}{
		{fleet.NewClone{Name: ""}, "empty"},
		{fleet.NewClone{Name: "postgres"}, "reserved"},
		{fleet.NewClone{Name: strings.Repeat("x", 64)}, "64 bytes"},
		{fleet.NewClone{Name: `a"; drop table x`}, "character"},
		{fleet.NewClone{Name: "acme"}, "exists"},
		{fleet.NewClone{Name: "taken"}, "exists"},
		{fleet.NewClone{Name: "strange"}, `role "strange"`},
		{fleet.NewClone{Name: "ok", Cluster: "nowhere"}, "nowhere"},
		{fleet.NewClone{Name: "ok", How: "quickly"}, "none of auto"},
		{fleet.NewClone{Name: "ok", Neutralise: "a bit"}, "none of auto"},
		{fleet.NewClone{Name: "ok", Cluster: "other", How: fleet.Template}, "on cluster"},
		{fleet.NewClone{Name: "ok", Password: "a\x00"}, "NUL"},
	} {
		if _, err := p.fleet.CloneTenant(t.Context(), anna, "acme", test.NewClone, false); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v", test.NewClone, err)
		}
	}
	if _, err := p.fleet.CloneTenant(t.Context(), anna, "nobody", fleet.NewClone{Name: "ok"}, false); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a clone of nobody: %v", err)
	}
	for _, test := range []struct{ role, made, undone, how, says string }{
		{"acme", "alter default privileges grant select on tables to public", "alter default privileges revoke select on tables from public", fleet.Template, "default"},
		{"postgres", "create language mine handler plpgsql_call_handler", "drop language mine", fleet.Dump, "language mine"},
	} {
		p.do("acme", "set role "+test.role, test.made)
		if _, err := p.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "ok", How: test.how}, true); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.made, err)
		}
		if plan, err := p.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "ok"}, true); err != nil || plan.How == test.how {
			t.Errorf("%s: by itself: %+v, %v", test.made, plan, err)
		}
		p.do("acme", "set role "+test.role, test.undone)
	}
	before := left(t, p.server)
	p.fullDisk()
	o, err := p.fleet.SuspendTenant(t.Context(), anna, "acme")
	if err != nil {
		t.Fatal(err)
	}
	p.await(o, catalog.Done)
	if _, err := p.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "ok"}, false); err == nil || !strings.Contains(err.Error(), "resume it") {
		t.Errorf("a clone of a suspended tenant: %v", err)
	}
	if got := left(t, p.server); got != before {
		t.Errorf("there is %s, before %s", got, before)
	}
}

// do runs statements in a database as the superuser, unless they say otherwise.
func (h *house) do(database string, statements ...string) {
	h.t.Helper()
	if err := h.server.Exec(h.t.Context(), database, append(statements, "reset role")...); err != nil {
		h.t.Fatal(err)
	}
}

// fullDisk has no room for a dump.
func (p *pair) fullDisk() {
	t := p.t
	if os.Geteuid() != 0 {
		return // only root can mount a small file system
	}
	p.do("acme", "set role acme", "create table public.large as select repeat(md5(i::text), 1000) from generate_series(1, 300) i")
	before := left(t, p.server)
	p.fleet.Scratch = t.TempDir()
	if err := syscall.Mount("tmpfs", p.fleet.Scratch, "tmpfs", 0, "size=64k"); err != nil {
		return
	}
	defer func() {
		if err := syscall.Unmount(p.fleet.Scratch, 0); err != nil {
			t.Error(err)
		}
		p.fleet.Scratch = ""
	}()
	made := p.clone(fleet.NewClone{Name: "ok", How: fleet.Dump})
	if o := p.await(made.Operation, catalog.Failed); !strings.Contains(o.Error, dump.ErrNoSpace.Error()) || !strings.Contains(o.Error, "scratch_dir") {
		t.Errorf("on a full disk: %s", o.Error)
	}
	if got := left(t, p.server); got != before {
		t.Errorf("on a full disk: there is %s, before %s", got, before)
	}
}

// While a clone is made nothing else is done to its source, nor the other way round.
func TestCloneIsBusy(t *testing.T) {
	h := newHouse(t)
	made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	if err != nil {
		t.Fatal(err)
	}
	h.node(made.Operation, -1)
	clone, err := h.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "staging", Once: &fleet.Once{Key: "k", Secret: "mine"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "staging", Once: &fleet.Once{Key: "k", Secret: "mine"}}, false)
	if err != nil || again.Operation.ID != clone.Operation.ID || again.Password != clone.Password || again.How != clone.How {
		t.Errorf("the same request again: %+v, %v", again, err)
	}
	_, drop := h.fleet.DropTenant(t.Context(), anna, "acme", 0)
	_, create := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "staging"}, false)
	_, second := h.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "other"}, false)
	for i, err := range []error{drop, create, second} {
		var busy *catalog.BusyError
		if !errors.As(err, &busy) || busy.Operation != clone.Operation.ID {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := h.fleet.CancelOperation(t.Context(), anna, clone.Operation.ID); err != nil {
		t.Fatal(err)
	}
	h.run()
	h.await(clone.Operation, catalog.Cancelled)
	if got := h.holds(); got != "acme|acme" {
		t.Errorf("cancelled, there is %s", got)
	}
	suspending, err := h.fleet.SuspendTenant(t.Context(), anna, "acme")
	if err != nil {
		t.Fatal(err)
	}
	h.await(suspending, catalog.Done)
}

// TestCloneCrashSoak has a node die by KILL at moments of a clone, in either way, and
// another go on: the clone is there, and nothing is left behind. With HOWDAH_SOAK it is at
// every moment, else at a few.
func TestCloneCrashSoak(t *testing.T) {
	every := 9
	if os.Getenv("HOWDAH_SOAK") != "" {
		every = 1
	}
	h := newHouse(t)
	made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	if err != nil {
		t.Fatal(err)
	}
	h.node(made.Operation, -1)
	as(t, h.server, "acme", made.Password, contents)
	h.do("acme", "set role acme", odoo17(t))
	want := clonesums(t, h.server, "acme")
	for _, how := range []string{fleet.Template, fleet.Dump} {
		for crash := 0; ; crash += every {
			clone, err := h.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "staging", How: how}, false)
			if err != nil {
				t.Fatal(err)
			}
			died := h.node(clone.Operation, crash)
			if died {
				h.node(clone.Operation, -1)
			}
			if got := h.holds(); got != "acme staging|acme staging" {
				t.Fatalf("%s, crash %d: there is %s", how, crash, got)
			}
			if err := h.can("staging", clone.Password); err != nil {
				t.Errorf("%s, crash %d: %v", how, crash, err)
			}
			if got := value(t, h.server, "staging", quiet+" || ' ' || (select count(*) from public.ir_mail_server)"); got != "1 true 2" {
				t.Errorf("%s, crash %d: the clone has %s", how, crash, got)
			}
			if got := clonesums(t, h.server, "acme"); got != want {
				t.Errorf("%s, crash %d: what is different at the source:\n%s", how, crash, difference(want, got))
			}
			h.forget("staging")
			if !died {
				break
			}
		}
	}
	if n := value(t, h.server, "catalog", "select count(*)::text from howdah.hold where not ending and until > now()"); n != "0" {
		t.Errorf("%s holds are left", n)
	}
}

// forget drops a tenant for good.
func (h *house) forget(name string) {
	h.t.Helper()
	for _, begin := range []func() (*catalog.Operation, error){
		func() (*catalog.Operation, error) { return h.fleet.DropTenant(h.t.Context(), anna, name, time.Hour) },
		func() (*catalog.Operation, error) { return h.fleet.PurgeTenant(h.t.Context(), anna, name) },
	} {
		o, err := begin()
		if err != nil {
			h.t.Fatal(err)
		}
		h.node(o, -1)
	}
}

// TestCloneIsCancelledSoak: a clone that is cancelled leaves nothing, and its source open.
// With HOWDAH_SOAK it is at every step.
func TestCloneIsCancelledSoak(t *testing.T) {
	h := newHouse(t)
	at := ""
	h.fleet = newFleet(t.Context(), "house", h.key.Load, h.catalog, h.admins, h.pooler, h.log, func(kind, step string, begun bool) {
		if kind != "clone" || step != at || !begun {
			return
		}
		all, err := h.catalog.Operations(t.Context(), "staging", 1)
		if err == nil {
			err = h.fleet.CancelOperation(t.Context(), anna, all[0].ID)
		}
		if err != nil {
			t.Error(err)
		}
		time.Sleep(6 * time.Second) // until that is heard of, which nothing else tells
	})
	h.run()
	made := h.create("acme")
	steps := []struct{ how, step string }{{fleet.Template, "copy"}}
	if os.Getenv("HOWDAH_SOAK") != "" {
		steps = append(steps, []struct{ how, step string }{
			{fleet.Template, "open"}, {fleet.Template, "give"}, {fleet.Template, "settle in"}, {fleet.Dump, "dump"}, {fleet.Dump, "restore"}, {fleet.Dump, "settle in"},
		}...)
	}
	for _, test := range steps {
		at = test.step
		clone, err := h.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "staging", How: test.how}, false)
		if err != nil {
			t.Fatal(err)
		}
		h.await(clone.Operation, catalog.Cancelled)
		if got := h.holds(); got != "acme|acme" {
			t.Errorf("cancelled at %q, there is %s", at, got)
		}
		if err := h.can("acme", made.Password); err != nil {
			t.Errorf("cancelled at %q: %v", at, err)
		}
		h.letGo()
	}
}

// A tenant under load is cloned in both ways, and no client meets an error. A clone is of
// one moment: all that was committed until then is in it, and nothing in part.
func TestCloneUnderLoad(t *testing.T) {
	p := newPair(t)
	l := p.underLoad("")
	for _, how := range []string{fleet.Template, fleet.Dump} {
		before := value(t, p.server, "acme", "select count(*)::text from load")
		clone := p.clone(fleet.NewClone{Name: how, How: how})
		o := p.await(clone.Operation, catalog.Done)
		const balance = `select concat_ws(' ', (select sum(abalance) from pgbench_accounts) = sum(delta), (select sum(tbalance) from pgbench_tellers) = sum(delta),
			(select sum(bbalance) from pgbench_branches) = sum(delta), (select count(*) from load) >= ` + "%s" + `) from pgbench_history`
		if got := value(t, p.server, how, fmt.Sprintf(balance, before)); got != "t t t t" {
			t.Errorf("%s: balances are equal, and all is there: %s", how, got)
		}
		t.Logf("%s", o.Result)
	}
	transactions := l.end(t, p.server)
	t.Logf("cloned under %s transactions of pgbench; the writer waited for %v at most", transactions, l.writer.longest)
}
