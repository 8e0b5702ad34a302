package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Adopt makes a tenant's of a database that its owner has made without Howdah.
type Adopt struct {
	ID       string // the tenant's UUID
	Database string
	Owner    string // the role that it must be of
}

func (o Adopt) validate() error {
	err := errors.Join(checkID(o.ID), checkNames("database", o.Database))
	if o.Owner == "" {
		err = errors.Join(err, errors.New("the owner has no name"))
	}
	return err
}

func (o Adopt) interest() interest {
	return interest{ids: []string{o.ID}, databases: []string{o.Database}}
}

func (o Adopt) plan(s *State) ([]Step, error) {
	if d := s.live(o.ID); d != nil {
		if d.Name != o.Database {
			return nil, conflict("tenant %s has the database %q already", o.ID, d.Name)
		}
		return nil, nil
	}
	d := s.database(o.Database)
	switch {
	case d == nil:
		return nil, notFound("database %q", o.Database)
	case d.Comment != "" && d.mark().id != "":
		return nil, conflict("database %q is tenant %s's", o.Database, d.mark().id)
	case d.Owner != o.Owner:
		return nil, conflict("database %q is role %q's, not role %q's", o.Database, d.Owner, o.Owner)
	case d.Invalid || !d.Open:
		return nil, conflict("database %q takes no connections", o.Database)
	}
	return []Step{{
		Name: "adopt", Says: fmt.Sprintf("let only role %q into database %q, and mark it as the tenant's", o.Owner, o.Database),
		actions: []action{{
			kind: change, database: guard{name: d.Name, then: d.Name, thenID: o.ID, oid: d.OID},
			sql: []string{"REVOKE ALL ON DATABASE " + quote(d.Name) + " FROM PUBLIC", remark(d.Name, mark{id: o.ID})},
		}},
	}}, nil
}

// undo takes the mark away. The database stays: it is its owner's.
func (o Adopt) undo(s *State) ([]Step, error) {
	d := s.live(o.ID)
	if d == nil {
		return nil, nil
	}
	return []Step{{
		Name: "leave", Says: fmt.Sprintf("take the mark from database %q", d.Name),
		actions: []action{{
			kind: change, database: guard{name: d.Name, then: d.Name, id: o.ID, oid: d.OID},
			sql: []string{"COMMENT ON DATABASE " + quote(d.Name) + " IS NULL"},
		}},
	}}, nil
}

// Whereabouts are what a cluster knows of a tenant's database whose owner may have
// made, dropped or renamed it.
type Whereabouts struct {
	Name   string // of the tenant's database; "" = it has none
	Free   bool   // there is one of the name that was asked for, and it is no tenant's
	Owner  string // of that
	Exists bool   // there is one of that name
}

// Locate looks for a tenant's database by its mark, and for one by name.
func Locate(ctx context.Context, conn *pgx.Conn, id, database string) (Whereabouts, error) {
	s, err := Observe(ctx, conn, located{id, database})
	if err != nil {
		return Whereabouts{}, err
	}
	var w Whereabouts
	if d := s.live(id); d != nil {
		w.Name = d.Name
	}
	if d := s.database(database); d != nil {
		w.Exists, w.Owner = true, d.Owner
		w.Free = d.mark().id == "" && d.Open && !d.Invalid
	}
	return w, nil
}

// located is the interest that Locate has.
type located struct{ id, database string }

func (o located) validate() error { return checkID(o.id) }
func (o located) interest() interest {
	return interest{ids: []string{o.id}, databases: []string{o.database}}
}
func (o located) plan(*State) ([]Step, error) { return nil, nil }
func (o located) undo(*State) ([]Step, error) { return nil, nil }
