package pool_test

import (
	"errors"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"howdah/pool"
	"howdah/wire/loop"
	"howdah/wire/wiretest"
)

// Clients come and go at random, servers break and are checked, the pool is
// paused and reconnected: after every step the numbers sum up (see inspect),
// the limit holds at the server, nobody waits beside an idle server, and in
// the end everybody who waits is served.
func TestPoolAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 7))
		k := openHall(t, func(k *hall) {
			k.answer = func(c *wiretest.Conn, _ string) error {
				if k.queries.Load()%7 == 0 {
					return errLeave
				}
				return c.Send(selectOne)
			}
		})
		cfg := pool.Config{PoolSize: 5, MinPoolSize: int(seed), ServerIdleTimeout: 50 * time.Millisecond, LoginRetry: 20 * time.Millisecond}
		if seed%2 == 1 {
			cfg.CheckDelay, cfg.CheckQuery = time.Millisecond, "select 1"
		}
		h := build(t, cfg, &pool.Member{}, &opener{address: k.Addr()})
		h.on(h.pool.Seed)
		a := &actors{house: h, random: random, hall: k}
		for range 2000 {
			h.on(func() {
				a.step()
				s := h.pool.Stats()
				if !a.paused && s.Idle > 0 && s.Waiting > s.Tested {
					t.Errorf("%d wait beside %d idle and %d tested servers", s.Waiting, s.Idle, s.Tested)
				}
			})
		}
		h.on(func() { h.pool.Resume(); a.paused = false })
		h.eventually("everybody is served", func() bool {
			for s := a.drop(); s != nil; s = a.drop() {
				h.pool.Release(s)
			}
			return len(a.waiting) == 0
		})
		if n := k.peak.Load(); n > 5 {
			t.Errorf("%d servers at a time, want 5 at most", n)
		}
	}
}

// actors are the clients of the random test. They belong to the loop's thread.
type actors struct {
	house   *house
	hall    *hall
	random  *rand.Rand
	waiting []*client
	held    []*pool.Server
	paused  bool
}

func (a *actors) step() {
	p := a.house.pool
	switch n := a.random.IntN(100); {
	case n < 40:
		c := &client{house: a.house, answer: make(chan answer, 2)}
		c.told = func(s *pool.Server) { a.take(c, s) }
		a.waiting = append(a.waiting, c)
		c.ask()
	case n < 70:
		if s := a.drop(); s != nil {
			p.Release(s)
		}
	case n < 85:
		if s := a.drop(); s != nil {
			p.Destroy(s, "test", n == 71)
		}
	case n < 92:
		if i := len(a.waiting); i > 0 {
			c := a.waiting[a.random.IntN(i)]
			c.waiter.Leave()
			a.forget(c)
		}
	case n < 96:
		select {
		case far := <-a.hall.conns:
			far.Conn.(*net.TCPConn).CloseRead() // has the fake end one, in whatever state
		default:
		}
	case n < 97:
		p.Reconnect()
	case n < 98:
		p.Pause(func() {})
		a.paused = true
	default:
		p.Resume()
		a.paused = false
	}
}

// take has a client hold s until it breaks or is dropped.
func (a *actors) take(c *client, s *pool.Server) {
	a.forget(c)
	a.held = append(a.held, s)
	s.Conn.SetHandler(&lost{a, s})
}

// lost is the handler of a held server.
type lost struct {
	actors *actors
	server *pool.Server
}

func (l *lost) Readable(c *loop.Conn) {
	if _, err := c.Read(c.Loop().Buffer()); err == nil || errors.Is(err, loop.ErrWouldBlock) {
		return
	}
	for i, s := range l.actors.held {
		if s == l.server {
			l.actors.held = append(l.actors.held[:i], l.actors.held[i+1:]...)
			l.actors.house.pool.Gone(s, "lost while in use")
			return
		}
	}
}

func (l *lost) Drained(*loop.Conn) {}

func (a *actors) forget(c *client) {
	for i, w := range a.waiting {
		if w == c {
			a.waiting = append(a.waiting[:i], a.waiting[i+1:]...)
			return
		}
	}
}

// drop takes one of the held servers at random.
func (a *actors) drop() *pool.Server {
	if len(a.held) == 0 {
		return nil
	}
	i := a.random.IntN(len(a.held))
	s := a.held[i]
	a.held = append(a.held[:i], a.held[i+1:]...)
	return s
}
