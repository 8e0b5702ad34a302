package provision

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"howdah/tenants"
)

// birth is what creating, receiving and cloning have in common: a role, and a database
// that becomes the role's by the last step of all.
type birth struct {
	id, job, database, role, verifier string
	settings                          map[string]string
	limit                             int
}

func checkVerifier(v string) error {
	if !strings.HasPrefix(v, "SCRAM-SHA-256$") {
		return errors.New("the verifier is no SCRAM-SHA-256 one")
	}
	return tenants.CheckVerifier(v)
}

func checkValue(name, value string) error {
	if value == "" || strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("setting %s has no value, or one with control characters", name)
	}
	return nil
}

// begin returns the step that makes the role, unless all is done or cannot be.
func (b birth) begin(s *State) (steps []Step, done bool, err error) {
	if d := s.live(b.id); d != nil {
		if d.Name != b.database {
			return nil, false, conflict("tenant %s has the database %q already", b.id, d.Name)
		}
		return nil, true, nil
	}
	if err := s.freeName(b.database); err != nil {
		return nil, false, err
	}
	r := s.role(b.role)
	switch {
	case r == nil:
		steps = append(steps, roleStep(b.role, b.id, b.verifier))
	case parseMark(r.Comment).id != b.id:
		return nil, false, conflict("role %q is there and not tenant %s's", b.role, b.id)
	case !r.Verified:
		steps = append(steps, roleStep(b.role, b.id, b.verifier))
	}
	return steps, false, nil
}

// giveStep makes the role the owner of what is in the copy and lets it in, so
// that what must be done to a copy (neutralising it) is done as the role, before
// anybody can see the database: it is still Howdah's, and in the state given.
func giveStep(job, id, role, state string) Step {
	name := prefixNew + job
	g := guard{name: name, then: name, id: id, thenID: id}
	return Step{
		Name: "give", Says: fmt.Sprintf("make role %q the owner of what is in the copy", role),
		actions: []action{
			{kind: change, database: g, sql: []string{alter(name, "ALLOW_CONNECTIONS true")}},
			{kind: give, database: g, role: role, inside: true, sql: []string{
				"REVOKE ALL ON DATABASE " + quote(name) + " FROM PUBLIC",
				"GRANT CONNECT, TEMPORARY ON DATABASE " + quote(name) + " TO " + quote(role),
				alter(name, "CONNECTION LIMIT 5"),
				remark(name, mark{id: id, state: state}),
			}},
		},
	}
}

// publishStep is the moment from which the tenant is there.
func (b birth) publishStep() Step {
	return b.publish("ALLOW_CONNECTIONS true ", ", and open it", mark{id: b.id})
}

// publishClosedStep gives the database to the tenant, and lets nobody in yet.
func (b birth) publishClosedStep() Step {
	return b.publish("", "", mark{id: b.id, state: stateArrived})
}

func (b birth) publish(open, andOpen string, m mark) Step {
	fresh := prefixNew + b.job
	g := guard{name: fresh, then: b.database, id: b.id, thenID: b.id}
	limit := "-1"
	if b.limit > 0 {
		limit = strconv.Itoa(b.limit)
	}
	sql := []string{
		alter(fresh, "RENAME TO "+quote(b.database)),
		alter(b.database, "OWNER TO "+quote(b.role)),
		"REVOKE ALL ON DATABASE " + quote(b.database) + " FROM PUBLIC",
		alter(b.database, open+"CONNECTION LIMIT "+limit),
	}
	for _, name := range slices.Sorted(maps.Keys(b.settings)) {
		sql = append(sql, "ALTER ROLE "+quote(b.role)+" IN DATABASE "+quote(b.database)+" SET "+quote(name)+" = "+literal(b.settings[name]))
	}
	sql = append(sql, remark(b.database, m))
	return Step{
		Name: "publish", Says: fmt.Sprintf("rename it %q, give it to role %q and nobody else", b.database, b.role) + andOpen,
		actions: []action{
			{kind: change, database: g, sql: []string{alter(fresh, "ALLOW_CONNECTIONS false")}},
			{kind: cutOff, database: g},
			{kind: change, database: g, sql: sql},
		},
	}
}

func (b birth) undo(s *State) ([]Step, error) {
	if s.live(b.id) != nil {
		return nil, conflict("tenant %s is there: drop it instead", b.id)
	}
	var steps []Step
	var gone []uint32
	if d := s.database(prefixNew + b.job); d != nil && d.Owner == s.Admin && (d.Comment == "" || d.mark().id == b.id) {
		steps = append(steps, dropStep("drop", fmt.Sprintf("drop the unfinished database %q", d.Name), d))
		gone = append(gone, d.OID)
	}
	return append(steps, dropRoleSteps(b.id, s.unused(b.id, gone...))...), nil
}
