package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"howdah/tenants/catalog"
)

// Schedule is work that comes again and again, on one node at a time: River's leader says
// when, and some node does it. It leaves nothing half done that the next time does not
// put right, for it may be cut off anywhere.
type Schedule struct {
	Name  string        // without spaces
	Every time.Duration // a second or more; the first time is when a node begins to lead
	// Run does it once. What it fails with is logged.
	Run func(context.Context) error
}

const (
	scheduleQueue   = "schedule"
	scheduleWorkers = 4 // of a node: one that is slow does not keep the others
	// scheduleTimeout ends what does not come to an end before River takes it for stuck
	// and has another node begin it.
	scheduleTimeout = rescueAfter * 3 / 4
)

// scheduled are the arguments of a River job that is work of a Schedule.
type scheduled struct {
	Name string `json:"name"`
}

// Kind implements river.JobArgs.
func (scheduled) Kind() string { return "schedule" }

// InsertOpts implements river.JobArgsWithInsertOpts: there is one at a time, and one that
// has failed is not tried again before its time.
func (scheduled) InsertOpts() river.InsertOpts {
	alone := river.UniqueOpts{ByArgs: true}
	alone.ByState = append(alone.ByState, "available", "pending", "running", "scheduled")
	return river.InsertOpts{Queue: scheduleQueue, MaxAttempts: 1, UniqueOpts: alone}
}

// periodic is what River is told of schedules.
func periodic(all []Schedule) (jobs []*river.PeriodicJob) {
	for _, s := range all {
		jobs = append(jobs, river.NewPeriodicJob(river.PeriodicInterval(s.Every),
			func() (river.JobArgs, *river.InsertOpts) { return scheduled{s.Name}, nil },
			&river.PeriodicJobOpts{ID: s.Name, RunOnStart: true}))
	}
	return jobs
}

// scheduleWorker is called by River.
type scheduleWorker struct {
	river.WorkerDefaults[scheduled]
	runner *Runner
}

// Timeout implements river.Worker.
func (*scheduleWorker) Timeout(*river.Job[scheduled]) time.Duration { return scheduleTimeout }

// Work implements river.Worker.
func (w *scheduleWorker) Work(ctx context.Context, job *river.Job[scheduled]) error {
	for _, s := range w.runner.schedules {
		if s.Name != job.Args.Name {
			continue
		}
		err := w.runner.catalog.Ready(ctx)
		if err == nil {
			err = s.Run(ctx)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, catalog.ErrReview) {
			w.runner.log.Warn("scheduled work failed; it comes again", "work", s.Name, "error", err)
		}
	}
	return nil // of a newer Howdah's it does nothing: that one's turn comes
}

// Soon has scheduled work be done now, and reports false if it is being done or about to be:
// it may have begun too early for what is to be seen to.
func (r *Runner) Soon(ctx context.Context, name string) (queued bool, err error) {
	inserted, err := r.client.Insert(ctx, scheduled{name}, nil)
	if err != nil {
		return false, fmt.Errorf("queue the work %q: %w", name, err)
	}
	return !inserted.UniqueSkippedAsDuplicate, nil
}
