package router

import (
	"fmt"
	"time"

	"howdah/tenants"
	"howdah/wire"
)

// watch says which timeout runs for a client.
type watch uint8

const (
	watchNothing watch = iota
	watchIdle
	watchSequence
	watchTransaction
	watchQuery
	watchThrottled
	watchWhole
	watchAway
)

// watchTime sets the timeout that fits what the client does now.
func (c *client) watchTime() {
	if c.leaving || c.login != nil {
		return
	}
	l := c.route.limits
	var w watch
	var d time.Duration
	switch {
	case c.waiter != nil: // the pool watches over waiting
	case c.throttled:
		w, d = watchThrottled, l.QueryWaitTimeout
	case c.deferred != 0:
		w, d = watchTransaction, l.IdleTransactionTimeout
	case c.server == nil, c.queue.empty() && !c.open && c.status == wire.TxIdle:
		w, d = c.watchIdleness()
	case c.queue.cycles == 0: // nothing that ends by itself is outstanding
		w, d = watchTransaction, l.IdleTransactionTimeout
	case !c.queue.empty():
		w, d = watchQuery, l.QueryTimeout
	}
	if d == 0 {
		w = watchNothing
	}
	if w == c.watched && w == watchQuery {
		return
	}
	if l.TransactionTimeout > 0 {
		w, d = c.watchWhole(w, d)
	}
	if c.away != nil && c.server != nil {
		w, d = c.watchAway(w, d)
	}
	c.watched = w
	switch {
	case w != watchNothing && c.timer.Armed():
		c.w.loop.Rearm(&c.timer, d)
	case w != watchNothing:
		c.w.loop.Arm(&c.timer, d, c.timedOut)
	case c.status == wire.TxIdle: // in a transaction it is soon needed again, and timedOut looks at watched
		c.w.loop.Disarm(&c.timer)
	}
}

// keepsForSequence reports whether a client is idle, and keeps its server for values of
// sequences and for nothing else, for a time.
func (c *client) keepsForSequence() bool {
	return c.server != nil && c.pins == pinSequence && c.mode == tenants.Transaction && c.route.limits.SequencePinTimeout > 0 &&
		c.queue.empty() && !c.open && c.status == wire.TxIdle && !c.leaving && c.login == nil
}

// watchIdleness says what comes first for an idle client: the end of its pin
// for values of sequences, or its own. The one counts for the other.
func (c *client) watchIdleness() (watch, time.Duration) {
	l := c.route.limits
	idle, pin := l.ClientIdleTimeout, l.SequencePinTimeout
	switch {
	case c.keepsForSequence() && (idle == 0 || pin < idle):
		return watchSequence, pin
	case c.watched == watchSequence && idle > 0:
		return watchIdle, max(idle-pin, time.Millisecond)
	}
	return watchIdle, idle
}

// watchWhole says what comes first for a client that may be in a transaction:
// the end of the time for all of it, or what w is for.
func (c *client) watchWhole(w watch, d time.Duration) (watch, time.Duration) {
	if c.server == nil && c.deferred == 0 || w == watchIdle || w == watchSequence {
		return w, d
	}
	left := max(c.began+c.route.limits.TransactionTimeout-c.w.loop.Now(), time.Millisecond)
	if d == 0 || left < d {
		return watchWhole, left
	}
	return w, d
}

// watchAway says what comes first for a client with a server at a standby: the end
// of its time there, or what w is for.
func (c *client) watchAway(w watch, d time.Duration) (watch, time.Duration) {
	most := c.route.reads.Timeout
	if most == 0 {
		return w, d
	}
	left := max(c.txSince+most-c.w.loop.Now(), time.Millisecond)
	if d == 0 || left < d {
		return watchAway, left
	}
	return w, d
}

func (c *client) timedOut() {
	if c.w.suspended {
		return // listen begins its time anew
	}
	r, l := c.route, c.route.limits
	type own = tenants.UserLimits
	switch c.watched {
	case watchSequence:
		c.unpinSequence()
		c.sendInjected()
		c.settleDown()
	case watchIdle:
		c.refuseWith(r.overTime(wire.CodeIdleSession, "client_idle_timeout", "idle for", l.ClientIdleTimeout,
			func(u *own) *time.Duration { return u.ClientIdleTimeout }, "Raise"))
	case watchTransaction:
		c.refuseWith(r.overTime(wire.CodeIdleInTransaction, "idle_transaction_timeout", "idle in a transaction for", l.IdleTransactionTimeout,
			func(u *own) *time.Duration { return u.IdleTransactionTimeout }, "End transactions when their work is done, or raise"))
	case watchQuery:
		c.refuseWith(r.overTime(wire.CodeQueryCanceled, "query_timeout", "no answer within", l.QueryTimeout,
			func(u *own) *time.Duration { return u.QueryTimeout }, "Raise"))
	case watchWhole:
		c.refuseWith(r.overTime(wire.CodeTransactionTimeout, "transaction_timeout", "in one transaction for", l.TransactionTimeout,
			func(u *own) *time.Duration { return u.TransactionTimeout }, "Make transactions shorter, or raise"))
	case watchAway:
		c.refuseWith(wire.Fatal(wire.CodeQueryCanceled, "standby_timeout: the transaction has been at a standby for "+r.reads.Timeout.String(),
			fmt.Sprintf("Make reports shorter, or raise standby_timeout for tenant %q.", r.tenant.name)))
	case watchThrottled:
		if c.parked != nil {
			c.parkOverdue()
		} else {
			c.queriesOverdue()
		}
	}
}
