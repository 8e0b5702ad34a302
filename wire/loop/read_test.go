package loop_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"howdah/wire/loop"
)

func TestReadsOneByteAtATime(t *testing.T) {
	t.Parallel()
	want := noise(5000, 1)
	for name, size := range map[string]int{"the peer sends": 0, "the handler reads": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			fd, peer := unixPair(t)
			s := newSink()
			s.size = size
			adopt(t, l, fd, s)
			step := 1
			if size > 0 {
				step = len(want)
			}
			for i := 0; i < len(want); i += step {
				if _, err := peer.Write(want[i : i+step]); err != nil {
					t.Fatal(err)
				}
				if step == 1 && i%100 == 0 {
					settle(t, l)
				}
			}
			peer.Close()
			if err := await(t, s.ended, "the end"); err != io.EOF {
				t.Errorf("ended with %v, want EOF", err)
			}
			same(t, s.got.Bytes(), want)
		})
	}
}

// What was read before the adoption comes first, however it is read, and
// although epoll does not know of it.
func TestBytesAheadOfAdoptionComeFirst(t *testing.T) {
	t.Parallel()
	ahead, rest := noise(300, 2), noise(200, 3)
	for _, size := range []int{0, 1, 299, 300, 301} {
		l := start(t)
		fd, peer := unixPair(t)
		s := newSink()
		s.size = size
		on(t, l, func() {
			if _, err := l.Adopt(fd, ahead, s, nil); err != nil {
				t.Error(err)
			}
		})
		eventually(t, l, "the bytes ahead are read", func() bool { return s.got.Len() == len(ahead) })
		if _, err := peer.Write(rest); err != nil {
			t.Fatal(err)
		}
		peer.Close()
		await(t, s.ended, "the end")
		same(t, s.got.Bytes(), append(append([]byte{}, ahead...), rest...))
	}
}

func TestBytesAheadWaitForResume(t *testing.T) {
	t.Parallel()
	l := start(t)
	fd, _ := unixPair(t)
	s := newSink()
	var c *loop.Conn
	on(t, l, func() {
		c, _ = l.Adopt(fd, []byte("ahead"), s, nil)
		c.Pause()
	})
	settle(t, l)
	on(t, l, func() {
		if s.reads != 0 {
			t.Errorf("Readable was called %d times while paused", s.reads)
		}
		c.Resume()
	})
	eventually(t, l, "the bytes are read", func() bool { return s.got.String() == "ahead" })
}

func TestReadOfNothingWouldBlock(t *testing.T) {
	t.Parallel()
	l := start(t)
	fd, _ := unixPair(t)
	c := adopt(t, l, fd, newSink())
	on(t, l, func() {
		if n, err := c.Read(l.Buffer()); n != 0 || !errors.Is(err, loop.ErrWouldBlock) {
			t.Errorf("Read returned %d, %v", n, err)
		}
	})
}

// Both kinds of sockets keep bytes that arrived while Go's network poller had
// them, and those that come later.
func TestDetachKeepsBytesInTheSocket(t *testing.T) {
	t.Parallel()
	l := start(t)
	ours, peer := tcpPair(t)
	if _, err := peer.Write([]byte("before ")); err != nil {
		t.Fatal(err)
	}
	s := newSink()
	adopt(t, l, detach(t, &loop.Transport{Conn: ours}), s)
	if _, err := peer.Write([]byte("after")); err != nil {
		t.Fatal(err)
	}
	peer.Close()
	await(t, s.ended, "the end")
	if s.got.String() != "before after" {
		t.Errorf("read %q", s.got.String())
	}
	if _, err := ours.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the net.Conn still works after Detach: %v", err)
	}
}

func TestAdoptionOfWhatIsNoSocketFails(t *testing.T) {
	t.Parallel()
	left, right := net.Pipe()
	defer left.Close()
	defer right.Close()
	if _, err := loop.Detach(left); err == nil {
		t.Error("Detach took a pipe in memory")
	}
	l := start(t)
	file, err := os.CreateTemp(t.TempDir(), "file") // epoll refuses ordinary files
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd := duplicate(t, file)
	on(t, l, func() {
		if _, err := l.Adopt(fd, nil, newSink(), nil); err == nil {
			t.Error("Adopt took a file")
		}
		if n := l.Stats().Conns; n != 0 {
			t.Errorf("%d connections counted", n)
		}
	})
}
