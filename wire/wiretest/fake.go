package wiretest

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"howdah/wire"
)

// Fake is a server whose connections follow scripts. It closes with its test.
type Fake struct {
	tb       testing.TB
	listener net.Listener
	serve    func(*Conn) error // what a connection does after startup
	login    func(*Conn) error // how it answers the StartupMessage
	cancels  chan wire.Key
	hold     atomic.Pointer[chan struct{}]

	closed chan struct{}
	done   sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	count int
}

// StartFake starts a server that lets everybody in. Its first connection
// follows the first script, its second the second; further ones the last. A
// step that fails is an error of the test. Once a script has ended the
// connection is closed.
func StartFake(tb testing.TB, scripts ...Script) *Fake {
	tb.Helper()
	if len(scripts) == 0 {
		tb.Fatal("wiretest: a fake without a script")
	}
	f := newFake(tb)
	f.serve = func(c *Conn) error {
		return scripts[min(c.Number, len(scripts))-1].run(c)
	}
	f.start()
	return f
}

// StartRawFake is StartFake for scripts that answer the StartupMessage
// themselves.
func StartRawFake(tb testing.TB, scripts ...Script) *Fake {
	tb.Helper()
	f := newFake(tb)
	f.login = func(*Conn) error { return nil }
	f.serve = func(c *Conn) error { return scripts[min(c.Number, len(scripts))-1].run(c) }
	f.start()
	return f
}

func newFake(tb testing.TB) *Fake {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("start fake server: %v", err)
	}
	f := &Fake{
		tb:       tb,
		listener: l,
		login:    Welcome,
		cancels:  make(chan wire.Key, 1024),
		closed:   make(chan struct{}),
		conns:    map[net.Conn]struct{}{},
	}
	return f
}

func (f *Fake) start() {
	f.done.Add(1)
	go f.accept()
	f.tb.Cleanup(f.Close)
}

// Addr returns the server's "host:port".
func (f *Fake) Addr() string { return f.listener.Addr().String() }

// Cancels delivers the key of each CancelRequest that arrived.
func (f *Fake) Cancels() <-chan wire.Key { return f.cancels }

// HoldCancels keeps the connections of CancelRequests open until release is
// called, as a slow server would.
func (f *Fake) HoldCancels() (release func()) {
	ch := make(chan struct{})
	f.hold.Store(&ch)
	return sync.OnceFunc(func() { close(ch) })
}

// Connections returns how many connections got as far as a StartupMessage.
func (f *Fake) Connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// Close ends all connections and waits for their scripts.
func (f *Fake) Close() {
	f.mu.Lock()
	select {
	case <-f.closed:
	default:
		close(f.closed)
		f.listener.Close()
		for c := range f.conns {
			c.Close()
		}
	}
	f.mu.Unlock()
	f.done.Wait()
}

func (f *Fake) accept() {
	defer f.done.Done()
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		select {
		case <-f.closed:
			c.Close()
		default:
			f.conns[c] = struct{}{}
			f.done.Add(1)
			go f.follow(c)
		}
		f.mu.Unlock()
	}
}

func (f *Fake) follow(nc net.Conn) {
	defer f.done.Done()
	c := newConn(nc, nil, f.closed)
	defer func() {
		f.mu.Lock()
		delete(f.conns, nc)
		f.mu.Unlock()
		nc.Close()
	}()
	err := f.run(c)
	select {
	case <-f.closed: // the test is over; what breaks now is no mistake
	default:
		if err != nil {
			f.tb.Errorf("fake server, connection %d: %v", c.Number, err)
		}
	}
}

func (f *Fake) run(c *Conn) error {
	s, err := readStartup(c)
	if s == nil || err != nil {
		return err
	}
	if s.Kind == wire.StartCancel {
		f.cancels <- s.Key
		if hold := f.hold.Load(); hold != nil {
			return Await(*hold).Run(c)
		}
		return nil
	}
	c.Startup = s
	f.mu.Lock()
	f.count++
	c.Number = f.count
	f.mu.Unlock()
	if err := f.login(c); err != nil {
		return err
	}
	return f.serve(c)
}

// readStartup refuses encryption and returns what the client asks for then. It
// returns nil for one that goes without a word, as probes of a port do, and
// clients who wanted encryption.
func readStartup(c *Conn) (*wire.Startup, error) {
	for {
		if _, err := c.in.Peek(1); err != nil {
			return nil, nil
		}
		s, err := wire.ReadStartup(c.in)
		if err != nil || s.Kind == wire.StartSession || s.Kind == wire.StartCancel {
			return s, err
		}
		if err := c.Send([]byte{'N'}); err != nil {
			return nil, err
		}
	}
}

// ServerParameters returns what a fake server reports at login, beside the
// parameters that the client's own StartupMessage decides.
func ServerParameters() []wire.Parameter {
	return []wire.Parameter{
		{Name: "in_hot_standby", Value: "off"},
		{Name: "integer_datetimes", Value: "on"},
		{Name: "TimeZone", Value: "UTC"},
		{Name: "IntervalStyle", Value: "postgres"},
		{Name: "is_superuser", Value: "off"},
		{Name: "DateStyle", Value: "ISO, MDY"},
		{Name: "standard_conforming_strings", Value: "on"},
		{Name: "server_encoding", Value: "UTF8"},
		{Name: "server_version", Value: "15.0 (fake)"},
	}
}

// Key returns the cancel key that a fake gives to its connection of that
// number.
func Key(number int) wire.Key {
	return wire.Key{PID: uint32(number), Secret: binary.BigEndian.AppendUint32(nil, uint32(number)^0x5eed5eed)}
}

// Welcome answers c's StartupMessage as a server does that trusts everybody.
func Welcome(c *Conn) error {
	b := wire.AppendAuthentication(nil, wire.AuthOK, nil)
	for _, p := range ServerParameters() {
		b = wire.AppendParameterStatus(b, p.Name, p.Value)
	}
	b = wire.AppendParameterStatus(b, "client_encoding", or(c.Startup.Parameter("client_encoding"), "UTF8"))
	b = wire.AppendParameterStatus(b, "application_name", c.Startup.Parameter("application_name"))
	b = wire.AppendParameterStatus(b, "session_authorization", c.Startup.Parameter("user"))
	b = wire.AppendBackendKeyData(b, Key(c.Number))
	return c.Send(wire.AppendReadyForQuery(b, wire.TxIdle))
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
