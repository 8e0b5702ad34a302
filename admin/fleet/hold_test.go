package fleet_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// node is a second node on the house's catalog, which runs no operations.
func (h *house) second(ctx context.Context, name string) *pooler {
	p := newPooler()
	newFleet(ctx, name, h.key.Load, h.catalog, h.admins, p, h.log, nil)
	h.wait("node "+name+" is known", func() bool { return slices.Contains(h.nodes(), name) })
	return p
}

// nodes returns the nodes that live.
func (h *house) nodes() []string {
	h.t.Helper()
	var names string
	err := h.server.QueryRow(h.t.Context(), "catalog", "select coalesce(string_agg(name, ' ' order by name), '') from howdah.node where lease_until > now()", nil, &names)
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Fields(names)
}

// An operation closes a database when nothing of any node's is in it any more, and all
// nodes let clients go.
func TestAllNodesHold(t *testing.T) {
	h := newHouse(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	other := h.second(ctx, "other")
	h.run()
	made := h.create("acme")
	busy := make(chan struct{})
	other.busy = busy
	o, err := h.fleet.SuspendTenant(t.Context(), anna, "acme")
	if err != nil {
		t.Fatal(err)
	}
	h.wait("both hold", func() bool {
		one, _ := h.pooler.holding()
		two, _ := other.holding()
		return one == 1 && two == 1
	})
	if err := h.can("acme", made.Password); err != nil {
		t.Errorf("it was closed under the other node's clients: %v", err)
	}
	close(busy)
	h.await(o, catalog.Done)
	if h.can("acme", made.Password) == nil {
		t.Error("it is open")
	}
	h.letGo()
	h.wait("the other lets go", func() bool { n, _ := other.holding(); return n == 0 })
	leave()
	h.wait("who stops in good order is known to be gone", func() bool { return slices.Equal(h.nodes(), []string{"house"}) })
}

// A node whose transactions do not end is waited for as long as they may take, one that
// is dead not at all.
func TestNodeThatDoesNotAnswer(t *testing.T) {
	h := newHouse(t)
	other := h.second(t.Context(), "other")
	if err := h.server.Exec(t.Context(), "catalog", "insert into howdah.node (name, version, lease_until) values ('dead', '', now() - interval '1 s')"); err != nil {
		t.Fatal(err)
	}
	h.fleet.DrainFor = time.Second
	h.run()
	made := h.create("acme")
	other.busy = make(chan struct{})
	o, err := h.fleet.SuspendTenant(t.Context(), anna, "acme")
	if err != nil {
		t.Fatal(err)
	}
	h.await(o, catalog.Done)
	if h.can("acme", made.Password) == nil {
		t.Error("it is open")
	}
	h.wait("the other lets go", func() bool { n, _ := other.holding(); return n == 0 })
}

// operations are those that can be cancelled, each with what must be before it.
func operations(h *house) map[string]struct {
	before, run func(name string) (*catalog.Operation, error)
} {
	type begin = func(name string) (*catalog.Operation, error)
	on := func(f func(*fleet.Fleet, context.Context, catalog.Actor, string) (*catalog.Operation, error)) begin {
		return func(name string) (*catalog.Operation, error) { return f(h.fleet, h.t.Context(), anna, name) }
	}
	suspend, resume, undrop := on((*fleet.Fleet).SuspendTenant), on((*fleet.Fleet).ResumeTenant), on((*fleet.Fleet).UndropTenant)
	drop := func(name string) (*catalog.Operation, error) {
		return h.fleet.DropTenant(h.t.Context(), anna, name, time.Hour)
	}
	rename := func(name string) (*catalog.Operation, error) {
		made, err := h.fleet.RenameTenant(h.t.Context(), anna, name, name+"-new", "", false)
		if err != nil {
			return nil, err
		}
		return made.Operation, nil
	}
	rotate := func(key *catalog.MasterKey, n fleet.NewPassword) begin {
		return func(name string) (*catalog.Operation, error) {
			h.key.Store(key)
			made, err := h.fleet.RotateTenant(h.t.Context(), anna, name, n)
			if err != nil {
				return nil, err
			}
			return made.Operation, nil
		}
	}
	key := theMasterKey()
	manage := rotate(key, fleet.NewPassword{Password: "correct horse"})
	return map[string]struct{ before, run begin }{
		"rotate": {nil, rotate(nil, fleet.NewPassword{})}, "rotate to managed": {nil, rotate(key, fleet.NewPassword{Overlap: time.Hour})},
		"rotate managed": {manage, rotate(key, fleet.NewPassword{Overlap: time.Hour, Server: true})},
		"suspend":        {nil, suspend}, "suspend again": {suspend, suspend}, "resume": {suspend, resume},
		"rename": {nil, rename}, "drop": {nil, drop}, "drop suspended": {suspend, drop}, "undrop": {drop, undrop},
	}
}

// state is all that an operation may change: the databases, the roles, and the catalog.
func (h *house) state() string {
	h.t.Helper()
	var databases, entries string
	err := h.server.QueryRow(h.t.Context(), postgres.Superuser, `select string_agg(format('%s %s %s %s', datname, pg_get_userbyid(datdba), datallowconn, shobj_description(oid, 'pg_database')), E'\n' order by datname)
		from pg_database where datname not in ('postgres', 'template0', 'template1', 'catalog')`, nil, &databases)
	if err == nil {
		err = h.server.QueryRow(h.t.Context(), "catalog", `select coalesce(string_agg(format('%s %s %s', kind, name, case settings ->> 'state' when 'active' then settings - 'state' else settings end), E'\n' order by kind, name), '')
			|| coalesce((select string_agg(format('dropped %s %s %s', name, settings, operation), E'\n') from howdah.dropped), '')
			|| (select count(*) from howdah.hold where not ending) from howdah.entry`, nil, &entries)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return databases + "\n" + entries
}

// Whenever an operation is cancelled, all is as before.
func TestCancelAtEveryStep(t *testing.T) {
	h := newHouse(t)
	var stop func(step string, begun bool)
	h.fleet = newFleet(t.Context(), "house", h.key.Load, h.catalog, h.admins, h.pooler, h.log, func(_, step string, begun bool) {
		if stop != nil {
			stop(step, begun)
		}
	})
	end := func(o *catalog.Operation, err error, want catalog.State) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.fleet.Run(ctx) }()
		h.await(o, want)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range operations(h) {
		h.key.Store(nil)
		tenant := strings.ReplaceAll(name, " ", "-")
		made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: tenant}, false)
		if err != nil {
			t.Fatal(err)
		}
		end(made.Operation, nil, catalog.Done)
		if x.before != nil {
			o, err := x.before(tenant)
			end(o, err, catalog.Done)
		}
		password := made.Password
		if x.before != nil && strings.HasPrefix(name, "rotate") {
			password = "correct horse"
		}
		could := h.can(tenant, password) == nil
		before := h.state()
		for at, reached := 0, true; reached; at++ {
			o, err := x.run(tenant)
			if err != nil {
				t.Fatal(err)
			}
			ctx, interrupt := context.WithCancel(t.Context())
			moment := 0
			where := ""
			stop = func(step string, begun bool) {
				if moment == at {
					where = step
					interrupt()
				}
				moment++
			}
			done := make(chan error, 1)
			go func() { done <- h.fleet.Run(ctx) }()
			h.wait("the operation is interrupted or done", func() bool {
				now, err := h.catalog.Operation(t.Context(), o.ID)
				return err != nil || now.State.Ended() || ctx.Err() != nil
			})
			reached = ctx.Err() != nil
			interrupt()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			stop = nil
			err = h.fleet.CancelOperation(t.Context(), anna, o.ID)
			if errors.Is(err, catalog.ErrNotFound) { // that was its last moment: it is done
				break
			}
			end(o, err, catalog.Cancelled)
			if after := h.state(); after != before {
				t.Errorf("%s, cancelled at %q, leaves\n%s\nbefore:\n%s", name, where, after, before)
			}
			if err := h.can(tenant, password); (err == nil) != could {
				t.Errorf("%s, cancelled at %q: its user could log in: %v, now: %v", name, where, could, err)
			}
		}
	}
}
