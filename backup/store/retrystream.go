package store

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Create begins an object. Only the beginning is tried again.
func (r *Retry) Create(ctx context.Context, key string, meta map[string]string) (Writer, error) {
	for n := 1; ; n++ {
		w := &retryWriter{try: r.begin(ctx)}
		err := w.try.watch(func() (err error) {
			w.to, err = r.Store.Create(w.try.ctx, key, meta)
			return err
		})
		if err == nil {
			return w, nil
		}
		w.try.cancel(nil)
		if err := r.rest(ctx, n, err); err != nil {
			return nil, err
		}
	}
}

// retryWriter watches a Writer.
type retryWriter struct {
	try *try
	to  Writer
}

// watched is how many bytes a Write may hand on at a time, so that a big one is
// not taken for one that stalls.
const watched = 1 << 20

func (w *retryWriter) Write(p []byte) (written int, err error) {
	for len(p) > 0 && err == nil {
		part := p[:min(len(p), watched)]
		var n int
		err = w.try.watch(func() (err error) {
			n, err = w.to.Write(part)
			return err
		})
		written += n
		p = p[n:]
	}
	return written, err
}

func (w *retryWriter) Close() error {
	defer w.try.cancel(nil)
	return w.try.watch(w.to.Close)
}

func (w *retryWriter) Abort() {
	w.try.cancel(nil)
	w.to.Abort()
}

// Get reads a range of the object.
func (r *Retry) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	reader := &retryReader{retry: r, ctx: ctx, key: key}
	if err := reader.open(offset, length); err != nil {
		return nil, Info{}, err
	}
	begin, n, err := cut(reader.info.Size, offset, length)
	if err != nil {
		reader.Close()
		return nil, Info{}, fmt.Errorf("get object %q: %w", key, err)
	}
	reader.next, reader.end = begin, begin+n
	return reader, reader.info, nil
}

// retryReader reads one object, opened as often as need be.
type retryReader struct {
	retry *Retry
	ctx   context.Context
	key   string

	info      Info  // as it was the first time
	next, end int64 // what is left to read
	opened    int   // times tried
	try       *try
	from      io.ReadCloser
	err       error // why it is over
}

// open opens the object at a range, for the first time or again.
func (r *retryReader) open(offset, length int64) error {
	for {
		r.opened++
		r.try = r.retry.begin(r.ctx)
		var info Info
		err := r.try.watch(func() (err error) {
			r.from, info, err = r.retry.Store.Get(r.try.ctx, r.key, offset, length)
			return err
		})
		if err == nil {
			if r.info.Key == "" {
				r.info = info
			}
			return r.sameAs(info)
		}
		r.from = nil
		r.try.cancel(nil)
		if err := r.retry.rest(r.ctx, r.opened, err); err != nil {
			return err
		}
	}
}

func (r *retryReader) sameAs(info Info) error {
	if info.Version == r.info.Version {
		return nil
	}
	return fmt.Errorf("read object %q: it was replaced meanwhile", r.key)
}

func (r *retryReader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	for r.next < r.end {
		n, err := r.readOn(p)
		r.next += int64(n)
		if r.next < r.end && err != nil {
			r.err = r.reopen(err)
		}
		if n > 0 || r.err != nil {
			return n, r.err
		}
	}
	r.err = io.EOF
	return 0, r.err
}

func (r *retryReader) readOn(p []byte) (n int, err error) {
	err = r.try.watch(func() (err error) {
		n, err = r.from.Read(p[:min(int64(len(p)), r.end-r.next)])
		return err
	})
	return n, err
}

// reopen goes on after an error, where it broke off. An end that comes too early
// is one.
func (r *retryReader) reopen(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	r.Close()
	r.from = nil
	if err := r.retry.rest(r.ctx, r.opened, err); err != nil {
		return err
	}
	return r.open(r.next, r.end-r.next)
}

func (r *retryReader) Close() error {
	if r.from == nil {
		return nil
	}
	defer r.try.cancel(nil)
	return r.from.Close()
}
