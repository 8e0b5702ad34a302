package pool

import (
	"slices"
	"sync/atomic"
	"time"

	"howdah/wire/loop"
)

// Process is an application's process, as far as can be seen: sessions with one
// user, address and application_name. One that holds a server and waits for
// another must get it, or it will never give back the first.
type Process struct {
	// owned by the loop of its tenant
	held   int // servers
	urgent int // of its clients, wait although it holds a server
}

// ended reports whether there is nothing that a process could hold while it waits.
func (p *Process) ended() bool { return p == nil || p.held == 0 }

// overdraft is how many servers a process that holds one may have above its
// tenant's limit. Odoo's cron workers hold up to three.
const overdraft = 2

// Share is one tenant's part of a budget, on the loop where the tenant lives.
// Its pools draw their seats from it.
type Share struct {
	share // guarded by the budget's mutex
	name  string

	// owned by the loop
	seats       *Seats
	line        []wish // of its pools, in order
	pools       []*Pool
	max         int           // servers over all pools; 0 is no limit
	overdrawn   *Process      // that may have servers above max
	overdrawnAt time.Duration // as a pool's
	blame       map[string]time.Duration
	whose       string        // who held the seat that came last
	rest        time.Duration // see rested
}

// wish is a pool's for one seat, for a process that holds one if it is not nil.
type wish struct {
	pool   *Pool
	urgent *Process
}

// Seats is a budget as one loop sees it.
type Seats struct {
	budget  *Budget
	loop    *loop.Loop
	idle    list // idle servers of all its pools, by their third links
	timer   loop.Timer
	work    atomic.Uint64 // transactions, counted by the loop
	poked   atomic.Bool   // a call of reclaim is on its way
	reclaim func()
}

// ShareConfig says what a tenant may have of a budget.
type ShareConfig struct {
	Weight float64 // how much of what is scarce it gets beside others
	Min    int     // seats that are never taken from it
	Max    int     // servers of all its pools together; 0 is no limit
}

// Share returns a new part of the budget for a tenant.
func (s *Seats) Share(name string, c ShareConfig) *Share {
	h := &Share{name: name, seats: s, blame: map[string]time.Duration{}, rest: DefaultQuantum / restful}
	h.Configure(c)
	return h
}

// Configure changes what the tenant may have.
func (h *Share) Configure(c ShareConfig) {
	h.max = c.Max
	b := h.seats.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.weight > 0 {
		now := b.now()
		h.served, h.since = h.servedAt(now), now
	}
	h.weight, h.min = max(c.Weight, 0.01), c.Min
	b.arbiter.fix(h)
}

// overdraft is how many servers above a limit there may be for w, where owner is
// the process that has such already. A share of nil has no reserve.
func (h *Share) overdraft(w *Waiter, owner *Process) int {
	switch {
	case h != nil && h.reserved(w.process):
		return 2 * overdraft // also where another process has its own
	case owner.ended() || owner == w.process:
		return overdraft
	}
	return 0
}

// room is how many servers the tenant may have beside those there are, for w if
// it is not nil.
func (h *Share) room(w *Waiter) int {
	if h.max <= 0 {
		return noBudget
	}
	room := h.max
	for _, p := range h.pools {
		room -= p.total
	}
	if w.stuck() {
		room += h.overdraft(w, h.overdrawn)
	}
	return room
}

// exceeds reports whether the tenant has more servers than it may have for w.
func (h *Share) exceeds(w *Waiter) bool {
	if h.max <= 0 {
		return false
	}
	room := h.room(nil)
	if w.stuck() || w.lasts(h.overdrawnAt) {
		room += h.overdraft(w, h.overdrawn)
	}
	for _, p := range h.pools {
		room += p.counts[Closing]
	}
	return room < 0
}

// starves reports whether p has more servers than another of the tenant's pools
// for which there is no room.
func (h *Share) starves(p *Pool) bool {
	if h.max <= 0 {
		return false
	}
	for _, q := range h.pools {
		if q.waiting.len > 0 && (q.total == 0 && q != p || q.total+1 < p.total) {
			return h.room(nil) <= 0
		}
	}
	return false
}

// makeRoom closes an idle server of another of the tenant's pools, if that has
// more.
func (h *Share) makeRoom() {
	if h.max <= 0 || h.room(nil) > 0 {
		return
	}
	for _, q := range h.pools {
		if s := q.idle.last(); s != nil && h.starves(q) {
			q.Destroy(s, "max_db_connections", false)
			return
		}
	}
}

// roomier has the tenant's other pools use the room that p has left.
func (h *Share) roomier(p *Pool) {
	if h.max <= 0 {
		return
	}
	for _, q := range h.pools {
		if q != p && q.waiting.len > 0 {
			q.grow()
		}
	}
}

// ask wants a seat for a pool, which gets it at once or by seated.
func (h *Share) ask(p *Pool, urgent *Process) bool {
	b := h.seats.budget
	b.mu.Lock()
	granted := b.arbiter.ask(request{h, urgent}, b.now())
	b.note()
	b.mu.Unlock()
	if !granted {
		h.line = append(h.line, wish{p, urgent})
		b.pokeAll()
	}
	return granted
}

// withdraw takes back a pool's wish.
func (h *Share) withdraw(p *Pool, urgent *Process) {
	if i := slices.Index(h.line, wish{p, urgent}); i >= 0 {
		h.line = slices.Delete(h.line, i, i+1)
	}
	b := h.seats.budget
	b.mu.Lock()
	b.arbiter.withdraw(request{h, urgent})
	b.note()
	b.mu.Unlock()
}

// seated is told on the share's loop that a seat has come, and from whom.
func (h *Share) seated(urgent *Process, whose string) {
	h.whose = whose
	for i, w := range h.line {
		if w.urgent == urgent {
			h.line = slices.Delete(h.line, i, i+1)
			w.pool.seated(urgent)
			return
		}
	}
	if urgent != nil && urgent.held == 0 {
		h.leaves(urgent)
	}
	h.free(nil) // the wish was taken back when the seat was on its way
}

// opened is told that a server has been opened on one of the share's seats.
func (h *Share) opened() {
	b := h.seats.budget
	b.mu.Lock()
	b.arbiter.opened(h, b.now())
	b.mu.Unlock()
}

// free gives back the seat of s, whose backend has gone, or one that was not
// used.
func (h *Share) free(s *Server) {
	b := h.seats.budget
	b.mu.Lock()
	switch {
	case s == nil:
		b.arbiter.freed(h, b.now())
	case s.vacated:
		b.arbiter.vacated()
	default:
		b.arbiter.gone(h, b.now())
	}
	b.grant(h.name)
}

// vacates reports whether the seat of s, which no client uses, is to be given
// up for somebody else.
func (h *Share) vacates(s *Server, idle time.Duration) bool {
	b := h.seats.budget
	if !b.contended.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.vacated = b.arbiter.vacates(h, tenancy{age: h.seats.loop.Now() - s.born, idle: idle, rest: h.rest}, b.now())
	b.note()
	return s.vacated
}

// rested notes for how long a server has idled that is used again. The longest
// time counts, and is forgotten with use.
func (h *Share) rested(d time.Duration) {
	if d >= h.rest {
		h.rest = d
	} else {
		h.rest -= h.rest / 64
	}
}

// reserved reports whether the budget's reserve is for a process now.
func (h *Share) reserved(p *Process) bool { return p != nil && h.seats.budget.token.Load() == p }

// inReserve reports whether the budget's reserve is in use: a seat that is
// given out now must go to whom it is for.
func (h *Share) inReserve() bool { return h.seats.budget.reserved.Load() }

// leaves ends what a process has above others', when it holds no server.
func (h *Share) leaves(p *Process) {
	b := h.seats.budget
	b.mu.Lock()
	if b.arbiter.token != p {
		b.mu.Unlock()
		return
	}
	b.arbiter.token = nil
	b.grant(h.name)
}

// maxBlamed bounds the tenants that one remembers waiting for.
const maxBlamed = 20

// Blame kinds that are nobody else's doing.
const (
	BlameOwnLimit   = "(its own limit)"
	BlameConnecting = "(connecting)"
	BlameBudget     = "(the cluster's budget)"
	blameOthers     = "(others)"
)

// waited notes for how long a client has waited, and because of whom.
func (h *Share) waited(why string, d time.Duration) {
	if _, known := h.blame[why]; !known && len(h.blame) >= maxBlamed {
		why = blameOthers
	}
	h.blame[why] += d
}

// Blame calls f for whom the tenant's clients have waited for, and how long.
func (h *Share) Blame(f func(why string, d time.Duration)) {
	for why, d := range h.blame {
		f(why, d)
	}
}

// lookAt is how many idle servers are looked at in one go.
const lookAt = 16

// reclaimIdle closes idle servers whose seats are wanted, oldest first, and
// looks again for as long as any are. A tenant's minimum goes to the back, or
// those behind it would never be looked at.
func (s *Seats) reclaimIdle() {
	if !s.budget.contended.Load() {
		return
	}
	now := s.loop.Now()
	v := s.idle.oldestSeat()
	for range lookAt {
		if v == nil {
			break
		}
		newer := s.idle.newerSeat(v)
		if v.pool.share.vacates(v, max(now-v.since, 1)) {
			v.pool.Destroy(v, seatMoved, false)
		} else if v.pool.share.min > 0 {
			s.idle.removeSeat(v)
			s.idle.addSeat(v)
		}
		v = newer
	}
	if s.idle.oldestSeat() != nil {
		s.lookLater()
	}
}

// lookLater has idle servers looked at soon, if seats are wanted. A server that
// becomes idle needs it as well as a seat that is asked for: it may be the first
// to idle since, and who waits asks only once.
func (s *Seats) lookLater() {
	if s.budget.contended.Load() && !s.timer.Armed() {
		s.loop.Arm(&s.timer, reclaimPause, s.reclaimIdle)
	}
}

// seatMoved is why a server closes whose seat another tenant gets.
const seatMoved = "seat given to another tenant"

// reclaimPause is how often idle servers are looked at while seats are wanted.
const reclaimPause = 20 * time.Millisecond
