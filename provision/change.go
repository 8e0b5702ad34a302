package provision

import (
	"errors"
	"fmt"
)

// Suspend closes a tenant's database until Resume.
type Suspend struct{ ID string }

// Resume opens a suspended tenant's database.
type Resume struct{ ID string }

// Rename gives a tenant's database, and its role, other names. The database
// keeps its OID and its state.
type Rename struct {
	ID       string
	Database string // the new name
	Role     string // the new name; empty keeps the old
}

// Rotate gives a tenant's role another password.
type Rotate struct {
	ID       string
	Role     string
	Verifier string // SCRAM-SHA-256$…
}

func (o Suspend) validate() error             { return checkID(o.ID) }
func (o Suspend) interest() interest          { return interest{ids: []string{o.ID}} }
func (o Suspend) undo(*State) ([]Step, error) { return nil, nil }
func (o Resume) validate() error              { return checkID(o.ID) }
func (o Resume) interest() interest           { return interest{ids: []string{o.ID}} }
func (o Resume) undo(*State) ([]Step, error)  { return nil, nil }
func (o Rotate) undo(*State) ([]Step, error)  { return nil, nil }

func (o Suspend) plan(s *State) ([]Step, error) {
	d := s.live(o.ID)
	if d == nil {
		return nil, notFound("tenant %s has no database", o.ID)
	}
	m := mark{id: o.ID, state: stateSuspended}
	if d.mark() == m && !d.Open && d.Backends == 0 {
		return nil, nil
	}
	step := closeStep(d, m)
	step.Name = "suspend"
	return []Step{step}, nil
}

func (o Resume) plan(s *State) ([]Step, error) {
	d := s.live(o.ID)
	if d == nil {
		return nil, notFound("tenant %s has no database", o.ID)
	}
	if d.mark().state == stateLive && d.Open {
		return nil, nil
	}
	return []Step{openStep(d)}, nil
}

func (o Rename) validate() error {
	err := errors.Join(checkID(o.ID), checkNames("database", o.Database))
	if o.Role != "" {
		err = errors.Join(err, checkNames("role", o.Role))
	}
	return err
}

func (o Rename) interest() interest {
	return interest{ids: []string{o.ID}, databases: []string{o.Database}, roles: []string{o.Role}}
}

func (o Rename) plan(s *State) ([]Step, error) {
	d := s.live(o.ID)
	if d == nil {
		return nil, notFound("tenant %s has no database", o.ID)
	}
	var sql []string
	if d.Name != o.Database {
		if err := s.freeName(o.Database); err != nil {
			return nil, err
		}
		sql = append(sql, alter(d.Name, "RENAME TO "+quote(o.Database)))
	}
	if o.Role != "" && o.Role != d.Owner {
		if err := s.renamable(d.Owner, o.Role, o.ID); err != nil {
			return nil, err
		}
		sql = append(sql, "ALTER ROLE "+quote(d.Owner)+" RENAME TO "+quote(o.Role))
	}
	if sql == nil {
		return reopened(d), nil
	}
	if d.mark().state == stateLive {
		sql = append(sql, alter(o.Database, "ALLOW_CONNECTIONS true"))
	}
	step := Step{
		Name: "rename", NeedsHold: true, Says: o.says(d),
		actions: []action{{kind: change, database: becoming(d, o.Database), sql: sql}},
	}
	return append(closed(d), step), nil
}

func (o Rename) says(d *Database) string {
	says := fmt.Sprintf("rename database %q to %q", d.Name, o.Database)
	if o.Role != "" && o.Role != d.Owner {
		says += fmt.Sprintf(" and role %q to %q", d.Owner, o.Role)
	}
	return says
}

// renamable is an error when the tenant's role cannot get that name.
func (s *State) renamable(from, to, id string) error {
	r := s.role(from)
	switch {
	case r == nil || parseMark(r.Comment).id != id:
		return conflict("role %q, which owns the database, is not tenant %s's", from, id)
	case s.role(to) != nil:
		return conflict("role %q is there already", to)
	case r.MD5:
		return conflict("renaming role %q would clear its password, an md5 one: rotate it first", from)
	}
	return nil
}

func (o Rename) undo(s *State) ([]Step, error) { return reopened(s.live(o.ID)), nil }

// shares reports whether a role that was made for another tenant owns this one's database
// too, which it has made itself.
func (s *State) shares(r *Role, id string) bool {
	d := s.live(id)
	return parseMark(r.Comment).id != "" && d != nil && d.Owner == r.Name
}

func (o Rotate) validate() error {
	return errors.Join(checkID(o.ID), checkNames("role", o.Role), checkVerifier(o.Verifier))
}

func (o Rotate) interest() interest {
	return interest{ids: []string{o.ID}, roles: []string{o.Role}, verifier: o.Verifier}
}

func (o Rotate) plan(s *State) ([]Step, error) {
	r := s.role(o.Role)
	switch {
	case r == nil:
		return nil, notFound("role %q", o.Role)
	case parseMark(r.Comment).id != o.ID && !s.shares(r, o.ID):
		return nil, conflict("role %q is not tenant %s's", o.Role, o.ID)
	case r.Verified:
		return nil, nil
	}
	step := roleStep(o.Role, parseMark(r.Comment).id, o.Verifier)
	step.Name, step.Says = "rotate", fmt.Sprintf("set another password for role %q", o.Role)
	step.actions[0].create = nil
	step.actions[0].sql = []string{"ALTER ROLE " + quote(o.Role) + " PASSWORD " + literal(o.Verifier)}
	return []Step{step}, nil
}
