package pool

import (
	"fmt"
	"time"

	"howdah/wire"
	"howdah/wire/loop"
)

// Client is who waits for a server.
type Client interface {
	// Assigned hands over a server, which the client must Release or Destroy.
	Assigned(s *Server)
	// Refused ends the wait without a server. A *wire.Error is meant for the
	// client's eyes.
	Refused(err error)
}

// Waiter is a client's place in the line.
type Waiter struct {
	next, prev *Waiter
	pool       *Pool
	client     Client
	process    *Process
	urgent     bool // its process holds a server already
	limited    bool // all servers that the pool or its user may have were taken
	since      time.Duration
	timer      loop.Timer
}

// Leave takes the client out of the line. It will be told nothing.
func (w *Waiter) Leave() {
	if w.next != nil {
		w.pool.waiting.remove(w)
		w.pool.loop.Disarm(&w.timer)
		w.pool.trim()
	}
}

// stuckAfter is how long a process that holds a server waits for another before it may
// have one above a limit. One with many clients, each in a short transaction, always
// holds some and waits for more: that is no reason to open servers and close them again.
const stuckAfter = 50 * time.Millisecond

// stuck reports whether w may wait for what its own process holds.
func (w *Waiter) stuck() bool {
	return w != nil && w.urgent && w.pool.loop.Now()-w.since >= stuckAfter
}

// overdraftLasts is for how long servers above a limit are kept for those who could
// become stuck, so that they are not opened and closed all the time.
const overdraftLasts = time.Second

// lasts reports whether w could use what has been opened above a limit at the time at.
func (w *Waiter) lasts(at time.Duration) bool {
	return at > 0 && w != nil && w.urgent && w.pool.loop.Now()-at < overdraftLasts
}

// Since returns the loop time at which the client joined the line.
func (w *Waiter) Since() time.Duration { return w.since }

func (p *Pool) enqueue(c Client, process *Process) *Waiter {
	w := &Waiter{pool: p, client: c, since: p.loop.Now(), process: process, limited: p.total >= p.cfg.PoolSize || p.inLine}
	w.urgent = process != nil && process.held > 0
	p.waiting.push(w)
	if p.closed {
		p.loop.Arm(&w.timer, 0, func() { w.refuse(ErrClosed) })
		return w
	}
	if d := p.cfg.QueryWaitTimeout; d > 0 {
		p.loop.Arm(&w.timer, d, w.timeout)
	}
	if p.cfg.ReservePoolSize > 0 && p.cfg.ReservePoolTimeout > 0 && !p.reserve.Armed() {
		p.loop.Arm(&p.reserve, p.cfg.ReservePoolTimeout, p.useReserve)
	}
	if w.urgent && !p.overdue.Armed() {
		p.loop.Arm(&p.overdue, stuckAfter, p.freeStuck)
	}
	return w
}

// freeStuck opens servers for those who are stuck, and looks again later while anybody
// could become so.
func (p *Pool) freeStuck() {
	p.grow()
	if p.waiting.urgent != nil {
		p.loop.Arm(&p.overdue, stuckAfter, p.freeStuck)
	}
}

// useReserve opens servers from the reserve for those who waited long enough,
// and looks again later while anybody waits.
func (p *Pool) useReserve() {
	p.grow()
	if w := p.waiting.first(); w != nil {
		rest := w.since + p.cfg.ReservePoolTimeout - p.loop.Now()
		p.loop.Arm(&p.reserve, max(rest, 100*time.Millisecond), p.useReserve)
	}
}

func (w *Waiter) timeout() {
	e := &wire.Error{
		Severity: "FATAL", Code: wire.CodeQueryCanceled,
		Message: fmt.Sprintf("query_wait_timeout: no server became free within %v", w.pool.cfg.QueryWaitTimeout),
		Hint:    fmt.Sprintf("All %d servers of the pool are taken. Raise pool_size or query_wait_timeout, or look for long transactions.", w.pool.counts[Active]),
	}
	if p := w.pool; p.inLine {
		e.Hint = fmt.Sprintf("The user has all %d servers that max_user_connections allows, %d of them here. Raise max_user_connections or query_wait_timeout, or look for long transactions.", p.cfg.MaxUserConnections, p.counts[Active])
	}
	if err := w.pool.lastErr; err != nil && w.pool.counts[Active] == 0 {
		e.Detail = "The last attempt to open a server failed: " + err.Error()
		e.Hint = "Look whether the cluster's member is up and lets Howdah in."
	}
	w.refuse(e)
}

func (w *Waiter) refuse(err error) {
	w.Leave()
	w.client.Refused(err)
}

func (p *Pool) assign(w *Waiter, s *Server) {
	p.waiting.remove(w)
	p.loop.Disarm(&w.timer)
	p.hand(s, w.process)
	p.trim()
	if p.share != nil {
		p.share.waited(w.why(), p.loop.Now()-w.since)
	}
	w.client.Assigned(s)
}

// why says because of whom the client has waited.
func (w *Waiter) why() string {
	switch p := w.pool; {
	case w.limited:
		return BlameOwnLimit
	case p.seatedAt >= w.since && p.share.whose != "":
		return p.share.whose
	case p.asked > 0:
		return BlameBudget
	}
	return BlameConnecting
}

func (p *Pool) refuseAll(err error) {
	for w := p.waiting.first(); w != nil; w = p.waiting.first() {
		w.refuse(err)
	}
}

// waiters is the line.
type waiters struct {
	head   Waiter
	urgent *Waiter // the last urgent one: they stand in front
	len    int
}

func (l *waiters) init() { l.head.next, l.head.prev = &l.head, &l.head }

func (l *waiters) first() *Waiter {
	if l.head.next == &l.head {
		return nil
	}
	return l.head.next
}

// at returns who comes after n others, nil for nobody.
func (l *waiters) at(n int) *Waiter {
	if n >= l.len {
		return nil
	}
	w := l.head.next
	for range n {
		w = w.next
	}
	return w
}

func (l *waiters) push(w *Waiter) {
	before := l.head.prev
	if w.urgent {
		if before = l.urgent; before == nil {
			before = &l.head
		}
		l.urgent = w
	}
	w.prev, w.next = before, before.next
	before.next.prev, before.next = w, w
	l.len++
	if w.urgent {
		w.process.urgent++
	}
}

// pushFront is for an urgent one.
func (l *waiters) pushFront(w *Waiter) {
	w.prev, w.next = &l.head, l.head.next
	l.head.next.prev, l.head.next = w, w
	l.len++
	w.process.urgent++
	if l.urgent == nil {
		l.urgent = w
	}
}

// calm puts those of a process that holds nothing any more among the others, by
// how long they have waited. It reports whether there were any.
func (l *waiters) calm(process *Process) (any bool) {
	for w := l.first(); w != nil && w != &l.head && w.urgent; {
		next := w.next
		if w.process == process {
			any = true
			l.remove(w)
			w.urgent = false
			l.insert(w)
		}
		w = next
	}
	return any
}

// insert puts one that is not urgent behind all who have waited longer.
func (l *waiters) insert(w *Waiter) {
	before := l.head.prev
	for before != &l.head && !before.urgent && before.since > w.since {
		before = before.prev
	}
	w.prev, w.next = before, before.next
	before.next.prev, before.next = w, w
	l.len++
}

func (l *waiters) remove(w *Waiter) {
	if l.urgent == w {
		if l.urgent = w.prev; w.prev == &l.head {
			l.urgent = nil
		}
	}
	if w.urgent {
		w.process.urgent--
	}
	w.prev.next, w.next.prev = w.next, w.prev
	w.next, w.prev = nil, nil
	l.len--
}
