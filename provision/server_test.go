package provision_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/provision"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// cluster is a server of the test's own and an admin's connection to it.
type cluster struct {
	*postgres.Server
	admin *pgx.Conn
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{Server: wiretest.StartPostgres(t, wiretest.WithTrust())}
	c.admin = c.connect(t, c.AdminURL(postgres.Superuser))
	c.exec(t, "GRANT CONNECT ON DATABASE postgres TO PUBLIC") // writes down what is so already, as a later REVOKE would
	return c
}

func (c *cluster) connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// into connects to a database as a role, whose password is not asked for.
func (c *cluster) into(role, database string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return pgx.Connect(ctx, c.URL(role, "", database))
}

// as runs statements in a database as a role.
func (c *cluster) as(t *testing.T, role, database string, statements ...string) {
	t.Helper()
	conn, err := c.into(role, database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func (c *cluster) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := c.admin.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// text returns the one value of a query as the admin.
func (c *cluster) text(t *testing.T, sql string, args ...any) string {
	t.Helper()
	return textOf(t, c.admin, sql, args...)
}

func textOf(t *testing.T, conn *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	var s *string
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&s); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if s == nil {
		return "(null)"
	}
	return *s
}

// plan observes and plans.
func plan(ctx context.Context, conn *pgx.Conn, op provision.Operation) ([]provision.Step, error) {
	s, err := provision.Observe(ctx, conn, op)
	if err != nil {
		return nil, err
	}
	return provision.Plan(op, s)
}

// apply does what a job does: observe, plan, run, and again when the cluster
// has changed meanwhile.
func apply(ctx context.Context, conn *pgx.Conn, op provision.Operation) error {
	for {
		steps, err := plan(ctx, conn, op)
		if err != nil {
			return err
		}
		if err = runAll(ctx, conn, steps); !errors.Is(err, provision.ErrChanged) {
			return err
		}
	}
}

func undo(ctx context.Context, conn *pgx.Conn, op provision.Operation) error {
	s, err := provision.Observe(ctx, conn, op)
	if err != nil {
		return err
	}
	steps, err := provision.Undo(op, s)
	if err != nil {
		return err
	}
	return runAll(ctx, conn, steps)
}

func runAll(ctx context.Context, conn *pgx.Conn, steps []provision.Step) error {
	for _, step := range steps {
		if err := provision.Run(ctx, conn, step); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) apply(t *testing.T, operations ...provision.Operation) {
	t.Helper()
	for _, op := range operations {
		if err := apply(t.Context(), c.admin, op); err != nil {
			t.Fatalf("%T: %v", op, err)
		}
		steps, err := plan(t.Context(), c.admin, op)
		if err != nil || len(steps) > 0 {
			t.Fatalf("%T is done, and then planned %v, error %v", op, steps, err)
		}
	}
}

func (c *cluster) oid(t *testing.T, database string) uint32 {
	t.Helper()
	var oid uint32
	if err := c.admin.QueryRow(t.Context(), "SELECT oid FROM pg_database WHERE datname = $1", database).Scan(&oid); err != nil {
		t.Fatalf("OID of %q: %v", database, err)
	}
	return oid
}

const everything = `
SELECT line FROM (
	SELECT format('database %s owner=%s open=%s limit=%s acl=%s comment=%s ctype=%s', datname, pg_get_userbyid(datdba), datallowconn,
		datconnlimit, datacl, regexp_replace(shobj_description(oid, 'pg_database'), ' held (\S+) \d+$', ' held \1'), datcollate) FROM pg_database WHERE datname !~ '^template'
	UNION ALL SELECT format('role %s login=%s super=%s may=%s%s%s%s password=%s comment=%s', rolname, rolcanlogin, rolsuper,
		rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, md5(rolpassword), shobj_description(oid, 'pg_authid'))
		FROM pg_authid WHERE rolname !~ '^pg_'
	UNION ALL SELECT format('setting %s %s %s', setrole::regrole, datname, setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
	UNION ALL SELECT format('lock %s', objid) FROM pg_locks WHERE locktype = 'advisory'
) AS all_of_it(line) ORDER BY line`

// snapshot is all that a cluster has of databases and roles, OIDs left out.
func (c *cluster) snapshot(t *testing.T) string {
	t.Helper()
	rows, err := c.admin.Query(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// wipe drops all databases and roles but the cluster's own and those to keep.
func (c *cluster) wipe(t *testing.T, keep ...string) {
	t.Helper()
	c.exec(t, "RESET ALL")
	for _, q := range []string{
		"SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname <> 'postgres' AND datname !~ '^template' AND datname <> ALL (coalesce($1::text[], '{}'))",
		"SELECT format('DROP OWNED BY %I', rolname) FROM pg_roles WHERE rolname <> 'postgres' AND rolname !~ '^pg_' AND rolname <> ALL (coalesce($1::text[], '{}'))",
		"SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname <> 'postgres' AND rolname !~ '^pg_' AND rolname <> ALL (coalesce($1::text[], '{}'))",
	} {
		rows, err := c.admin.Query(t.Context(), q, keep)
		if err != nil {
			t.Fatal(err)
		}
		statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		c.exec(t, statements...)
	}
}

func newCreate(id, job, name string) provision.Create {
	return provision.Create{
		ID: id, JobID: job, Name: name, Database: name, Role: name, Verifier: verifier,
		Settings: map[string]string{"work_mem": "16MB"}, ConnectionLimit: 20,
	}
}

func newClone(source, id, job, name string) provision.Clone {
	return provision.Clone{Source: source, ID: id, JobID: job, Database: name, Role: name, Verifier: another}
}

func wantState(t *testing.T, got string, lines ...string) {
	t.Helper()
	for _, want := range lines {
		found := false
		for line := range strings.SplitSeq(got, "\n") {
			found = found || strings.HasPrefix(line, want)
		}
		if !found {
			t.Errorf("no line begins %q in\n%s", want, got)
		}
	}
}

func tenantID(n int) string { return fmt.Sprintf("cccccccc-0000-4000-8000-%012d", n) }

// mortal returns an admin's connection, and a function that cuts it as the death
// of this process would: nothing is said to the server.
func (c *cluster) mortal(t *testing.T) (*pgx.Conn, func()) {
	t.Helper()
	config, err := pgx.ParseConfig(c.AdminURL(postgres.Superuser))
	if err != nil {
		t.Fatal(err)
	}
	var wire net.Conn
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if wire != nil { // pgx would cancel what it has lost
			return nil, net.ErrClosed
		}
		var err error
		wire, err = dial(ctx, network, address)
		return wire, err
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return conn, func() { wire.Close() }
}
