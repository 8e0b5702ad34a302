package pool_test

import (
	"errors"
	"testing"
	"time"

	"howdah/pool"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// A busy server's query is cancelled, so that its backend is soon gone; an
// idle one's is not.
func TestDestroyOfABusyServerCancels(t *testing.T) {
	t.Parallel()
	running, cancelled := make(chan struct{}), make(chan struct{})
	k := openHall(t, func(k *hall) {
		k.answer = func(c *wiretest.Conn, _ string) error {
			close(running)
			<-cancelled
			return c.Send(wire.AppendReadyForQuery(wire.AppendError(nil, &wire.Error{Severity: "ERROR", Code: wire.CodeQueryCanceled, Message: "canceled"}), wire.TxIdle))
		}
	})
	h := build(t, pool.Config{PoolSize: 2}, &pool.Member{}, &opener{address: k.Addr()})
	quietly := h.acquire().server()
	busy := h.acquire().server()
	h.destroy(quietly)
	h.eventually("the first is gone", func() bool { return h.pool.Stats().Closing == 0 })
	h.on(func() { busy.Conn.Write(wire.AppendString(nil, wire.Query, "select pg_sleep(1000)")) })
	await(t, running, "the query")
	h.on(func() {
		h.pool.Destroy(busy, "client went away", true)
		h.pool.Destroy(busy, "twice is once", true)
	})
	if key := await(t, k.Cancels(), "the cancel"); key.PID != busy.Key.PID {
		t.Errorf("cancelled %d, want %d", key.PID, busy.Key.PID)
	}
	if st := h.stats(); st.Closing != 1 {
		t.Errorf("%+v", st)
	}
	close(cancelled)
	h.eventually("it is gone", h.pool.Empty)
	for len(k.Cancels()) > 0 { // it may have been tried again
		if key := <-k.Cancels(); key.PID != busy.Key.PID {
			t.Errorf("cancelled %d as well", key.PID)
		}
	}
	if n := h.ended("client went away"); n != 1 {
		t.Errorf("ended as %v", h.stats().Ended)
	}
}

// A server that a client lost is out at once, and its seat is free.
func TestGoneWhileActive(t *testing.T) {
	t.Parallel()
	h := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	s := h.acquire().server()
	next := h.acquire()
	h.on(func() {
		h.pool.Gone(s, "lost while in use")
		h.pool.Gone(s, "twice is once")
		h.pool.Destroy(s, "too late", true)
	})
	next.server()
	if st := h.stats(); st.Ended["lost while in use"] != 1 || len(st.Ended) != 1 {
		t.Errorf("ended as %v", st.Ended)
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	k := openHall(t, nil)
	h := build(t, pool.Config{PoolSize: 3}, &pool.Member{}, &opener{address: k.Addr()})
	s := h.take(2)
	h.release(s[0])
	quiet := 0
	h.on(func() { h.pool.Pause(func() { quiet++ }) })
	h.eventually("the idle one is gone", func() bool { return h.pool.Stats().Closing == 0 && h.saw.closed == 1 })
	h.on(func() {
		if quiet != 0 {
			t.Error("quiet beside an active server")
		}
	})
	waits := h.acquire()
	h.on(func() {
		h.pool.Release(s[1])
		if quiet != 1 {
			t.Errorf("told %d times that all is quiet, want once", quiet)
		}
	})
	h.eventually("no server is left", func() bool { return k.now.Load() == 0 })
	if len(waits.answer) != 0 || h.opener.opens.Load() != 2 {
		t.Error("a paused pool served a client")
	}
	h.on(func() {
		h.pool.Pause(func() { quiet++ })
		if quiet != 2 {
			t.Error("a pool without servers is not quiet at once")
		}
		h.pool.Resume()
	})
	waits.server()
}

// A login that ends in a paused pool leaves no server behind.
func TestPauseWhileALoginRuns(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	h := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: openHall(t, nil).Addr(), gate: gate})
	c := h.acquire()
	h.on(func() { h.pool.Pause(func() {}) })
	close(gate)
	h.eventually("the new server is gone", func() bool { return h.pool.Stats().Ended["paused"] == 1 && h.pool.Stats().Closing == 0 })
	h.on(h.pool.Resume)
	c.server()
}

// Reconnect replaces every server, and also the one whose login began before.
func TestReconnect(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	k := openHall(t, nil)
	o := &opener{address: k.Addr()}
	o.fail = func(attempt int64) error {
		if attempt == 3 {
			<-gate
		}
		return nil
	}
	h := build(t, pool.Config{PoolSize: 3}, &pool.Member{}, o)
	s := h.take(2)
	leaves := h.acquire()
	h.eventually("a login runs", func() bool { return o.now.Load() == 1 })
	h.on(func() { leaves.waiter.Leave() })
	active := s[1]
	h.release(s[0])
	h.on(h.pool.Reconnect)
	h.eventually("the idle one is closed", func() bool { return h.pool.Stats().Ended["reconnect"] == 1 })
	h.on(func() {
		if !active.Stale() {
			t.Error("an old server is not stale")
		}
	})
	close(gate)
	h.eventually("the login's server is closed too", func() bool { return h.pool.Stats().Ended["reconnect"] == 2 })
	h.release(active)
	h.eventually("the active one is closed on release", func() bool { return h.pool.Stats().Ended["reconnect"] == 3 })
	if fresh := h.acquire().server(); fresh == active {
		t.Error("got an old server")
	}
}

// Close lets active servers finish, and a login under way ends in nothing.
func TestCloseWhileBusy(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	o := &opener{address: openHall(t, nil).Addr()}
	o.fail = func(attempt int64) error {
		if attempt == 2 {
			<-gate
		}
		return nil
	}
	h := build(t, pool.Config{PoolSize: 2, MinPoolSize: 2, QueryWaitTimeout: time.Hour}, &pool.Member{}, o)
	s := h.acquire().server()
	waits := h.acquire()
	h.eventually("a login runs", func() bool { return o.now.Load() == 1 })
	h.on(h.pool.Close)
	if err := waits.refusal(); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("refused with %v", err)
	}
	if st := h.stats(); st.Active != 1 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
	close(gate)
	h.release(s)
	h.eventually("all is empty", h.pool.Empty)
	if n := o.opens.Load(); n != 2 {
		t.Errorf("%d servers were opened", n)
	}
}
