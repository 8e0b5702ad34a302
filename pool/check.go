package pool

import (
	"time"

	"howdah/wire"
)

// checkTimeout is how long a server may take to answer its check query.
const checkTimeout = 10 * time.Second

// needsCheck reports whether s must not be given out as it is: it has idled for
// long, or the rest of a message is still to come.
func (p *Pool) needsCheck(s *Server) bool {
	return len(s.partial) > 0 || p.cfg.CheckQuery != "" && p.cfg.CheckDelay > 0 && p.loop.Now()-s.since > p.cfg.CheckDelay
}

// startCheck has s run the check query. When it has answered, it is offered
// to whoever waits.
func (p *Pool) startCheck(s *Server) {
	p.RunAndOffer(s, p.cfg.CheckQuery)
}

// RunAndOffer has a server, which is idle in the protocol's sense, run query
// before the pool uses it again: a check, or the reset of a session. Any error
// closes it.
func (p *Pool) RunAndOffer(s *Server, query string) {
	p.setState(s, Tested)
	s.since = p.loop.Now()
	s.Conn.SetHandler(s)
	s.Conn.Resume()
	p.loop.Arm(&s.timer, checkTimeout, func() { p.Destroy(s, "check query timed out", true) })
	s.Conn.Write(wire.AppendString(nil, wire.Query, query))
}

// checkMessage handles an answer to the check query, and reports whether s
// still is the pool's to read.
func (p *Pool) checkMessage(s *Server, typ byte, body []byte) bool {
	switch typ {
	case wire.RowDescription, wire.DataRow, wire.CommandComplete, wire.EmptyQueryResponse:
		return true
	case wire.ReadyForQuery:
		if status, err := wire.ParseReadyForQuery(body); err == nil && status == wire.TxIdle {
			p.loop.Disarm(&s.timer)
			s.since = p.loop.Now()
			s.partial = nil
			p.offer(s)
			p.checkQuiet()
			return s.state == Idle
		}
	}
	p.Destroy(s, "check query failed", false)
	return false
}
