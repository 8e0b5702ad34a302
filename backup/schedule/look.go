package schedule

import (
	"context"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/wal"
)

// seen is what a receiver has told that may mean that WAL was lost.
type seen struct {
	timeline uint32
	gaps     int
	lost     time.Time
}

func seenIn(s wal.Stats) seen { return seen{s.Timeline, s.Gaps, s.SlotLost} }

// look finds out what decides whether a base backup is due. The store is asked for much:
// thorough is false where it is only about a base backup's age and the cluster.
func (s *Scheduler) look(ctx context.Context, stats wal.Stats, thorough bool) (*facts, error) {
	f := &facts{newest: s.newest, interval: s.Settings().Interval}
	if thorough {
		all, err := base.List(ctx, s.Repo)
		if err := base.Serious(err); err != nil {
			return nil, err
		}
		f.newest = newestOf(all, time.Now())
		s.newest = f.newest
		s.update(func(st *Stats) { st.There = f.newest != nil })
	}
	if f.newest == nil {
		return f, nil
	}
	if thorough {
		contents, err := wal.List(ctx, s.Repo)
		if err != nil {
			return nil, err
		}
		_, f.broken = contents.Reaches(replication.Position(f.newest.Start), max(stats.Durable, f.newest.Stop.LSN), stats.Timeline)
	}
	var err error
	f.tablespaces, err = tablespacesOf(ctx, s.URL())
	return f, err
}
