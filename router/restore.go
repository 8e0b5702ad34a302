package router

import (
	"howdah/wire"
)

// restored is a setting of the login's that comes back.
type restored struct {
	wire.Parameter
	local bool // until the end of the transaction
}

// resets returns which of the login's settings a text resets to what they are at
// the server: they are put back to the login's right behind it. outside says that
// it is in no transaction but its own.
func (s *session) resets(r *reading, outside bool) (all []restored) {
	if r.effects&mayReset == 0 || s.startup == s.base {
		return nil
	}
	for _, p := range s.startup.list {
		if base, ok := s.base.value(p.Name); ok && base == p.Value || fixedVars[p.Name] {
			continue
		}
		var last touch
		for _, t := range r.settings {
			if t.name == p.Name || t.name == allSettings && p.Name != "role" {
				last = t
			}
		}
		if last.reset && (!last.local || !outside) {
			all = append(all, restored{p, last.local})
		}
	}
	return all
}

// restoreBehind puts them back behind a simple query, which is the last entry.
func (s *session) restoreBehind(all []restored) {
	s.queue.last().detailed().restores = all
	s.restore(all)
	s.injectSync(entrySwallow, 0)
}

// restore puts them back. In a failed transaction that fails too, which nobody
// need know.
func (s *session) restore(all []restored) {
	n := len(s.queue.entries)
	for _, p := range all {
		s.injectSetAside(p.Name, p.Value, p.local)
	}
	for i := n; i < len(s.queue.entries); i++ {
		e := &s.queue.entries[i]
		e.kind = entryFail
		e.detailed()
	}
}

// resetTo returns the login's value of a setting that has gone back to the
// server's.
func resetTo(restores []restored, name string) (own string, ok bool) {
	for _, p := range restores {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// tellRestored tells the client of the login's settings that its RESET has
// brought back, before the server has them again.
func (s *session) tellRestored(restores []restored) (any bool) {
	for _, p := range restores {
		told, _ := s.vars.value(p.Name)
		if _, reported := s.base.value(p.Name); !reported || told == p.Value {
			continue
		}
		s.vars = s.shared.vars.with(s.vars, p.Name, p.Value)
		s.shared.toClient = wire.AppendParameterStatus(s.shared.toClient, p.Name, p.Value)
		any = true
	}
	return any
}
