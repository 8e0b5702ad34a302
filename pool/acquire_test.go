package pool_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"howdah/pool"
)

func TestAcquireWaitsInOrder(t *testing.T) {
	t.Parallel()
	h := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	first := h.acquire().server()
	var order, want []int
	done := make(chan struct{})
	const count = 50
	for i := range count {
		want = append(want, i)
		c := &client{house: h}
		c.told = func(s *pool.Server) {
			if order = append(order, i); len(order) == count {
				close(done)
			}
			h.loop.Post(func() { h.pool.Release(s) })
		}
		h.on(c.ask)
	}
	if s := h.stats(); s.Waiting != count {
		t.Errorf("%d wait, want %d", s.Waiting, count)
	}
	h.release(first)
	await(t, done, "everybody's turn")
	h.on(func() {
		if !slices.Equal(order, want) {
			t.Errorf("served in order %v", order)
		}
	})
	if n := h.opener.opens.Load(); n != 1 {
		t.Errorf("%d servers were opened for one at a time", n)
	}
}

// A client that comes while others wait does not overtake them, although a
// server is released in the same turn.
func TestAcquireDoesNotOvertake(t *testing.T) {
	t.Parallel()
	h := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	s := h.acquire().server()
	early := h.acquire()
	late := &client{house: h, answer: make(chan answer, 2)}
	h.on(func() {
		h.pool.Release(s)
		late.ask()
	})
	if got := early.server(); got != s {
		t.Error("the first in line got another server")
	}
	if len(late.answer) != 0 {
		t.Error("the second in line was served as well")
	}
	h.release(s)
	h.release(late.server())
}

// The server used last is used next, so that the surplus ages.
func TestAcquireTakesTheNewestIdleServer(t *testing.T) {
	t.Parallel()
	h := build(t, pool.Config{PoolSize: 3}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	s := h.take(3)
	h.release(s[1], s[0], s[2])
	for range 5 {
		if got := h.acquire().server(); got != s[2] {
			t.Fatal("not the server that was released last")
		}
		h.release(s[2])
	}
}

func TestLeaveGivesUpThePlace(t *testing.T) {
	t.Parallel()
	h := build(t, pool.Config{PoolSize: 1, QueryWaitTimeout: time.Hour}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	s := h.acquire().server()
	gone, stays := h.acquire(), h.acquire()
	h.on(func() {
		gone.waiter.Leave()
		gone.waiter.Leave()
	})
	if n := h.stats().Waiting; n != 1 {
		t.Errorf("%d wait, want 1", n)
	}
	h.release(s)
	stays.server()
	h.on(func() { stays.waiter.Leave() }) // too late, and no harm
	if len(gone.answer) != 0 {
		t.Error("who left was told something")
	}
	if st := h.stats(); st.Active != 1 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

// A client that left before its server was there does not keep it.
func TestLeaveBeforeTheServerIsThere(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	h := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: openHall(t, nil).Addr(), gate: gate})
	c := h.acquire()
	h.on(func() { c.waiter.Leave() })
	close(gate)
	h.eventually("the server idles", func() bool { return h.pool.Stats().Idle == 1 })
	if len(c.answer) != 0 {
		t.Error("who left was told something")
	}
}

// A seat is free only when PostgreSQL has closed its side: the backend exists
// until then.
func TestSeatIsFreeOnlyAtEOF(t *testing.T) {
	t.Parallel()
	terminated, let := make(chan struct{}, 1), make(chan struct{})
	k := openHall(t, func(k *hall) { k.leave = func() { terminated <- struct{}{}; <-let } })
	h := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: k.Addr()})
	s := h.acquire().server()
	next := h.acquire()
	h.destroy(s)
	await(t, terminated, "Terminate")
	if st := h.stats(); st.Closing != 1 || st.Login != 0 || h.opener.opens.Load() != 1 {
		t.Errorf("before the end of the old server: %+v, %d opened", st, h.opener.opens.Load())
	}
	close(let)
	next.server()
	if k.peak.Load() != 1 {
		t.Errorf("%d servers at a time, want 1", k.peak.Load())
	}
}

func TestPoolSizeIsNeverExceeded(t *testing.T) {
	t.Parallel()
	k := openHall(t, nil)
	h := build(t, pool.Config{PoolSize: 5}, &pool.Member{}, &opener{address: k.Addr()})
	const count = 200
	done, served := make(chan struct{}), 0
	var held []*pool.Server // the loop's thread
	for i := range count {
		c := &client{house: h}
		c.told = func(s *pool.Server) {
			if served++; served == count {
				close(done)
			}
			held = append(held, s)
			if len(held) < 5 && served < count {
				return // hold it until the pool is full
			}
			for _, s := range held {
				if i%3 == 0 {
					h.pool.Destroy(s, "test", false)
				} else {
					h.loop.Post(func() { h.pool.Release(s) })
				}
			}
			held = nil
		}
		h.on(c.ask)
	}
	await(t, done, "everybody's turn")
	if n := k.peak.Load(); n != 5 {
		t.Errorf("%d servers at a time, want 5", n)
	}
}

func TestMinPoolSizeIsKeptOnceSeeded(t *testing.T) {
	t.Parallel()
	k := openHall(t, nil)
	h := build(t, pool.Config{PoolSize: 5, MinPoolSize: 3}, &pool.Member{}, &opener{address: k.Addr()})
	h.on(func() { h.pool.SetConfig(pool.Config{PoolSize: 5, MinPoolSize: 2}) })
	if h.opener.opens.Load() != 0 {
		t.Error("a server was opened before anybody logged in")
	}
	h.on(func() { h.pool.Seed(); h.pool.Seed() })
	h.eventually("two idle", func() bool { return h.pool.Stats().Idle == 2 })
	(<-k.conns).Close()
	h.eventually("the lost one is replaced", func() bool { return h.saw.opened == 3 && h.pool.Stats().Idle == 2 })
}

// The reserve is opened for who waited long enough, and closed as soon as
// nobody waits.
func TestReservePool(t *testing.T) {
	t.Parallel()
	k := openHall(t, nil)
	const wait = 150 * time.Millisecond
	h := build(t, pool.Config{PoolSize: 1, ReservePoolSize: 1, ReservePoolTimeout: wait}, &pool.Member{}, &opener{address: k.Addr()})
	s := h.acquire().server()
	begin := time.Now()
	second, third := h.acquire(), h.acquire()
	reserve := second.server()
	if waited := time.Since(begin); waited < wait-20*time.Millisecond {
		t.Errorf("the reserve was used after %v", waited)
	}
	h.release(s)
	if third.server() != s {
		t.Error("the third did not get the released server")
	}
	h.release(reserve)
	h.eventually("the reserve is closed", func() bool { return h.saw.closed == 1 })
	h.release(s)
	if st := h.stats(); st.Idle != 1 || k.peak.Load() != 2 {
		t.Errorf("%+v, at most %d servers", st, k.peak.Load())
	}
}

// Of servers above the limit only the surplus closes, although those that
// close still count.
func TestReserveClosesOnlyTheSurplus(t *testing.T) {
	t.Parallel()
	h := build(t, pool.Config{PoolSize: 5, ReservePoolSize: 2, ReservePoolTimeout: time.Millisecond}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	s := h.take(7)
	h.release(s...)
	if st := h.stats(); st.Idle != 5 {
		t.Errorf("%d idle, want 5: %+v", st.Idle, st)
	}
}

func TestLoweredPoolSizeClosesTheSurplus(t *testing.T) {
	t.Parallel()
	h := build(t, pool.Config{PoolSize: 6}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	s := h.take(6)
	h.on(func() { h.pool.SetConfig(pool.Config{PoolSize: 4}) })
	h.release(s...)
	if st := h.stats(); st.Idle != 4 {
		t.Errorf("%d idle, want 4: %+v", st.Idle, st)
	}
}

func TestReleaseOfAReleasedServerPanics(t *testing.T) {
	t.Parallel()
	h := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	s := h.acquire().server()
	h.on(func() {
		h.pool.Release(s)
		defer func() {
			if recover() == nil {
				t.Error("released twice without a panic")
			}
		}()
		h.pool.Release(s)
	})
}

// A closed pool refuses whoever waits, and whoever comes.
func TestClosedPoolRefuses(t *testing.T) {
	t.Parallel()
	h := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	s := h.acquire().server()
	waits := h.acquire()
	h.on(h.pool.Close)
	if err := waits.refusal(); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("refused with %v", err)
	}
	if err := h.acquire().refusal(); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("refused with %v", err)
	}
	h.release(s)
	h.eventually("the last server is gone", func() bool { return h.pool.Empty() && h.saw.emptied > 0 })
}
