package router

import (
	"fmt"

	"howdah/wire"
)

// A transaction at a standby that goes away has changed nothing. There is no way
// back behind its first answer, but its client need not go: it gets the error that
// PostgreSQL has for whom the recovery conflicts with, a serialization failure, and
// whoever can, runs the transaction once more. An answer is due to what the client
// has asked; where it has asked nothing, to the next statement that needs a server.

// readingLost ends such a transaction, and reports whether it could: whether all
// that the client believes of its session is still so without the server.
func (c *client) readingLost(why error) bool {
	partly := c.backend.streams > 0 && !c.backend.drop
	if c.away == nil || c.leaving || c.login != nil || partly || c.lastWords || c.barrier || !c.leavesNothing() {
		return false
	}
	e := &wire.Error{
		Severity: "ERROR", Code: wire.CodeSerializationFailure, Message: "the standby at which the transaction ran has gone away",
		Detail: fmt.Sprintf("PostgreSQL or the network ended it: %v.", why), Hint: "Run the transaction again.",
	}
	c.giveUp("lost while in use", e)
	return true
}

// giveUp ends the client's transaction with an error and the use of its server, which
// is gone for a reason, or goes.
func (c *client) giveUp(gone string, e *wire.Error) {
	s := c.server
	owed, ended := c.givenUp(e)
	if c.streams > 0 {
		c.drop = true
	}
	c.tell()
	c.letGo()
	if gone != "" {
		s.Pool().Gone(s, gone)
	} else {
		s.Pool().Destroy(s, "cannot go on at a standby", true)
	}
	c.owed = owed
	if !ended {
		c.w.server.refused(e.Code)
	}
	c.stalled = false
	c.refeed()
	c.settleDown()
}

// leavesNothing reports whether a transaction's end at another server is all that it
// takes to have the session as the client believes it is.
func (s *session) leavesNothing() bool {
	const leaves = mayKeep | maySet | maySetAny | mayReset | mayForget | movesSequence | leavesAny | holdsCursor
	return s.done&leaves == 0 && len(s.touched) == 0 && s.pins == 0 && s.tuning == nil && s.reported == nil &&
		len(s.undecided) == 0 && !s.copyIn && !s.copyBoth && !s.unsure && !s.checking && s.asked.done == 0
}

// givenUp ends what the session does at its server, which is gone, with an error:
// now, if an answer is due, else it is owed. A transaction that the client was about
// to end has ended.
func (s *session) givenUp(e *wire.Error) (owed *wire.Error, ended bool) {
	skipping, asked, due := s.skipping, s.open, false
	for i := s.queue.head; i < len(s.queue.entries); i++ {
		due = due || s.queue.entries[i].kind == entryForward && s.queue.entries[i].ends()
	}
	ended = due && s.queue.len() == 1 && s.queue.first().typ == wire.Query && (s.asks == commandCommit || s.asks == commandRollback)
	deferred, status := txOptions(0), wire.TxIdle
	if s.status != wire.TxIdle && !ended {
		deferred, status = txBegun, wire.TxFailed
	}
	failed := s.status == wire.TxFailed
	s.rewind(deferred, status)
	s.local, s.setting, s.done, s.declared, s.ranHere = 0, 0, 0, false, false
	sh := s.shared
	switch {
	case ended:
		tag := "COMMIT"
		if s.asks == commandRollback || failed {
			tag = "ROLLBACK"
		}
		sh.toClient = wire.AppendString(sh.toClient, wire.CommandComplete, tag)
		s.listened(tag == "COMMIT")
		s.sayReady()
	case due:
		sh.toClient = wire.AppendError(sh.toClient, e)
		s.sayReady()
	case skipping:
		s.skipping = true // it was told of another error
	case asked:
		sh.toClient = wire.AppendError(sh.toClient, e)
		s.skipping = true
	case status == wire.TxFailed && !failed:
		return e, false
	}
	return nil, ended
}

// payOwed gives the client the error that it is owed, in answer to a message that needs a
// server.
func (c *client) payOwed(h wire.Header) verb {
	e := c.owed
	c.owed = nil
	if c.status != wire.TxFailed {
		return verbAcquire // it has ended the transaction
	}
	c.shared.toClient = wire.AppendError(c.shared.toClient, e)
	c.failHere()
	if h.Type == wire.Query || h.Type == wire.FunctionCall {
		c.sayReady()
	} else {
		c.skipping = true // up to Sync
	}
	return verbDrop
}

// parts reports whether an error is a standby's last word, for a client who hears
// another one instead.
func (c *client) parts(h wire.Header, body []byte) bool {
	return c.away != nil && h.Type == wire.ErrorResponse && fatal(body) && !c.leaving && c.leavesNothing()
}
