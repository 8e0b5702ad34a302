package pool_test

import (
	"slices"
	"testing"
	"time"

	"howdah/pool"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// idling returns a pool with one idle server, and the fake's end of it.
func idling(t *testing.T, cfg pool.Config) (*house, *pool.Server, *wiretest.Conn) {
	k := openHall(t, nil)
	h := build(t, cfg, &pool.Member{}, &opener{address: k.Addr()})
	s := h.acquire().server()
	h.release(s)
	return h, s, await(t, k.conns, "the connection")
}

// What a server says by itself while nobody holds it is read: parameters are
// reported, notices and notifications go nowhere, and it stays.
func TestIdleServerReports(t *testing.T) {
	t.Parallel()
	h, s, far := idling(t, pool.Config{PoolSize: 1})
	message := wire.AppendNotice(nil, &wire.Error{Severity: "WARNING", Code: "01000", Message: "hear"})
	message = wire.AppendMessage(message, wire.NotificationResponse, []byte("\x00\x00\x00\x01channel\x00payload\x00"))
	message = wire.AppendParameterStatus(message, "TimeZone", "UTC")
	message = wire.AppendParameterStatus(message, "in_hot_standby", "on")
	for i := range message {
		if err := far.Send(message[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	h.eventually("both are reported", func() bool { return slices.Equal(h.saw.reported, []string{"TimeZone=UTC", "in_hot_standby=on"}) })
	if h.acquire().server() != s {
		t.Error("the server was closed")
	}
}

// A server in the middle of a message is given to nobody before its rest has
// come: a client would read it as the start of another.
func TestServerInTheMiddleOfAMessageIsNotGivenOut(t *testing.T) {
	t.Parallel()
	half := wire.AppendParameterStatus(nil, "TimeZone", "Europe/Brussels")
	asked := make(chan struct{})
	k := openHall(t, func(k *hall) {
		k.answer = func(c *wiretest.Conn, _ string) error {
			close(asked)
			return c.Send(half[9:], selectOne)
		}
	})
	h := build(t, pool.Config{PoolSize: 1}, &pool.Member{}, &opener{address: k.Addr()})
	s := h.acquire().server()
	h.release(s)
	far := await(t, k.conns, "the connection")
	if err := far.Send(wire.AppendParameterStatus(nil, "is_superuser", "on"), half[:9]); err != nil {
		t.Fatal(err)
	}
	h.eventually("the first is reported", func() bool { return len(h.saw.reported) == 1 })
	c := h.acquire()
	if c.server() != s {
		t.Error("got another server")
	}
	select {
	case <-asked:
	default:
		t.Error("given out in the middle of a message")
	}
	h.on(func() {
		if len(h.saw.reported) != 2 {
			t.Errorf("reported %q", h.saw.reported)
		}
	})
}

// An idle server that says anything else, or goes, is out.
func TestIdleServerEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		step   wiretest.Step
		reason string
	}{
		"shutdown":           {wiretest.Send(wire.AppendError(nil, wire.Fatal(wire.CodeAdminShutdown, "terminating connection", ""))), "error while idle"},
		"unexpected message": {wiretest.Send(wire.AppendReadyForQuery(nil, wire.TxIdle)), "unexpected message while idle"},
		"garbage":            {wiretest.Send([]byte("\xff\xff\xff\xff\xff\xff")), "protocol violation while idle"},
		"endless message":    {wiretest.Send([]byte("N\x3f\xff\xff\xff")), "protocol violation while idle"},
		"end":                {wiretest.CloseNow(), "closed by PostgreSQL"},
		"reset":              {wiretest.Reset(), "closed by PostgreSQL"},
		"end in a message":   {wiretest.Step{Run: func(c *wiretest.Conn) error { c.Send([]byte("N\x00")); return c.Close() }}, "closed by PostgreSQL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s, far := idling(t, pool.Config{PoolSize: 1})
			if err := test.step.Run(far); err != nil {
				t.Fatal(err)
			}
			h.eventually("the server is out", func() bool { return h.saw.closed == 1 })
			if n := h.ended(test.reason); n != 1 {
				t.Errorf("ended as %v, want %q", h.stats().Ended, test.reason)
			}
			if h.acquire().server() == s {
				t.Error("it was given out all the same")
			}
		})
	}
}

func TestServerLifetime(t *testing.T) {
	t.Parallel()
	const life = 100 * time.Millisecond
	k := openHall(t, nil)
	h := build(t, pool.Config{PoolSize: 2, ServerLifetime: life}, &pool.Member{}, &opener{address: k.Addr()})
	begin := time.Now()
	s := h.take(2)
	h.release(s[0])
	h.eventually("the idle one is closed", func() bool { return h.saw.closed == 1 })
	if lived := time.Since(begin); lived < life-20*time.Millisecond {
		t.Errorf("closed after %v", lived)
	}
	if st := h.stats(); st.Active != 1 {
		t.Errorf("the active one was closed in use: %+v", st)
	}
	h.release(s[1])
	h.eventually("both are closed for their age", func() bool { return h.pool.Stats().Ended["server_lifetime"] == 2 })
}

func TestServerIdleTimeoutKeepsTheMinimum(t *testing.T) {
	t.Parallel()
	h := build(t, pool.Config{PoolSize: 5, MinPoolSize: 2, ServerIdleTimeout: 100 * time.Millisecond}, &pool.Member{}, &opener{address: openHall(t, nil).Addr()})
	h.on(h.pool.Seed)
	h.release(h.take(5)...)
	h.eventually("three are closed", func() bool { return h.pool.Stats().Ended["server_idle_timeout"] == 3 && h.pool.Stats().Closing == 0 })
	time.Sleep(300 * time.Millisecond) // several more sweeps
	if st := h.stats(); st.Idle != 2 || h.opener.opens.Load() != 5 {
		t.Errorf("%+v, %d opened", st, h.opener.opens.Load())
	}
}
