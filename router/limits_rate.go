package router

import (
	"time"

	"howdah/wire"
	"howdah/wire/loop"
)

// rates holds a tenant's rates, or a user's in it that has its own, and who waits
// for them, first come first.
type rates struct {
	w              *worker
	queries, bytes bucket
	line           []*client // that asked too often: throttled, unless they have gone
	choked         []*client // that were told too much: choked, unless they have gone
	lineTimer      loop.Timer
	chokeTimer     loop.Timer
}

// minRead is the least that is read at a time from the servers of a tenant
// whose bytes are metered, so that slow rates still flow.
const minRead = 1 << 10

// lookAgain is how long the line stands still before it is looked whether
// SUSPEND has ended.
const lookAgain = 100 * time.Millisecond

// moved lets those who wait know that the rates have changed.
func (t *rates) moved() {
	if len(t.line) > 0 {
		t.w.loop.Arm(&t.lineTimer, 0, t.moveLine)
	}
	if len(t.choked) > 0 {
		t.w.loop.Arm(&t.chokeTimer, 0, t.unchoke)
	}
}

// stop disarms the timers of rates that nobody waits for any more.
func (t *rates) stop() {
	t.w.loop.Disarm(&t.lineTimer)
	t.w.loop.Disarm(&t.chokeTimer)
}

// setRates decides whose rates are the route's clients'.
func (r *route) setRates() {
	r.asks, r.told = &r.tenant.rates, &r.tenant.rates
	if r.user == nil {
		return
	}
	asks, told := r.user.Limits.MaxQueriesPerSecond != nil, r.user.Limits.MaxBytesPerSecond != nil
	if (asks || told) && r.own == nil {
		r.own = &rates{w: r.w}
	}
	if asks {
		r.asks = r.own
	}
	if told {
		r.told = r.own
	}
	if r.own != nil {
		r.own.moved()
	}
}

// mayAsk reports whether what the client has sent may be looked at now. It
// begins with typ. A request takes its query from the bucket in advance; what
// else it turns out to be is taken when it is counted.
func (c *client) mayAsk(typ byte) bool {
	if c.streams > 0 || c.copyIn || len(c.stash) > 0 || typ == wire.Terminate {
		return true // the rest of what was let in
	}
	t, now, rate := c.route.asks, c.w.loop.Now(), int64(c.route.limits.MaxQueriesPerSecond)
	wait := t.queries.wait(now, rate)
	if c.server != nil && c.status != wire.TxIdle {
		if wait > burst {
			return false
		}
	} else if wait > 0 || len(t.line) > 0 {
		return false
	}
	if c.queue.empty() && !c.paid {
		c.paid = true
		t.queries.take(now, 1, rate)
	}
	return true
}

// throttle has the client wait for its tenant's rate of queries, with what it
// sent in its stash.
func (c *client) throttle() {
	if !c.waitsInLine() {
		return
	}
	t := c.route.asks
	c.throttled = true
	c.since = c.w.loop.Now()
	t.line = append(t.line, c)
	if !t.lineTimer.Armed() {
		t.moveLine()
	}
	c.watchTime()
	c.regulate()
}

// moveLine lets those go on whose turn has come, and sets the timer for the
// next.
func (t *rates) moveLine() {
	if t.w.suspended {
		t.w.loop.Arm(&t.lineTimer, lookAgain, t.moveLine)
		return
	}
	now, at := t.w.loop.Now(), 0
	line := t.line
	for ; at < len(line); at++ {
		c := line[at]
		if !c.throttled {
			continue // it has gone
		}
		if rate := int64(c.route.limits.MaxQueriesPerSecond); rate > 0 {
			if wait := t.queries.wait(now, rate); wait > 0 {
				t.w.loop.Arm(&t.lineTimer, wait, t.moveLine)
				break
			}
			t.queries.take(now, 1, rate)
			c.paid = true
		}
		line[at] = nil
		c.goOn(now)
	}
	// Nobody has joined meanwhile: events of clients come one after the other.
	rest := copy(line, line[at:])
	clear(line[rest:])
	t.line = line[:rest]
}

// goOn ends the client's time in the line.
func (c *client) goOn(now time.Duration) {
	c.throttled = false
	c.route.waits(-1)
	c.route.waited(now - c.since)
	c.since = now
	c.refeed()
	c.settleDown()
}

// answersLimit returns how much may be read from the client's server now, of
// most bytes; 0 has it wait for its tenant's rate.
func (c *client) answersLimit(most int) int {
	rate := c.route.limits.MaxBytesPerSecond
	if c.leaving {
		return most
	}
	if wait := c.route.told.bytes.wait(c.w.loop.Now(), rate); wait > 0 || c.choked {
		c.choke(wait)
		return 0
	}
	return min(most, max(minRead, int(rate/16)))
}

// choke stops reading the client's server for a while.
func (c *client) choke(wait time.Duration) {
	t := c.route.told
	c.server.Conn.Pause()
	if c.choked {
		return
	}
	c.choked = true
	t.choked = append(t.choked, c)
	if !t.chokeTimer.Armed() {
		c.w.loop.Arm(&t.chokeTimer, wait, t.unchoke)
	}
}

// unchoke has as many servers read as the bytes that are there suffice for.
func (t *rates) unchoke() {
	line := t.choked
	if len(line) == 0 {
		return
	}
	rate := line[0].route.limits.MaxBytesPerSecond
	now, at, n := t.w.loop.Now(), 0, len(line)
	if rate > 0 {
		n = int(t.bytes.left(now, rate)/max(minRead, rate/16)) + 1
	}
	for ; at < len(line) && n > 0; at++ {
		c := line[at]
		line[at] = nil
		if !c.choked {
			continue // it has gone
		}
		n--
		c.choked = false
		c.regulate()
	}
	rest := copy(line, line[at:])
	clear(line[rest:])
	t.choked = line[:rest]
	if rest > 0 {
		t.w.loop.Arm(&t.chokeTimer, max(t.bytes.wait(now, rate), time.Millisecond), t.unchoke)
	}
}

// leaveLines takes a client that goes out of the count of those who wait.
func (c *client) leaveLines() {
	if c.throttled {
		c.throttled = false
		c.route.waits(-1)
	}
	if c.parked != nil {
		c.leavePark()
	}
	c.choked = false
}

// queriesOverdue ends a session that has waited too long for its rate.
func (c *client) queriesOverdue() {
	r := c.route
	e := r.overTime(wire.CodeQueryCanceled, "query_wait_timeout", "max_queries_per_second has had a query wait for", r.limits.QueryWaitTimeout,
		waitOfUser, "Send fewer queries, or raise max_queries_per_second or")
	c.refuseWith(e)
}

// pay takes n queries that have ended from the rate, less the one that was
// taken when they began.
func (c *client) pay(n uint32, rate int) {
	if n == 0 {
		return
	}
	if c.paid {
		c.paid = false
		n--
	}
	c.route.asks.queries.take(c.w.loop.Now(), int64(n), int64(rate))
}

// waits counts clients in that begin to wait, or out.
func (r *route) waits(n int) {
	r.waiting += n
	r.tenant.waiting += n
}

// waited counts a client's wait, for a server or for its turn.
func (r *route) waited(d time.Duration) {
	r.counters.WaitTime += uint64(d / time.Microsecond)
	r.tenant.times.Wait.observe(d, 1)
}
