package wal

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/backup/replication"
)

const (
	sampling     = time.Second
	samplesAhead = 120 // samples that wait to be taken, while nobody receives
)

// where is asked of the primary. The time is read first, for columns of a subquery with
// volatile functions are evaluated in it, in order: what was committed before the time is in
// front of the position. The segment's name tells the timeline.
const where = `select at, l::text, pg_walfile_name(l), (select system_identifier::text from pg_control_system())
from (select clock_timestamp() as at, pg_current_wal_insert_lsn() as l) now`

// slotAsking is how often the primary is asked about the slot, and namesAsking for the names of
// databases.
const (
	slotAsking  = 15 * time.Second
	namesAsking = time.Minute
)

const slotAbsent = "absent"

// slotIs is asked of the primary about the slot.
const slotIs = `select coalesce(wal_status, 'lost'), coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8, coalesce(safe_wal_size, -1)
from pg_replication_slots where slot_name = $1`

// SlotState is what the primary says of the replication slot.
type SlotState struct {
	Asked time.Time // when it was asked; the zero: it has never answered
	// Status is PostgreSQL's wal_status: reserved, extended (more is kept than max_wal_size),
	// unreserved (WAL is about to be removed that the slot needs) or lost; or absent.
	Status   string
	Retained int64 // bytes of WAL from what it keeps to the newest
	Safe     int64 // bytes that may be written before it is lost; -1: any number

	Waits Waits // for whoever receives by it
}

// Waits says how the primary's commits wait for what is stored.
type Waits struct {
	// Sync is PostgreSQL's sync_state: of sync and quorum ones commits wait. "" is that nobody
	// receives, or that it may not be known.
	Sync string
	// Applied says whose commits wait until WAL is applied, by synchronous_commit =
	// remote_apply: the roles and databases that have that, or all. Here nothing ever is.
	Applied string
}

// everybody is for whom remote_apply is the cluster's own setting.
const everybody = "all"

// synchronous reports whether commits wait for what is stored.
func (w Waits) synchronous() bool { return w.Sync == "sync" || w.Sync == "quorum" }

// Hang reports whether there are commits that wait for ever.
func (w Waits) Hang() bool { return w.synchronous() && w.Applied != "" }

// AllHang is Hang for those for whom nothing else is set. Any role may set it for itself, and
// its own commits hang then: that must not have a node be taken for one that does not serve.
func (w Waits) AllHang() bool { return w.Hang() && w.Applied == everybody }

// waitsAre is asked of the primary about the slot's receiver, and about what is set.
const waitsAre = `select
	coalesce((select max(r.sync_state) from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid where s.slot_name = $1), ''),
	case (select reset_val from pg_settings where name = 'synchronous_commit') when 'remote_apply' then '` + everybody + `' else coalesce((
		select string_agg(distinct concat_ws(' in ', 'role ' || r.rolname::text, 'database ' || d.datname::text), ', ') from pg_db_role_setting s
		left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase
		where 'synchronous_commit=remote_apply' = any(s.setconfig)), '') end`

// sampler asks the primary once a second where it is, and now and then about the slot and the
// names of databases.
type sampler struct {
	usage *usage

	mu      sync.Mutex
	samples []taken
	slot    SlotState
	asking  time.Duration           // between two questions about the slot; 0 is the constant
	told    func(was, is SlotState) // nil is nobody
	patient time.Duration           // for how long it is not told that nobody answers; 0 is the constant
	failed  func(error)             // nil is nobody
}

// samplesMissing is for how long nobody has to answer that it is told: longer than a failover
// takes.
const samplesMissing = 30 * time.Second

// taken is a sample, and of whom.
type taken struct {
	Sample
	timeline uint32
	system   string
}

// run asks until the context is done. What fails it tries again: that samples are missing
// shows in their age, and is told once if it goes on.
func (s *sampler) run(ctx context.Context, url func() string, slot string) {
	failing, told := time.Now(), false
	for ctx.Err() == nil {
		answered, err := s.connected(ctx, url(), slot)
		if answered {
			failing, told = time.Now(), false
		}
		if !told && ctx.Err() == nil && time.Since(failing) >= cmp.Or(s.patient, samplesMissing) && s.failed != nil {
			s.failed(err)
			told = true
		}
		sleep(ctx, sampling)
	}
}

// connected asks until that fails, and says whether there was an answer.
func (s *sampler) connected(ctx context.Context, url, slot string) (answered bool, err error) {
	conn, err := connectToAsk(ctx, url)
	if err != nil {
		return false, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	var named time.Time
	for ctx.Err() == nil {
		sample, err := ask(ctx, conn)
		if err != nil {
			return answered, err
		}
		s.put(sample)
		answered = true
		if state := s.slotState(); time.Since(state.Asked) >= cmp.Or(s.asking, slotAsking) || state.Status == slotAbsent {
			if err := s.askSlot(ctx, conn, slot); err != nil {
				return answered, err
			}
		}
		if time.Since(named) >= namesAsking {
			if err := s.usage.askNames(ctx, conn); err != nil {
				return answered, err
			}
			named = time.Now()
		}
		sleep(ctx, sampling)
	}
	return answered, nil
}

// connectToAsk logs in for queries, be it by the URL of a role that may only replicate.
func connectToAsk(ctx context.Context, url string) (*pgx.Conn, error) {
	if url == "" { // which would be whatever server the environment means
		return nil, errors.New("there is no URL")
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the URL is none of PostgreSQL's")
	}
	if config.Database == "" {
		config.Database = "postgres"
	}
	delete(config.RuntimeParams, "replication")
	config.RuntimeParams["application_name"] = "howdah"
	config.ConnectTimeout = connectTime
	return pgx.ConnectConfig(ctx, config)
}

func (s *sampler) askSlot(ctx context.Context, conn *pgx.Conn, name string) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	state := SlotState{Status: slotAbsent, Safe: -1}
	err := conn.QueryRow(ctx, slotIs, name).Scan(&state.Status, &state.Retained, &state.Safe)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if err := conn.QueryRow(ctx, waitsAre, name).Scan(&state.Waits.Sync, &state.Waits.Applied); err != nil {
		return err
	}
	state.Asked = time.Now()
	s.mu.Lock()
	was := s.slot
	s.slot = state
	s.mu.Unlock()
	if s.told != nil {
		s.told(was, state)
	}
	return nil
}

func (s *sampler) slotState() SlotState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slot
}

func ask(ctx context.Context, conn *pgx.Conn) (t taken, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	var lsn, file string
	if err := conn.QueryRow(ctx, where).Scan(&t.Time, &lsn, &file, &t.system); err != nil {
		return t, err
	}
	if t.LSN, err = replication.ParseLSN(lsn); err != nil {
		return t, err
	}
	t.LSN = behindHeader(t.LSN)
	timeline, err := strconv.ParseUint(file[:min(8, len(file))], 16, 32)
	t.timeline = uint32(timeline)
	return t, err
}

// behindHeader takes the header of a page off that nothing is behind yet: where the next
// record goes is not reached before there is one.
func behindHeader(l replication.LSN) replication.LSN {
	const page, short, long = 8192, 24, 40
	switch l % page {
	case short:
		return l - short
	case long:
		return l - long // in front of a segment; or a record of 16 bytes behind a header, which there is none of
	}
	return l
}

func (s *sampler) put(t taken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples = append(s.samples, t)
	if n := len(s.samples); n > samplesAhead {
		s.samples = s.samples[n-samplesAhead:]
	}
}

// take returns the samples of a timeline of a system, and forgets all.
func (s *sampler) take(system string, timeline uint32) (samples []Sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.samples {
		if t.system == system && t.timeline == timeline {
			samples, _ = add(samples, t.Sample)
		}
	}
	s.samples = nil
	return samples
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
