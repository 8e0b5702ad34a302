package members

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// What an open transaction has written stands in the primary's buffers until somebody
// commits: no standby can have replayed it, and on a primary where nothing else happens
// none would be fresh for as long as that lasts. A commit of ours sends it on its way.

// nudgeText commits something that changes nothing, if there is WAL that is not flushed.
const nudgeText = `select pg_catalog.set_config('synchronous_commit', 'local', false), pg_catalog.pg_logical_emit_message(true, 'howdah', '')
  where pg_catalog.pg_current_wal_insert_lsn() > pg_catalog.pg_current_wal_flush_lsn()`

// stuckFor is how long a position must have stood still, unreached, before the primary
// is nudged, and the pause between two nudges.
const stuckFor = 200 * time.Millisecond

// stuck reports whether the latest samples are of one position that no standby reaches
// though one receives WAL. w.mu is held.
func (w *Watch) stuck() bool {
	last := w.samples.last()
	since := last.at
	for i := len(w.samples.list) - 1; i >= 0 && w.samples.list[i].lsn == last.lsn; i-- {
		since = w.samples.list[i].at
	}
	if last.at-since < stuckFor {
		return false
	}
	receives := false
	for _, m := range w.all() {
		if m.seen.role == Standby && m.seen.streamed {
			if receives = true; m.Fresh() >= since {
				return false
			}
		}
	}
	return receives
}

// nudge has the primary flush its WAL, where that keeps standbys from being fresh.
func (w *Watch) nudge(ctx context.Context, m *Member, conn *pgconn.PgConn) error {
	w.mu.Lock()
	needed := w.primary.Load() == m && w.stuck()
	w.mu.Unlock()
	if !needed || !w.read() || Clock()-m.nudged < stuckFor {
		return nil
	}
	m.nudged = Clock()
	asking, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return conn.ExecParams(asking, nudgeText, nil, nil, nil, nil).Read().Err
}
