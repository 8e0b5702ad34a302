package provision

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Observe reads of the cluster what op must know. conn is the admin's, to the
// primary, always in the same database: while another process still runs a step
// of the same tenant, though its client may be gone, Observe waits for it there.
// Only a superuser can see and do what is needed; others get an error.
func Observe(ctx context.Context, conn *pgx.Conn, op Operation) (State, error) {
	if err := op.validate(); err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var s State
	want := op.interest()
	err := inTransaction(ctx, conn, func(tx pgx.Tx) error {
		if err := s.readServer(ctx, tx); err != nil {
			return err
		}
		if err := waitForStep(ctx, tx, want.ids[0]); err != nil {
			return err
		}
		if err := s.readDatabases(ctx, tx, want); err != nil {
			return err
		}
		if err := s.readRoles(ctx, tx, want); err != nil {
			return err
		}
		return s.readSettings(ctx, tx, want)
	})
	if err != nil {
		return State{}, fmt.Errorf("observe the cluster: %w", err)
	}
	return s, nil
}

// waitForStep waits until nobody runs a step under that id.
func waitForStep(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", lockName(id))
	return err
}

func lockName(id string) string { return "howdah provision " + id }

func (s *State) readServer(ctx context.Context, tx pgx.Tx) error {
	var super, standby bool
	err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_user, rolsuper, pg_is_in_recovery()
		FROM pg_roles WHERE rolname = current_user`).Scan(&s.Version, &s.Admin, &super, &standby)
	switch {
	case err != nil:
		return err
	case standby:
		return errors.New("this is a standby: tenants are made at the primary")
	case !super:
		return fmt.Errorf("role %q is no superuser: tenants cannot be made with it", s.Admin)
	}
	return nil
}

// A database dropped and held has in its comment the name it had: who has that
// name now matters too. Of many databases made in advance, all count: so comments and
// sessions are joined, as a function and a subquery for each would take most of the time.
const databasesQuery = `
WITH d AS (
	SELECT d.*, coalesce(description, '') AS comment,
		CASE WHEN description LIKE 'howdah:%' THEN string_to_array(substr(description, 8), ' ') ELSE '{}' END AS mark
	FROM pg_database d LEFT JOIN pg_shdescription s ON s.objoid = d.oid AND s.classoid = 'pg_database'::regclass
)
SELECT oid, datname::text, pg_get_userbyid(datdba)::text, datallowconn, datconnlimit = -2, comment, coalesce(sessions, 0), datconnlimit
FROM d LEFT JOIN (SELECT datid, count(*) AS sessions FROM pg_stat_activity GROUP BY datid) a ON a.datid = d.oid
WHERE datname = ANY ($1) OR mark[1] = ANY ($2) OR mark[2] = 'warm' AND mark[3] = $3
	OR datname IN (SELECT mark[3] FROM d WHERE mark[1] = ANY ($2) AND mark[2] = 'held')
ORDER BY oid`

func (s *State) readDatabases(ctx context.Context, tx pgx.Tx, want interest) error {
	rows, err := tx.Query(ctx, databasesQuery, want.databases, want.ids, want.warm)
	if err != nil {
		return err
	}
	s.Databases, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Database])
	return err
}

// Of what depends on a role only shared objects that are its count for 0: what it
// is merely allowed on them goes with it. Howdah's own role owns what is in all databases
// that are kept ready: nobody wants to know.
const rolesQuery = `
SELECT oid, rolname::text, comment, coalesce(rolpassword LIKE 'md5%', false), coalesce(sha256(convert_to(rolpassword, 'UTF8')) = $4, false),
	CASE WHEN rolname <> current_user THEN (SELECT array_agg(DISTINCT dbid ORDER BY dbid) FROM pg_shdepend s
		WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid AND (s.dbid <> 0 OR s.deptype = 'o')) END
FROM (SELECT r.*, coalesce(description, '') AS comment
	FROM pg_authid r LEFT JOIN pg_shdescription s ON s.objoid = r.oid AND s.classoid = 'pg_authid'::regclass) r
WHERE rolname = ANY ($1) OR rolname = ANY ($2)
	OR comment LIKE 'howdah:%' AND split_part(substr(comment, 8), ' ', 1) = ANY ($3)
ORDER BY oid`

func (s *State) readRoles(ctx context.Context, tx pgx.Tx, want interest) error {
	var owners []string
	for _, d := range s.Databases {
		owners = append(owners, d.Owner)
	}
	digest := sha256.Sum256([]byte(want.verifier)) // the server may log what it is asked
	rows, err := tx.Query(ctx, rolesQuery, want.roles, owners, want.ids, digest[:])
	if err != nil {
		return err
	}
	s.Roles, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Role])
	return err
}

const settingsQuery = `
SELECT CASE WHEN setrole = 0 THEN 'database' WHEN setdatabase = 0 THEN 'role' ELSE 'role in database' END,
	split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
FROM pg_db_role_setting, unnest(setconfig) c
WHERE setdatabase IN (0, $1) AND setrole IN (0, (SELECT oid FROM pg_authid WHERE rolname = $2)) AND (setdatabase, setrole) <> (0, 0)
ORDER BY 1, 2`

// readSettings reads what holds for a role in the tenant's database.
func (s *State) readSettings(ctx context.Context, tx pgx.Tx, want interest) error {
	d := s.live(want.ids[0])
	if want.settingsOf == "" || d == nil {
		return nil
	}
	rows, err := tx.Query(ctx, settingsQuery, d.OID, want.settingsOf)
	if err != nil {
		return err
	}
	s.Settings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Setting])
	return err
}

// inTransaction runs f in a transaction in which no name means anything but
// PostgreSQL's own object.
func inTransaction(ctx context.Context, conn *pgx.Conn, f func(tx pgx.Tx) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}
	return pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL search_path = pg_catalog"); err != nil {
			return err
		}
		return f(tx)
	})
}
