package loop

import "time"

// Wheel is a timer wheel whose clock the test turns by hand.
type Wheel struct{ w wheel }

// NewWheel returns an empty wheel at the instant 0.
func NewWheel() *Wheel {
	w := &Wheel{}
	w.w.init()
	return w
}

// Arm sets t to fire at the instant due.
func (w *Wheel) Arm(t *Timer, due time.Duration, fire func()) { w.w.arm(t, int64(due), fire) }

// Stop takes t back.
func (w *Wheel) Stop(t *Timer) { w.w.stop(t) }

// Advance moves the clock to now and fires what is due.
func (w *Wheel) Advance(now time.Duration) { w.w.advance(int64(now)) }

// UntilNext returns how long a loop would sleep at the instant now.
func (w *Wheel) UntilNext(now time.Duration) time.Duration { return w.w.untilNext(int64(now)) }

// Armed returns how many timers wait.
func (w *Wheel) Armed() int { return w.w.armed }

// GroupQuota is how many bytes a Group may read in one turn.
const GroupQuota = groupQuota
