package fleet_test

import (
	"errors"
	"strings"
	"testing"

	"howdah/admin/fleet"
)

// A tenant for which nobody names a cluster is not placed on one that is away.
func TestPlaceWhereItCanBeReached(t *testing.T) {
	p := newPair(t)
	made := func() (*fleet.Creation, error) {
		return p.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, true)
	}
	if plan, err := made(); err != nil || plan.Cluster != "main" || plan.Why != "it has the fewest tenants for its budget: 0" {
		t.Errorf("both are there: %+v, %v", plan, err)
	}
	p.admins[0] += "0" // nobody is at that port, or there is no such database
	p.relog()
	if plan, err := made(); err != nil || plan.Cluster != "other" || !strings.Contains(plan.Why, "of those that can be reached") {
		t.Errorf("one is away: %+v, %v", plan, err)
	}
	p.admins[1] += "0"
	p.relog()
	var invalid *fleet.InvalidError
	if plan, err := made(); !errors.As(err, &invalid) || invalid.Field != "cluster" {
		t.Errorf("both are away: %+v, %v", plan, err)
	}
}
