package router

import (
	"maps"

	"howdah/tenants"
)

// A tenant of the catalog that is renamed keeps its clients: they go from the route by its
// old names to one by the new names. What they prepared, set and listen for is theirs and
// comes along; a server that one still has is given back to the old route's pool.

// carriage is a route that gets other names. Nobody finds it by the old ones any more.
type carriage struct {
	from   *route
	tenant *tenants.Tenant
	member *member
	held   bool
	user   string
	heard  heard
}

// leave takes a route out of the books that is to be carried.
func (r *route) leave(t *tenants.Tenant, m *member, held bool, user string) carriage {
	x := carriage{from: r, tenant: t, member: m, held: held, user: user}
	if (databaseKey{t.Cluster, t.Database}) != r.databaseKey() {
		x.heard = r.leaveListener()
	}
	delete(r.w.routes, r.key)
	return x
}

// carry moves a route's clients to where its tenant is now, and closes the route.
func (w *worker) carry(x *carriage) {
	if x.from.clients > 0 {
		to := w.routeOf(x.tenant, x.member, x.held, x.user)
		to.inherit(x.from)
		if l := w.listeners[to.databaseKey()]; l != nil && l.route == x.from {
			l.route = to
		}
		for _, c := range w.slots {
			if c != nil && c.route == x.from && !c.leaving {
				c.carry(to)
			}
		}
	}
	x.heard.goOn(w)
	w.closeRoute(x.from)
}

// inherit takes over what is known of the same database under other names.
func (r *route) inherit(old *route) {
	if secret := old.secret.Load(); secret != nil && r.secret.Load() == nil {
		r.secret.Store(secret)
	}
	if r.base == nil {
		r.base, r.logins = old.base, maps.Clone(old.logins)
	}
	r.ddl += old.ddl
	r.taint = old.taint
	r.arrived()
	r.pool.Seed()
}

// carry moves a client to another route. If it waits, it waits there.
func (c *client) carry(to *route) {
	from := c.route
	asks, lines := c.waiter != nil, c.throttled || c.parked != nil
	if asks {
		c.waiter.Leave()
		c.waiter = nil
		from.waits(-1)
	}
	c.leaveLines()
	from.clients--
	from.tenant.clients--
	c.w.server.metered.leave(from.key.user)
	from.tenant.leaveProcess(c.about.process)
	c.route, c.ddl, c.taint, c.quota = to, &to.ddl, &to.taint, to.over
	to.clients++
	to.tenant.clients++
	c.w.server.metered.enter(to.key.user)
	if p := c.about.process; p != nil {
		c.about.process = to.tenant.processOf(to.key.user, c.about.address, p.key.application)
	}
	switch {
	case asks:
		c.away = nil
		to.waits(1)
		s, w := c.ask()
		if c.waiter = w; s != nil {
			c.Assigned(s)
		}
	case lines:
		c.refeed()
		c.settleDown()
	}
}
