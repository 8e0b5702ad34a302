package router

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"howdah/tenants"
	"howdah/wire"
)

// SQL can name statements that were prepared by the protocol. The server knows
// them under names of ours, or not at all.

// queryNamed handles DEALLOCATE, EXECUTE and PREPARE of such a statement in a simple
// query; ok is false for others.
func (s *session) queryNamed(r *reading, text []byte) (v verb, ok bool) {
	if s.changes > 0 {
		return verbStall, true // whether the name is one of ours is not decided
	}
	if s.named[r.name] == nil || s.status == wire.TxFailed && s.queue.empty() {
		return 0, false
	}
	// A PREPARE under such a name is refused by the server, in the same words.
	if !s.queue.empty() {
		return verbStall, true
	}
	if r.command == commandDeallocate && (s.status != wire.TxIdle || s.open) {
		s.deallocateThere(r, text)
		return verbDrop, true
	}
	if r.command == commandDeallocate {
		s.shared.statements.drop(s.unnamed)
		s.unnamed, s.hereNow = nil, false
		s.do(r)
		s.shared.toClient = wire.AppendReadyForQuery(s.shared.toClient, s.status)
		return verbDrop, true
	}
	if r.command == commandExecute && !s.clearSequences(&s.named[r.name].reading) {
		return verbStall, true
	}
	at, v, ok := againName, verb(0), true
	if r.command == commandPrepare {
		s.parseOver(againName, "select", nil) // which is refused for the name alone
	} else {
		at, v, ok = s.place([]byte(r.name))
	}
	if v == verbDrop && !ok {
		s.shared.statements.drop(s.unnamed)
		s.unnamed, s.hereNow = nil, false
		s.injectSync(entryForward, 0) // it fails there, and the client waits for the end of a Query
	}
	if !ok {
		return v, true
	}
	st := s.named[r.name]
	var resets []restored
	if r.command == commandExecute {
		if !explains(text) {
			resets = s.resets(&st.reading, s.status == wire.TxIdle)
		}
		if len(resets) > 0 && !s.queue.empty() {
			return verbStall, true // it must not be skipped
		}
		s.note(r)
		s.note(&st.reading)
	}
	e := entry{typ: wire.Query, flags: flagCommit, stmt: s.unnamed, more: &detail{name: r.name, unlisten: st.unlisten}}
	if r.command != commandExecute || st.takesParameters() {
		e.more.renamed = s.renames(r, text, at)
	}
	if !s.queue.empty() {
		e.flags |= flagGated
	}
	if r.command == commandExecute && st.effects&mayForget != 0 {
		e.flags |= flagForgets
		s.forgetting++
	}
	s.unnamed, s.hereNow = nil, false
	s.forward(e)
	s.shared.toServer = wire.AppendString(s.shared.toServer, wire.Query, string(text[:r.from])+at+string(text[r.to:]))
	if len(resets) > 0 {
		s.restoreBehind(resets)
	}
	return verbDrop, true
}

// deallocateThere has the server deallocate a statement that is nobody's, in a
// transaction: the command takes the transaction's snapshot.
func (s *session) deallocateThere(r *reading, text []byte) {
	s.parseOver(spareName, "select", nil)
	e := entry{typ: wire.Query, flags: flagGated, stmt: s.unnamed, more: &detail{
		name: r.name, prev: s.named[r.name], named: true, renamed: s.renames(r, text, spareName),
	}}
	s.unnamed, s.hereNow = nil, false
	s.unname(r.name)
	s.changes++
	s.forward(e)
	s.shared.toServer = wire.AppendString(s.shared.toServer, wire.Query, string(text[:r.from])+spareName+string(text[r.to:]))
}

// bindDeallocate binds DEALLOCATE of such a statement: the server deallocates
// one that is nobody's when the portal is executed.
func (s *session) bindDeallocate(h wire.Header, b []byte, m wire.BindMessage, st *statement) verb {
	sh := s.shared
	s.parseOver(dropName, "deallocate "+spareName, nil)
	s.forward(entry{typ: wire.Bind, more: s.bound(m.Portal, &portal{deallocates: st.name})})
	sh.used = len(b) - len(m.Rest)
	sh.toServer = wire.AppendBindHeader(sh.toServer, m.Portal, dropName, h.Len-sh.used)
	return verbRewrite
}

// executeDeallocate executes such a portal, which PostgreSQL does once.
func (s *session) executeDeallocate(name []byte, p *portal) verb {
	if s.changes > 0 || s.queue.cycles > 0 {
		return verbStall
	}
	if s.status == wire.TxFailed && !s.piped { // nothing runs, if there is still the portal
		s.forward(entry{typ: wire.Execute, more: &detail{name: p.deallocates}})
		return verbForward
	}
	st := s.named[p.deallocates]
	if st == nil { // the server says so, unless something else is wrong
		s.closeFirst(spareName)
		s.forward(entry{typ: wire.Execute, more: &detail{name: p.deallocates}})
		return verbForward
	}
	s.parseOver(spareName, "select", nil)
	more := s.bound(name, nil)
	more.name, more.prev, more.named = p.deallocates, st, true
	s.forward(entry{typ: wire.Execute, more: more})
	s.unname(p.deallocates)
	return verbForward
}

// bindExecute binds EXECUTE or PREPARE of such a statement, with the name that
// the server knows it by.
func (s *session) bindExecute(h wire.Header, b []byte, m wire.BindMessage, st *statement) verb {
	if st.command == commandExecute && !s.clearSequences(&s.named[st.name].reading) {
		return verbStall
	}
	v, ok := s.parseExecute(st)
	if !ok {
		return v
	}
	sh := s.shared
	var p *portal
	if st.command == commandExecute { // a PREPARE is refused for the name
		executed := &s.named[st.name].reading
		s.mayDo(&st.reading)
		s.mayDo(executed)
		p = portalOf(&st.reading, executed)
		p.executes, p.meant = st.name, s.named[st.name]
	}
	s.committing, s.ends = true, true
	s.forward(entry{typ: wire.Bind, flags: flagCommit, more: s.bound(m.Portal, p)})
	sh.used = len(b) - len(m.Rest)
	sh.toServer = wire.AppendBindHeader(sh.toServer, m.Portal, againName, h.Len-sh.used)
	return verbRewrite
}

// parseExecute has EXECUTE or PREPARE of such a statement parsed with the name
// that the server knows it by.
func (s *session) parseExecute(st *statement) (v verb, ok bool) {
	at, v, ok := s.place([]byte(st.name))
	if ok {
		s.parseOver(againName, st.key.text[:st.from]+at+st.key.text[st.to:], []byte(st.key.oids))
	}
	return v, ok
}

// describeExecute describes EXECUTE of such a statement: its result is that
// statement's.
func (s *session) describeExecute(st *statement) verb {
	v, ok := s.parseExecute(st)
	if !ok {
		return v
	}
	s.forward(entry{typ: wire.Describe})
	s.shared.toServer = wire.AppendTarget(s.shared.toServer, wire.Describe, wire.KindStatement, againName)
	return verbDrop
}

// clientNames puts the client's names of statements into an error that names
// them as the server does; meant is the one it must be, if that is known.
func (s *session) clientNames(body []byte, meant string) []byte {
	var renamed []byte
	for n := 0; ; n++ {
		at := bytes.Index(body, []byte(ownPrefix))
		if at < 0 || n == maxRenamed {
			return append(renamed, body...)
		}
		end := at + len(ownPrefix)
		for end < len(body) && (isDigit(body[end]) || 'a' <= body[end] && body[end] <= 'z') {
			end++
		}
		own := string(body[at:end])
		if meant != "" {
			own = meant
		} else if name := s.clientName(own); name != "" {
			own = name
		}
		renamed = append(append(renamed, body[:at]...), own...)
		body = body[end:]
	}
}

// maxRenamed bounds the names that are put into one error.
const maxRenamed = 4

// renamed says where a statement has another name in a text than in the client's.
type renamed struct {
	at     int // in the client's text, in characters: the end of the name
	longer int // by so many bytes
}

// renames tells where text has the name at in place of the client's. Positions in
// errors count characters.
func (s *session) renames(r *reading, text []byte, at string) renamed {
	count := func(b []byte) int { return len(b) }
	if encoding, _ := s.vars.value("client_encoding"); encoding == "UTF8" {
		count = utf8.RuneCount
	}
	return renamed{at: count(text[:r.to]), longer: len(at) - count(text[r.from:r.to])}
}

// clientPosition puts an error's position behind such a name back to where it is
// in the client's text. One in front of it is in the text of the statement that
// EXECUTE runs.
func (r renamed) clientPosition(body []byte) []byte {
	for at := 0; at < len(body) && body[at] != 0; {
		end := at + bytes.IndexByte(body[at:], 0)
		if end < at {
			break
		}
		if body[at] == 'P' {
			if n, err := strconv.Atoi(string(body[at+1 : end])); err == nil && n-r.longer > r.at {
				moved := strconv.AppendInt(append([]byte(nil), body[:at+1]...), int64(n-r.longer), 10)
				return append(moved, body[end:]...)
			}
		}
		at = end + 1
	}
	return body
}

// clientName returns what the client calls the statement that is called own at
// the server.
func (s *session) clientName(own string) string {
	for name, st := range s.named {
		if p := s.backend.known[st]; p != nil && p.name == own {
			return name
		}
	}
	return ""
}

// clearSequences has the server forget what other sessions' nextval left
// there, in front of the first text that leaves such values or asks for them:
// what is left from then on is the client's own. It reports false where the text
// must wait, because in what state the transaction is must be known.
func (s *session) clearSequences(r *reading) bool {
	moves := r.effects&(readsSequence|movesSequence) != 0 || s.sticky && r.effects&acts != 0
	if !moves || s.backend.ownValues || s.mode != tenants.Transaction || s.status == wire.TxFailed {
		return true
	}
	if s.queue.cycles > 0 {
		return false
	}
	alone, first := s.status == wire.TxIdle && !s.piped, len(s.queue.entries)
	if alone { // or the client's own BEGIN would come too late for its options
		s.injectBlock(0)
	}
	s.helper(helperSequences, sequencesName, "discard sequences")
	s.injectAside(sequencesName, flagSequences)
	if alone {
		s.run(helperCommit, commitName, "commit", 0)
	}
	s.prefixed(first)
	s.backend.ownValues = true
	return true
}
