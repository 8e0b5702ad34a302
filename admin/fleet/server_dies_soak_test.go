package fleet_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestServerDiesInOperationsSoak has the cluster's server die by KILL at every moment of
// every operation but a move, and come back: the operation comes to its end, what was
// written is there, and nothing is left behind.
func TestServerDiesInOperationsSoak(t *testing.T) {
	if os.Getenv("HOWDAH_SOAK") == "" {
		t.Skip("it starts a server at every moment, which takes minutes: HOWDAH_SOAK=1m runs it")
	}
	keeper, server := wiretest.StartPostgres(t), wiretest.StartPostgres(t, wiretest.WithSetting("synchronous_commit", "on"))
	h := &house{t: t, server: server, pooler: newPooler(), log: t.Output(), admins: []string{server.AdminURL(postgres.Superuser)}}
	var err error
	if h.catalog, err = catalog.Open(t.Context(), keeper.AdminURL(postgres.Superuser)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.catalog.Close)
	h.key.Store(theMasterKey())
	k := &killer{server: server}
	h.fleet = newFleet(t.Context(), "house", h.key.Load, h.catalog, h.admins, h.pooler, h.log, k.stepped)
	h.run()
	for crash, more := 0, true; more; crash++ {
		more = false
		k.arm(crash/3, crash)
		run := func(o *catalog.Operation, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("crash %d: %v", crash, err)
			}
			o = h.ended(o)
			at := k.back(t)
			if o.State != catalog.Done {
				t.Fatalf("%s: %s is %s: %s", at, o.Kind, o.State, o.Error)
			}
			if at != "" {
				t.Logf("%s: done after %v, %d attempts", at, o.Finished.Sub(o.Created).Round(10*time.Millisecond), o.Attempts)
				more = true
			}
			k.arm(crash/3, crash)
		}
		made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
		if err != nil {
			t.Fatal(err)
		}
		run(made.Operation, nil)
		name, password, rows := "acme", made.Password, 0
		lives := func(what string) {
			t.Helper()
			if err := h.can(name, password); err != nil {
				t.Errorf("crash %d, %s: %v", crash, what, err)
			}
			rows++
			if got := h.holds() + value(t, server, name, "select ' ' || count(*) from kept"); got != fmt.Sprintf("%s|%s %d", name, name, rows) {
				t.Errorf("crash %d, %s: there is %s, and %d rows should be", crash, what, got, rows)
			}
		}
		lives("created")
		run(h.fleet.SuspendTenant(t.Context(), anna, name))
		if h.can(name, password) == nil {
			t.Errorf("crash %d, suspended: clients are let in", crash)
		}
		run(h.fleet.ResumeTenant(t.Context(), anna, name))
		lives("resumed")
		rotation, err := h.fleet.RotateTenant(t.Context(), anna, name, fleet.NewPassword{Overlap: time.Hour, Server: true})
		if err != nil {
			t.Fatal(err)
		}
		run(rotation.Operation, nil)
		lives("rotated, with the old password")
		password = rotation.Password
		lives("rotated, with the new one")
		renamed, err := h.fleet.RenameTenant(t.Context(), anna, name, "acme-new", "", false)
		if err != nil {
			t.Fatal(err)
		}
		name = "acme-new"
		run(renamed.Operation, nil)
		lives("renamed")
		run(h.fleet.DropTenant(t.Context(), anna, name, time.Hour))
		run(h.fleet.UndropTenant(t.Context(), anna, name))
		lives("undropped")
		run(h.fleet.DropTenant(t.Context(), anna, name, time.Hour))
		run(h.fleet.PurgeTenant(t.Context(), anna, name))
		if got := h.holds(); got != "|" {
			t.Errorf("crash %d, purged: there is %s", crash, got)
		}
		h.letGo()
	}
}

// killer kills a server at a moment of an operation, or in the midst of what follows it,
// and has it come back.
type killer struct {
	server *postgres.Server
	kind   string          // of operations; "" = any
	later  []time.Duration // behind the moment, for one crash after the other; nil is usual

	mu    sync.Mutex // guards what follows
	left  int        // moments before the one
	crash int
	at    string     // when it was killed; "" = it was not
	came  chan error // that it came back
}

// arm has the server die at a moment from now, counted from 0. Of three crashes one after
// the other the first is at that moment, the others are a little later.
func (k *killer) arm(moment, crash int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left, k.crash, k.at, k.came = moment, crash, "", make(chan error, 1)
}

// stepped is told of steps.
func (k *killer) stepped(kind, step string, begun bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kind != "" && kind != k.kind {
		return
	}
	later := k.later
	if later == nil {
		later = []time.Duration{0, 3 * time.Millisecond, 20 * time.Millisecond}
	}
	if k.left == 0 {
		k.at = fmt.Sprintf("crash %d in %s at %q, begun: %v", k.crash, kind, step, begun)
		came, pause := k.came, later[k.crash%len(later)]
		go func() {
			time.Sleep(pause)
			k.server.Kill()
			time.Sleep(300 * time.Millisecond)
			came <- k.server.Start(context.Background())
		}()
	}
	k.left--
}

// back returns when the server was killed, when it is back.
func (k *killer) back(t *testing.T) (at string) {
	t.Helper()
	k.mu.Lock()
	at, came := k.at, k.came
	k.mu.Unlock()
	if at != "" {
		if err := <-came; err != nil {
			t.Fatal(err)
		}
	}
	return at
}
