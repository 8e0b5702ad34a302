package members

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A standby that must remove rows, or lock a table, which somebody there still reads,
// stands still for as long as max_standby_streaming_delay allows: reads of all
// tenants then go to the primary. Who it waits for is found out.

// culpritText asks a standby that lags what its replay waits for, and who has held a
// snapshot, or what it waits for, for longest.
const culpritText = `select startup.wait_event, a.pid, a.usename || '@' || a.datname, extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::int8, pg_catalog.left(a.query, 200)
  from pg_catalog.pg_stat_activity startup, pg_catalog.pg_stat_activity a
  where startup.backend_type = 'startup' and a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid() and a.xact_start is not null
    and (startup.wait_event like 'RecoveryConflict%' or startup.wait_event_type in ('Lock', 'BufferPin'))
  order by a.pid = any (pg_catalog.pg_blocking_pids(startup.pid)) desc, a.backend_xmin is null, a.xact_start limit 1`

// patience is how long a standby may lag before it is asked why.
const patience = time.Second

// accuse finds out who holds up a standby's replay, if anybody does.
func (w *Watch) accuse(ctx context.Context, m *Member, conn *pgconn.PgConn) error {
	w.mu.Lock()
	lags, culprit := m.seen.role == Standby && w.samples.last().at-m.Fresh() > patience, m.culprit
	w.mu.Unlock()
	if !lags && culprit == "" || Clock()-m.accused < patience {
		return nil
	}
	m.accused = Clock()
	now := ""
	if lags {
		asking, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		r := conn.ExecParams(asking, culpritText, nil, nil, nil, nil).Read()
		if r.Err != nil {
			return r.Err
		}
		if len(r.Rows) == 1 && len(r.Rows[0]) == 5 {
			row := r.Rows[0]
			now = fmt.Sprintf("%s: process %s of %s, %s s in its transaction: %s", row[0], row[1], row[2], row[3], row[4])
		}
	}
	w.mu.Lock()
	m.culprit = now
	w.mu.Unlock()
	if culprit == "" && now != "" {
		w.cfg.Log.Warn("replay is held up", "address", m.Address, "by", now)
	} else if culprit != "" && now == "" {
		w.cfg.Log.Info("replay goes on", "address", m.Address)
	}
	return nil
}
