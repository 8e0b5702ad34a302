package router

import (
	"context"
	"errors"
	"fmt"
	"time"

	"howdah/pool"
)

// ErrNotHeld reports that a hold was over before nothing of ours was in the database.
var ErrNotHeld = errors.New("router: held no more")

// Hold has a tenant's clients wait while an operation changes its database, until
// Release, or until the hold has lasted for as long as it may. Operators' PAUSE and
// RESUME are apart from it. It returns when nothing of ours is in the database any
// more: neither a server nor the connection that listens, which has told first what
// was sent. When ctx ends before that the tenant stays held. The same operation may
// hold again, to make the hold last longer. The tenant need not be there yet.
func (s *Server) Hold(ctx context.Context, tenant, operation string, lasts time.Duration) error {
	s.switches.hold(tenant, operation, lasts, func() { s.letGo(tenant) })
	s.everyRoute(tenant, func(r *route) {
		if s.switches.holds(r.tenant.name) {
			r.everyPool(pause)
		}
	})
	err := s.awaitPools(ctx, "hold", tenant, (*route).hasLeft)
	if err == nil && !s.switches.inOperation(tenant) {
		err = fmt.Errorf("hold %q: %w", tenant, ErrNotHeld)
	}
	return err
}

// Listen has sessions listen again though their tenant is held: the operation has done
// what it holds for. It returns when they do.
func (s *Server) Listen(ctx context.Context, tenant, operation string) error {
	s.switches.endHold(tenant, operation)
	s.everyRoute(tenant, (*route).listenAgain)
	return s.awaitPools(ctx, "listen", tenant, func(r *route) bool {
		l := r.w.listeners[r.databaseKey()]
		return l == nil || l.parked || l.conn != nil && len(l.replies) == 0 // parked: another operation wants it so
	})
}

// Release ends an operation's Hold. Sessions that listen do so again before any client
// has a server.
func (s *Server) Release(tenant, operation string) {
	if s.switches.release(tenant, operation) {
		s.letGo(tenant)
	}
}

// letGo has those go on who are held no more.
func (s *Server) letGo(tenant string) { s.everyRoute(tenant, (*route).goOn) }

// hasLeft reports whether nothing of the route's is in its database, or need not leave
// it any more.
func (r *route) hasLeft() bool {
	if !r.w.server.switches.inOperation(r.tenant.name) {
		return true
	}
	if r.servers() > 0 {
		r.w.endSequencePins(func(of *route) bool { return of == r })
	}
	if r.servers() > 0 {
		return false
	}
	l := r.w.listeners[r.databaseKey()]
	return l == nil || l.park()
}

// servers counts those that the route's pools have, in whatever state.
func (r *route) servers() (n int) {
	r.everyPool(func(p *pool.Pool) {
		s := p.Stats()
		n += s.Login + s.Idle + s.Tested + s.Active + s.Closing
	})
	return n
}

// listenAgain undoes park.
func (r *route) listenAgain() {
	l := r.w.listeners[r.databaseKey()]
	if l == nil || !l.parked || r.w.server.switches.inOperation(r.tenant.name) {
		return
	}
	if l.parked = false; l.conn != nil { // the hold was over before it was closed
		l.takeUp()
	} else {
		l.open()
	}
}

// goOn gives out servers again, when the sessions that listen do so again.
func (r *route) goOn() {
	if r.w.server.switches.inOperation(r.tenant.name) {
		return
	}
	r.listenAgain()
	resume := func(error) {
		if !r.paused() {
			r.everyPool((*pool.Pool).Resume)
		}
	}
	if l := r.w.listeners[r.databaseKey()]; l != nil && (l.conn == nil || len(l.replies) > 0) {
		l.sync(resume)
		return
	}
	resume(nil)
}

// park closes the connection for a hold, and reports whether it is closed: what was sent
// is delivered first, and nothing is sent while all are held.
func (l *listener) park() bool {
	if !l.parked && l.conn != nil {
		l.sync(func(error) {
			if l.conn != nil && l.parked {
				l.w.loop.Disarm(&l.patience)
				l.hangUp()
				l.replies = nil // of what was ended meanwhile
			}
		})
	}
	l.parked = true
	return l.conn == nil && !l.opening
}
