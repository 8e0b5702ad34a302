package provision

import (
	"errors"
	"fmt"
)

// Clone makes a copy of a tenant's database for another tenant, on the same cluster.
// Nobody is in the source while it is copied: that is for small ones. What is in the copy
// is the new role's, which may log in to it, with a password that lasts for as long as
// that: then the copy is neutralised. Arrive makes it the new tenant's.
type Clone struct {
	Source   string // the UUID of the tenant to copy
	ID       string // the new tenant's UUID
	JobID    string // names the database until Arrive
	Database string
	Role     string
	Verifier string // SCRAM-SHA-256$…, of the password for settling in
}

func (c Clone) validate() error {
	err := checkID(c.Source)
	if c.Source == c.ID {
		err = errors.New("a clone is another tenant than its source")
	}
	return errors.Join(err, checkID(c.ID), checkJob(c.JobID), checkNames("database", c.Database, "role", c.Role), checkVerifier(c.Verifier))
}

func (c Clone) interest() interest {
	return interest{
		ids: []string{c.ID, c.Source}, databases: []string{c.Database, prefixNew + c.JobID},
		roles: []string{c.Role}, verifier: c.Verifier,
	}
}

func (c Clone) birth() birth {
	return birth{id: c.ID, job: c.JobID, database: c.Database, role: c.Role, verifier: c.Verifier}
}

func (c Clone) plan(s *State) ([]Step, error) {
	steps, done, err := c.birth().begin(s)
	if done || err != nil {
		return nil, err
	}
	d := s.database(prefixNew + c.JobID)
	if d != nil && d.mark() == (mark{id: c.ID, state: stateReceiving}) {
		return steps, nil
	}
	fresh, steps, err := adopt(s, c.JobID, c.ID, steps)
	if err != nil {
		return nil, err
	}
	source := s.live(c.Source)
	switch {
	case fresh != nil && source != nil && !source.Open && source.mark().state == stateLive:
		steps = append(steps, goOnStep(source))
	case fresh != nil:
	case source == nil:
		return nil, notFound("tenant %s has no database to clone", c.Source)
	default:
		steps = append(append(steps, closed(source)...), copyStep(s, source, c.JobID))
		if source.mark().state == stateLive {
			steps = append(steps, goOnStep(source))
		}
	}
	return append(steps, giveStep(c.JobID, c.ID, c.Role, stateReceiving)), nil
}

func copyStep(s *State, source *Database, job string) Step {
	name := prefixNew + job
	g := staying(source)
	return Step{
		Name: "copy", NeedsHold: true,
		Says: fmt.Sprintf("copy database %q to %q", source.Name, name),
		actions: []action{
			{kind: cutOff, database: g},
			{kind: create, database: guard{name: name}, sql: []string{createSQL(s, name, source.Name)}},
		},
	}
}

// goOnStep opens the source again; until then its clients must be held.
func goOnStep(source *Database) Step {
	step := openStep(source)
	step.NeedsHold = true
	return step
}

func (c Clone) undo(s *State) ([]Step, error) {
	steps, err := c.birth().undo(s)
	if err != nil {
		return nil, err
	}
	return append(reopened(s.live(c.Source)), steps...), nil
}
