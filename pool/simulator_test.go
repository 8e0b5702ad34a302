package pool

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"
)

// simulator runs the arbiter against a workload on a clock of its own, with
// pools that do what real ones do: reuse an idle server, ask for a seat, open
// for a while, offer a server back.
type simulator struct {
	arbiter arbiter
	now     time.Duration
	work    work
	events  events
	serial  int
	random  *rand.Rand
	tenants []*simTenant
	byShare map[*Share]*simTenant
	peak    int // seats used at most
	ticking bool

	connect, close time.Duration // what it takes to open a server, and until its backend has gone
}

type event struct {
	at time.Duration
	n  int // in order of their making
	do func()
}

type events []event

func (e events) Len() int { return len(e) }

func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].n < e[j].n
}

func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

func (e *events) Push(x any) { *e = append(*e, x.(event)) }

func (e *events) Pop() any {
	n := len(*e) - 1
	x := (*e)[n]
	*e = (*e)[:n]
	return x
}

func (s *simulator) after(d time.Duration, do func()) {
	s.serial++
	heap.Push(&s.events, event{s.now + d, s.serial, do})
}

func (s *simulator) run(until time.Duration) {
	for len(s.events) > 0 && s.events[0].at <= until {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		e.do()
		s.peak = max(s.peak, s.arbiter.used)
		if s.arbiter.contended() && !s.ticking {
			s.ticking = true
			s.after(reclaimPause, s.reclaim)
		}
	}
	s.now = until
}

// simTenant is a tenant with one pool.
type simTenant struct {
	sim     *simulator
	group   string
	share   *Share
	limit   int
	total   int // servers that are open or being opened
	opening int
	asked   int
	askedOf *Process
	idle    []simServer // oldest first
	waiting []*simWaiter
	owner   *Process // that may have servers above the limit
	rounds  int
	waits   []time.Duration
}

type simServer struct{ born, since time.Duration }

type simWaiter struct {
	since   time.Duration
	process *Process
	got     func(simServer)
}

func (t *simTenant) acquire(p *Process, got func(simServer)) {
	w := &simWaiter{t.sim.now, p, got}
	if n := len(t.idle); n > 0 && len(t.waiting) == 0 {
		v := t.idle[n-1]
		t.idle = t.idle[:n-1]
		t.share.rested(t.sim.now - v.since)
		t.serve(w, v)
		return
	}
	at := len(t.waiting)
	if p.held > 0 {
		at = 0
		for at < len(t.waiting) && t.waiting[at].process.held > 0 {
			at++
		}
	}
	t.waiting = slices.Insert(t.waiting, at, w)
	t.grow()
}

func (t *simTenant) serve(w *simWaiter, v simServer) {
	t.waits = append(t.waits, t.sim.now-w.since)
	w.process.held++
	w.got(v)
}

func (t *simTenant) wanted() int {
	limit := t.limit
	if len(t.waiting) > 0 && t.waiting[0].process.held > 0 {
		switch p := t.waiting[0].process; {
		case p == t.sim.arbiter.token:
			limit += 2 * overdraft
		case t.owner == nil, t.owner == p:
			limit += overdraft
		}
	}
	return min(len(t.waiting)-t.opening, limit-t.total)
}

func (t *simTenant) grow() {
	a := &t.sim.arbiter
	t.promote()
	for t.wanted() > 0 {
		w := t.waiting[0]
		switch {
		case w.process.held > 0 && t.askedOf != w.process:
			t.withdrawUrgent()
			if a.ask(request{t.share, w.process}, t.sim.work) {
				t.open()
				continue
			}
			t.askedOf = w.process
		case t.asked < t.wanted():
			if a.ask(request{t.share, nil}, t.sim.work) {
				t.open()
				continue
			}
			t.asked++
		default:
			return
		}
	}
	if len(t.waiting) == 0 || t.waiting[0].process != t.askedOf {
		t.withdrawUrgent()
	}
	for t.asked > max(t.wanted(), 0) {
		a.withdraw(request{t.share, nil})
		t.asked--
	}
}

func (t *simTenant) withdrawUrgent() {
	if p := t.askedOf; p != nil {
		t.askedOf = nil
		t.sim.arbiter.withdraw(request{t.share, p})
		t.settle(p)
	}
}

func (t *simTenant) settle(p *Process) {
	if p.held > 0 {
		return
	}
	if t.owner == p {
		t.owner = nil
	}
	if a := &t.sim.arbiter; a.token == p {
		a.token = nil
		t.sim.grant()
	}
}

func (t *simTenant) promote() {
	at := slices.IndexFunc(t.waiting, func(w *simWaiter) bool { return w.process.held > 0 && w.process == t.sim.arbiter.token })
	if at < 0 {
		at = slices.IndexFunc(t.waiting, func(w *simWaiter) bool { return w.process.held > 0 && w.process == t.owner })
	}
	if at > 0 {
		w := t.waiting[at]
		t.waiting = slices.Insert(slices.Delete(t.waiting, at, at+1), 0, w)
	}
}

func (t *simTenant) open() {
	if t.total >= t.limit {
		t.owner = t.waiting[0].process
	}
	t.total++
	t.opening++
	t.sim.after(t.sim.connect, func() {
		t.opening--
		t.sim.arbiter.opened(t.share, t.sim.work)
		t.offer(simServer{born: t.sim.now})
	})
}

// grant gives out what is free.
func (s *simulator) grant() {
	for to := s.arbiter.next(s.work); to.share != nil; to = s.arbiter.next(s.work) {
		t := s.byShare[to.share]
		if to.process == nil {
			t.asked = max(0, t.asked-1)
		} else {
			if t.askedOf == to.process {
				t.askedOf = nil
			}
			t.settle(to.process)
		}
		if t.wanted() > 0 {
			t.open()
		} else {
			s.arbiter.freed(to.share, s.work)
		}
	}
}

func (t *simTenant) offer(v simServer) {
	s, a := t.sim, &t.sim.arbiter
	t.promote()
	reserved := len(t.waiting) > 0 && t.waiting[0].process == a.token
	if a.contended() && a.inReserve() && !reserved && a.vacates(t.share, tenancy{age: s.now - v.born}, s.work) {
		t.shut(true)
		return
	}
	t.promote()
	if t.total > t.limit && (len(t.waiting) == 0 || t.waiting[0].process.held == 0) {
		t.shut(false)
		return
	}
	if len(t.waiting) > 0 {
		w := t.waiting[0]
		t.waiting = t.waiting[1:]
		t.share.rested(0)
		t.serve(w, v)
		t.grow()
		return
	}
	v.since = s.now
	t.idle = append(t.idle, v)
}

func (t *simTenant) shut(vacated bool) {
	s := t.sim
	s.after(s.close, func() {
		t.total--
		if vacated {
			s.arbiter.vacated()
		} else {
			s.arbiter.gone(t.share, s.work)
		}
		s.grant()
		t.grow()
	})
}

func (t *simTenant) release(p *Process, v simServer) {
	p.held--
	t.sim.work++
	t.settle(p)
	s, urgent := t.sim, len(t.waiting) > 0 && t.waiting[0].process.held > 0
	if !urgent && s.arbiter.contended() && s.arbiter.vacates(t.share, tenancy{age: s.now - v.born}, s.work) {
		t.shut(true)
		return
	}
	t.offer(v)
}

// reclaim looks over the idle servers of all tenants, oldest first, as the
// loops do.
func (s *simulator) reclaim() {
	s.ticking = false
	type found struct {
		t     *simTenant
		since time.Duration
	}
	var all []found
	for _, t := range s.tenants {
		for _, v := range t.idle {
			all = append(all, found{t, v.since})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return int(a.since - b.since) })
	for _, f := range all[:min(len(all), lookAt)] {
		v := f.t.idle[0]
		if s.arbiter.vacates(f.t.share, tenancy{age: s.now - v.born, idle: max(s.now-v.since, 1), rest: f.t.share.rest}, s.work) {
			f.t.idle = f.t.idle[1:]
			f.t.shut(true)
		}
	}
	if s.arbiter.contended() {
		s.ticking = true
		s.after(reclaimPause, s.reclaim)
	}
}

// load is what the clients of a tenant do, again and again.
type simLoad struct {
	clients      int
	depth        int // servers that one client takes, one after the other, before it works
	query, think time.Duration
	from, until  time.Duration
}

func (t *simTenant) start(l simLoad) {
	for range l.clients {
		c := &simClient{t: t, load: l, process: &Process{}}
		t.sim.after(l.from+t.sim.around(l.think), c.begin)
	}
}

// around returns a time that is d on average.
func (s *simulator) around(d time.Duration) time.Duration {
	return time.Duration(s.random.Float64() * 2 * float64(d))
}

type simClient struct {
	t       *simTenant
	load    simLoad
	process *Process
	servers []simServer
}

func (c *simClient) begin() {
	if s := c.t.sim; c.load.until > 0 && s.now > c.load.until {
		return
	}
	c.t.acquire(c.process, c.next)
}

func (c *simClient) next(v simServer) {
	c.servers = append(c.servers, v)
	s := c.t.sim
	if len(c.servers) < c.load.depth {
		s.after(s.around(c.load.query), func() { c.t.acquire(c.process, c.next) })
		return
	}
	s.after(s.around(c.load.query), func() {
		for _, v := range c.servers {
			c.t.release(c.process, v)
		}
		c.servers = c.servers[:0]
		c.t.rounds++
		s.after(s.around(c.load.think), c.begin)
	})
}
