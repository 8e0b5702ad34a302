package loop_test

import (
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"howdah/wire/loop"
)

// echo sends back what it reads, and closes at the end.
type echo struct{}

func (echo) Readable(c *loop.Conn) {
	n, err := c.Read(c.Loop().Buffer())
	c.Write(c.Loop().Buffer()[:n])
	if err != nil && !errors.Is(err, loop.ErrWouldBlock) {
		c.Close()
	}
}

func (echo) Drained(*loop.Conn) {}

// Five thousand connections are served, and leave nothing behind. (Not
// parallel: it counts the process's descriptors.)
func TestThousandsOfConnections(t *testing.T) {
	const count = 5000
	before := descriptors()
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	go l.Run()
	peers := make([]int, count)
	fds := make([]int, count)
	for i := range peers {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatalf("socketpair %d (of %d: raise the limit of open files, ulimit -n): %v", i, count, err)
		}
		fds[i], peers[i] = p[0], p[1]
	}
	conns := make([]*loop.Conn, count)
	on(t, l, func() {
		for i, fd := range fds {
			if conns[i], err = l.Adopt(fd, nil, echo{}, nil); err != nil {
				t.Error(err)
			}
		}
	})
	for round := range 3 {
		for i, fd := range peers {
			if _, err := unix.Write(fd, number(round, i)); err != nil {
				t.Fatal(err)
			}
		}
		for i, fd := range peers {
			got := make([]byte, 8)
			for at := 0; at < len(got); {
				n, err := unix.Read(fd, got[at:])
				if err == unix.EINTR {
					continue
				}
				if err != nil || n == 0 {
					t.Fatalf("connection %d: %d, %v", i, n, err)
				}
				at += n
			}
			same(t, got, number(round, i))
		}
	}
	// A third goes by itself, a third is closed by the loop, a third by Stop.
	for i, fd := range peers {
		if i%3 == 0 {
			unix.Close(fd)
		}
	}
	on(t, l, func() {
		for i, c := range conns {
			if i%3 == 1 {
				c.Close()
			}
		}
	})
	eventually(t, l, "two thirds are gone", func() bool { return l.Stats().Conns == count/3 })
	l.Stop()
	for i, fd := range peers {
		if i%3 != 0 {
			if n, err := unix.Read(fd, make([]byte, 1)); n != 0 || err != nil {
				t.Fatalf("peer %d read %d, %v after the end, want %v", i, n, err, io.EOF)
			}
			unix.Close(fd)
		}
	}
	if after := descriptors(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func number(round, i int) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(round)<<32|uint64(i))
}

// Relaying allocates nothing, neither when the kernel takes all at once nor
// when it does not. (Not parallel: it counts the process's allocations.)
func TestRelayAllocatesNothing(t *testing.T) {
	for name, size := range map[string]int{"small": 100, "partial writes": 30_000} {
		t.Run(name, func(t *testing.T) {
			l := start(t)
			a, left := blockingPair(t)
			b, right := blockingPair(t)
			if size > 1000 {
				shrink(t, b)
			}
			toRight, _ := join(t, l, a, b)
			message, got := noise(size, 11), make([]byte, size)
			pass := func() {
				if _, err := unix.Write(left, message); err != nil {
					panic(err)
				}
				for at := 0; at < len(got); {
					n, err := unix.Read(right, got[at:])
					if err == unix.EINTR {
						continue
					}
					if err != nil || n == 0 {
						panic("the relay ended")
					}
					at += n
				}
			}
			for range 10 {
				pass()
			}
			if n := allocations(300, pass); n >= 30 { // Go itself makes one now and then
				t.Errorf("%d allocations in 300 messages", n)
			}
			same(t, got, message)
			on(t, l, func() {
				if partial := toRight.most > 0; partial != (size > 1000) {
					t.Errorf("at most %d bytes waited", toRight.most)
				}
			})
		})
	}
}

// allocations returns how many the process makes while f runs n times. It is
// testing.AllocsPerRun but for leaving GOMAXPROCS alone: a loop keeps one of
// Go's processors, so with a single one f would run after the loop's patience.
func allocations(n int, f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		f()
	}
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// blockingPair returns two sockets; the first is for a loop.
func blockingPair(t testing.TB) (fd, peer int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[1]) })
	return fds[0], fds[1]
}
