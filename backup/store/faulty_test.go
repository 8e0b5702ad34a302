package store_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"

	"howdah/backup/store"
)

var errNetwork = errors.New("connection reset by peer")

// faulty is a store behind a bad network.
type faulty struct {
	store.Store

	before  func(ctx context.Context, call string) error // what goes wrong instead of a call
	after   func(call string) error                      // what goes wrong once it is done
	reading func(ctx context.Context, r io.Reader, p []byte) (int, error)
	writing func(n int) // before so many bytes are written

	mu    sync.Mutex
	calls map[string]int
}

func (f *faulty) do(ctx context.Context, call string, what func() error) error {
	f.mu.Lock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[call]++
	f.mu.Unlock()
	if f.before != nil {
		if err := f.before(ctx, call); err != nil {
			return err
		}
	}
	err := what()
	if f.after != nil && err == nil {
		err = f.after(call)
	}
	return err
}

func (f *faulty) Put(ctx context.Context, key string, data []byte, meta map[string]string) error {
	return f.do(ctx, "Put", func() error { return f.Store.Put(ctx, key, data, meta) })
}

func (f *faulty) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	return f.do(ctx, "PutIfAbsent", func() error { return f.Store.PutIfAbsent(ctx, key, data, meta) })
}

func (f *faulty) Stat(ctx context.Context, key string) (info store.Info, err error) {
	err = f.do(ctx, "Stat", func() error {
		info, err = f.Store.Stat(ctx, key)
		return err
	})
	return info, err
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	return f.do(ctx, "Delete", func() error { return f.Store.Delete(ctx, key) })
}

func (f *faulty) Get(ctx context.Context, key string, offset, length int64) (r io.ReadCloser, info store.Info, err error) {
	err = f.do(ctx, "Get", func() error {
		r, info, err = f.Store.Get(ctx, key, offset, length)
		return err
	})
	if err == nil && f.reading != nil {
		r = &faultyReader{r, ctx, f.reading}
	}
	return r, info, err
}

type faultyReader struct {
	io.ReadCloser
	ctx     context.Context
	reading func(ctx context.Context, r io.Reader, p []byte) (int, error)
}

func (r *faultyReader) Read(p []byte) (int, error) { return r.reading(r.ctx, r.ReadCloser, p) }

func (f *faulty) Create(ctx context.Context, key string, meta map[string]string) (w store.Writer, err error) {
	err = f.do(ctx, "Create", func() error {
		w, err = f.Store.Create(ctx, key, meta)
		return err
	})
	return &faultyWriter{w, ctx, f}, err
}

type faultyWriter struct {
	store.Writer
	ctx context.Context
	f   *faulty
}

func (w *faultyWriter) Write(p []byte) (n int, err error) {
	err = w.f.do(w.ctx, "Write", func() error {
		if w.f.writing != nil {
			w.f.writing(len(p))
		}
		n, err = w.Writer.Write(p)
		return err
	})
	return n, err
}

func (w *faultyWriter) Close() error {
	return w.f.do(w.ctx, "Close", w.Writer.Close)
}

func (f *faulty) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		if err := f.do(ctx, "List", func() error { return nil }); err != nil {
			yield(store.Info{}, err)
			return
		}
		for info, err := range f.Store.List(ctx, prefix) {
			if err == nil {
				err = f.do(ctx, "Page", func() error { return nil })
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}
