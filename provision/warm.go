package provision

import (
	"errors"
	"fmt"
	"hash/fnv"
)

// Warm makes a database in advance, for a Create with the same Content to take.
type Warm struct {
	ID    string // a number or word of its own: howdah_warm_<ID>
	JobID string
	Content
}

// warm returns a database made in advance of that content: of several, jobs that look at
// the same time take different ones, as far as chance goes.
func (s *State) warm(key, job string) *Database {
	var all []*Database
	for i := range s.Databases {
		d := &s.Databases[i]
		if m := d.mark(); m.state == stateWarm && m.detail == key && d.Owner == s.Admin && !d.Invalid {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		return nil
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(job)) // a hash takes everything
	return all[h.Sum32()%uint32(len(all))]
}

// claimStep takes a database made in advance for this job: of two that want the
// same one, the second gets ErrChanged.
func claimStep(d *Database, job, id string) Step {
	g := becoming(d, prefixNew+job)
	g.thenID = id
	return Step{
		Name: "claim", Says: fmt.Sprintf("take the ready-made database %q", d.Name),
		actions: []action{
			{kind: cutOff, database: g},
			{kind: change, database: g, sql: []string{
				alter(d.Name, "RENAME TO "+quote(g.then)),
				remark(g.then, mark{id: id, state: statePrepared}),
			}},
		},
	}
}

func (w Warm) validate() error {
	var err error
	if !jobForm.MatchString(w.ID) {
		err = fmt.Errorf("the id %q must be 1 to 50 of a to z, 0 to 9, _ and -", w.ID)
	}
	return errors.Join(err, checkJob(w.JobID), w.Content.validate())
}

func (w Warm) interest() interest {
	return interest{ids: []string{w.ID}, databases: []string{prefixNew + w.JobID, prefixWarm + w.ID, w.Template}}
}

func (w Warm) plan(s *State) ([]Step, error) {
	ready := mark{id: w.ID, state: stateWarm, detail: w.key()}
	if d := s.database(prefixWarm + w.ID); d != nil {
		if d.mark() != ready || d.Owner != s.Admin {
			return nil, conflict("database %q is there and not made of this", d.Name)
		}
		return nil, nil
	}
	fresh, steps, err := adopt(s, w.JobID, w.ID, nil)
	if err != nil {
		return nil, err
	}
	if fresh == nil || fresh.mark().state != statePrepared {
		making, err := w.Content.steps(s, fresh, w.JobID, w.ID)
		if err != nil {
			return nil, err
		}
		steps = append(steps, making...)
	}
	return append(steps, w.shelveStep(ready)), nil
}

func (w Warm) shelveStep(ready mark) Step {
	name := prefixNew + w.JobID
	g := guard{name: name, then: prefixWarm + w.ID, id: w.ID, thenID: w.ID}
	return Step{
		Name: "shelve", Says: fmt.Sprintf("keep it closed as %q until a tenant is created", g.then),
		actions: []action{
			{kind: cutOff, database: g},
			{kind: change, database: g, sql: []string{
				alter(name, "RENAME TO "+quote(g.then)),
				alter(g.then, "ALLOW_CONNECTIONS false"),
				remark(g.then, ready),
			}},
		},
	}
}

// undo drops the finished one too: nobody uses it yet.
func (w Warm) undo(s *State) ([]Step, error) {
	var steps []Step
	for _, name := range []string{prefixNew + w.JobID, prefixWarm + w.ID} {
		d := s.database(name)
		if d != nil && d.Owner == s.Admin && (d.Comment == "" || d.mark().id == w.ID) {
			steps = append(steps, dropStep("drop", fmt.Sprintf("drop database %q", name), d))
		}
	}
	return steps, nil
}
