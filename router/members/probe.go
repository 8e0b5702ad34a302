package members

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// seen is what a member last said of itself.
type seen struct {
	history
	role     Role
	lsn      LSN    // a primary's insert position, a standby's replayed one
	segment  LSN    // size of a WAL segment
	started  string // when its postmaster was started: another time is another instance
	asked    time.Duration
	streamed bool // a standby that receives WAL now: its timeline is known
	err      error
}

// StartedText is an expression for when the instance was started, in microseconds:
// the same text whatever the session's settings are.
const StartedText = `(extract(epoch from pg_catalog.pg_postmaster_start_time()) * 1000000)::pg_catalog.int8`

// instance is what does not change while a connection to it lasts.
type instance struct {
	system  string
	started string
	segment LSN // size of a WAL segment
}

const instanceText = `select (select system_identifier from pg_catalog.pg_control_system()), ` + StartedText + `,
  pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))`

// probeText asks a member who it is and how far it is, in one round trip. The
// timeline of a primary is that of the WAL it writes (the control file names the
// one before until the first checkpoint behind a promotion); a standby's is that
// of the WAL it receives.
const probeText = `select pg_catalog.pg_is_in_recovery(),
  case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_insert_lsn() end - '0/0',
  case when pg_catalog.pg_is_in_recovery() then (select received_tli from pg_catalog.pg_stat_wal_receiver where status = 'streaming')::text
    else pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8) end`

// probeName is what probeText is prepared as: a member is asked a hundred times a
// second, and to parse and plan the text takes longer than to run it.
const probeName = "howdah_probe"

var errProbe = errors.New("members: unexpected answer to the probe")

// identify asks a member what will not change, and prepares the probe.
func identify(ctx context.Context, conn *pgconn.PgConn) (*instance, error) {
	if _, err := conn.Prepare(ctx, probeName, probeText, nil); err != nil {
		return nil, err
	}
	r := conn.ExecParams(ctx, instanceText, nil, nil, nil, nil).Read()
	if r.Err != nil {
		return nil, r.Err
	}
	if len(r.Rows) != 1 || len(r.Rows[0]) != 3 {
		return nil, errProbe
	}
	row := r.Rows[0]
	segment, err := strconv.ParseUint(string(row[2]), 10, 63)
	if err != nil || segment < pageSize {
		return nil, fmt.Errorf("%w: wal_segment_size %q", errProbe, row[2])
	}
	return &instance{system: string(row[0]), started: string(row[1]), segment: LSN(segment)}, nil
}

// probe asks a member.
func (i *instance) probe(ctx context.Context, conn *pgconn.PgConn) (s seen, err error) {
	s.asked = Clock()
	r := conn.ExecPrepared(ctx, probeName, nil, nil, nil).Read()
	if r.Err != nil {
		return s, r.Err
	}
	if len(r.Rows) != 1 || len(r.Rows[0]) != 3 {
		return s, errProbe
	}
	row := r.Rows[0]
	base := 10
	switch string(row[0]) {
	case "t":
		s.role, s.streamed = Standby, row[2] != nil
	case "f":
		s.role, base = Primary, 16
	default:
		return s, errProbe
	}
	lsn, err := strconv.ParseUint(string(row[1]), 10, 64)
	if err != nil && row[1] != nil { // a standby that has replayed nothing yet
		return s, fmt.Errorf("%w: position %q", errProbe, row[1])
	}
	timeline, err := strconv.ParseUint(string(row[2]), base, 32)
	if err != nil && row[2] != nil {
		return s, fmt.Errorf("%w: timeline %q", errProbe, row[2])
	}
	s.lsn, s.timeline, s.system, s.started, s.segment = LSN(lsn), uint32(timeline), i.system, i.started, i.segment
	return s, nil
}
