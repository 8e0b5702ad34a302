package router

import (
	"bytes"
	"encoding/binary"

	"howdah/tenants"
	"howdah/wire"
)

// What concerns nobody but the session is done here, without a server: the
// commands that put it back to its beginning, as connection pools of
// applications send them all day, and transactions in which nothing happens.
//
// A BEGIN of its own is answered here and sent together with the first
// statement, so that a transaction holds no server before it needs one; one
// that never does needs none. From the answer on the client believes itself in
// a transaction (status), while deferred holds the options. Should the BEGIN
// fail later, the client is told so in place of its statement's result, and
// gets the failed transaction that it would have. So does one whose first
// statement is cancelled before it has a server: should anything but the end of
// the transaction follow, a server is brought to the same state.

// can reports whether nobody but the session is concerned by r, so that no
// server is needed. Whatever ends in a warning or an error is left to a server.
func (s *session) can(r *reading) bool {
	if s.mode != tenants.Transaction {
		return false
	}
	if s.status == wire.TxFailed && r.command != commandCommit && r.command != commandRollback {
		return false
	}
	switch r.command {
	case commandBegin, commandDiscardAll, commandResetAll, commandDeallocateAll, commandCloseAll:
		return s.deferred == 0
	case commandCommit, commandRollback:
		return s.deferred != 0
	case commandSetTransaction:
		return s.deferred != 0 && s.deferred&txChain == 0
	case commandDeallocate:
		return s.deferred == 0 && s.named[r.name] != nil
	case commandListen:
		return s.listens == nil || len(s.listens.on)+len(s.listens.ops) < maxChannels
	case commandUnlisten, commandUnlistenAll:
		return true
	}
	return false
}

// do does what can allows.
func (s *session) do(r *reading) {
	tag := r.tag()
	switch r.command {
	case commandBegin:
		s.deferred, s.status = r.options, wire.TxOpen
	case commandCommit, commandRollback:
		commits := r.command == commandCommit && s.status == wire.TxOpen
		if !commits {
			tag = "ROLLBACK"
		}
		if r.options&txChain == 0 {
			s.deferred, s.status = 0, wire.TxIdle
		} else {
			s.deferred, s.status = s.deferred|txChain, wire.TxOpen
		}
		s.listened(commits)
	case commandListen, commandUnlisten, commandUnlistenAll:
		s.listenTo(r)
	case commandSetTransaction:
		s.deferred = s.deferred.with(r.options)
	case commandDeallocateAll:
		s.forgetNames()
	case commandDeallocate:
		s.shared.statements.drop(s.named[r.name])
		s.unname(r.name)
	}
	s.shared.toClient = wire.AppendString(s.shared.toClient, wire.CommandComplete, tag)
	switch r.command {
	case commandDiscardAll:
		s.forgetNames()
		s.discardVars(false)
		s.sticky, s.valuesAt = false, 0
		s.listenTo(&reading{command: commandUnlistenAll})
		s.listened(true)
	case commandResetAll:
		s.discardVars(true)
	}
}

// mayBeHere tells from its beginning whether a text is worth being taken apart
// to see if it can be done here.
func mayBeHere(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n\f\v;")
	if len(text) < 3 || len(text) > maxHere {
		return false
	}
	switch text[0] | 0x20 {
	case 'b', 'c', 'e', 'r', 'a', 'd', 'l', '-' | 0x20, '/' | 0x20:
		return true
	case 's': // START, SET
		return text[1]|0x20 == 't' || text[1]|0x20 == 'e' && text[2]|0x20 == 't'
	case 'u':
		return text[1]|0x20 == 'n'
	}
	return false
}

// maxHere bounds the texts that may be done here, in bytes.
const maxHere = 512

// queryHere does a simple query without a server, if it can.
func (s *session) queryHere(text []byte) verb {
	if !mayBeHere(text) {
		return verbAcquire
	}
	r := s.vars.read(text)
	if !s.can(&r) {
		return verbAcquire
	}
	if s.subscribes(&r) {
		return verbSubscribe
	}
	s.shared.statements.drop(s.unnamed) // a simple query drops it
	s.unnamed, s.ranHere = nil, false
	s.dropPortal()
	s.do(&r)
	s.endHere()
	return verbDrop
}

// endHere ends a transaction that needed no server, unless BEGIN has begun one.
func (s *session) endHere() {
	if s.deferred == 0 {
		s.listened(true)
		s.ranHere = false
	}
	s.sayReady()
}

// parseHere takes a Parse without a server, if its statement can be done
// without one.
func (s *session) parseHere(m wire.ParseMessage) bool {
	if !mayBeHere(m.Text) || len(m.ParamOIDs) > 0 {
		return false
	}
	if _, taken := s.named[string(cutName(m.Name))]; taken {
		return false
	}
	st := s.shared.statements.take(m.Text, m.ParamOIDs, s.vars, s.generation(), true)
	if !s.can(&st.reading) {
		s.shared.statements.drop(st)
		return false
	}
	s.shared.counts.clientParses++
	if len(m.Name) == 0 {
		s.shared.statements.drop(s.unnamed)
		s.unnamed = st
	} else {
		s.name(string(cutName(m.Name)), st)
	}
	s.shared.toClient = append(s.shared.toClient, parseComplete...)
	return true
}

// bindHere makes a portal without a server, if its statement can be done
// without one.
func (s *session) bindHere(b []byte) bool {
	m, err := wire.ParseBind(b[wire.HeaderLen:])
	if err != nil || len(m.Portal) > 0 || s.portal != nil || !withoutParameters(m.Rest) {
		return false
	}
	st := s.meant(m.Statement)
	if st == nil || !s.can(&st.reading) || st.command == commandResetAll { // a later error would undo it
		return false
	}
	s.shared.counts.binds++
	s.ranHere = false
	s.portal = st
	st.refs++
	s.shared.toClient = append(s.shared.toClient, bindComplete...)
	return true
}

// withoutParameters looks for the number of parameters behind a Bind's names
// and the parameters' formats.
func withoutParameters(rest []byte) bool {
	if len(rest) < 2 {
		return false
	}
	at := 2 + 2*int(binary.BigEndian.Uint16(rest))
	return len(rest) >= at+4 && rest[at] == 0 && rest[at+1] == 0
}

// describeHere describes what was parsed or bound here: commands without rows.
func (s *session) describeHere(kind byte, name []byte) bool {
	switch {
	case kind == wire.KindPortal:
		if s.portal == nil && !s.ranHere || len(name) > 0 {
			return false
		}
	default:
		st := s.meant(name)
		if st == nil || !s.can(&st.reading) {
			return false
		}
		s.shared.toClient = wire.AppendMessage(s.shared.toClient, wire.ParameterDescription, []byte{0, 0})
	}
	s.shared.toClient = wire.AppendEmpty(s.shared.toClient, wire.NoData)
	return true
}

// executeHere runs the portal that was bound here, or asks for a server.
func (s *session) executeHere(b []byte) verb {
	if len(b) == wire.HeaderLen {
		return verbAcquire // PostgreSQL will say what is wrong with it
	}
	if s.ranHere && s.portal == nil && b[wire.HeaderLen] == 0 && s.status == wire.TxIdle {
		s.shared.toClient = wire.AppendError(s.shared.toClient, hasRun())
		s.skipping = true
		s.listened(false)
		return verbDrop
	}
	if s.portal == nil || b[wire.HeaderLen] != 0 || !s.can(&s.portal.reading) {
		return verbAcquire
	}
	if s.subscribes(&s.portal.reading) {
		return verbSubscribe
	}
	s.do(&s.portal.reading)
	switch s.portal.command {
	case commandCommit, commandRollback, commandDiscardAll: // they end portals
		s.ranHere = false
	default:
		s.ranHere = true
	}
	s.dropPortal()
	return verbDrop
}

// hasRun refuses to execute the unnamed portal again.
func hasRun() *wire.Error {
	return &wire.Error{Severity: "ERROR", Code: wire.CodeObjectNotInState, Message: `portal "" cannot be run`}
}

// failHere ends what a session without a server was about to run: a transaction
// that was begun here has failed.
func (s *session) failHere() {
	s.ranHere = false
	s.dropPortal()
	if s.deferred == 0 {
		return
	}
	s.status = wire.TxFailed
	if s.deferred&txChain == 0 {
		s.deferred = txBegun // only options that came by a chain outlive an error
	}
}

func (s *session) dropPortal() {
	s.shared.statements.drop(s.portal)
	s.portal = nil
}

// injectPortal makes the portal at the server that was bound without one.
func (s *session) injectPortal() {
	e := entry{kind: entrySwallow, typ: wire.Bind}
	if s.portal.command == commandDeallocate && (s.named[s.portal.name] != nil || !s.raw || ours(s.portal.name)) {
		s.parseOver(dropName, "deallocate "+spareName, nil)
		s.shared.toServer = wire.AppendBindText(s.shared.toServer, dropName)
		e.more = s.bound(nil, &portal{deallocates: s.portal.name})
	} else {
		s.parseOver(againName, s.portal.key.text, nil)
		s.shared.toServer = wire.AppendBindText(s.shared.toServer, againName)
		e.more = s.bound(nil, portalOf(&s.portal.reading, nil))
	}
	s.forward(e)
	s.dropPortal()
}

// injectRan makes a portal at the server that has run, as the client's has
// without one.
func (s *session) injectRan() {
	s.run(helperRan, ranName, "close all", 0)
	s.piped = true // what has run is in front of what comes
}

// injectBegin begins a transaction.
func (s *session) injectBegin(options txOptions) {
	s.injectBlock(options)
	if options&txChain != 0 { // options that came by a chain outlive an error
		s.run(helperChain, chainName, "commit and chain", 0)
	}
	if s.ranHere {
		return // the client has a portal that has run
	}
	s.shared.toServer = wire.AppendTarget(s.shared.toServer, wire.Close, wire.KindPortal, "") // the client has none
	s.forward(entry{kind: entrySwallow, typ: wire.Close})
}

func (s *session) injectBlock(options txOptions) {
	n := options.index()
	s.run(helperBegin<<n, begins[n].name, begins[n].text, 0)
}

// begins are our own statements that begin a transaction, by the number of
// their options.
var begins = func() (all [isolations * accesses * deferrings]struct{ name, text string }) {
	for n := range all {
		all[n].name, all[n].text = beginName+string(appendInt(nil, n)), txOptions(n).text()
	}
	return all
}()

// asBelieved brings the server to the state in which the client believes
// itself after what was injected has failed, and reports whether that takes
// more messages, with whose end done ends. A client that has begun a
// transaction is in a failed one now, others are in none.
func (s *session) asBelieved(status wire.TxStatus, done *entry) bool {
	switch {
	case s.beginFailed && status == wire.TxIdle:
		s.injectBegin(s.begins(txBegun))
		s.fail(nil)
	case !s.beginFailed && status != wire.TxIdle && s.status == wire.TxIdle:
		s.run(helperRollback, rollbackName, "rollback", 0)
	default:
		return false
	}
	s.injectSync(done.kind, done.flags&flagCheck)
	return true
}
