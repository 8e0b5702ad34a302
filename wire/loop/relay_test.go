package loop_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"howdah/wire/loop"
)

// Two connections with slow readers on both sides: every byte arrives in
// order, and what waits in between stays within one read buffer.
func TestRelayHoldsBackBothDirections(t *testing.T) {
	t.Parallel()
	l := start(t)
	a, left := unixPair(t)
	b, right := unixPair(t)
	shrink(t, a)
	shrink(t, b)
	toRight, toLeft := join(t, l, a, b)
	const size = 8 << 20
	var ends sync.WaitGroup
	transfer := func(from, to net.Conn, seed uint64) {
		want := noise(size, seed)
		ends.Go(func() {
			if _, err := from.Write(want); err != nil {
				t.Error(err)
			}
		})
		ends.Go(func() {
			got := make([]byte, size)
			for at := 0; at < size; { // in sips of uneven size
				n, err := to.Read(got[at:min(size, at+1+at%70_000)])
				if err != nil {
					t.Errorf("read behind byte %d: %v", at, err)
					return
				}
				at += n
			}
			same(t, got, want)
		})
	}
	transfer(left, right, 7)
	transfer(right, left, 8)
	ends.Wait()
	on(t, l, func() {
		for _, r := range []*relay{toRight, toLeft} {
			if r.most == 0 || r.most > len(l.Buffer()) {
				t.Errorf("at most %d bytes waited, want some, but not more than one read of %d", r.most, len(l.Buffer()))
			}
		}
	})
}

// A reader that stops altogether stops its source, and costs nothing until it
// goes on.
func TestStalledReaderStopsItsSource(t *testing.T) {
	t.Parallel()
	l := start(t)
	a, left := unixPair(t)
	b, right := unixPair(t)
	join(t, l, a, b)
	want := noise(4<<20, 9)
	sent := make(chan error, 1)
	go func() { _, err := left.Write(want); sent <- err }()
	eventually(t, l, "the kernel takes no more", func() bool { return stalled(left, sent) })
	quiet(t, l)
	same(t, readAll(t, right, len(want)), want)
	if err := await(t, sent, "the writer"); err != nil {
		t.Error(err)
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	l := start(t)
	fd, peer := unixPair(t)
	s := newSink()
	c := adopt(t, l, fd, s)
	on(t, l, c.Pause)
	if _, err := peer.Write([]byte("held")); err != nil {
		t.Fatal(err)
	}
	settle(t, l)
	on(t, l, func() {
		if s.reads != 0 || !c.Paused() {
			t.Errorf("%d reads while paused", s.reads)
		}
	})
	quiet(t, l)
	on(t, l, func() { c.Resume(); c.Resume() })
	eventually(t, l, "the bytes are read", func() bool { return s.got.String() == "held" })
	on(t, l, func() { c.Pause(); c.Resume() })
	if _, err := peer.Write([]byte(" and free")); err != nil {
		t.Fatal(err)
	}
	eventually(t, l, "more is read", func() bool { return s.got.String() == "held and free" })
}

// A handler that pauses itself is not called again for what is still there.
func TestPauseInsideReadable(t *testing.T) {
	t.Parallel()
	l := start(t)
	for name, ahead := range map[string]string{"in the socket": "", "ahead": "ahead"} {
		fd, peer := unixPair(t)
		var got []byte
		var c *loop.Conn
		h := &handler{readable: func(c *loop.Conn) {
			n, _ := c.Read(l.Buffer()[:1])
			got = append(got, l.Buffer()[:n]...)
			c.Pause()
		}}
		on(t, l, func() { c, _ = l.Adopt(fd, []byte(ahead), h, nil) })
		if _, err := peer.Write([]byte("later")); err != nil {
			t.Fatal(err)
		}
		want := ahead + "later"
		for i := range want {
			eventually(t, l, "one byte is read", func() bool { return len(got) == i+1 })
			settle(t, l)
			on(t, l, func() {
				if string(got) != want[:i+1] {
					t.Errorf("%s: read %q while paused, want %q", name, got, want[:i+1])
				}
				c.Resume()
			})
		}
	}
}

// A peer that hangs up while reading is paused does not keep the loop busy,
// and what it sent before, and that it went, is there after Resume.
func TestHangUpWhilePaused(t *testing.T) {
	t.Parallel()
	pairs := map[string]func(t *testing.T) (int, net.Conn){
		"unix": func(t *testing.T) (int, net.Conn) { return unixPair(t) },
		"tcp": func(t *testing.T) (int, net.Conn) {
			ours, peer := tcpPair(t)
			return detach(t, ours), peer
		},
	}
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			fd, peer := pair(t)
			s := newSink()
			c := adopt(t, l, fd, s)
			on(t, l, c.Pause)
			if _, err := peer.Write([]byte("last words")); err != nil {
				t.Fatal(err)
			}
			peer.Close()
			settle(t, l)
			quiet(t, l)
			on(t, l, func() {
				if s.reads != 0 {
					t.Errorf("Readable was called %d times while paused", s.reads)
				}
				c.Resume()
			})
			if err := await(t, s.ended, "the end"); err != io.EOF || s.got.String() != "last words" {
				t.Errorf("read %q, then %v", s.got.String(), err)
			}
		})
	}
}

// A relay whose one peer hung up while it was held back passes on what that
// peer had sent.
func TestHangUpBehindASlowReader(t *testing.T) {
	t.Parallel()
	l := start(t)
	a, left := unixPair(t)
	b, right := unixPair(t)
	toRight, _ := join(t, l, a, b)
	want := noise(3<<20, 10)
	sent := make(chan error, 1)
	go func() {
		_, err := left.Write(want)
		left.Close()
		sent <- err
	}()
	for at := 0; at < len(want); { // slowly at first, so that the relay pauses
		n := min(1000+at, len(want)-at)
		same(t, readAll(t, right, n), want[at:at+n])
		at += n
	}
	if err := await(t, sent, "the writer"); err != nil {
		t.Error(err)
	}
	if err := await(t, toRight.ended, "the end"); err != io.EOF {
		t.Errorf("ended with %v", err)
	}
}

// An idle loop, with connections and a far timer, costs no wait.
func TestIdleLoopCostsNothing(t *testing.T) {
	t.Parallel()
	l := start(t)
	for range 100 {
		fd, _ := unixPair(t)
		adopt(t, l, fd, newSink())
	}
	var timer loop.Timer
	on(t, l, func() { l.Arm(&timer, time.Hour, func() { t.Error("the timer fired") }) })
	quiet(t, l)
}

// quiet fails the test where l does not come to rest with nothing to do. Each
// look wakes it for a few dozen short waits; one that spins makes thousands in
// the same time, one that never sleeps hundreds.
func quiet(t testing.TB, l *loop.Loop) {
	t.Helper()
	settle(t, l)
	for deadline := time.Now().Add(patience); ; {
		var before, after uint64
		on(t, l, func() { before = l.Stats().Waits })
		time.Sleep(300 * time.Millisecond)
		on(t, l, func() { after = l.Stats().Waits })
		if after-before <= 60 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d waits in 300ms without anything to do", after-before)
		}
	}
}

// stalled reports whether the kernel takes no more from peer and its writer
// still has some to send.
func stalled(peer net.Conn, sent <-chan error) bool {
	raw, err := peer.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	full := false
	raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(fds, 0)
		full = err == nil && n == 0
	})
	return full && len(sent) == 0
}
