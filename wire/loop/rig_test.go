package loop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"howdah/wire/loop"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// TestMain fails the run when a descriptor or a goroutine outlives the tests.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(runtime.NumCPU() + 8) // each loop keeps one while it waits: as in the daemon
	openPoller()
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

// openPoller has Go's network poller open its own descriptors, which it keeps.
func openPoller() {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
}

// nothingLeft waits until no loop runs and no more descriptors than before are
// open.
func nothingLeft(before int) error {
	deadline := time.Now().Add(patience)
	for {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		after := descriptors()
		if after <= before && !bytes.Contains(stacks, []byte("wire/loop.")) {
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

// start returns a loop that runs until the test ends.
func start(t testing.TB) *loop.Loop {
	t.Helper()
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	t.Cleanup(l.Stop)
	return l
}

// on has f run on l's thread and waits for it. What reached l's sockets before
// the call has been offered to their handlers when f runs.
func on(t testing.TB, l *loop.Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { defer close(done); f() }) {
		t.Fatal("the loop has stopped")
	}
	await(t, done, "the loop to run a function")
}

// settle waits until l has handled what is there for it.
func settle(t testing.TB, l *loop.Loop) {
	t.Helper()
	on(t, l, func() {})
	on(t, l, func() {}) // what the first turn queued for the next
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

// eventually waits until ok, asked on l's thread, holds.
func eventually(t testing.TB, l *loop.Loop, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		holds := false
		on(t, l, func() { holds = ok() })
		if holds {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// unixPair returns a socket for a loop and its peer.
func unixPair(t testing.TB) (fd int, peer net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[1]), "peer")
	peer, err = net.FileConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	peer.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { peer.Close() })
	return fds[0], peer
}

// tcpPair returns both ends of a TCP connection, the first for a loop.
func tcpPair(t testing.TB) (ours net.Conn, peer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return ours, nc.(*net.TCPConn)
}

// detach is loop.Detach that cannot fail.
func detach(t testing.TB, nc net.Conn) int {
	t.Helper()
	fd, err := loop.Detach(nc)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// reset breaks a TCP connection without a goodbye.
func reset(peer *net.TCPConn) {
	peer.SetLinger(0)
	peer.Close()
}

// shrink makes a socket's send buffer as small as the kernel allows.
func shrink(t testing.TB, fd int) {
	t.Helper()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil {
		t.Fatal(err)
	}
}

// adopt has l serve fd, on its thread.
func adopt(t testing.TB, l *loop.Loop, fd int, h loop.Handler) (c *loop.Conn) {
	t.Helper()
	var err error
	on(t, l, func() { c, err = l.Adopt(fd, nil, h, nil) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// handler is a loop.Handler made of functions; nil ones do nothing.
type handler struct{ readable, drained func(c *loop.Conn) }

func (h *handler) Readable(c *loop.Conn) {
	if h.readable != nil {
		h.readable(c)
	}
}

func (h *handler) Drained(c *loop.Conn) {
	if h.drained != nil {
		h.drained(c)
	}
}

// sink keeps what a connection delivers, and closes it at its end. All but
// ended belongs to the loop's thread.
type sink struct {
	got     bytes.Buffer
	size    int // of one read; 0 is the loop's buffer
	reads   int // calls of Readable
	drained int // calls of Drained
	err     error
	ended   chan error // delivers why the connection ended
}

func newSink() *sink { return &sink{ended: make(chan error, 1)} }

func (s *sink) Readable(c *loop.Conn) {
	s.reads++
	buf := c.Loop().Buffer()
	if s.size > 0 {
		buf = buf[:s.size]
	}
	n, err := c.Read(buf)
	s.got.Write(buf[:n])
	if err != nil && !errors.Is(err, loop.ErrWouldBlock) {
		s.err = err
		c.Close()
		s.ended <- err
	}
}

func (s *sink) Drained(*loop.Conn) { s.drained++ }

// relay passes what one connection reads to its other end, and stops reading
// while that has bytes left over.
type relay struct {
	to    *loop.Conn
	most  int // bytes that ever waited at once
	ended chan error
}

func (r *relay) Readable(c *loop.Conn) {
	buf := c.Loop().Buffer()
	n, err := c.Read(buf)
	if n > 0 {
		r.to.Write(buf[:n])
		r.most = max(r.most, r.to.Buffered())
		if r.to.Buffered() > 0 {
			c.Pause()
		}
	}
	if err != nil && !errors.Is(err, loop.ErrWouldBlock) {
		c.Close()
		r.ended <- err
	}
}

// Drained lets the side go on that feeds c.
func (r *relay) Drained(*loop.Conn) { r.to.Resume() }

// join has l relay between a and b.
func join(t testing.TB, l *loop.Loop, a, b int) (left, right *relay) {
	t.Helper()
	left, right = &relay{ended: make(chan error, 1)}, &relay{ended: make(chan error, 1)}
	on(t, l, func() {
		var errA, errB error
		right.to, errA = l.Adopt(a, nil, left, nil)
		left.to, errB = l.Adopt(b, nil, right, nil)
		if err := errors.Join(errA, errB); err != nil {
			t.Error(err)
		}
	})
	return left, right
}

// noise returns n bytes in which any shift, loss or doubling shows.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// same fails the test where got is not want.
func same(t testing.TB, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	t.Fatalf("got %d bytes, want %d; they part at byte %d", len(got), len(want), i)
}

// readAll reads n bytes from a peer.
func readAll(t testing.TB, r io.Reader, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("read %d of %d bytes: %v", got, n, err)
	}
	return b
}

// duplicate returns a second descriptor of f, to be given away.
func duplicate(t testing.TB, f *os.File) int {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
