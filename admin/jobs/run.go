package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"howdah/tenants/catalog"
)

var errCancelled = errors.New("it was cancelled")

// RefusedError is a reason for which an operation will never succeed: it is undone, not
// tried again.
type RefusedError struct{ Reason error }

func (e *RefusedError) Error() string { return e.Reason.Error() }
func (e *RefusedError) Unwrap() error { return e.Reason }

// Refuse makes err a reason not to try again.
func Refuse(err error) error {
	if err == nil {
		return nil
	}
	return &RefusedError{err}
}

// Run is an operation that runs on this node.
type Run struct {
	*catalog.Operation
	runner   *Runner
	finished bool
	lost     bool // another node has it
	heed     func()
}

// Decode reads the operation's parameters.
func (r *Run) Decode(into any) error {
	if err := json.Unmarshal(r.Parameters, into); err != nil {
		return Refuse(fmt.Errorf("read the parameters of operation %s: %w", r.ID, err))
	}
	return nil
}

// under calls f with a context that ends when the operation is to be cancelled or is
// ours no more.
func (r *Run) under(ctx context.Context, f func(context.Context, *Run) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	renewed := make(chan struct{})
	going := r.Cancel // it is being undone: it is not to be cancelled a second time
	r.heed = func() {
		if r.Cancel && !going {
			cancel(errCancelled)
		}
	}
	go func() {
		defer close(renewed)
		for last := time.Now(); ; {
			select {
			case <-time.After(renew):
			case <-ctx.Done():
				return
			}
			asking, asked := context.WithTimeout(ctx, renew) // a catalog that is silent is away
			wanted, err := r.runner.catalog.Renew(asking, r.Operation, lease)
			asked()
			switch {
			case errors.Is(err, catalog.ErrChanged):
				cancel(err)
			case err != nil && time.Since(last) > lease-renew: // soon it may be another's
				cancel(fmt.Errorf("%w: the lease cannot be renewed: %w", catalog.ErrChanged, err))
			case err == nil && wanted && !going:
				cancel(errCancelled)
			}
			if err == nil {
				last = time.Now()
			}
		}
	}()
	err := f(ctx, r)
	cancel(nil)
	<-renewed
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errCancelled) {
		r.Cancel = true
		return errCancelled
	} else if errors.Is(cause, catalog.ErrChanged) && !r.finished {
		r.lost = true
		return cause
	}
	return err
}

// Step runs one step of the operation, and notes it before and after.
func (r *Run) Step(ctx context.Context, name string, done, total int, f func(context.Context) error) error {
	if err := r.note(ctx, name, true, done, total); err != nil {
		return err
	}
	r.stepped(name, true)
	if err := f(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.stepped(name, false)
	return r.note(ctx, name, false, max(done+1, r.Operation.Done), total) // its parts may have been further
}

// note notes how far the operation is. One that somebody wants cancelled has its context
// ended by that, before a step begins or behind it.
func (r *Run) note(ctx context.Context, step string, begun bool, done, total int) error {
	if err := r.runner.catalog.NoteStep(ctx, r.Operation, step, begun, done, total); err != nil {
		return err
	}
	r.heed()
	if begun {
		return context.Cause(ctx)
	}
	return nil
}

// Progress notes how far the step is that runs now.
func (r *Run) Progress(ctx context.Context, done, total int) error {
	if o := r.Operation; o.Done == done && o.Total == total {
		return nil
	}
	return r.note(ctx, r.Operation.Step, true, done, total)
}

// Amend has the operation go on by other parameters, after a crash too.
func (r *Run) Amend(ctx context.Context, parameters any) error {
	return r.runner.catalog.Amend(ctx, r.Operation, parameters)
}

func (r *Run) stepped(name string, begun bool) {
	if f := r.runner.Stepped; f != nil {
		f(r.Kind, name, begun)
	}
}

// By is who asked for the operation.
func (r *Run) By() catalog.Actor {
	return catalog.Actor{Name: r.Actor, Door: "job", From: r.runner.node}
}

// Change changes the catalog as a part of the operation, unless that is another node's
// by now.
func (r *Run) Change(ctx context.Context, change func(*catalog.Tx) error) error {
	return r.runner.catalog.Change(ctx, r.By(), func(tx *catalog.Tx) error {
		if err := tx.MustRun(r.Operation); err != nil {
			r.lost = errors.Is(err, catalog.ErrChanged)
			return err
		}
		return change(tx)
	})
}

// Finish makes the change that is the operation's outcome, and ends it with that.
func (r *Run) Finish(ctx context.Context, result any, change func(*catalog.Tx) error) error {
	if f := r.runner.Finishing; f != nil {
		if err := f(ctx, r); err != nil {
			return err
		}
	}
	err := r.runner.catalog.Change(ctx, r.By(), func(tx *catalog.Tx) error {
		if change != nil {
			if err := change(tx); err != nil {
				return err
			}
		}
		return tx.End(r.Operation, catalog.Done, "", result)
	})
	r.finished = err == nil
	return err
}

// Part is Progress of a step that consists of parts, each with a name.
func (r *Run) Part(ctx context.Context, name string, done, total int) error {
	if o := r.Operation; o.Step == name && o.Done == done && o.Total == total {
		return nil
	}
	return r.note(ctx, name, true, done, total)
}
