package router_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/router"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRealStandbyBudget has two tenants want more servers at the standby than the
// cluster's members may have.
func TestRealStandbyBudget(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	const budget = 8
	d := h.open(t, members, poolSize(20), func(s *setup) { s.cluster.Budget = budget })
	c := d.connect(t)
	port := 0
	if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == standby.Port() }) {
		t.Fatal("READ ONLY transactions do not come to the standby")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := range 24 {
		tenant := []string{"acme", "globex"}[i%2]
		c := d.connect(t, func(c *pgx.ConnConfig) { c.User, c.Database = tenant, tenant })
		all.Go(func() {
			for ctx.Err() == nil {
				var n int
				if err := readOnly(ctx, c, "select count(*) from pg_sleep(0.01)", &n); err != nil {
					lastError(t, ctx, err)
					return
				}
			}
		})
	}
	// Both are counted at one moment: a seat that moves between two counts is in both.
	const count = "select count(*) filter (where usename = 'acme'), count(*) filter (where usename = 'globex') from pg_stat_activity"
	most, acme, globex := 0, 0, 0
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); {
		if err := standby.QueryRow(t.Context(), postgres.Superuser, count, nil, &acme, &globex); err != nil {
			t.Fatal(err)
		}
		most = max(most, acme+globex)
		time.Sleep(20 * time.Millisecond)
	}
	all.Wait()
	t.Logf("at most %d servers at the standby of a budget of %d; at the end acme had %d, globex %d", most, budget, acme, globex)
	if most > budget || most < budget-1 || acme < budget/2-1 || globex < budget/2-1 {
		t.Error("the budget was not kept, not used, or not shared")
	}
	if !strings.Contains(names(d.Budgets()), "main "+standby.Address()) {
		t.Errorf("the budgets are %v", names(d.Budgets()))
	}
}

func names(rows []router.BudgetRow) string {
	var all []string
	for _, row := range rows {
		all = append(all, row.Cluster)
	}
	return strings.Join(all, ", ")
}
