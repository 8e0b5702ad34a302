package router

import (
	"howdah/pool"
	"howdah/wire/loop"
)

// gather collects what goes to one side while one read is worked through, so
// that it leaves in one write. As long as it is one unbroken stretch of the
// input nothing is copied.
type gather struct {
	in       []byte
	from, to int
	buf      []byte
}

// maxGather is the size beyond which the buffer is not kept.
const maxGather = 256 << 10

// begin starts anew. What an earlier client may have left would go to this
// one's server, so nothing is believed to be empty.
func (g *gather) begin(in []byte) { g.in, g.from, g.to, g.buf = in, 0, 0, g.buf[:0] }

// pass adds the input between from and to.
func (g *gather) pass(from, to int) {
	switch {
	case from == to:
	case len(g.buf) > 0:
		g.buf = append(g.buf, g.in[from:to]...)
	case g.from == g.to:
		g.from, g.to = from, to
	case g.to == from:
		g.to = to
	default:
		g.spill()
		g.buf = append(g.buf, g.in[from:to]...)
	}
}

// add adds bytes that are not of the input.
func (g *gather) add(b []byte) {
	if len(b) > 0 {
		g.spill()
		g.buf = append(g.buf, b...)
	}
}

func (g *gather) spill() {
	g.buf = append(g.buf, g.in[g.from:g.to]...)
	g.from, g.to = 0, 0
}

// flush writes what was collected and forgets the input. It returns how many
// bytes that was.
func (g *gather) flush(c *loop.Conn) (n int) {
	if len(g.buf) > 0 {
		n = len(g.buf)
		c.Write(g.buf)
		if g.buf = g.buf[:0]; cap(g.buf) > maxGather {
			g.buf = nil
		}
	} else if g.to > g.from {
		n = g.to - g.from
		c.Write(g.in[g.from:g.to])
	}
	g.in, g.from, g.to = nil, 0, 0
	return n
}

// takeInto appends what was collected to b and forgets the input.
func (g *gather) takeInto(b []byte) []byte {
	if len(g.buf) > 0 {
		g.spill()
		b = append(b, g.buf...)
	} else {
		b = append(b, g.in[g.from:g.to]...)
	}
	g.drop()
	return b
}

// flushTo is flush to a server; without one what was collected is dropped.
func (g *gather) flushTo(s *pool.Server) {
	if s == nil {
		g.drop()
		return
	}
	g.flush(s.Conn)
}

// drop forgets what was collected.
func (g *gather) drop() {
	g.in, g.from, g.to, g.buf = nil, 0, 0, g.buf[:0]
}
