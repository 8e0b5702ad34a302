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
	"howdah/wire/postgres"
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
	clone := newClone(tenantA, tenantB, "2", "staging")
	steps, err := plan(t.Context(), c.admin, clone)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if step.Name == "publish" { // the copy can be neutralised, but not seen
			c.as(t, "staging", "howdah_new_2", "UPDATE t SET i = 43")
			if owner := c.text(t, "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = 'howdah_new_2'"); owner != "postgres" {
				t.Errorf("the unfinished copy is %s's", owner)
			}
		}
		if err := provision.Run(t.Context(), c.admin, step); err != nil {
			t.Fatal(err)
		}
		c.nobodyIn(t, "howdah_new_2")
	}
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
		if took := time.Since(start); took > 3*time.Second {
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

// What stands in the way is left as it is.
func testConflicts(t *testing.T, c *cluster) {
	c.exec(t, "CREATE ROLE acme LOGIN", "CREATE DATABASE b OWNER acme", "CREATE DATABASE howdah_new_9")
	before := c.snapshot(t)
	for _, op := range []provision.Operation{
		newCreate(tenantA, "1", "acme"), // the role
		newCreate(tenantA, "1", "b"),    // the database
	} {
		if err := apply(t.Context(), c.admin, op); !errors.Is(err, provision.ErrConflict) {
			t.Errorf("create: %v", err)
		}
		if err := undo(t.Context(), c.admin, op); err != nil {
			t.Errorf("undo: %v", err)
		}
	}
	for _, op := range []provision.Operation{
		provision.Suspend{ID: tenantA},
		provision.Resume{ID: tenantA},
		provision.Drop{ID: tenantA, JobID: "1"},
		provision.Rename{ID: tenantA, Database: "x"},
		provision.Undrop{ID: tenantA, Role: "acme"},
		provision.Rotate{ID: tenantA, Role: "nobody", Verifier: verifier},
		newClone(tenantA, tenantB, "2", "x"),
	} {
		if err := apply(t.Context(), c.admin, op); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("%T: %v", op, err)
		}
	}
	if got := c.snapshot(t); got != before {
		t.Errorf("changed:\n%s\nbefore:\n%s", got, before)
	}
	// Names taken between the plan and the step.
	create := newCreate(tenantA, "1", "late")
	steps, err := plan(t.Context(), c.admin, create)
	if err != nil {
		t.Fatal(err)
	}
	c.exec(t, "CREATE DATABASE late")
	if err := runAll(t.Context(), c.admin, steps); !errors.Is(err, provision.ErrConflict) {
		t.Errorf("a name taken meanwhile: %v", err)
	}
	if err := undo(t.Context(), c.admin, create); err != nil {
		t.Error(err)
	}
	c.exec(t, "DROP DATABASE late", "CREATE ROLE late")
	if err := runAll(t.Context(), c.admin, steps); !errors.Is(err, provision.ErrConflict) {
		t.Errorf("a role's name taken meanwhile: %v", err)
	}
	c.exec(t, "DROP ROLE late")
	if got := c.snapshot(t); got != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", got, before)
	}
}

// A plan does nothing to a database that has got the name of the one meant.
func testAnotherDatabaseOfTheName(t *testing.T, c *cluster) {
	c.exec(t, "CREATE DATABASE another")
	c.apply(t, newCreate(tenantA, "1", "acme"))
	for _, op := range []provision.Operation{
		provision.Suspend{ID: tenantA},
		provision.Rename{ID: tenantA, Database: "ajax"},
		provision.Drop{ID: tenantA, JobID: "3"},
		newClone(tenantA, tenantB, "2", "staging"),
	} {
		steps, err := plan(t.Context(), c.admin, op)
		if err != nil {
			t.Fatal(err)
		}
		c.exec(t, "ALTER DATABASE acme RENAME TO moved", "ALTER DATABASE another RENAME TO acme", "COMMENT ON DATABASE acme IS 'howdah:"+tenantA+"'")
		err = runAll(t.Context(), c.admin, steps)
		if !errors.Is(err, provision.ErrChanged) {
			t.Errorf("%T: %v", op, err)
		}
		wantState(t, c.snapshot(t), "database acme owner=postgres open=t", "database moved owner=acme open=t")
		c.exec(t, "COMMENT ON DATABASE acme IS NULL", "ALTER DATABASE acme RENAME TO another", "ALTER DATABASE moved RENAME TO acme")
	}
	// Nor to one that has become another tenant's.
	steps, err := plan(t.Context(), c.admin, provision.Drop{ID: tenantA, JobID: "3"})
	if err != nil {
		t.Fatal(err)
	}
	c.exec(t, "COMMENT ON DATABASE acme IS 'howdah:"+tenantB+"'")
	if err := runAll(t.Context(), c.admin, steps); !errors.Is(err, provision.ErrChanged) {
		t.Errorf("drop of another tenant's: %v", err)
	}
	c.exec(t, "COMMENT ON DATABASE acme IS 'howdah:"+tenantA+"'")
	// Nor to one that has got the name of the unfinished one.
	steps, err = plan(t.Context(), c.admin, newCreate(tenantB, "5", "b"))
	if err != nil {
		t.Fatal(err)
	}
	c.exec(t, "ALTER DATABASE another RENAME TO howdah_new_5", "ALTER DATABASE howdah_new_5 OWNER TO acme")
	for _, step := range steps[1:] {
		if err := provision.Run(t.Context(), c.admin, step); err == nil {
			t.Errorf("step %q is done to somebody's database", step.Name)
		}
	}
	c.exec(t, "ALTER DATABASE howdah_new_5 OWNER TO postgres", "ALTER DATABASE howdah_new_5 RENAME TO another")
	// Nor does a purge.
	c.apply(t, provision.Drop{ID: tenantA, JobID: "4"})
	steps, err = plan(t.Context(), c.admin, provision.Purge{ID: tenantA, OID: c.oid(t, "howdah_drop_4")})
	if err != nil {
		t.Fatal(err)
	}
	c.exec(t, "ALTER DATABASE howdah_drop_4 RENAME TO moved", "ALTER DATABASE another RENAME TO howdah_drop_4", "COMMENT ON DATABASE howdah_drop_4 IS 'howdah:"+tenantA+" held acme'")
	if err := runAll(t.Context(), c.admin, steps); !errors.Is(err, provision.ErrChanged) {
		t.Errorf("purge: %v", err)
	}
	c.oid(t, "howdah_drop_4")
}

// Roles that are no superusers, and standbys, are told so before anything happens.
func testObserveNeedsASuperuser(t *testing.T, c *cluster) {
	c.exec(t, "CREATE ROLE reader LOGIN IN ROLE pg_read_all_data", "CREATE ROLE maker LOGIN CREATEDB CREATEROLE")
	before := c.snapshot(t)
	for _, role := range []string{"reader", "maker"} {
		conn, err := c.into(role, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if err := apply(t.Context(), conn, newCreate(tenantA, "1", "acme")); err == nil || !strings.Contains(err.Error(), "no superuser") {
			t.Errorf("create as %s: %v", role, err)
		}
		steps, err := plan(t.Context(), c.admin, newCreate(tenantA, "1", "acme"))
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps { // nor does a step alone leave half of itself
			if err := provision.Run(t.Context(), conn, step); err == nil {
				t.Errorf("%s may %s", role, step.Name)
			}
		}
	}
	if got := c.snapshot(t); got != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", got, before)
	}
}

// The verifier is not in the server's log, even when it logs all statements.
func testVerifierIsNotLogged(t *testing.T, c *cluster) {
	c.exec(t, "SET log_statement = 'all'", "SET log_min_duration_statement = 0")
	c.apply(t, newCreate(tenantA, "1", "acme"), provision.Rotate{ID: tenantA, Role: "acme", Verifier: another})
	read, err := os.ReadFile(c.Log())
	if err != nil {
		t.Fatal(err)
	}
	log := string(read)
	if !strings.Contains(log, `ALTER DATABASE "acme" OWNER TO "acme"`) {
		t.Error("the log has no statements: the test proves nothing")
	}
	if strings.Contains(log, "SCRAM-SHA-256$") {
		t.Error("a verifier is in the server's log")
	}
}

// Two creates at once do not disturb each other: neither when both want the one
// database made in advance, nor when both want a name, which one gets.
func testTwoAtOnce(t *testing.T, c *cluster) {
	both := func(a, b provision.Operation) (errA, errB error) {
		other := c.connect(t, c.AdminURL(postgres.Superuser))
		done := make(chan error, 1)
		go func() { done <- apply(t.Context(), other, a) }()
		errB = apply(t.Context(), c.admin, b)
		return <-done, errB
	}
	c.apply(t, provision.Warm{ID: "1", JobID: "5"})
	if errA, errB := both(newCreate(tenantA, "1", "acme"), newCreate(tenantB, "2", "b")); errA != nil || errB != nil {
		t.Errorf("two tenants: %v, %v", errA, errB)
	}
	wantState(t, c.snapshot(t), "database acme owner=acme open=t", "database b owner=b open=t")
	if strings.Contains(c.snapshot(t), "howdah_") {
		t.Errorf("left behind:\n%s", c.snapshot(t))
	}
	before := c.snapshot(t)
	one, two := newCreate(tenantID(1), "3", "same"), newCreate(tenantID(2), "4", "same")
	two.Role = "role2"
	errOne, errTwo := both(one, two)
	if (errOne == nil) == (errTwo == nil) || !errors.Is(errors.Join(errOne, errTwo), provision.ErrConflict) {
		t.Errorf("two tenants of one name: %v, %v", errOne, errTwo)
	}
	winner, loser := provision.Operation(one), provision.Operation(two)
	if errOne != nil {
		winner, loser = loser, winner
	}
	if err := undo(t.Context(), c.admin, loser); err != nil {
		t.Error(err)
	}
	if err := undo(t.Context(), c.admin, winner); !errors.Is(err, provision.ErrConflict) {
		t.Errorf("undo of what is done: %v", err)
	}
	if n := strings.Count(c.snapshot(t), "\n") - strings.Count(before, "\n"); n != 3 { // a database, a role, a setting
		t.Errorf("%d lines more:\n%s\nbefore:\n%s", n, c.snapshot(t), before)
	}
	// The same job by two nodes, one of which is thought dead.
	if errA, errB := both(newCreate(tenantID(3), "6", "twice"), newCreate(tenantID(3), "6", "twice")); errA != nil || errB != nil {
		t.Errorf("the same twice: %v, %v", errA, errB)
	}
	wantState(t, c.snapshot(t), "database twice owner=twice open=t")
	// Of two that want the one database made in advance the second plans again.
	c.apply(t, provision.Warm{ID: "7", JobID: "7"})
	late, early := newCreate(tenantID(4), "8", "late"), newCreate(tenantID(5), "9", "early")
	steps, err := plan(t.Context(), c.admin, late)
	if err != nil {
		t.Fatal(err)
	}
	c.apply(t, early)
	if err := runAll(t.Context(), c.admin, steps); !errors.Is(err, provision.ErrChanged) {
		t.Errorf("the ready-made database is gone: %v", err)
	}
	c.apply(t, late)
}

// Names of all lengths and of all characters that are allowed stay names in SQL.
func testNames(t *testing.T, c *cluster) {
	for i, name := range []string{strings.Repeat("x", 63), "user"} {
		id, job := tenantID(20+i), strings.Repeat("j", 50)
		other := "y" + name[1:]
		c.apply(t, newCreate(id, job, name), provision.Suspend{ID: id}, provision.Resume{ID: id},
			provision.Rename{ID: id, Database: other, Role: other}, provision.Drop{ID: id, JobID: job},
			provision.Undrop{ID: id, Role: other})
		c.as(t, other, other, "CREATE TABLE t ()")
		c.apply(t, provision.Drop{ID: id, JobID: job}, provision.Purge{ID: id, OID: c.oid(t, other)})
	}
	before := c.snapshot(t)
	for _, evil := range []string{
		`x"; DROP ROLE postgres; --`, `x'; SELECT 1; --`, "x\x00", "x\ny", "ümlaut", `\`, "$$", "x y", "-x", ".x", "X", "",
		strings.Repeat("x", 64), "postgres", "template1", "howdah_x", "pg_x", "public", "x;", "%s", "/etc/passwd", "..",
	} {
		for _, op := range evilOperations(evil) {
			if _, err := plan(t.Context(), c.admin, op); !errors.Is(err, provision.ErrInvalid) {
				t.Errorf("%+v: %v", op, err)
			}
			if _, err := provision.Plan(op, provision.State{}); !errors.Is(err, provision.ErrInvalid) {
				t.Errorf("%+v: %v", op, err)
			}
			if _, err := provision.Undo(op, provision.State{}); !errors.Is(err, provision.ErrInvalid) {
				t.Errorf("undo of %+v: %v", op, err)
			}
		}
	}
	// What may be any text is only text: PostgreSQL refuses it, or takes it as it is.
	create := newCreate(tenantA, "1", "acme")
	create.Settings = map[string]string{"work_mem": `16MB'; DROP ROLE postgres; --\`}
	if err := apply(t.Context(), c.admin, create); err == nil || !strings.Contains(err.Error(), "22023") {
		t.Errorf("an evil setting: %v", err)
	}
	if err := undo(t.Context(), c.admin, create); err != nil {
		t.Error(err)
	}
	create.Template = `no"; DROP ROLE postgres; --`
	if err := apply(t.Context(), c.admin, create); !errors.Is(err, provision.ErrNotFound) {
		t.Errorf("an evil template: %v", err)
	}
	c.exec(t, `CREATE DATABASE "no""; --"`)
	create.Template, create.Settings, create.JobID = `no"; --`, nil, "2"
	c.apply(t, create)
	c.apply(t, provision.Drop{ID: tenantA, JobID: "1"}, provision.Purge{ID: tenantA, OID: c.oid(t, "acme")})
	c.exec(t, `DROP DATABASE "no""; --"`)
	if got := c.snapshot(t); got != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", got, before)
	}
}

// evilOperations has the text once in each place where a name or an id goes.
func evilOperations(evil string) []provision.Operation {
	var all []provision.Operation
	for i := range 5 {
		create, clone := newCreate(tenantA, "1", "acme"), newClone(tenantB, tenantA, "1", "acme")
		*[]*string{&create.Name, &create.Database, &create.Role, &create.ID, &create.Verifier}[i] = evil
		*[]*string{&clone.Name, &clone.Database, &clone.Role, &clone.Source, &clone.Verifier}[i] = evil
		all = append(all, create, clone)
	}
	all = append(all, provision.Rename{ID: tenantA, Database: evil}, provision.Rotate{ID: tenantA, Role: evil, Verifier: verifier},
		provision.Undrop{ID: tenantA, Role: evil}, provision.Suspend{ID: evil}, provision.Resume{ID: evil}, provision.Purge{ID: evil, OID: 1})
	if evil != "" {
		all = append(all, provision.Rename{ID: tenantA, Database: "x", Role: evil}, provision.Undrop{ID: tenantA, Role: "x", Database: evil})
	}
	if provision.ValidName(evil) == nil || !strings.ContainsAny(evil, "XxP_p") { // as an id some of them are as good as any
		all = append(all, provision.Drop{ID: tenantA, JobID: evil}, provision.Warm{ID: "1", JobID: evil}, provision.Warm{ID: evil, JobID: "1"})
	}
	return all
}

// How long a tenant's database takes, from template0 and made in advance.
func testTimes(t *testing.T, c *cluster) {
	content := provision.Content{Extensions: []string{"pg_trgm", "unaccent"}}
	c.apply(t, provision.Warm{ID: "1", JobID: "1", Content: content})
	took := map[string]time.Duration{}
	for i, from := range []string{"a database made in advance", "template0"} {
		create := newCreate(tenantID(30+i), "2", []string{"warm", "cold"}[i])
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
