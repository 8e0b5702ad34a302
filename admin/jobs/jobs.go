package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"howdah/tenants/catalog"
)

const (
	schema = "river" // of River's tables
	lease  = 15 * time.Second
	renew  = lease / 3
	// rescueAfter is how long River takes a job for running of which it hears nothing.
	// One that still runs is then looked at a second time, and found taken.
	rescueAfter = 2 * time.Minute
	workers     = 8 // operations at once on a node
	// keepCompleted is for how long River keeps jobs that it has done with: nobody reads
	// them, and the catalog has what is worth knowing.
	keepCompleted = 10 * time.Minute
	// unknownPause is for how long a node leaves an operation to others that it does not
	// know itself.
	unknownPause = 10 * time.Second
)

// Kind is one sort of operation.
type Kind struct {
	// Forward runs an operation from where it is, whatever has happened before, and ends
	// with Run.Finish. It may be called again after any error and any crash.
	Forward func(context.Context, *Run) error
	// Back leaves nothing of an operation that cannot be, or is not to be, finished. It
	// too may be called again. An operation whose kind has none waits for an operator,
	// unless it has not begun a step. Back may find that the operation has gone too far,
	// and end it with Run.Finish.
	Back func(context.Context, *Run) error
}

// Runner runs operations on this node.
type Runner struct {
	catalog *catalog.Catalog
	node    string
	kinds   map[string]Kind
	log     *slog.Logger
	quiet   *quiet
	client  *river.Client[pgx.Tx]

	schedules []Schedule

	// Stepped is called, if not nil, when a step has been noted to begin, and when it has
	// been done but that is not noted yet. It must be set before Run.
	Stepped func(kind, step string, begun bool)
	// Finishing is called, if not nil, when an operation has done all, before it is noted
	// that it has ended. After an error the operation is tried again. It must be set before
	// Run.
	Finishing func(context.Context, *Run) error
}

// arguments are a River job's.
type arguments struct {
	Operation string `json:"operation"`
}

// Kind implements river.JobArgs.
func (arguments) Kind() string { return "operation" }

// New returns a Runner and makes River's tables. node names this node, the same after a
// restart.
func New(ctx context.Context, c *catalog.Catalog, node string, kinds map[string]Kind, schedules []Schedule, log *slog.Logger) (*Runner, error) {
	r := &Runner{catalog: c, node: node, kinds: kinds, schedules: schedules, log: log, quiet: newQuiet()}
	driver := riverpgxv5.New(c.Pool())
	if _, err := c.Pool().Exec(ctx, "create schema if not exists "+schema); err != nil {
		return nil, fmt.Errorf("make the schema of jobs: %w", err)
	}
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("make the tables of jobs: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, fmt.Errorf("make the tables of jobs: %w", err)
	}
	all := river.NewWorkers()
	river.AddWorker(all, river.WorkFunc(r.work))
	river.AddWorker(all, &scheduleWorker{runner: r})
	r.client, err = river.NewClient(driver, &river.Config{
		ID: node, Schema: schema, Workers: all, Logger: slog.New(riverLog{log.Handler(), r.quiet}),
		Queues:       map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}, scheduleQueue: {MaxWorkers: scheduleWorkers}},
		PeriodicJobs: periodic(schedules),
		JobTimeout:   -1, RescueStuckJobsAfter: rescueAfter, MaxAttempts: 1000,
		FetchCooldown:               20 * time.Millisecond,
		CompletedJobRetentionPeriod: keepCompleted,
	})
	if err != nil {
		return nil, fmt.Errorf("start jobs: %w", err)
	}
	return r, nil
}

// Begin notes an operation, on a tenant and those that are to be left alone besides, and
// has it run once the change is made.
func (r *Runner) Begin(ctx context.Context, tx *catalog.Tx, kind, tenant string, parameters any, besides ...string) (*catalog.Operation, error) {
	if _, ok := r.kinds[kind]; !ok {
		panic("jobs: no such kind: " + kind)
	}
	o, err := tx.Begin(kind, tenant, parameters, besides...)
	if err != nil {
		return nil, err
	}
	return o, r.Wake(ctx, tx, o.ID)
}

// Wake has somebody look at an operation once the change is made.
func (r *Runner) Wake(ctx context.Context, tx *catalog.Tx, id string) error {
	return r.queue(ctx, tx.Raw(), id)
}

func (r *Runner) queue(ctx context.Context, tx pgx.Tx, id string) error {
	if _, err := r.client.InsertTx(ctx, tx, arguments{id}, nil); err != nil {
		return fmt.Errorf("queue operation %s: %w", id, err)
	}
	return nil
}

// Run runs operations until ctx ends, and gives back those it has not ended then.
func (r *Runner) Run(ctx context.Context) error {
	r.adopt(ctx, r.node) // what a process before this one has left
	if err := r.client.Start(ctx); err != nil && ctx.Err() != nil {
		return nil
	} else if err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	for tick := time.NewTicker(lease / 2); ; {
		select {
		case <-tick.C:
			r.adopt(ctx, "")
		case <-r.quiet.asked:
			r.adopt(ctx, "")
		case <-ctx.Done():
			tick.Stop()
			<-r.client.Stopped()
			return nil
		}
	}
}

// adopt has somebody look at what a node left behind, and at what nobody runs any more.
func (r *Runner) adopt(ctx context.Context, node string) {
	err := r.catalog.Reclaim(ctx, node, func(tx pgx.Tx, id string) error {
		r.log.Info("operation is taken up again", "operation", id)
		return r.queue(ctx, tx, id)
	})
	if err == nil {
		err = r.wakeForgotten(ctx)
	}
	if ctx.Err() == nil {
		r.quiet.found(r.log, err)
	}
}

// forgotten are operations that wait for River, and of which River has nothing: it has
// looked a second time at a job that it took for stuck, found the operation taken and was
// done with it, and what the first had to say then came too late.
const forgotten = `select o.id::text from howdah.operation o
	where o.state = 'queued' and not exists (select from howdah.catalog where review is not null)
	and not exists (select from ` + schema + `.river_job j
		where j.state in ('available', 'pending', 'retryable', 'running', 'scheduled') and j.args ->> 'operation' = o.id::text)`

func (r *Runner) wakeForgotten(ctx context.Context) error {
	return pgx.BeginFunc(ctx, r.catalog.Pool(), func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, forgotten)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, id := range ids {
			r.log.Warn("operation was queued and forgotten: it is taken up again", "operation", id)
			if err := r.queue(ctx, tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// work is called by River.
func (r *Runner) work(ctx context.Context, job *river.Job[arguments]) error {
	o, err := r.catalog.Take(ctx, job.Args.Operation, r.node, lease)
	if err != nil {
		return river.JobSnooze(time.Second) // the catalog is away
	}
	if o == nil {
		return nil // somebody else's, or ended
	}
	switch wait, err := r.perform(ctx, o); {
	case err != nil:
		r.log.Error("operation cannot be told how it went", "operation", o.ID, "error", err)
		return river.JobSnooze(time.Second)
	case wait >= 0:
		return river.JobSnooze(wait)
	}
	return nil
}

// perform runs an operation that is ours, and returns after how long it is to be run
// again, or a negative time for never.
func (r *Runner) perform(ctx context.Context, o *catalog.Operation) (time.Duration, error) {
	log := r.log.With("operation", o.ID, "kind", o.Kind, "tenant", o.Tenant)
	kind, ok := r.kinds[o.Kind]
	if !ok { // of a newer Howdah: that one runs it
		return unknownPause, r.catalog.Release(ctx, o)
	}
	if o.Attempts > crashes {
		return -1, r.catalog.Fail(ctx, o, fmt.Sprintf("%d attempts did not come to an end: does it crash Howdah?", o.Attempts-1), true)
	}
	run := &Run{Operation: o, runner: r}
	err := errCancelled
	if !o.Cancel {
		log.Info("operation runs", "attempt", o.Attempts, "step", o.Step)
		err = run.under(ctx, kind.Forward)
	}
	if err == nil && !run.finished {
		err = errors.New("it ended without an outcome")
	}
	after, noted := toNote(ctx)
	defer noted()
	switch {
	case err == nil:
		log.Info("operation done")
		return -1, nil
	case errors.Is(err, catalog.ErrChanged) && run.lost:
		log.Warn("operation is another node's now")
		return -1, nil
	case ctx.Err() != nil:
		log.Info("operation interrupted: it goes on after the restart", "step", o.Step)
		return 0, r.catalog.Release(after, o)
	}
	var refused *RefusedError
	if !errors.As(err, &refused) && !errors.Is(err, errCancelled) {
		return r.again(after, log, o, err)
	}
	return r.goBack(ctx, log, run, kind, err)
}

// toNote is for what must be noted though the node stops, unless the catalog is away:
// then the lease runs out, and whoever takes the operation up finds out.
func toNote(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), lease)
}

// Attempts before an operator is asked: each after a longer pause; and of those of which
// nobody has told how they went.
const (
	attempts = 4
	crashes  = 8
)

func (r *Runner) again(ctx context.Context, log *slog.Logger, o *catalog.Operation, err error) (time.Duration, error) {
	ask := o.Attempts >= attempts
	log.Warn("operation failed", "attempt", o.Attempts, "step", o.Step, "error", err, "needs_attention", ask)
	if failErr := r.catalog.Fail(ctx, o, err.Error(), ask); failErr != nil || ask {
		return -1, failErr
	}
	return time.Second << (2 * max(o.Attempts-1, 0)), nil // 1, 4, 16 s
}

// goBack undoes an operation that has been refused or cancelled, and ends it.
func (r *Runner) goBack(ctx context.Context, log *slog.Logger, run *Run, kind Kind, why error) (time.Duration, error) {
	state := catalog.Failed
	if errors.Is(why, errCancelled) {
		state = catalog.Cancelled
	}
	back := kind.Back
	if back == nil && run.Operation.Step == "" { // no step has begun: there is nothing to undo
		back = func(context.Context, *Run) error { return nil }
	}
	var err error
	if back != nil {
		err = run.under(ctx, back)
	}
	after, noted := toNote(ctx)
	defer noted()
	switch {
	case back == nil:
		return -1, r.catalog.Fail(after, run.Operation, "it cannot be undone: "+why.Error(), true)
	case err != nil && ctx.Err() != nil:
		return 0, r.catalog.Release(after, run.Operation)
	case err == nil && run.finished:
		log.Info("operation done: it was too far to be undone", "why", why)
		return -1, nil
	case err != nil:
		return r.again(after, log, run.Operation, fmt.Errorf("undo, since %w: %w", why, err))
	}
	log.Info("operation undone", "why", why)
	return -1, r.catalog.Change(after, run.By(), func(tx *catalog.Tx) error {
		return tx.End(run.Operation, state, why.Error(), nil)
	})
}
