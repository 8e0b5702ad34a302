package provision_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"howdah/provision"
	"howdah/wire/postgres"
)

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
	name, id, job := strings.Repeat("x", 63), tenantA, strings.Repeat("j", 50)
	other := "y" + name[1:]
	c.apply(t, newCreate(id, job, name), provision.Suspend{ID: id}, provision.Resume{ID: id},
		provision.Rename{ID: id, Database: other, Role: other}, provision.Drop{ID: id, JobID: job},
		provision.Undrop{ID: id, Role: other})
	c.as(t, other, other, "CREATE TABLE t ()")
	c.apply(t, provision.Drop{ID: id, JobID: job}, provision.Purge{ID: id, OID: c.oid(t, other)})
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
	for _, evil := range []string{"", "x\x00", strings.Repeat("x", 64)} {
		if _, err := plan(t.Context(), c.admin, provision.Undrop{ID: tenantA, Role: evil}); !errors.Is(err, provision.ErrInvalid) {
			t.Errorf("bring back to role %q: %v", evil, err)
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
		*[]*string{&clone.ID, &clone.Database, &clone.Role, &clone.Source, &clone.Verifier}[i] = evil
		all = append(all, create, clone)
	}
	all = append(all, provision.Rename{ID: tenantA, Database: evil}, provision.Rotate{ID: tenantA, Role: evil, Verifier: verifier},
		provision.Suspend{ID: evil}, provision.Resume{ID: evil}, provision.Purge{ID: evil, OID: 1})
	if evil != "" {
		all = append(all, provision.Rename{ID: tenantA, Database: "x", Role: evil}, provision.Undrop{ID: tenantA, Role: "x", Database: evil})
	}
	if provision.ValidName(evil) == nil || !strings.ContainsAny(evil, "XxP_p") { // as an id some of them are as good as any
		all = append(all, provision.Drop{ID: tenantA, JobID: evil}, provision.Warm{ID: "1", JobID: evil}, provision.Warm{ID: evil, JobID: "1"})
	}
	return all
}
