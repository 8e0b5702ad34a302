package router

import (
	"slices"
	"time"

	"howdah/router/members"
	"howdah/wire"
)

// A read that no standby can serve now may wait for one, or for room at the primary:
// where others write than we know of until a standby has what was written before it
// came, and where the primary is to run only so many reads. It waits as one does that
// comes too fast (throttled), with what the client has sent in its stash.

// askPatience is how long a read waits for a standby to have what was written before
// it came, before it runs at the primary.
const askPatience = 50 * time.Millisecond

// chosen is what is decided about where a transaction runs.
type chosen uint8

const (
	anywhere chosen = iota // at the primary, where it belongs
	atStandby
	inPlace // at the primary, in a standby's place
	later
)

// choose decides between the standbys and the primary for a transaction that could
// run at either.
func (c *client) choose(w *members.Watch) (*standby, chosen) {
	need := max(c.lastWrite(), c.seen)
	asks := w.External()
	if asks {
		if c.asked == 0 {
			c.asked = members.Clock()
		}
		need = max(need, c.asked)
	}
	c.need = need
	if m := w.Standby(need); m != nil {
		if s := c.route.standbyAt(m); s != nil && !s.pool.Barred() {
			return s, atStandby
		}
	} else if asks && members.Clock()-c.asked < askPatience && w.Able() {
		w.Wrote() // has the primary asked
		return nil, later
	}
	if !w.BeginAtPrimary(c.inLine) {
		return nil, later
	}
	return nil, inPlace
}

// park has the client wait.
func (c *client) park() {
	if !c.waitsInLine() {
		return
	}
	w := c.route.watch
	c.throttled, c.parked = true, w
	c.since = c.w.loop.Now()
	w.Line(1)
	c.w.parked = append(c.w.parked, c)
	w.Await()
	if !c.w.parkTimer.Armed() {
		c.w.loop.Arm(&c.w.parkTimer, askPatience/5, c.w.unpark)
	}
	c.watchTime()
	c.regulate()
}

// leavePark ends the client's wait.
func (c *client) leavePark() {
	c.parked.Line(-1)
	c.parked = nil
}

// unlist takes the client out of the park, where it need not be any more.
func (c *client) unlist() {
	c.leavePark()
	c.throttled, c.asked = false, 0
	c.route.waits(-1)
	c.w.parked = slices.DeleteFunc(c.w.parked, func(p *client) bool { return p == c })
}

// tellParked has all loops look at who waits.
func (s *Server) tellParked() {
	for _, w := range s.workers {
		w.loop.Post(w.unpark)
	}
}

// unpark lets those go on for whom something has become possible.
func (w *worker) unpark() {
	if w.suspended {
		w.loop.Arm(&w.parkTimer, lookAgain, w.unpark)
		return
	}
	now, line := w.loop.Now(), w.parked
	w.parked = w.spareLine[:0]
	for i, c := range line {
		line[i] = nil
		switch {
		case c.parked == nil: // it has gone
		case c.mayTry():
			c.inLine = true
			c.leavePark()
			c.goOn(now)
			c.inLine = false
		default:
			w.parked = append(w.parked, c)
			c.parked.Await()
		}
	}
	w.spareLine = line
	if len(w.parked) > 0 {
		w.loop.Arm(&w.parkTimer, askPatience/5, w.unpark)
	} else {
		w.loop.Disarm(&w.parkTimer)
	}
}

// mayTry reports whether it is worth while to look again where the client's
// transaction runs.
func (c *client) mayTry() bool {
	w := c.parked
	asks := c.asked != 0 && members.Clock()-c.asked < askPatience
	return !asks && w.Room() || w != c.route.watch || w.Standby(c.need) != nil
}

// parkOverdue ends a session that has waited too long.
func (c *client) parkOverdue() {
	c.refuseWith(c.route.overTime(wire.CodeQueryCanceled, "query_wait_timeout", "max_primary_reads has had a transaction wait for", c.route.limits.QueryWaitTimeout,
		waitOfUser, "See in SHOW STANDBYS why no standby serves reads, or raise max_primary_reads or"))
}

// takePlace has the primary run a transaction that a standby has not run.
func (c *client) takePlace() {
	if w := c.route.watch; w != nil && c.inPlace == nil {
		w.TakePlace()
		c.inPlace = w
	}
}

// endInPlace is the end of a transaction that ran at the primary in a standby's
// place.
func (c *client) endInPlace() {
	if c.inPlace != nil {
		c.inPlace.EndAtPrimary()
		c.inPlace = nil
	}
}
