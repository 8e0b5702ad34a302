package tenants

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Fallback is the name of the tenant that stands for every database without a
// tenant of its own.
const Fallback = "*"

// Snapshot is the registry at one moment. It never changes, and what it gives
// out must not be changed: any number of goroutines and loops read it at once.
type Snapshot struct {
	clusters []Cluster
	tiers    []Tier
	tenants  []*Tenant // in the source's order, without the fallback
	users    []User

	clusterByName map[string]*Cluster
	tierByName    map[string]*Tier
	tenantByName  map[string]*Tenant
	userByName    map[string]*User
	tenantOfUser  map[string]*Tenant // the one that stands for the user in database postgres
	fallback      *Tenant            // nil = none
	tenantByID    map[string]*Tenant // those that have one
	userByID      map[string]*User   // the same

	derived derived
}

// NewSnapshot freezes the given entries. It copies them, so the caller keeps its
// slices. The error lists every entry that is named twice or not at all, refers
// to what does not exist, or holds what is no verifier.
func NewSnapshot(clusters []Cluster, tiers []Tier, tenants []Tenant, users []User) (*Snapshot, error) {
	s := &Snapshot{
		clusters: slices.Clone(clusters),
		tiers:    slices.Clone(tiers),
		users:    slices.Clone(users),
	}
	for i := range s.clusters {
		s.clusters[i].Members = slices.Clone(s.clusters[i].Members)
		s.clusters[i].Patroni = slices.Clone(s.clusters[i].Patroni)
	}
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	s.clusterByName = index("cluster", s.clusters, func(c *Cluster) string { return c.Name }, note)
	s.tierByName = index("tier", s.tiers, func(t *Tier) string { return t.Name }, note)
	s.userByName = index("user", s.users, func(u *User) string { return u.Name }, note)
	s.userByID = make(map[string]*User)
	for i := range s.users {
		if id := s.users[i].ID; id != "" {
			s.userByID[id] = &s.users[i]
		}
		if v := s.users[i].Verifier; v != "" {
			if err := CheckVerifier(v); err != nil {
				note(fmt.Errorf("tenants: user %q: verifier: %w", s.users[i].Name, err))
			}
		}
		for _, old := range s.users[i].OldVerifiers {
			if err := CheckOldVerifier(old, s.users[i].Verifier); err != nil {
				note(fmt.Errorf("tenants: user %q: old verifier: %w", s.users[i].Name, err))
			}
		}
	}
	s.addTenants(slices.Clone(tenants), note)
	s.addHomes(note)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// addTenants fills the tables of tenants from a slice it may keep.
func (s *Snapshot) addTenants(all []Tenant, note func(error)) {
	s.tenantByName = index("tenant", all, func(t *Tenant) string { return t.Name }, note)
	s.tenantOfUser = make(map[string]*Tenant)
	s.tenantByID = make(map[string]*Tenant)
	s.tenants = make([]*Tenant, 0, len(all))
	for i := range all {
		t := &all[i]
		if _, ok := s.clusterByName[t.Cluster]; !ok {
			note(fmt.Errorf("tenants: tenant %q: no cluster %q", t.Name, t.Cluster))
		}
		if _, ok := s.tierByName[t.Tier]; !ok && t.Tier != "" {
			note(fmt.Errorf("tenants: tenant %q: no tier %q", t.Name, t.Tier))
		}
		if t.Name == Fallback {
			s.fallback = t
			continue
		}
		s.tenants = append(s.tenants, t)
		if t.ID != "" {
			s.tenantByID[t.ID] = t
		}
		// A role may own many databases. The first active one speaks for it;
		// only where all are suspended is the role shut out of postgres too.
		if first := s.tenantOfUser[t.User]; first == nil || first.State == Suspended && t.State == Active {
			s.tenantOfUser[t.User] = t
		}
	}
	delete(s.tenantByName, Fallback)
	delete(s.tenantOfUser, "")
}

// addHomes has users without a tenant come to database postgres.
func (s *Snapshot) addHomes(note func(error)) {
	for i := range s.users {
		u := &s.users[i]
		if u.Home == nil {
			continue
		}
		if _, ok := s.clusterByName[u.Home.Cluster]; !ok {
			note(fmt.Errorf("tenants: user %q: no cluster %q", u.Name, u.Home.Cluster))
		}
		if s.tenantOfUser[u.Name] == nil {
			s.tenantOfUser[u.Name] = u.Home
		}
	}
}

// index makes the table of entries by name and notes empty and double names.
func index[T any](noun string, entries []T, name func(*T) string, note func(error)) map[string]*T {
	byName := make(map[string]*T, len(entries))
	for i := range entries {
		e := &entries[i]
		n := name(e)
		if n == "" {
			note(fmt.Errorf("tenants: %s %d has no name", noun, i+1))
			continue
		}
		if _, taken := byName[n]; taken {
			note(fmt.Errorf("tenants: two entries for %s %q", noun, n))
			continue
		}
		byName[n] = e
	}
	return byName
}

// Cluster returns the cluster of that name.
func (s *Snapshot) Cluster(name string) (*Cluster, bool) {
	c, ok := s.clusterByName[name]
	return c, ok
}

// Tier returns the tier of that name.
func (s *Snapshot) Tier(name string) (*Tier, bool) {
	t, ok := s.tierByName[name]
	return t, ok
}

// Tenant returns the configured tenant of that name: not the fallback, nor what Lookup
// made from it.
func (s *Snapshot) Tenant(name string) (*Tenant, bool) {
	t, ok := s.tenantByName[name]
	return t, ok
}

// User returns the user of that name.
func (s *Snapshot) User(name string) (*User, bool) {
	u, ok := s.userByName[name]
	return u, ok
}

// Tenants yields the configured tenants in their source's order: neither the
// fallback nor what Lookup made from it.
func (s *Snapshot) Tenants() iter.Seq[*Tenant] { return slices.Values(s.tenants) }

// WithFallback yields the configured tenants, in the source's order, then the fallback.
func (s *Snapshot) WithFallback() iter.Seq[*Tenant] {
	return func(yield func(*Tenant) bool) {
		for _, t := range s.tenants {
			if !yield(t) {
				return
			}
		}
		if s.fallback != nil {
			yield(s.fallback)
		}
	}
}

// Clusters yields the clusters in their source's order.
func (s *Snapshot) Clusters() iter.Seq[*Cluster] { return pointers(s.clusters) }

// Tiers yields the tiers in their source's order.
func (s *Snapshot) Tiers() iter.Seq[*Tier] { return pointers(s.tiers) }

// Users yields the users in their source's order.
func (s *Snapshot) Users() iter.Seq[*User] { return pointers(s.users) }

func pointers[T any](entries []T) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := range entries {
			if !yield(&entries[i]) {
				return
			}
		}
	}
}

// WithLimits returns a snapshot that differs in one tenant's limits, which change
// may alter, or false if no such tenant is configured. The fallback goes by its
// name. What Lookup made on demand is made anew.
func (s *Snapshot) WithLimits(tenant string, change func(*Limits)) (*Snapshot, bool) {
	old, ok := s.tenantByName[tenant]
	if !ok && tenant == Fallback && s.fallback != nil {
		old, ok = s.fallback, true
	}
	if !ok {
		return nil, false
	}
	changed := *old
	change(&changed.Limits)
	next := &Snapshot{
		clusters: s.clusters, tiers: s.tiers, tenants: s.tenants, users: s.users,
		clusterByName: s.clusterByName, tierByName: s.tierByName, tenantByName: s.tenantByName,
		userByName: s.userByName, tenantOfUser: s.tenantOfUser, fallback: s.fallback,
		tenantByID: s.tenantByID, userByID: s.userByID,
	}
	if old == s.fallback {
		next.fallback = &changed
		return next, true
	}
	next.tenants = slices.Clone(s.tenants)
	next.tenants[slices.Index(s.tenants, old)] = &changed
	next.tenantByName = maps.Clone(s.tenantByName)
	next.tenantByName[tenant] = &changed
	if changed.ID != "" {
		next.tenantByID = maps.Clone(s.tenantByID)
		next.tenantByID[changed.ID] = &changed
	}
	if s.tenantOfUser[old.User] == old {
		next.tenantOfUser = maps.Clone(s.tenantOfUser)
		next.tenantOfUser[old.User] = &changed
	}
	return next, true
}
