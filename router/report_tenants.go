package router

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"howdah/tenants"
)

// TenantRow is one tenant and how it stands: SHOW TENANTS.
type TenantRow struct {
	*tenants.Tenant
	Paused, Disabled          bool
	Clients, Servers, Waiting int
	Usage                     tenants.Usage // of its quota; zero without one
}

// Tenants returns every tenant of the registry whose name wanted likes, in the
// registry's order, and then those that were found by user or through "*" and
// are in use. A tenant that is not in use costs one look-up.
func (s *Server) Tenants(wanted func(name string) bool) iter.Seq[TenantRow] {
	used, usage := s.tenantsInUse(), s.Usage()
	return func(yield func(TenantRow) bool) {
		row := func(t *tenants.Tenant, n TenantRow) bool {
			n.Tenant, n.Paused, n.Usage = t, s.switches.holds(t.Name), usage[t.Name]
			_, n.Disabled = s.switches.of(t.Name)
			return yield(n)
		}
		for t := range s.registry.Snapshot().Tenants() {
			key := keyOf(t)
			n := used[key]
			delete(used, key)
			if wanted(t.Name) && !row(t, n) {
				return
			}
		}
		for _, n := range slices.SortedFunc(maps.Values(used), func(a, b TenantRow) int { return strings.Compare(a.Name, b.Name) }) {
			if wanted(n.Name) && !row(n.Tenant, n) {
				return
			}
		}
	}
}

// tenantsInUse returns the tenants that have clients or servers.
func (s *Server) tenantsInUse() map[tenantKey]TenantRow {
	used := map[tenantKey]TenantRow{}
	var mu sync.Mutex
	s.everyWorker(func(w *worker) {
		mu.Lock()
		defer mu.Unlock()
		for key, t := range w.tenants {
			n := used[key]
			n.Tenant = t.source
			n.Clients += t.clients
			n.Waiting += t.waiting
			used[key] = n
		}
		for key, r := range w.routes {
			p := r.stats()
			n := used[key.tenant]
			n.Servers += p.Active + p.Idle + p.Tested + p.Login + p.Closing
			used[key.tenant] = n
		}
	})
	return used
}

// TenantStats are what a tenant's clients did since it was last not in use.
type TenantStats struct {
	Name     string
	Counters Counters
	Times    Times
}

// TenantStats returns the numbers of the tenants in use, one entry for each
// name, and the sum of what those did that are not in use any more.
func (s *Server) TenantStats() (used map[string]*TenantStats, gone TenantStats) {
	used = map[string]*TenantStats{}
	var mu sync.Mutex
	s.everyWorker(func(w *worker) {
		mu.Lock()
		defer mu.Unlock()
		of := func(name string) *TenantStats {
			if used[name] == nil {
				used[name] = &TenantStats{Name: name}
			}
			return used[name]
		}
		for _, t := range w.tenants {
			of(t.name).Counters.Add(&t.gone)
			of(t.name).Times.Add(&t.times)
		}
		for _, r := range w.routes {
			of(r.tenant.name).Counters.Add(&r.counters)
		}
		gone.Counters.Add(&w.gone.Counters)
		gone.Times.Add(&w.gone.Times)
	})
	return used, gone
}
