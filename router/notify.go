package router

import (
	"errors"

	"howdah/wire"
)

// subscribe has what the machine names subscribed, and goes on when it is, or
// is known not to be.
func (c *client) subscribe() {
	c.awaiting = true
	l, channels := c.w.listenerOf(c), c.shared.channels
	l.subscribe(c, channels, func(err error) {
		if c.leaving {
			return
		}
		c.awaiting = false
		if len(channels) == 0 {
			if err = nil; !c.tellIdle() { // a listener that was lost has nothing to tell
				return
			}
		}
		if err != nil {
			c.unheard = c.vars.unheard(err)
			l.forget(c)
		} else {
			c.subscribed(channels)
		}
		c.refeed()
		c.settleDown()
	})
}

// unheard tells the client why its statement failed: in PostgreSQL's words
// where it has refused.
func (v *vars) unheard(err error) *wire.Error {
	e := &wire.Error{
		Severity: "ERROR", Code: wire.CodeConnectionFailure, Message: "cannot listen for notifications: " + err.Error(),
		Hint: "Repeat the LISTEN when PostgreSQL can be reached.",
	}
	var said *wire.Error
	if errors.As(err, &said) {
		e.Code, e.Message, e.Detail, e.Hint = said.Code, "cannot listen for notifications: "+said.Message, said.Detail, said.Hint
		if e.Hint == "" {
			e.Hint = "It was said to the connection that listens for all sessions of the database. Repeat the LISTEN when its cause is gone."
		}
	}
	e.Message, e.Detail, e.Hint = v.spokenText(e.Message), v.spokenText(e.Detail), v.spokenText(e.Hint)
	return e
}

// awaitBarrier has the listener tell all that was sent before the transaction's
// end, and then the client of the end.
func (c *client) awaitBarrier() {
	if c.news {
		return // told goes on
	}
	if c.listens == nil {
		c.barrierPassed()
		return
	}
	l := c.w.listenerOf(c)
	if l.conn == nil { // it was lost, and nobody knows what was missed
		c.barrierPassed()
		return
	}
	l.sync(func(error) { c.barrierPassed() })
}

func (c *client) barrierPassed() {
	if c.leaving || !c.barrier {
		return
	}
	c.passed()
	if c.goesOn() && c.server != nil {
		c.resumeAnswers()
	}
}

// notify tells the client of a notification, now or when it is idle.
func (c *client) notify(n wire.Notification) {
	if c.leaving || c.listens == nil {
		return
	}
	if c.server != nil && c.session.notify && n.PID == c.server.Key.PID {
		n.PID = c.w.server.clientPID(c.w.index, c.slot) // its own
	}
	l := c.listens
	pid := [4]byte{byte(n.PID >> 24), byte(n.PID >> 16), byte(n.PID >> 8), byte(n.PID)}
	l.notes = wire.AppendMessage(l.notes, wire.NotificationResponse, pid[:], n.Channel, []byte{0}, n.Payload, []byte{0})
	if c.idle() && !c.awaiting && c.waiter == nil && l.on[string(n.Channel)] {
		if !c.tellIdle() {
			return
		}
	}
	if len(l.notes)+c.conn.Buffered() > maxNotes {
		c.refuseWith(wire.Fatal(wire.CodeProgramLimit, "too many notifications wait for this client",
			"Read notifications, and end transactions, while listening."))
	}
}

// tellIdle tells an idle client of what waits, and reports whether the session
// goes on.
func (c *client) tellIdle() bool {
	c.tellNotes()
	return c.goesOn()
}

// goesOn ends the session if that was the last that the client could be told.
func (c *client) goesOn() bool {
	c.tell()
	if c.untold {
		c.w.server.refused(codeUntranslatable)
		c.end("a notification that the client's encoding cannot express")
	}
	return !c.untold
}

// tidySubscriptions ends those that the session no longer wants.
func (c *client) tidySubscriptions() {
	l := c.listens
	if l == nil || !l.changed || c.awaiting { // what is being subscribed is not among those wanted yet
		return
	}
	l.changed = false
	if w := c.w.listeners[c.route.databaseKey()]; w != nil {
		w.unsubscribe(c, l.on, l.acked)
	}
	if len(l.on) == 0 && len(l.ops) == 0 && len(l.acked) == 0 {
		c.listens = nil
	}
}
