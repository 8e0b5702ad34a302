package pool

import (
	"context"
	"time"

	"howdah/wire"
)

// closeTimeout is how long a server may take to close its side after
// Terminate.
const closeTimeout = 15 * time.Second

// firstCancelPause is the pause between the first two cancel requests to a
// server that is to close; each further one is twice as long.
const firstCancelPause = 50 * time.Millisecond

// Destroy closes a server in whatever state: it is told to terminate, and
// leaves the pool's count when PostgreSQL has closed its side. busy says that
// it may be running a query, which is then cancelled first.
func (p *Pool) Destroy(s *Server, reason string, busy bool) {
	if s.state == Closing {
		return
	}
	tested := s.state == Tested
	p.leave(s, reason)
	if busy {
		p.cancel(s, firstCancelPause)
	}
	s.Conn.SetHandler(s)
	s.Conn.Write(wire.AppendEmpty(nil, wire.Terminate))
	s.Conn.CloseWrite() // a server in the middle of a message takes Terminate for a part of it
	s.Conn.Resume()
	p.loop.Arm(&s.timer, closeTimeout, func() { p.finishClose(s) })
	p.checkQuiet()
	if tested {
		p.grow() // somebody may have counted on it
	}
}

// Gone takes a server out whose connection has ended by itself.
func (p *Pool) Gone(s *Server, reason string) {
	if s.state != Closing {
		p.leave(s, reason)
	}
	p.finishClose(s)
	p.checkQuiet()
}

// leave takes s out of the pool's lists, once.
func (p *Pool) leave(s *Server, reason string) {
	p.idle.remove(s)
	p.all.removeAll(s)
	p.loop.Disarm(&s.timer)
	p.setState(s, Closing)
	s.partial = nil
	p.ended[reason]++
	if p.user != nil {
		p.user.closes(p)
	}
	p.observer.Closed(s)
}

func (p *Pool) finishClose(s *Server) {
	if s.Conn.Closed() {
		return
	}
	p.loop.Disarm(&s.timer)
	p.loop.Disarm(&s.again)
	s.Conn.Close()
	p.counts[Closing]--
	p.total--
	if p.user != nil {
		p.permits--
		p.user.closed()
	}
	p.freeSeat(s)
	p.grow()
	if p.Empty() {
		p.loop.Disarm(&p.sweep) // nothing idles that it could close
		p.observer.Emptied()
	}
}

// cancel has what s runs cancelled, and again after a pause for as long as its
// backend is there: a request that arrives before the query has begun finds
// nothing to cancel.
func (p *Pool) cancel(s *Server, pause time.Duration) {
	key := s.Key
	go func() {
		ctx, stop := context.WithTimeout(context.Background(), closeTimeout)
		defer stop()
		p.opener.Cancel(ctx, key) // best effort: the connection goes away anyway
		p.loop.Post(func() {
			if !s.Conn.Closed() {
				p.loop.Arm(&s.again, pause, func() { p.cancel(s, 2*pause) })
			}
		})
	}()
}

func (p *Pool) expired(s *Server) bool {
	return p.cfg.ServerLifetime > 0 && p.loop.Now()-s.born > p.cfg.ServerLifetime
}

// armSweep has idle servers looked over while there are any.
func (p *Pool) armSweep() {
	if p.sweep.Armed() {
		return
	}
	every := p.cfg.ServerIdleTimeout
	if life := p.cfg.ServerLifetime; life > 0 && (every == 0 || life < every) {
		every = life
	}
	if every == 0 {
		return
	}
	p.loop.Arm(&p.sweep, min(max(every/8, 50*time.Millisecond), time.Minute), p.sweepIdle)
}

// sweepIdle closes the servers that have idled or lived too long.
func (p *Pool) sweepIdle() {
	now := p.loop.Now()
	for s := p.idle.last(); s != nil; {
		before := s.prev
		switch {
		case p.expired(s):
			p.Destroy(s, "server_lifetime", false)
		case p.cfg.ServerIdleTimeout > 0 && now-s.since > p.cfg.ServerIdleTimeout && p.total-p.counts[Closing] > p.cfg.MinPoolSize:
			p.Destroy(s, "server_idle_timeout", false)
		}
		if s = before; s == &p.idle.head {
			break
		}
	}
	if p.idle.first() != nil {
		p.armSweep()
	}
	p.grow()
}
