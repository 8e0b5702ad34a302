package router

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
	"time"

	"howdah/wire"
)

// running is what a server is told to do, in case it turns out to be slow. Of
// a pipeline it is the first statement.
type running struct {
	text  []byte     // the beginning of a Query, unless
	stmt  *statement // a prepared statement is executed
	noted bool
	rows  uint64 // in its answer so far
}

// maxNoted bounds how much of a Query is kept for its shape, in bytes.
const maxNoted = 1 << 10

// noteRunning remembers the Query or Bind that the client has just sent to its
// server.
func (c *client) noteRunning(typ byte, body []byte) {
	r := &c.backend.running
	if c.w.server.config().TopStatements == 0 {
		return
	}
	switch typ {
	case wire.Query:
		r.text = append(r.text[:0], body[:min(len(body), maxNoted)]...)
		r.stmt = nil
	case wire.Bind:
		_, rest, _ := bytes.Cut(body, []byte{0})
		name, _, ok := bytes.Cut(rest, []byte{0})
		switch {
		case !ok:
			return
		case len(name) == 0:
			r.stmt = c.unnamed
		default:
			r.stmt = c.named[string(name)]
		}
		if r.stmt == nil {
			return
		}
	}
	r.noted, r.rows = true, 0
}

// tagRows returns the number of rows that a CommandComplete tells.
func tagRows(body []byte) (n uint64) {
	unit := uint64(1)
	for i := len(body) - 2; i >= 0 && isDigit(body[i]); i-- { // behind it is a zero
		n += unit * uint64(body[i]-'0')
		unit *= 10
	}
	return n
}

// timed counts n queries that have ended.
func (c *client) timed(now time.Duration, n uint32) {
	d := now - c.since
	c.route.counters.QueryTime += uint64(d / time.Microsecond)
	c.route.tenant.times.Query.observe(d, n)
	if cfg := c.w.server.config(); cfg.TopStatements > 0 && d >= cfg.TopStatementTime {
		c.slow(d, n)
	}
	c.backend.running.noted, c.backend.running.stmt = false, nil
}

// slow counts n queries that took d together under the shape of the first.
func (c *client) slow(d time.Duration, n uint32) {
	r, t := &c.backend.running, c.route.tenant
	if !r.noted {
		return
	}
	text := r.text
	if r.stmt != nil {
		text = []byte(r.stmt.key.text[:min(len(r.stmt.key.text), 16*maxNoted)])
	} else if len(text) < maxNoted {
		text = bytes.TrimSuffix(text, []byte{0})
	}
	if t.top == nil {
		t.top = &top{}
	}
	var room [maxShape + 16]byte
	shape := room[:0]
	if c.vars.readable {
		shape = appendShape(shape, text, c.vars.conforming)
	} else {
		shape = append(shape, "(in an encoding that cannot be read)"...)
	}
	t.top.add(shape, d, uint64(n), r.rows, c.w.server.config().TopStatements)
}

// top is a tenant's slow statements by shape. It holds a bounded number: a new
// shape takes the place of the one with the least weight and inherits it
// (space-saving, Metwally et al. 2005), so that one that is really heavy comes
// to stay.
type top struct {
	shapes map[string]*shaped
}

type shaped struct {
	calls, rows uint64
	total, max  time.Duration
	weight      time.Duration // total, and what was inherited
}

func (t *top) add(shape []byte, d time.Duration, n, rows uint64, room int) {
	s := t.shapes[string(shape)]
	if s == nil {
		s = &shaped{}
		for len(t.shapes) >= room {
			s.weight = t.evict()
		}
		if t.shapes == nil {
			t.shapes = map[string]*shaped{}
		}
		t.shapes[string(shape)] = s
	}
	s.calls += n
	s.rows += rows
	s.total += d
	s.weight += d
	s.max = max(s.max, d/time.Duration(n))
}

// evict forgets the shape with the least weight, which it returns.
func (t *top) evict() time.Duration {
	var least string
	var found *shaped
	for shape, s := range t.shapes {
		if found == nil || s.weight < found.weight {
			least, found = shape, s
		}
	}
	delete(t.shapes, least)
	return found.weight
}

// StatementStats is a shape of statements that were slow: SHOW TOP.
type StatementStats struct {
	Tenant, Shape string
	Calls, Rows   uint64
	Total, Max    time.Duration
}

// Top returns the slow statements of a tenant, of all for "", longest in total
// first.
func (s *Server) Top(tenant string) []StatementStats {
	var rows []StatementStats
	var mu sync.Mutex
	s.everyWorker(func(w *worker) {
		mu.Lock()
		defer mu.Unlock()
		for _, t := range w.tenants {
			if t.top == nil || tenant != "" && t.name != tenant {
				continue
			}
			for shape, x := range t.top.shapes {
				rows = append(rows, StatementStats{
					Tenant: t.name, Shape: shape, Calls: x.calls, Rows: x.rows, Total: x.total, Max: x.max,
				})
			}
		}
	})
	slices.SortFunc(rows, func(a, b StatementStats) int {
		return cmp.Or(-cmp.Compare(a.Total, b.Total), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Shape, b.Shape))
	})
	return rows
}
