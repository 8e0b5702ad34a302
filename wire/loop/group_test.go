package loop_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"howdah/wire/loop"
)

// A group with more to read than its share of a turn leaves the rest for later
// turns; another group's connection, behind all of them, is served in the
// first.
func TestGroupDoesNotStarveAnother(t *testing.T) {
	t.Parallel()
	l := start(t)
	var flood, calm loop.Group
	read := map[uint64]int{} // bytes of the flood by turn
	flooded, missing := 0, 0
	var conns []*loop.Conn
	var served uint64 // the turn in which the other group's byte was read
	reader := func(c *loop.Conn) {
		for range 10 { // greedy, but for Readable's own bound
			n, err := c.Read(l.Buffer())
			if err != nil {
				return
			}
			read[l.Stats().Turns] += n
			flooded += n
			if l.Stats().Turns != 0 {
				return
			}
		}
	}
	for range 16 {
		fd, peer := unixPair(t)
		raw, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0) // the descriptor is ours and open
		if err != nil || raw < 0 {
			t.Fatal(err)
		}
		on(t, l, func() {
			c, err := l.Adopt(fd, nil, &handler{readable: reader}, &flood)
			if err != nil {
				t.Error(err)
				return
			}
			c.Pause()
			conns = append(conns, c)
		})
		chunk := make([]byte, 100_000)
		if _, err := peer.Write(chunk); err != nil {
			t.Fatal(err)
		}
		missing += len(chunk)
	}
	fd, peer := unixPair(t)
	on(t, l, func() {
		c, err := l.Adopt(fd, nil, &handler{readable: func(c *loop.Conn) {
			c.Read(l.Buffer())
			served = l.Stats().Turns
		}}, &calm)
		if err != nil {
			t.Error(err)
			return
		}
		c.Pause()
		conns = append(conns, c)
	})
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	var began uint64
	on(t, l, func() {
		began = l.Stats().Turns
		for _, c := range conns {
			c.Resume()
		}
	})
	eventually(t, l, "the flood is read", func() bool { return flooded == missing })
	on(t, l, func() {
		if served != began+1 {
			t.Errorf("the calm group was served in turn %d, want %d", served, began+1)
		}
		most := 0
		for _, n := range read {
			most = max(most, n)
		}
		if limit := loop.GroupQuota + len(l.Buffer()); most > limit || most < loop.GroupQuota {
			t.Errorf("at most %d bytes were read in a turn, want %d to %d", most, loop.GroupQuota, limit)
		}
	})
}

// SetGroup moves what a connection reads to another account.
func TestSetGroup(t *testing.T) {
	t.Parallel()
	l := start(t)
	var full, fresh loop.Group
	fd, peer := unixPair(t)
	turns := map[uint64]int{}
	total := 0
	h := &handler{readable: func(c *loop.Conn) {
		n, _ := c.Read(l.Buffer())
		turns[l.Stats().Turns] += n
		total += n
	}}
	var c *loop.Conn
	on(t, l, func() {
		c, _ = l.Adopt(fd, nil, h, &full)
		c.SetGroup(&fresh)
		c.SetGroup(nil)
	})
	if _, err := peer.Write(make([]byte, 150_000)); err != nil {
		t.Fatal(err)
	}
	eventually(t, l, "all is read without a group", func() bool { return total == 150_000 })
}
