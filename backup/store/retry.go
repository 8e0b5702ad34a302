package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"time"
)

// longestPause is where the pauses between tries stop doubling.
const longestPause = 10 * time.Second

// errStalled is the cause with which a call is cancelled that gets nowhere.
var errStalled = errors.New("stalled")

// Retry is a Store that tries again what fails in another, so that a network's
// hiccup is none of the caller's business. It gives up after a number of tries,
// and at once where the store's answer is final: ErrNotFound, ErrExists,
// ErrInvalid, ErrDamaged and fs.ErrPermission. No call waits for ever, whatever
// its context.
//
// A reader goes on where it broke off, unless the object has been replaced. What
// was written to a Writer is gone with it: after an error of Write or Close the
// caller begins again.
type Retry struct {
	Store Store

	// Tries is how often a call is tried in all, and how often one reader is
	// opened. 0 or less means 5.
	Tries int
	// Pause is about how long to wait before the second try. It doubles with
	// each, up to ten seconds. 0 or less means 200 ms.
	Pause time.Duration
	// Stall is how long one try may take, or one Read, Write or Close of a
	// stream. 0 or less means two minutes.
	Stall time.Duration
}

// Put stores data under key, in place of what was there.
func (r *Retry) Put(ctx context.Context, key string, data []byte, meta map[string]string) error {
	return r.do(ctx, func(try *try) error { return r.Store.Put(try.ctx, key, data, meta) })
}

// PutIfAbsent stores data under key unless there is an object. An answer may get
// lost: then an object that has the very data and metadata is taken for what an
// earlier try has stored. Who must know that nobody else did, puts in something
// that nobody else has.
func (r *Retry) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	lost := false
	return r.do(ctx, func(try *try) error {
		err := r.Store.PutIfAbsent(try.ctx, key, data, meta)
		if errors.Is(err, ErrExists) && lost {
			switch ours, getErr := r.holds(try.ctx, key, data, meta); {
			case ours:
				return nil
			case getErr != nil && !errors.Is(getErr, ErrNotFound):
				return getErr
			}
		}
		lost = true
		return err
	})
}

// holds reports whether an object is the one given.
func (r *Retry) holds(ctx context.Context, key string, data []byte, meta map[string]string) (bool, error) {
	reader, info, err := r.Store.Get(ctx, key, 0, -1)
	if err != nil {
		return false, err
	}
	defer reader.Close()
	if info.Size != int64(len(data)) || !maps.Equal(info.Meta, meta) {
		return false, nil
	}
	got, err := io.ReadAll(reader)
	return bytes.Equal(got, data), err
}

// Stat describes the object.
func (r *Retry) Stat(ctx context.Context, key string) (info Info, err error) {
	err = r.do(ctx, func(try *try) error {
		info, err = r.Store.Stat(try.ctx, key)
		return err
	})
	return info, err
}

// Delete removes the object.
func (r *Retry) Delete(ctx context.Context, key string) error {
	return r.do(ctx, func(try *try) error { return r.Store.Delete(try.ctx, key) })
}

// List yields the objects whose keys begin with prefix. After an error it goes on
// behind the last that it has yielded.
func (r *Retry) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		last, stopped := "", false
		err := r.do(ctx, func(try *try) error {
			for info, err := range r.Store.List(try.ctx, prefix) {
				if err != nil {
					return err
				}
				// How long the caller takes is no stalling of the store's.
				try.timer.Stop()
				if info.Key > last {
					last = info.Key
					if stopped = !yield(info, nil); stopped {
						return nil
					}
				}
				try.timer.Reset(r.stall())
			}
			return nil
		})
		if err != nil && !stopped {
			yield(Info{}, err)
		}
	}
}

// do tries a call until it succeeds, its error is final, or there have been
// enough tries.
func (r *Retry) do(ctx context.Context, call func(*try) error) error {
	for n := 1; ; n++ {
		try := r.begin(ctx)
		err := try.watch(func() error { return call(try) })
		try.cancel(nil)
		if err == nil {
			return nil
		}
		if err := r.rest(ctx, n, err); err != nil {
			return err
		}
	}
}

// final reports whether trying again is of no use.
func final(err error) bool {
	for _, answer := range []error{ErrNotFound, ErrExists, ErrInvalid, ErrDamaged, fs.ErrPermission} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// rest waits after n tries, the last of which failed with err. It returns the
// error for the caller if there is to be no other.
func (r *Retry) rest(ctx context.Context, n int, err error) error {
	tries, pause := r.Tries, r.Pause
	if tries <= 0 {
		tries = 5
	}
	if pause <= 0 {
		pause = 200 * time.Millisecond
	}
	if final(err) || errors.Is(err, ctx.Err()) {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w, and before that: %w", ctx.Err(), err)
	}
	if n >= tries {
		return fmt.Errorf("given up after %d tries: %w", n, err)
	}
	for range n - 1 {
		pause = min(2*pause, longestPause)
	}
	// Those who failed together do not come back together.
	timer := time.NewTimer(pause*3/4 + rand.N(pause/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w, while waiting after: %w", ctx.Err(), err)
	}
}

func (r *Retry) stall() time.Duration {
	if r.Stall <= 0 {
		return 2 * time.Minute
	}
	return r.Stall
}

// try is one call of the other store, or one stream of it.
type try struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  time.Duration
	timer  *time.Timer // of the call that is being watched
}

func (r *Retry) begin(ctx context.Context) *try {
	t := &try{stall: r.stall()}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	return t
}

// watch cancels a call that takes too long.
func (t *try) watch(call func() error) error {
	t.timer = time.AfterFunc(t.stall, func() { t.cancel(errStalled) })
	err := call()
	t.timer.Stop()
	if err != nil && err != io.EOF && context.Cause(t.ctx) == errStalled {
		// Not wrapped: it is a cancelled context's, and the caller's was not.
		return fmt.Errorf("the store %w for %v: %v", errStalled, t.stall, err)
	}
	return err
}
