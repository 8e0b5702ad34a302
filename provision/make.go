package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Content is what an empty tenant database is made of.
type Content struct {
	// Template is the database to copy. Empty is template0. It must be free of
	// sessions; what in it belongs to roles that are no superusers becomes the
	// tenant's role's.
	Template string
	// Encoding and Collate are for template0 only, others bring their own. Empty
	// is UTF8 and C, as Odoo makes its databases. The character classes (LC_CTYPE,
	// which upper() and ILIKE go by) stay the cluster's, as they do with Odoo.
	Encoding, Collate string
	// Extensions are among unaccent and pg_trgm. They are Howdah's, not the
	// tenant's, and unaccent(text) is made IMMUTABLE, so that Odoo can index by it.
	Extensions []string
}

// Create makes a tenant: a role of its own, and a database that is the role's.
type Create struct {
	ID       string // the tenant's UUID
	JobID    string // names the database while it is being made
	Name     string // of the tenant
	Database string
	Role     string
	Verifier string // SCRAM-SHA-256$…
	Content
	// Settings of the role in this database: statement_timeout, work_mem,
	// temp_file_limit and idle_in_transaction_session_timeout.
	Settings map[string]string
	// ConnectionLimit of the database; 0 and less is none.
	ConnectionLimit int
}

func (c *Content) validate() error {
	if c.Template == "template0" {
		return errors.New("template0 is what an empty template means")
	}
	if c.Template != "" && (c.Encoding != "" || c.Collate != "") {
		return errors.New("encoding and collation come with the template: set neither beside it")
	}
	for _, e := range c.Extensions {
		if e != "unaccent" && e != "pg_trgm" {
			return fmt.Errorf("extension %q: only unaccent and pg_trgm are made here", e)
		}
	}
	return nil
}

// key tells apart databases made in advance by what they were made of.
func (c *Content) key() string {
	extensions := slices.Compact(slices.Sorted(slices.Values(c.Extensions)))
	all := strings.Join([]string{c.Template, c.encoding(), c.collate(), strings.Join(extensions, ",")}, "\x00")
	sum := sha256.Sum256([]byte(all))
	return hex.EncodeToString(sum[:8])
}

func (c *Content) encoding() string { return orElse(c.Encoding, "UTF8") }

func (c *Content) collate() string { return orElse(c.Collate, "C") }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (c Create) validate() error {
	return errors.Join(checkID(c.ID), checkJob(c.JobID),
		checkNames("tenant", c.Name, "database", c.Database, "role", c.Role),
		checkVerifier(c.Verifier), checkSettings(c.Settings), c.Content.validate())
}

func (c Create) interest() interest {
	return interest{
		ids: []string{c.ID}, databases: []string{c.Database, prefixNew + c.JobID, c.Template},
		roles: []string{c.Role}, warm: c.key(), verifier: c.Verifier,
	}
}

func (c Create) birth() birth {
	return birth{c.ID, c.JobID, c.Database, c.Role, c.Verifier, c.Settings, c.ConnectionLimit}
}

func (c Create) plan(s *State) ([]Step, error) {
	b := c.birth()
	steps, done, err := b.begin(s)
	if done || err != nil {
		return nil, err
	}
	fresh, steps, err := adopt(s, c.JobID, c.ID, steps)
	if err != nil {
		return nil, err
	}
	warm := s.warm(c.key(), c.JobID)
	switch {
	case fresh != nil && fresh.mark().state == statePrepared:
	case fresh == nil && warm != nil:
		steps = append(steps, claimStep(warm, c.JobID, c.ID))
	default:
		making, err := c.Content.steps(s, fresh, c.JobID, c.ID)
		if err != nil {
			return nil, err
		}
		steps = append(steps, making...)
	}
	if c.Template != "" {
		steps = append(steps, giveStep(c.JobID, c.ID, c.Role, statePrepared))
	}
	return append(steps, b.publishStep()), nil
}

func (c Create) undo(s *State) ([]Step, error) { return c.birth().undo(s) }

// adopt returns the job's unfinished database, after steps that clear away what
// cannot be finished.
func adopt(s *State, job, id string, steps []Step) (*Database, []Step, error) {
	d := s.database(prefixNew + job)
	switch {
	case d == nil:
		return nil, steps, nil
	case d.Owner != s.Admin || d.Comment != "" && d.mark() != (mark{id: id, state: statePrepared}):
		return nil, nil, conflict("database %q is there and not this job's", d.Name)
	case d.Invalid:
		return nil, append(steps, dropStep("clear", fmt.Sprintf("drop what an interrupted drop has left of database %q", d.Name), d)), nil
	}
	return d, steps, nil
}

// steps make an empty database of the content and prepare it.
func (c *Content) steps(s *State, fresh *Database, job, id string) ([]Step, error) {
	var steps []Step
	if fresh == nil {
		if err := c.checkTemplate(s); err != nil {
			return nil, err
		}
		steps = append(steps, c.createStep(s, job))
	}
	return append(steps, c.prepareStep(s, job, id)), nil
}

func (c *Content) checkTemplate(s *State) error {
	if c.Template == "" {
		return nil
	}
	d := s.database(c.Template)
	switch {
	case d == nil:
		return notFound("template database %q", c.Template)
	case d.mark().id != "":
		return conflict("template database %q is a tenant's: clone it", c.Template)
	}
	return nil
}

func (c *Content) createStep(s *State, job string) Step {
	name, template := prefixNew+job, orElse(c.Template, "template0")
	sql := createSQL(s, name, template)
	if c.Template == "" {
		sql += " ENCODING " + literal(c.encoding()) + " LC_COLLATE " + literal(c.collate())
		if s.Version >= 150000 {
			sql += " LOCALE_PROVIDER libc" // the cluster's own may be another, and LC_COLLATE then means little
		}
	}
	return Step{
		Name: "create", Says: fmt.Sprintf("create database %q from %s", name, template),
		actions: []action{{kind: create, database: guard{name: name}, sql: []string{sql}}},
	}
}

// createSQL makes a database that nobody but superusers gets into. WAL_LOG, for
// a copy of files has nothing in the WAL from which one tenant can be restored.
func createSQL(s *State, name, template string) string {
	sql := "CREATE DATABASE " + quote(name) + " OWNER " + quote(s.Admin) + " TEMPLATE " + quote(template) + " CONNECTION LIMIT 0"
	if s.Version >= 150000 {
		sql += " STRATEGY wal_log"
	}
	return sql
}

// prepareStep makes what only a superuser can, before there is anything of the
// tenant's in the database.
func (c *Content) prepareStep(s *State, job, id string) Step {
	name := prefixNew + job
	g := guard{name: name, then: name, id: id, thenID: id}
	var sql []string
	if s.Version >= 140000 {
		// The owner of the database, whoever that becomes, may create in public.
		sql = append(sql, "ALTER SCHEMA public OWNER TO pg_database_owner", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	}
	for _, e := range slices.Compact(slices.Sorted(slices.Values(c.Extensions))) {
		sql = append(sql, "CREATE EXTENSION IF NOT EXISTS "+quote(e)+" SCHEMA public")
		if e == "unaccent" {
			sql = append(sql, "ALTER FUNCTION public.unaccent(text) IMMUTABLE")
		}
	}
	sql = append(sql, remark(name, mark{id: id, state: statePrepared}))
	return Step{
		Name: "prepare", Says: prepareSays(c.Extensions),
		actions: []action{{kind: change, database: g, inside: true, sql: sql}},
	}
}

func prepareSays(extensions []string) string {
	if len(extensions) == 0 {
		return "set the rights on schema public"
	}
	return "set the rights on schema public and make " + strings.Join(extensions, " and ")
}
