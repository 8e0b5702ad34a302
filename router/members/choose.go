package members

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Limits say which standbys may serve reads, and how many reads the primary serves
// in their place.
type Limits struct {
	MaxLag      time.Duration // a standby that is behind for longer serves none; 0 is no limit
	MaxLagBytes int64         // nor does one that has so much of the WAL not replayed; 0 is no limit
	MinStandbys int           // with fewer that can serve reads the primary serves its part of them
	// MaxAtPrimary is how many reads may run at the primary at once that a standby
	// could have served. 0 is no limit.
	MaxAtPrimary int
	// External says that others write too than those who say so by Wrote: a read
	// must find what was committed before it came.
	External bool
}

// load counts the reads that run at the primary and could run at a standby.
type load struct {
	running atomic.Int64
	line    atomic.Int64 // who wait for room
	awaited atomic.Bool  // somebody wants to hear what has become possible
}

// Standby returns the standby with the least to do that has everything that was
// committed before since, nil for none.
func (w *Watch) Standby(since time.Duration) (best *Member) {
	now := Clock()
	if last := w.wanted.Load(); int64(now)-last > int64(reading) {
		w.wanted.Store(int64(now))
		if int64(now)-last > int64(wantedFor) {
			w.poke() // it was resting
		}
	}
	able := 0
	for _, m := range w.all() {
		fresh := m.Fresh()
		if !w.cfg.Limits.admit(m, now, fresh) {
			continue
		}
		able++
		if fresh >= since && (best == nil || m.outstanding.Load() < best.outstanding.Load()) {
			best = m
		}
	}
	if best != nil && able < w.cfg.Limits.MinStandbys && w.load.running.Load() < best.outstanding.Load() {
		return nil
	}
	if best != nil && int64(now)-w.served.Load() > int64(reading) {
		w.served.Store(int64(now))
	}
	return best
}

// admit reports whether a standby may serve reads at all.
func (l *Limits) admit(m *Member, now, fresh time.Duration) bool {
	return fresh > 0 && (l.MaxLag == 0 || now-fresh <= l.MaxLag) && (l.MaxLagBytes == 0 || m.lag.Load() <= l.MaxLagBytes)
}

// why says what keeps a standby from serving reads, "" for nothing. w.mu is held.
func (w *Watch) why(m *Member) string {
	now, fresh, l := Clock(), m.Fresh(), &w.cfg.Limits
	switch {
	case m.ejected != "", l.admit(m, now, fresh):
		return m.ejected
	case fresh == 0:
		return "has not caught up yet"
	case l.MaxLag > 0 && now-fresh > l.MaxLag:
		return fmt.Sprintf("behind by %v, more than max_lag", (now - fresh).Round(10*time.Millisecond))
	}
	return fmt.Sprintf("%d bytes behind, more than max_lag_bytes", m.lag.Load())
}

// tellAble returns what writes a line to the log when a standby begins to serve reads,
// or ceases to. w.mu is held.
func (w *Watch) tellAble(m *Member) func() {
	why := w.why(m)
	able, was := m.seen.role == Standby && why == "", m.able
	if able == was || !able && m.seen.role == Standby && m.ejected == "" && !w.read() { // it is asked too seldom to say
		return func() {}
	}
	m.able = able
	return func() {
		switch {
		case able:
			w.cfg.Log.Info("standby serves reads", "address", m.Address)
		case why == severed:
			w.cfg.Log.Warn("standby becomes no fresher", "address", m.Address, "why", why)
		default:
			w.cfg.Log.Warn("standby serves no reads", "address", m.Address, "why", why)
		}
	}
}

// Delays reports whether a read may have to wait though no standby can serve it.
func (w *Watch) Delays() bool { return w.cfg.Limits.External || w.cfg.Limits.MaxAtPrimary > 0 }

// External reports whether a read must find what was committed before it came.
func (w *Watch) External() bool { return w.cfg.Limits.External }

// Able reports whether some standby may serve reads, though perhaps not yet all.
func (w *Watch) Able() bool {
	now := Clock()
	for _, m := range w.all() {
		if w.cfg.Limits.admit(m, now, m.Fresh()) {
			return true
		}
	}
	return false
}

// BeginAtPrimary counts a read that runs at the primary because no standby can serve
// it, and reports whether there is room for it. EndAtPrimary is its end. inLine says
// that it has waited for room: others are not let past those who have.
func (w *Watch) BeginAtPrimary(inLine bool) bool {
	most := int64(w.cfg.Limits.MaxAtPrimary)
	if most > 0 && !inLine && w.load.line.Load() > 0 {
		return false
	}
	if n := w.load.running.Add(1); most > 0 && n > most {
		w.load.running.Add(-1)
		return false
	}
	return true
}

// TakePlace counts one for which there must be room.
func (w *Watch) TakePlace() { w.load.running.Add(1) }

// EndAtPrimary is the end of what BeginAtPrimary has counted.
func (w *Watch) EndAtPrimary() {
	w.load.running.Add(-1)
	if w.load.line.Load() > 0 {
		w.advance()
	}
}

// Line counts n more, or fewer, reads that wait for a standby or for room at the
// primary.
func (w *Watch) Line(n int64) { w.load.line.Add(n) }

// Room reports whether the primary may serve one more read.
func (w *Watch) Room() bool {
	most := int64(w.cfg.Limits.MaxAtPrimary)
	return most == 0 || w.load.running.Load() < most
}

// Await has Advanced called once, when something has become possible.
func (w *Watch) Await() { w.load.awaited.Store(true) }

// advance tells those who wait.
func (w *Watch) advance() {
	if w.cfg.Advanced != nil && w.load.awaited.Swap(false) {
		w.cfg.Advanced()
	}
}
