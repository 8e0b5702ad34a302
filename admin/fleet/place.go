package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"howdah/tenants"
)

// candidate is a cluster on which a tenant could be made.
type candidate struct {
	name    string
	tenants int
	load    float64 // tenants for each seat of its budget
}

// candidates returns the clusters whose databases can be made, the least loaded first.
func candidates(s *tenants.Snapshot) (all []candidate) {
	count := map[string]int{}
	for t := range s.Tenants() {
		count[t.Cluster]++
	}
	for c := range s.Clusters() {
		if c.AdminURL == "" {
			continue
		}
		seats := c.Budget
		if seats == 0 {
			seats = unlimitedSeats
		}
		all = append(all, candidate{c.Name, count[c.Name], float64(count[c.Name]) / float64(seats)})
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.load, b.load), cmp.Compare(a.name, b.name))
	})
	return all
}

// unlimitedSeats is what a cluster without a budget counts as.
const unlimitedSeats = 1000

// reachWithin is for how long a cluster may take to answer that a tenant is to be placed on.
const reachWithin = 3 * time.Second

// place chooses the cluster for a new tenant, and says why: of those that can be reached,
// the one with the fewest tenants for each seat of its budget.
func (f *Fleet) place(ctx context.Context, s *tenants.Snapshot) (name, why string, err error) {
	all := candidates(s)
	if len(all) == 0 {
		return "", "", invalid("cluster", "no cluster has an admin_url, by which databases are made")
	}
	if len(all) == 1 {
		return all[0].name, "it is the only one", nil
	}
	var away error
	for _, c := range all {
		if err := f.reach(ctx, c.name); err != nil {
			away = errors.Join(away, err)
			continue
		}
		why = fmt.Sprintf("it has the fewest tenants for its budget: %d", c.tenants)
		if away != nil {
			why += ", of those that can be reached"
		}
		return c.name, why, nil
	}
	f.Log.Warn("no cluster can be reached", "error", away)
	return "", "", invalid("cluster", "none of the %d clusters can be reached now; the log says why", len(all))
}

// reach logs in to a cluster, and out.
func (f *Fleet) reach(ctx context.Context, cluster string) error {
	reaching, done := context.WithTimeout(ctx, reachWithin)
	defer done()
	conn, err := f.connect(reaching, cluster)
	if err != nil {
		return err
	}
	return conn.Close(reaching)
}
