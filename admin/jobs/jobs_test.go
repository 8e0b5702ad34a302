package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"howdah/admin/jobs"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

const patience = 60 * time.Second

var anna = catalog.Actor{Name: "anna", Door: "test"}

// servers are lent to tests.
var servers wiretest.Lender

func TestMain(m *testing.M) {
	code := m.Run()
	if err := servers.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// yard is a catalog with nodes that run its operations.
type yard struct {
	t       *testing.T
	server  *postgres.Server
	catalog *catalog.Catalog
	runner  *jobs.Runner // that begins operations
}

func newYard(t *testing.T) *yard {
	t.Helper()
	s := servers.Lend(t)
	err := s.Exec(t.Context(), postgres.Superuser, "create database catalog")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), s.AdminURL("catalog"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &yard{t: t, server: s, catalog: c}
}

// start has a node run operations until the returned function is called.
func (y *yard) start(node string, kinds map[string]jobs.Kind, schedules ...jobs.Schedule) (stop func()) {
	y.t.Helper()
	return y.startLogging(slog.New(slog.NewTextHandler(y.t.Output(), nil)), node, kinds, schedules...)
}

func (y *yard) startLogging(log *slog.Logger, node string, kinds map[string]jobs.Kind, schedules ...jobs.Schedule) (stop func()) {
	y.t.Helper()
	r, err := jobs.New(y.t.Context(), y.catalog, node, kinds, schedules, log)
	if err != nil {
		y.t.Fatal(err)
	}
	y.runner = r
	ctx, cancel := context.WithCancel(y.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			y.t.Error(err)
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-done }) }
	y.t.Cleanup(stop)
	return stop
}

func (y *yard) change(f func(tx *catalog.Tx) error) {
	y.t.Helper()
	if err := y.catalog.Change(y.t.Context(), anna, f); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) begin(kind, tenant string) (id string) {
	y.t.Helper()
	y.change(func(tx *catalog.Tx) error {
		o, err := y.runner.Begin(y.t.Context(), tx, kind, tenant, map[string]int{"n": 3})
		if err == nil {
			id = o.ID
		}
		return err
	})
	return id
}

func (y *yard) await(id string, state catalog.State) *catalog.Operation {
	y.t.Helper()
	var o *catalog.Operation
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		if o, err = y.catalog.Operation(y.t.Context(), id); err != nil {
			y.t.Fatal(err)
		}
		if o.State == state {
			return o
		}
	}
	y.t.Fatalf("the operation is %s (%s), want %s", o.State, o.Error, state)
	return nil
}

func TestOperationIsDoneWithItsChange(t *testing.T) {
	y := newYard(t)
	var steps []string
	y.start("one", map[string]jobs.Kind{"make": {Forward: func(ctx context.Context, r *jobs.Run) error {
		var p struct{ N int }
		if err := r.Decode(&p); err != nil {
			return err
		}
		for i := range p.N {
			name := "step " + string(rune('a'+i))
			if err := r.Step(ctx, name, i, p.N, func(context.Context) error { steps = append(steps, name); return nil }); err != nil {
				return err
			}
		}
		return r.Finish(ctx, map[string]string{"made": "it"}, func(tx *catalog.Tx) error {
			return tx.Create(catalog.Tier, "gold", "", nil)
		})
	}}})
	o := y.await(y.begin("make", "acme"), catalog.Done)
	if got := strings.Join(steps, ", "); got != "step a, step b, step c" || o.Done != 3 || o.Total != 3 || string(o.Result) != `{"made": "it"}` {
		t.Errorf("steps %s, operation %+v %s", got, o, o.Result)
	}
	e, err := y.catalog.Entry(t.Context(), catalog.Tier, "gold")
	if err != nil || e.Revision == 0 {
		t.Errorf("its change: %+v, %v", e, err)
	}
}

func TestRefusedOperationIsUndone(t *testing.T) {
	y := newYard(t)
	var undone atomic.Int32
	y.start("one", map[string]jobs.Kind{"make": {
		Forward: func(context.Context, *jobs.Run) error { return jobs.Refuse(errors.New("the name is taken")) },
		Back: func(context.Context, *jobs.Run) error {
			if undone.Add(1) == 1 {
				return errors.New("not at the first attempt")
			}
			return nil
		},
	}})
	o := y.await(y.begin("make", "acme"), catalog.Failed)
	if o.Error != "the name is taken" || undone.Load() != 2 {
		t.Errorf("undone %d times: %+v", undone.Load(), o)
	}
}

func TestFailingOperationAsksForAttention(t *testing.T) {
	y := newYard(t)
	var tried atomic.Int32
	var mended atomic.Bool
	y.start("one", map[string]jobs.Kind{"make": {Forward: func(ctx context.Context, r *jobs.Run) error {
		if tried.Add(1); !mended.Load() {
			return errors.New("the disk is full")
		}
		return r.Finish(ctx, nil, nil)
	}}})
	id := y.begin("make", "acme")
	if o := y.await(id, catalog.Attention); o.Error != "the disk is full" || tried.Load() != 4 {
		t.Errorf("tried %d times: %+v", tried.Load(), o)
	}
	mended.Store(true)
	y.change(func(tx *catalog.Tx) error {
		if err := tx.Resume(id); err != nil {
			return err
		}
		return y.runner.Wake(t.Context(), tx, id)
	})
	y.await(id, catalog.Done)
}

func TestRunningOperationIsCancelled(t *testing.T) {
	y := newYard(t)
	begun, undone := make(chan struct{}), make(chan struct{})
	y.start("one", map[string]jobs.Kind{"make": {
		Forward: func(ctx context.Context, _ *jobs.Run) error { close(begun); <-ctx.Done(); return ctx.Err() },
		Back:    func(context.Context, *jobs.Run) error { close(undone); return nil },
	}})
	id := y.begin("make", "acme")
	<-begun
	y.change(func(tx *catalog.Tx) error { return tx.WantCancel(id) })
	y.await(id, catalog.Cancelled)
	<-undone
}

// A node that stops gives its operations back, and goes on with them when it returns,
// at the step where it was.
func TestStoppedNodeGoesOnLater(t *testing.T) {
	y := newYard(t)
	begun := make(chan struct{})
	stop := y.start("one", map[string]jobs.Kind{"make": {Forward: func(ctx context.Context, r *jobs.Run) error {
		return r.Step(ctx, "long", 0, 2, func(ctx context.Context) error { close(begun); <-ctx.Done(); return ctx.Err() })
	}}})
	id := y.begin("make", "acme")
	<-begun
	stop()
	if o, err := y.catalog.Operation(t.Context(), id); err != nil || o.State != catalog.Queued || o.Attempts != 0 {
		t.Fatalf("given back: %+v, %v", o, err)
	}
	var at atomic.Value
	y.start("one", map[string]jobs.Kind{"make": {Forward: func(ctx context.Context, r *jobs.Run) error {
		at.Store(r.Operation.Step)
		return r.Finish(ctx, nil, nil)
	}}})
	y.await(id, catalog.Done)
	if at.Load() != "long" {
		t.Errorf("it was at step %q", at.Load())
	}
}

// What a node was running that died is taken up: by itself at once, by another when the
// lease has run out.
func TestDeadNodesOperationsAreTakenUp(t *testing.T) {
	y := newYard(t)
	done := map[string]jobs.Kind{"make": {Forward: func(ctx context.Context, r *jobs.Run) error { return r.Finish(ctx, nil, nil) }}}
	y.start("helper", nil)() // makes the tables, and leaves
	dead := func(tenant string, lease time.Duration) string {
		var id string
		y.change(func(tx *catalog.Tx) error {
			o, err := tx.Begin("make", tenant, nil)
			id = o.ID
			return err
		})
		if o, err := y.catalog.Take(t.Context(), id, "dead", lease); err != nil || o == nil {
			t.Fatal(o, err)
		}
		return id
	}
	mine, lapsed := dead("mine", time.Hour), dead("lapsed", time.Millisecond)
	y.start("other", done)
	if o := y.await(lapsed, catalog.Done); o.Node != "other" {
		t.Errorf("taken up by %q", o.Node)
	}
	if o, err := y.catalog.Operation(t.Context(), mine); err != nil || o.State != catalog.Running {
		t.Fatalf("taken from a node that has a lease: %+v, %v", o, err)
	}
	y.start("dead", done)
	y.await(mine, catalog.Done) // by whoever is first
}

// What nobody can undo waits for an operator, who can leave that again: it goes forward
// though it was to be cancelled.
func TestAttentionCanBeLeft(t *testing.T) {
	y := newYard(t)
	var mended atomic.Bool
	y.start("one", map[string]jobs.Kind{
		"close": {Forward: func(ctx context.Context, r *jobs.Run) error {
			err := r.Step(ctx, "close", 0, 1, func(context.Context) error {
				if !mended.Load() {
					return jobs.Refuse(errors.New("it is in use"))
				}
				return nil
			})
			if err != nil {
				return err
			}
			return r.Finish(ctx, nil, nil)
		}},
		"refuse": {Forward: func(context.Context, *jobs.Run) error { return jobs.Refuse(errors.New("there is none")) }},
	})
	id := y.begin("close", "acme")
	y.await(id, catalog.Attention)
	steer := func(change func(*catalog.Tx, string) error) {
		t.Helper()
		y.change(func(tx *catalog.Tx) error {
			if err := change(tx, id); err != nil {
				return err
			}
			return y.runner.Wake(t.Context(), tx, id)
		})
	}
	steer((*catalog.Tx).WantCancel)
	y.await(id, catalog.Attention)
	mended.Store(true)
	steer((*catalog.Tx).Resume)
	y.await(id, catalog.Done)
	if o := y.await(y.begin("refuse", "acme"), catalog.Failed); o.Error != "there is none" {
		t.Errorf("refused before it began a step: %+v", o)
	}
}

// River takes a job for stuck that runs for longer than it likes, looks a second time,
// finds the operation taken and is done with the job. What the first then asks for, to be
// tried again, River does not do.
func TestOperationThatRiverForgetsIsTakenUp(t *testing.T) {
	y := newYard(t)
	var tried atomic.Int32
	y.start("one", map[string]jobs.Kind{"make": {Forward: func(ctx context.Context, r *jobs.Run) error {
		if tried.Add(1) > 1 {
			return r.Finish(ctx, nil, nil)
		}
		if _, err := y.catalog.Pool().Exec(ctx, "update river.river_job set state = 'completed', finalized_at = now()"); err != nil {
			return err
		}
		return errors.New("not at the first attempt")
	}}})
	y.await(y.begin("make", "acme"), catalog.Done)
}

// A node that was stopped for longer than its lease does not know that another one runs
// the operation by now: it changes nothing.
func TestLostOperationChangesNothing(t *testing.T) {
	y := newYard(t)
	changed := make(chan error, 1)
	stop := y.start("slow", map[string]jobs.Kind{"make": {Forward: func(ctx context.Context, r *jobs.Run) error {
		if _, err := y.catalog.Pool().Exec(ctx, "update howdah.operation set lease_until = now() - interval '1 s'"); err != nil {
			return err
		}
		if o, err := y.catalog.Take(ctx, r.ID, "fast", time.Hour); err != nil || o == nil {
			return fmt.Errorf("it is not taken: %w", err)
		}
		err := r.Change(ctx, func(tx *catalog.Tx) error { return tx.Create(catalog.Tier, "late", "", nil) })
		changed <- err
		return err
	}}})
	id := y.begin("make", "acme")
	if err := <-changed; !errors.Is(err, catalog.ErrChanged) {
		t.Errorf("the change is made: %v", err)
	}
	stop()
	if o, err := y.catalog.Operation(t.Context(), id); err != nil || o.Node != "fast" || o.State != catalog.Running {
		t.Errorf("the operation is %+v, %v", o, err)
	}
	if _, err := y.catalog.Entry(t.Context(), catalog.Tier, "late"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("the entry: %v", err)
	}
}
