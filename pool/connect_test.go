package pool_test

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"howdah/pool"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// Logins run side by side, but not more to a member than its ramp allows,
// however many pools on whatever loops want some.
func TestConnectsInParallelWithinTheRamp(t *testing.T) {
	t.Parallel()
	gate, m := make(chan struct{}), &pool.Member{}
	k := openHall(t, nil)
	shared := &opener{address: k.Addr(), gate: gate}
	one := build(t, pool.Config{PoolSize: 30}, m, shared)
	two := build(t, pool.Config{PoolSize: 30}, m, shared)
	var clients []*client
	for range 25 {
		clients = append(clients, one.acquire(), two.acquire())
	}
	one.eventually("the ramp is full", func() bool { return shared.now.Load() == pool.MaxLogins })
	close(gate)
	for _, c := range clients {
		c.server()
	}
	if n := shared.peak.Load(); n != pool.MaxLogins {
		t.Errorf("%d logins at a time, want %d", n, pool.MaxLogins)
	}
}

// While a member is down attempts are few and far between; once it is back,
// everybody is served.
func TestBackOffWhileAMemberIsDown(t *testing.T) {
	t.Parallel()
	k := openHall(t, nil)
	var down atomic.Bool
	down.Store(true)
	var single atomic.Bool
	m := &pool.Member{}
	o := &opener{address: k.Addr()}
	o.fail = func(attempt int64) error {
		if attempt > 5 && o.now.Load() > 1 {
			single.Store(true)
		}
		if down.Load() {
			return errors.New("dial: connection refused")
		}
		return nil
	}
	h := build(t, pool.Config{PoolSize: 5, LoginRetry: 200 * time.Millisecond}, m, o)
	begin := time.Now()
	var clients []*client
	for range 5 {
		clients = append(clients, h.acquire())
	}
	h.eventually("ten attempts were made", func() bool { return o.opens.Load() >= 10 })
	// Five at once, then one each after 50, 100, 200, 200 ms, less a quarter.
	if took := time.Since(begin); took < 350*time.Millisecond {
		t.Errorf("ten attempts within %v", took)
	}
	if !m.Failing() || single.Load() {
		t.Errorf("failing %v, several attempts at a time %v", m.Failing(), single.Load())
	}
	down.Store(false)
	for _, c := range clients {
		c.server()
	}
	if m.Failing() {
		t.Error("the member counts as failing after it was reached")
	}
}

// Who has another pool to go to is refused at once, and finds the pool barred until
// the next attempt: also where it was a password that was refused.
func TestFailFastIsBarredBehindARefusal(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"member": errors.New("dial: connection refused"), "password": refusing(wire.CodeInvalidPassword)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fails atomic.Bool
			fails.Store(true)
			o := &opener{address: openHall(t, nil).Addr()}
			o.fail = func(int64) error {
				if fails.Load() {
					return failure
				}
				return nil
			}
			h := build(t, pool.Config{PoolSize: 2, FailFast: true, LoginRetry: 300 * time.Millisecond}, &pool.Member{}, o)
			if err := h.acquire().refusal(); err == nil {
				t.Fatal("not refused")
			}
			h.on(func() {
				if !h.pool.Barred() {
					t.Error("the pool is not barred")
				}
			})
			fails.Store(false)
			h.eventually("the pool is open again", func() bool { return !h.pool.Barred() })
			h.acquire().server()
		})
	}
}

// Attempts that fail together are one failure: the pause after them is the
// first one, not the sixteenth.
func TestFailuresTogetherCountOnce(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"member": errors.New("dial: connection refused"), "pool": refusing(wire.CodeTooManyConnections)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &opener{address: openHall(t, nil).Addr()}
			all := barrier(pool.MaxLogins)
			o.fail = func(attempt int64) error {
				if attempt <= pool.MaxLogins {
					all()
					return failure
				}
				return nil
			}
			h := build(t, pool.Config{PoolSize: pool.MaxLogins, LoginRetry: time.Hour}, &pool.Member{}, o)
			begin := time.Now()
			h.take(pool.MaxLogins)
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("served after %v", took)
			}
		})
	}
}

// A refusal that only a person can change is told to all who wait, at once,
// and holds up nobody's next attempt.
func TestMissingDatabaseDelaysNobody(t *testing.T) {
	t.Parallel()
	refuse := wiretest.Script{wiretest.Send(wire.AppendError(nil, &wire.Error{Severity: "FATAL", Code: "3D000", Message: `database "anna" does not exist`}))}
	welcome := wiretest.Script{
		{Name: "welcome", Run: wiretest.Welcome},
		wiretest.Do(func(c *wiretest.Conn) error { _, _, _ = c.Receive(); return nil }),
	}
	fake := wiretest.StartRawFake(t, refuse, welcome)
	m := &pool.Member{}
	h := build(t, pool.Config{PoolSize: 1, LoginRetry: time.Hour}, m, &opener{address: fake.Addr()})
	one, two := &client{house: h, answer: make(chan answer, 2)}, &client{house: h, answer: make(chan answer, 2)}
	h.on(func() { one.ask(); two.ask() })
	for _, c := range []*client{one, two} {
		var e *wire.Error
		if err := c.refusal(); !errors.As(err, &e) || e.Code != "3D000" || !strings.Contains(e.Message, "does not exist") {
			t.Errorf("refused with %v", err)
		}
	}
	if m.Failing() {
		t.Error("the member counts as failing")
	}
	begin := time.Now()
	h.acquire().server()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("served after %v", took)
	}
}

// Too many connections is a reason to wait, for this pool alone.
func TestTooManyConnectionsPausesOnlyThisPool(t *testing.T) {
	t.Parallel()
	k, m := openHall(t, nil), &pool.Member{}
	var full atomic.Bool
	full.Store(true)
	crowded := build(t, pool.Config{PoolSize: 3, LoginRetry: 100 * time.Millisecond}, m, &opener{address: k.Addr(), fail: func(int64) error {
		if full.Load() {
			return refusing(wire.CodeTooManyConnections)
		}
		return nil
	}})
	begin := time.Now()
	waits := crowded.acquire()
	crowded.eventually("five attempts were made", func() bool { return crowded.opener.opens.Load() >= 5 })
	if took := time.Since(begin); took < 200*time.Millisecond { // 50, 100, 100, 100 ms, less a quarter
		t.Errorf("five attempts within %v", took)
	}
	if m.Failing() {
		t.Error("the member counts as failing")
	}
	other := build(t, pool.Config{PoolSize: 3}, m, &opener{address: k.Addr()})
	other.take(3)
	if len(waits.answer) != 0 {
		t.Error("who waits was told of the refusal")
	}
	full.Store(false)
	waits.server()
}

// A server that takes connections and says nothing is given up.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // its backlog accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := &pool.Member{}
	h := build(t, pool.Config{PoolSize: 1, ConnectTimeout: 50 * time.Millisecond, LoginRetry: 10 * time.Millisecond, QueryWaitTimeout: 500 * time.Millisecond}, m, &opener{address: l.Addr().String()})
	c := h.acquire()
	h.eventually("another attempt", func() bool { return h.opener.opens.Load() > 1 })
	if !m.Failing() {
		t.Error("the member counts as reached")
	}
	var e *wire.Error
	if err := c.refusal(); !errors.As(err, &e) || !strings.Contains(e.Detail, "deadline exceeded") {
		t.Errorf("refused with %#v", err)
	}
}

func TestQueryWaitTimeoutSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const wait = 100 * time.Millisecond
	k := openHall(t, nil)
	full := build(t, pool.Config{PoolSize: 1, QueryWaitTimeout: wait}, &pool.Member{}, &opener{address: k.Addr()})
	full.take(1)
	down := build(t, pool.Config{PoolSize: 1, QueryWaitTimeout: wait, LoginRetry: 10 * time.Millisecond}, &pool.Member{},
		&opener{fail: func(int64) error { return errors.New("dial: no route to the moon") }})
	for _, test := range []struct {
		house  *house
		want   []string // in hint and detail together
		absent string
	}{
		{full, []string{"All 1 servers", "pool_size", "query_wait_timeout"}, "failed"},
		{down, []string{"no route to the moon", "member"}, "pool_size"},
	} {
		begin := time.Now()
		c := test.house.acquire()
		var e *wire.Error
		if err := c.refusal(); !errors.As(err, &e) {
			t.Fatalf("refused with %v", err)
		}
		if waited := time.Since(begin); waited < wait-20*time.Millisecond {
			t.Errorf("refused after %v", waited)
		}
		if e.Severity != "FATAL" || e.Code != wire.CodeQueryCanceled || !strings.Contains(e.Message, "query_wait_timeout") || !strings.Contains(e.Message, "100ms") {
			t.Errorf("refused with %v", e)
		}
		text := e.Detail + " " + e.Hint
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%q does not mention %q", text, want)
			}
		}
		if strings.Contains(text, test.absent) {
			t.Errorf("%q mentions %q", text, test.absent)
		}
		if n := test.house.stats().Waiting; n != 0 {
			t.Errorf("%d wait", n)
		}
	}
}
