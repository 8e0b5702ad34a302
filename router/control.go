package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"howdah/tenants"
)

// ErrNotFound reports that there is no such database or client.
var ErrNotFound = errors.New("router: not found")

// everyWorker runs f on each worker's loop and waits for all of them. A loop
// that has stopped is passed over.
func (s *Server) everyWorker(f func(w *worker)) {
	var wg sync.WaitGroup
	for _, w := range s.workers {
		wg.Add(1)
		if !w.loop.Post(func() { defer wg.Done(); f(w) }) {
			wg.Done()
		}
	}
	wg.Wait()
}

// KillClient closes the client with this ID.
func (s *Server) KillClient(id uint64) error {
	if s.replications.kill(id) {
		return nil
	}
	var found bool
	var mu sync.Mutex
	s.everyWorker(func(w *worker) {
		for _, c := range w.slots {
			if c != nil && !c.leaving && w.clientID(c) == id {
				mu.Lock()
				found = true
				mu.Unlock()
				c.refuseWith(errShutdown)
				return
			}
		}
	})
	if !found {
		return fmt.Errorf("%w: client %d", ErrNotFound, id)
	}
	return nil
}

// Reload brings what the registry's new snapshot changes to the pools. Clients
// of tenants that are gone are closed.
func (s *Server) Reload() {
	snapshot := s.registry.Snapshot()
	s.mu.Lock()
	clear(s.authorities)
	s.mu.Unlock()
	s.adjustBudgets(snapshot)
	s.watchClusters(snapshot)
	s.lookups.forget(false)
	s.everyWorker(func(w *worker) { w.follow(s.registry.Snapshot()) })
}

// follow brings the worker's routes to what a snapshot says. Those that get other names
// leave their old ones, all of them, before the first has its new one: what was one
// tenant's name may be another's now.
func (w *worker) follow(snapshot *tenants.Snapshot) {
	w.followed = snapshot
	w.server.switches.follow(snapshot)
	var carried []carriage
	for key, r := range w.routes {
		t, user, ok := snapshot.Follow(r.source, r.whose())
		if !ok || t.State != tenants.Active || t.ID == "" && keyOf(t) != key.tenant {
			w.closeRoute(r)
			continue
		}
		m, held, err := w.server.memberOf(snapshot, t.Cluster)
		if err != nil {
			w.log.Error("cluster not changed", "error", err)
			m, held = r.member.Load(), r.held
		}
		if key != (routeKey{keyOf(t), user}) {
			carried = append(carried, r.leave(t, m, held, user))
			continue
		}
		r.update(t, m, held)
	}
	for i := range carried {
		w.carry(&carried[i])
	}
}

// whose returns the route's user, which the registry may not have.
func (r *route) whose() *tenants.User {
	if r.user != nil {
		return r.user
	}
	return &tenants.User{Name: r.key.user}
}

// closeRoute ends all clients of a route and closes its servers.
func (w *worker) closeRoute(r *route) {
	for _, c := range w.slots {
		if c != nil && c.route == r && !c.leaving {
			c.refuseWith(errShutdown)
		}
	}
	r.close()
	if !r.dropped {
		w.dropRoute(r)
	}
}

// Shutdown stops accepting, closes idle clients and waits for the others to
// end their transactions, until ctx ends; then it closes everything.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closeListeners()
	s.wake()
	s.everyWorker(func(w *worker) { w.drain() })
	err := s.waitForClients(ctx)
	s.Close()
	return err
}

func (s *Server) closeListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for l := range s.listeners {
		l.Close()
	}
}

// drainPoll is how often waitForClients looks whether clients are left.
const drainPoll = 20 * time.Millisecond

func (s *Server) waitForClients(ctx context.Context) error {
	for {
		left := 0
		var mu sync.Mutex
		s.everyWorker(func(w *worker) {
			mu.Lock()
			left += w.clients
			mu.Unlock()
		})
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("shut down with %d clients left: %w", left, ctx.Err())
		case <-time.After(drainPoll):
		}
	}
}

// drain closes the clients that are idle, and those that wait for a server
// while there is a PAUSE, and has the others closed when they become idle.
func (w *worker) drain() {
	w.draining = true
	for _, c := range w.slots {
		if c != nil && (c.resting() || c.waiter != nil && w.server.switches.holds(c.route.tenant.name)) {
			c.refuseWith(errShutdown)
		}
	}
}

// Close closes every connection at once and stops the loops.
func (s *Server) Close() {
	s.closeListeners()
	s.switches.wake()
	s.stop()
	s.stopWatching()
	s.catalogs.Wait()
	s.automatic.close()
	s.everyWorker(func(w *worker) {
		for _, c := range w.slots {
			if c != nil && !c.leaving {
				c.refuseWith(errShutdown)
			}
		}
		for _, r := range w.routes {
			r.close()
		}
	})
	s.serving.Wait()
	s.logins.Wait()
	s.lookups.forget(true)
	for _, w := range s.workers {
		w.loop.Stop()
	}
	s.loops.Wait()
}

// split takes an address apart for the console; a Unix socket's is "unix".
func split(address string) (host string, port int) {
	h, p, err := net.SplitHostPort(address)
	if err != nil {
		return "unix", 0
	}
	port, _ = net.LookupPort("tcp", p)
	return h, port
}

// WaitForClients accepts nobody new and returns when the last client has left
// by itself, or with ctx's error; then it closes everything.
func (s *Server) WaitForClients(ctx context.Context) error {
	s.closeListeners()
	s.wake()
	err := s.waitForClients(ctx)
	s.Close()
	return err
}
