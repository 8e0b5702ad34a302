package provision

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Receive makes the database into which a tenant is to move: empty, and Howdah's. The
// role may log in and fill it, with a password that lasts for as long as that.
type Receive struct {
	ID       string // the tenant's UUID
	JobID    string // names the database until Arrive
	Database string
	Role     string
	Verifier string // SCRAM-SHA-256$…, of the password for filling it
	Locale
	Extensions []string // whatever the tenant has: the cluster must have them
	Sessions   int      // that the role needs to fill it
	// As is a role that Role becomes a member of, to fill the database as that one; "" is that
	// it does so as itself.
	As string
}

// Locale is what a database has for its whole life. All of it is of provider libc.
type Locale struct{ Encoding, Collate, CType string }

// Arrive makes the database that Receive has made, and that was filled since, or that is a
// Clone, the tenant's: from then on the tenant is there, or with Closed once it is admitted.
type Arrive struct {
	ID       string
	JobID    string
	Database string
	Role     string
	Verifier string // SCRAM-SHA-256$…, of the role from now on
	Cloned   bool   // by Clone: what is in it is the role's already
	Settings []Setting
	// ConnectionLimit of the database; 0 and less is none.
	ConnectionLimit int
	// Attributes of the role; nil leaves them.
	Attributes *Attributes
	// Closed lets nobody in yet: the caller decides where the tenant is when its database
	// has its name here, and may still take it back, by Undo.
	Closed bool
}

// Attributes are what a role may, and for how long, whatever the database.
type Attributes struct {
	CreateDB        bool
	ConnectionLimit int    // -1 is none
	ValidUntil      string // of its password; "" is for ever
}

// Admit opens the database of a tenant that has arrived.
type Admit struct {
	ID       string
	Database string
}

// Setting is one that the database, or the role, has for new sessions.
type Setting struct {
	Scope Scope
	Name  string
	Value string // as pg_db_role_setting has it
}

// Scope says whose a setting is.
type Scope string

// The scopes.
const (
	OfDatabase       Scope = "database"
	OfRole           Scope = "role"
	OfRoleInDatabase Scope = "role in database"
)

func (r Receive) validate() error {
	return errors.Join(checkID(r.ID), checkJob(r.JobID), checkNames("database", r.Database, "role", r.Role), checkVerifier(r.Verifier))
}

func (r Receive) interest() interest {
	return interest{ids: []string{r.ID}, databases: []string{r.Database, prefixNew + r.JobID}, roles: []string{r.Role}, verifier: r.Verifier}
}

func (r Receive) birth() birth {
	return birth{id: r.ID, job: r.JobID, database: r.Database, role: r.Role, verifier: r.Verifier}
}

func (r Receive) plan(s *State) ([]Step, error) {
	steps, done, err := r.birth().begin(s)
	if done || err != nil {
		return nil, err
	}
	d := s.database(prefixNew + r.JobID)
	if d != nil && d.mark() == (mark{id: r.ID, state: stateReceiving}) {
		return steps, nil
	}
	fresh, steps, err := adopt(s, r.JobID, r.ID, steps)
	if err != nil {
		return nil, err
	}
	if fresh == nil {
		steps = append(steps, r.createStep(s))
	}
	if fresh == nil || fresh.mark().state != statePrepared {
		c := Content{Extensions: r.Extensions}
		steps = append(steps, c.prepareStep(s, r.JobID, r.ID))
	}
	return append(steps, r.letInStep()), nil
}

func (r Receive) createStep(s *State) Step {
	c := Content{Encoding: r.Encoding, Collate: r.Collate}
	step := c.createStep(s, r.JobID)
	step.actions[0].sql[0] += " LC_CTYPE " + literal(r.CType)
	return step
}

func (r Receive) letInStep() Step {
	name := prefixNew + r.JobID
	g := guard{name: name, then: name, id: r.ID, thenID: r.ID}
	schema := []string{"GRANT ALL ON SCHEMA public TO " + quote(r.Role)}
	rights := []string{
		"REVOKE ALL ON DATABASE " + quote(name) + " FROM PUBLIC",
		"GRANT CONNECT, TEMPORARY, CREATE ON DATABASE " + quote(name) + " TO " + quote(r.Role),
	}
	if r.As != "" { // it may log in to no database but its own all the same
		schema = append(schema, "GRANT ALL ON SCHEMA public TO "+quote(r.As))
		rights = append(rights, "GRANT TEMPORARY, CREATE ON DATABASE "+quote(name)+" TO "+quote(r.As), "GRANT "+quote(r.As)+" TO "+quote(r.Role))
	}
	return Step{
		Name: "let in", Says: fmt.Sprintf("have role %q, and nobody else, fill database %q", r.Role, name),
		actions: []action{
			{kind: change, database: g, inside: true, sql: schema},
			{kind: change, database: g, sql: append(rights,
				alter(name, "ALLOW_CONNECTIONS true CONNECTION LIMIT "+strconv.Itoa(r.Sessions)),
				remark(name, mark{id: r.ID, state: stateReceiving}))},
		},
	}
}

func (r Receive) undo(s *State) ([]Step, error) { return undoArrival(s, r.birth()) }

func (a Arrive) validate() error {
	return errors.Join(checkID(a.ID), checkJob(a.JobID), checkNames("database", a.Database, "role", a.Role), checkVerifier(a.Verifier))
}

func (a Arrive) interest() interest {
	return interest{ids: []string{a.ID}, databases: []string{a.Database, prefixNew + a.JobID}, roles: []string{a.Role}, verifier: a.Verifier}
}

func (a Arrive) birth() birth {
	return birth{id: a.ID, job: a.JobID, database: a.Database, role: a.Role, verifier: a.Verifier, limit: a.ConnectionLimit}
}

func (a Arrive) plan(s *State) ([]Step, error) {
	b := a.birth()
	if s.arrived(a.ID, a.Database) != nil && a.Closed {
		return nil, nil
	}
	steps, done, err := b.begin(s)
	if done || err != nil {
		return nil, err
	}
	d := s.database(prefixNew + a.JobID)
	if d == nil || d.mark() != (mark{id: a.ID, state: stateReceiving}) {
		return nil, conflict("database %q is not there to be given to tenant %s", prefixNew+a.JobID, a.ID)
	}
	publish := b.publishStep()
	if a.Closed {
		publish = b.publishClosedStep()
	}
	last := &publish.actions[len(publish.actions)-1]
	settings := make([]string, 0, len(a.Settings))
	for _, set := range a.Settings {
		settings = append(settings, set.sql(a.Database, a.Role))
	}
	if a.Attributes != nil {
		settings = append(settings, a.Attributes.sql(a.Role)...)
	}
	last.sql = slices.Insert(last.sql, len(last.sql)-1, settings...) // the mark is last
	if !a.Cloned {
		publish.actions = append(a.endFilling(), publish.actions...)
	}
	return append(steps, publish), nil
}

// sql gives a role those attributes that it does not have when it is made.
func (a *Attributes) sql(role string) []string {
	var all string
	if a.CreateDB {
		all += " CREATEDB"
	}
	if a.ConnectionLimit >= 0 {
		all += " CONNECTION LIMIT " + strconv.Itoa(a.ConnectionLimit)
	}
	if a.ValidUntil != "" {
		all += " VALID UNTIL " + literal(a.ValidUntil)
	}
	if all == "" {
		return nil
	}
	return []string{"ALTER ROLE " + quote(role) + all}
}

// endFilling takes back what the role had to be given while it was not the owner.
func (a Arrive) endFilling() []action {
	name := prefixNew + a.JobID
	g := guard{name: name, then: a.Database, id: a.ID, thenID: a.ID}
	return []action{
		{kind: change, database: g, sql: []string{alter(name, "ALLOW_CONNECTIONS true CONNECTION LIMIT 0")}},
		{kind: change, database: g, inside: true, sql: []string{"REVOKE ALL ON SCHEMA public FROM " + quote(a.Role)}},
	}
}

// sql makes the setting. The value is the tenant's, and a superuser says it.
func (s Setting) sql(database, role string) string {
	of := "DATABASE " + quote(database)
	switch s.Scope {
	case OfRole:
		of = "ROLE " + quote(role)
	case OfRoleInDatabase:
		of = "ROLE " + quote(role) + " IN DATABASE " + quote(database)
	}
	value := literal(s.Value)
	switch strings.ToLower(s.Name) {
	case "search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries":
		value = list(s.Value)
	}
	return "ALTER " + of + " SET " + quote(s.Name) + " = " + value
}

// list makes string constants of a list's members, which may be in double quotes.
func list(value string) string {
	var all []string
	for rest := strings.TrimSpace(value); rest != ""; {
		var member string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			member, rest = cutQuoted(quoted)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			member, rest, _ = strings.Cut(rest, ",")
		}
		all = append(all, literal(strings.TrimSpace(member)))
		rest = strings.TrimSpace(rest)
	}
	if all == nil {
		return "''"
	}
	return strings.Join(all, ", ")
}

// cutQuoted returns what is before the closing double quote, and behind it.
func cutQuoted(text string) (member, rest string) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '"' {
			if i+1 == len(text) || text[i+1] != '"' {
				return b.String(), text[i+1:]
			}
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String(), ""
}

func (a Arrive) undo(s *State) ([]Step, error) { return undoArrival(s, a.birth()) }

// undoArrival is undo, of a database too that has its name but was never opened.
func undoArrival(s *State, b birth) ([]Step, error) {
	d := s.arrived(b.id, b.database)
	if d == nil {
		return b.undo(s)
	}
	name := prefixNew + b.job
	if err := s.freeName(name); err != nil {
		return nil, err
	}
	back := *d
	back.Name, back.Owner, back.Comment = name, s.Admin, mark{id: b.id, state: stateReceiving}.String()
	steps := []Step{{
		Name: "take back", Says: fmt.Sprintf("rename database %q, which nobody was let into, to %q, and make it %q's", d.Name, name, s.Admin),
		actions: []action{{kind: change, database: becoming(d, name), sql: []string{
			alter(d.Name, "RENAME TO "+quote(name)),
			alter(name, "OWNER TO "+quote(s.Admin)),
			remark(name, back.mark()),
		}}},
	}, dropStep("drop", fmt.Sprintf("drop database %q", name), &back)}
	const ownsDatabases = 0 // this one, or dropping the role finds out
	return append(steps, dropRoleSteps(b.id, s.unused(b.id, d.OID, ownsDatabases))...), nil
}

func (a Admit) validate() error {
	return errors.Join(checkID(a.ID), checkNames("database", a.Database))
}

func (a Admit) interest() interest {
	return interest{ids: []string{a.ID}, databases: []string{a.Database}}
}

func (a Admit) plan(s *State) ([]Step, error) {
	if d := s.live(a.ID); d != nil && d.Name == a.Database {
		return reopened(d), nil
	}
	d := s.arrived(a.ID, a.Database)
	if d == nil {
		return nil, notFound("a database %q in which tenant %s has arrived", a.Database, a.ID)
	}
	step := openStep(d)
	step.Name = "admit"
	return []Step{step}, nil
}

func (a Admit) undo(*State) ([]Step, error) { return nil, nil }

// NewName is what a database is called that is made by an operation with this job's id.
func NewName(jobID string) string { return prefixNew + jobID }
