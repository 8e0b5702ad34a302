package provision

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Drop takes a tenant's database away but keeps it as howdah_drop_<JobID>:
// closed and Howdah's, until Undrop or Purge.
type Drop struct {
	ID    string
	JobID string
}

// Undrop gives a dropped database back to its tenant, open.
type Undrop struct {
	ID       string
	OID      uint32 // of the database; 0 when the tenant has dropped only one
	Database string // the name to give it; empty is the one it had
	Role     string // the role to give it to
}

// Purge really drops a database that Drop has put away, and the tenant's roles
// that own nothing else. What it drops is in the backups only.
type Purge struct {
	ID  string
	OID uint32 // of the database
}

func (o Drop) validate() error { return errors.Join(checkID(o.ID), checkJob(o.JobID)) }

func (o Drop) interest() interest {
	return interest{ids: []string{o.ID}, databases: []string{prefixDrop + o.JobID}}
}

func (o Drop) plan(s *State) ([]Step, error) {
	name := prefixDrop + o.JobID
	if d := s.database(name); d != nil {
		if m := d.mark(); m.id != o.ID || m.state != stateHeld {
			return nil, conflict("database %q is there and not tenant %s's", name, o.ID)
		}
		return nil, nil
	}
	d := s.live(o.ID)
	if d == nil {
		return nil, notFound("tenant %s has no database", o.ID)
	}
	m := mark{id: o.ID, state: stateHeld, detail: d.Name}
	if r := s.role(d.Owner); r != nil && r.OID != 0 {
		m.owner = strconv.FormatUint(uint64(r.OID), 10)
	}
	hold := Step{
		Name: "put away", NeedsHold: true,
		Says: fmt.Sprintf("keep database %q as %q, closed and owned by %q, until it is purged", d.Name, name, s.Admin),
		actions: []action{{kind: change, database: becoming(d, name), sql: []string{
			alter(d.Name, "RENAME TO "+quote(name)),
			alter(name, "OWNER TO "+quote(s.Admin)),
			alter(name, "ALLOW_CONNECTIONS false"),
			remark(name, m),
		}}},
	}
	return append(closed(d), hold), nil
}

func (o Drop) undo(s *State) ([]Step, error) { return reopened(s.live(o.ID)), nil }

func (o Undrop) validate() error {
	err := checkID(o.ID)
	if o.Role == "" || len(o.Role) > maxName || strings.ContainsRune(o.Role, 0) { // one that has adopted databases may be called as it likes
		err = errors.Join(err, errors.New("the role has no name, or none that PostgreSQL takes"))
	}
	if o.Database != "" {
		err = errors.Join(err, checkNames("database", o.Database))
	}
	return err
}

func (o Undrop) interest() interest {
	return interest{ids: []string{o.ID}, databases: []string{o.Database}, roles: []string{o.Role}}
}

func (o Undrop) plan(s *State) ([]Step, error) {
	live := s.live(o.ID)
	d, err := o.find(s)
	switch {
	case err != nil:
		return nil, err
	case d == nil && live != nil && (o.OID == 0 || live.OID == o.OID):
		return nil, nil
	case d == nil:
		return nil, notFound("tenant %s has no such dropped database", o.ID)
	case live != nil:
		return nil, conflict("tenant %s has the database %q", o.ID, live.Name)
	}
	name := orElse(o.Database, d.mark().detail)
	if err := ValidName(name); err != nil {
		return nil, conflict("the name the database had: %w", err)
	}
	if err := s.freeName(name); err != nil {
		return nil, err
	}
	r := s.role(o.Role)
	switch {
	case r == nil:
		return nil, notFound("role %q", o.Role)
	case parseMark(r.Comment).id == "" && d.mark().owner != strconv.FormatUint(uint64(r.OID), 10): // another tenant's may have several
		return nil, conflict("role %q is no tenant's, and is not the one that the database was taken from", o.Role)
	}
	return []Step{{
		Name: "bring back", Says: fmt.Sprintf("rename %q to %q, give it to role %q and open it", d.Name, name, o.Role),
		actions: []action{
			{kind: cutOff, database: becoming(d, name)},
			{kind: change, database: becoming(d, name), sql: []string{
				alter(d.Name, "RENAME TO "+quote(name)),
				alter(name, "OWNER TO "+quote(o.Role)),
				alter(name, "ALLOW_CONNECTIONS true"),
				remark(name, mark{id: o.ID}),
			}},
		},
	}}, nil
}

// find returns the dropped database that is meant; nil is none.
func (o Undrop) find(s *State) (*Database, error) {
	held := s.held(o.ID)
	if o.OID == 0 && len(held) > 1 {
		return nil, conflict("tenant %s has dropped %d databases: say which by its OID", o.ID, len(held))
	}
	for _, d := range held {
		if o.OID == 0 || d.OID == o.OID {
			return d, nil
		}
	}
	return nil, nil
}

func (o Undrop) undo(*State) ([]Step, error) { return nil, nil }

func (o Purge) validate() error {
	if o.OID == 0 {
		return errors.Join(checkID(o.ID), errors.New("a purge needs the OID of the database"))
	}
	return checkID(o.ID)
}

func (o Purge) interest() interest { return interest{ids: []string{o.ID}} }

func (o Purge) plan(s *State) ([]Step, error) {
	var steps []Step
	for i := range s.Databases {
		d := &s.Databases[i]
		if d.OID != o.OID {
			continue
		}
		if d.mark().state != stateHeld {
			return nil, conflict("database %q is in use: drop it first", d.Name)
		}
		steps = append(steps, dropStep("purge", fmt.Sprintf("drop database %q, which was %q, for good", d.Name, d.mark().detail), d))
	}
	return append(steps, dropRoleSteps(o.ID, s.unused(o.ID, o.OID))...), nil
}

func (o Purge) undo(*State) ([]Step, error) { return nil, nil }
