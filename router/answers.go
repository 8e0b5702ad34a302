package router

import (
	"bytes"
	"errors"

	"howdah/tenants"
	"howdah/wire"
)

// errUnexpected reports an answer that no entry waits for.
var errUnexpected = errors.New("router: unexpected message from server")

// plain reports whether row data goes straight to the client.
func (s *session) plain() bool {
	return !s.queue.empty() && s.queue.first().kind == entryForward
}

// fromServer handles a message from the server. body is whole, but for an
// ErrorResponse or a notice that is too long to be held.
func (s *session) fromServer(typ byte, body []byte) (verb, error) {
	switch typ {
	case wire.NoticeResponse:
		if s.releasable() || !s.queue.empty() && !s.queue.first().heard() {
			return verbDrop, nil
		}
		return verbForward, nil
	case wire.NotificationResponse:
		if s.mode != tenants.Session && s.pins == 0 && s.done&mayKeep == 0 {
			s.backend.poisoned = true // of a LISTEN that nobody knows of
			return verbDrop, nil
		}
		return verbForward, nil
	case wire.ParameterStatus:
		return s.serverParameter(body)
	case wire.ErrorResponse:
		if outdated(body) {
			s.backend.poisoned = true // its statements, which others share, would fail for ever
			if s.ddl != nil {
				*s.ddl++ // by somebody whom we did not see
			}
		}
		if lost(body) {
			s.backend.poisoned = true // as are perhaps others: code at the server has deallocated it
		}
		var meant string
		var moved renamed
		if !s.queue.empty() && s.queue.first().more != nil && s.queue.first().kind == entryForward {
			meant, moved = s.queue.first().more.name, s.queue.first().more.renamed
		}
		last := fatal(body)
		if last && s.looksAt() {
			return verbDrop, nil // serverLost goes on
		}
		with, hinted := s.hinted(body)
		if hinted {
			body = with
		}
		v := s.serverError(string(wire.ErrorCode(body)))
		s.lastWords = s.lastWords || last && v != verbDrop
		switch {
		case v == verbDrop:
		case s.checking:
			v = s.loginError(body)
		case !bytes.HasSuffix(body, []byte{0, 0}): // its rest is still to come, and goes behind it as it is
		case hinted, moved.longer != 0, bytes.Contains(body, []byte(ownPrefix)):
			body = moved.clientPosition(body)
			s.shared.toClient = wire.AppendMessage(s.shared.toClient, wire.ErrorResponse, s.clientNames(body, meant))
			v = verbDrop
		}
		return v, nil
	case wire.ReadyForQuery:
		return s.serverReady(body)
	}
	if s.queue.empty() {
		return 0, errUnexpected
	}
	e := s.queue.first()
	done, err := s.progress(e, typ, body)
	if err != nil {
		return 0, err
	}
	v := verbForward
	if e.kind != entryForward {
		v = verbDrop
	}
	if done {
		s.complete()
	}
	return v, nil
}

// progress moves the first entry on by one message, and reports whether that
// was its last.
func (s *session) progress(e *entry, typ byte, body []byte) (done bool, err error) {
	simple := e.typ == wire.Query || e.typ == wire.FunctionCall
	execute := e.typ == wire.Execute
	if e.more != nil && e.more.describing != nil {
		s.described(e.more.describing, typ, body)
	}
	switch typ {
	case wire.ParseComplete:
		return true, s.expect(e.typ == wire.Parse)
	case wire.BindComplete:
		return true, s.expect(e.typ == wire.Bind)
	case wire.CloseComplete:
		return true, s.expect(e.typ == wire.Close)
	case wire.ParameterDescription:
		return false, s.expect(e.typ == wire.Describe)
	case wire.NoData:
		return true, s.expect(e.typ == wire.Describe)
	case wire.RowDescription:
		return e.typ == wire.Describe, s.expect(e.typ == wire.Describe || simple || execute)
	case wire.DataRow, wire.FunctionCallResponse, wire.CopyData, wire.CopyDone:
		return false, s.expect(simple || execute)
	case wire.CommandComplete:
		s.copyIn, s.copyBoth = false, false
		if simple || execute {
			s.commandComplete(body)
			s.databaseDone(e, body)
		}
		s.listensOn(e, body)
		return execute, s.expect(simple || execute)
	case wire.EmptyQueryResponse, wire.PortalSuspended:
		return execute, s.expect(simple || execute)
	case wire.CopyInResponse, wire.CopyBothResponse, wire.CopyOutResponse:
		s.copyBegins(e, typ)
		return false, s.expect(simple || execute)
	}
	return false, errUnexpected
}

func (s *session) expect(ok bool) error {
	if !ok {
		return errUnexpected
	}
	return nil
}

// copyBegins notes which way a COPY goes. Syncs in front of the data's end are
// read over by a server that takes data in.
func (s *session) copyBegins(e *entry, typ byte) {
	if typ == wire.CopyOutResponse {
		return
	}
	s.copyIn = true
	s.copyBoth = typ == wire.CopyBothResponse
	if s.copyBoth {
		return
	}
	e.flags |= flagCopyIn
	for i := s.queue.head; i < len(s.queue.entries); i++ {
		e := &s.queue.entries[i]
		if e.typ == wire.Sync {
			e.flags |= flagMaybe
		}
		if e.flags&flagCopyEnd != 0 {
			s.copyIn = false // the client did not wait
			return
		}
	}
}

// dropMaybes takes off the Syncs that COPY has read over.
func (s *session) dropMaybes() {
	for !s.queue.empty() && s.queue.first().flags&flagMaybe != 0 {
		e := s.queue.pop()
		s.settle(&e)
	}
}

// complete takes the first entry off: all of its answer has come.
func (s *session) complete() {
	e := s.queue.pop()
	if e.more != nil && e.more.ready != nil {
		e.more.ready.pending = false
	}
	if e.flags&flagPrefix != 0 {
		s.prefix, s.begun = false, false
	}
	if e.flags&flagVars != 0 {
		s.backend.changedBy = nil
		s.backend.vars = s.tuning.to
		s.tuning.done = true
	}
	s.settle(&e)
	if e.flags&flagCopyIn != 0 {
		s.dropMaybes()
	}
	s.answerLocals()
}

// answerLocals gives the client the answers of ours whose turn has come.
func (s *session) answerLocals() {
	for !s.queue.empty() && s.queue.first().kind == entryLocal {
		e := s.queue.pop()
		s.shared.toClient = append(s.shared.toClient, e.more.reply...)
		s.settle(&e)
	}
}

// serverReady handles ReadyForQuery, the end of what a Query, FunctionCall or
// Sync set off.
func (s *session) serverReady(body []byte) (verb, error) {
	status, err := wire.ParseReadyForQuery(body)
	if err != nil {
		return 0, err
	}
	if s.queue.empty() && s.unsure {
		s.ready(status)
		return verbForward, nil
	}
	if s.queue.empty() {
		return 0, errUnexpected
	}
	e := s.queue.first()
	if e.typ != wire.Sync && e.typ != wire.Query && e.typ != wire.FunctionCall {
		return 0, errUnexpected
	}
	v := verbForward
	if e.kind == entrySwallow {
		v = verbDrop
	}
	if e.flags&flagLook != 0 {
		s.looked()
	}
	if e.kind == entryForward {
		s.shared.counts.queries++
		if status == wire.TxIdle {
			s.shared.counts.transactions++
		}
	}
	done := s.queue.pop()
	s.settle(&done)
	if s.prefixFailed {
		s.prefixFailed = false
		if s.asBelieved(status, &done) {
			return verbDrop, nil
		}
	}
	if done.flags&flagCopyIn != 0 {
		s.dropMaybes()
	}
	s.ready(status)
	var restores []restored
	if done.more != nil {
		restores = done.more.restores
	}
	told := s.tellRestored(restores)
	if s.tuning != nil && s.tuned(restores) {
		told = true
	}
	s.decided()
	if told && v == verbForward {
		v = verbDrop
		if !s.awaits(status) {
			s.shared.toClient = wire.AppendReadyForQuery(s.shared.toClient, status)
		}
	}
	if done.flags&flagCheck != 0 {
		s.checking = false
	}
	if done.kind == entryForward && s.awaits(status) {
		s.barrier = true // passed goes on
		return verbDrop, nil
	}
	s.answerLocals()
	return v, nil
}

func (s *session) ready(status wire.TxStatus) {
	s.status = status
	s.skipping, s.copyIn, s.copyBoth, s.resetting, s.reported = false, false, false, false, nil
	s.piped = s.piped && !s.queue.empty()
	s.committed = s.committed && status != wire.TxOpen
	s.open = !s.queue.empty()
	if !s.open {
		s.setting, s.ends, s.ended = 0, false, false
	}
	if status == wire.TxIdle && s.defining { // for good now, or not at all
		s.defining = s.open
		if s.ddl != nil {
			*s.ddl++
		}
	}
	if len(s.databases) > 0 && status == wire.TxIdle {
		s.settleDatabases()
	}
	if status == wire.TxIdle {
		s.shared.counts.wrote = s.shared.counts.wrote || s.writing && !s.undone
		s.writing, s.undone, s.reading = s.open && s.writing, false, false
		s.shared.counts.altered |= s.altered
		s.altered, s.declared = 0, false
	}
	if status == wire.TxIdle && !s.open {
		s.local, s.portals, s.committing, s.halted = 0, nil, false, false
	}
	if status == wire.TxIdle && s.held && !s.checking {
		s.settled()
	}
}

// decided notes the settings under which statements were parsed, now that they
// are told.
func (s *session) decided() {
	for _, st := range s.undecided {
		st.key.vars = s.vars.parse
		s.shared.statements.drop(st)
	}
	s.undecided = nil
}

// serverParameter keeps the books on a setting, and tells the client only what
// it has not been told.
func (s *session) serverParameter(body []byte) (verb, error) {
	name, value, err := wire.ParseParameterStatus(body)
	if err != nil {
		return 0, err
	}
	b, table := s.backend, &s.shared.vars
	if s.tuning != nil {
		s.tuning.from = table.with(s.tuning.from, string(name), string(value))
	}
	if s.reported != nil {
		s.reported = table.with(s.reported, string(name), string(value))
	}
	b.vars = table.with(b.vars, string(name), string(value))
	if s.ourVar(string(name)) {
		return verbDrop, nil
	}
	if old, ok := s.vars.value(string(name)); s.resetting || ok && old == string(value) {
		return verbDrop, nil
	}
	if !s.queue.empty() && s.queue.first().more != nil {
		if own, ok := resetTo(s.queue.first().more.restores, string(name)); ok {
			if told, _ := s.vars.value(string(name)); told != own {
				s.vars = table.with(s.vars, string(name), own)
				s.shared.toClient = wire.AppendParameterStatus(s.shared.toClient, string(name), own)
			}
			return verbDrop, nil
		}
	}
	s.vars = table.with(s.vars, string(name), string(value))
	if s.checking {
		return verbDrop, nil
	}
	if string(name) == "client_encoding" {
		s.touchEncoded()
	}
	return verbForward, nil
}
