package provision

import "slices"

// State is what a cluster holds that matters to one operation, as Observe found it.
type State struct {
	Version   int    // of the server, as server_version_num has it: 150004
	Admin     string // Howdah's own role there
	Databases []Database
	Roles     []Role
	Settings  []Setting `json:",omitempty"` // that hold for one role in the operation's database
}

// Database is a row of pg_database.
type Database struct {
	OID      uint32
	Name     string
	Owner    string
	Open     bool   `json:",omitempty"` // it allows connections
	Invalid  bool   `json:",omitempty"` // an interrupted DROP left it: it can only be dropped
	Comment  string `json:",omitempty"`
	Backends int    `json:",omitempty"` // connections to it, of all kinds
	Limit    int    `json:",omitempty"` // of connections, as datconnlimit has it: -1 is none
}

// Role is a row of pg_authid.
type Role struct {
	OID      uint32 `json:",omitempty"`
	Name     string
	Comment  string   `json:",omitempty"`
	MD5      bool     `json:",omitempty"` // its password is an md5 one, which renaming it would clear
	Verified bool     `json:",omitempty"` // its password is the one the operation wants
	Uses     []uint32 `json:",omitempty"` // databases in which something is its or allowed to it; 0 when databases themselves are its
}

func (d *Database) mark() mark { return parseMark(d.Comment) }

func (s *State) database(name string) *Database {
	for i := range s.Databases {
		if s.Databases[i].Name == name {
			return &s.Databases[i]
		}
	}
	return nil
}

// live returns the tenant's database, open or suspended; nil is none. Whoever owns a
// database can give it a mark, another tenant's too: of several, the one is meant whose
// owner is the tenant's by a mark that only superusers give. See unmistakable.
func (s *State) live(id string) *Database {
	var live *Database
	for i := range s.Databases {
		d := &s.Databases[i]
		if d.mark().of(id) && (live == nil || s.vouched(d, id) && !s.vouched(live, id)) {
			live = d
		}
	}
	return live
}

// vouched reports whether a database with the tenant's mark belongs to the tenant's own
// role or to Howdah.
func (s *State) vouched(d *Database, id string) bool {
	r := s.role(d.Owner)
	return d.Owner == s.Admin || r != nil && parseMark(r.Comment).id == id
}

// unmistakable returns an error if nobody can say which database is the own one of one of
// these tenants.
func (s *State) unmistakable(ids []string) error {
	for _, id := range ids {
		live := s.live(id)
		for i := range s.Databases {
			d := &s.Databases[i]
			if d != live && d.mark().of(id) && s.vouched(d, id) == s.vouched(live, id) {
				return conflict("databases %q and %q both bear the mark of tenant %s: say COMMENT ON DATABASE … IS NULL for the one that is not its own", live.Name, d.Name, id)
			}
		}
	}
	return nil
}

// arrived returns the database of that name if it is the tenant's and was never opened;
// nil is none.
func (s *State) arrived(id, name string) *Database {
	if d := s.database(name); d != nil && d.mark() == (mark{id: id, state: stateArrived}) {
		return d
	}
	return nil
}

// held returns the tenant's dropped databases.
func (s *State) held(id string) []*Database {
	var held []*Database
	for i := range s.Databases {
		if m := s.Databases[i].mark(); m.id == id && m.state == stateHeld {
			held = append(held, &s.Databases[i])
		}
	}
	return held
}

func (s *State) role(name string) *Role {
	for i := range s.Roles {
		if s.Roles[i].Name == name {
			return &s.Roles[i]
		}
	}
	return nil
}

func (s *State) setting(of Scope, name string) (value string, is bool) {
	for _, x := range s.Settings {
		if x.Scope == of && x.Name == name {
			return x.Value, true
		}
	}
	return "", false
}

// unused returns the tenant's roles that nothing depends on but the databases given.
func (s *State) unused(id string, except ...uint32) []string {
	var names []string
	for _, r := range s.Roles {
		elsewhere := slices.ContainsFunc(r.Uses, func(oid uint32) bool { return !slices.Contains(except, oid) })
		if parseMark(r.Comment).id == id && !elsewhere {
			names = append(names, r.Name)
		}
	}
	return names
}
