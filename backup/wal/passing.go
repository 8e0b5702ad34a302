package wal

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"howdah/backup/replication"
	"howdah/backup/repository"
)

// Clocks are said to agree where they differ by no more than clockSlack: a commit has its
// time a little before it is in the WAL, and a sample its own before its position.
const clockSlack = 5 * time.Second

// passingAt is how many objects are asked for their samples at a time.
const passingAt = 16

// Passing says where in the WAL the primary's clock passed a time, as far as samples tell.
type Passing struct {
	After  Sample // the first one of after it; the zero: there is none
	Before Sample // the last one, by its position, of clearly before it; the zero: there is none
}

// Back reports whether the clock was set back: it had passed the time, and was clearly before
// it again.
func (p Passing) Back() bool { return !p.After.Time.IsZero() && p.Before.LSN > p.After.LSN }

// Passing looks where the primary's clock passed a time behind a position, on the way to
// c.Timeline. It asks for each object there is behind that.
func (c *Contents) Passing(ctx context.Context, r *repository.Repository, from replication.LSN, t time.Time) (p Passing, err error) {
	legs, err := c.Path(c.Timeline)
	if err != nil {
		return p, err
	}
	var rest []Leg
	for _, l := range legs {
		if l.End == 0 || l.End > from {
			l.Begin = max(l.Begin, from)
			rest = append(rest, l)
		}
	}
	s := &sampled{c: c, r: r, keys: c.keys(rest)}
	found := make([][]Sample, len(s.keys))
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(passingAt)
	for i, key := range s.keys {
		workers.Go(func() (err error) {
			found[i], err = s.read(ctx, key)
			return err
		})
	}
	if err := workers.Wait(); err != nil {
		return p, err
	}
	for _, samples := range found {
		for _, sample := range samples {
			switch {
			case sample.LSN < from:
			case !sample.Time.After(t.Add(-clockSlack)):
				p.Before = sample
			case p.After.Time.IsZero() && sample.Time.After(t):
				p.After = sample
			}
		}
	}
	return p, nil
}
