package router

import (
	"fmt"
	"sync"
	"time"

	"howdah/tenants"
	"howdah/wire"
)

// logins meters how often tenants are logged in to, and counts the clients
// that each user has, over all workers.
type logins struct {
	mu      sync.Mutex // guards what follows
	buckets map[loginKey]*bucket
	swept   int            // buckets left by the last sweep
	clients map[string]int // of each user
}

// minSweep is how many buckets are kept without a look whether they are full.
const minSweep = 1024

// loginKey is whose logins are metered: a tenant's, or those to it of a user that
// has a limit of its own.
type loginKey struct {
	tenant tenantKey
	user   string
}

// mayLogIn counts a login in, unless there were too many in the last second. u is
// nil where the registry does not have the user.
func (l *logins) mayLogIn(t *tenants.Tenant, u *tenants.User, now time.Duration) error {
	key, owner, rate := loginKey{tenant: keyOf(t)}, fmt.Sprintf("tenant %q", t.Name), int64(t.Limits.MaxLoginsPerSecond)
	if u != nil && u.Limits.MaxLoginsPerSecond != nil {
		key.user, owner, rate = u.Name, fmt.Sprintf("user %q", u.Name), int64(*u.Limits.MaxLoginsPerSecond)
	}
	if rate == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil {
		b = &bucket{}
		l.add(key, b, now)
	}
	if b.wait(now, rate) > 0 {
		return wire.Fatal(wire.CodeTooManyConnections,
			fmt.Sprintf("max_logins_per_second: there are more than %d logins a second, the limit of %s", rate, owner),
			fmt.Sprintf("Keep connections open, or raise max_logins_per_second for %s.", owner))
	}
	b.take(now, 1, rate)
	return nil
}

// add keeps a bucket. Full ones are as good as none and are forgotten when
// there are many.
func (l *logins) add(key loginKey, b *bucket, now time.Duration) {
	if l.buckets == nil {
		l.buckets = map[loginKey]*bucket{}
	}
	if len(l.buckets) >= max(minSweep, 2*l.swept) {
		for k, b := range l.buckets {
			if b.full <= now {
				delete(l.buckets, k)
			}
		}
		l.swept = len(l.buckets)
	}
	l.buckets[key] = b
}

// enter counts a client of a user in, leave out.
func (l *logins) enter(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients == nil {
		l.clients = map[string]int{}
	}
	l.clients[user]++
}

func (l *logins) leave(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[user]--; l.clients[user] == 0 {
		delete(l.clients, user)
	}
}

// of returns how many clients a user has.
func (l *logins) of(user string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clients[user]
}

// fullOfUser returns why another client of the route's user, who has been
// counted in, cannot stay; nil if it can.
func (r *route) fullOfUser() *wire.Error {
	most := r.limits.MaxUserClientConn
	if most == 0 || r.w.server.metered.of(r.key.user) <= most {
		return nil
	}
	return wire.Fatal(wire.CodeTooManyConnections,
		fmt.Sprintf("max_user_client_connections: user %q has %d clients already, the limit of %s", r.key.user, most,
			whose(r, func(l *tenants.UserLimits) *int { return l.MaxUserClientConn })),
		fmt.Sprintf("Close connections, or raise max_user_client_connections for user %q.", r.key.user))
}
