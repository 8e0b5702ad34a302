package pool

import "slices"

// Join has the pool draw its servers from a share of a budget. It must come
// before the pool is used.
func (p *Pool) Join(h *Share) {
	p.share = h
	h.pools = append(h.pools, p)
}

// part ends Join, when the pool has nothing left.
func (p *Pool) part() {
	if p.share != nil {
		p.share.pools = slices.DeleteFunc(p.share.pools, func(q *Pool) bool { return q == p })
	}
}

// takeSeat reports whether one more server may be opened now. Where it may not,
// the seats that are wanted have been asked for.
func (p *Pool) takeSeat() bool {
	switch {
	case p.spare > 0:
		p.spare--
		return true
	case p.share == nil:
		return true
	}
	if w := p.unserved(); w.stuck() && p.askedFor != w.process {
		p.withdrawUrgent()
		if p.share.ask(p, w.process) {
			return true
		}
		p.askedFor = w.process
	}
	for p.asked < p.wanted() {
		if p.share.ask(p, nil) {
			return true
		}
		p.asked++
	}
	return false
}

// unserved returns the first of those who wait for whom no server is on its way,
// nil for nobody.
func (p *Pool) unserved() *Waiter { return p.waiting.at(p.counts[Login] + p.counts[Tested]) }

// promote puts the process that may have more than others to the front of those
// that hold a server already: it can end, which the others may have to wait for.
func (p *Pool) promote() {
	if p.waiting.urgent == nil {
		return
	}
	var first *Waiter
	for w := p.waiting.first(); w != &p.waiting.head && w.urgent; w = w.next {
		if p.share != nil && p.share.reserved(w.process) {
			first = w
			break
		}
		if first == nil && (w.process == p.overdrawn || p.share != nil && w.process == p.share.overdrawn || p.user != nil && w.process == p.user.owner.Load()) {
			first = w
		}
	}
	if first != nil && first != p.waiting.first() {
		p.waiting.remove(first)
		p.waiting.pushFront(first)
	}
}

// seated is told that a seat has come that was asked for.
func (p *Pool) seated(urgent *Process) {
	if urgent != nil {
		p.askedFor = nil
		p.settle(urgent)
	} else {
		p.asked--
	}
	p.seatedAt = p.loop.Now()
	p.spare++
	p.grow()
}

// freeSeat gives back the seat of a server that is gone.
func (p *Pool) freeSeat(s *Server) {
	if p.share != nil {
		p.share.free(s)
		p.share.roomier(p)
	}
}

// trim gives back what is not wanted any more: wishes first, then seats.
func (p *Pool) trim() {
	p.givePermits()
	if p.asked == 0 && p.askedFor == nil && p.spare == 0 {
		return
	}
	want := p.wanted()
	if w := p.unserved(); p.askedFor != nil && (want <= 0 || w == nil || w.process != p.askedFor) {
		p.withdrawUrgent()
		p.loop.Post(p.grow) // to ask for whose turn it is
	}
	for p.asked > max(want-p.spare, 0) {
		p.share.withdraw(p, nil)
		p.asked--
	}
	for p.spare > max(want, 0) {
		p.spare--
		p.freeSeat(nil)
	}
	if p.spare == 0 && p.Empty() {
		p.loop.Post(func() {
			if p.Empty() {
				p.observer.Emptied()
			}
		})
	}
}

// withdrawUrgent takes back the wish on behalf of a process that waits no more.
func (p *Pool) withdrawUrgent() {
	if process := p.askedFor; process != nil {
		p.askedFor = nil
		p.share.withdraw(p, process)
		p.settle(process)
	}
}

// settle ends what a process may have of the reserve if it holds nothing: it may
// have got it when it had ended already.
func (p *Pool) settle(process *Process) {
	if process.held > 0 {
		return
	}
	if p.share != nil {
		p.share.leaves(process)
	}
	if p.user != nil {
		p.user.settle(process)
	}
}

// takenBack notes that a process holds one server less. Where that was the last
// its clients that wait have no precedence any more: they came before its last
// transaction ended, and block nobody. With a seat of the reserve for its first
// server a process could want more than the reserve has.
func (p *Pool) takenBack(s *Server) {
	process := s.process
	s.process = nil
	if process.held--; process.held > 0 {
		return
	}
	if process.urgent > 0 {
		pools := []*Pool{p}
		if p.share != nil {
			pools = p.share.pools
		}
		for _, q := range pools {
			q.calm(process)
		}
	}
	p.settle(process)
}

// calm has the clients of a process that holds nothing any more wait as others
// do.
func (p *Pool) calm(process *Process) {
	if !p.waiting.calm(process) {
		return
	}
	if p.askedFor == process {
		p.withdrawUrgent()
	}
	p.loop.Post(p.grow)
}
