package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Run does one step of a plan. conn is as for Observe. A step that was done
// already is left as it is, one that was half done is finished. ErrChanged: the
// cluster is no more as the plan has it; ErrConflict: a name has been taken
// meanwhile. After any error conn may be broken; observing and planning again
// on another one goes on from what is there.
func Run(ctx context.Context, conn *pgx.Conn, step Step) error {
	if err := runLocked(ctx, conn, step); err != nil {
		return fmt.Errorf("step %q: %w", step.Name, err)
	}
	return nil
}

func runLocked(ctx context.Context, conn *pgx.Conn, step Step) error {
	const key = "(pg_catalog.hashtextextended($1, 0))"
	if _, err := conn.Exec(ctx, "SELECT pg_catalog.pg_advisory_lock"+key+", "+durably, lockName(step.lock)); err != nil {
		return err
	}
	for i := range step.actions {
		if err := step.actions[i].run(ctx, conn); err != nil {
			if !conn.IsClosed() {
				_, unlock := conn.Exec(ctx, "SELECT pg_catalog.pg_advisory_unlock"+key, lockName(step.lock))
				err = errors.Join(err, unlock)
			}
			return meanwhile(err)
		}
	}
	_, err := conn.Exec(ctx, "SELECT pg_catalog.pg_advisory_unlock"+key, lockName(step.lock))
	return err
}

// durably has commits of the session be written before they are answered: what a step has
// done others go by. A server whose synchronous_commit is off would forget it in a crash.
const durably = `CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'
	THEN pg_catalog.set_config('synchronous_commit', 'local', false) END`

func (a *action) run(ctx context.Context, conn *pgx.Conn) error {
	switch a.kind {
	case change, give:
		if a.inside {
			return a.runInside(ctx, conn)
		}
		return inTransaction(ctx, conn, func(tx pgx.Tx) error { return a.change(ctx, tx) })
	case cutOff:
		return a.cutOff(ctx, conn)
	case create:
		return a.createDatabase(ctx, conn)
	case drop:
		return a.dropDatabase(ctx, conn)
	case grantRole:
		return inTransaction(ctx, conn, func(tx pgx.Tx) error { return a.grantRole(ctx, tx) })
	case exchange:
		return inTransaction(ctx, conn, func(tx pgx.Tx) error { return a.exchange(ctx, tx) })
	case dropRole:
		return inTransaction(ctx, conn, func(tx pgx.Tx) error { return a.dropRole(ctx, tx) })
	}
	panic("provision: unknown action " + string(a.kind))
}

// codeOf returns the SQLSTATE of an error; empty when it is not PostgreSQL's.
func codeOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// meanwhile makes ErrConflict of what PostgreSQL says when a name was given to
// somebody else since the plan was made, and ErrChanged of a deadlock.
func meanwhile(err error) error {
	switch codeOf(err) {
	case "42P04", "42710", "23505": // duplicate_database, duplicate_object, unique_violation
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case "40P01": // deadlock_detected
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return err
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// lock has other jobs that want the guarded database wait until the transaction ends.
// To lock its row in pg_database would not do: PostgreSQL's later minor versions lock
// what they rename a second time, in another way, so that two jobs could deadlock.
func (g guard) lock(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "howdah database "+g.name)
	return err
}

// unmoved is an error unless the database that was found is still the one that has the
// guard's name, or got the one it was to have.
func (g guard) unmoved(ctx context.Context, tx pgx.Tx, oid uint32) error {
	var same bool
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE oid = $1 AND datname IN ($2, $3))", oid, g.name, g.then).Scan(&same)
	if err == nil && !same {
		err = fmt.Errorf("%w: database %q became another one", ErrChanged, g.name)
	}
	return err
}

// check finds the guarded database. Done: what the action is for has happened already.
func (g guard) check(ctx context.Context, q querier) (oid uint32, done bool, err error) {
	oid, m, owned, err := g.look(ctx, q, g.name)
	switch {
	case err != nil:
		return 0, false, err
	case oid != 0 && g.oid != 0 && oid != g.oid:
		return 0, false, fmt.Errorf("%w: database %q is another one: OID %d, not %d", ErrChanged, g.name, oid, g.oid)
	case oid != 0 && m.id != g.id && (m.id != "" || g.oid != 0 || !owned):
		return 0, false, fmt.Errorf("%w: database %q is not %q's", ErrChanged, g.name, g.id)
	case oid != 0:
		return oid, false, nil
	}
	oid, m, _, err = g.look(ctx, q, g.then)
	if err == nil && (oid == 0 || m.id != g.thenID || g.oid != 0 && oid != g.oid) {
		err = fmt.Errorf("%w: there is no database %q", ErrChanged, g.name)
	}
	return 0, true, err
}

// look returns a database's OID and mark, and whether it is Howdah's own role's;
// OID 0 is none.
func (g guard) look(ctx context.Context, q querier, name string) (oid uint32, m mark, owned bool, err error) {
	var comment string
	err = q.QueryRow(ctx, `SELECT d.oid, coalesce(s.description, ''),
			pg_catalog.pg_get_userbyid(d.datdba) OPERATOR(pg_catalog.=) current_user
		FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_shdescription s
			ON s.objoid OPERATOR(pg_catalog.=) d.oid AND s.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_database'::pg_catalog.regclass
		WHERE d.datname OPERATOR(pg_catalog.=) $1`, name).Scan(&oid, &comment, &owned)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, mark{}, false, nil
	}
	return oid, parseMark(comment), owned, err
}

func (a *action) change(ctx context.Context, tx pgx.Tx) error {
	if err := a.database.lock(ctx, tx); err != nil {
		return err
	}
	oid, done, err := a.database.check(ctx, tx)
	if done || err != nil {
		return err
	}
	if a.kind == give {
		if err := giveAll(ctx, tx, a.role); err != nil {
			return err
		}
	}
	if err := execAll(ctx, tx, a.sql); err != nil {
		return err
	}
	return a.database.unmoved(ctx, tx, oid)
}

func execAll(ctx context.Context, tx pgx.Tx, statements []string) error {
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// runInside runs the change on a connection to the database itself.
func (a *action) runInside(ctx context.Context, conn *pgx.Conn) error {
	if _, done, err := a.database.check(ctx, conn); done || err != nil {
		return err
	}
	config := conn.Config().Copy()
	config.Database = a.database.name
	inside, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	err = inTransaction(ctx, inside, func(tx pgx.Tx) error { return a.change(ctx, tx) })
	return errors.Join(err, inside.Close(ctx))
}

// cutOffWithin is how long sessions may need to end: one may be in the middle of
// writing a large file.
const cutOffWithin = 20 * time.Second

// cutOff ends the sessions in the database and waits until they are gone, for
// PostgreSQL looks only every 100 ms and gives up after 5 s.
func (a *action) cutOff(ctx context.Context, conn *pgx.Conn) error {
	oid, done, err := a.database.check(ctx, conn)
	if done || err != nil {
		return err
	}
	pause, end := time.Millisecond, time.Now().Add(cutOffWithin)
	for {
		var left int
		err := conn.QueryRow(ctx, `SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity
			WHERE datid OPERATOR(pg_catalog.=) $1 AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()`, oid).Scan(&left)
		switch {
		case err != nil:
			return err
		case left == 0:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%d sessions in database %q do not end", left, a.database.name)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func (a *action) createDatabase(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, a.sql[0])
	if code := codeOf(err); code != "42P04" && code != "23505" {
		return err
	}
	// It is there: this step's own from before, by its name and owner.
	oid, _, owned, look := a.database.look(ctx, conn, a.database.name)
	if look == nil && oid != 0 && owned {
		return nil
	}
	return errors.Join(err, look)
}

func (a *action) dropDatabase(ctx context.Context, conn *pgx.Conn) error {
	g := a.database
	oid, m, owned, err := g.look(ctx, conn, g.name)
	switch {
	case err != nil || oid == 0:
		return err
	case !owned || m.id != g.id || oid != g.oid:
		return fmt.Errorf("%w: database %q is not the one to drop", ErrChanged, g.name)
	}
	_, err = conn.Exec(ctx, a.sql[0])
	return err
}
