package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"howdah/backup/replication"
)

var (
	// errAgain ends a session after which there is nothing to wait for.
	errAgain = errors.New("connect again")
	// errStopped is of a server that has ended the stream.
	errStopped = errors.New("the server has ended the stream: it stops, or does not wait any longer")
)

// session is one connection to the primary, and what the repository had when it was made.
type session struct {
	r        *Receiver
	conn     *replication.Conn
	server   replication.Server
	contents *Contents
	legs     []Leg // the way to the server's timeline
}

// session connects, finds out where to go on, and receives.
func (r *Receiver) session(ctx context.Context) error {
	connecting, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := replication.Connect(connecting, r.URL())
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		conn.Close(closing)
	}()
	s := &session{r: r, conn: conn, server: conn.Server()}
	if _, err := r.Repo.Claim(ctx, s.server); err != nil {
		return err
	}
	if s.contents, err = List(ctx, r.Repo); err != nil {
		return err
	}
	r.update(func(st *Stats) {
		st.Gaps, st.LastGap, st.system = len(s.contents.Gaps), LastFound(s.contents.Gaps), s.server.System
	})
	if err := s.clean(ctx); err != nil {
		return err
	}
	if err := s.histories(ctx); err != nil {
		return err
	}
	at, err := s.begin(ctx)
	if err != nil {
		return err
	}
	return s.streams(ctx, at)
}

// streams receives one timeline after the other, from a position on.
func (s *session) streams(ctx context.Context, at replication.Position) error {
	for {
		from := at
		from.LSN = at.LSN.SegmentStart(s.server.Segment)
		err := s.conn.Stream(ctx, s.r.slot(), from.LSN, from.Timeline)
		if err != nil {
			return s.lost(err, at)
		}
		stream := newStream(s, at)
		end, err := stream.run(ctx)
		if err != nil {
			return s.lost(err, at)
		}
		if end.Next == 0 {
			return errStopped
		}
		s.r.Log.Info("a timeline has ended", "cluster", s.r.Repo.Cluster, "timeline", at.Timeline, "next", end.Next, "at", end.Start.String())
		if err := s.history(ctx, end.Next); err != nil {
			return err
		}
		at = replication.Position{LSN: end.Start, Timeline: end.Next}
	}
}

// lost remembers that the server does not have the WAL that comes next: the next session
// knows then that trying is of no use.
func (s *session) lost(err error, at replication.Position) error {
	if replication.Gone(err) && s.r.gone != at {
		s.r.gone = at
		return errAgain
	}
	return err
}

// clean deletes parts of whole segments: who was killed has left them.
func (s *session) clean(ctx context.Context) error {
	for _, t := range s.contents.Timelines {
		for _, segment := range t.Segments {
			for _, p := range segment.Parts {
				if !segment.Whole {
					break
				}
				if err := s.r.Repo.Store.Delete(ctx, s.r.Repo.Key(partKey(t.ID, segment.Start, s.server.Segment, p))); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// histories stores the history files of the server's timeline and of those before it, as
// far as the server has them, and reads the way to its timeline.
func (s *session) histories(ctx context.Context) error {
	s.legs = []Leg{{Timeline: s.server.Timeline}}
	if s.server.Timeline == 1 {
		return nil
	}
	text, err := s.conn.History(ctx, s.server.Timeline)
	if err != nil {
		return err
	}
	if s.legs, err = ParseHistory(s.server.Timeline, text); err != nil {
		return err
	}
	for _, l := range s.legs {
		if l.Timeline == 1 {
			continue
		}
		if err := s.history(ctx, l.Timeline); err != nil && (l.Timeline == s.server.Timeline || !replication.Gone(err)) {
			return err
		}
	}
	return nil
}

// history stores a timeline's history file, unless it is there already.
func (s *session) history(ctx context.Context, timeline uint32) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	text, err := s.conn.History(ctx, timeline)
	if err != nil {
		return err
	}
	if _, err := ParseHistory(timeline, text); err != nil {
		return err
	}
	return putPlain(ctx, s.r.Repo, historyKey(timeline), text)
}

// begin sees to it that there is a slot, and returns where to go on: where the repository
// ends; or, if it has nothing, or the server has that no more, where the slot begins.
func (s *session) begin(ctx context.Context) (replication.Position, error) {
	slot, err := s.slot(ctx)
	if err != nil {
		return replication.Position{}, err
	}
	first := replication.Position{LSN: slot.Restart, Timeline: slot.Timeline}
	at := s.next(first)
	switch {
	case at.Timeline == 0:
		return first, nil
	case s.r.gone != at:
		return at, nil
	case first.LSN.SegmentStart(s.server.Segment) <= at.LSN:
		return at, fmt.Errorf("the server has no WAL from %s on, though its slot %q is at %s", at.LSN, s.r.slot(), first.LSN)
	}
	first.LSN = first.LSN.SegmentStart(s.server.Segment)
	g := &Gap{From: at, To: first, Found: time.Now(), Why: "the server had it no more when it was to be received"}
	if err := putGap(ctx, s.r.Repo, g); err != nil {
		return at, err
	}
	s.r.update(func(st *Stats) { st.Gaps, st.LastGap = st.Gaps+1, g.Found })
	s.r.Log.Error("WAL was lost: nothing can be restored that needs it; take a base backup now", "cluster", s.r.Repo.Cluster, "gap", g.String())
	return first, nil
}

// slot returns the slot, and makes it if there is none, or one that is of no use: from
// which the server has taken what it kept for it.
func (s *session) slot(ctx context.Context) (*replication.Slot, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	name := s.r.slot()
	slot, err := s.conn.Slot(ctx, name)
	if err != nil {
		return nil, err
	}
	if slot != nil && slot.Restart == 0 {
		if err := s.conn.DropSlot(ctx, name); err != nil {
			return nil, err
		}
		s.r.update(func(st *Stats) { st.SlotLost = time.Now() })
		s.r.Log.Error("the server has given up the replication slot, and is given another", "cluster", s.r.Repo.Cluster, "slot", name)
		slot = nil
	}
	if slot != nil {
		return slot, nil
	}
	if err := s.conn.CreateSlot(ctx, name); err != nil {
		return nil, err
	}
	if slot, err = s.conn.Slot(ctx, name); err == nil && (slot == nil || slot.Restart == 0 || slot.Timeline == 0) {
		err = fmt.Errorf("replication slot %q was made, and keeps no WAL", name)
	}
	return slot, err
}

// next returns where to go on: where the repository ends, or before that, where the first
// hole is that nobody has recorded as a gap, from where the slot begins on. Others may have
// archived what comes behind it; once that is reported to be stored, the server throws away
// what would fill the hole.
func (s *session) next(first replication.Position) replication.Position {
	at := s.end(first)
	for from := first; at.Timeline != 0 && from.LSN < at.LSN; {
		_, err := s.contents.reaches(from, at.LSN, s.legs)
		var hole *Hole
		switch {
		case !errors.As(err, &hole): // all is there, or the slot's position does not lead there
			return at
		case hole.Gap == nil:
			return hole.At
		}
		from = hole.Gap.To
	}
	return at
}

// end returns where the repository ends on the way to the server's timeline; the zero if
// it has nothing of it. first is where the slot begins.
func (s *session) end(first replication.Position) replication.Position {
	for i, l := range slices.Backward(s.legs) {
		p, ok := s.contents.resume(l.Timeline, first)
		if !ok || p.LSN <= l.Begin && l.Begin != 0 {
			continue
		}
		if l.End != 0 && p.LSN >= l.End {
			return replication.Position{LSN: l.End, Timeline: s.legs[i+1].Timeline}
		}
		return p
	}
	return replication.Position{}
}

// behind is how many segments are looked at for one that is missing: more than are stored
// at the same time. Whoever was killed may have stored the later and not the earlier.
const behind = 32

// resume returns where a timeline is to be received from: where it ends, or, if
// what is stored last has holes that nobody has recorded as gaps, where the first of them is.
func (c *Contents) resume(timeline uint32, first replication.Position) (replication.Position, bool) {
	p, ok := c.endOf(timeline)
	if !ok {
		return p, false
	}
	size, all := c.Identity.Segment, c.timeline(timeline).Segments
	for i := len(all) - 1; i >= max(0, len(all)-behind); i-- {
		begin := replication.Position{LSN: all[i].Start, Timeline: timeline}
		if slices.ContainsFunc(c.Gaps, func(g Gap) bool { return g.To == begin }) {
			break
		}
		if i == 0 { // what the slot keeps has never been reported to be stored
			if first.Timeline == timeline && first.LSN < begin.LSN {
				p.LSN = first.LSN
			}
			break
		}
		if end := all[i-1].end(size); end < begin.LSN {
			p.LSN = end
		}
	}
	return p, true
}
