package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

const (
	// chunkMost is how much of a segment is kept in memory until it is stored as one object.
	// Segments that are larger stay in parts of this size.
	chunkMost = 32 << 20
	// partsMost is how many parts there are before one larger takes their place.
	partsMost = 32
)

// chunk is a segment, or a piece of a large one, that is being received. The stream owns
// it; who stores a part of it has only what a job says.
type chunk struct {
	timeline uint32
	segment  replication.LSN // where its segment starts
	size     replication.LSN // of the segment
	from, to replication.LSN // what of the segment it is

	buffer  []byte   // what has come; its array never moves
	old     []Span   // parts that were stored before this session; they are compared first
	parts   []Span   // that are stored
	stored  int      // bytes from its beginning that are stored
	whole   bool     // it is stored as one object
	samples []Sample // that belong to it
	told    int      // samples that are in parts already

	copies []fileCopy // of which WAL in it tells
	noted  int        // of them, that are recorded

	since time.Time // when the oldest byte came that is in no job yet; zero: there is none
	busy  bool      // a job is at it
	retry time.Time // not before this is anything tried again
	pause time.Duration
}

func (c *chunk) full() bool { return len(c.buffer) == int(c.to-c.from) }

// end is up to where it is stored, in the WAL.
func (c *chunk) end() replication.LSN { return c.segment + c.from + replication.LSN(c.stored) }

// key returns the key of a stretch of it.
func (c *chunk) key(s Span) string {
	if s.From == 0 && s.To == c.size {
		return segmentKey(c.timeline, c.segment, c.size)
	}
	return partKey(c.timeline, c.segment, c.size, s)
}

// job is one thing to do with the store for a chunk, and what has come of it.
type job struct {
	chunk    *chunk
	put      Span   // to be stored; To is 0: nothing
	data     []byte // of put
	meta     map[string]string
	compare  []Span     // parts from before this session that must be what has come
	contents []byte     // to compare them with: the chunk's from its beginning
	samples  []Sample   // of the parts that were compared
	gone     []Span     // of those to be compared: that are no use
	all      bool       // put is all that has come: the parts are of no use then
	told     int        // samples of the chunk that meta has, with those in parts before
	copies   []fileCopy // to be recorded before anything is put

	err error
}

// next returns what is to be done for a chunk now, nil for nothing.
func (c *chunk) next(now time.Time, interval time.Duration, hurry bool) *job {
	j := c.due(now, interval, hurry)
	if j != nil {
		j.copies = c.copies[c.noted:]
	}
	return j
}

func (c *chunk) due(now time.Time, interval time.Duration, hurry bool) *job {
	if c.busy || c.whole || now.Before(c.retry) {
		return nil
	}
	if n := len(c.old); n > 0 {
		// What was stored before is not stored again, nor deleted, before it was compared.
		if c.from+replication.LSN(len(c.buffer)) < c.old[n-1].To {
			return nil
		}
		return &job{chunk: c, compare: c.old, contents: c.buffer}
	}
	switch {
	case c.full():
		return c.putting(Span{c.from, c.to}, true)
	case c.stored == len(c.buffer) || c.since.IsZero() || !hurry && now.Sub(c.since) < interval:
		return nil
	case len(c.parts) >= partsMost-1:
		return c.putting(Span{c.from, c.from + replication.LSN(len(c.buffer))}, true)
	}
	return c.putting(Span{c.from + replication.LSN(c.stored), c.from + replication.LSN(len(c.buffer))}, false)
}

func (c *chunk) putting(s Span, all bool) *job {
	samples := c.samples
	if !all {
		samples = samples[c.told:]
	}
	return &job{
		chunk: c, put: s, data: c.buffer[s.From-c.from : s.To-c.from], meta: encodeSamples(samples), all: all, told: len(c.samples),
	}
}

// run does it, in a goroutine of its own.
func (j *job) run(ctx context.Context, r *repository.Repository) {
	for _, f := range j.copies {
		if j.err = putCopy(ctx, r, j.chunk.timeline, f); j.err != nil {
			return
		}
	}
	for _, s := range j.compare {
		if j.err = j.compareWith(ctx, r, s); j.err != nil {
			return
		}
	}
	if j.put.To > 0 {
		j.err = putWAL(ctx, r, j.chunk.key(j.put), j.data, j.meta)
	}
}

// compareWith compares what has come with a part from before this session. The sum is what
// the object says of itself: it need not be opened, and cannot be without a key.
func (j *job) compareWith(ctx context.Context, r *repository.Repository, s Span) error {
	c := j.chunk
	key := r.Key(c.key(s))
	sums, err := store.Verify(ctx, r.Store, key)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
		j.gone = append(j.gone, s)
		return nil
	}
	if err != nil {
		return err
	}
	data := j.contents[s.From-c.from : s.To-c.from]
	if sums.Plain != sumOfWAL(data) || sums.PlainSize != int64(len(data)) {
		return fmt.Errorf("%w: object %q was stored earlier, and the server sends something else", ErrConflict, key)
	}
	info, err := r.Store.Stat(ctx, key)
	if err != nil {
		return err
	}
	samples, err := parseSamples(info.Meta[samplesMeta])
	if err != nil { // they are of no use, the WAL is
		return nil
	}
	for _, sample := range samples {
		j.samples, _ = add(j.samples, sample)
	}
	return nil
}

// putWAL stores an object unless it is there already. One that is there and damaged is
// replaced: it is of no use to anybody.
func putWAL(ctx context.Context, r *repository.Repository, key string, data []byte, meta map[string]string) error {
	key = r.Key(key)
	sums, err := r.Sealer.PutIfAbsent(ctx, r.Store, key, data, meta)
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	there, err := store.Verify(ctx, r.Store, key)
	switch {
	case errors.Is(err, store.ErrDamaged):
		_, err = r.Sealer.Put(ctx, r.Store, key, data, meta)
		return err
	case err != nil:
		return err
	case there.Plain != sums.Plain || there.PlainSize != sums.PlainSize:
		return fmt.Errorf("%w: %q", ErrConflict, key)
	}
	return nil
}

// took notes what a job has done, and returns the parts that may be deleted.
func (c *chunk) took(j *job) (obsolete []Span) {
	c.busy = false
	if j.err != nil {
		if c.since.IsZero() {
			c.since = time.Now()
		}
		c.pause = min(max(2*c.pause, firstPause), longestPause)
		c.retry = time.Now().Add(c.pause)
		return nil
	}
	c.pause = 0
	c.noted += len(j.copies)
	if j.compare != nil {
		c.compared(j)
	}
	if j.put.To == 0 {
		return nil
	}
	c.stored = max(c.stored, int(j.put.To-c.from))
	c.told = j.told
	if !j.all {
		c.parts = append(c.parts, j.put)
		return nil
	}
	obsolete = slices.DeleteFunc(c.parts, func(s Span) bool { return s == j.put })
	c.parts, c.whole = []Span{j.put}, j.put == Span{c.from, c.to}
	return obsolete
}

// compared takes the parts from before this session for its own.
func (c *chunk) compared(j *job) {
	c.parts = slices.DeleteFunc(c.old, func(s Span) bool { return slices.Contains(j.gone, s) })
	c.old = nil
	samples := j.samples
	for _, s := range c.samples {
		samples, _ = add(samples, s)
	}
	c.samples, c.told = samples, len(j.samples)
	there := Segment{Parts: slices.SortedFunc(slices.Values(c.parts), byPosition)}
	for _, p := range there.Parts {
		if p.From <= c.from+replication.LSN(c.stored) {
			c.stored = max(c.stored, int(p.To-c.from))
		}
	}
	switch {
	case c.stored >= len(c.buffer): // nothing has come that was not stored before
		c.since = time.Time{}
	case c.since.IsZero():
		c.since = time.Now()
	}
}
