package members

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// watchOf returns a watch that asks nobody, of a primary and standbys.
func watchOf(l Limits, standbys ...*Member) *Watch {
	all := append([]*Member{{Address: "primary", seen: seen{role: Primary}}}, standbys...)
	w := &Watch{cfg: Config{Limits: l}, wake: make(chan struct{}, 1)}
	w.list.Store(&all)
	return w
}

// freshFor returns a standby that lacks what is younger than age, a second at most.
func freshFor(age time.Duration, lag int64) *Member {
	time.Sleep(time.Second + time.Millisecond - Clock()) // which begins with the program
	m := &Member{Address: "standby", seen: seen{role: Standby}}
	m.fresh.Store(int64(Clock() - age))
	m.lag.Store(lag)
	return m
}

func TestStandbyIsTheOneWithTheLeastToDo(t *testing.T) {
	busy, idle, behind := freshFor(0, 0), freshFor(0, 0), freshFor(time.Second, 0)
	busy.Begin()
	w := watchOf(Limits{MaxLag: time.Second / 2}, busy, behind, idle)
	if got := w.Standby(1); got != idle {
		t.Errorf("%p, want %p", got, idle)
	}
	idle.Begin()
	idle.Begin()
	if got := w.Standby(1); got != busy {
		t.Errorf("%p, want %p", got, busy)
	}
	if got := w.Standby(Clock()); got != nil {
		t.Error("a standby has what was written just now")
	}
	if !w.Able() {
		t.Error("no standby is able to serve reads")
	}
}

func TestLimitsOfLag(t *testing.T) {
	for _, x := range []struct {
		l    Limits
		m    *Member
		why  string
		able bool
	}{
		{Limits{}, freshFor(time.Second, 1<<40), "", true},
		{Limits{MaxLag: time.Second / 2}, freshFor(time.Second, 0), "more than max_lag", false},
		{Limits{MaxLag: time.Second / 2, MaxLagBytes: 1000}, freshFor(0, 1000), "", true},
		{Limits{MaxLagBytes: 1000}, freshFor(0, 1001), "more than max_lag_bytes", false},
		{Limits{}, &Member{seen: seen{role: Standby}}, "has not caught up", false},
	} {
		w := watchOf(x.l, x.m)
		if got := w.Standby(1) != nil; got != x.able || w.Able() != x.able {
			t.Errorf("%+v: serves reads: %v, want %v", x.l, got, x.able)
		}
		if why := w.why(x.m); !strings.Contains(why, x.why) || x.able != (why == "") {
			t.Errorf("%+v: %q, want %q", x.l, why, x.why)
		}
	}
}

// TestAbleIsTold has a line in the log for each change, with its reason.
func TestAbleIsTold(t *testing.T) {
	var log bytes.Buffer
	m := freshFor(0, 0)
	w := watchOf(Limits{MaxLagBytes: 1000}, m)
	w.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.wanted.Store(int64(Clock()))
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, `msg="standby serves reads"`},
		{func() {}, ""},
		{func() { m.lag.Store(2000) }, `msg="standby serves no reads" address=standby why="2000 bytes behind`},
		{func() { m.lag.Store(3000) }, ""},
		{func() { m.lag.Store(0) }, `msg="standby serves reads"`},
		{func() { m.ejected = "receives no WAL" }, `why="receives no WAL"`},
	} {
		log.Reset()
		step.do()
		w.tellAble(m)()
		if got := log.String(); !strings.Contains(got, step.want) || (got == "") != (step.want == "") {
			t.Errorf("%q, want %q", got, step.want)
		}
	}
}

func TestMinStandbys(t *testing.T) {
	left := freshFor(0, 0)
	w := watchOf(Limits{MinStandbys: 2}, left, freshFor(time.Second, 0))
	if w.Standby(1) == nil {
		t.Error("two standbys are able, and the primary takes part")
	}
	w.cfg.Limits.MaxLag = time.Second / 2
	left.Begin()
	if w.Standby(1) != nil {
		t.Error("the primary, with nothing to do, takes no part")
	}
	w.TakePlace()
	if w.Standby(1) != left {
		t.Error("the primary takes more than its part")
	}
}

func TestMaxAtPrimary(t *testing.T) {
	w := watchOf(Limits{MaxAtPrimary: 2})
	told := 0
	w.cfg.Advanced = func() { told++ }
	for i, want := range []bool{true, true, false, false} {
		if got := w.BeginAtPrimary(false); got != want {
			t.Errorf("%d: %v, want %v", i, got, want)
		}
	}
	w.Line(1)
	w.Await()
	if w.EndAtPrimary(); told != 1 {
		t.Errorf("who waits was told %d times", told)
	}
	if !w.Room() || w.BeginAtPrimary(false) {
		t.Error("somebody goes before those who wait")
	}
	if !w.BeginAtPrimary(true) || w.Room() {
		t.Error("who has waited is not let in")
	}
	w.Line(-1)
	w.EndAtPrimary()
	if !w.BeginAtPrimary(false) || told != 1 {
		t.Error("nobody waits any more")
	}
}
