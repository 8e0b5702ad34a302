package router

import (
	"errors"
	"fmt"
	"time"

	"howdah/tenants"
	"howdah/wire"
)

// burst is how much of a rate may be used at once, as the time it is for.
const burst = time.Second

// bucket meters what may flow at a rate on average: what is taken is paid off
// as time goes by. The zero bucket has all of its burst left. It does not know
// its rate, which may change at any time.
type bucket struct {
	full time.Duration // the instant at which everything is paid off
}

// take takes n units, whether they are there or not.
func (b *bucket) take(now time.Duration, n, rate int64) {
	b.full = max(b.full, now) + time.Duration(n)*time.Second/time.Duration(rate)
}

// wait returns how long it is until another unit is there, 0 or less for now.
func (b *bucket) wait(now time.Duration, rate int64) time.Duration {
	return max(b.full, now) + time.Second/time.Duration(rate) - burst - now
}

// left returns how many units are there.
func (b *bucket) left(now time.Duration, rate int64) int64 {
	free := burst - (max(b.full, now) - now)
	return int64(max(free, 0)) * rate / int64(time.Second)
}

// setLimits resolves what holds for the route's clients: their user's own
// limits over the tenant's.
func (r *route) setLimits(t *tenants.Tenant, u *tenants.User) {
	r.source, r.user = t, u
	r.identify(t)
	r.limits = &t.Limits
	if u != nil && u.Limits != (tenants.UserLimits{}) {
		l := u.Limits.Over(t.Limits)
		r.limits = &l
	}
	r.setRates()
}

// limitClients has the clients that are there go by limits that have changed. Their times
// begin anew. How a session uses servers, pool_mode, stays as it was when it began.
func (r *route) limitClients() {
	for _, c := range r.w.slots {
		if c == nil || c.route != r || c.leaving {
			continue
		}
		c.limit, c.most = int32(r.limits.MaxPreparedStatements), int32(r.limits.MaxClientPreparedStatements)
		if !r.w.suspended { // else listen does it
			c.watched = watchNothing
			c.watchTime()
		}
	}
}

// userOf returns the registry's entry of a user, nil if there is none.
func (s *Server) userOf(name string) *tenants.User {
	u, _ := s.registry.Snapshot().User(name)
	return u
}

// whose says whose limit it is, given the user's own if there is such a thing.
func whose[T any](r *route, own func(*tenants.UserLimits) *T) string {
	if r.user != nil && own(&r.user.Limits) != nil {
		return fmt.Sprintf("user %q", r.key.user)
	}
	return fmt.Sprintf("tenant %q", r.tenant.name)
}

// overTime is the end of a session by a timeout of its tenant's or user's.
func (r *route) overTime(code, setting, what string, d time.Duration, own func(*tenants.UserLimits) *time.Duration, hint string) *wire.Error {
	owner := whose(r, own)
	return wire.Fatal(code, fmt.Sprintf("%s: %s %v, the limit of %s", setting, what, d, owner),
		fmt.Sprintf("%s %s for %s.", hint, setting, owner))
}

func waitOfUser(l *tenants.UserLimits) *time.Duration { return l.QueryWaitTimeout }

// SetLimits changes a tenant's limits while the server runs, until the
// registry is replaced. The caller sees to it that nobody else replaces it
// meanwhile.
func (s *Server) SetLimits(tenant string, change func(*tenants.Limits)) error {
	next, ok := s.registry.Snapshot().WithLimits(tenant, change)
	if !ok {
		return fmt.Errorf("%w: tenant %q", ErrNotFound, tenant)
	}
	s.registry.Replace(next)
	s.Reload()
	return nil
}

// waitsInLine counts a client in that begins to wait, unless too many do.
func (c *client) waitsInLine() bool {
	r := c.route
	waiting, most := r.tenant.waiting, r.limits.MaxWaitingClients
	own := func(l *tenants.UserLimits) *int { return l.MaxWaitingClients }
	if r.user != nil && own(&r.user.Limits) != nil {
		waiting = r.waiting
	}
	if most > 0 && waiting >= most {
		owner := whose(r, own)
		e := wire.Fatal(wire.CodeTooManyConnections,
			fmt.Sprintf("max_waiting_clients: %d clients of %s wait already, and no more than %d may", waiting, owner, most),
			fmt.Sprintf("Send less at once, or raise max_waiting_clients or pool_size for %s.", owner))
		if c.login != nil {
			c.refuseLogin(e)
		} else {
			c.refuseWith(e)
		}
		return false
	}
	r.waits(1)
	return true
}

// explained adds whose limit it was to a pool's refusal.
func (r *route) explained(err error) *wire.Error {
	var e *wire.Error
	if !errors.As(err, &e) {
		return wire.Fatal(wire.CodeAdminShutdown, err.Error(), "")
	}
	last := *e
	last.Severity = "FATAL"
	if e.Code == wire.CodeQueryCanceled {
		last.Message += ", the limit of " + whose(r, waitOfUser)
	}
	return &last
}
