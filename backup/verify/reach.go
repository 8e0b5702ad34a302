package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/wal"
)

// reaches follows the WAL from each base backup on.
func (s *verifying) reaches(ctx context.Context) error {
	contents, err := wal.List(ctx, s.Repo)
	if err != nil {
		if isFinding(err) {
			s.damaged("WAL", fmt.Errorf("how far it leads is not known: %w", err))
			return nil
		}
		return s.found(ctx, "WAL", err)
	}
	for _, t := range contents.Timelines {
		if t.Legs == nil && t.ID != 1 {
			s.damaged(s.Repo.Key("wal", replication.HistoryName(t.ID)), fmt.Errorf("it is missing, and nothing on timeline %d can be restored without it", t.ID))
		}
	}
	told := map[replication.Position]bool{}
	for i := range s.bases {
		m := &s.bases[i]
		if s.only != nil && m.ID != s.only.ID {
			continue
		}
		if err := s.reach(ctx, contents, m, told); err != nil {
			return err
		}
	}
	return nil
}

// reach says how far it leads from one. told has the holes that were told of already.
func (s *verifying) reach(ctx context.Context, c *wal.Contents, m *base.Manifest, told map[replication.Position]bool) error {
	from := replication.Position(m.Start)
	r := Reach{ID: m.ID, Started: m.Started, Timeline: m.Stop.Timeline, Until: m.Stop.LSN.String()}
	if _, err := base.Chain(ctx, s.Repo, m); err != nil {
		if err := s.found(ctx, "base backup "+m.ID, err); err != nil {
			return err
		}
	}
	if _, err := c.Reaches(from, m.Stop.LSN, m.Stop.Timeline); err != nil {
		s.damaged("base backup "+m.ID, fmt.Errorf("it cannot be restored, for its own WAL is not complete: %w", err))
		r.Hole = err.Error()
		s.report.Bases = append(s.report.Bases, r)
		return nil
	}
	timeline := m.Stop.Timeline
	if newest := c.Newest().Timeline; leads(c, newest, replication.Position(m.Stop)) {
		timeline = newest
	}
	until, err := c.Reaches(from, 0, timeline)
	hole := (*wal.Hole)(nil)
	switch {
	case errors.As(err, &hole):
		until = hole.At
		r.Hole = hole.Error()
	case err != nil:
		s.damaged("base backup "+m.ID, err)
		return nil
	}
	r.Until, r.Timeline = until.LSN.String(), until.Timeline
	sample, err := c.SampledBefore(ctx, s.Repo, until)
	if err := s.found(ctx, "WAL", err); err != nil {
		return err
	}
	since := "at a time that is not known"
	if !sample.Time.IsZero() {
		r.Before = &sample.Time
		since = "after " + sample.Time.UTC().Format("2006-01-02T15:04:05Z07:00")
	}
	s.report.Bases = append(s.report.Bases, r)
	if hole == nil || told[hole.At] {
		return nil
	}
	told[hole.At] = true
	problem := fmt.Sprintf("what was committed %s, and before the next base backup, cannot be restored: %s", since, hole)
	if hole.Gap != nil {
		s.note("WAL from "+lsn(hole.At)+" on", problem)
	} else {
		s.damaged("WAL from "+lsn(hole.At)+" on", errors.New(problem))
	}
	return nil
}

// leads says whether a position is on the way to a timeline.
func leads(c *wal.Contents, timeline uint32, p replication.Position) bool {
	legs, err := c.Path(timeline)
	return err == nil && slices.ContainsFunc(legs, func(l wal.Leg) bool {
		return l.Timeline == p.Timeline && (l.End == 0 || p.LSN <= l.End)
	})
}
