package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// lookRole returns a role's OID, 0 when there is none, and whose it is.
func lookRole(ctx context.Context, tx pgx.Tx, name string) (oid uint32, id string, err error) {
	var comment string
	err = tx.QueryRow(ctx, `SELECT oid, coalesce(shobj_description(oid, 'pg_authid'), '')
		FROM pg_authid WHERE rolname = $1 FOR UPDATE`, name).Scan(&oid, &comment)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, "", nil
	}
	return oid, parseMark(comment).id, err
}

// grantRole makes the role, or changes the one of the tenant's. What it says
// has a password in it: the server's log does not get it.
func (a *action) grantRole(ctx context.Context, tx pgx.Tx) error {
	oid, id, err := lookRole(ctx, tx, a.role)
	statements := []string{
		"SET LOCAL log_statement = none", "SET LOCAL log_min_duration_statement = -1", "SET LOCAL log_min_error_statement = panic",
		"SET LOCAL pg_stat_statements.track = 'none'",
	}
	switch {
	case err != nil:
		return err
	case oid == 0 && a.create == nil:
		return fmt.Errorf("%w: there is no role %q", ErrChanged, a.role)
	case oid == 0:
		statements = append(statements, a.create...)
	case id != a.id:
		return conflict("role %q is not tenant %s's", a.role, a.id)
	}
	return execAll(ctx, tx, append(statements, a.sql...))
}

// dropRole drops the tenant's role unless something depends on it in a database
// other than this one, or a database is its.
func (a *action) dropRole(ctx context.Context, tx pgx.Tx) error {
	oid, id, err := lookRole(ctx, tx, a.role)
	if err != nil || oid == 0 || id != a.id {
		return err
	}
	var used bool
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_shdepend s, pg_database d
		WHERE d.datname = current_database() AND s.refclassid = 'pg_authid'::regclass AND s.refobjid = $1
		AND (s.deptype = 'o' OR s.dbid NOT IN (0, d.oid)))`, oid).Scan(&used)
	if err != nil || used {
		return err
	}
	return execAll(ctx, tx, a.sql)
}

// giveAll makes role the owner of all in this database that is neither a
// superuser's nor PostgreSQL's. REASSIGN OWNED would take their databases along,
// the source of this copy among them: those go back in the same transaction, and
// nobody sees them gone.
func giveAll(ctx context.Context, tx pgx.Tx, role string) error {
	owners, err := texts(ctx, tx, `SELECT DISTINCT rolname::text FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
		WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND NOT rolsuper AND rolname <> $1 AND rolname !~ '^pg_'
		AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1`, role)
	if err != nil || len(owners) == 0 {
		return err
	}
	others, err := texts(ctx, tx, `SELECT DISTINCT classid::regclass::text FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
		WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND s.dbid = 0
		AND classid <> 'pg_database'::regclass AND rolname = ANY ($1)`, owners)
	switch {
	case err != nil:
		return err
	case len(others) > 0:
		return conflict("roles %q own shared objects in %q besides databases: they would change hands", owners, others)
	}
	giveBack, err := texts(ctx, tx, `SELECT format('ALTER DATABASE %I OWNER TO %I', datname, rolname)
		FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE rolname = ANY ($1) FOR UPDATE OF d`, owners)
	if err != nil {
		return err
	}
	statements := make([]string, 0, len(owners)+len(giveBack))
	for _, owner := range owners {
		statements = append(statements, "REASSIGN OWNED BY "+quote(owner)+" TO "+quote(role))
	}
	return execAll(ctx, tx, append(statements, giveBack...))
}

func texts(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]string, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
