package pool_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"howdah/pool"
	"howdah/wire"
	"howdah/wire/loop"
	"howdah/wire/wiretest"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// TestMain fails the run when a descriptor or a goroutine outlives the tests.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(runtime.NumCPU() + 8) // each loop keeps one while it waits: as in the daemon
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() // Go's network poller keeps its own descriptors from now on
	}
	before := descriptors()
	code := m.Run()
	if code == 0 {
		if err := nothingLeft(before); err != nil {
			fmt.Fprintln(os.Stderr, "FAIL:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// nothingLeft waits until no pool's goroutine runs and no more descriptors
// than before are open.
func nothingLeft(before int) error {
	deadline := time.Now().Add(patience)
	for {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		after := descriptors()
		if after <= before && !bytes.Contains(stacks, []byte("howdah/pool.")) && !bytes.Contains(stacks, []byte("wire/loop.")) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d descriptors before the tests, %d after; goroutines:\n%s", before, after, stacks)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// descriptors returns how many file descriptors the process has open.
func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries)
}

// await waits for ch.
func await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v in vain for %s", patience, what)
	}
	panic("unreachable")
}

// opener opens connections to a fake server and counts them.
type opener struct {
	address string
	fail    func(attempt int64) error // where not nil and it returns an error, nothing is dialled
	gate    <-chan struct{}           // where not nil, logins wait for its end

	opens, now, peak atomic.Int64
}

func (o *opener) Open(ctx context.Context) (*wire.Established, error) {
	attempt := o.opens.Add(1)
	raise(&o.peak, o.now.Add(1))
	defer o.now.Add(-1)
	if o.gate != nil {
		select {
		case <-o.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if o.fail != nil {
		if err := o.fail(attempt); err != nil {
			return nil, err
		}
	}
	return wire.Dial(ctx, o.dial())
}

func (o *opener) Cancel(ctx context.Context, key wire.Key) error {
	return wire.SendCancel(ctx, o.dial(), key)
}

func (o *opener) dial() wire.DialConfig {
	return wire.DialConfig{Address: o.address, Parameters: []wire.Parameter{{Name: "user", Value: "anna"}}}
}

// raise makes peak at least n.
func raise(peak *atomic.Int64, n int64) {
	for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
	}
}

// watcher is an observer that remembers. It belongs to the loop's thread.
type watcher struct {
	opened, closed, emptied int
	reported                []string
}

func (w *watcher) Opened(*pool.Server) { w.opened++ }
func (w *watcher) Closed(*pool.Server) { w.closed++ }
func (w *watcher) Emptied()            { w.emptied++ }
func (w *watcher) Reported(_ *pool.Server, name, value []byte) {
	w.reported = append(w.reported, string(name)+"="+string(value))
}

// house is a pool on a loop of its own.
type house struct {
	t      testing.TB
	loop   *loop.Loop
	pool   *pool.Pool
	opener *opener
	saw    *watcher
	most   int // servers that the limits ever allowed
}

// build returns a pool with cfg that opens servers with o. It ends with the
// test, and must be empty then but for what clients still hold.
func build(t testing.TB, cfg pool.Config, m *pool.Member, o *opener) *house {
	t.Helper()
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	t.Cleanup(func() { l.Stop() })
	return buildOn(t, l, cfg, m, o)
}

// buildOn is build on a loop that there is.
func buildOn(t testing.TB, l *loop.Loop, cfg pool.Config, m *pool.Member, o *opener) *house {
	h := &house{t: t, loop: l, opener: o, saw: &watcher{}, most: cfg.PoolSize + cfg.ReservePoolSize}
	h.pool = pool.New(l, m, cfg, o, h.saw, &loop.Group{})
	t.Cleanup(h.tearDown)
	return h
}

func (h *house) tearDown() {
	h.on(func() {
		h.pool.Close()
		var held []*pool.Server
		h.pool.Servers(func(s *pool.Server) { held = append(held, s) })
		for _, s := range held {
			h.pool.Destroy(s, "test ended", false)
		}
	})
	h.eventually("the closed pool is empty", h.pool.Empty)
	h.on(func() {
		if h.saw.opened != h.saw.closed {
			h.t.Errorf("%d servers were opened, %d closed", h.saw.opened, h.saw.closed)
		}
	})
}

// on has f run on the pool's loop, waits for it, and looks whether the pool's
// numbers make sense then.
func (h *house) on(f func()) {
	h.t.Helper()
	done := make(chan struct{})
	if !h.loop.Post(func() { defer close(done); f(); h.inspect() }) {
		h.t.Fatal("the loop has stopped")
	}
	await(h.t, done, "the loop")
}

// inspect checks what must always hold, on the loop's thread.
func (h *house) inspect() {
	s := h.pool.Stats()
	listed := map[pool.State]int{}
	h.pool.Servers(func(s *pool.Server) { listed[s.State()]++ })
	total := s.Login + s.Idle + s.Tested + s.Active + s.Closing
	switch {
	case min(s.Login, s.Idle, s.Tested, s.Active, s.Closing, s.Waiting) < 0:
		h.t.Errorf("negative numbers: %+v", s)
	case listed[pool.Idle] != s.Idle || listed[pool.Tested] != s.Tested || listed[pool.Active] != s.Active:
		h.t.Errorf("servers listed by state %v, counted %+v", listed, s)
	case total > h.most:
		h.t.Errorf("%d servers, the limit is %d: %+v", total, h.most, s)
	case h.pool.Empty() != (total == 0 && s.Waiting == 0):
		h.t.Errorf("Empty is %v of %+v", h.pool.Empty(), s)
	case h.saw.opened-h.saw.closed != s.Idle+s.Tested+s.Active:
		h.t.Errorf("the observer knows of %d servers, counted are %+v", h.saw.opened-h.saw.closed, s)
	}
}

// stats returns the pool's numbers.
func (h *house) stats() (s pool.Stats) {
	h.t.Helper()
	h.on(func() { s = h.pool.Stats() })
	return s
}

// ended returns how many servers were closed for reason.
func (h *house) ended(reason string) (n uint64) {
	h.t.Helper()
	h.on(func() { n = h.pool.Stats().Ended[reason] })
	return n
}

// eventually waits until ok, asked on the loop's thread, holds.
func (h *house) eventually(what string, ok func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		holds := false
		h.on(func() { holds = ok() })
		if holds {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("waited %v in vain until %s; %+v", patience, what, h.stats())
		}
		time.Sleep(time.Millisecond)
	}
}

// client is one who wants a server. Its answer comes once, through the channel.
type client struct {
	process *pool.Process
	house   *house
	waiter  *pool.Waiter
	answer  chan answer
	told    func(*pool.Server) // called in Assigned, where not nil
}

type answer struct {
	server *pool.Server
	err    error
}

// Assigned implements pool.Client.
func (c *client) Assigned(s *pool.Server) {
	if c.told != nil {
		c.told(s)
		return
	}
	c.answer <- answer{server: s}
}

// Refused implements pool.Client.
func (c *client) Refused(err error) { c.answer <- answer{err: err} }

// acquire has a new client ask for a server.
func (h *house) acquire() *client {
	h.t.Helper()
	return h.acquireAs(nil)
}

// acquireAs has a new client of a process ask.
func (h *house) acquireAs(process *pool.Process) *client {
	h.t.Helper()
	c := &client{house: h, process: process, answer: make(chan answer, 2)}
	h.on(func() { c.ask() })
	return c
}

// ask belongs to the loop's thread.
func (c *client) ask() {
	s, w := c.house.pool.Acquire(c, c.process)
	if c.waiter = w; s != nil {
		c.Assigned(s)
	}
}

// server waits for the client's server.
func (c *client) server() *pool.Server {
	c.house.t.Helper()
	a := await(c.house.t, c.answer, "a server")
	if a.err != nil {
		c.house.t.Fatalf("refused: %v", a.err)
	}
	return a.server
}

// refusal waits for the client to be refused.
func (c *client) refusal() error {
	c.house.t.Helper()
	a := await(c.house.t, c.answer, "a refusal")
	if a.err == nil {
		c.house.t.Fatal("got a server, want a refusal")
	}
	return a.err
}

// release and destroy give servers back.
func (h *house) release(servers ...*pool.Server) {
	h.t.Helper()
	h.on(func() {
		for _, s := range servers {
			h.pool.Release(s)
		}
	})
}

func (h *house) destroy(s *pool.Server) {
	h.t.Helper()
	h.on(func() { h.pool.Destroy(s, "test", false) })
}

// take has n clients acquire servers at once and waits for all of them.
func (h *house) take(n int) (servers []*pool.Server) {
	h.t.Helper()
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = h.acquire()
	}
	for _, c := range clients {
		servers = append(servers, c.server())
	}
	return servers
}

// hall is a fake server that counts who is there. It answers queries until it
// is told to terminate.
type hall struct {
	*wiretest.Fake
	now, peak atomic.Int64
	queries   atomic.Int64
	conns     chan *wiretest.Conn                             // every connection, as it is served
	answer    func(c *wiretest.Conn, text string) (err error) // where not nil, in place of the usual one
	leave     func()                                          // where not nil, called between Terminate and closing
}

// openHall starts one. Its fields are to be set in prepare.
func openHall(t testing.TB, prepare func(*hall)) *hall {
	h := &hall{conns: make(chan *wiretest.Conn, 10_000)}
	if prepare != nil {
		prepare(h)
	}
	h.Fake = wiretest.StartFake(t, wiretest.Script{wiretest.Do(h.serve)})
	return h
}

var selectOne = wire.AppendReadyForQuery(wire.AppendString(nil, wire.CommandComplete, "SELECT 1"), wire.TxIdle)

func (h *hall) serve(c *wiretest.Conn) error {
	raise(&h.peak, h.now.Add(1))
	defer h.now.Add(-1)
	h.conns <- c
	for {
		typ, body, err := c.Receive()
		if err != nil {
			return nil
		}
		switch typ {
		case wire.Terminate:
			if h.leave != nil {
				h.leave()
			}
			return nil
		case wire.Query:
			h.queries.Add(1)
			text, err := wire.ParseQuery(body)
			if err != nil {
				return err
			}
			if h.answer == nil {
				err = c.Send(selectOne)
			} else {
				err = h.answer(c, string(text))
			}
			if err == errLeave {
				return nil
			}
			if err != nil {
				return err
			}
		default:
			return fmt.Errorf("got a message of type %q: %q", typ, body)
		}
	}
}

// errLeave has a hall close the connection.
var errLeave = fmt.Errorf("leave")

// refusing returns an error of the server's.
func refusing(code string) error {
	return fmt.Errorf("dial: %w", &wire.Error{Severity: "FATAL", Code: code, Message: "refused by the fake"})
}

// barrier lets its callers go on once n of them wait.
func barrier(n int) (wait func()) {
	var mu sync.Mutex
	all := make(chan struct{})
	return func() {
		mu.Lock()
		if n--; n == 0 {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
		case <-time.After(patience):
		}
	}
}
