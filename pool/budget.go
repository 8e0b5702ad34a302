package pool

import (
	"sync"
	"sync/atomic"
	"time"

	"howdah/wire/loop"
)

// Budget bounds the servers that all pools of a cluster have together, on
// whatever loop, and shares them between tenants; see arbiter.go for the rule.
// Loops reuse their own servers without asking; only to open one, and to keep
// one while somebody waits for a seat, is the budget asked.
type Budget struct {
	contended atomic.Bool             // somebody waits for a seat that others have
	token     atomic.Pointer[Process] // that may use the reserve
	reserved  atomic.Bool             // the reserve is in use

	mu      sync.Mutex // guards what follows
	arbiter arbiter
	loops   []*Seats
}

// BudgetConfig says how many seats there are, and how they move.
type BudgetConfig struct {
	Seats   int           // servers at most; 0 is no limit
	Reserve int           // of those, only for processes that hold a server and want one more; -1 is the default
	Quantum time.Duration // a seat stays with a busy tenant for at least so long; 0 is the default, below it none
}

// DefaultQuantum is for how long a seat stays with a busy tenant.
const DefaultQuantum = 500 * time.Millisecond

// noBudget stands for as many seats as anybody could want.
const noBudget = 1 << 30

// reserve is the number of seats that are kept for processes that hold one
// already: a twentieth, and what one process may want of a fifth.
func (c BudgetConfig) reserve() int {
	if c.Reserve >= 0 {
		return min(c.Reserve, max(c.Seats-1, 0))
	}
	return max(c.Seats/20, min(overdraft, c.Seats/5), min(1, c.Seats/2))
}

// NewBudget returns a budget of which nothing is used.
func NewBudget(c BudgetConfig) *Budget {
	b := &Budget{}
	b.Configure(c)
	return b
}

// Configure changes the budget. Where more seats are used than there are now,
// servers close as they become idle.
func (b *Budget) Configure(c BudgetConfig) {
	b.mu.Lock()
	a := &b.arbiter
	a.seats, a.reserve = c.Seats, c.reserve()
	if c.Seats <= 0 {
		a.seats, a.reserve = noBudget, 0
	}
	switch a.quantum = c.Quantum; {
	case c.Quantum == 0:
		a.quantum = DefaultQuantum
	case c.Quantum < 0:
		a.quantum = 0
	}
	b.grant("")
	b.pokeAll()
}

// On returns the budget as pools on l see it.
func (b *Budget) On(l *loop.Loop) *Seats {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.loops {
		if s.loop == l {
			return s
		}
	}
	s := &Seats{budget: b, loop: l}
	s.idle.init()
	s.reclaim = func() {
		s.poked.Store(false)
		s.reclaimIdle()
	}
	b.loops = append(b.loops, s)
	return s
}

// Take takes a seat for a connection of Howdah's own, beside the shares.
func (b *Budget) Take() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arbiter.used++
	b.note()
}

// Give gives such a seat back.
func (b *Budget) Give() {
	b.mu.Lock()
	b.arbiter.used--
	b.grant("")
}

// now is the work that pools on all loops have done. b.mu is held.
func (b *Budget) now() (all work) {
	for _, s := range b.loops {
		all += work(s.work.Load())
	}
	return all
}

// note brings what is read without the lock up to date. b.mu is held.
func (b *Budget) note() {
	b.contended.Store(b.arbiter.contended())
	b.token.Store(b.arbiter.token)
	b.reserved.Store(b.arbiter.inReserve())
}

// grant gives out what is free, and unlocks b.mu, which is held. whose is the
// tenant that has freed it.
func (b *Budget) grant(whose string) {
	var all []request
	for to := b.arbiter.next(b.now()); to.share != nil; to = b.arbiter.next(b.now()) {
		all = append(all, to)
	}
	b.note()
	b.mu.Unlock()
	for _, to := range all {
		to.share.seats.loop.Post(func() { to.share.seated(to.process, whose) })
	}
}

// pokeAll has every loop look whether it can give up a seat.
func (b *Budget) pokeAll() {
	if !b.contended.Load() {
		return
	}
	b.mu.Lock()
	loops := b.loops
	b.mu.Unlock()
	for _, s := range loops {
		if s.poked.CompareAndSwap(false, true) {
			s.loop.Post(s.reclaim)
		}
	}
}

// BudgetStats are a budget's numbers now.
type BudgetStats struct {
	Seats    int // 0 is no limit
	Reserve  int
	Used     int // seats whose backends exist, are being opened or closed
	Waiting  int // tenants in line
	Wanted   int // seats that processes wait for which hold one already
	Moving   int // seats being vacated for somebody
	Moved    uint64
	Overdraw bool // a process may use the reserve
	Quantum  time.Duration
}

// Stats returns the budget's numbers.
func (b *Budget) Stats() BudgetStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := &b.arbiter
	s := BudgetStats{
		Seats: a.seats, Reserve: a.reserve, Used: a.used, Waiting: len(a.line), Wanted: len(a.urgent),
		Moving: len(a.due), Moved: a.moved, Overdraw: a.token != nil, Quantum: a.quantum,
	}
	if a.seats == noBudget {
		s.Seats = 0
	}
	return s
}
