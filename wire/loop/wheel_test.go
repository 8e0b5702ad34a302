package loop_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"howdah/wire/loop"
)

const tick = 16 * time.Millisecond

// A timer fires in its tick, not before its instant, also when that is many
// rounds of the wheel away.
func TestTimersFireInTheirTick(t *testing.T) {
	t.Parallel()
	w := loop.NewWheel()
	dues := []time.Duration{
		0, 1, tick, tick + 1, time.Second, 1024*tick - 1, 1024 * tick, 1024*tick + 1,
		17 * time.Second, 2 * 1024 * tick, 40 * time.Second, 5 * time.Minute,
	}
	timers := make([]loop.Timer, len(dues))
	fired := make([]time.Duration, len(dues))
	var now time.Duration
	for i, due := range dues {
		w.Arm(&timers[i], due, func() { fired[i] = now })
	}
	for ; w.Armed() > 0 && now < time.Hour; now += tick / 2 {
		w.Advance(now)
	}
	for i, due := range dues {
		if late := fired[i] - due; late < 0 || late > tick {
			t.Errorf("due at %v, fired at %v", due, fired[i])
		}
		if timers[i].Armed() {
			t.Errorf("the timer of %v is armed after it fired", due)
		}
	}
}

// Timers fire by tick, and within one tick in the order in which they were
// armed, also where some of them had to wait for a later round.
func TestTimersFireInOrder(t *testing.T) {
	t.Parallel()
	w := loop.NewWheel()
	var got []int
	timers := make([]loop.Timer, 6)
	for i, due := range []time.Duration{20 * time.Second, 20 * time.Second, 3 * time.Second, 20 * time.Second, time.Second, 3616 * time.Millisecond} {
		w.Arm(&timers[i], due, func() { got = append(got, i) })
	}
	for now := time.Duration(0); now < 21*time.Second; now += tick {
		w.Advance(now)
	}
	if want := []int{4, 2, 5, 0, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("fired in order %v, want %v", got, want)
	}
}

// A firing timer may stop those beside it, and arm itself and others anew.
func TestTimersChangeEachOther(t *testing.T) {
	t.Parallel()
	w := loop.NewWheel()
	var first, victim, later, again loop.Timer
	var firedAgain []time.Duration
	var now time.Duration
	w.Arm(&first, time.Second, func() {
		w.Stop(&victim)
		w.Stop(&later)
		w.Stop(&first) // is disarmed already
	})
	w.Arm(&victim, time.Second, func() { t.Error("a stopped timer of the same tick fired") })
	w.Arm(&later, time.Second+1024*tick, func() { t.Error("a stopped timer of a later round fired") })
	var rearm func()
	rearm = func() {
		if again.Armed() {
			t.Error("a firing timer is armed")
		}
		if firedAgain = append(firedAgain, now); len(firedAgain) < 4 {
			w.Arm(&again, now+1024*tick, rearm) // the same slot, a round later
		}
	}
	w.Arm(&again, time.Second, rearm)
	for ; now < 2*time.Minute; now += tick {
		w.Advance(now)
	}
	if len(firedAgain) != 4 || w.Armed() != 0 {
		t.Errorf("re-armed in fire it fired at %v; %d timers left", firedAgain, w.Armed())
	}
	for i, at := range firedAgain {
		if late := at - time.Second - time.Duration(i)*1024*tick; late < 0 || late > time.Duration(i+1)*tick {
			t.Errorf("round %d fired at %v", i, at)
		}
	}
}

// Arming again moves a timer: it fires once, at the last instant.
func TestArmingAgainMovesATimer(t *testing.T) {
	t.Parallel()
	w := loop.NewWheel()
	var timer loop.Timer
	fired := 0
	for i := range 100 {
		w.Arm(&timer, time.Duration(i)*time.Second, func() { t.Error("an instant that was replaced fired") })
	}
	w.Arm(&timer, 30*time.Second, func() { fired++ })
	if w.Armed() != 1 {
		t.Errorf("%d timers armed", w.Armed())
	}
	w.Advance(30*time.Second - 1)
	if fired != 0 {
		t.Error("fired too early")
	}
	w.Advance(30*time.Second + tick)
	if fired != 1 || w.Armed() != 0 || w.UntilNext(31*time.Second) != -1 {
		t.Errorf("fired %d times, %d armed", fired, w.Armed())
	}
}

// Within one tick the last call counts too.
func TestArmingAgainInTheSameTick(t *testing.T) {
	t.Parallel()
	w := loop.NewWheel()
	var timer loop.Timer
	fired := 0
	w.Arm(&timer, 5*time.Second, func() { t.Error("what was replaced was called") })
	w.Arm(&timer, 5*time.Second+1, func() { fired++ })
	w.Advance(6 * time.Second)
	if fired != 1 || w.Armed() != 0 {
		t.Errorf("fired %d times, %d armed", fired, w.Armed())
	}
}

// The loop sleeps until a timer is due, however many of later rounds stand in
// the slots before. A timer that was stopped may wake it once, for nothing.
func TestFarTimersDoNotWake(t *testing.T) {
	t.Parallel()
	w := loop.NewWheel()
	timers := make([]loop.Timer, 5000)
	for i := range timers {
		w.Arm(&timers[i], time.Hour+time.Duration(i)*tick, func() {})
	}
	w.Stop(&timers[0])
	now, wakes := time.Duration(0), 0
	for ; w.Armed() == 4999; wakes++ {
		now += w.UntilNext(now)
		w.Advance(now)
	}
	if due := time.Hour + tick; now < due || now > due+tick || wakes > 3 {
		t.Errorf("after %d wakes it is %v, want %v", wakes, now, due)
	}
}

// After a stall of many rounds everything due fires, and nothing else.
func TestWheelCatchesUpAfterAStall(t *testing.T) {
	t.Parallel()
	w := loop.NewWheel()
	timers := make([]loop.Timer, 5000)
	fired := 0
	for i := range timers {
		w.Arm(&timers[i], time.Duration(i)*123*time.Millisecond, func() { fired++ })
	}
	w.Advance(5 * time.Minute)
	if want := int(5*time.Minute/(123*time.Millisecond)) + 1; fired != want {
		t.Errorf("%d fired, want %d", fired, want)
	}
	w.Advance(time.Hour)
	if fired != len(timers) || w.Armed() != 0 {
		t.Errorf("%d fired, %d armed", fired, w.Armed())
	}
}

// A hundred thousand timers, armed, moved, stopped and fired at random, do
// what a plain list of instants says they should.
func TestWheelAgreesWithAList(t *testing.T) {
	t.Parallel()
	const count = 100_000
	w := loop.NewWheel()
	timers := make([]loop.Timer, count)
	want := make([]int64, count) // tick in which it is due, 0 for disarmed
	random := rand.New(rand.NewPCG(1, 2))
	var now time.Duration
	at := func() int64 { return int64(now / tick) }
	armed := 0
	arm := func(i int) {
		due := now + time.Duration(random.Int64N(int64(40*time.Second)))
		if want[i] == 0 {
			armed++
		}
		want[i] = max(int64((due+tick-1)/tick), at()+1)
		w.Arm(&timers[i], due, func() {
			if want[i] == 0 || want[i] > at() {
				t.Errorf("timer %d of tick %d fired in tick %d", i, want[i], at())
			}
			want[i] = 0
			armed--
		})
	}
	for i := range timers {
		arm(i)
	}
	for range 2000 {
		now += time.Duration(random.Int64N(int64(4 * tick)))
		w.Advance(now)
		for range 20 {
			if i := random.IntN(count); random.IntN(2) == 0 {
				arm(i)
			} else if w.Stop(&timers[i]); want[i] != 0 {
				want[i] = 0
				armed--
			}
		}
		if w.Armed() != armed {
			t.Fatalf("at %v: %d armed, want %d", now, w.Armed(), armed)
		}
	}
	next := slices.MinFunc(want, func(a, b int64) int { return int(max(a-1, -1)&0x7fffffff) - int(max(b-1, -1)&0x7fffffff) })
	if sleep := w.UntilNext(now); sleep > time.Duration(next)*tick-now {
		t.Errorf("would sleep %v, past the next timer in %v", sleep, time.Duration(next)*tick-now)
	}
	for i, due := range want {
		if due != 0 && due <= at() {
			t.Fatalf("timer %d of tick %d had not fired in tick %d", i, due, at())
		}
	}
	now += 41 * time.Second
	w.Advance(now)
	if w.Armed() != 0 || armed != 0 {
		t.Errorf("%d armed at the end, %d by the list", w.Armed(), armed)
	}
}

// On a running loop: in order, not early, stopped ones never, and a loop that
// slept for ever before wakes for them.
func TestTimersOnARunningLoop(t *testing.T) {
	t.Parallel()
	l := start(t)
	settle(t, l)
	done := make(chan []int, 1)
	timers := make([]loop.Timer, 10)
	var stopped loop.Timer
	var got []int
	on(t, l, func() {
		begin := time.Now()
		for _, i := range rand.Perm(len(timers)) {
			d := time.Duration(i) * 20 * time.Millisecond
			l.Arm(&timers[i], d, func() {
				if early := d - time.Since(begin); early > 0 {
					t.Errorf("timer %d fired %v early", i, early)
				}
				if got = append(got, i); len(got) == len(timers) {
					done <- got
				}
			})
		}
		l.Arm(&stopped, 50*time.Millisecond, func() { t.Error("a stopped timer fired") })
		l.Disarm(&stopped)
		l.Disarm(&stopped)
	})
	if got := await(t, done, "the timers"); !slices.IsSorted(got) {
		t.Errorf("fired in order %v", got)
	}
}

// A loop that has work all the time still fires its timers.
func TestTimersBesideWork(t *testing.T) {
	t.Parallel()
	l := start(t)
	fired := make(chan int, 1)
	ended := false
	var timer loop.Timer
	rounds := 0
	var again, busy func()
	again = func() {
		if rounds++; rounds == 5 {
			ended = true
			fired <- rounds
			return
		}
		l.Arm(&timer, 5*time.Millisecond, again)
	}
	busy = func() {
		if !ended {
			l.Post(busy)
		}
	}
	on(t, l, func() { again(); busy() })
	await(t, fired, "the timer")
}

// A loop never sleeps past its next timer, nor for ever while there is one.
func TestWheelNeverOversleeps(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	w := loop.NewWheel()
	timers := make([]loop.Timer, 40)
	due := map[int]time.Duration{} // tick's instant in which each armed one fires
	var now time.Duration
	for step := range 20_000 {
		i := random.IntN(len(timers))
		switch random.IntN(4) {
		case 0:
			at := now + time.Duration(random.Int64N(int64(50*time.Second)))
			due[i] = max((at+tick-1)/tick, now/tick+1) * tick
			w.Arm(&timers[i], at, func() { delete(due, i) })
		case 1:
			w.Stop(&timers[i])
			delete(due, i)
		}
		sleep := w.UntilNext(now)
		if (sleep < 0) != (len(due) == 0) {
			t.Fatalf("step %d: would sleep %v with %d timers", step, sleep, len(due))
		}
		for _, at := range due {
			if now+sleep > at {
				t.Fatalf("step %d: would sleep %v at %v, past a timer of %v", step, sleep, now, at)
			}
		}
		if random.IntN(2) == 0 && sleep >= 0 {
			now += sleep // as a loop does
		} else {
			now += time.Duration(random.Int64N(int64(2 * tick)))
		}
		w.Advance(now)
		for i, at := range due {
			if at <= now {
				t.Fatalf("step %d: timer %d of %v had not fired at %v", step, i, at, now)
			}
		}
	}
}
