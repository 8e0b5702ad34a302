package pool

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// User counts the servers of one user over all its pools, on whatever loop, so
// that they stay within each pool's MaxUserConnections. A pool takes a permit
// for a server before it asks the cluster's budget for a seat, and gives it back
// when the backend has gone. Pools for which there is none stand in line, and
// those that have more give up theirs.
type User struct {
	open      atomic.Int64            // permits, less those of servers that close
	contended atomic.Bool             // there are pools in line for whom none closes
	owner     atomic.Pointer[Process] // that may have some above the limit

	mu      sync.Mutex    // guards what follows
	out     int           // permits
	holders map[*Pool]int // their servers that do not close
	line    []standing
}

// standing is a pool's place in a user's line.
type standing struct {
	pool *Pool
	max  int
}

// ClaimUser has the pool's servers count as u's. It must come before the pool
// is used.
func (p *Pool) ClaimUser(u *User) { p.user = u }

// mayTake reports whether there is a permit for a pool with a limit, in front of
// which some stand in line.
func (u *User) mayTake(most int, before []standing) bool {
	if most <= 0 {
		return true
	}
	for _, s := range before {
		if u.out < s.max {
			return false // it is theirs
		}
	}
	return u.out < most
}

// overdraws reports whether w's process may have a permit above the limit: it
// holds a server, and must not wait for another for ever.
func (u *User) overdraws(most int, w *Waiter) bool {
	if !w.stuck() || u.out >= most+overdraft {
		return false
	}
	owner := u.owner.Load()
	return owner == nil || owner == w.process
}

// take takes a permit for a server of p's, for w if it is not nil. Who waits and
// gets none is in line from now on.
func (u *User) take(p *Pool, w *Waiter) bool {
	most := p.cfg.MaxUserConnections
	u.mu.Lock()
	at := slices.IndexFunc(u.line, func(s standing) bool { return s.pool == p })
	before := u.line
	if at >= 0 {
		before = u.line[:at]
	}
	switch {
	case u.mayTake(most, before):
	case u.overdraws(most, w):
		if u.out >= most {
			u.owner.Store(w.process)
		}
	default:
		if w != nil && at < 0 {
			u.line = append(u.line, standing{p, most})
		} else if w != nil {
			u.line[at].max = most
		}
		u.note()
		u.mu.Unlock()
		return false
	}
	if at >= 0 {
		u.line = slices.Delete(u.line, at, at+1)
	}
	u.out++
	u.open.Add(1)
	if u.holders == nil {
		u.holders = map[*Pool]int{}
	}
	u.holders[p]++
	u.note()
	u.wake() // several permits may have come at once
	return true
}

// note brings what is read without the lock up to date. u.mu is held.
func (u *User) note() {
	u.contended.Store(len(u.line) > u.out-int(u.open.Load()))
}

// leave takes p out of the line.
func (u *User) leave(p *Pool) {
	u.mu.Lock()
	u.line = slices.DeleteFunc(u.line, func(s standing) bool { return s.pool == p })
	u.note()
	u.wake()
}

// closes notes that a server of p's begins to close.
func (u *User) closes(p *Pool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open.Add(-1)
	if u.holders[p]--; u.holders[p] == 0 {
		delete(u.holders, p)
	}
	u.note()
}

// closed gives back the permit of a server whose backend has gone.
func (u *User) closed() {
	u.mu.Lock()
	u.out--
	u.note()
	u.wake()
}

// wake tells the first in line for whom there is a permit, and unlocks u.mu,
// which is held.
func (u *User) wake() {
	at := slices.IndexFunc(u.line, func(s standing) bool { return u.out < s.max })
	if at < 0 {
		u.mu.Unlock()
		return
	}
	next := u.line[at].pool
	u.mu.Unlock()
	next.loop.Post(next.grow)
}

// exceeds reports whether there are more servers than p's limit allows.
func (u *User) exceeds(p *Pool) bool {
	most := int64(p.cfg.MaxUserConnections)
	if most <= 0 {
		return false
	}
	if u.owner.Load() != nil {
		most += overdraft
	}
	return u.open.Load() > most
}

// yields reports whether p is to close a server for a pool in line that has
// fewer: at once if it would still not have fewer itself, else when the server
// has been there, or been idle, for a quantum.
func (u *User) yields(p *Pool, t tenancy) bool {
	if !u.contended.Load() {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	open := int(u.open.Load())
	at := u.out - open // those in front have theirs on the way
	if at >= len(u.line) || u.line[at].pool == p || open-1 >= u.line[at].max {
		return false
	}
	have, has := u.holders[p], u.holders[u.line[at].pool]
	if have <= p.cfg.MinPoolSize && has > 0 {
		return false
	}
	return have-1 >= has+1 || have > has && t.age >= DefaultQuantum || t.idle >= DefaultQuantum
}

// settle ends what a process may have above the limit, when it holds no server:
// there may be more servers now than may be, and another may have it.
func (u *User) settle(process *Process) {
	if !u.owner.CompareAndSwap(process, nil) {
		return
	}
	u.pokeHolders()
	u.mu.Lock()
	line := slices.Clone(u.line)
	u.mu.Unlock()
	for _, s := range line {
		s.pool.loop.Post(s.pool.grow)
	}
}

// isFirst reports whether p is at the front of the line.
func (u *User) isFirst(p *Pool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.line) > 0 && u.line[0].pool == p
}

// pokeHolders has every pool that holds a server look whether it can give one up.
func (u *User) pokeHolders() {
	u.mu.Lock()
	holders := slices.Collect(maps.Keys(u.holders))
	u.mu.Unlock()
	for _, p := range holders {
		p.loop.Post(p.yieldIdle)
	}
}

// userLimit is why servers close of a user who has too many.
const userLimit = "max_user_connections"

// permitPause is how often those that hold servers are looked at while a pool
// is in line.
const permitPause = 50 * time.Millisecond

// takePermits takes permits for as many servers as the pool wishes for.
func (p *Pool) takePermits() {
	for p.user != nil && p.wish() > p.permits-p.total {
		w := p.waiting.at(p.counts[Login] + p.counts[Tested] + p.permits - p.total)
		if !p.user.take(p, w) {
			if w != nil {
				w.limited = true
				if !p.inLine {
					p.inLine = true
					p.lookForPermit()
				}
			}
			return
		}
		p.permits++
		if p.inLine {
			p.inLine = false
			p.loop.Disarm(&p.line)
		}
	}
}

// lookForPermit has idle servers closed for the pool, if it is the first in line,
// and again and again: who holds one may only now have too many.
func (p *Pool) lookForPermit() {
	if p.user.isFirst(p) {
		p.user.pokeHolders()
	}
	p.loop.Arm(&p.line, permitPause, p.lookForPermit)
}

// givePermits gives back what the pool does not wish for any more.
func (p *Pool) givePermits() {
	if p.user == nil || p.permits == p.total && !p.inLine {
		return
	}
	wish := max(p.wish(), 0)
	for p.permits-p.total > wish {
		p.permits--
		p.user.closes(p)
		p.user.closed()
	}
	if p.inLine && wish <= p.permits-p.total {
		p.inLine = false
		p.loop.Disarm(&p.line)
		p.user.leave(p)
	}
}

// yieldsTo reports whether s, which no client uses, is to close for another
// pool of its user's.
func (p *Pool) yieldsTo(s *Server, idle time.Duration) bool {
	return p.user != nil && p.user.yields(p, tenancy{age: p.loop.Now() - s.born, idle: idle})
}

// yieldIdle closes idle servers that another pool of the user's is to have, or
// that are more than there may be.
func (p *Pool) yieldIdle() {
	for s := p.idle.last(); s != nil; s = p.idle.last() {
		if !p.user.exceeds(p) && !p.yieldsTo(s, max(p.loop.Now()-s.since, 1)) {
			return
		}
		p.Destroy(s, userLimit, false)
	}
}
