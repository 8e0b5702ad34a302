package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Exchange puts another database in the place of a tenant's own, under its name, with its
// owner, its settings, its limit of connections and what others may do with it. The one that
// was there is kept as a Drop with this job's id keeps it.
type Exchange struct {
	ID       string // the tenant's UUID
	JobID    string
	Database string // its name
	// What comes is what Receive has made for this job, under Filler in place of the tenant's
	// UUID, for the role FillerRole; or, with Filler "", what was kept, by its OID.
	Filler     string
	FillerRole string
	OID        uint32
}

func (x Exchange) validate() error {
	err := errors.Join(checkID(x.ID), checkJob(x.JobID), checkNames("database", x.Database))
	switch {
	case x.Filler != "":
		return errors.Join(err, checkID(x.Filler), checkNames("role", x.FillerRole))
	case x.OID == 0:
		return errors.Join(err, errors.New("it does not say which database is to come"))
	}
	return err
}

func (x Exchange) interest() interest {
	want := interest{ids: []string{x.ID}, databases: []string{prefixDrop + x.JobID, prefixNew + x.JobID}}
	if x.Filler != "" {
		want.ids = append(want.ids, x.Filler)
	}
	return want
}

func (x Exchange) plan(s *State) ([]Step, error) {
	name := prefixDrop + x.JobID
	live := s.live(x.ID)
	if kept := s.database(name); kept != nil {
		if m := kept.mark(); m.id != x.ID || m.state != stateHeld {
			return nil, conflict("database %q is there and not tenant %s's", name, x.ID)
		}
		return x.tidy(s), nil
	}
	switch {
	case live == nil:
		return nil, notFound("tenant %s has no database", x.ID)
	case live.Name != x.Database:
		return nil, conflict("the database of tenant %s is called %q, not %q", x.ID, live.Name, x.Database)
	case live.mark().state == stateSuspended:
		return nil, conflict("tenant %s is suspended", x.ID)
	}
	coming, steps, err := x.coming(s, live)
	if err != nil {
		return nil, err
	}
	steps = append(steps, closed(live)...)
	steps = append(steps, x.exchangeStep(s, live, coming))
	return append(steps, x.tidy(s, coming.OID)...), nil
}

// tidy drops the role that has filled the database, which is another's by then.
func (x Exchange) tidy(s *State, except ...uint32) []Step {
	if x.Filler == "" {
		return nil
	}
	return dropRoleSteps(x.Filler, s.unused(x.Filler, except...))
}

// coming returns the database that is to come, and what must be done to it before.
func (x Exchange) coming(s *State, live *Database) (*Database, []Step, error) {
	if x.Filler == "" {
		return x.kept(s, live)
	}
	d := s.database(prefixNew + x.JobID)
	switch {
	case d == nil || d.Owner != s.Admin:
	case d.mark() == (mark{id: x.Filler, state: stateArrived}):
		return d, nil, nil
	case d.mark() == (mark{id: x.Filler, state: stateReceiving}):
		return d, []Step{x.handOverStep(d, live.Owner)}, nil
	}
	return nil, nil, conflict("database %q is not there to be given to tenant %s", prefixNew+x.JobID, x.ID)
}

// kept is coming for a database that was kept.
func (x Exchange) kept(s *State, live *Database) (*Database, []Step, error) {
	held := s.held(x.ID)
	i := slices.IndexFunc(held, func(d *Database) bool { return d.OID == x.OID })
	if i < 0 {
		return nil, nil, notFound("tenant %s has no such database that is kept", x.ID)
	}
	d := held[i]
	owner := d.mark().owner
	if r := s.role(live.Owner); owner != "" && r != nil && owner != strconv.FormatUint(uint64(r.OID), 10) {
		return nil, nil, conflict("what is in database %q belongs to another role than %q, which owns %q", d.Name, live.Owner, live.Name)
	}
	if !d.Open && d.Backends == 0 {
		return d, nil, nil
	}
	return d, []Step{{
		Name: "shut", Says: fmt.Sprintf("let nobody into database %q and end the sessions in it", d.Name),
		actions: []action{
			{kind: change, database: staying(d), sql: []string{alter(d.Name, "ALLOW_CONNECTIONS false")}},
			{kind: cutOff, database: staying(d)},
		},
	}}, nil
}

// handOverStep has the tenant's role own all that was filled in, and the other role no right
// to anything there.
func (x Exchange) handOverStep(d *Database, role string) Step {
	g := staying(d)
	both := quote(x.FillerRole) + ", " + quote(role)
	return Step{
		Name: "hand over", Says: fmt.Sprintf("have all in database %q be role %q's, and nobody come in", d.Name, role),
		actions: []action{
			{kind: change, database: g, sql: []string{alter(d.Name, "ALLOW_CONNECTIONS true CONNECTION LIMIT 0")}},
			{kind: give, database: g, role: role, inside: true, sql: []string{"REVOKE ALL ON SCHEMA public FROM " + both}},
			{kind: change, database: g, sql: []string{
				"REVOKE ALL ON DATABASE " + quote(d.Name) + " FROM " + both,
				alter(d.Name, "ALLOW_CONNECTIONS false"),
				remark(d.Name, mark{id: x.Filler, state: stateArrived}),
			}},
			{kind: cutOff, database: g},
		},
	}
}

func (x Exchange) exchangeStep(s *State, live, coming *Database) Step {
	name := prefixDrop + x.JobID
	m := mark{id: x.ID, state: stateHeld, detail: live.Name}
	if r := s.role(live.Owner); r != nil && r.OID != 0 {
		m.owner = strconv.FormatUint(uint64(r.OID), 10)
	}
	to := becoming(coming, live.Name)
	to.thenID = x.ID
	return Step{
		Name: "exchange", NeedsHold: true,
		Says: fmt.Sprintf("keep database %q as %q, closed and owned by %q, until it is purged, and put %q in its place, with its settings and rights, and open it",
			live.Name, name, s.Admin, coming.Name),
		actions: []action{{kind: exchange, database: becoming(live, name), coming: to, sql: []string{
			alter(live.Name, "RENAME TO "+quote(name)),
			alter(name, "OWNER TO "+quote(s.Admin)),
			alter(name, "ALLOW_CONNECTIONS false"),
			remark(name, m),
			alter(coming.Name, "RENAME TO "+quote(live.Name)),
			alter(live.Name, "OWNER TO "+quote(live.Owner)),
			"REVOKE ALL ON DATABASE " + quote(live.Name) + " FROM PUBLIC",
			alter(live.Name, "ALLOW_CONNECTIONS true CONNECTION LIMIT "+strconv.Itoa(max(live.Limit, -1))),
			remark(live.Name, mark{id: x.ID}),
		}}},
	}
}

// undo leaves the tenant the database that it has: what has come is not taken back.
func (x Exchange) undo(s *State) ([]Step, error) {
	if s.database(prefixDrop+x.JobID) != nil {
		return nil, nil
	}
	return reopened(s.live(x.ID)), nil
}

// exchange changes two databases for each other, all at once.
func (a *action) exchange(ctx context.Context, tx pgx.Tx) error {
	guards := []guard{a.database, a.coming}
	slices.SortFunc(guards, func(x, y guard) int { return strings.Compare(x.name, y.name) })
	for _, g := range guards {
		if err := g.lock(ctx, tx); err != nil {
			return err
		}
	}
	coming, done, err := a.coming.check(ctx, tx)
	if done || err != nil {
		return err
	}
	live, done, err := a.database.check(ctx, tx)
	if err == nil && done {
		err = fmt.Errorf("%w: database %q is another one", ErrChanged, a.database.name)
	}
	if err != nil {
		return err
	}
	before, err := texts(ctx, tx, `SELECT DISTINCT format('REVOKE ALL ON DATABASE %I FROM %s', datname, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
		FROM pg_database, aclexplode(datacl) WHERE oid = $1 AND grantee <> datdba ORDER BY 1`, coming)
	if err != nil {
		return err
	}
	rights, err := texts(ctx, tx, `SELECT format('GRANT %s ON DATABASE %I TO %s', privilege_type, datname, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
			|| CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
		FROM pg_database, aclexplode(datacl) WHERE oid = $1 AND grantee <> datdba ORDER BY 1`, live)
	if err != nil {
		return err
	}
	if err := execAll(ctx, tx, slices.Concat(before, a.sql, rights)); err != nil {
		return err
	}
	// As the catalog has them: their values are not all such as ALTER DATABASE takes back.
	for _, sql := range []string{
		"DELETE FROM pg_db_role_setting WHERE setdatabase = $2 AND $1 <> $2",
		"INSERT INTO pg_db_role_setting SELECT $2, setrole, setconfig FROM pg_db_role_setting WHERE setdatabase = $1",
	} {
		if _, err := tx.Exec(ctx, sql, live, coming); err != nil {
			return err
		}
	}
	return errors.Join(a.database.unmoved(ctx, tx, live), a.coming.unmoved(ctx, tx, coming))
}
