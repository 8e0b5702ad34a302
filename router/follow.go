package router

import (
	"cmp"
	"slices"

	"howdah/tenants"
)

// A tenant's database can come to be on another cluster: it was moved there, or the file
// says so. Its sessions follow: what runs ends where it began, and the next transaction
// is at the new place, with the session's settings and statements, as at any server that
// has not had them yet.

// follow takes a route with its clients to where the registry has its tenant now.
func (r *route) follow(t *tenants.Tenant, m *member, held bool) {
	s := r.w.server
	waiting, subscriptions := r.leaveLine(), r.leaveListener()
	left := r.database.Swap(s.enterDatabase(databaseKey{t.Cluster, t.Database}))
	s.leaveDatabase(left)
	r.taint.known = false
	r.watch = s.watchOf(t.Cluster)
	r.written() // perhaps, before it was watched
	r.tenant = r.w.tenantOf(t)
	r.setLimits(t, s.userOf(r.key.user))
	r.setReads(t)
	old := r.pool
	r.member.Store(m)
	r.openPool(m)
	s.claimUser(r)
	if r.held = held; held {
		r.pool.Hold()
	}
	old.Close()
	r.leaveStandbys()
	for _, c := range waiting {
		c.askPool()
	}
	for _, l := range subscriptions {
		r.w.listenerOf(l.client).subscribe(l.client, l.channels, func(error) {}) // refused, it is tried again
	}
}

// leaveLine takes the clients out of the line who wait for a server of the route's, the
// one that came first in front.
func (r *route) leaveLine() (left []*client) {
	for _, c := range r.w.slots {
		if c != nil && c.route == r && c.waiter != nil && c.away == nil {
			c.waiter.Leave()
			left = append(left, c)
		}
	}
	slices.SortStableFunc(left, func(a, b *client) int { return cmp.Compare(a.since, b.since) })
	return left
}

// subscription is what a client listens to.
type subscription struct {
	client   *client
	channels []string
}

// leaveListener ends what the route's clients listen to, and returns it.
func (r *route) leaveListener() (left []subscription) {
	l := r.w.listeners[r.databaseKey()]
	if l == nil {
		return nil
	}
	channels := map[*client][]string{}
	for name, clients := range l.channels {
		for c := range clients {
			if c.route == r {
				channels[c] = append(channels[c], name)
			}
		}
	}
	for c, names := range channels {
		left = append(left, subscription{c, names})
		l.unsubscribe(c)
	}
	return left
}
