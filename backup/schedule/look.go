package schedule

import (
	"cmp"
	"context"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/wal"
)

// seen is what a receiver has told that may mean that WAL was lost, or does not have all.
type seen struct {
	timeline uint32
	gaps     int
	lost     time.Time
	copied   replication.Position
}

func (s *Scheduler) seenIn(stats wal.Stats) seen {
	n := seen{timeline: stats.Timeline, gaps: stats.Gaps, lost: stats.SlotLost}
	if s.minds() {
		n.copied = stats.Copied
	}
	return n
}

// copyPause is between two base backups because of files that were copied: whoever may make
// databases can go on making them.
const copyPause = time.Hour

// minds says whether a base backup may be taken because of files that were copied.
func (s *Scheduler) minds() bool { return time.Since(s.copied) >= copyPause }

// look finds out what decides whether a base backup is due. The store is asked for much:
// thorough is false where it is only about a base backup's age and the cluster.
func (s *Scheduler) look(ctx context.Context, stats wal.Stats, thorough bool) (*facts, error) {
	settings := s.Settings()
	f := &facts{
		newest: s.newest, last: s.last, interval: settings.Interval, changes: settings.Changes, unable: s.unable,
		durable: stats.Durable, replay: settings.Replay, whole: settings.ReplayWhole, pause: cmp.Or(s.every, ReplayPause),
	}
	if thorough {
		all, err := base.List(ctx, s.Repo)
		if err := base.Serious(err); err != nil {
			return nil, err
		}
		f.newest, f.last = newestOf(all, time.Now())
		s.newest, s.last = f.newest, f.last
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
		f.broken = reaches(contents, f.newest, stats.Durable, stats.Timeline)
		if f.broken == nil && s.minds() {
			copies, err := wal.Copies(ctx, s.Repo)
			if err != nil {
				return nil, err
			}
			if f.copied, err = contents.CopiedSince(copies, f.newest.Start.LSN, stats.Timeline); err != nil {
				return nil, err
			}
		}
	}
	var err error
	f.tablespaces, err = tablespacesOf(ctx, s.URL())
	return f, err
}

// reaches says why what is stored of a timeline cannot be reached from a base backup; nil if
// it can. The way must not have left the backup's timeline before it ended: its files may
// be newer than that.
func reaches(contents *wal.Contents, m *base.Manifest, durable replication.LSN, timeline uint32) error {
	target := max(durable, m.Stop.LSN)
	for _, from := range []base.Position{m.Start, m.Stop} {
		if _, err := contents.Reaches(replication.Position(from), target, timeline); err != nil {
			return err
		}
	}
	return nil
}
