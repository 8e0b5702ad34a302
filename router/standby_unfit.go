package router

import (
	"bytes"
	"strings"

	"howdah/wire"
)

// What a transaction sends behind its first statement is seen when it is at a standby
// already. Should that be an advisory lock, which excludes nobody there, or leave
// something with the server, with which the session could not write any more, the
// transaction begins anew at the primary if nothing of it was told, and else fails as
// one does that a standby conflicts with. The session's transactions belong to the
// primary from then on, so that whoever repeats it finds it there. Where what the
// client believes of its session would be wrong without that server, an advisory lock
// ends the session, and the rest runs.

// unfit reports whether the message in b must not go to the standby that the client's
// transaction is at.
func (c *client) unfit(h wire.Header, b []byte) bool {
	if h.Type == wire.FunctionCall { // whatever it calls
		return c.leavesNothing()
	}
	text, ok := c.firstText(h, b)
	switch {
	case !ok:
		return false
	case c.leavesNothing():
		return c.vars.staysBehind(text)
	}
	return c.vars.locksByAdvice(text) && c.status != wire.TxFailed && !c.skipping
}

// staysBehind reports whether a text leaves something with its server, or takes a lock
// that others look for at the primary.
func (v *vars) staysBehind(text []byte) bool {
	r := v.read(text)
	switch r.command {
	case commandListen, commandUnlisten, commandUnlistenAll, commandDiscardAll: // are ours
		return false
	}
	return r.effects&(mayKeep|leavesAny) != 0 || v.locksByAdvice(text)
}

// locksByAdvice reports whether a text names a function of advisory locks.
func (v *vars) locksByAdvice(text []byte) bool {
	if !bytes.Contains(text, []byte("dvisory")) && !bytes.Contains(text, []byte("DVISORY")) {
		return false
	}
	l := lexer{text: text, conforming: v.conforming}
	for t := l.next(); t.kind != tokenEnd; t = l.next() {
		if t.kind != tokenWord && t.kind != tokenQuoted {
			continue
		}
		name := strings.Trim(strings.ToLower(string(t.text)), `"`)
		if strings.HasPrefix(name, "pg_advisory_") || strings.HasPrefix(name, "pg_try_advisory_") {
			return true
		}
	}
	return false
}

// goHome has the transaction leave its standby, when the event that it is seen in is
// over: the client's message is in the stash then.
func (c *client) goHome() {
	c.stalled = true
	if c.homebound {
		return
	}
	c.homebound = true
	c.w.loop.Post(func() {
		if c.homebound && c.away != nil && c.server != nil && !c.leaving {
			c.leaveStandby()
		}
		c.homebound = false
	})
}

func (c *client) leaveStandby() {
	if c.retry != nil {
		c.retryAtPrimary(false)
		return
	}
	e := &wire.Error{
		Severity: "ERROR", Code: wire.CodeSerializationFailure, Message: "the statement cannot run at a standby, where its transaction has begun",
		Detail: "It takes an advisory lock, or leaves something with its server.",
		Hint:   "Run the transaction again: this session's run at the primary from now on. BEGIN READ WRITE keeps one there.",
	}
	if !c.leavesNothing() {
		e = wire.Fatal(wire.CodeFeatureNotSupported, e.Message, "BEGIN READ WRITE keeps a transaction at the primary.")
		e.Detail = "It takes an advisory lock, and the transaction has changed settings, or has left something with its server."
		c.refuseWith(e)
		return
	}
	c.giveUp("", e)
}
