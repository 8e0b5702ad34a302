package router

import (
	"bytes"
	"strings"

	"howdah/wire"
)

var (
	tagDiscardAll    = []byte("DISCARD ALL")
	tagDeallocateAll = []byte("DEALLOCATE ALL")
)

// commandComplete looks for the commands that destroy what we keep at the
// server.
func (s *session) commandComplete(body []byte) {
	tag := bytes.TrimSuffix(body, []byte{0})
	s.undone = false
	if len(tag) > 0 && !readTag(tag) {
		s.writing = true
	}
	switch string(tag) {
	case "COMMIT":
		s.shared.counts.wrote = s.shared.counts.wrote || s.writing
		s.committed, s.declared = true, false
		s.commitDatabases()
	case "ROLLBACK": // or ROLLBACK TO, which may leave cursors
		s.undone = true
		s.committed = false
	case "DECLARE CURSOR":
		s.declared = true
	}
	if s.taint != nil && codeChanges(tag) {
		s.taint.known = false
	}
	if s.ddl != nil && changesMeaning(tag) {
		*s.ddl++
	}
	switch string(tag) {
	case "DISCARD TEMP":
		s.defining = true
	case "DISCARD PLANS":
		s.planAnew()
		s.backend.outdate()
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
	s.prepared = nil
	if all {
		if s.reported == nil {
			s.reported = s.backend.vars
			if s.tuning != nil { // what was set in this pipeline has not been reported yet
				s.reported = s.tuning.from
			}
		}
		s.backend.vars, s.backend.changedBy = s.backend.base, nil
		s.resetting, s.tuning = true, nil
		s.discardVars(false)
		s.discarded()
	}
}

// planAnew has statements with literals taken apart again when they are next used,
// as PostgreSQL does behind DISCARD PLANS.
func (s *session) planAnew() {
	for name, st := range s.named {
		if strings.IndexByte(st.key.text, '\'') >= 0 {
			vars := st.key.vars
			now := s.renew(name, st)
			now.key.vars, now.stale = vars, true
		}
	}
}

// outdate forgets what the server would take apart again under whoever's settings
// hold when it is next used.
func (b *backend) outdate() {
	for p := b.lru.next; p != &b.lru; {
		next := p.next
		if !p.pending && strings.IndexByte(p.stmt.key.text, '\'') >= 0 {
			b.evict(p)
			b.doubles = append(b.doubles, p)
		}
		p = next
	}
}

// planVars are those of the settings a Parse looks at that count when a
// statement's literals are given their types; the others count before.
var planVars = map[string]bool{"DateStyle": true, "IntervalStyle": true, "TimeZone": true}

// replanned returns the identity of settings of a statement that was parsed under
// old and is taken apart again now.
func (v *vars) replanned(old string) string {
	words := strings.Split(old, "\x00")
	for i := 0; i+1 < len(words); i += 2 {
		if value, ok := v.value(words[i]); ok && planVars[words[i]] {
			words[i+1] = value
		}
	}
	return strings.Join(words, "\x00")
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
