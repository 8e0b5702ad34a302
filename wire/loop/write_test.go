package loop_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"howdah/wire/loop"
)

// A socket that takes little at a time gets every byte once and in order, and
// Drained is told once, when the last is gone.
func TestPartialWritesArriveInOrder(t *testing.T) {
	t.Parallel()
	l := start(t)
	fd, peer := unixPair(t)
	shrink(t, fd)
	s := newSink()
	c := adopt(t, l, fd, s)
	want := noise(1<<20, 4)
	on(t, l, func() {
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 100_003)
			c.Write(rest[:n])
			rest = rest[n:]
		}
		if c.Buffered() < len(want)/2 {
			t.Errorf("only %d bytes wait: the socket was not small", c.Buffered())
		}
	})
	same(t, readAll(t, peer, len(want)), want)
	eventually(t, l, "Drained was called", func() bool { return s.drained > 0 })
	settle(t, l)
	on(t, l, func() {
		if s.drained != 1 || c.Buffered() != 0 {
			t.Errorf("Drained was called %d times, %d bytes wait", s.drained, c.Buffered())
		}
		c.Write([]byte("more")) // taken at once: nothing to be told
	})
	if got := string(readAll(t, peer, 4)); got != "more" {
		t.Errorf("read %q", got)
	}
	settle(t, l)
	on(t, l, func() {
		if s.drained != 1 {
			t.Errorf("Drained was called %d times", s.drained)
		}
	})
}

func TestWriteOutlivesItsBuffer(t *testing.T) {
	t.Parallel()
	l := start(t)
	fd, peer := unixPair(t)
	shrink(t, fd)
	c := adopt(t, l, fd, newSink())
	want := noise(200_000, 5)
	on(t, l, func() {
		mine := append([]byte{}, want...)
		c.Write(mine)
		clear(mine)
	})
	same(t, readAll(t, peer, len(want)), want)
}

// A write in Drained comes behind all that was written before.
func TestWriteInsideDrained(t *testing.T) {
	t.Parallel()
	l := start(t)
	fd, peer := unixPair(t)
	shrink(t, fd)
	part, rounds := noise(50_000, 6), 20
	var want []byte
	for range rounds {
		want = append(want, part...)
	}
	written := 1
	c := adopt(t, l, fd, &handler{drained: func(c *loop.Conn) {
		if written < rounds {
			written++
			c.Write(part)
		}
	}})
	on(t, l, func() { c.Write(part) })
	same(t, readAll(t, peer, len(want)), want)
}

func TestCloseSendsWhatTheKernelTakes(t *testing.T) {
	t.Parallel()
	l := start(t)
	fd, peer := unixPair(t)
	c := adopt(t, l, fd, newSink())
	on(t, l, func() {
		c.Write([]byte("goodbye"))
		c.Close()
		c.Close() // twice is once
		c.Write([]byte("too late"))
		if !c.Closed() || l.Stats().Conns != 0 {
			t.Error("still open")
		}
	})
	if got, err := io.ReadAll(peer); string(got) != "goodbye" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

// Writes to a peer that is gone are swallowed, and Read says why.
func TestWritesToADeadPeer(t *testing.T) {
	t.Parallel()
	l := start(t)
	ours, peer := tcpPair(t)
	s := newSink()
	var c *loop.Conn
	fd := detach(t, ours)
	on(t, l, func() {
		c, _ = l.Adopt(fd, nil, s, nil)
		c.Pause() // so that writing finds out, not reading
	})
	reset(peer)
	var pollErr error
	deadline := time.Now().Add(patience)
	for {
		on(t, l, func() {
			c.Write(make([]byte, 1000))
			if c.Buffered() != 0 {
				pollErr = errors.New("a dead peer's bytes are kept")
			}
		})
		if pollErr != nil {
			t.Fatal(pollErr)
		}
		select {
		case err := <-s.ended:
			if !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
				t.Errorf("ended with %v", err)
			}
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody was told that the peer is dead")
		}
	}
}

// What waited for a peer that broke is given up, and the handler is told also
// where it had paused reading.
func TestPeerBreaksWhileBytesWait(t *testing.T) {
	t.Parallel()
	for _, paused := range []bool{false, true} {
		l := start(t)
		ours, peer := tcpPair(t)
		s := newSink()
		c := adopt(t, l, detach(t, ours), s)
		on(t, l, func() {
			if paused {
				c.Pause()
			}
			for c.Buffered() == 0 {
				c.Write(make([]byte, 1<<20))
			}
		})
		reset(peer)
		if err := await(t, s.ended, "the break"); err == io.EOF {
			t.Error("a broken connection ended with EOF")
		}
	}
}

// CloseWrite ends what is sent behind all that waits, and reading goes on.
func TestCloseWriteComesBehindWhatWaits(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 1 << 20} {
		l := start(t)
		fd, peer := unixPair(t)
		shrink(t, fd)
		s := newSink()
		c := adopt(t, l, fd, s)
		want := noise(size, 12)
		on(t, l, func() {
			c.Write(want)
			c.CloseWrite()
			c.CloseWrite()
		})
		if _, err := peer.Write([]byte("still heard")); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(peer)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, want)
		eventually(t, l, "the peer is heard", func() bool { return s.got.String() == "still heard" })
		peer.Close()
		if err := await(t, s.ended, "the end"); err != io.EOF {
			t.Errorf("ended with %v", err)
		}
	}
}
