package provision_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"howdah/provision"
)

// All that needs a server shares one, which is emptied in between.
func TestOnAServer(t *testing.T) {
	c := startCluster(t)
	for name, test := range map[string]func(*testing.T, *cluster){
		"Crashes":                   testCrashes,
		"ClientDiesDuringCreate":    testClientDiesDuringCreate,
		"Life":                      testLife,
		"TwoAtOnce":                 testTwoAtOnce,
		"SlowSession":               testSlowSession,
		"Names":                     testNames,
		"Times":                     testTimes,
		"PurgeKeepsARoleThatIsUsed": testPurgeKeepsARoleThatIsUsed,
		"Clone":                     testClone,
		"Configure":                 testConfigure,
		"Template":                  testTemplate,
		"SessionsAreCutOff":         testSessionsAreCutOff,
		"Conflicts":                 testConflicts,
		"AnotherDatabaseOfTheName":  testAnotherDatabaseOfTheName,
		"ObserveNeedsASuperuser":    testObserveNeedsASuperuser,
		"VerifierIsNotLogged":       testVerifierIsNotLogged,
	} {
		t.Run(name, func(t *testing.T) {
			defer c.wipe(t)
			test(t, c)
		})
	}
}

// A tenant goes through everything there is.
func testLife(t *testing.T, c *cluster) {
	empty := c.snapshot(t)
	create := newCreate(tenantA, "1", "acme")
	create.Extensions = []string{"pg_trgm", "unaccent"}
	c.apply(t, create)
	oid := c.oid(t, "acme")
	wantState(t, c.snapshot(t),
		"database acme owner=acme open=t limit=20 acl={acme=CTc/acme} comment=howdah:"+tenantA+" ctype=C",
		"role acme login=t super=f may=ffff",
		"setting acme acme {work_mem=16MB}")
	if got := c.text(t, "SELECT rolpassword FROM pg_authid WHERE rolname = 'acme'"); got != verifier {
		t.Errorf("the verifier is %q", got)
	}
	c.as(t, "acme", "acme",
		"CREATE TABLE partner (name text)", "CREATE INDEX ON partner USING gin (public.unaccent(name) gin_trgm_ops)",
		"INSERT INTO partner VALUES ('Zoë')", "CREATE TEMP TABLE t (i int)")

	c.apply(t, provision.Suspend{ID: tenantA})
	if conn, err := c.into("acme", "acme"); err == nil || !strings.Contains(err.Error(), "55000") {
		t.Errorf("log in to a suspended tenant: %v, %v", conn, err)
	}
	c.apply(t, provision.Resume{ID: tenantA},
		provision.Rename{ID: tenantA, Database: "ajax", Role: "ajax"},
		provision.Rotate{ID: tenantA, Role: "ajax", Verifier: another})
	wantState(t, c.snapshot(t), "database ajax owner=ajax open=t limit=20 acl={ajax=CTc/ajax} comment=howdah:"+tenantA,
		"role ajax login=t", "setting ajax ajax {work_mem=16MB}")
	if c.oid(t, "ajax") != oid {
		t.Error("the OID has changed")
	}

	c.apply(t, provision.Drop{ID: tenantA, JobID: "2"})
	wantState(t, c.snapshot(t), "database howdah_drop_2 owner=postgres open=f limit=20 acl={postgres=CTc/postgres} comment=howdah:"+tenantA+" held ajax")
	c.exec(t, "CREATE DATABASE ajax")
	if steps, err := plan(t.Context(), c.admin, provision.Undrop{ID: tenantA, Role: "ajax"}); !errors.Is(err, provision.ErrConflict) {
		t.Errorf("undrop to a name that is taken: planned %v, error %v", steps, err)
	}
	c.exec(t, "DROP DATABASE ajax")
	c.apply(t, provision.Undrop{ID: tenantA, Role: "ajax"})
	c.as(t, "ajax", "ajax", "INSERT INTO partner SELECT name FROM partner")

	c.exec(t, "GRANT CONNECT ON DATABASE postgres TO ajax")
	c.apply(t, provision.Drop{ID: tenantA, JobID: "3"}, provision.Purge{ID: tenantA, OID: oid})
	if got := c.snapshot(t); got != empty {
		t.Errorf("left behind:\n%s\nbefore:\n%s", got, empty)
	}
}

// A role with something in another database outlives a purge.
func testPurgeKeepsARoleThatIsUsed(t *testing.T, c *cluster) {
	c.apply(t, newCreate(tenantA, "1", "acme"))
	oid := c.oid(t, "acme")
	c.exec(t, "CREATE DATABASE report")
	report, err := c.into("postgres", "report")
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close(t.Context())
	if _, err := report.Exec(t.Context(), "CREATE TABLE t (); GRANT SELECT ON t TO acme"); err != nil {
		t.Fatal(err)
	}
	drop, purge := provision.Drop{ID: tenantA, JobID: "2"}, provision.Purge{ID: tenantA, OID: oid}
	c.apply(t, drop)
	stale, err := plan(t.Context(), c.admin, provision.Purge{ID: tenantA, OID: oid})
	if err != nil {
		t.Fatal(err)
	}
	if len(stale) != 1 || stale[0].Name != "purge" {
		t.Errorf("planned %v", stale)
	}
	c.apply(t, purge)
	wantState(t, c.snapshot(t), "role acme")

	if _, err := report.Exec(t.Context(), "REVOKE SELECT ON t FROM acme"); err != nil {
		t.Fatal(err)
	}
	steps, err := plan(t.Context(), c.admin, purge)
	if err != nil || len(steps) != 1 {
		t.Fatalf("planned %v, error %v", steps, err)
	}
	// The role gets something between the plan and the step.
	if _, err := report.Exec(t.Context(), "GRANT SELECT ON t TO acme"); err != nil {
		t.Fatal(err)
	}
	if err := runAll(t.Context(), c.admin, steps); err != nil {
		t.Fatal(err)
	}
	wantState(t, c.snapshot(t), "role acme")
}

// A clone is the new role's in all its parts, and its source stays what it was.
func testClone(t *testing.T, c *cluster) {
	c.apply(t, newCreate(tenantA, "1", "acme"))
	c.exec(t, "CREATE ROLE bi", "CREATE ROLE boss SUPERUSER")
	c.as(t, "postgres", "acme", "CREATE TABLE of_the_boss ()", "ALTER TABLE of_the_boss OWNER TO boss")
	c.as(t, "acme", "acme", "CREATE TABLE t (i int)", "INSERT INTO t VALUES (42)", "CREATE SCHEMA own",
		"CREATE FUNCTION own.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT lo_create(7)", "GRANT SELECT ON t TO bi")
	before := c.snapshot(t)
	c.apply(t, newClone(tenantA, tenantB, "2", "staging"))
	c.as(t, "staging", "howdah_new_2", "UPDATE t SET i = 43") // it can be neutralised, but not seen
	if owner := c.text(t, "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = 'howdah_new_2'"); owner != "postgres" {
		t.Errorf("the unfinished copy is %s's", owner)
	}
	c.nobodyIn(t, "howdah_new_2")
	c.apply(t, provision.Arrive{ID: tenantB, JobID: "2", Database: "staging", Role: "staging", Verifier: another, Cloned: true})
	wantState(t, c.snapshot(t), strings.Split(before, "\n")...)
	wantState(t, c.snapshot(t), "database staging owner=staging open=t limit=-1 acl={staging=CTc/staging} comment=howdah:"+tenantB)
	conn, err := c.into("staging", "staging")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	const uses = `SELECT count(*)::text FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid AND rolname = $1
		JOIN pg_database d ON d.oid = s.dbid AND datname = current_database() WHERE s.refclassid = 'pg_authid'::regclass`
	if n := textOf(t, conn, uses, "acme"); n != "0" {
		t.Errorf("%s things in the clone are still acme's", n)
	}
	if n := textOf(t, conn, uses, "staging"); n != "4" {
		t.Errorf("%s things in the clone are its role's, want 4", n)
	}
	if owner := textOf(t, conn, "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'of_the_boss'"); owner != "boss" {
		t.Errorf("a superuser's table is %s's in the clone", owner)
	}
	if i := textOf(t, conn, "SELECT i::text FROM t"); i != "43" {
		t.Errorf("the clone's row is %s", i)
	}
	c.as(t, "acme", "acme", "INSERT INTO t SELECT 1 / (i - 43) FROM t") // 42 here
	if _, err := c.into("staging", "acme"); err == nil {
		t.Error("the clone's role gets into its source")
	}
	// What cannot be given back does not change hands.
	c.exec(t, "SET allow_in_place_tablespaces = on", "CREATE TABLESPACE space OWNER acme LOCATION ''")
	defer c.exec(t, "DROP TABLESPACE space")
	third := newClone(tenantA, tenantID(1), "3", "third")
	if err := apply(t.Context(), c.admin, third); !errors.Is(err, provision.ErrConflict) {
		t.Errorf("a clone of a tenant with a tablespace: %v", err)
	}
	if err := undo(t.Context(), c.admin, third); err != nil {
		t.Error(err)
	}
}

// nobodyIn waits until nobody is in a database.
func (c *cluster) nobodyIn(t *testing.T, database string) {
	t.Helper()
	const sessions = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = $1"
	for end := time.Now().Add(5 * time.Second); c.text(t, sessions, database) != "0"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("somebody stays in database %q", database)
		}
	}
}

// A create from a template gives the role what is in it; one from a database
// made in advance too.
func testTemplate(t *testing.T, c *cluster) {
	c.exec(t, "CREATE ROLE odoo LOGIN", "CREATE DATABASE odoo19 OWNER odoo")
	c.as(t, "odoo", "odoo19", "CREATE TABLE t (i int)")
	content := provision.Content{Template: "odoo19", Extensions: []string{"unaccent"}}
	direct, warm := newCreate(tenantA, "1", "acme"), newCreate(tenantB, "2", "b")
	direct.Content, warm.Content = content, content
	c.apply(t, direct, provision.Warm{ID: "1", JobID: "3", Content: content})
	ready := c.oid(t, "howdah_warm_1")
	wantState(t, c.snapshot(t), "database howdah_warm_1 owner=postgres open=f")
	c.apply(t, warm)
	if c.oid(t, "b") != ready {
		t.Error("the ready-made database was not taken")
	}
	for _, name := range []string{"acme", "b"} {
		c.as(t, name, name, "DROP TABLE t", "CREATE TABLE u (t text)", "CREATE INDEX ON u (unaccent(t))")
	}
	c.as(t, "odoo", "odoo19", "INSERT INTO t VALUES (1)")
	wantState(t, c.snapshot(t), "database odoo19 owner=odoo", "database acme owner=acme open=t limit=20 acl={acme=CTc/acme}", "database b owner=b open=t limit=20 acl={b=CTc/b}")
}

// Sessions in a database do not keep a step from being done, nor do they make
// it wait for the five seconds that PostgreSQL waits.
func testSessionsAreCutOff(t *testing.T, c *cluster) {
	c.apply(t, newCreate(tenantA, "1", "acme"))
	operations := []provision.Operation{
		provision.Suspend{ID: tenantA},
		provision.Rename{ID: tenantA, Database: "ajax"},
		newClone(tenantA, tenantB, "2", "staging"),
		provision.Drop{ID: tenantA, JobID: "3"},
	}
	database := "acme"
	for _, op := range operations {
		idle, err := c.into("acme", database)
		if err != nil {
			t.Fatal(err)
		}
		busy, err := c.into("acme", database)
		if err != nil {
			t.Fatal(err)
		}
		slept := make(chan error, 1)
		go func() {
			_, err := busy.Exec(context.Background(), "SELECT pg_sleep(60)")
			slept <- err
		}()
		start := time.Now()
		c.apply(t, op)
		_, copies := op.(provision.Clone) // for as long as that takes
		if took := time.Since(start); took > 3*time.Second && !copies {
			t.Errorf("%T took %v", op, took)
		}
		if err := <-slept; err == nil || !strings.Contains(err.Error(), "57P01") {
			t.Errorf("%T: the busy session ended with %v", op, err)
		}
		if err := idle.Ping(t.Context()); err == nil {
			t.Errorf("%T: the idle session lives", op)
		}
		if _, ok := op.(provision.Suspend); ok {
			c.apply(t, provision.Resume{ID: tenantA})
		} else {
			database = "ajax"
		}
	}
}

// A step is done when the sessions are gone, not when they are told to go.
func testSlowSession(t *testing.T, c *cluster) {
	c.apply(t, newCreate(tenantA, "1", "acme"))
	slow, err := c.into("acme", "acme")
	if err != nil {
		t.Fatal(err)
	}
	// The step broke off when it had closed the database.
	c.exec(t, "ALTER DATABASE acme ALLOW_CONNECTIONS false", "COMMENT ON DATABASE acme IS 'howdah:"+tenantA+" suspended'")
	steps, err := plan(t.Context(), c.admin, provision.Suspend{ID: tenantA})
	if err != nil || len(steps) != 1 {
		t.Fatalf("a session is left: planned %v, error %v", steps, err)
	}
	backend, err := os.FindProcess(int(slow.PgConn().PID()))
	if err != nil {
		t.Fatal(err)
	}
	if err := backend.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- runAll(t.Context(), c.admin, steps) }()
	select {
	case err := <-done:
		t.Errorf("done while a session is there: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := backend.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// How long a tenant's database takes, from template0 and made in advance.
func testTimes(t *testing.T, c *cluster) {
	content := provision.Content{Extensions: []string{"pg_trgm", "unaccent"}}
	c.apply(t, provision.Warm{ID: "1", JobID: "1", Content: content})
	took := map[string]time.Duration{}
	for i, from := range []string{"a database made in advance", "template0"} {
		create := newCreate(tenantID(30+i), "2", []string{"user", "select"}[i])
		create.Content = content
		start := time.Now()
		if err := apply(t.Context(), c.admin, create); err != nil {
			t.Fatal(err)
		}
		took[from] = time.Since(start)
		t.Logf("create from %s: %.1f ms", from, took[from].Seconds()*1000)
	}
	if took["a database made in advance"] >= took["template0"] {
		t.Error("a database made in advance saves no time")
	}
}
