package router_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"howdah/router"
	"howdah/tenants"
	"howdah/wire"
)

// TestRealBudget shares few backends between tenants, in front of one PostgreSQL.
func TestRealBudget(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"BudgetIsShared", testBudgetIsShared},
		{"BudgetChanges", testBudgetChanges},
		{"ServersOfATenant", testServersOfATenant},
		{"ProcessesThatHoldAndWait", testProcessesThatHoldAndWait},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

func budget(n int, quantum time.Duration) func(*setup) {
	return func(s *setup) { s.cluster.Budget, s.cluster.BudgetReserve, s.cluster.SeatQuantum = n, -1, quantum }
}

func reserve(n int) func(*setup) { return func(s *setup) { s.cluster.BudgetReserve = n } }

// shop runs statements on n connections of a tenant until stop closes, and
// counts them.
func (d *door) shop(t *testing.T, tenant string, n int, stop chan struct{}, done *atomic.Int64) *sync.WaitGroup {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			r, err := d.tryRaw(tenant)
			if err != nil {
				t.Errorf("%s: %v", tenant, err)
				return
			}
			defer r.Close()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := r.talk(query("select pg_sleep(0.001)")); err != nil || len(got) != 3 {
					t.Errorf("%s: %q, %v", tenant, got, err)
					return
				}
				done.Add(1)
			}
		})
	}
	return &wg
}

// testBudgetIsShared has two tenants want all that there is: there are never
// more backends than the budget, and both are served.
func testBudgetIsShared(t *testing.T, h *house) {
	d := h.open(t, poolSize(10), budget(4, 50*time.Millisecond))
	stop := make(chan struct{})
	var one, two atomic.Int64
	first := d.shop(t, "acme", 12, stop, &one)
	second := d.shop(t, "globex", 4, stop, &two)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if n := h.backends(t); n > 4 {
			t.Errorf("%d backends, the budget is 4", n)
			break
		}
	}
	close(stop)
	first.Wait()
	second.Wait()
	a, g := one.Load(), two.Load()
	if a == 0 || g == 0 || a > 3*g || g > 3*a {
		t.Errorf("acme had %d transactions, globex %d", a, g)
	}
	b := d.Budgets()[0]
	if b.Moved == 0 || b.Used > 4 {
		t.Errorf("%+v", b)
	}
	blamed := false
	for _, row := range d.Blame() {
		blamed = blamed || row.Because == "acme" && row.Tenant == "globex" || row.Because == "globex" && row.Tenant == "acme"
	}
	if !blamed {
		t.Errorf("nobody has waited for the other: %+v", d.Blame())
	}
}

// testBudgetChanges lowers the budget under load: servers close as they are
// released.
func testBudgetChanges(t *testing.T, h *house) {
	d := h.open(t, poolSize(10), budget(8, 0))
	stop := make(chan struct{})
	var done atomic.Int64
	wg := d.shop(t, "acme", 10, stop, &done)
	d.await(t, "more than three servers", func(p router.PoolStats) bool { return p.ServersActive > 3 })
	d.reload(t, func(s *setup) { s.cluster.Budget = 2 })
	d.await(t, "two servers at most", func(p router.PoolStats) bool {
		return p.ServersActive+p.ServersIdle+p.ServersBeingClosed+p.ServersLogin <= 2
	})
	d.reload(t, func(s *setup) { s.cluster.Budget = 6 })
	d.await(t, "more servers again", func(p router.PoolStats) bool { return p.ServersActive > 3 })
	close(stop)
	wg.Wait()
}

// testServersOfATenant has two users of one tenant share its max_db_connections.
func testServersOfATenant(t *testing.T, h *house) {
	h.sql(t, "grant connect on database acme to globex")
	d := h.open(t, poolSize(10), limits(func(l *tenants.Limits) { l.MaxDBConnections = 3 }))
	stop := make(chan struct{})
	var done atomic.Int64
	wg := d.shop(t, "acme", 8, stop, &done)
	d.await(t, "three servers", func(p router.PoolStats) bool { return p.ServersActive == 3 })
	guest := d.dialConfig("acme")
	guest.Parameters[0].Value, guest.Secret = "globex", d.dialConfig("globex").Secret
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := wire.Dial(ctx, guest)
	if err != nil {
		t.Fatal(err)
	}
	r := newRaw(e)
	defer r.Close()
	for range 100 {
		r.expect(t, "row globex; SELECT 1; ready I", query("select current_user"))
		if n := h.backends(t); n > 3 {
			t.Fatalf("%d backends, max_db_connections is 3", n)
		}
	}
	close(stop)
	wg.Wait()
}

// testProcessesThatHoldAndWait does what Odoo's cron workers do: each holds a
// server of its tenant and wants two more, with limits and a budget below what
// all want together. Nobody may wait for ever.
func testProcessesThatHoldAndWait(t *testing.T, h *house) {
	for limit := 1; limit <= 3; limit++ {
		d := h.open(t, poolSize(limit), budget(4, 0), reserve(2), limits(func(l *tenants.Limits) { l.QueryWaitTimeout = patience / 2 }))
		var wg sync.WaitGroup
		for _, tenant := range []string{"acme", "globex"} {
			for worker := range 3 {
				wg.Go(func() {
					for range 5 {
						if err := d.holdAndWait(tenant, fmt.Sprint("odoo-", worker)); err != nil {
							t.Errorf("limit %d, %s, worker %d: %v", limit, tenant, worker, err)
							return
						}
					}
				})
			}
		}
		wg.Wait()
	}
}

// holdAndWait begins three transactions, one after the other, as one process.
func (d *door) holdAndWait(tenant, application string) error {
	for range 3 {
		r, err := d.tryRaw(tenant, wire.Parameter{Name: "application_name", Value: application})
		if err != nil {
			return err
		}
		defer r.Close()
		if got, err := r.talk(query("begin"), query("select 1")); err != nil || got[len(got)-1] != "ready T" {
			return fmt.Errorf("%q, %w", got, err)
		}
	}
	return nil
}
