package pool_test

import (
	"sync/atomic"
	"testing"
	"time"

	"howdah/pool"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// stale is a configuration in which every server that idled at all must prove
// itself.
func stale(size int) pool.Config {
	return pool.Config{PoolSize: size, CheckDelay: time.Nanosecond, CheckQuery: "select 'still there'"}
}

// age lets the loop's time go on, so that idle servers need their check.
func (h *house) age() {
	h.t.Helper()
	var since, now time.Duration
	h.on(func() { since = h.loop.Now() })
	for now <= since {
		h.on(func() { now = h.loop.Now() })
	}
}

func TestCheckQueryComesFirst(t *testing.T) {
	t.Parallel()
	checked := make(chan string, 10)
	k := openHall(t, func(k *hall) {
		k.answer = func(c *wiretest.Conn, text string) error {
			checked <- text
			return c.Send(selectOne)
		}
	})
	h := build(t, stale(1), &pool.Member{}, &opener{address: k.Addr()})
	s := h.acquire().server()
	if len(checked) != 0 {
		t.Error("a fresh server was checked")
	}
	h.release(s)
	h.age()
	c := h.acquire()
	if text := await(t, checked, "the check"); text != "select 'still there'" {
		t.Errorf("checked with %q", text)
	}
	if c.server() != s || h.opener.opens.Load() != 1 {
		t.Error("got another server")
	}
}

// A server that waits less than the delay, or that was asked to prove nothing,
// is given out as it is.
func TestNoCheckWithoutNeed(t *testing.T) {
	t.Parallel()
	for _, cfg := range []pool.Config{
		{PoolSize: 1, CheckDelay: time.Hour, CheckQuery: "select 1"},
		{PoolSize: 1, CheckDelay: time.Nanosecond},
		{PoolSize: 1, CheckQuery: "select 1"},
	} {
		k := openHall(t, nil)
		h := build(t, cfg, &pool.Member{}, &opener{address: k.Addr()})
		for range 3 {
			h.release(h.acquire().server())
			h.age()
		}
		if n := k.queries.Load(); n != 0 {
			t.Errorf("%+v: %d checks", cfg, n)
		}
	}
}

// A server that fails its check is closed, and another is opened for who
// waits.
func TestCheckFails(t *testing.T) {
	t.Parallel()
	failure := wire.AppendError(nil, &wire.Error{Severity: "ERROR", Code: "42601", Message: "no"})
	for name, reply := range map[string]func(c *wiretest.Conn) error{
		"error":                 func(c *wiretest.Conn) error { return c.Send(wire.AppendReadyForQuery(failure, wire.TxIdle)) },
		"left in a transaction": func(c *wiretest.Conn) error { return c.Send(wire.AppendReadyForQuery(nil, wire.TxOpen)) },
		"unexpected message": func(c *wiretest.Conn) error {
			return c.Send(wire.AppendMessage(nil, wire.CopyInResponse, []byte{0, 0, 0}))
		},
		"garbage":                 func(c *wiretest.Conn) error { return c.Send([]byte("Z\x00\x00\x00\x00")) },
		"bytes behind the answer": func(c *wiretest.Conn) error { return c.Send(selectOne, []byte{wire.NoticeResponse, 0, 0}) },
		"row larger than sensible": func(c *wiretest.Conn) error {
			return c.Send(wire.AppendMessage(nil, wire.DataRow, make([]byte, 100_000)))
		},
		"end":   func(*wiretest.Conn) error { return errLeave },
		"reset": func(c *wiretest.Conn) error { wiretest.Reset().Run(c); return errLeave },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := openHall(t, func(k *hall) {
				k.answer = func(c *wiretest.Conn, _ string) error { return reply(c) }
			})
			h := build(t, stale(1), &pool.Member{}, &opener{address: k.Addr()})
			s := h.acquire().server()
			h.release(s)
			h.age()
			if got := h.acquire().server(); got == s {
				t.Error("got the server that failed")
			}
			if k.peak.Load() != 1 || h.saw.closed != 1 {
				t.Errorf("%d servers at a time, %d closed", k.peak.Load(), h.saw.closed)
			}
		})
	}
}

// An answer in pieces, with reports in between, is an answer.
func TestCheckAnswersInPieces(t *testing.T) {
	t.Parallel()
	answer := wire.AppendParameterStatus(nil, "TimeZone", "Europe/Brussels")
	answer = wire.AppendNotice(answer, &wire.Error{Severity: "NOTICE", Code: "00000", Message: "hear"})
	answer = wire.AppendMessage(answer, wire.RowDescription, []byte{0, 0})
	answer = wire.AppendMessage(answer, wire.DataRow, []byte{0, 0})
	answer = append(answer, selectOne...)
	k := openHall(t, func(k *hall) {
		k.answer = func(c *wiretest.Conn, _ string) error {
			for i := range answer {
				if err := c.Send(answer[i : i+1]); err != nil {
					return err
				}
				time.Sleep(100 * time.Microsecond) // a packet of its own
			}
			return nil
		}
	})
	h := build(t, stale(1), &pool.Member{}, &opener{address: k.Addr()})
	s := h.acquire().server()
	h.release(s)
	h.age()
	if h.acquire().server() != s {
		t.Error("got another server")
	}
	h.on(func() {
		if len(h.saw.reported) != 1 || h.saw.reported[0] != "TimeZone=Europe/Brussels" {
			t.Errorf("reported %q", h.saw.reported)
		}
	})
}

// Everybody who waits has an idle server checked for him at the same time:
// once they waited for one check after the other beside idle servers.
func TestChecksRunInParallel(t *testing.T) {
	t.Parallel()
	const count = 20
	all := barrier(count)
	k := openHall(t, func(k *hall) {
		k.answer = func(c *wiretest.Conn, _ string) error {
			all() // nobody answers before all are asked
			return c.Send(selectOne)
		}
	})
	h := build(t, stale(count), &pool.Member{}, &opener{address: k.Addr()})
	h.release(h.take(count)...)
	h.age()
	begin := time.Now()
	h.take(count)
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("served after %v", took)
	}
	if n := h.opener.opens.Load(); n != count {
		t.Errorf("%d servers were opened beside idle ones", n-count)
	}
}

// A login under way, however slow, keeps nobody waiting beside an idle server.
func TestIdleServerIsCheckedWhileALoginHangs(t *testing.T) {
	t.Parallel()
	k := openHall(t, nil)
	hang := make(chan struct{})
	defer close(hang)
	h := build(t, stale(2), &pool.Member{}, &opener{address: k.Addr(), fail: func(attempt int64) error {
		if attempt > 1 {
			<-hang
		}
		return nil
	}})
	s := h.acquire().server()
	leaves := h.acquire()
	h.eventually("a login hangs", func() bool { return h.opener.now.Load() == 1 })
	h.on(func() { leaves.waiter.Leave() })
	h.release(s)
	h.age()
	if h.acquire().server() != s {
		t.Error("got another server")
	}
}

// A server whose check hangs is given up after ten seconds, and whoever waited
// for it gets another, although the hung one does not even close.
func TestCheckHangs(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	var first atomic.Bool
	k := openHall(t, func(k *hall) {
		k.answer = func(c *wiretest.Conn, _ string) error {
			if first.CompareAndSwap(false, true) {
				<-released
				return errLeave
			}
			return c.Send(selectOne)
		}
	})
	h := build(t, stale(2), &pool.Member{}, &opener{address: k.Addr()})
	s := h.acquire().server()
	h.release(s)
	h.age()
	c := h.acquire()
	if c.server() == s {
		t.Error("got the server that hangs")
	}
	if key := await(t, k.Cancels(), "the cancel of the check"); key.PID != 1 {
		t.Errorf("cancelled %d", key.PID)
	}
	if n := h.ended("check query timed out"); n != 1 || h.stats().Closing != 1 {
		t.Errorf("%d timed out, %+v", n, h.stats())
	}
	close(released)
	h.eventually("the hung server is gone", func() bool { return h.pool.Stats().Closing == 0 })
}

// RunAndOffer cleans a server up before anybody else gets it.
func TestRunAndOffer(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	k := openHall(t, func(k *hall) {
		k.answer = func(c *wiretest.Conn, text string) error { asked <- text; return c.Send(selectOne) }
	})
	h := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: k.Addr()})
	s := h.acquire().server()
	next := h.acquire()
	h.on(func() { h.pool.RunAndOffer(s, "DISCARD ALL") })
	if next.server() != s || await(t, asked, "the query") != "DISCARD ALL" {
		t.Error("not cleaned, or another server")
	}
}
