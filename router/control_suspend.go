package router

import (
	"context"
	"fmt"
	"time"
)

// Suspend has no client and no server that works for one listened to any more,
// and returns when all that was to be written has been taken; then nothing is
// on its way within Howdah. Clients that come wait at the end of their login.
// What is outside: the console, connections for replication, and notifications.
// Resume ends it; timeouts of clients begin anew then. When ctx ends before all
// is written Howdah stays suspended.
func (s *Server) Suspend(ctx context.Context) error {
	if err := s.switches.suspend(); err != nil {
		return err
	}
	s.everyWorker(func(w *worker) { w.suspend() })
	for {
		unsent := make([]int, len(s.workers))
		s.everyWorker(func(w *worker) { unsent[w.index] = w.unsent() })
		n := 0
		for _, bytes := range unsent {
			n += bytes
		}
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("suspend with %d bytes unsent: %w", n, ctx.Err())
		case <-s.ctx.Done():
			return ErrShuttingDown
		case <-time.After(drainPoll):
		}
	}
}

// wake ends a suspension before a shutdown: what is to end must be heard.
func (s *Server) wake() {
	s.switches.wake()
	s.everyWorker(func(w *worker) { w.listen() })
}

// awaitWaking holds a login for as long as Howdah is suspended. It reports
// false when the server closes.
func (s *Server) awaitWaking() bool {
	for waking := s.switches.suspension(); waking != nil; waking = s.switches.suspension() {
		select {
		case <-waking:
		case <-s.ctx.Done():
			return false
		}
	}
	return true
}

// suspend stops listening to the clients and their servers, unless a RESUME
// was faster.
func (w *worker) suspend() {
	if w.server.switches.current() != modeSuspended {
		return
	}
	w.suspended = true
	for _, c := range w.slots {
		if c != nil {
			c.regulate()
		}
	}
}

// listen undoes suspend, unless the next SUSPEND was faster.
func (w *worker) listen() {
	if !w.suspended || w.server.switches.current() == modeSuspended {
		return
	}
	w.suspended = false
	for _, c := range w.slots {
		if c != nil {
			c.watched = watchNothing // its time begins anew
			c.watchTime()
			c.regulate()
		}
	}
}

// unsent counts the bytes that the sockets of clients and of their servers have
// not taken yet.
func (w *worker) unsent() (n int) {
	for _, c := range w.slots {
		if c == nil {
			continue
		}
		if !c.leaving {
			n += c.conn.Buffered()
		}
		if c.server != nil {
			n += c.server.Conn.Buffered()
		}
	}
	return n
}
