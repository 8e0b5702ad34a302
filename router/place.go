package router

import (
	"bytes"
	"slices"
	"strings"

	"howdah/wire"
)

// evict makes room for one more statement at the server.
func (s *session) evict() {
	for len(s.backend.known) >= max(1, int(s.limit)) {
		old := s.backend.oldest()
		if old == nil {
			return
		}
		s.backend.evict(old)
		s.closeEvicted(old)
	}
	for _, p := range s.backend.doubles {
		s.closeEvicted(p)
	}
	s.backend.doubles = s.backend.doubles[:0]
}

func (s *session) closeEvicted(p *prepared) {
	s.shared.toServer = wire.AppendTarget(s.shared.toServer, wire.Close, wire.KindStatement, p.name)
	s.forward(entry{kind: entrySwallow, typ: wire.Close, more: &detail{evicted: p}})
}

// place makes sure that the server has the statement that the client calls
// name, and returns the name it has there. When it cannot, ok is false and the
// returned verb says what becomes of the message.
func (s *session) place(name []byte) (at string, v verb, ok bool) {
	if len(name) == 0 {
		return s.placeUnnamed()
	}
	if s.changes > 0 {
		return "", verbStall, false
	}
	st := s.meant(name)
	if st == nil && s.raw && !ours(string(name)) {
		return string(name), 0, true
	}
	if st == nil {
		return "", s.fail(noStatement(name)), false
	}
	if st.stale && s.doubts() == 0 {
		st.key.vars, st.stale = s.vars.replanned(st.key.vars), false
	}
	p := s.backend.find(st)
	if p == nil && s.literalsUndecided() {
		return "", verbStall, false
	}
	if p == nil && s.doubts() != 0 {
		st = s.renew(string(cutName(name)), st)
		p = s.backend.find(st)
	}
	if p != nil && p.pending && p.syncs != s.syncs {
		return "", verbStall, false // an error before that Sync would skip the Parse, and not this
	}
	if p == nil {
		s.evict()
		p = s.backend.add(st)
		p.syncs = s.syncs
		s.shared.counts.serverParses++
		s.underVars(st, func() {
			s.shared.toServer = wire.AppendParse(s.shared.toServer, p.name, st.key.text, []byte(st.key.oids))
			s.forward(entry{kind: entrySwallow, typ: wire.Parse, more: &detail{ready: p}})
		})
		if s.learnShape(p); s.mayDiffer(st) {
			p.check = checkNeeded
		}
	}
	v, ok = s.checked(p)
	return p.name, v, ok
}

func noStatement(name []byte) *wire.Error {
	return &wire.Error{
		Severity: "ERROR", Code: wire.CodeInvalidStatementName,
		Message: "prepared statement \"" + string(name) + "\" does not exist", Routine: "FetchPreparedStatement",
	}
}

// underVars has parse done under the settings under which the client prepared
// st, which may no longer be in force: a literal means what it meant then.
func (s *session) underVars(st *statement, parse func()) {
	undecided := s.doubts()&doubtLiterals != 0
	if st.key.vars == s.vars.parse && !undecided || s.status == wire.TxFailed {
		parse()
		return
	}
	if undecided {
		s.underOld(st, parse)
		return
	}
	var now []wire.Parameter
	words := strings.Split(st.key.vars, "\x00")
	for i := 0; i+1 < len(words); i += 2 {
		if !parseVars[words[i]] {
			continue // the search_path: names mean what they mean when the statement runs
		}
		if value, ok := s.vars.value(words[i]); ok && value != words[i+1] {
			now = append(now, wire.Parameter{Name: words[i], Value: value})
			s.injectSetAside(words[i], words[i+1], true)
		}
	}
	parse()
	for _, p := range slices.Backward(now) { // for the transaction: what the client has set may be no more
		s.injectSetAside(p.Name, p.Value, true)
	}
}

// underOld does the same where nobody knows which settings are in force: the
// server is asked to keep them.
func (s *session) underOld(st *statement, parse func()) {
	if text := []byte(st.key.text); ascii(text) && bytes.IndexByte(text, '\'') < 0 {
		parse()
		return
	}
	var kept []string
	words := strings.Split(st.key.vars, "\x00")
	for i := 0; i+1 < len(words); i += 2 {
		if _, reported := s.base.value(words[i]); !reported || !parseVars[words[i]] {
			continue
		}
		kept = append(kept, words[i])
		s.copySetting("howdah."+words[i], words[i])
		s.injectSetAside(words[i], words[i+1], true)
	}
	parse()
	for _, name := range slices.Backward(kept) {
		s.copySetting(name, "howdah."+name)
	}
}

// copySetting sets one setting to another's value until the transaction ends.
func (s *session) copySetting(to, from string) {
	s.parseOver(againName, "select pg_catalog.set_config('"+to+"', pg_catalog.current_setting('"+from+"'), true)", nil)
	s.injectAside(againName, 0)
}

// renew returns the statement to parse for one that the session prepared under
// settings which may no longer be in force, and nobody knows: what the server
// makes of it now must not pass for what others mean by the old one.
func (s *session) renew(name string, st *statement) *statement {
	now := s.shared.statements.take([]byte(st.key.text), []byte(st.key.oids), s.vars, s.generation(), false)
	now.key.vars = st.key.vars // under which it will be parsed
	now.planned = st.planned   // however much of it is understood now
	if !now.shape.known {
		now.shape = st.shape
	}
	s.shared.statements.drop(st)
	s.named[name] = now
	return now
}

func (s *session) placeUnnamed() (at string, v verb, ok bool) {
	if s.hereNow && s.hereAt != s.syncs && s.queue.cycles > 0 {
		return "", verbStall, false // an error before that Sync would skip its Parse, and not this
	}
	if s.hereNow {
		return "", 0, true
	}
	st := s.unnamed
	if st == nil && s.queue.cycles > 0 {
		return "", verbStall, false // what dropped it may yet be skipped
	}
	if st == nil {
		return "", s.fail(&wire.Error{
			Severity: "ERROR", Code: wire.CodeInvalidStatementName,
			Message: "unnamed prepared statement does not exist",
		}), false
	}
	if s.literalsUndecided() {
		return "", verbStall, false
	}
	s.shared.counts.serverParses++
	s.underVars(st, func() {
		s.shared.toServer = wire.AppendParse(s.shared.toServer, "", st.key.text, []byte(st.key.oids))
		s.forward(entry{kind: entrySwallow, typ: wire.Parse})
	})
	s.hereNow, s.hereAt = true, s.syncs
	return "", 0, true
}
