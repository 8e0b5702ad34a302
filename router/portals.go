package router

// portal is what a portal at the server does beside what the server knows.
type portal struct {
	deallocates string      // the client's prepared statement, "" for none
	executes    string      // the one that its EXECUTE names, "" for none or once it has run
	meant       *statement  // what that name meant
	does        [2]*reading // what its statement may do, and the one that it executes: to be known again when it runs
}

// portalBefore is a portal's name and what it was before a message, nil for
// nothing beside what the server knows.
type portalBefore struct {
	name   string
	before *portal
}

// portalOf returns the portal of a statement that does r, nil where nothing need
// be known of it behind its Bind. executed is the statement's that an EXECUTE
// names, or nil.
func portalOf(r, executed *reading) *portal {
	if executed == nil && !r.counts() {
		return nil
	}
	return &portal{does: [2]*reading{r, executed}}
}

// counts reports whether what a portal does must be known again when it is
// executed.
func (r *reading) counts() bool {
	return r.effects&(maySet|maySetAny|mayReset|mayForget|mayCommit|rollsBack|endsItself) != 0 || len(r.settings)+len(r.unlisten)+len(r.databases) > 0 || r.command == commandPrepare
}

// bound notes what a portal is from now on, nil for nothing beside what the
// server knows. It returns what takes that back, nil where nothing changes.
func (s *session) bound(name []byte, p *portal) *detail {
	name = cutName(name)
	before := s.portals[string(name)]
	if p == nil && before == nil {
		return nil
	}
	d := &detail{portal: &portalBefore{string(name), before}}
	s.setPortal(d.portal.name, p)
	return d
}

// undoPortal puts a portal back to what it was before a message that is skipped,
// unless one that is not makes it another later.
func (s *session) undoPortal(p *portalBefore) {
	for i := s.queue.head; i < len(s.queue.entries); i++ {
		if d := s.queue.entries[i].more; d != nil && d.portal != nil && d.portal.name == p.name {
			d.portal.before = p.before
			return
		}
	}
	s.setPortal(p.name, p.before)
}

func (s *session) setPortal(name string, p *portal) {
	if p == nil {
		delete(s.portals, name)
		return
	}
	if s.portals == nil {
		s.portals = map[string]*portal{}
	}
	s.portals[name] = p
}
