package router

import (
	"howdah/tenants"
	"howdah/wire"
)

// SQL can name statements that were prepared by the protocol. The server knows
// them under names of ours, or not at all.

// queryNamed handles DEALLOCATE and EXECUTE of such a statement in a simple
// query; ok is false for others.
func (s *session) queryNamed(r *reading, text []byte) (v verb, ok bool) {
	if s.named[r.name] == nil || s.status == wire.TxFailed {
		return 0, false
	}
	if !s.queue.empty() || s.changes > 0 {
		return verbStall, true
	}
	if r.command == commandDeallocate {
		if s.open {
			return 0, false
		}
		s.shared.statements.drop(s.unnamed)
		s.unnamed, s.hereNow = nil, false
		s.do(r)
		s.shared.toClient = wire.AppendReadyForQuery(s.shared.toClient, s.status)
		return verbDrop, true
	}
	at, v, ok := s.place([]byte(r.name))
	if !ok {
		return v, true
	}
	renamed := string(text[:r.from]) + at + string(text[r.to:])
	e := entry{typ: wire.Query, flags: flagCommit, stmt: s.unnamed}
	if !s.queue.empty() {
		e.flags |= flagGated
	}
	s.unnamed, s.hereNow = nil, false
	s.note(r)
	s.note(&s.named[r.name].reading)
	s.forward(e)
	s.shared.toServer = wire.AppendString(s.shared.toServer, wire.Query, renamed)
	return verbDrop, true
}

// bindDeallocate binds DEALLOCATE of such a statement: the server deallocates
// one that is nobody's.
func (s *session) bindDeallocate(h wire.Header, b []byte, m wire.BindMessage, st *statement) verb {
	if s.changes > 0 {
		return verbStall
	}
	sh := s.shared
	sh.toServer = wire.AppendTarget(sh.toServer, wire.Close, wire.KindStatement, spareName)
	s.forward(entry{kind: entrySwallow, typ: wire.Close})
	sh.toServer = wire.AppendParse(sh.toServer, spareName, "select", nil)
	s.forward(entry{kind: entrySwallow, typ: wire.Parse, more: &detail{}})
	s.helper(helperSpare, dropName, "deallocate "+spareName)
	s.forward(entry{typ: wire.Bind, more: &detail{name: st.name, prev: s.named[st.name], named: true}})
	delete(s.named, st.name)
	sh.used = len(b) - len(m.Rest)
	sh.toServer = wire.AppendBindHeader(sh.toServer, m.Portal, dropName, h.Len-sh.used)
	return verbRewrite
}

// clearSequences has the server forget what other sessions' nextval left
// there, in front of the first text that asks for such values.
func (s *session) clearSequences(r *reading) {
	if r.effects&readsSequence == 0 || s.pins&pinSequence != 0 || s.moved || s.mode != tenants.Transaction {
		return
	}
	s.helper(helperSequences, sequencesName, "discard sequences")
	s.shared.toServer = wire.AppendBindText(s.shared.toServer, sequencesName)
	s.injectExecute(0)
	s.prefixed()
	s.moved = true // what is left is the client's own
}
