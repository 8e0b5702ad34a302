package router

import (
	"context"
	"fmt"
	"time"

	"howdah/pool"
)

// Pause closes the servers of a database as they become idle and lets clients
// wait, until Resume; "" means all databases. It returns when the last server
// is gone: whoever paused to rename the database or to restart PostgreSQL can
// begin then. Connections for replication and for LISTEN stay. When ctx ends
// before that the database stays paused.
func (s *Server) Pause(ctx context.Context, database string) error {
	if err := s.known(database); err != nil {
		return err
	}
	if err := s.switches.pause(database); err != nil {
		return err
	}
	s.everyRoute(database, func(r *route) {
		if s.switches.holds(r.tenant.name) { // a RESUME may have been faster
			r.everyPool(pause)
		}
	})
	return s.awaitPools(ctx, "pause", database, func(r *route) bool {
		return r.servers() == 0 || !s.switches.holds(r.tenant.name)
	})
}

func pause(p *pool.Pool) { p.Pause(func() {}) }

// Resume ends Pause, Kill and Suspend. That of a database is not that of all,
// nor the other way round.
func (s *Server) Resume(database string) error {
	if database == "" && s.shuttingDown() {
		return ErrShuttingDown
	}
	if err := s.known(database); err != nil {
		return err
	}
	suspended := s.switches.current() == modeSuspended
	if err := s.switches.resume(database); err != nil {
		return err
	}
	if suspended && database == "" {
		s.everyWorker(func(w *worker) { w.listen() })
	}
	s.everyRoute(database, func(r *route) {
		if !r.paused() {
			r.everyPool((*pool.Pool).Resume)
		}
	})
	return nil
}

// Kill closes all clients and servers of a database at once and has new clients
// wait until Resume; "" means all databases that have any.
func (s *Server) Kill(database string) error {
	if err := s.known(database); err != nil {
		return err
	}
	if err := s.switches.kill(database, false); err != nil {
		return err
	}
	all := database == ""
	s.everyWorker(func(w *worker) {
		for _, r := range w.routes {
			if (all || r.tenant.name == database) && s.switches.kill(r.tenant.name, all) == nil {
				r.everyPool(pause)
			}
		}
		for _, c := range w.slots {
			if c != nil && !c.leaving && (all || c.route.tenant.name == database) {
				c.refuseWith(errShutdown)
			}
		}
	})
	s.replications.killDatabase(database)
	return nil
}

// Reconnect has every server of a database that is open now closed once it is
// released; "" means all databases. The connection that listens for
// notifications stays, as a server does that a client keeps.
func (s *Server) Reconnect(database string) error {
	if err := s.known(database); err != nil {
		return err
	}
	s.everyRoute(database, func(r *route) { r.everyPool((*pool.Pool).Reconnect) })
	return nil
}

// WaitClose returns when the servers of a database that Reconnect or Reload
// have marked are gone; "" means all databases.
func (s *Server) WaitClose(ctx context.Context, database string) error {
	if err := s.known(database); err != nil {
		return err
	}
	return s.awaitPools(ctx, "wait for closed servers", database, func(r *route) bool {
		marked := 0
		r.everyPool(func(p *pool.Pool) {
			marked += p.Stats().Closing
			p.Servers(func(s *pool.Server) {
				// An idle one is not marked: those close at once.
				if s.State() != pool.Idle && s.Stale() {
					marked++
				}
			})
		})
		return marked == 0
	})
}

// Disable has new clients of a database refused, or with false taken again.
// Those that are there stay.
func (s *Server) Disable(database string, disabled bool) error {
	if err := s.known(database); err != nil {
		return err
	}
	s.switches.disable(database, disabled)
	return nil
}

// known reports whether there is a database of that name; "" is all of them.
func (s *Server) known(database string) error {
	if database == "" {
		return nil
	}
	if _, ok := s.registry.Snapshot().Lookup(database, ""); !ok && !s.hasHome(database) {
		return fmt.Errorf("%w: database %q", ErrNotFound, database)
	}
	return nil
}

func (s *Server) hasHome(tenant string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.homes {
		if h.tenant == tenant {
			return true
		}
	}
	return false
}

func (s *Server) shuttingDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// everyRoute runs f for each route of a database, or of all with "", on its
// loop.
func (s *Server) everyRoute(database string, f func(*route)) {
	s.everyWorker(func(w *worker) {
		for _, r := range w.routes {
			if database == "" || r.tenant.name == database {
				f(r)
			}
		}
	})
}

// firstLook is the pause between the first two looks of awaitPools; each
// further one is twice as long, up to drainPoll.
const firstLook = time.Millisecond

// awaitPools returns when each pool of a database, or of all with "", has been
// seen done once. It is enough to see each once: together they may never be,
// where connections come and go all the time.
func (s *Server) awaitPools(ctx context.Context, doing, database string, done func(*route) bool) error {
	left := make([][]*route, len(s.workers)) // each by its worker alone
	s.everyRoute(database, func(r *route) { left[r.w.index] = append(left[r.w.index], r) })
	for wait := firstLook; ; wait = min(2*wait, drainPoll) {
		s.everyWorker(func(w *worker) { left[w.index] = undone(left[w.index], done) })
		n := 0
		for _, routes := range left {
			n += len(routes)
		}
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s %q: %w", doing, database, ctx.Err())
		case <-s.ctx.Done():
			return ErrShuttingDown
		case <-time.After(wait):
		}
	}
}

func undone(routes []*route, done func(*route) bool) (left []*route) {
	for _, r := range routes {
		if !done(r) {
			left = append(left, r)
		}
	}
	return left
}
