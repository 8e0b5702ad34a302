package router

import (
	"bytes"

	"howdah/wire"
)

// settle makes an entry's change final, so that what stood before is let go.
func (s *session) settle(e *entry) {
	s.leaveDatabases(e)
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
		if s.back {
			s.confirmed = append(s.confirmed, e.more)
		} else {
			s.shared.statements.drop(e.more.prev)
		}
		s.changes = max(0, s.changes-1)
	}
}

// undo takes back an entry's change: its message failed or was skipped.
func (s *session) undo(e *entry) {
	s.leaveDatabases(e)
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
		s.notHere() // we had the unnamed one parsed again
	}
	d := e.more
	if d == nil {
		return
	}
	s.backend.helpers &^= d.helper
	if d.portal != nil {
		s.undoPortal(d.portal)
	}
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
		s.undoName(d)
	}
}

// undoName has a name mean what it meant before.
func (s *session) undoName(d *detail) {
	s.shared.statements.drop(s.named[d.name])
	s.unname(d.name)
	if d.prev != nil {
		s.name(d.name, d.prev)
	}
}

// changesUnnamed reports whether the message replaces the unnamed statement.
func (e *entry) changesUnnamed() bool {
	return e.typ == wire.Parse && e.kind == entryForward && e.more == nil || e.typ == wire.Query ||
		e.more != nil && e.more.unnamed
}

// undoUnnamed puts the unnamed statement back to what it was before e, unless
// a message that is not skipped replaces it later: then it was that before.
func (s *session) undoUnnamed(e *entry) {
	if later := s.nextUnnamed(); later != nil {
		s.shared.statements.drop(later.stmt)
		later.stmt = e.stmt
		later.flags = later.flags&^flagHere | e.flags&flagHere
		return
	}
	s.shared.statements.drop(s.unnamed)
	s.unnamed = e.stmt
	s.hereNow, s.hereAt = e.flags&flagHere != 0, s.syncs
}

// notHere notes that the unnamed statement is not the server's, though it was sent
// there: the message that did is skipped.
func (s *session) notHere() {
	if later := s.nextUnnamed(); later != nil {
		later.flags &^= flagHere
	} else {
		s.hereNow = false
	}
}

// nextUnnamed returns the first message outstanding that replaces the unnamed
// statement, nil for none.
func (s *session) nextUnnamed() *entry {
	for i := s.queue.head; i < len(s.queue.entries); i++ {
		if e := &s.queue.entries[i]; e.changesUnnamed() {
			return e
		}
	}
	return nil
}

// outdated reports whether an error says that a statement's result has another
// shape than when it was parsed. The name of PostgreSQL's function tells it, as
// the message may be in any language.
func outdated(body []byte) bool {
	return string(wire.ErrorCode(body)) == wire.CodeFeatureNotSupported && bytes.Contains(body, []byte("RRevalidateCachedQuery\x00"))
}

// lost reports whether an error says that a statement of ours is not there.
func lost(body []byte) bool {
	if string(wire.ErrorCode(body)) != wire.CodeInvalidStatementName {
		return false
	}
	at := bytes.Index(body, []byte(ownPrefix)) + len(ownPrefix)
	return at >= len(ownPrefix) && at < len(body) && isDigit(body[at])
}

// serverError handles an ErrorResponse with this SQLSTATE.
func (s *session) serverError(code string) verb {
	s.copyIn, s.copyBoth, s.committed = false, false, false
	if s.queue.empty() { // the server speaks up by itself, before it goes
		if s.releasable() {
			s.unsure = true // nothing runs there: the client need not know
			return verbDrop
		}
		return verbForward
	}
	s.databasesFail(code)
	e := s.queue.first()
	refused := code == wire.CodeActiveTransaction || code == wire.CodeNoActiveTransaction // COMMIT PREPARED in a transaction, COMMIT AND CHAIN in none
	if s.done&holdsCursor != 0 && s.declared && e.flags&flagCommit != 0 && s.status == wire.TxOpen && !refused {
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
		s.backend.poisoned = s.backend.poisoned || s.confined // see renewHelpers
	}
	if e.more != nil {
		e.more.restores = nil // RESET may not have run
		e.more.frees = ""
		delete(s.prepared, e.more.gives)
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
	end := s.queue.head
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
		own = own && e.kind == entrySwallow // or it fails for a message of the client's
		end++
	}
	if e := s.queue.first(); e.typ == wire.Parse && e.changesUnnamed() {
		s.shared.statements.drop(e.stmt) // a Parse that fails leaves no unnamed statement
		e.stmt = nil
	}
	s.undoFirst(end - s.queue.head)
	if s.queue.empty() {
		s.skipping = true
	}
}

// undoFirst takes the first n entries off, and back what they changed, the last
// first.
func (s *session) undoFirst(n int) {
	first := s.queue.head
	undone := s.queue.entries[first : first+n : first+n]
	s.queue.head += n
	for i := n - 1; i >= 0; i-- {
		s.undo(&undone[i])
	}
	s.queue.head = first
	for range undone {
		s.queue.pop()
	}
}
