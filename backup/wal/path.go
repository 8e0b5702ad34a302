package wal

import (
	"cmp"
	"fmt"
	"slices"

	"howdah/backup/replication"
)

// Path returns the way to a timeline, 0 being the newest there is: its legs, the oldest
// first. The history files say it.
func (c *Contents) Path(timeline uint32) ([]Leg, error) {
	if timeline == 0 {
		if len(c.Timelines) == 0 {
			return nil, fmt.Errorf("%w: no WAL is stored", ErrHole)
		}
		timeline = c.Timelines[len(c.Timelines)-1].ID
	}
	t := c.timeline(timeline)
	switch {
	case t == nil:
		return nil, fmt.Errorf("%w: nothing is stored of timeline %d", ErrHole, timeline)
	case t.Legs != nil:
		return t.Legs, nil
	case timeline == 1:
		return []Leg{{Timeline: 1}}, nil
	}
	return nil, fmt.Errorf("%w: the history file of timeline %d is missing", ErrHole, timeline)
}

// Reaches says whether WAL is complete from a position up to a target, 0 being the newest
// position that is stored, along the way to a timeline, 0 being the newest. It returns the
// target, or that newest position. The error, ErrHole, names the first hole.
func (c *Contents) Reaches(from replication.Position, target replication.LSN, timeline uint32) (replication.Position, error) {
	legs, err := c.Path(timeline)
	if err != nil {
		return replication.Position{}, err
	}
	return c.reaches(from, target, legs)
}

// reaches is Reaches along a way that is known.
func (c *Contents) reaches(from replication.Position, target replication.LSN, legs []Leg) (replication.Position, error) {
	w, err := c.walk(from, legs)
	if err != nil {
		return replication.Position{}, err
	}
	end := w.upTo(from.LSN, target)
	if end < target || target == 0 && end < w.last {
		return replication.Position{}, w.hole(end, target)
	}
	if target != 0 {
		end = target
	}
	return replication.Position{LSN: end, Timeline: w.timelineOf(end)}, nil
}

// Complete returns up to where WAL is complete from a position on, along the way to a
// timeline: to the first hole, or to the newest position that is stored.
func (c *Contents) Complete(from replication.Position, timeline uint32) (replication.Position, error) {
	legs, err := c.Path(timeline)
	if err != nil {
		return replication.Position{}, err
	}
	w, err := c.walk(from, legs)
	if err != nil {
		return replication.Position{}, err
	}
	end := w.upTo(from.LSN, 0)
	return replication.Position{LSN: end, Timeline: w.timelineOf(end)}, nil
}

// upTo returns up to where WAL is complete from a position on; what is behind a target, if it
// is not 0, is not looked at.
func (w *walk) upTo(end, target replication.LSN) replication.LSN {
	for end < target || target == 0 {
		next, whole := w.cover(end.SegmentStart(w.size))
		end = max(end, next)
		if !whole {
			break
		}
	}
	return end
}

// walk is a way through what is stored, segment by segment.
type walk struct {
	c    *Contents
	legs []Leg
	size replication.LSN // of segments
	last replication.LSN // the start of the last segment of which something is stored on the way
}

func (c *Contents) walk(from replication.Position, legs []Leg) (*walk, error) {
	newest := legs[len(legs)-1].Timeline
	i := slices.IndexFunc(legs, func(l Leg) bool { return l.Timeline == from.Timeline })
	switch {
	case i < 0:
		return nil, fmt.Errorf("timeline %d does not lead to timeline %d", from.Timeline, newest)
	case legs[i].End != 0 && from.LSN > legs[i].End:
		return nil, fmt.Errorf("%s on timeline %d is behind %s, where the way to timeline %d leaves it", from.LSN, from.Timeline, legs[i].End, newest)
	case from.LSN < legs[i].Begin:
		return nil, fmt.Errorf("%s is before timeline %d begins, at %s", from.LSN, from.Timeline, legs[i].Begin)
	}
	w := &walk{c: c, legs: legs, size: c.Identity.Segment}
	for _, l := range legs {
		t := c.timeline(l.Timeline)
		if t == nil {
			continue
		}
		for _, s := range slices.Backward(t.Segments) {
			if l.End == 0 || s.Start < l.End {
				w.last = max(w.last, s.Start)
				break
			}
		}
	}
	return w, nil
}

// cover says up to where the segment is there, on the newest timeline that has any of it,
// as PostgreSQL asks for it; and whether that is all of it.
func (w *walk) cover(start replication.LSN) (end replication.LSN, whole bool) {
	for _, l := range slices.Backward(w.legs) {
		if start < l.Begin.SegmentStart(w.size) || l.End != 0 && start >= l.End {
			continue
		}
		s := w.c.timeline(l.Timeline).segment(start)
		if s == nil {
			continue
		}
		// The beginning of a timeline's first segment is that of the timeline before it. One
		// that has no more than that is of no use yet.
		if end = s.end(w.size); end <= l.Begin && start < l.Begin {
			continue
		}
		if l.End != 0 {
			end = min(end, l.End)
		}
		return end, end == start+w.size
	}
	return start, false
}

func (w *walk) timelineOf(at replication.LSN) uint32 {
	for _, l := range w.legs {
		if l.End == 0 || at <= l.End {
			return l.Timeline
		}
	}
	return 0
}

// Hole is the error, of the kind ErrHole, that says where WAL is missing.
type Hole struct {
	At  replication.Position
	Gap *Gap // that is recorded there; nil if none is
	End bool // nothing is stored behind it: it may come yet

	text string
}

func (h *Hole) Error() string { return fmt.Sprintf("%v %s", ErrHole, h.text) }
func (h *Hole) Unwrap() error { return ErrHole }

// hole tells of the hole at a position, and of what is known of it.
func (w *walk) hole(at, target replication.LSN) error {
	h := &Hole{At: replication.Position{LSN: at, Timeline: w.timelineOf(at)}, End: at >= w.last}
	name := replication.SegmentName(h.At.Timeline, at, w.size)
	for i := range w.c.Gaps {
		if g := &w.c.Gaps[i]; g.From.LSN <= at && at < g.To.LSN {
			h.Gap, h.text = g, fmt.Sprintf("at %s, in %s: %s", at, name, g)
			return h
		}
	}
	h.text = fmt.Sprintf("at %s, in %s: WAL is missing there, and stored again after it", at, name)
	if h.End {
		h.text = fmt.Sprintf("at the end: WAL is stored up to %s only, in %s, and not to %s", at, name, target)
	}
	return h
}

// byPosition orders parts of a segment.
func byPosition(a, b Span) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
}
