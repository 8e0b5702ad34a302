package provision

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of Plan and Run, for errors.Is.
var (
	// ErrConflict: a name is taken by what is not the tenant's, or the tenant is
	// in a state that the operation does not start from.
	ErrConflict = errors.New("provision: conflict")
	// ErrNotFound: the operation is on what the cluster does not have.
	ErrNotFound = errors.New("provision: not found")
	// ErrInvalid: the operation itself is wrong, whatever the cluster holds.
	ErrInvalid = errors.New("provision: invalid")
	// ErrChanged: the cluster is no more what it was when the plan was made:
	// observe and plan again.
	ErrChanged = errors.New("provision: the cluster has changed since it was observed")
)

// Operation is one of this package's: Create, Warm, Clone, Suspend, Resume,
// Rename, Rotate, Configure, Drop, Undrop, Purge, Reach, Receive, Arrive, Admit, Adopt, Exchange.
type Operation interface {
	validate() error
	interest() interest
	plan(s *State) ([]Step, error)
	undo(s *State) ([]Step, error)
}

// interest is what an operation must know of a cluster.
type interest struct {
	ids       []string // tenants, the operation's first: their databases and roles
	databases []string // by name
	roles     []string // by name
	warm      string   // databases made in advance of this
	verifier  string   // a role's password is compared with

	settingsOf string // a role: what is set for it in the first tenant's database; empty for none
}

// Plan returns the steps from s to what op wants, in order; none when all is as
// it wants. It decides everything and touches nothing. Steps hold for the state
// they were planned from: after a crash or ErrChanged, observe and plan again.
func Plan(op Operation, s State) ([]Step, error) {
	if err := op.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := s.unmistakable(op.interest().ids); err != nil {
		return nil, err
	}
	steps, err := op.plan(&s)
	return locked(op, steps), err
}

// Undo returns the steps that take back what op has done so far: nothing it
// made is left, and what it had closed is open. An operation that is through is
// not undone by it: that is ErrConflict for one that has made a tenant, and no
// steps for the others.
func Undo(op Operation, s State) ([]Step, error) {
	if err := op.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := s.unmistakable(op.interest().ids); err != nil {
		return nil, err
	}
	steps, err := op.undo(&s)
	return locked(op, steps), err
}

func locked(op Operation, steps []Step) []Step {
	for i := range steps {
		steps[i].lock = op.interest().ids[0]
	}
	return steps
}

// Step is one thing to do to a cluster, to be recorded before and after. It may
// be run again, after it was done or while nobody knows whether it was.
type Step struct {
	Name      string // the same in every plan: "publish"
	Says      string // for people: `give database "acme" to role "acme" and open it`
	NeedsHold bool   // the tenant must be drained first; whoever is left is cut off

	lock    string // id under which the steps of one operation exclude each other
	actions []action
}

// action is a part of a step: one transaction or one command that takes none.
type action struct {
	kind     actionKind
	database guard
	role     string   // give, role, drop role: the role meant
	id       string   // role, drop role: whose it must be
	inside   bool     // change: connected to the database itself
	create   []string // role: statements for when there is none
	coming   guard    // exchange: what comes in the place of database
	sql      []string
}

type actionKind string

const (
	change    actionKind = "change"    // sql in one transaction, when the guard lets it
	give      actionKind = "give"      // change, after all in the database that is no superuser's was given to role
	cutOff    actionKind = "cut off"   // end sessions in the database, wait until they are gone
	create    actionKind = "create"    // sql alone creates the database, unless it is there
	drop      actionKind = "drop"      // sql alone drops the database, unless it is gone
	grantRole actionKind = "role"      // create unless there is one, then sql, in one transaction
	dropRole  actionKind = "drop role" // sql in one transaction, unless it is gone or owns something
	exchange  actionKind = "exchange"  // sql in one transaction; what database has set, and allows to whom, coming gets
)

// guard says which database an action is for. An action finds it under name and
// with the mark of id, or finds that it is done: under then, with the mark of
// thenID.
type guard struct {
	name, then string
	id, thenID string
	oid        uint32 // 0: it is made by an earlier step; known by its name, which has the job's id
}

func (g guard) String() string {
	if g.oid == 0 {
		return g.name
	}
	return fmt.Sprintf("%s (OID %d)", g.name, g.oid)
}

// staying is the guard of a database that keeps its name.
func staying(d *Database) guard {
	id := d.mark().id
	return guard{name: d.Name, then: d.Name, id: id, thenID: id, oid: d.OID}
}

// becoming is the guard of a database that gets another name.
func becoming(d *Database, name string) guard {
	g := staying(d)
	g.then = name
	return g
}

// alter is one ALTER DATABASE.
func alter(database, what string) string { return "ALTER DATABASE " + quote(database) + " " + what }

func remark(database string, m mark) string {
	return "COMMENT ON DATABASE " + quote(database) + " IS " + literal(m.String())
}

func conflict(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrConflict}, args...)...)
}

func notFound(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrNotFound}, args...)...)
}

// freeName is an error when a database of that name is there.
func (s *State) freeName(name string) error {
	d := s.database(name)
	switch {
	case d == nil:
		return nil
	case d.mark().id == "":
		return conflict("database %q is there and not Howdah's", name)
	}
	return conflict("database %q is tenant %s's", name, d.mark().id)
}

// closeStep lets nobody into a live database and ends who is in.
func closeStep(d *Database, m mark) Step {
	return Step{
		Name: "close", NeedsHold: true,
		Says: fmt.Sprintf("let nobody into database %q and end the sessions in it", d.Name),
		actions: []action{
			{kind: change, database: staying(d), sql: []string{alter(d.Name, "ALLOW_CONNECTIONS false"+d.limitBack()), remark(d.Name, m)}},
			{kind: cutOff, database: staying(d)},
		},
	}
}

// closed is closeStep unless it has been done already.
func closed(d *Database) []Step {
	if !d.Open && d.Backends == 0 {
		return nil
	}
	return []Step{closeStep(d, d.mark())}
}

// reopened opens what a step of ours has closed: not what is suspended.
func reopened(d *Database) []Step {
	if d == nil || d.Open || d.mark().state != stateLive {
		return nil
	}
	return []Step{openStep(d)}
}

func openStep(d *Database) Step {
	return Step{
		Name: "open", Says: fmt.Sprintf("allow connections to database %q", d.Name),
		actions: []action{{kind: change, database: staying(d), sql: []string{
			alter(d.Name, "ALLOW_CONNECTIONS true"+d.limitBack()), remark(d.Name, mark{id: d.mark().id}),
		}}},
	}
}

// roleStep makes a tenant's role, or gives the one there is its password.
func roleStep(role, id, verifier string) Step {
	return Step{
		Name: "role", Says: fmt.Sprintf("make role %q, which may log in and nothing else, and set its password", role),
		actions: []action{{
			kind: grantRole, role: role, id: id,
			create: []string{
				"CREATE ROLE " + quote(role) + " NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS",
				"COMMENT ON ROLE " + quote(role) + " IS " + literal(mark{id: id}.String()),
			},
			sql: []string{
				"ALTER ROLE " + quote(role) + " LOGIN PASSWORD " + literal(verifier), // what else an operator has given it stays
			},
		}},
	}
}

func dropRoleSteps(id string, roles []string) []Step {
	var steps []Step
	for _, role := range roles {
		steps = append(steps, Step{
			Name: "drop role", Says: fmt.Sprintf("drop role %q, unless it still owns something", role),
			actions: []action{{kind: dropRole, role: role, id: id, sql: []string{
				"DROP OWNED BY " + quote(role), // what it is allowed here and on shared objects
				"DROP ROLE " + quote(role),
			}}},
		})
	}
	return steps
}

func dropStep(name, says string, d *Database) Step {
	return Step{
		Name: name, Says: says,
		actions: []action{{kind: drop, database: guard{name: d.Name, id: d.mark().id, oid: d.OID}, sql: []string{
			"DROP DATABASE " + quote(d.Name) + " WITH (FORCE)",
		}}},
	}
}

// String shows the step as the planner's tests and a debug log want it: all
// that it would do, passwords left out.
func (s Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", s.Name, s.Says)
	if s.NeedsHold {
		b.WriteString("  needs a hold\n")
	}
	for _, a := range s.actions {
		a.describe(&b)
	}
	return b.String()
}

func (a *action) describe(b *strings.Builder) {
	fmt.Fprintf(b, "  %s", a.kind)
	if a.database.name != "" {
		fmt.Fprintf(b, " %v", a.database)
	}
	if a.coming.name != "" {
		fmt.Fprintf(b, " for %v", a.coming)
	}
	if a.role != "" {
		fmt.Fprintf(b, " %s", a.role)
	}
	if a.inside {
		b.WriteString(", inside")
	}
	b.WriteByte('\n')
	for _, sql := range a.create {
		fmt.Fprintf(b, "    unless there: %s\n", sql)
	}
	for _, sql := range a.sql {
		fmt.Fprintf(b, "    %s\n", withoutPassword(sql))
	}
}

func withoutPassword(sql string) string {
	if before, _, found := strings.Cut(sql, " PASSWORD "); found {
		return before + " PASSWORD …"
	}
	return sql
}
