package router

import (
	"errors"

	"howdah/wire"
)

// A transaction that a standby refuses at its first statement is run at the primary
// instead, and the client need not know: until the statement's first row, or its
// end, nothing that the standby says is passed on, and what the client has sent is
// kept. Behind that the client has seen what the standby had at that time, and the
// primary would show it something else.

// retry is what it takes to run a transaction again that is at a standby.
type retry struct {
	deferred txOptions     // the BEGIN that had not been sent
	status   wire.TxStatus // as the client believed
	sent     []byte        // by the client since it has the server
	withheld []byte        // said by the server, for the client
}

// maxRetry bounds what is kept of a client's messages, in bytes.
const maxRetry = 64 << 10

// errRetry reports that the transaction is to be run at the primary.
var errRetry = errors.New("router: the standby refuses the transaction")

// retryable reports whether an error may be the standby's fault: it is read only,
// the recovery conflicts with the transaction, it cannot do such a thing, is in
// another state, or goes away.
func retryable(code string) bool {
	switch code {
	case wire.CodeReadOnly, wire.CodeSerializationFailure, wire.CodeDeadlock, wire.CodeFeatureNotSupported, wire.CodeObjectNotInState,
		wire.CodeAdminShutdown, wire.CodeCrashShutdown, wire.CodeCannotConnectNow, wire.CodeDatabaseDropped:
		return true
	}
	return false
}

// keepSent keeps what the client sends to a standby.
func (c *client) keepSent(h wire.Header, b []byte) {
	r := c.retry
	switch {
	case len(b) < h.Len, len(r.sent)+len(b) > maxRetry, h.Type == wire.Flush:
		c.decide()
	case h.Type == wire.Query && c.queue.empty(): // it was answered here
		c.decide()
	default:
		r.sent = append(r.sent, b...)
	}
}

// withhold keeps what is for the client, unless it is the client's turn, or too
// much: a function may have much to say before its first row.
func (c *client) withhold() {
	r := c.retry
	r.withheld = c.w.down.takeInto(r.withheld)
	if len(r.withheld) > maxRetry || len(r.withheld) > 0 && c.queue.empty() && !c.stalled {
		c.decide()
	}
}

// decide gives up the way back: the client is to hear what the standby says.
func (c *client) decide() {
	withheld := c.retry.withheld
	c.retry = nil
	c.stand()
	if len(withheld) > 0 {
		c.conn.Write(withheld)
		c.route.counters.Sent += uint64(len(withheld))
	}
}

// hear looks at what a standby answers while there is a way back.
func (c *client) hear(h wire.Header, body []byte) error {
	switch h.Type {
	case wire.ErrorResponse:
		if retryable(string(wire.ErrorCode(body))) {
			return errRetry
		}
	case wire.DataRow, wire.CommandComplete, wire.ReadyForQuery, wire.EmptyQueryResponse, wire.PortalSuspended,
		wire.CopyOutResponse, wire.CopyInResponse, wire.FunctionCallResponse:
		if c.queue.empty() || c.queue.first().kind == entrySwallow {
			return nil
		}
	default:
		return nil
	}
	c.decide()
	return nil
}

// retryAtPrimary runs the transaction there. gone says that the standby's server is.
func (c *client) retryAtPrimary(gone bool) {
	s, r := c.server, c.retry
	c.retry = nil
	c.w.down.drop()
	c.shared.toServer, c.shared.toClient = c.shared.toServer[:0], c.shared.toClient[:0]
	c.rewind(r.deferred, r.status)
	c.streams, c.stalled = 0, false
	c.letGo()
	if gone {
		s.Pool().Gone(s, "lost while in use")
	} else {
		s.Pool().Destroy(s, "retried at the primary", true)
	}
	stash := c.w.loop.Buffers().Append(nil, r.sent)
	if c.stash != nil {
		stash = c.w.loop.Buffers().Append(stash, c.stash)
		c.w.loop.Buffers().Give(c.stash)
	}
	c.stash = stash
	c.takePlace()
	if c.acquire(nil) {
		c.refeed()
	}
	c.settleDown()
}

// stand makes final what rewind could have taken back.
func (s *session) stand() {
	for _, d := range s.confirmed {
		s.shared.statements.drop(d.prev)
	}
	s.confirmed, s.back = nil, false
}

// rewind takes back all that was sent since the session has its server.
func (s *session) rewind(deferred txOptions, status wire.TxStatus) {
	s.undoFirst(s.queue.len())
	for i := len(s.confirmed) - 1; i >= 0; i-- {
		s.undoName(s.confirmed[i])
	}
	s.confirmed, s.back = nil, false
	for _, st := range s.undecided {
		s.shared.statements.drop(st)
	}
	s.undecided, s.tuning, s.reported = nil, nil, nil
	s.open, s.piped, s.skipping, s.prefix, s.prefixFailed, s.begun, s.beginFailed = false, false, false, false, false, false, false
	s.committing, s.ends, s.ended, s.forgets, s.lookErred, s.lastWords = false, false, false, false, false, false
	s.changes, s.reading = 0, false
	s.deferred, s.status = deferred, status
}
