package tenants

import (
	"iter"
	"maps"
	"slices"
	"sync"
)

// Shared is the maintenance database every PostgreSQL cluster has. Odoo lists
// databases and sends its notifications through it.
const Shared = "postgres"

// maxDerived bounds what Lookup keeps of names it was asked for, and
// maxNameLength (PostgreSQL's NAMEDATALEN less one) how long each is: a stranger
// who tries names costs at most some tens of megabytes, then is refused.
const (
	maxDerived    = 100_000
	maxNameLength = 63
)

// derived holds the tenants made on demand: a Snapshot's only moving part,
// which a reader cannot see move, since an entry once made stays.
type derived struct {
	mu         sync.RWMutex
	byDatabase map[string]*Tenant // from the fallback
	byUser     map[string]*Tenant // for database postgres
}

// Lookup finds the tenant a client means that asks for database as user. Within
// one Snapshot the same tenant is always the same pointer.
//
// A tenant of that name comes first; whether the user may enter its database is
// PostgreSQL's to say. The database postgres, where it is no tenant itself,
// belongs to the tenant whose User asks: the result is a tenant of its own, named
// postgres, with that one's cluster and limits, and the user's ID. Every other name
// goes to the tenant "*" if there is one, as the database of that name.
//
// It remembers at most 100,000 names that only "*" answers and refuses more, so
// it is best called after the user has been authenticated.
func (s *Snapshot) Lookup(database, user string) (*Tenant, bool) {
	if t, ok := s.tenantByName[database]; ok {
		return t, true
	}
	if database == Shared {
		if owner, ok := s.tenantOfUser[user]; ok {
			id := ""
			if u, ok := s.userByName[user]; ok {
				id = u.ID
			}
			return s.derived.ofUser(user, owner, id)
		}
	}
	if s.fallback == nil || database == "" || len(database) > maxNameLength {
		return nil, false
	}
	return s.derived.ofDatabase(database, s.fallback)
}

// Follow finds by what names a tenant goes now that Lookup, or Tenant, found in an earlier
// snapshot, and its user.
func (s *Snapshot) Follow(was *Tenant, user *User) (t *Tenant, name string, ok bool) {
	name = user.Name
	if u, ok := s.userByID[user.ID]; ok {
		name = u.Name
	}
	if was.ID == "" || was.Name == Shared && s.tenantByID[was.ID] == nil {
		t, ok = s.Lookup(was.Name, name)
		return t, name, ok
	}
	t, ok = s.tenantByID[was.ID]
	return t, name, ok
}

// ClusterOf returns the cluster of the tenant that Lookup would find. It
// remembers nothing, so strangers may have it asked as often as they like.
func (s *Snapshot) ClusterOf(database, user string) (*Cluster, bool) {
	t, ok := s.tenantByName[database]
	if !ok && database == Shared {
		t, ok = s.tenantOfUser[user]
	}
	if !ok {
		t = s.fallback
	}
	if t == nil {
		return nil, false
	}
	return s.Cluster(t.Cluster)
}

// Found yields the tenants that Lookup has made of the fallback, in no order.
func (s *Snapshot) Found() iter.Seq[*Tenant] {
	s.derived.mu.RLock()
	defer s.derived.mu.RUnlock()
	return slices.Values(slices.Collect(maps.Values(s.derived.byDatabase)))
}

// ofUser is bounded by the configured users.
func (d *derived) ofUser(user string, owner *Tenant, id string) (*Tenant, bool) {
	return d.find(&d.byUser, user, func() *Tenant {
		t := *owner
		t.ID, t.Name, t.Database = id, Shared, Shared
		return &t
	})
}

func (d *derived) ofDatabase(database string, fallback *Tenant) (*Tenant, bool) {
	return d.find(&d.byDatabase, database, func() *Tenant {
		t := *fallback
		t.ID, t.Name, t.Database = "", database, database
		return &t
	})
}

// find returns the table's entry, made first if need be. It is false when the
// table is full.
func (d *derived) find(table *map[string]*Tenant, key string, create func() *Tenant) (*Tenant, bool) {
	d.mu.RLock()
	t, ok := (*table)[key]
	d.mu.RUnlock()
	if ok {
		return t, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t, ok := (*table)[key]; ok {
		return t, true
	}
	if len(*table) >= maxDerived {
		return nil, false
	}
	if *table == nil {
		*table = make(map[string]*Tenant)
	}
	t = create()
	(*table)[key] = t
	return t, true
}
