package jobs_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"howdah/admin/jobs"
)

// What is scheduled is done by one of the nodes at a time, again and again though it
// fails, and goes on when the one that leads has gone.
func TestScheduleRunsOnOneNodeAtATime(t *testing.T) {
	y := newYard(t)
	var within, times atomic.Int32
	overlap := make(chan struct{}, 1)
	work := jobs.Schedule{Name: "count", Every: time.Second, Run: func(ctx context.Context) error {
		if within.Add(1) > 1 {
			select {
			case overlap <- struct{}{}:
			default:
			}
		}
		defer within.Add(-1)
		times.Add(1)
		select { // longer than the time between two
		case <-time.After(1200 * time.Millisecond):
		case <-ctx.Done():
		}
		return errors.New("it fails, and comes again")
	}}
	await := func(n int32) {
		t.Helper()
		for end := time.Now().Add(patience); times.Load() < n; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it was done %d times, not %d", times.Load(), n)
			}
		}
	}
	stop := y.start("one", nil, work)
	y.start("two", nil, work)
	if _, err := y.runner.Soon(t.Context(), "count"); err != nil {
		t.Fatal(err)
	}
	await(2)
	stop()
	await(times.Load() + 2)
	select {
	case <-overlap:
		t.Error("it was done twice at once")
	default:
	}
}

// Work that is asked for now does not wait for its time.
func TestScheduledWorkSoon(t *testing.T) {
	y := newYard(t)
	did := make(chan struct{}, 10)
	y.start("one", nil, jobs.Schedule{Name: "work", Every: time.Hour, Run: func(context.Context) error {
		did <- struct{}{}
		return nil
	}})
	for range 2 { // one at the start, one that is asked for
		select {
		case <-did:
		case <-time.After(patience):
			t.Fatal("it was not done")
		}
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			queued, err := y.runner.Soon(t.Context(), "work")
			if err != nil {
				t.Fatal(err)
			}
			if queued { // else the last is not noted as done yet
				break
			}
		}
	}
}
