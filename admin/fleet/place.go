package fleet

import (
	"cmp"
	"fmt"
	"slices"

	"howdah/tenants"
)

// place chooses the cluster for a new tenant, and says why: of those whose databases can
// be made, the one with the fewest tenants for each seat of its budget.
func place(s *tenants.Snapshot) (name, why string, err error) {
	count := map[string]int{}
	for t := range s.Tenants() {
		count[t.Cluster]++
	}
	type candidate struct {
		name    string
		tenants int
		load    float64
	}
	var all []candidate
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
	if len(all) == 0 {
		return "", "", invalid("cluster", "no cluster has an admin_url, by which databases are made")
	}
	best := slices.MinFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.load, b.load), cmp.Compare(a.name, b.name))
	})
	if len(all) == 1 {
		return best.name, "it is the only one", nil
	}
	return best.name, fmt.Sprintf("it has the fewest tenants for its budget: %d", best.tenants), nil
}

// unlimitedSeats is what a cluster without a budget counts as.
const unlimitedSeats = 1000
