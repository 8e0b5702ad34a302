package wal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

var (
	// ErrAbsent is of a file that is not in the repository; nothing is wrong then.
	ErrAbsent = errors.New("wal: it is not stored")
	// ErrHole is of WAL that is not there up to where it is needed.
	ErrHole = errors.New("wal: there is a hole")
	// ErrConflict is of WAL that is stored already, with other contents: two servers have
	// written the same part of the same timeline. Nothing is ever replaced.
	ErrConflict = errors.New("wal: other contents are stored under the same name")
)

// Contents is what a repository had of WAL when it was listed.
type Contents struct {
	Identity *repository.Identity
	// Timeline is the one that is restored to: nothing is fetched that is not on the way
	// to it. 0 is the newest, and then what is asked for by name is fetched as it is.
	Timeline  uint32
	Timelines []*Timeline // by number
	Gaps      []Gap       // by position
	Odd       []string    // keys that nobody of us has written, each with the reason: they are left alone
	Damaged   []string    // keys of objects that are known to be damaged: they do not count
}

// Timeline is what there is of one.
type Timeline struct {
	ID       uint32
	Legs     []Leg     // the way to it, from its history file; nil if that is not there
	Segments []Segment // by position
}

// Segment is what there is of a segment: all of it in one object, or parts, or both.
type Segment struct {
	Start replication.LSN
	Whole bool
	Parts []Span // by From, then To; they may overlap
	Bytes int64  // in the store
	// Stored is when the newest object of it was stored, by the store's clock.
	Stored time.Time
}

// List lists a repository's WAL. It reads identity, history files and gap records.
func List(ctx context.Context, r *repository.Repository) (*Contents, error) {
	identity, err := r.Identity(ctx)
	if err != nil {
		return nil, err
	}
	c := &Contents{Identity: identity}
	timelines := map[uint32]*Timeline{}
	for o, err := range Objects(ctx, r, identity.Segment) {
		if err != nil {
			return nil, err
		}
		if o.Odd != nil {
			c.Odd = append(c.Odd, fmt.Sprintf("%q: %v", o.Key, o.Odd))
			continue
		}
		if o.Size < 0 {
			c.Damaged = append(c.Damaged, o.Key)
			continue
		}
		t := timelines[o.Timeline]
		if t == nil {
			t = &Timeline{ID: o.Timeline}
			timelines[o.Timeline] = t
		}
		if !o.History {
			t.add(object{start: o.Start, part: o.Part}, o.Info)
			continue
		}
		switch t.Legs, err = readHistory(ctx, r, o.Timeline); {
		case errors.Is(err, store.ErrDamaged): // as if it were missing: no way leads there
			c.Damaged = append(c.Damaged, o.Key)
		case err != nil:
			return nil, err
		}
	}
	for _, t := range timelines {
		c.Timelines = append(c.Timelines, t)
	}
	slices.SortFunc(c.Timelines, func(a, b *Timeline) int { return cmp.Compare(a.ID, b.ID) })
	gaps, damaged, err := Gaps(ctx, r)
	c.Gaps, c.Damaged = gaps, append(c.Damaged, damaged...)
	return c, err
}

// add adds an object; they come in the order of their keys, and so of positions.
func (t *Timeline) add(o object, info store.Info) {
	if n := len(t.Segments); n == 0 || t.Segments[n-1].Start != o.start {
		t.Segments = append(t.Segments, Segment{Start: o.start})
	}
	s := &t.Segments[len(t.Segments)-1]
	if o.part.To == 0 {
		s.Whole = true
	} else {
		s.Parts = append(s.Parts, o.part)
	}
	s.Bytes += info.Size
	if info.Time.After(s.Stored) {
		s.Stored = info.Time
	}
}

// end returns up to where a segment is there without a hole: its start if nothing is.
func (s *Segment) end(size replication.LSN) replication.LSN {
	if s.Whole {
		return s.Start + size
	}
	at := replication.LSN(0)
	for _, p := range s.Parts {
		if p.From <= at {
			at = max(at, p.To)
		}
	}
	return s.Start + at
}

// timeline returns what there is of one, or nil.
func (c *Contents) timeline(id uint32) *Timeline {
	i, ok := slices.BinarySearchFunc(c.Timelines, id, func(t *Timeline, id uint32) int { return cmp.Compare(t.ID, id) })
	if !ok {
		return nil
	}
	return c.Timelines[i]
}

// segment returns what there is of the one that starts there, or nil.
func (t *Timeline) segment(start replication.LSN) *Segment {
	if t == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(t.Segments, start, func(s Segment, start replication.LSN) int { return cmp.Compare(s.Start, start) })
	if !ok {
		return nil
	}
	return &t.Segments[i]
}

// begin returns where the way to a timeline comes to it, 0 if that is not known.
func (t *Timeline) begin() replication.LSN {
	if t == nil || len(t.Legs) == 0 {
		return 0
	}
	return t.Legs[len(t.Legs)-1].Begin
}

// Newest returns where the newest timeline that has WAL ends, holes or not; nothing is
// its zero.
func (c *Contents) Newest() replication.Position {
	for _, t := range slices.Backward(c.Timelines) {
		if p, ok := c.endOf(t.ID); ok {
			return p
		}
	}
	return replication.Position{}
}

// endOf returns where what there is of a timeline ends.
func (c *Contents) endOf(timeline uint32) (replication.Position, bool) {
	t := c.timeline(timeline)
	if t == nil || len(t.Segments) == 0 {
		return replication.Position{}, false
	}
	return replication.Position{LSN: t.Segments[len(t.Segments)-1].end(c.Identity.Segment), Timeline: timeline}, true
}

const historyMost = 1 << 20 // more than a history file has bytes

// readHistory reads a history file. It is not sealed: who has no key must know too which
// WAL belongs together.
func readHistory(ctx context.Context, r *repository.Repository, timeline uint32) ([]Leg, error) {
	text, err := readPlain(ctx, r, historyKey(timeline), historyMost)
	if err != nil {
		return nil, err
	}
	legs, err := ParseHistory(timeline, text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return legs, nil
}

// readPlain reads an object that is not sealed, and compares it with its sum.
func readPlain(ctx context.Context, r *repository.Repository, key string, most int64) ([]byte, error) {
	return store.ReadPlain(ctx, r.Store, r.Key(key), most)
}

// putPlain stores an object that is not sealed, unless it is there already. One that is
// damaged is replaced: it is of no use to anybody.
func putPlain(ctx context.Context, r *repository.Repository, key string, text []byte) error {
	err := r.Store.PutIfAbsent(ctx, r.Key(key), text, store.WithSum(text))
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	there, err := readPlain(ctx, r, key, historyMost)
	if errors.Is(err, store.ErrDamaged) {
		return r.Store.Put(ctx, r.Key(key), text, store.WithSum(text))
	}
	if err != nil {
		return err
	}
	if string(there) != string(text) {
		return fmt.Errorf("%w: %q", ErrConflict, r.Key(key))
	}
	return nil
}
