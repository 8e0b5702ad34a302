package router

import (
	"fmt"

	"howdah/tenants"
	"howdah/wire"
)

// leave is the client's own end: Terminate, or its connection is gone. What it
// began inside a transaction is rolled back; a statement of its own is
// finished, as PostgreSQL would.
func (c *client) leave(reason string) {
	if c.leaving {
		return
	}
	barrier := c.barrier
	c.hangUp(reason)
	if c.server == nil {
		c.forget()
		return
	}
	if barrier && c.streams == 0 {
		c.resumeAnswers() // nobody waits for the listener any more
		return
	}
	if c.streams > 0 {
		c.destroyServer("client left in the middle of a message", false)
	} else if !c.maybeRelease() {
		c.regulate() // go on reading what nobody sees
	}
}

// abandon closes the server of a client that has left, if it waits for what
// will never come or does what would be rolled back, and reports whether it did.
func (c *client) abandon() bool {
	switch {
	case c.copyIn || c.copyBoth: // Terminate ends the COPY, unless CopyDone did
		c.destroyServer("client left in the middle of COPY", false)
	case c.unfinished() || c.rollsBack():
		c.destroyServer("client left inside a transaction", !c.queue.empty() && !c.commits())
	default:
		return false
	}
	return true
}

// finish puts a server back whose client has left it with nothing running.
func (c *client) finish() {
	s, b := c.server, c.backend
	switch {
	case c.status != wire.TxIdle:
		c.destroyServer("client left inside a transaction", false)
		return
	case c.unsure || b.poisoned || c.pins&pinLasting != 0 || c.done&leavesAny != 0:
		c.destroyServer("state of a client that left", false)
		return
	}
	reset := c.mode == tenants.Session || c.pins != 0 || c.unseen()
	c.letGo()
	c.forget()
	if reset {
		b.removeAll(&c.w.shared.statements)
		b.vars, b.changedBy = b.base, nil
		s.Pool().RunAndOffer(s, "DISCARD ALL")
		return
	}
	s.Pool().Release(s)
}

// end closes the session from our side; the client has been told.
func (c *client) end(reason string) {
	if c.leaving {
		return
	}
	if c.retry != nil {
		c.decide()
	}
	c.tell()
	c.hangUp(reason)
	switch {
	case c.server == nil:
		c.forget()
	case !c.maybeRelease():
		c.destroyServer(reason, !c.endable())
	}
}

// refuseWith ends the session with an error.
func (c *client) refuseWith(e *wire.Error) {
	if c.leaving {
		return
	}
	c.shared.toClient = wire.AppendError(c.shared.toClient, e)
	c.w.server.refused(e.Code)
	c.end(e.Message)
}

// hangUp ends the client's half: from now on only its server is still ours.
func (c *client) hangUp(reason string) {
	c.leaving, c.barrier, c.retry = true, false, nil
	c.stand()
	if c.waiter != nil {
		c.waiter.Leave()
		c.waiter = nil
		c.route.waits(-1)
	}
	c.leaveLines()
	if c.server == nil {
		c.endInPlace()
	}
	if c.stash != nil {
		c.w.loop.Buffers().Give(c.stash)
		c.stash = nil
	}
	c.w.loop.Disarm(&c.timer)
	if c.listens != nil || c.awaiting {
		c.w.listenerOf(c).unsubscribe(c)
		c.listens = nil // what still runs waits for no listener
	}
	c.conn.Close()
	c.w.clientClosed(c, reason)
}

func (c *client) destroyServer(reason string, busy bool) {
	c.mayStillWrite()
	s := c.server
	c.letGo()
	c.forget()
	s.Pool().Destroy(s, reason, busy)
}

// forget lets go of the last that the session holds.
func (c *client) forget() {
	c.session.close()
	c.w.forget(c)
}

// serverLost ends a session whose server went away under it.
func (c *client) serverLost(why error) {
	if c.retry != nil && !c.leaving {
		c.retryAtPrimary(true)
		return
	}
	s := c.server
	if !c.leaving && c.onlyAsksTaint() {
		c.dropLook()
		c.letGo()
		s.Pool().Gone(s, "lost while looked at")
		c.settleDown()
		return
	}
	if c.readingLost(why) {
		return
	}
	e := wire.Fatal(wire.CodeConnectionFailure, "the server closed the connection unexpectedly", "")
	if c.commits() {
		e = wire.Fatal(wire.CodeTransactionUnknown, "the server closed the connection before it confirmed the COMMIT",
			"Look whether the transaction's changes are there before you repeat it.")
	}
	e.Detail = fmt.Sprintf("PostgreSQL or the network ended it: %v.", why)
	c.mayStillWrite()
	partly := c.backend.streams > 0 && !c.backend.drop
	c.letGo()
	if !c.leaving {
		if !partly && !c.lastWords {
			c.shared.toClient = wire.AppendError(c.shared.toClient, e)
			c.tell()
		}
		c.w.server.refused(e.Code)
		c.hangUp("server lost")
	}
	c.forget()
	s.Pool().Gone(s, "lost while in use")
}
