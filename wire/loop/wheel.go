package loop

import (
	"math"
	"slices"
	"time"
)

const (
	wheelTick  = 16 * time.Millisecond
	wheelSlots = 1024
	never      = math.MaxInt64
)

// Timer is a deadline on a loop, embedded in what it belongs to. Its zero
// value is disarmed. It belongs to the loop's thread.
type Timer struct {
	next, prev *Timer
	tick       int64 // when due
	fire       func()
}

// Armed reports whether the timer waits to fire.
func (t *Timer) Armed() bool { return t.next != nil }

// wheel is a hashed timing wheel: arming and stopping are O(1), and a tick
// looks only at the timers of its slot, of which those of later rounds stay.
// Timers of later rounds do not wake the loop: many far away cost nothing.
type wheel struct {
	slots   [wheelSlots]Timer // list heads
	soonest [wheelSlots]int64 // no timer of the slot is due before
	tick    int64             // the last one that was run
	armed   int
	next    int64 // no timer of all is due before, if it is above tick
}

func (w *wheel) init() {
	for i := range w.slots {
		w.slots[i].next, w.slots[i].prev = &w.slots[i], &w.slots[i]
		w.soonest[i] = never
	}
}

func (w *wheel) stop(t *Timer) {
	if t.next == nil {
		return
	}
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev, t.fire = nil, nil, nil
	w.armed--
	if slot := t.tick % wheelSlots; w.slots[slot].next == &w.slots[slot] {
		w.soonest[slot] = never
	}
}

// arm sets t to fire not before the instant due, in nanoseconds of the loop's
// clock, and at most one tick after it.
func (w *wheel) arm(t *Timer, due int64, fire func()) {
	tick := max((due+int64(wheelTick)-1)/int64(wheelTick), w.tick+1)
	if t.next != nil && t.tick == tick { // as when one is moved all the time
		t.fire = fire
		return
	}
	w.stop(t)
	t.tick, t.fire = tick, fire
	w.next = min(w.next, tick)
	slot := tick % wheelSlots
	w.soonest[slot] = min(w.soonest[slot], tick)
	head := &w.slots[slot]
	t.prev, t.next = head.prev, head
	head.prev.next, head.prev = t, t
	w.armed++
}

// advance fires what is due at now.
func (w *wheel) advance(now int64) {
	to := now / int64(wheelTick)
	if to-w.tick > wheelSlots { // one round visits every slot
		w.tick = to - wheelSlots
	}
	for w.tick < to {
		w.tick++
		if slot := w.tick % wheelSlots; w.soonest[slot] <= w.tick {
			w.fireSlot(&w.slots[slot])
			w.soonest[slot] = soonestOf(&w.slots[slot])
		}
	}
}

// fireSlot fires the due timers of one slot. A timer that fires may stop or
// arm any other, so the walk starts over after each; timers of later rounds
// are moved to a list of their own meanwhile, which stop can still unlink.
func (w *wheel) fireSlot(head *Timer) {
	var later Timer
	later.next, later.prev = &later, &later
	for head.next != head {
		t := head.next
		if t.tick <= w.tick {
			fire := t.fire
			w.stop(t)
			fire()
			continue
		}
		t.prev.next, t.next.prev = t.next, t.prev
		t.prev, t.next = later.prev, &later
		later.prev.next, later.prev = t, t
	}
	if later.next != &later {
		later.prev.next, later.next.prev = head, head
		head.next, head.prev = later.next, later.prev
	}
}

func soonestOf(head *Timer) int64 {
	tick := int64(never)
	for t := head.next; t != head; t = t.next {
		tick = min(tick, t.tick)
	}
	return tick
}

// untilNext returns how long the loop may sleep before a timer may be due, -1
// for ever.
func (w *wheel) untilNext(now int64) time.Duration {
	if w.armed == 0 {
		return -1
	}
	if w.next <= w.tick {
		w.next = slices.Min(w.soonest[:])
	}
	return max(0, time.Duration(w.next*int64(wheelTick)-now))
}
