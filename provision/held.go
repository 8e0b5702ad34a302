package provision

import (
	"errors"
	"fmt"
)

// Reach opens or closes a database that a Drop has put away, for superusers: nobody else
// has a right to it.
type Reach struct {
	ID    string
	JobID string // of the Drop
	Open  bool
}

func (r Reach) validate() error { return errors.Join(checkID(r.ID), checkJob(r.JobID)) }

func (r Reach) interest() interest {
	return interest{ids: []string{r.ID}, databases: []string{prefixDrop + r.JobID}}
}

func (r Reach) plan(s *State) ([]Step, error) {
	d := s.database(prefixDrop + r.JobID)
	if d == nil || d.mark().id != r.ID || d.mark().state != stateHeld {
		return nil, notFound("database %q", prefixDrop+r.JobID)
	}
	if d.Open == r.Open {
		return nil, nil
	}
	step := Step{Name: "shut", Says: fmt.Sprintf("let nobody into database %q", d.Name)}
	what := "ALLOW_CONNECTIONS false"
	if r.Open {
		step = Step{Name: "look in", Says: fmt.Sprintf("let superusers into database %q", d.Name)}
		what = "ALLOW_CONNECTIONS true"
	}
	step.actions = []action{{kind: change, database: staying(d), sql: []string{alter(d.Name, what)}}}
	return []Step{step}, nil
}

func (r Reach) undo(*State) ([]Step, error) { return nil, nil }

// HeldName is what the database is called that a Drop with this job's id has put away.
func HeldName(jobID string) string { return prefixDrop + jobID }
