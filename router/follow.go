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
	waiting, heard := r.leaveLine(), r.leaveListener()
	left := r.database.Swap(s.enterDatabase(databaseKey{t.Cluster, t.Database}))
	s.leaveDatabase(left)
	r.taint.known = false
	r.watch = s.watchOf(t.Cluster)
	r.arrived()
	r.tenant = r.w.tenantOf(t)
	r.setLimits(t, s.userOf(r.key.user))
	r.setReads(t)
	r.setQuota()
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
	heard.goOn(r.w)
}

// arrived notes that the route's database has not been there before: nothing that was
// known of the place's last counts.
func (r *route) arrived() {
	r.written() // perhaps
	r.database.Load().knowledge.changes.Add(1)
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

// heard is what a route's clients had at a listener that they have left.
type heard struct {
	subscriptions []subscription
	waiting       []func(error) // for it to have told what was sent, or to be open
}

// subscription is what a client listens to.
type subscription struct {
	client   *client
	channels []string
}

// leaveListener ends what the route's clients listen to, and returns it. Who waits for
// the listener waits for the next one, unless others listen here too.
func (r *route) leaveListener() (left heard) {
	l := r.w.listeners[r.databaseKey()]
	if l == nil {
		return left
	}
	channels, others := map[*client][]string{}, false
	for name, clients := range l.channels {
		for c := range clients {
			if c.route == r {
				channels[c] = append(channels[c], name)
			} else {
				others = true
			}
		}
	}
	if !others {
		left.waiting = append(l.replies, l.waiting...)
		l.replies, l.waiting = nil, nil
	}
	for c, names := range channels {
		left.subscriptions = append(left.subscriptions, subscription{c, names})
		l.unsubscribe(c)
	}
	if len(l.channels) == 0 {
		l.close()
	}
	return left
}

// goOn has who listened do so where the route's database is now.
func (h *heard) goOn(w *worker) {
	var l *listener
	for _, s := range h.subscriptions {
		if !s.client.leaving {
			l = w.listenerOf(s.client)
			l.subscribe(s.client, s.channels, func(error) {}) // refused, it is tried again
		}
	}
	for _, done := range h.waiting {
		if l != nil {
			l.sync(done)
		} else {
			done(nil)
		}
	}
}
