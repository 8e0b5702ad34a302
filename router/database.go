package router

import (
	"howdah/router/members"
)

// database is what a server knows of one database of a cluster, on whatever loop, for
// as long as a route leads there.
type database struct {
	key       databaseKey
	writes    writes
	knowledge knowledge // for read_split = "auto"
	routes    int       // under the server's mu
}

// databaseKey says which database of which cluster.
type databaseKey struct{ cluster, database string }

// databaseKey says where the route's servers are.
func (r *route) databaseKey() databaseKey { return r.database.Load().key }

// enterDatabase returns the entry of a database for one more route.
func (s *Server) enterDatabase(key databaseKey) *database {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.databases[key]
	if d == nil {
		d = &database{key: key}
		d.writes.until(members.Clock()) // perhaps, when no route led there
		s.databases[key] = d
	}
	d.routes++
	return d
}

// leaveDatabase forgets a database with its last route, unless something may still be
// written there.
func (s *Server) leaveDatabase(d *database) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.routes--; d.routes == 0 && d.writes.last() <= members.Clock() {
		delete(s.databases, d.key)
	}
}
