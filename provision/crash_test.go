package provision_test

import (
	"context"
	"os"
	"slices"
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
	step  string    // that runs
	only  []string  // statements of other steps do not matter; nil: of all
	n     int
	seen  int
	last  string
}

func (k *killer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if k.only != nil && !slices.Contains(k.only, k.step) {
		return ctx
	}
	waiting := data.SQL == k.last // cutting off asks again and again
	inside := conn.PgConn().TxStatus() != 'I' && data.SQL != "commit"
	if waiting || inside && !k.every || strings.Contains(data.SQL, "pg_advisory_") || strings.HasPrefix(data.SQL, "begin") {
		return ctx
	}
	k.seen++
	k.last = data.SQL
	if k.seen == k.n {
		for alive := true; alive; { // pg_terminate_backend itself looks only every 100 ms
			err := k.admin.QueryRow(ctx, "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE pid = $1", conn.PgConn().PID()).Scan(&alive)
			if err != nil {
				panic(err)
			}
		}
	}
	return ctx
}

// run runs steps on the traced connection.
func (k *killer) run(ctx context.Context, conn *pgx.Conn, steps []provision.Step) error {
	for _, step := range steps {
		k.step = step.Name
		if err := provision.Run(ctx, conn, step); err != nil {
			return err
		}
	}
	return nil
}

func (k *killer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// crash is an operation that is broken off again and again.
type crash struct {
	*cluster
	every  bool                                   // at every statement
	only   []string                               // in these steps; the others are another crash's; nil is all
	before []provision.Operation                  // what must have been, once
	op     func(t *testing.T) provision.Operation // always the same but for an OID
	revert []provision.Operation                  // from done back to before
	keep   []string                               // without revert: names that stay, others are wiped

	start, done string // snapshots
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
	clone.keep, clone.only = []string{"acme"}, []string{"copy", "open", "give"}
	shelve, claim := with(warm), with(warmed, warm)
	shelve.only, claim.only = []string{"shelve"}, []string{"claim"}
	purge := with(nil, create, drop)
	purge.op = func(t *testing.T) provision.Operation {
		return provision.Purge{ID: tenantA, OID: c.oid(t, "howdah_drop_3")}
	}
	receive := provision.Receive{
		ID: tenantB, JobID: "7", Database: "filler", Role: "filler", Verifier: verifier, As: "acme", Sessions: 4,
		Locale: provision.Locale{Encoding: "UTF8", Collate: "C", CType: "C"},
	}
	swap := provision.Exchange{ID: tenantA, JobID: "7", Database: "acme", Filler: tenantB, FillerRole: "filler"}
	swapBack := with(nil, create, receive, swap)
	swapBack.op = func(t *testing.T) provision.Operation {
		return provision.Exchange{ID: tenantA, JobID: "8", Database: "acme", OID: c.oid(t, "howdah_drop_7")}
	}
	return map[string]*crash{
		"exchange": with(swap, create, receive), "exchange back": swapBack,
		"create": with(create), "warm": shelve, "create warm": claim, "clone": clone, "purge": purge,
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
func testCrashes(t *testing.T, c *cluster) { breakOff(t, c, false) }

// The same, broken off at every single statement.
func TestCrashesSoak(t *testing.T) {
	if os.Getenv("HOWDAH_SOAK") == "" {
		t.Skip("set HOWDAH_SOAK")
	}
	breakOff(t, startCluster(t), true)
}

func breakOff(t *testing.T, c *cluster, every bool) {
	for name, x := range crashes(c) {
		t.Run(name, func(t *testing.T) {
			x.every = every
			statements := x.measure(t)
			for n := 1; n <= statements; n++ {
				x.killAt(t, n)
			}
			x.undo(t)
			c.wipe(t)
			t.Logf("broken off at %d statements", statements)
		})
	}
}

// begin makes what must be before the operation.
func (x *crash) begin(t *testing.T) provision.Operation {
	t.Helper()
	if x.start == "" || x.revert == nil { // what is there already is left so
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
	k := &killer{every: x.every, only: x.only}
	conn := x.traced(t, k)
	defer conn.Close(t.Context())
	if err := k.run(t.Context(), conn, steps); err != nil {
		t.Fatal(err)
	}
	if x.done = x.snapshot(t); x.done == x.start {
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
	k := &killer{admin: x.admin, every: x.every, only: x.only, n: n}
	conn := x.traced(t, k)
	err := k.run(t.Context(), conn, steps)
	if err == nil {
		t.Fatalf("killed at statement %d, it knows nothing of it", n)
	}
	conn.Close(t.Context())
	x.goOn(t, op, "killed before: "+k.last)
}

// goOn does what is left to do, each step twice.
func (x *crash) goOn(t *testing.T, op provision.Operation, after string) {
	t.Helper()
	for _, step := range x.planned(t, op) {
		if err := runAll(t.Context(), x.admin, []provision.Step{step, step}); err != nil {
			t.Errorf("%s: %v", after, err)
		}
	}
	if left := x.planned(t, op); len(left) > 0 {
		t.Errorf("%s: done, and still planned %v", after, left)
	}
	if got := x.snapshot(t); got != x.done {
		t.Errorf("%s: it ends as\n%s\ninstead of\n%s", after, got, x.done)
	}
}

// undo runs all steps but the last, then takes them back. The plans of testdata
// undo after each step.
func (x *crash) undo(t *testing.T) {
	t.Helper()
	op := x.begin(t)
	switch op := op.(type) {
	case provision.Purge:
		return // for good
	case provision.Exchange:
		if op.Filler != "" {
			return // the last of its steps comes when it has happened
		}
	}
	steps := x.planned(t, op)
	if err := runAll(t.Context(), x.admin, steps[:len(steps)-1]); err != nil {
		t.Fatal(err)
	}
	if err := undo(t.Context(), x.admin, op); err != nil {
		t.Errorf("undo before %q: %v", steps[len(steps)-1].Name, err)
	}
	want := x.start
	if _, ok := op.(provision.Create); ok && len(x.before) > 0 { // the ready-made one has been used up
		_, want, _ = strings.Cut(want, "\n")
	}
	if got := x.snapshot(t); got != want {
		t.Errorf("undone: left\n%s\ninstead of\n%s", got, want)
	}
}

// A process dies while its CREATE DATABASE runs on: whoever takes the job up
// waits for that, and an undo leaves nothing.
func testClientDiesDuringCreate(t *testing.T, c *cluster) {
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
