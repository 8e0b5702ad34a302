package wal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/backup/replication"
)

// keeping is how often the slot is tended on a standby.
const keeping = 3 * time.Second

func (r *Receiver) keeps() time.Duration { return cmp.Or(r.keeping, keeping) }

// Member is a member of the cluster, on which the slot is kept while it is a standby: slots
// do not follow a failover.
type Member struct {
	Address string
	// Connect logs in as a superuser, or a role that may replicate and has pg_read_all_stats.
	Connect func(context.Context) (*pgconn.PgConn, error)
}

// StandbySlot tells of the slot on a standby.
type StandbySlot struct {
	Address string
	Kept    time.Time       // when it was last tended; the zero: never
	Restart replication.LSN // the oldest WAL that the standby keeps for it
	Error   string          // why it is not tended now; "" if it is
}

// keeper tends the slot on standbys, so that a new primary has all WAL that is not stored.
type keeper struct {
	r *Receiver

	mu    sync.Mutex
	slots map[string]StandbySlot // by address
}

// run tends slots until the context is done, while this node receives.
func (k *keeper) run(ctx context.Context) {
	running := map[string]context.CancelFunc{}
	var all sync.WaitGroup
	defer all.Wait()
	for ctx.Err() == nil {
		wanted := map[string]bool{}
		if k.r.Stats().Connected {
			for _, m := range k.r.Standbys() {
				wanted[m.Address] = true
				if running[m.Address] == nil {
					one, stop := context.WithCancel(ctx)
					running[m.Address] = stop
					all.Go(func() { defer stop(); k.keep(one, m) })
				}
			}
		}
		for address, stop := range running {
			if !wanted[address] {
				stop()
				delete(running, address)
			}
		}
		sleep(ctx, k.r.keeps())
	}
}

// keep tends the slot on one member until the context is done.
func (k *keeper) keep(ctx context.Context, m Member) {
	for ctx.Err() == nil {
		err := k.connected(ctx, m)
		if ctx.Err() != nil {
			break
		}
		k.tell(m.Address, func(s *StandbySlot) { s.Error = err.Error() })
		sleep(ctx, k.r.keeps())
	}
	k.forget(m.Address)
}

func (k *keeper) connected(ctx context.Context, m Member) error {
	connecting, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := m.Connect(connecting)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	for {
		if err := k.tend(ctx, m, conn); err != nil {
			return err
		}
		sleep(ctx, k.r.keeps())
	}
}

// tend does once what is to be done on a member.
func (k *keeper) tend(ctx context.Context, m Member, conn *pgconn.PgConn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	name, stats := k.r.slot(), k.r.Stats()
	s, err := standbyIs(ctx, conn, name)
	if err != nil {
		return err
	}
	if !s.standby {
		k.forget(m.Address)
		return nil
	}
	to, statements, err := s.tending(stats.system, stats.Timeline, stats.Durable)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		arguments := [][]byte{[]byte(name)}
		if statement == advanceSlot {
			arguments = append(arguments, []byte(to.String()))
		}
		if err := conn.ExecParams(ctx, statement, arguments, nil, nil, nil).Read().Err; err != nil {
			return err
		}
	}
	k.tell(m.Address, func(t *StandbySlot) {
		t.Kept, t.Error = time.Now(), ""
		if to > 0 {
			t.Restart = to
		} else {
			t.Restart = s.restart
		}
	})
	return nil
}

// standbyText asks a member what a standbyState has.
const standbyText = `select pg_is_in_recovery(), pg_last_wal_replay_lsn(),
  (select received_tli from pg_stat_wal_receiver), s.slot_type, s.restart_lsn, s.active,
  (select system_identifier from pg_control_system()), exists (select from pg_stat_wal_receiver)
from (select) one left join pg_replication_slots s on s.slot_name = $1`

const (
	createSlot  = `select pg_create_physical_replication_slot($1, true)`
	dropSlot    = `select pg_drop_replication_slot($1)`
	advanceSlot = `select pg_replication_slot_advance($1, $2)`
)

type standbyState struct {
	standby   bool
	system    string // the cluster's system identifier
	replayed  replication.LSN
	receiving bool   // it streams WAL
	timeline  uint32 // that it streams; 0: none, or we may not see it
	kind      string // of the slot; "": there is none
	restart   replication.LSN
	active    bool
}

func standbyIs(ctx context.Context, conn *pgconn.PgConn, slot string) (s standbyState, err error) {
	answer := conn.ExecParams(ctx, standbyText, [][]byte{[]byte(slot)}, nil, nil, nil).Read()
	if answer.Err != nil {
		return s, answer.Err
	}
	if len(answer.Rows) != 1 || len(answer.Rows[0]) != 8 {
		return s, errors.New("a standby's answer has another form")
	}
	row := make([]string, 8)
	for i, value := range answer.Rows[0] {
		row[i] = string(value)
	}
	s.standby, s.kind, s.active, s.system, s.receiving = row[0] == "t", row[3], row[5] == "t", row[6], row[7] == "t"
	for i, into := range map[int]*replication.LSN{1: &s.replayed, 4: &s.restart} {
		if row[i] == "" {
			continue
		}
		if *into, err = replication.ParseLSN(row[i]); err != nil {
			return s, err
		}
	}
	timeline, err := strconv.ParseUint(cmp.Or(row[2], "0"), 10, 32)
	s.timeline = uint32(timeline)
	return s, err
}

// tending says what is to be done on a standby, and up to where the slot is advanced; 0 is
// not at all. It is never advanced beyond what is stored, nor beyond what the standby has:
// where the timelines differ positions say nothing, and less so in another cluster, which an
// address may have come to mean. That of the last restartpoint is no standby's timeline: it
// may have left that.
func (s *standbyState) tending(system string, timeline uint32, durable replication.LSN) (to replication.LSN, statements []string, err error) {
	switch {
	case s.system != system:
		return 0, nil, fmt.Errorf("it is of another cluster: its system identifier is %s, and WAL is received of %s", s.system, system)
	case s.kind == "":
		return 0, []string{createSlot}, nil
	case s.kind != "physical":
		return 0, nil, fmt.Errorf("its replication slot of that name is a %s one", s.kind)
	case s.active:
		return 0, nil, errors.New("somebody receives from its replication slot of that name")
	case s.restart == 0: // the standby has given it up, or it never kept anything
		return 0, []string{dropSlot, createSlot}, nil
	case !s.receiving:
		return 0, nil, errors.New("it streams no WAL now, so its slot stays where it is")
	case s.timeline == 0:
		return 0, nil, errors.New("it does not say which timeline it streams: grant pg_read_all_stats to the role of admin_url")
	case s.timeline != timeline:
		return 0, nil, fmt.Errorf("it follows timeline %d, and timeline %d is received", s.timeline, timeline)
	}
	if to = min(durable, s.replayed); to > s.restart {
		return to, []string{advanceSlot}, nil
	}
	return 0, nil, nil
}

func (k *keeper) tell(address string, change func(*StandbySlot)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.slots[address]
	s.Address = address
	change(&s)
	if k.slots == nil {
		k.slots = map[string]StandbySlot{}
	}
	k.slots[address] = s
}

func (k *keeper) forget(address string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.slots, address)
}

func (k *keeper) all() (all []StandbySlot) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.slots {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b StandbySlot) int { return cmp.Compare(a.Address, b.Address) })
	return all
}
