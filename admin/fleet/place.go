package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// place chooses the cluster for a new tenant, and says why: of those that can have it, the
// one with the fewest tenants for each seat of its budget. can is an error for one that
// cannot: an InvalidError is told, others are of clusters that cannot be reached.
func (f *Fleet) place(ctx context.Context, s *tenants.Snapshot, can func(ctx context.Context, cluster string) error) (name, why string, err error) {
	all := candidates(s)
	if len(all) == 0 {
		return "", "", invalid("cluster", "no cluster has an admin_url, by which databases are made")
	}
	if len(all) == 1 {
		return all[0].name, "it is the only one", nil
	}
	var away error
	var unfit []string
	for _, c := range all {
		err := within(ctx, reachWithin, func(ctx context.Context) error { return can(ctx, c.name) })
		var invalid *InvalidError
		switch {
		case errors.As(err, &invalid):
			unfit = append(unfit, invalid.Reason.Error())
			continue
		case err != nil:
			away = errors.Join(away, err)
			continue
		}
		why = fmt.Sprintf("it has the fewest tenants for its budget: %d", c.tenants)
		if away != nil {
			why += ", of those that can be reached"
		}
		if unfit != nil {
			why += "; " + strings.Join(unfit, "; ")
		}
		return c.name, why, nil
	}
	if away != nil {
		f.Log.Warn("clusters cannot be reached", "error", away)
		unfit = append(unfit, fmt.Sprintf("%d of %d clusters cannot be reached now; the log says why", len(all)-len(unfit), len(all)))
	}
	return "", "", invalid("cluster", "no cluster can have it: %s", strings.Join(unfit, "; "))
}

func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, done := context.WithTimeout(ctx, limit)
	defer done()
	return do(ctx)
}

// reach says whether a cluster answers, and lets Howdah in.
func (f *Fleet) reach(ctx context.Context, cluster string) error {
	_, back, err := f.borrow(ctx, cluster)
	if err != nil {
		return err
	}
	back(nil)
	return nil
}
