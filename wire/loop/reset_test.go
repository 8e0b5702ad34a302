package loop_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"howdah/wire/loop"
)

// A reset is reported exactly once, as an error, in whatever state it meets a
// connection, and never makes the loop spin.
func TestPeerResets(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		before func(c *loop.Conn) // on the loop, before the reset
		after  func(c *loop.Conn) // on the loop, once the reset has been seen
	}{
		"idle":   {},
		"paused": {before: (*loop.Conn).Pause, after: (*loop.Conn).Resume},
		"paused, then written to": {
			before: (*loop.Conn).Pause,
			after:  func(c *loop.Conn) { c.Write([]byte("x")); c.Write([]byte("x")) },
		},
		"bytes wait":              {before: fill},
		"paused while bytes wait": {before: func(c *loop.Conn) { fill(c); c.Pause() }},
		"resumed":                 {before: func(c *loop.Conn) { c.Pause(); c.Resume() }},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t)
			ours, peer := tcpPair(t)
			s := newSink()
			c := adopt(t, l, detach(t, ours), s)
			if test.before != nil {
				on(t, l, func() { test.before(c) })
			}
			settle(t, l)
			reset(peer)
			if test.after != nil {
				settle(t, l)
				quiet(t, l)
				on(t, l, func() {
					if s.err != nil {
						t.Errorf("told of %v while paused", s.err)
					}
					test.after(c)
				})
			}
			err := await(t, s.ended, "the reset")
			if !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
				t.Errorf("ended with %v", err)
			}
			quiet(t, l)
			if len(s.ended) > 0 {
				t.Error("told twice")
			}
		})
	}
}

// fill writes until the kernel takes no more.
func fill(c *loop.Conn) {
	for c.Buffered() == 0 {
		c.Write(make([]byte, 1<<20))
	}
}

// A reset that comes with a connection's adoption is not lost.
func TestResetBeforeAdoption(t *testing.T) {
	t.Parallel()
	l := start(t)
	ours, peer := tcpPair(t)
	fd := detach(t, ours)
	reset(peer)
	s := newSink()
	adopt(t, l, fd, s)
	if err := await(t, s.ended, "the reset"); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("ended with %v", err)
	}
}

// A reset is told although the group has used up its turn again and again.
func TestResetInABusyGroup(t *testing.T) {
	t.Parallel()
	l := start(t)
	var group loop.Group
	fd, peer := unixPair(t)
	on(t, l, func() {
		if _, err := l.Adopt(fd, nil, newSink(), &group); err != nil {
			t.Error(err)
		}
	})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for b := make([]byte, 1<<20); ; {
			select {
			case <-stop:
				return
			default:
				peer.Write(b)
			}
		}
	}()
	for range 20 {
		ours, victim := tcpPair(t)
		s := newSink()
		on(t, l, func() {
			c, err := l.Adopt(detach(t, ours), nil, s, &group)
			if err != nil {
				t.Error(err)
				return
			}
			c.Pause()
			reset(victim)
			for range 3 { // the first finds out
				c.Write([]byte("x"))
			}
		})
		await(t, s.ended, "the reset")
	}
	close(stop)
	await(t, stopped, "the flood's end")
}
