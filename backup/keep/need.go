package keep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/wal"
)

// need is that WAL is kept from a position on, on all ways that lead on from there.
type need struct {
	from replication.Position
	to   replication.Position // Timeline is 0: as far as it goes
}

// needed says whether an object must stay.
func (p *Plan) needed(o *wal.Object) bool {
	size := p.contents.Identity.Segment
	return p.neededOn(o.Timeline, o.Start, o.Start+size)
}

// gapNeeded says whether the record of a gap must stay: it tells why something is missing
// among what is kept.
func (p *Plan) gapNeeded(g wal.Gap) bool {
	return p.neededOn(g.To.Timeline, g.From.LSN, g.To.LSN) || p.neededOn(g.From.Timeline, g.From.LSN, g.To.LSN)
}

// copyNeeded says whether the record of a copied database must stay: it tells of WAL that is
// kept.
func (p *Plan) copyNeeded(c wal.Copy) bool {
	return p.neededOn(c.At.Timeline, c.At.LSN, c.At.LSN+1)
}

// neededOn says whether WAL of a timeline between two positions must stay.
func (p *Plan) neededOn(timeline uint32, from, to replication.LSN) bool {
	if p.Idle != "" {
		return true
	}
	legs, err := p.contents.Path(timeline)
	if err != nil { // nobody knows where it leads
		return true
	}
	reached := false
	for i := range p.needs {
		n := &p.needs[i]
		if !n.leads(legs) {
			if n.begins(p.contents, timeline, from, to) {
				return true
			}
			continue
		}
		if n.to.Timeline == 0 {
			reached = true
			if to > n.from.LSN {
				return true
			}
			continue
		}
		if to > n.from.LSN && from <= n.to.LSN && p.leadsTo(timeline, n.to) {
			return true
		}
	}
	// Nothing leads there yet: it may be where the cluster goes on now.
	return !reached && p.active[timeline]
}

// leads says whether a way comes by where the need begins.
func (n *need) leads(legs []wal.Leg) bool {
	return slices.ContainsFunc(legs, func(l wal.Leg) bool {
		return l.Timeline == n.from.Timeline && (l.End == 0 || n.from.LSN <= l.End)
	})
}

// leadsTo says whether a timeline is on the way to a position.
func (p *Plan) leadsTo(timeline uint32, to replication.Position) bool {
	legs, err := p.contents.Path(to.Timeline)
	return err != nil || slices.ContainsFunc(legs, func(l wal.Leg) bool { return l.Timeline == timeline })
}

// begins says whether WAL of a timeline before that of a need is in the segment in which
// the need begins.
func (n *need) begins(c *wal.Contents, timeline uint32, from, to replication.LSN) bool {
	legs, err := c.Path(n.from.Timeline)
	if err != nil {
		return true
	}
	return from <= n.from.LSN && n.from.LSN < to && slices.ContainsFunc(legs, func(l wal.Leg) bool { return l.Timeline == timeline })
}

// ErrBeyond is of a moment that no restore from a base backup comes to.
var ErrBeyond = errors.New("it is out of reach")

// Reach says which position a hold of a base backup has to reach so that a restore to a
// time, or to a position where the time is zero, can begin with it. What is stored must
// lead there, else it is ErrBeyond.
func Reach(ctx context.Context, r *repository.Repository, m *base.Manifest, at time.Time, lsn replication.LSN) (*base.Position, error) {
	contents, err := wal.List(ctx, r)
	if err != nil {
		return nil, err
	}
	if !at.IsZero() {
		known := false
		if lsn, known, err = contents.TargetOf(ctx, r, at); err != nil {
			return nil, err
		}
		if !known {
			return nil, fmt.Errorf("%w: it is not known that all WAL of before %s is stored: hold it until latest", ErrBeyond, stamp(at))
		}
	}
	if lsn < m.Stop.LSN {
		return nil, fmt.Errorf("%w: base backup %s ended at %s (%s), after that", ErrBeyond, m.ID, stamp(m.Finished), m.Stop.LSN)
	}
	p, err := contents.Reaches(replication.Position(m.Start), lsn, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: base backup %s does not lead there: %w", ErrBeyond, m.ID, err)
	}
	position := base.Position(p)
	return &position, nil
}
