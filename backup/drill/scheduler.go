package drill

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"howdah/backup/repository"
)

// Scheduler has a drill be done whenever the last one is old, on the node that receives the
// cluster's WAL.
type Scheduler struct {
	Repo     *repository.Repository
	Receives func() bool
	Interval func() time.Duration // between two drills; 0 is never
	// Drill does one, and stores its record.
	Drill func(context.Context) (*Record, error)
	// Seats has room for as many as may be done at the same time by all that have it.
	Seats chan struct{}
	Log   *slog.Logger

	last time.Time // when the last one began that is known of
}

const (
	lookPause = time.Minute
	failPause = time.Hour // after one that has left no record
)

// Run does what is due until the context is done.
func (s *Scheduler) Run(ctx context.Context) {
	for ctx.Err() == nil {
		pause := lookPause
		if s.due(ctx, time.Now()) {
			if err := s.drill(ctx); err != nil && ctx.Err() == nil {
				pause = failPause
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// due says whether a drill is to be done. The store is asked when it may be.
func (s *Scheduler) due(ctx context.Context, now time.Time) bool {
	interval := s.Interval()
	if interval <= 0 || !s.Receives() || now.Sub(s.last) < interval {
		return false
	}
	all, err := List(ctx, s.Repo, 1)
	if len(all) == 0 {
		return err == nil
	}
	if s.last = all[0].Started; s.last.After(now) { // a clock was set back
		return true
	}
	return now.Sub(s.last) >= interval
}

// drill does one when it is its turn. A drill that has failed has left a record: the next one
// is due when it would be anyway.
func (s *Scheduler) drill(ctx context.Context) error {
	select {
	case s.Seats <- struct{}{}:
		defer func() { <-s.Seats }()
	case <-ctx.Done():
		return ctx.Err()
	}
	rec, err := s.Drill(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		s.Log.Error("a drill has failed: what is stored may be of no use", "error", err)
	default:
		s.Log.Info("a drill has passed", "target", rec.Target, "database", rec.Database, "rto_seconds", rec.RTO, "rpo_seconds", rec.RPO)
	}
	if rec != nil {
		s.last = rec.Started
	}
	if rec == nil || !errors.Is(err, ErrFailed) {
		return err
	}
	return nil
}
