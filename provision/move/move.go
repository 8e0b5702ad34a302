package move

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"howdah/provision"
	"howdah/provision/dump"
	"howdah/wire/postgres"
)

// Errors of this package, for errors.Is.
var (
	// ErrRefused: the contents cannot be moved, or not in this way.
	ErrRefused = errors.New("it cannot be moved")
	// ErrDefinitions: somebody has changed what tables, functions or rights are.
	ErrDefinitions = errors.New("definitions were changed while the tenant was being moved, and are not replicated: repeat the move when nobody changes them")
)

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrRefused}, args...)...)
}

// Move is a tenant's database on its way. Both clusters know it under the same name.
type Move struct {
	ID       string // the tenant's UUID
	JobID    string
	Database string
	Role     string
	From, To dump.Login // the clusters' admins, to their primaries
	Tools    postgres.Binaries
	Scratch  string // a folder for definitions on their way
}

// name is that of the publication, the subscription and the slot.
func (m *Move) name() string { return "howdah_move_" + strings.ReplaceAll(m.JobID, "-", "_") }

// filled is the database that is being filled.
func (m *Move) filled() string { return provision.NewName(m.JobID) }

// connect logs in as an admin to a database, "" being the login's own. Nothing that is
// said there is logged: it may have a password in it. No name means anything but
// PostgreSQL's own object.
func connect(ctx context.Context, login dump.Login, database string) (*pgx.Conn, error) {
	if database != "" {
		login = login.In(database)
	}
	conn, err := pgx.Connect(ctx, login.String())
	if err != nil {
		return nil, fmt.Errorf("log in to database %q: %w", login["dbname"], err)
	}
	_, err = conn.Exec(ctx, asOurselves)
	if err != nil {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("log in to database %q: %w", login["dbname"], err)
	}
	return conn, nil
}

// asOurselves has nothing that the tenant has set for its database be in force, and nothing
// that is said be kept: pg_stat_statements, where there is one, would.
const asOurselves = `SET search_path = pg_catalog; SET ROLE NONE; SET log_statement = none; SET log_min_duration_statement = -1;
	SET log_min_error_statement = panic; SET pg_stat_statements.track = 'none'; SET synchronous_commit = local;
	SET default_transaction_read_only = off; SET default_transaction_isolation = 'read committed'; SET DateStyle = 'ISO'; SET TimeZone = 'UTC';
	SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN
		('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`

// Within runs f on a connection of an admin's to a database, "" being the login's own. No
// name means anything there but PostgreSQL's own object.
func Within(ctx context.Context, login dump.Login, database string, f func(*pgx.Conn) error) error {
	conn, err := connect(ctx, login, database)
	if err != nil {
		return err
	}
	return errors.Join(f(conn), conn.Close(context.WithoutCancel(ctx)))
}

// exists reports whether a cluster has a database of that name.
func exists(ctx context.Context, login dump.Login, database string) (found bool, err error) {
	err = Within(ctx, login, "", func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database).Scan(&found)
	})
	return found, err
}

func texts(ctx context.Context, q querier, sql string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal makes an SQL string constant that is the same whatever
// standard_conforming_strings says.
func literal(s string) string {
	return " E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}
