package router

import (
	"bytes"
	"fmt"

	"howdah/tenants"
	"howdah/wire"
)

// A tenant that is over its quota reads and does not write: whatever its sessions begin is
// READ ONLY, until there is room again. PostgreSQL sees to it, as far as it can be told
// to: a BEGIN that was deferred is sent with READ ONLY, and everything else begins with
// default_transaction_read_only, which is set in front of each transaction like the
// session's own settings, and like those is not there for the next client. Behind the
// first snapshot of a READ ONLY transaction PostgreSQL lets nothing make it write. What
// could before, or could end it and begin another one in the same breath, is refused here.
// So that it is known which transaction a message is of, those of one session are sent one
// after the other.
//
// What runs already when the quota is used up ends as it began.

// overQuota is of a tenant that is over its quota. It is never changed.
type overQuota struct {
	usage tenants.Usage
	hint  string
}

func newOverQuota(tenant string, u tenants.Usage) *overQuota {
	return &overQuota{u, fmt.Sprintf("The database of tenant %q has %d MB, and its quota is %d MB: until it has less than %d MB all its transactions are READ ONLY. "+
		"Users named in quota_exempt_users can clean up; an operator can raise quota, or give all a while to write (GRACE TENANT).",
		tenant, u.Size>>20, u.Quota>>20, u.Room()>>20)}
}

// readOnlyVar is the setting under which transactions begin READ ONLY.
const readOnlyVar = "default_transaction_read_only"

// settleQuota has the session go by its tenant's quota: for what it begins now, or for what
// may come behind that which runs.
func (s *session) settleQuota() {
	begins := s.queue.empty() && !s.open && (s.status == wire.TxIdle || !s.held)
	if begins || s.quota != nil {
		s.over = s.quota
	}
	if !begins {
		return
	}
	if s.confined = s.over != nil; s.confined && s.held {
		s.distrust()
	}
}

// distrust has the server's access mode set though it should be right: PostgreSQL before
// 14 does not tell when a function sets another.
func (s *session) distrust() {
	if _, told := s.backend.base.value(readOnlyVar); !told {
		s.backend.vars = s.shared.vars.without(s.backend.vars, readOnlyVar)
	}
}

// renewHelpers has what sets settings at the server be parsed anew: code of the tenant's own
// may have put something else under those names. Where that fails, which of them are there
// is not known any more, and the server goes.
func (s *session) renewHelpers() {
	for _, h := range []struct {
		bit  uint64
		name string
	}{{helperBegin, begins[0].name}, {helperSet, setName}, {helperCommit, commitName}} {
		s.closeFirst(h.name)
		s.backend.helpers &^= h.bit
	}
}

// inForce are the settings that a server must have for the session's next transaction.
func (s *session) inForce() *vars {
	if !s.confined {
		return s.vars
	}
	if s.vars.confined == nil {
		s.vars.confined = s.shared.vars.with(s.vars, readOnlyVar, "on")
	}
	return s.vars.confined
}

// ourVar reports whether a setting is not the client's now, whoever has set it: what it
// sets meanwhile is not remembered.
func (s *session) ourVar(name string) bool { return s.confined && name == readOnlyVar }

// begins returns the options with which a transaction is begun that was to have these.
func (s *session) begins(options txOptions) txOptions {
	if s.confined {
		return options.readOnlyToo()
	}
	return options
}

// readOnlyToo returns the options with READ ONLY among them.
func (o txOptions) readOnlyToo() txOptions { return o.with(optionsOf(0, 2, 0)) }

// beginText writes BEGIN or START TRANSACTION, for PostgreSQL to answer in the same word.
func (o txOptions) beginText() string {
	if o&txStart != 0 {
		return "start transaction" + o.text()[len("begin"):]
	}
	return o.text()
}

// overreaches reports whether a simple query, of which this is the text or its beginning,
// could write though the tenant is over its quota.
func (s *session) overreaches(r *reading, text []byte, whole bool) bool {
	const ends = mayCommit | rollsBack
	switch {
	case s.ended:
		return true
	case r.effects&several != 0 && r.effects&ends != 0:
		return !whole || !readsAlone(text)
	}
	return s.unlocked(r)
}

// unlocked reports whether a single statement could have its transaction write, or the one
// behind it.
func (s *session) unlocked(r *reading) bool {
	if !s.confined { // its transaction is older
		return (r.command == commandCommit || r.command == commandRollback) && r.options&txChain != 0
	}
	return r.effects&(unlocks|writesLarge) != 0 || r.effects&blocks != 0 && s.status == wire.TxIdle
}

// overreachesBound reports the same of a prepared statement that is about to be bound.
func (s *session) overreachesBound(st *statement) bool {
	if st == nil { // of SQL's own PREPARE, which takes only what needs a snapshot, unless it was too large to be seen
		return s.pins&pinLarge != 0
	}
	if st.effects&anything == anything && !readsAlone([]byte(st.key.text)) {
		return true
	}
	return s.unlocked(&st.reading)
}

// overreachesByCall reports the same of a function call.
func (s *session) overreachesByCall(body []byte) bool {
	return s.ended || s.confined && writesLargeObject(body)
}

// readsAlone reports whether a text that is not understood is one statement all the same,
// and one that PostgreSQL runs under a snapshot: it begins with the word of a query, and
// nothing in it could be the end of a statement, in whatever encoding.
func readsAlone(text []byte) bool {
	if bytes.IndexByte(bytes.TrimRight(text, "; \t\r\n"), ';') >= 0 {
		return false
	}
	l := lexer{text: text[:min(len(text), maxWord)], conforming: true}
	t := l.next()
	return t.among("select", "values", "table", "with")
}

// refusal is what a client gets that would write though its tenant is over its quota.
func (o *overQuota) refusal() *wire.Error {
	return &wire.Error{
		Severity: "ERROR", Code: wire.CodeReadOnly,
		Message: "the tenant is over its quota: this could end its READ ONLY transaction, or make it one that writes",
		Detail:  "Refused are READ WRITE and transaction_read_only, COMMIT and ROLLBACK with other statements in one query or in front of them in a pipeline, DO and CALL outside a transaction, and large objects being written.",
		Hint:    o.hint,
	}
}

// failCall has the server fail in place of a function call.
func (s *session) failCall(e *wire.Error) verb {
	s.fail(e)
	s.injectSync(entryForward, 0)
	return verbDrop
}

// hinted adds to PostgreSQL's refusal of a write why it is one; ok is false for errors of
// other kinds.
func (s *session) hinted(body []byte) (with []byte, ok bool) {
	if !s.confined || string(wire.ErrorCode(body)) != wire.CodeReadOnly || !bytes.HasSuffix(body, []byte{0, 0}) {
		return nil, false
	}
	e, err := wire.ParseError(body)
	if err != nil || e.Hint != "" {
		return nil, false
	}
	with = append([]byte(nil), body[:len(body)-1]...)
	with = append(append(append(with, 'H'), s.over.hint...), 0, 0)
	return with, true
}
