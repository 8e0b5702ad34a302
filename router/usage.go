package router

import "howdah/tenants"

// usage is how tenants stand to their quotas. It is never changed.
type usage struct {
	all  map[string]tenants.Usage
	over map[string]*overQuota // those that cannot write
}

// SetUsage says how tenants stand to their quotas: all that have one, by name. The map
// must not be changed afterwards. From then on those that are over it begin nothing but
// READ ONLY transactions.
func (s *Server) SetUsage(all map[string]tenants.Usage) {
	s.telling.Lock()
	defer s.telling.Unlock()
	before := s.usage.Load()
	if before == nil {
		before = &usage{}
	}
	next := &usage{all: all, over: map[string]*overQuota{}}
	changed := map[string]bool{}
	for name, u := range all {
		if u.State != tenants.QuotaOver {
			continue
		}
		if old := before.over[name]; old != nil && old.usage == u {
			next.over[name] = old
		} else {
			next.over[name], changed[name] = newOverQuota(name, u), true
		}
	}
	for name := range before.over {
		changed[name] = changed[name] || next.over[name] == nil
	}
	s.usage.Store(next)
	if len(changed) == 0 {
		return
	}
	s.everyWorker(func(w *worker) {
		for _, r := range w.routes {
			if changed[r.tenant.name] {
				r.setQuota()
			}
		}
	})
}

// Usage returns what SetUsage has said last.
func (s *Server) Usage() map[string]tenants.Usage {
	if u := s.usage.Load(); u != nil {
		return u.all
	}
	return nil
}

// overQuota returns what keeps the route's clients from writing, nil for nothing.
func (r *route) overQuota() *overQuota {
	u := r.w.server.usage.Load()
	if u == nil || len(u.over) == 0 {
		return nil
	}
	o := u.over[r.tenant.name]
	if o == nil || tenants.Named(r.source.QuotaRules.ExemptUsers, r.key.user) {
		return nil
	}
	return o
}

// setQuota has the route's clients go by how the tenant stands to its quota.
func (r *route) setQuota() {
	o := r.overQuota()
	if o == r.over {
		return
	}
	r.over = o
	for _, c := range r.w.slots {
		if c != nil && c.route == r {
			c.quota = o
		}
	}
}
