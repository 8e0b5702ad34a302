package provision_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/provision"
	"howdah/wire/postgres"
)

// killer is a tracer that ends the connection's backend just before the n-th of
// the statements that matter: those outside transactions and commits, for what
// is in a transaction is undone together. With n 0 it only counts them.
type killer struct {
	admin *pgx.Conn // another connection
	every bool      // all statements matter
	n     int
	seen  int
	last  string
}

func (k *killer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	waiting := data.SQL == k.last // cutting off asks again and again
	inside := conn.PgConn().TxStatus() != 'I' && data.SQL != "commit"
	if waiting || inside && !k.every || strings.Contains(data.SQL, "pg_advisory_") || strings.HasPrefix(data.SQL, "begin") {
		return ctx
	}
	k.seen++
	k.last = data.SQL
	if k.seen == k.n {
		_, _ = k.admin.Exec(ctx, "SELECT pg_terminate_backend($1, 10000)", conn.PgConn().PID())
	}
	return ctx
}

func (k *killer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// crash is an operation that is broken off again and again.
type crash struct {
	*cluster
	every  bool                                   // at every statement
	before []provision.Operation                  // what must have been, once
	op     func(t *testing.T) provision.Operation // always the same but for an OID
	revert []provision.Operation                  // from done back to before
	keep   []string                               // without revert: names that stay, others are wiped

	start, done string // snapshots
	steps       int
}

func crashes(c *cluster) map[string]*crash {
	create := newCreate(tenantA, "1", "acme")
	content := provision.Content{Extensions: []string{"unaccent"}}
	warm, warmed := provision.Warm{ID: "1", JobID: "5", Content: content}, newCreate(tenantB, "2", "b")
	warmed.Content = content
	suspend, resume := provision.Suspend{ID: tenantA}, provision.Resume{ID: tenantA}
	drop, undrop := provision.Drop{ID: tenantA, JobID: "3"}, provision.Undrop{ID: tenantA, Role: "acme"}
	with := func(op provision.Operation, before ...provision.Operation) *crash {
		return &crash{cluster: c, before: before, op: func(*testing.T) provision.Operation { return op }}
	}
	back := func(x *crash, revert ...provision.Operation) *crash {
		x.revert = revert
		return x
	}
	clone := with(newClone(tenantA, tenantB, "2", "staging"), create)
	clone.keep = []string{"acme"}
	purge := with(nil, create, drop)
	purge.op = func(t *testing.T) provision.Operation {
		return provision.Purge{ID: tenantA, OID: c.oid(t, "howdah_drop_3")}
	}
	return map[string]*crash{
		"create": with(create), "warm": with(warm), "create warm": with(warmed, warm), "clone": clone, "purge": purge,
		"suspend": back(with(suspend, create), resume),
		"resume":  back(with(resume, create, suspend), suspend),
		"rename":  back(with(provision.Rename{ID: tenantA, Database: "ajax", Role: "ajax"}, create), provision.Rename{ID: tenantA, Database: "acme", Role: "acme"}),
		"rotate": back(with(provision.Rotate{ID: tenantA, Role: "acme", Verifier: another}, create),
			provision.Rotate{ID: tenantA, Role: "acme", Verifier: verifier}),
		"drop":   back(with(drop, create), undrop),
		"undrop": back(with(undrop, create, drop), drop),
	}
}

// However an operation breaks off, going on from there ends as if it had not,
// and undoing it as if it had never begun.
func TestCrashes(t *testing.T) { breakOff(t, false) }

// The same, broken off at every single statement.
func TestCrashesSoak(t *testing.T) {
	if os.Getenv("HOWDAH_SOAK") == "" {
		t.Skip("set HOWDAH_SOAK")
	}
	breakOff(t, true)
}

func breakOff(t *testing.T, every bool) {
	c := startCluster(t)
	for name, x := range crashes(c) {
		t.Run(name, func(t *testing.T) {
			x.every = every
			statements := x.measure(t)
			for n := 1; n <= statements; n++ {
				x.killAt(t, n)
			}
			x.repeat(t)
			for n := range x.steps {
				x.undo(t, n)
			}
			c.wipe(t)
			t.Logf("%d steps, broken off at %d statements", x.steps, statements)
		})
	}
}

// begin makes what must be before the operation.
func (x *crash) begin(t *testing.T) provision.Operation {
	t.Helper()
	if x.start == "" || x.revert == nil {
		x.apply(t, x.before...)
	}
	got := x.snapshot(t)
	if x.start == "" {
		x.start = got
	}
	if got != x.start {
		t.Fatalf("it begins from\n%s\ninstead of\n%s", got, x.start)
	}
	return x.op(t)
}

// end takes back what has been done.
func (x *crash) end(t *testing.T) {
	t.Helper()
	if x.revert == nil {
		x.wipe(t, x.keep...)
		return
	}
	x.apply(t, x.revert...)
}

// traced returns a connection of the admin's with a tracer.
func (x *crash) traced(t *testing.T, k *killer) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(x.AdminURL(postgres.Superuser))
	if err != nil {
		t.Fatal(err)
	}
	config.Tracer = k
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// measure runs the operation as it should be and returns how many statements it takes.
func (x *crash) measure(t *testing.T) int {
	t.Helper()
	defer x.end(t)
	op := x.begin(t)
	steps := x.planned(t, op)
	x.steps = len(steps)
	k := &killer{every: x.every}
	conn := x.traced(t, k)
	defer conn.Close(t.Context())
	if err := runAll(t.Context(), conn, steps); err != nil {
		t.Fatal(err)
	}
	if x.done = x.snapshot(t); x.done == x.start || x.steps == 0 {
		t.Fatal("the operation does nothing")
	}
	return k.seen
}

func (x *crash) planned(t *testing.T, op provision.Operation) []provision.Step {
	t.Helper()
	steps, err := plan(t.Context(), x.admin, op)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// killAt ends the backend before the n-th statement and goes on.
func (x *crash) killAt(t *testing.T, n int) {
	t.Helper()
	defer x.end(t)
	op := x.begin(t)
	steps := x.planned(t, op)
	k := &killer{admin: x.admin, every: x.every, n: n}
	conn := x.traced(t, k)
	err := runAll(t.Context(), conn, steps)
	if err == nil {
		t.Fatalf("killed at statement %d, it knows nothing of it", n)
	}
	conn.Close(t.Context())
	x.goOn(t, op, "killed before: "+k.last)
}

func (x *crash) goOn(t *testing.T, op provision.Operation, after string) {
	t.Helper()
	if err := apply(t.Context(), x.admin, op); err != nil {
		t.Errorf("%s: %v", after, err)
	}
	if got := x.snapshot(t); got != x.done {
		t.Errorf("%s: it ends as\n%s\ninstead of\n%s", after, got, x.done)
	}
}

// repeat runs every step twice.
func (x *crash) repeat(t *testing.T) {
	t.Helper()
	defer x.end(t)
	op := x.begin(t)
	for _, step := range x.planned(t, op) {
		if err := runAll(t.Context(), x.admin, []provision.Step{step, step}); err != nil {
			t.Fatalf("step %q twice: %v", step.Name, err)
		}
	}
	x.goOn(t, op, "each step twice")
}

// undo runs n steps, then takes them back.
func (x *crash) undo(t *testing.T, n int) {
	t.Helper()
	op := x.begin(t)
	steps := x.planned(t, op)[:n]
	if err := runAll(t.Context(), x.admin, steps); err != nil {
		t.Fatal(err)
	}
	if err := undo(t.Context(), x.admin, op); err != nil {
		t.Errorf("undo after %d steps: %v", n, err)
	}
	want := x.start
	switch op.(type) {
	case provision.Create:
		if len(x.before) > 0 && n > 1 { // the ready-made one has been used up
			_, want, _ = strings.Cut(want, "\n")
		}
	case provision.Purge:
		want = x.snapshot(t) // for good
	}
	if got := x.snapshot(t); got != want {
		t.Errorf("undone after %d steps: left\n%s\ninstead of\n%s", n, got, want)
	}
	if x.revert == nil {
		x.wipe(t, x.keep...)
	}
}

// A process dies while its CREATE DATABASE runs on: whoever takes the job up
// waits for that, and an undo leaves nothing.
func TestClientDiesDuringCreate(t *testing.T) {
	c := startCluster(t)
	empty := c.snapshot(t)
	for _, resume := range []bool{true, false} {
		create := newCreate(tenantA, "1", "acme")
		steps, err := plan(t.Context(), c.admin, create)
		if err != nil {
			t.Fatal(err)
		}
		dying, kill := c.mortal(t)
		ended := make(chan error, 1)
		go func() { ended <- runAll(context.Background(), dying, steps) }()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Microsecond) {
			if c.text(t, "SELECT count(*)::text FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'CREATE DATABASE%'") == "1" {
				break
			}
			if time.Now().After(end) {
				t.Fatal("no CREATE DATABASE seen")
			}
		}
		kill()
		if err := <-ended; err == nil {
			t.Fatal("the dead client got all done")
		}
		if resume {
			c.apply(t, create)
			wantState(t, c.snapshot(t), "database acme owner=acme open=t")
			c.wipe(t)
			continue
		}
		if err := undo(t.Context(), c.admin, create); err != nil {
			t.Error(err)
		}
		time.Sleep(300 * time.Millisecond) // in which it would come up
		if got := c.snapshot(t); got != empty {
			t.Errorf("left behind:\n%s\nbefore:\n%s", got, empty)
		}
	}
}
