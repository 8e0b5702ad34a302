package fleet_test

import (
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
)

// people is a checksum of a table.
const people = "select count(*) || ' ' || md5(string_agg(k::text, ',' order by id)) from public.keyed k"

// The target's server dies by KILL while a tenant arrives there. Clients work on at the
// source as long as the registry does not say that the tenant is at the target; when the
// server is back, the move goes on, and what was written meanwhile is there.
func TestMoveGoesOnWhenTheTargetDies(t *testing.T) {
	p := newPair(t)
	var at string
	var begun bool
	p.stepping(func(kind, step string, b bool) {
		if kind == "move" && step == at && b == begun {
			at = ""
			p.other.Kill()
		}
	})
	p.run()
	made := p.create("acme")
	as(t, p.server, "acme", made.Password, contents)
	for _, test := range []struct {
		how, at string
		begun   bool
		entered bool
	}{
		{fleet.Replicate, "publish", true, false},
		{fleet.Dump, "publish", false, false},
		{fleet.Replicate, "change the registry", false, true},
	} {
		at, begun = test.at, test.begun
		o := p.start("other", test.how)
		p.wait("the target dies", func() bool { return !p.other.Running() })
		if !test.entered {
			p.wait("the source is open again", func() bool {
				return value(t, p.server, "postgres", "select (count(*) = 1)::text from pg_database where datname = 'acme' and datallowconn") == "true"
			})
			as(t, p.server, "acme", made.Password, "insert into public.keyed (name) values ('written meanwhile')")
		}
		want := ""
		if !test.entered {
			want = value(t, p.server, "acme", people)
		}
		time.Sleep(200 * time.Millisecond) // it may fail once more; nothing is proved by it
		if err := p.other.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.await(o, catalog.Done)
		if got := value(t, p.other, "acme", people); want != "" && got != want {
			t.Errorf("%s, %s: at the target are %s people, want %s", test.how, test.at, got, want)
		}
		as(t, p.other, "acme", made.Password, "insert into public.keyed (name) values ('goes on')")
		p.letGo()
		if got := left(t, p.server); got != "howdah_drop_"+o.ID+" | acme |" {
			t.Errorf("%s, %s: at the source there is %s", test.how, test.at, got)
		}
		if got := left(t, p.other); got != "acme | acme |" {
			t.Errorf("%s, %s: at the target there is %s", test.how, test.at, got)
		}
		p.bringBack()
	}
}

// bringBack has a tenant that was moved be at the source again, as it was before.
func (p *pair) bringBack() {
	p.t.Helper()
	ctx := p.t.Context()
	for _, begin := range []func() (*catalog.Operation, error){
		func() (*catalog.Operation, error) { return p.fleet.DropTenant(ctx, anna, "acme", 0) },
		func() (*catalog.Operation, error) { return p.fleet.PurgeTenant(ctx, anna, "acme") },
		func() (*catalog.Operation, error) { return p.fleet.UndropTenant(ctx, anna, "acme") },
	} {
		o, err := begin()
		if err != nil {
			p.t.Fatal(err)
		}
		p.await(o, catalog.Done)
	}
}
