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
	"howdah/wire/wiretest"
)

// state is all that a move could leave different: the tenant's database at the source.
const state = `select concat_ws(E'\n', (` + sums + `), (select count(*) from pg_publication), (select count(*) from pg_replication_slots))`

// unmoved checks that a tenant is where it was, as it was, and that the target has
// nothing of it.
func (p *pair) unmoved(want, password, what string) {
	p.t.Helper()
	if got := value(p.t, p.server, "acme", state); got != want {
		p.t.Errorf("%s: what is different:\n%s", what, difference(want, got))
	}
	if got := left(p.t, p.server); got != "acme | acme |" {
		p.t.Errorf("%s: at the source there is %s", what, got)
	}
	if got := left(p.t, p.other); got != "| |" {
		p.t.Errorf("%s: at the target there is %s", what, got)
	}
	as(p.t, p.server, "acme", password, "begin; update public.keyed set name = name; update public.bare set i = i; rollback")
	p.letGo()
}

// A move during which definitions change is taken back.
func TestMoveIsTakenBackWhenDefinitionsChange(t *testing.T) {
	p := newPair(t)
	var password string
	p.stepping(func(_, step string, begun bool) {
		if step == "make ready" && begun {
			as(t, p.server, "acme", password, "alter table public.bare add more int; alter table public.bare drop more")
		}
	})
	p.run()
	made := p.create("acme")
	password = made.Password
	as(t, p.server, "acme", password, contents)
	want := value(t, p.server, "acme", state)
	if o := p.await(p.start("other", fleet.Replicate), catalog.Failed); !strings.Contains(o.Error, "definitions were changed") {
		t.Errorf("it failed with %s", o.Error)
	}
	p.unmoved(want, password, "behind a change of definitions")
}

// stepping has the house's Fleet tell of steps.
func (p *pair) stepping(stepped func(kind, step string, begun bool)) {
	p.fleet = newFleet(p.t.Context(), "house", p.key.Load, p.catalog, p.admins, p.pooler, p.log, stepped)
}

// TestMoveIsCancelledSoak: a move can be cancelled until the tenant is at the target; then it is there.
func TestMoveIsCancelledSoak(t *testing.T) {
	p := newPair(t)
	at := ""
	p.stepping(func(kind, step string, begun bool) {
		if kind != "move" || step != at || begun {
			return
		}
		all, err := p.catalog.Operations(t.Context(), "acme", 1)
		if err == nil {
			err = p.fleet.CancelOperation(t.Context(), anna, all[0].ID)
		}
		if err != nil {
			t.Error(err)
		}
	})
	p.run()
	made := p.create("acme")
	as(t, p.server, "acme", made.Password, contents)
	want := value(t, p.server, "acme", state)
	steps := []string{"publish"}
	if os.Getenv("HOWDAH_SOAK") != "" {
		steps = append(steps, "follow", "copy definitions", "close the source")
	}
	for _, step := range steps {
		at = step
		p.await(p.start("other", fleet.Replicate), catalog.Cancelled)
		p.unmoved(want, made.Password, "cancelled behind "+step)
	}
	at = "change the registry"
	p.await(p.start("other", fleet.Replicate), catalog.Done)
	if got := left(t, p.other); got != "acme | acme |" {
		t.Errorf("cancelled too late, at the target there is %s", got)
	}
	p.letGo()
}

// What cannot be moved, or not in the way that is asked for, is told before anything is
// done.
func TestMoveRefuses(t *testing.T) {
	p := newPair(t, wiretest.WithSetting("wal_level", "replica"))
	p.run()
	made := p.create("acme")
	if _, err := p.fleet.PutEntry(t.Context(), anna, catalog.Cluster, "abroad", 0, catalog.Settings{"store": "eu"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.fleet.PutEntry(t.Context(), anna, catalog.Cluster, "usual", 0, catalog.Settings{"store": "default"}); err != nil {
		t.Fatal(err)
	}
	p.wait("the clusters are known", func() bool {
		_, err := p.fleet.MoveTenant(t.Context(), anna, "acme", fleet.Destination{Cluster: "usual"}, true)
		return !errors.Is(err, catalog.ErrNotFound)
	})
	for cluster, elsewhere := range map[string]bool{"abroad": true, "usual": false} {
		_, err := p.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "copy", Cluster: cluster}, true)
		if refused := err != nil && strings.Contains(err.Error(), "--another-store"); refused != elsewhere {
			t.Errorf("a clone on %s: %v", cluster, err)
		}
	}
	if _, err := p.fleet.CloneTenant(t.Context(), anna, "acme", fleet.NewClone{Name: "copy", Cluster: "abroad", AnotherStore: true}, true); err != nil {
		t.Errorf("a clone in another store, which is said: %v", err)
	}
	abroad := fleet.Destination{Cluster: "abroad", AnotherStore: true}
	if _, err := p.fleet.MoveTenant(t.Context(), anna, "acme", abroad, true); err != nil && strings.Contains(err.Error(), "backed up") {
		t.Errorf("to another store, which is said: %v", err)
	}
	for _, test := range []struct{ to, how, says string }{
		{"abroad", "", `cluster "abroad" is backed up to store "eu", and tenant "acme", on cluster "main", is in store "default": where its data may go there, say --another-store`},
		{"nowhere", "", "not found"},
		{"main", "", "is on cluster"},
		{"other", "quickly", "none of auto"},
	} {
		if _, err := p.fleet.MoveTenant(t.Context(), anna, "acme", fleet.Destination{Cluster: test.to, How: test.how}, true); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v", test, err)
		}
	}
	for _, test := range []struct{ made, undone, how, says string }{
		{"create unlogged table u (i int)", "drop table u", "replicate", "unlogged tables: public.u"},
		{"create table j (j json)", "drop table j", "replicate", "cannot be compared: public.j.j"},
		{"create publication mine", "drop publication mine", "dump", "publication mine"},
	} {
		as(t, p.server, "acme", made.Password, test.made)
		if _, err := p.fleet.MoveTenant(t.Context(), anna, "acme", fleet.Destination{Cluster: "other", How: test.how}, true); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.made, err)
		}
		as(t, p.server, "acme", made.Password, test.undone)
	}
	plan, err := p.fleet.MoveTenant(t.Context(), anna, "acme", fleet.Destination{Cluster: "other", How: fleet.Auto}, true)
	if err != nil || plan.How != fleet.Dump || plan.Operation != nil || len(plan.Steps) < 4 || plan.HeldFor <= 0 || plan.HeldFor > 1 {
		t.Errorf("an empty one: %+v, %v", plan, err)
	}
	p.await(p.start("other", fleet.Auto), catalog.Done) // by dump; and not back in the other way
	if _, err := p.fleet.MoveTenant(t.Context(), anna, "acme", fleet.Destination{Cluster: "main", How: fleet.Replicate}, true); err == nil || !strings.Contains(err.Error(), "wal_level = replica") {
		t.Errorf("from a cluster without logical decoding: %v", err)
	}
	if _, err := p.fleet.SuspendTenant(t.Context(), anna, "acme"); err != nil {
		t.Fatal(err)
	}
}

// TestMoveCrashSoak has a node die by KILL at moments of a move, in either way, and another
// go on: the tenant is at the target as it was, and nothing is left behind. With
// HOWDAH_SOAK it is at every moment, else at a few.
func TestMoveCrashSoak(t *testing.T) {
	every := 23
	if os.Getenv("HOWDAH_SOAK") != "" {
		every = 1
	}
	crashMoves(t, every)
}

func crashMoves(t *testing.T, every int) {
	p := newPair(t)
	made, err := p.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	if err != nil {
		t.Fatal(err)
	}
	p.node(made.Operation, -1)
	as(t, p.server, "acme", made.Password, contents)
	want := value(t, p.server, "acme", sums)
	here, there, to := p.server, p.other, "other"
	for _, how := range []string{fleet.Replicate, fleet.Dump} {
		for crash := 0; ; crash += every {
			o := p.start(to, how)
			died := p.node(o, crash)
			if died {
				p.node(o, -1)
			}
			if got := value(t, there, "acme", sums); got != want {
				t.Fatalf("%s, crash %d: what is different:\n%s", how, crash, difference(want, got))
			}
			if got := left(t, here); got != "howdah_drop_"+o.ID+" | acme |" {
				t.Fatalf("%s, crash %d: at the source there is %s", how, crash, got)
			}
			if got := left(t, there); got != "acme | acme |" {
				t.Fatalf("%s, crash %d: at the target there is %s", how, crash, got)
			}
			purged, err := p.fleet.PurgeTenant(t.Context(), anna, "acme")
			if err != nil {
				t.Fatal(err)
			}
			p.node(purged, -1)
			if got := left(t, here); got != "| |" {
				t.Fatalf("%s, crash %d: purged, at the source there is %s", how, crash, got)
			}
			if here, there, to = there, here, "main"; here == p.server {
				to = "other"
			}
			if !died {
				break
			}
		}
	}
}

// The old database is brought back when the tenant has been dropped at the target.
func TestMoveCanBeUndone(t *testing.T) {
	p := newPair(t)
	p.run()
	made := p.create("acme")
	as(t, p.server, "acme", made.Password, contents)
	want := value(t, p.server, "acme", state)
	moved := p.await(p.start("other", fleet.Replicate), catalog.Done)
	if _, err := p.fleet.UndropTenant(t.Context(), anna, "acme"); err == nil {
		t.Error("a tenant is brought back that is there")
	}
	p.bringBack()
	p.unmoved(want, made.Password, "brought back after "+strconv.Quote(moved.ID))
	if n := value(t, p.server, postgres.Superuser, "select count(*)::text from pg_stat_replication"); n != "0" {
		t.Errorf("%s senders", n)
	}
}
