package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"
)

// Meter is a Store that counts what another is asked for. Below Retry it counts
// tries, above it what came of them.
type Meter struct {
	Store  Store
	Counts *Counts // which several may share
}

// Counts are what Meters have counted.
type Counts struct {
	mu    sync.Mutex
	stats MeterStats
}

// MeterStats are counts since the beginning.
type MeterStats struct {
	Put         CallStats // of PutIfAbsent too
	Stream      CallStats // from Create to Close or Abort
	Get         CallStats // from Get to the reader's Close
	Stat        CallStats
	List        CallStats
	Delete      CallStats
	Open        CallStats // of Counts.Open
	LastSuccess time.Time // of any call; 0 = none yet
	LastFailure time.Time // so too
	LastWritten time.Time // a success of Put, Stream or Open, which may try whether the store can be written to
	LastRefused time.Time // a failure of these
}

// CallStats are one kind of call's.
type CallStats struct {
	Calls  uint64
	Failed uint64        // by trouble: that there is no object, or is one, is none, nor that the caller has given up
	Bytes  uint64        // of objects
	Took   time.Duration // in the store, all together
	// Within counts the calls that took no longer than each of LatencyBounds.
	Within [len(latencyBounds)]uint64
}

// latencyBounds are far apart: an object is a few bytes or a gigabyte.
var latencyBounds = [...]time.Duration{
	5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 10 * time.Second, time.Minute,
}

// LatencyBounds are those of CallStats.Within.
func LatencyBounds() []time.Duration {
	bounds := latencyBounds
	return bounds[:]
}

// Stats returns the counts.
func (c *Counts) Stats() MeterStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Open counts an attempt to open a store, of which there is no Meter yet.
func (c *Counts) Open(ctx context.Context, open func() (Store, error)) (s Store, err error) {
	call := &meterCall{ctx: ctx, in: c, of: &c.stats.Open}
	defer call.end()
	err = call.do(func() error {
		s, err = open()
		return err
	})
	return s, err
}

// meterCall is a call, or all of a stream's.
type meterCall struct {
	ctx   context.Context
	in    *Counts
	of    *CallStats // guarded by in.mu
	bytes uint64
	took  time.Duration
	err   error
	ended bool
}

// do makes one request of the call.
func (c *meterCall) do(request func() error) error {
	begun := time.Now()
	err := request()
	c.took += time.Since(begun)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return err
}

// end counts the call, once.
func (c *meterCall) end() {
	if c.ended {
		return
	}
	c.ended = true
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.of.Calls++
	c.of.Bytes += c.bytes
	c.of.Took += c.took
	for i, bound := range latencyBounds {
		if c.took <= bound {
			c.of.Within[i]++
		}
	}
	stats := &c.in.stats
	writes := c.of == &stats.Put || c.of == &stats.Stream || c.of == &stats.Open
	switch {
	case c.err == nil || isAnswer(c.err):
		stats.LastSuccess = time.Now()
		if writes && c.err == nil { // that an object is there can be said by a store that takes none
			stats.LastWritten = stats.LastSuccess
		}
	case errors.Is(c.ctx.Err(), context.Canceled) && !errors.Is(context.Cause(c.ctx), errStalled): // nobody waits any more
	default:
		c.of.Failed++
		stats.LastFailure = time.Now()
		if writes {
			stats.LastRefused = stats.LastFailure
		}
	}
}

// isAnswer reports whether the error says that the store works.
func isAnswer(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) || errors.Is(err, ErrInvalid)
}

// count counts a call of one request, which has moved so many bytes.
func (m *Meter) count(ctx context.Context, of *CallStats, bytes int, request func() error) error {
	c := &meterCall{ctx: ctx, in: m.Counts, of: of}
	err := c.do(request)
	if err == nil {
		c.bytes = uint64(bytes)
	}
	c.end()
	return err
}

// Put stores data under key, in place of what was there.
func (m *Meter) Put(ctx context.Context, key string, data []byte, meta map[string]string) error {
	return m.count(ctx, &m.Counts.stats.Put, len(data), func() error { return m.Store.Put(ctx, key, data, meta) })
}

// PutIfAbsent stores data under key unless there is an object.
func (m *Meter) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	return m.count(ctx, &m.Counts.stats.Put, len(data), func() error { return m.Store.PutIfAbsent(ctx, key, data, meta) })
}

// Stat describes the object.
func (m *Meter) Stat(ctx context.Context, key string) (info Info, err error) {
	err = m.count(ctx, &m.Counts.stats.Stat, 0, func() error {
		info, err = m.Store.Stat(ctx, key)
		return err
	})
	return info, err
}

// Delete removes the object.
func (m *Meter) Delete(ctx context.Context, key string) error {
	return m.count(ctx, &m.Counts.stats.Delete, 0, func() error { return m.Store.Delete(ctx, key) })
}

// List yields the objects whose keys begin with prefix.
func (m *Meter) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		c := &meterCall{ctx: ctx, in: m.Counts, of: &m.Counts.stats.List}
		defer c.end()
		begun := time.Now()
		for info, err := range m.Store.List(ctx, prefix) {
			c.took += time.Since(begun)
			c.err = err
			if !yield(info, err) {
				return
			}
			begun = time.Now() // how long the caller takes is not the store's
		}
		c.took += time.Since(begun)
	}
}

// Get reads a range of the object.
func (m *Meter) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	r := &meterReader{call: meterCall{ctx: ctx, in: m.Counts, of: &m.Counts.stats.Get}}
	var info Info
	err := r.call.do(func() (err error) {
		r.from, info, err = m.Store.Get(ctx, key, offset, length)
		return err
	})
	if err != nil {
		r.call.end()
		return nil, Info{}, err
	}
	return r, info, nil
}

type meterReader struct {
	call meterCall
	from io.ReadCloser
}

func (r *meterReader) Read(p []byte) (n int, err error) {
	err = r.call.do(func() error {
		n, err = r.from.Read(p)
		return err
	})
	r.call.bytes += uint64(n)
	return n, err
}

func (r *meterReader) Close() error {
	defer r.call.end()
	return r.from.Close()
}

// Create begins an object.
func (m *Meter) Create(ctx context.Context, key string, meta map[string]string) (Writer, error) {
	w := &meterWriter{call: meterCall{ctx: ctx, in: m.Counts, of: &m.Counts.stats.Stream}}
	err := w.call.do(func() (err error) {
		w.to, err = m.Store.Create(ctx, key, meta)
		return err
	})
	if err != nil {
		w.call.end()
		return nil, err
	}
	return w, nil
}

type meterWriter struct {
	call meterCall
	to   Writer
}

func (w *meterWriter) Write(p []byte) (n int, err error) {
	err = w.call.do(func() error {
		n, err = w.to.Write(p)
		return err
	})
	w.call.bytes += uint64(n)
	return n, err
}

func (w *meterWriter) Close() error {
	defer w.call.end()
	return w.call.do(w.to.Close)
}

func (w *meterWriter) Abort() {
	w.to.Abort()
	w.call.end()
}
