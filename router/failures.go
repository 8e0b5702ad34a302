package router

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"howdah/wire"
)

// Whoever guesses is slowed down: wrong passwords are counted by the address
// they come from and by the database they are for, wrong cancel keys by
// address. Each count is a tally, a bucket that holds as many failures as its limit and
// empties within a minute. While one is full, what comes from there or is for
// there is refused, right or wrong, so that many guesses at once gain nothing.

const (
	maxTallies    = 10_000 // of each kind
	failurePeriod = time.Minute
	goodPeriod    = time.Hour // an address that has logged in to a database is no stranger to it for so long
)

// failures counts by key. The zero value is ready.
type failures[K comparable] struct {
	mu      sync.Mutex
	tallies map[K]tally
}

// tally is how full it was at a time.
type tally struct {
	level float64
	at    time.Time
}

// now returns the tally as it has emptied since.
func (b tally) now(now time.Time, limit int) tally {
	level := b.level - now.Sub(b.at).Seconds()*float64(limit)/failurePeriod.Seconds()
	return tally{max(level, 0), now}
}

// full reports whether there were as many failures as the limit allows. A limit
// of 0 is none.
func (f *failures[K]) full(key K, limit int, now time.Time) bool {
	if limit <= 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.tallies[key]
	return ok && b.now(now, limit).level > float64(limit-1)
}

// add counts a failure. Where there are too many keys the emptiest of a few
// goes.
func (f *failures[K]) add(key K, limit int, now time.Time) {
	if limit <= 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.tallies[key]
	if !ok && len(f.tallies) >= maxTallies {
		f.evict(limit, now)
	}
	if f.tallies == nil {
		f.tallies = make(map[K]tally)
	}
	b = b.now(now, limit)
	b.level = min(b.level+1, float64(limit))
	f.tallies[key] = b
}

func (f *failures[K]) evict(limit int, now time.Time) {
	const few = 8
	var emptiest K
	lowest, seen := 0.0, 0
	for key, b := range f.tallies { // in an order of chance
		if level := b.now(now, limit).level; seen == 0 || level < lowest {
			emptiest, lowest = key, level
		}
		if seen++; seen == few || lowest == 0 {
			break
		}
	}
	delete(f.tallies, emptiest)
}

// visit is an address that has logged in to a database.
type visit struct {
	from     netip.Addr
	database string
}

// guard is what a server knows of failures.
type guard struct {
	byAddress  failures[netip.Addr]
	byDatabase failures[string]
	cancels    failures[netip.Addr]

	mu   sync.Mutex
	good map[visit]time.Time // when it last did
}

// greet remembers that a login succeeded.
func (g *guard) greet(v visit, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.good == nil {
		g.good = make(map[visit]time.Time)
	}
	if _, ok := g.good[v]; !ok {
		for old := range g.good {
			if len(g.good) < maxTallies {
				break
			}
			delete(g.good, old)
		}
	}
	g.good[v] = now
}

func (g *guard) knows(v visit, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, ok := g.good[v]
	return ok && now.Sub(at) < goodPeriod
}

// neighbourhood is what counts as one address: of IPv6 the network of 64 bits
// that one subscriber has to himself.
func neighbourhood(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}

// visit returns whence and whereto the login is. Names longer than PostgreSQL
// has any are cut, or they would cost memory.
func (l *login) visit() visit {
	const longest = 64
	return visit{neighbourhood(l.client), l.database[:min(longest, len(l.database))]}
}

// tooMany refuses a login where too many have failed. By Unix socket nobody has
// an address; and whoever has lately been let in does not suffer from what
// strangers do to the same database.
func (l *login) tooMany(now time.Time) error {
	c, g, v := l.server.config(), &l.server.guard, l.visit()
	if !l.bySocket && g.byAddress.full(v.from, c.LoginFailures, now) {
		return wire.Fatal(wire.CodeTooManyConnections, fmt.Sprintf("too many failed logins from address %q", l.client),
			fmt.Sprintf("Wait a minute; login_failures_per_address is %d.", c.LoginFailures))
	}
	if g.byDatabase.full(v.database, c.TenantFailures, now) && !g.knows(v, now) {
		return wire.Fatal(wire.CodeTooManyConnections, fmt.Sprintf("too many failed logins to database %q", l.database),
			fmt.Sprintf("Wait a minute; login_failures_per_tenant is %d.", c.TenantFailures))
	}
	return nil
}

// count notes how a login went that showed a secret.
func (l *login) count(failed bool, now time.Time) {
	c, g, v := l.server.config(), &l.server.guard, l.visit()
	switch {
	case !failed && c.TenantFailures > 0:
		g.greet(v, now)
	case failed:
		if !l.bySocket {
			g.byAddress.add(v.from, c.LoginFailures, now)
		}
		g.byDatabase.add(v.database, c.TenantFailures, now)
	}
}
