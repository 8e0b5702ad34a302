package store

import (
	"context"
	"io"
	"iter"

	"golang.org/x/time/rate"
)

// Limit is a Store that gets no more bytes in a second than it may, all its calls
// together. It belongs in front of Retry, which would take waiting for stalling;
// so what is sent again is not counted.
type Limit struct {
	Store Store
	Rates *Rates // which several may share
}

// Rates bound how many bytes may pass in a second.
type Rates struct {
	read  *rate.Limiter // of objects' bytes; nil = no limit
	write *rate.Limiter
}

// limitPiece is how many bytes are waited for at a time, unless a second's worth
// is less.
const limitPiece = 256 << 10

// NewRates limits the bytes per second that are read from stores and written to
// them. 0 or less is no limit.
func NewRates(read, write int64) *Rates {
	return &Rates{read: newLimiter(read), write: newLimiter(write)}
}

func newLimiter(bytes int64) *rate.Limiter {
	if bytes <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(bytes), int(min(bytes, limitPiece)))
}

// pass waits until so many bytes may pass.
func pass(ctx context.Context, l *rate.Limiter, bytes int) error {
	for l != nil && bytes > 0 {
		n := min(bytes, l.Burst())
		if err := l.WaitN(ctx, n); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err // the deadline would come first
		}
		bytes -= n
	}
	return nil
}

// Put stores data under key, in place of what was there.
func (l *Limit) Put(ctx context.Context, key string, data []byte, meta map[string]string) error {
	if err := pass(ctx, l.Rates.write, len(data)); err != nil {
		return err
	}
	return l.Store.Put(ctx, key, data, meta)
}

// PutIfAbsent stores data under key unless there is an object.
func (l *Limit) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	if err := pass(ctx, l.Rates.write, len(data)); err != nil {
		return err
	}
	return l.Store.PutIfAbsent(ctx, key, data, meta)
}

// Stat describes the object.
func (l *Limit) Stat(ctx context.Context, key string) (Info, error) { return l.Store.Stat(ctx, key) }

// Delete removes the object.
func (l *Limit) Delete(ctx context.Context, key string) error { return l.Store.Delete(ctx, key) }

// List yields the objects whose keys begin with prefix.
func (l *Limit) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return l.Store.List(ctx, prefix)
}

// Get reads a range of the object.
func (l *Limit) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	r, info, err := l.Store.Get(ctx, key, offset, length)
	if err != nil || l.Rates.read == nil {
		return r, info, err
	}
	return &limitReader{r, ctx, l.Rates.read}, info, nil
}

type limitReader struct {
	io.ReadCloser
	ctx  context.Context
	read *rate.Limiter
}

func (r *limitReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p[:min(len(p), r.read.Burst())])
	if waitErr := pass(r.ctx, r.read, n); waitErr != nil {
		return n, waitErr
	}
	return n, err
}

// Create begins an object.
func (l *Limit) Create(ctx context.Context, key string, meta map[string]string) (Writer, error) {
	w, err := l.Store.Create(ctx, key, meta)
	if err != nil || l.Rates.write == nil {
		return w, err
	}
	return &limitWriter{w, ctx, l.Rates.write}, nil
}

type limitWriter struct {
	Writer
	ctx   context.Context
	write *rate.Limiter
}

func (w *limitWriter) Write(p []byte) (written int, err error) {
	for len(p) > 0 && err == nil {
		piece := p[:min(len(p), w.write.Burst())]
		if err := pass(w.ctx, w.write, len(piece)); err != nil {
			return written, err
		}
		var n int
		n, err = w.Writer.Write(piece)
		written += n
		p = p[n:]
	}
	return written, err
}
