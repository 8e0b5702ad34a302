package pool

import (
	"container/heap"
	"time"
)

// work is the arbiter's clock: how many transactions all tenants together have
// been served. A seat held while the member is slow, because many log in or it
// has other things to do, is worth less than one held while it is fast.
type work uint64

// arbiter decides who gets the seats of a budget: each is the right to have one
// server. It knows no clock, no lock and no connection; the simulator in
// simulator_test.go runs it against written workloads.
//
// Its rule is weighted max-min fairness. A free seat goes to the tenant that
// holds the fewest for its weight, among equals to the one that has held seats
// for the least work. A seat is taken from a tenant for another that would, after
// it, not hold more; and where there are not enough to go round, from one that
// has had its turn: a seat stays for a quantum, because to move it costs a
// login.
type arbiter struct {
	seats   int           // servers that may exist
	reserve int           // of those, only for processes that hold a server already
	quantum time.Duration // a seat stays with a busy tenant for so long

	used   int       // seats whose backends exist, or are to
	shed   int       // of those, to be given up without a successor
	line   shareHeap // shares that want a seat
	urgent []request // processes that hold a server and want one more
	due    []request // for whom seats are being vacated, or
	vacant int       // have been
	token  *Process  // that may use the reserve

	clock float64 // virtual time of the last grant
	asks  uint64  // to break ties
	moved uint64  // seats taken from one share for another
}

// request is one seat that somebody wants.
type request struct {
	share   *Share
	process *Process // nil for an ordinary one
}

// share is the arbiter's part of a Share.
type share struct {
	weight float64
	min    int     // seats that are never taken away
	held   int     // seats, those on their way included
	open   int     // of those, whose servers have been opened
	want   int     // seats in line for
	served float64 // open servers times work, by weight, at since
	since  work
	asked  uint64 // when it joined the line
	index  int    // in the line
}

// load is how many seats it holds for its weight.
func (s *share) load() float64 { return float64(s.held) / s.weight }

// servedAt is for how long it has had servers, for its weight. While one is
// being opened, which takes as long as the member has other things to do, its
// seat serves nobody.
func (s *share) servedAt(now work) float64 {
	return s.served + float64(s.open)/s.weight*float64(now-s.since)
}

// serve changes how many servers a share has open.
func (s *share) serve(n int, now work) {
	s.served, s.since = s.servedAt(now), now
	s.open += n
}

// hold changes how many seats a share holds.
func (a *arbiter) hold(s *Share, n int, now work) {
	s.serve(0, now)
	if s.held == 0 && s.want == 0 {
		s.served = max(s.served, a.clock) // time spent away earns nothing
	}
	s.held += n
	a.fix(s)
}

func (a *arbiter) fix(s *Share) {
	switch in := s.index > 0; {
	case in && s.want == 0:
		heap.Remove(&a.line, s.index-1)
	case in:
		heap.Fix(&a.line, s.index-1)
	case s.want > 0:
		a.asks++
		s.asked = a.asks
		heap.Push(&a.line, s)
	}
}

// ask wants one more seat for a share: it is granted at once, or the share is
// in line for it.
func (a *arbiter) ask(r request, now work) bool {
	s := r.share
	if s.held == 0 && s.want == 0 {
		s.served, s.since = max(s.servedAt(now), a.clock), now
	}
	if a.mayGrant(r.process) && (r.process != nil || len(a.urgent) == 0 && len(a.line) == 0) {
		a.grant(r, now)
		return true
	}
	if r.process != nil {
		a.urgent = append(a.urgent, r)
		return false
	}
	s.want++
	a.fix(s)
	return false
}

// withdraw takes one wish back. It may have been granted meanwhile: then the
// seat comes, and is given back.
func (a *arbiter) withdraw(r request) {
	if r.process == nil {
		if r.share.want > 0 {
			r.share.want--
			a.fix(r.share)
		}
		return
	}
	for i, u := range a.urgent {
		if u == r {
			a.urgent = append(a.urgent[:i], a.urgent[i+1:]...)
			return
		}
	}
}

// mayGrant reports whether there is a seat for one more backend. The reserve is
// one process's at a time, until it holds nothing: whoever holds a server and
// waits for another can always end.
func (a *arbiter) mayGrant(p *Process) bool {
	if a.used < a.seats-a.reserve {
		return true
	}
	return p != nil && a.used < a.seats && (a.token == nil || a.token == p)
}

func (a *arbiter) grant(r request, now work) {
	if a.used >= a.seats-a.reserve {
		a.token = r.process
	}
	a.used++
	a.clock = max(a.clock, r.share.servedAt(now))
	a.hold(r.share, 1, now)
}

// opened takes note that a share's server has been opened.
func (a *arbiter) opened(s *Share, now work) {
	s.serve(1, now)
	a.fix(s)
}

// gone takes note that the backend of a share's server has gone. What that frees
// next gives out.
func (a *arbiter) gone(s *Share, now work) {
	a.lose(s, now)
	a.used--
}

// lose takes a seat with its server from a share.
func (a *arbiter) lose(s *Share, now work) {
	s.serve(-1, now)
	a.hold(s, -1, now)
}

// freed is gone for a seat whose server has not been opened.
func (a *arbiter) freed(s *Share, now work) {
	a.hold(s, -1, now)
	a.used--
}

// vacated is gone for a seat that had been taken away before.
func (a *arbiter) vacated() {
	a.used--
	if a.shed > 0 {
		a.shed--
	} else {
		a.vacant++
	}
}

// next grants one seat, if there is one and somebody wants it. It must be called
// until it grants none.
func (a *arbiter) next(now work) (to request) {
	if a.vacant > 0 && a.used < a.seats {
		to = a.due[0]
		a.vacant--
		a.due = append(a.due[:0], a.due[1:]...)
		a.used++
		return to // it was counted when the seat was vacated for it
	}
	for i, u := range a.urgent {
		if a.mayGrant(u.process) {
			a.urgent = append(a.urgent[:i], a.urgent[i+1:]...)
			a.grant(u, now)
			return u
		}
	}
	if len(a.line) > 0 && a.mayGrant(nil) {
		s := a.line[0]
		s.want--
		to = request{share: s}
		a.grant(to, now)
	}
	return to
}

// contended reports whether a seat that becomes idle may be wanted elsewhere: if
// nobody else does, the reserve wants its seats back. Servers that idle there
// would become first ones of whoever comes.
func (a *arbiter) contended() bool {
	return len(a.line) > 0 || len(a.urgent) > 0 || a.inReserve()
}

// inReserve reports whether seats of the reserve are in use.
func (a *arbiter) inReserve() bool { return a.used-a.shed > a.seats-a.reserve }

// tenancy is what counts about a server whose seat may be taken.
type tenancy struct {
	age  time.Duration // since the server was opened
	idle time.Duration // since its last transaction; 0 where that ends now
	rest time.Duration // for how long the share's servers idle between two
}

// vacates decides whether a share gives up a seat, of a server between two
// transactions. If so the seat is another's, which will be told when the
// backend has gone.
func (a *arbiter) vacates(from *Share, t tenancy, now work) bool {
	if from.held <= from.min {
		return false
	}
	if a.inReserve() {
		return a.restores(from, now)
	}
	if len(a.urgent) > 0 && a.yields(from, a.urgent[0], t, now) {
		return true
	}
	return len(a.line) > 0 && a.yields(from, request{share: a.line[0]}, t, now)
}

// yields has a share give up a seat for a request, where that is fair.
func (a *arbiter) yields(from *Share, to request, t tenancy, now work) bool {
	if to.share == from || !a.fair(from, to, t, now) {
		return false
	}
	a.promise(to, from, now)
	return true
}

// restores gives a seat back to the reserve, or to the process that the reserve
// is for.
func (a *arbiter) restores(from *Share, now work) bool {
	for _, u := range a.urgent {
		if a.used-a.shed > a.seats || a.token != nil && a.token != u.process {
			continue
		}
		a.token = u.process
		if u.share == from {
			return false // it gets the server itself
		}
		a.promise(u, from, now)
		return true
	}
	a.shed++
	a.lose(from, now)
	return true
}

// promise takes a seat from one for another, who gets it when the backend has
// gone.
func (a *arbiter) promise(to request, from *Share, now work) {
	a.clock = max(a.clock, to.share.servedAt(now))
	if to.process == nil {
		to.share.want--
	} else {
		a.withdraw(to)
	}
	a.lose(from, now)
	a.hold(to.share, 1, now)
	a.due = append(a.due, to)
	a.moved++
}

// fair reports whether a seat may go from one share to another. One that has been
// abandoned is nobody's.
func (a *arbiter) fair(from *Share, to request, t tenancy, now work) bool {
	w := to.share
	switch {
	case to.process != nil && t.idle > 0:
		return true
	case float64(from.held-1)/from.weight >= float64(w.held+1)/w.weight:
		return true
	case from.load() > w.load() && t.age >= a.quantum && from.servedAt(now) > w.servedAt(now):
		return true
	}
	return t.idle > 0 && t.idle >= a.patience(t.rest)
}

// restful is how many times as long as usual a seat may idle.
const restful = 8

// patience is for how long a seat may idle before it counts as abandoned: several
// times as long as its share's do between two transactions, but no longer than a
// quantum.
func (a *arbiter) patience(rest time.Duration) time.Duration {
	return min(max(restful*rest, a.quantum/10), a.quantum)
}

// shareHeap holds those in line, who is due first at the front.
type shareHeap []*Share

func (h shareHeap) Len() int { return len(h) }

// Less compares what shares hold; where that is equal, so is how fast they are
// served once their servers are open, and the order between them stays.
func (h shareHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	if x, y := a.load(), b.load(); x != y {
		return x < y
	}
	now := max(a.since, b.since)
	if x, y := a.servedAt(now), b.servedAt(now); x != y {
		return x < y
	}
	return a.asked < b.asked
}

func (h shareHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push implements heap.Interface.
func (h *shareHeap) Push(x any) {
	s := x.(*Share)
	*h = append(*h, s)
	s.index = len(*h)
}

// Pop implements heap.Interface.
func (h *shareHeap) Pop() any {
	n := len(*h) - 1
	s := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	s.index = 0
	return s
}
