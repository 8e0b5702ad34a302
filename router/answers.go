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
		if s.releasable() || !s.queue.empty() && s.queue.first().kind != entryForward && s.queue.first().flags&flagMeant == 0 {
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
		var meant string
		longer := 0
		if !s.queue.empty() && s.queue.first().more != nil && s.queue.first().kind == entryForward {
			meant, longer = s.queue.first().more.name, s.queue.first().more.longer
		}
		last := fatal(body)
		if last && s.looksAt() {
			return verbDrop, nil // serverLost goes on
		}
		v := s.serverError()
		s.lastWords = s.lastWords || last && v != verbDrop
		switch {
		case v == verbDrop:
		case s.checking:
			v = s.loginError(body)
		case !bytes.HasSuffix(body, []byte{0, 0}): // its rest is still to come, and goes behind it as it is
		case longer != 0, bytes.Contains(body, []byte(ownPrefix)):
			body = clientPosition(body, longer)
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
		}
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

// settle makes an entry's change final, so that what stood before is let go.
func (s *session) settle(e *entry) {
	if e.flags&flagForgets != 0 {
		s.forgetting--
	}
	s.shared.statements.drop(e.stmt)
	if e.more != nil && e.more.describing != nil {
		s.shared.statements.drop(e.more.describing.stmt)
	}
	if e.more != nil && e.more.evicted != nil {
		s.shared.statements.drop(e.more.evicted.stmt)
	}
	if e.more != nil && e.more.frees != "" {
		delete(s.prepared, e.more.frees)
	}
	if e.more != nil && e.more.named {
		s.shared.statements.drop(e.more.prev)
		s.changes = max(0, s.changes-1)
	}
}

// undo takes back an entry's change: its message failed or was skipped.
func (s *session) undo(e *entry) {
	if e.flags&flagForgets != 0 {
		s.forgetting--
	}
	if e.flags&flagPrefix != 0 {
		s.prefix, s.begun = false, false
	}
	if e.flags&flagSequences != 0 {
		s.backend.ownValues = false
	}
	if e.changesUnnamed() {
		s.undoUnnamed(e)
	} else if e.typ == wire.Parse && e.more == nil {
		s.hereNow = false // we had the unnamed one parsed again
	}
	d := e.more
	if d == nil {
		return
	}
	s.backend.helpers &^= d.helper
	if d.describing != nil {
		d.describing.undescribed()
		s.shared.statements.drop(d.describing.stmt)
	}
	if d.ready != nil && d.ready.pending {
		s.backend.remove(d.ready, &s.shared.statements)
	}
	if d.evicted != nil {
		s.backend.restore(d.evicted, &s.shared.statements)
	}
	if d.named {
		s.changes = max(0, s.changes-1)
		s.shared.statements.drop(s.named[d.name])
		s.unname(d.name)
		if d.prev != nil {
			s.name(d.name, d.prev)
		}
	}
}

// changesUnnamed reports whether the message replaces the unnamed statement.
func (e *entry) changesUnnamed() bool {
	return e.typ == wire.Parse && e.kind == entryForward && e.more == nil || e.typ == wire.Query ||
		e.more != nil && e.more.unnamed
}

// undoUnnamed puts the unnamed statement back to what it was before e, unless
// a message that is not skipped replaces it later.
func (s *session) undoUnnamed(e *entry) {
	before := &s.unnamed
	for i := s.queue.head; i < len(s.queue.entries); i++ {
		if later := &s.queue.entries[i]; later.changesUnnamed() {
			before = &later.stmt
			break
		}
	}
	s.shared.statements.drop(*before)
	*before = e.stmt
	if before == &s.unnamed {
		s.hereNow, s.hereAt = e.flags&flagHere != 0, s.syncs
	}
}

// outdated reports whether an error says that a statement's result has another
// shape than when it was parsed. The name of PostgreSQL's function tells it, as
// the message may be in any language.
func outdated(body []byte) bool {
	return string(wire.ErrorCode(body)) == wire.CodeFeatureNotSupported && bytes.Contains(body, []byte("RRevalidateCachedQuery\x00"))
}

// serverError handles an ErrorResponse.
func (s *session) serverError() verb {
	s.copyIn, s.copyBoth, s.committed = false, false, false
	if s.queue.empty() { // the server speaks up by itself, before it goes
		if s.releasable() {
			s.unsure = true // nothing runs there: the client need not know
			return verbDrop
		}
		return verbForward
	}
	e := s.queue.first()
	if s.done&holdsCursor != 0 && e.flags&flagCommit != 0 && s.status == wire.TxOpen {
		s.backend.poisoned = true // PostgreSQL 15 crashes on what a COMMIT that failed leaves of the cursor
	}
	s.refused = s.refused || s.checking
	v := verbForward
	if e.flags&flagLook != 0 {
		s.lookFailed()
		s.skip()
		return verbDrop
	}
	if e.kind == entryFail {
		if e.more.err != nil {
			s.shared.toClient = wire.AppendError(s.shared.toClient, e.more.err)
		}
		v = verbDrop
	}
	if s.prefix && e.flags&flagInjected != 0 {
		s.prefixFailed, s.beginFailed = true, s.begun
		s.prefix, s.begun = false, false
	}
	if e.more != nil {
		e.more.restores = nil // RESET may not have run
	}
	if e.kind == entryForward && (e.typ == wire.Query || e.typ == wire.FunctionCall || e.typ == wire.Sync) {
		if e.flags&flagCopyIn != 0 && s.queue.len() > 1 && s.queue.entries[s.queue.head+1].flags&flagMaybe != 0 {
			s.unsure = true
		}
		return v // ReadyForQuery follows
	}
	s.skip()
	return v
}

// loginError tells of a setting that a login may not have, which ends it.
func (s *session) loginError(body []byte) verb {
	e, err := wire.ParseError(body)
	if err != nil {
		return verbForward
	}
	e.Severity = "FATAL"
	s.shared.toClient = wire.AppendError(s.shared.toClient, e)
	return verbDrop
}

// fatal reports whether an error is a server's last word.
func fatal(body []byte) bool {
	e, err := wire.ParseError(body)
	return err == nil && (e.Severity == "FATAL" || e.Severity == "PANIC")
}

// skip drops the entries of all messages that the server discards after an
// error: everything up to the next Sync. A Sync that stood in front of the end
// of a COPY's data has most likely been read over.
func (s *session) skip() {
	own := s.queue.first().kind == entrySwallow
	first := s.queue.head
	end := first
	for end < len(s.queue.entries) {
		e := &s.queue.entries[end]
		if e.typ == wire.Sync && e.flags&flagMaybe == 0 {
			break
		}
		s.unsure = s.unsure || e.flags&flagMaybe != 0
		if own && e.flags&flagGated != 0 {
			// The server discards this Query and waits for a Sync, which the
			// client has no reason to send.
			s.shared.toServer = wire.AppendEmpty(s.shared.toServer, wire.Sync)
			break
		}
		end++
	}
	if e := s.queue.first(); e.typ == wire.Parse && e.changesUnnamed() {
		s.shared.statements.drop(e.stmt) // a Parse that fails leaves no unnamed statement
		e.stmt = nil
	}
	skipped := s.queue.entries[first:end:end]
	s.queue.head = end
	for i := len(skipped) - 1; i >= 0; i-- {
		s.undo(&skipped[i])
	}
	s.queue.head = first
	for range skipped {
		s.queue.pop()
	}
	if s.queue.empty() {
		s.skipping = true
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
	s.skipping, s.copyIn, s.copyBoth, s.resetting = false, false, false, false
	s.piped = s.piped && !s.queue.empty()
	if status == wire.TxOpen && s.committed { // COMMIT AND CHAIN
		s.listened(true)
		s.committed = false
	}
	s.open = !s.queue.empty()
	s.setting = s.setting && s.open
	if status == wire.TxIdle {
		s.shared.counts.altered |= s.altered
		s.altered = 0
	}
	if status == wire.TxIdle && s.held && !s.checking {
		s.settled()
	}
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
		s.tuning.told = append(s.tuning.told, string(name))
	}
	b.vars = table.with(b.vars, string(name), string(value))
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

var (
	tagDiscardAll    = []byte("DISCARD ALL")
	tagDeallocateAll = []byte("DEALLOCATE ALL")
)

// commandComplete looks for the commands that destroy what we keep at the
// server.
func (s *session) commandComplete(body []byte) {
	tag := bytes.TrimSuffix(body, []byte{0})
	switch string(tag) {
	case "COMMIT":
		s.committed = true
	case "ROLLBACK":
		s.committed = false
	}
	if s.taint != nil && codeChanges(tag) {
		s.taint.known = false
	}
	if s.ddl != nil && changesMeaning(tag) {
		*s.ddl++
	}
	s.altered |= alters(tag)
	if len(tag) < len(tagDiscardAll) || tag[0] != 'D' {
		return
	}
	all := bytes.Equal(tag, tagDiscardAll)
	if !all && !bytes.Equal(tag, tagDeallocateAll) {
		return
	}
	s.backend.removeAll(&s.shared.statements)
	s.forgetNames()
	if all {
		s.backend.vars, s.backend.changedBy = s.backend.base, nil
		s.resetting, s.tuning = true, nil
		s.discardVars(false)
		s.discarded()
	}
}

// forgetNames drops the client's prepared statements, but those whose Parse is
// still outstanding: they come later. A Close that is outstanding has nothing
// left to put back, unless it is of one of those.
func (s *session) forgetNames() {
	if len(s.named) == 0 && s.queue.empty() {
		return
	}
	kept, parsed := map[string]*statement{}, map[string]bool{}
	for i := s.queue.head; i < len(s.queue.entries); i++ {
		d := s.queue.entries[i].more
		if d == nil || !d.named {
			continue
		}
		if st := s.named[d.name]; st != nil && d.prev == nil {
			kept[d.name] = st
		}
		if d.prev != nil && !parsed[d.name] {
			s.shared.statements.drop(d.prev)
			d.prev = nil
		}
		parsed[d.name] = true
	}
	for name, st := range s.named {
		if kept[name] == nil {
			s.shared.statements.drop(st)
		}
	}
	s.named, s.text = kept, 0
	for _, st := range kept {
		s.text += int32(len(st.key.text))
	}
	if len(kept) == 0 {
		s.named = nil
	}
}

// discardVars puts the settings back to those of the login, and tells the
// client which of them that changes. The role may be kept.
func (s *session) discardVars(keepRole bool) {
	if s.vars == s.startup {
		return
	}
	for _, p := range s.startup.list {
		told, _ := s.vars.value(p.Name)
		if _, reported := s.base.value(p.Name); reported && told != p.Value {
			s.shared.toClient = wire.AppendParameterStatus(s.shared.toClient, p.Name, p.Value)
		}
	}
	role, ok := s.vars.value("role")
	s.vars = s.startup
	if ok && keepRole {
		s.vars = s.shared.vars.with(s.vars, "role", role)
	}
}

// dropAll lets go of every statement.
func (s *session) dropAll() {
	for _, st := range s.named {
		s.shared.statements.drop(st)
	}
	s.shared.statements.drop(s.unnamed)
	s.named, s.unnamed, s.text = nil, nil, 0
}
