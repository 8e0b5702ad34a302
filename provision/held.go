package provision

import (
	"errors"
	"fmt"
	"strconv"
)

// Reach opens or closes, for superusers and nobody else, a database that is closed: one
// that a Drop has put away, to which nobody else has a right, or a suspended tenant's, of
// which the owner is kept out by a connection limit.
type Reach struct {
	ID    string
	JobID string // of the Drop; "" is the tenant's that is suspended
	Open  bool
}

func (r Reach) validate() error {
	if r.JobID == "" {
		return checkID(r.ID)
	}
	return errors.Join(checkID(r.ID), checkJob(r.JobID))
}

func (r Reach) interest() interest {
	want := interest{ids: []string{r.ID}}
	if r.JobID != "" {
		want.databases = []string{prefixDrop + r.JobID}
	}
	return want
}

func (r Reach) plan(s *State) ([]Step, error) {
	if r.JobID == "" {
		return r.planSuspended(s)
	}
	d := s.database(prefixDrop + r.JobID)
	if d == nil || d.mark().id != r.ID || d.mark().state != stateHeld {
		return nil, notFound("database %q", prefixDrop+r.JobID)
	}
	if d.Open == r.Open {
		return nil, nil
	}
	if r.Open {
		return r.step(d, alter(d.Name, "ALLOW_CONNECTIONS true")), nil
	}
	return r.step(d, alter(d.Name, "ALLOW_CONNECTIONS false")), nil
}

func (r Reach) planSuspended(s *State) ([]Step, error) {
	d := s.live(r.ID)
	if d == nil || d.mark().state != stateSuspended {
		return nil, notFound("tenant %s has no suspended database", r.ID)
	}
	m := mark{id: r.ID, state: stateSuspended}
	switch reached := d.mark().detail != ""; {
	case reached == r.Open && d.Open == r.Open:
		return nil, nil
	case r.Open && reached:
		return r.step(d, alter(d.Name, "ALLOW_CONNECTIONS true CONNECTION LIMIT 0")), nil
	case r.Open:
		m.detail = strconv.Itoa(d.Limit)
		return r.step(d, alter(d.Name, "ALLOW_CONNECTIONS true CONNECTION LIMIT 0"), remark(d.Name, m)), nil
	}
	return r.step(d, alter(d.Name, "ALLOW_CONNECTIONS false"+d.limitBack()), remark(d.Name, m)), nil
}

// limitBack gives a suspended database, when that was reached, the limit of connections
// that it had.
func (d *Database) limitBack() string {
	m := d.mark()
	if m.state != stateSuspended || m.detail == "" {
		return ""
	}
	limit, err := strconv.Atoi(m.detail)
	if err != nil { // its owner has written that
		limit = -1
	}
	return " CONNECTION LIMIT " + strconv.Itoa(max(limit, -1))
}

func (r Reach) step(d *Database, sql ...string) []Step {
	step := Step{Name: "shut", Says: fmt.Sprintf("let nobody into database %q", d.Name)}
	if r.Open {
		step = Step{Name: "look in", Says: fmt.Sprintf("let superusers, and nobody else, into database %q", d.Name)}
	}
	step.actions = []action{{kind: change, database: staying(d), sql: sql}}
	return []Step{step}
}

func (r Reach) undo(*State) ([]Step, error) { return nil, nil }

// HeldName is what the database is called that a Drop with this job's id has put away.
func HeldName(jobID string) string { return prefixDrop + jobID }
