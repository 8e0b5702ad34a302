package router

// portal is what a portal at the server does beside what the server knows.
type portal struct {
	deallocates string     // the client's prepared statement, "" for none
	resets      []restored // the login's settings that come back behind it
	forgets     bool       // it may destroy prepared statements
}

// portalBefore is a portal's name and what it was before a message, nil for
// nothing beside what the server knows.
type portalBefore struct {
	name   string
	before *portal
}

// portalOf returns the portal of what is executed by it, nil for nothing beside
// what the server knows.
func (s *session) portalOf(r *reading) *portal {
	p := portal{resets: s.resets(r), forgets: r.effects&mayForget != 0}
	if p.resets == nil && !p.forgets {
		return nil
	}
	return &p
}

// bound notes what a portal is from now on, nil for nothing beside what the
// server knows. It returns what takes that back, nil where nothing changes.
func (s *session) bound(name []byte, p *portal) *detail {
	before := s.portals[string(name)]
	if p == nil && before == nil {
		return nil
	}
	d := &detail{portal: &portalBefore{string(name), before}}
	s.setPortal(d.portal.name, p)
	return d
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
