package fleet_test

import (
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// TestServersDieInCopiesSoak has a server die by KILL at every moment of a clone by dump,
// and of an import, to a newer major version, and come back: the copy comes to be what its
// source is, and nothing is left behind.
func TestServersDieInCopiesSoak(t *testing.T) {
	for _, test := range []struct{ what, who string }{{"clone", "target"}, {"clone", "source"}, {"import", "target"}} {
		t.Run(test.what+" "+test.who, func(t *testing.T) { copiersDie(t, test.what, test.who) })
	}
}

func copiersDie(t *testing.T, what, who string) {
	p := newMajors(t)
	k := &killer{server: p.other, kind: what, later: []time.Duration{3 * time.Millisecond, 150 * time.Millisecond}}
	if who == "source" {
		k.server = p.server
	}
	p.stepped = k.stepped
	e := p.withExports()
	p.run()
	made := p.create("acme")
	as(t, p.server, "acme", made.Password, contents+large)
	m := e.export()
	if err := p.server.Exec(t.Context(), postgres.Superuser, "checkpoint"); err != nil { // else sequences skip values at a crash
		t.Fatal(err)
	}
	want := clonesums(t, p.server, "acme")
	for crash := 0; ; crash++ {
		k.arm(crash/2, crash)
		begun := time.Now()
		var copied *fleet.Creation
		if what == "clone" {
			copied = &p.clone(fleet.NewClone{Name: "copied", Cluster: "other"}).Creation
		} else {
			copied = e.importsTo("other", "copied", m.ID)
		}
		o := p.ended(copied.Operation)
		took := time.Since(begun).Round(10 * time.Millisecond)
		at := k.back(t)
		if o.State != catalog.Done {
			t.Fatalf("%s: it is %s: %s", at, o.State, o.Error)
		}
		if got := clonesums(t, p.other, "copied"); got != want {
			t.Errorf("%s: what is different:\n%s", at, difference(want, got))
		}
		as(t, p.other, "copied", copied.Password, "insert into public.keyed (name) values ('new')")
		if got := clonesums(t, p.server, "acme"); got != want {
			t.Errorf("%s: what is different at the source:\n%s", at, difference(want, got))
		}
		as(t, p.server, "acme", made.Password, "begin; update public.keyed set name = name; rollback")
		if got := left(t, p.server) + left(t, p.other); got != "acme | acme |copied | copied |" {
			t.Errorf("%s: there is %s", at, got)
		}
		e.tidy()
		p.letGo()
		if at == "" {
			return
		}
		t.Logf("%s: done after %v, %d attempts", at, took, o.Attempts)
		e.gone("copied")
	}
}
