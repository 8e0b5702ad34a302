package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/backup/replication"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

func TestTending(t *testing.T) {
	healthy := standbyState{standby: true, system: "7", receiving: true, replayed: 500, timeline: 2, kind: "physical", restart: 100}
	with := func(change func(*standbyState)) standbyState {
		s := healthy
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		is      standbyState
		durable replication.LSN
		to      replication.LSN
		does    []string
		says    string
	}{
		"behind":                       {healthy, 300, 300, []string{advanceSlot}, ""},
		"not beyond what it has":       {healthy, 900, 500, []string{advanceSlot}, ""},
		"as far already":               {healthy, 100, 0, nil, ""},
		"never back":                   {healthy, 50, 0, nil, ""},
		"nothing stored":               {healthy, 0, 0, nil, ""},
		"no slot":                      {with(func(s *standbyState) { s.kind, s.restart = "", 0 }), 300, 0, []string{createSlot}, ""},
		"no slot, on another timeline": {with(func(s *standbyState) { s.kind, s.restart, s.timeline = "", 0, 1 }), 300, 0, []string{createSlot}, ""},
		"given up":                     {with(func(s *standbyState) { s.restart = 0 }), 300, 0, []string{dropSlot, createSlot}, ""},
		"another timeline":             {with(func(s *standbyState) { s.timeline = 1 }), 300, 0, nil, "follows timeline 1"},
		"another cluster":              {with(func(s *standbyState) { s.system = "8" }), 300, 0, nil, "of another cluster"},
		"another cluster, no slot":     {with(func(s *standbyState) { s.system, s.kind, s.restart = "8", "", 0 }), 300, 0, nil, "of another cluster"},
		"streams nothing":              {with(func(s *standbyState) { s.receiving, s.timeline = false, 0 }), 300, 0, nil, "streams no WAL"},
		"may not be seen":              {with(func(s *standbyState) { s.timeline = 0 }), 300, 0, nil, "pg_read_all_stats"},
		"in use":                       {with(func(s *standbyState) { s.active = true }), 300, 0, nil, "somebody receives"},
		"logical":                      {with(func(s *standbyState) { s.kind = "logical" }), 300, 0, nil, "logical"},
	} {
		to, does, err := test.is.tending("7", 2, test.durable)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (to != test.to && slices.Contains(does, advanceSlot) || !slices.Equal(does, test.does)) {
			t.Errorf("%s: to %d by %q", name, to, does)
		}
	}
}

// member is a server as a Member.
func member(s *postgres.Server) Member {
	return Member{Address: s.Address(), Connect: func(ctx context.Context) (*pgconn.PgConn, error) {
		return pgconn.Connect(ctx, s.AdminURL("postgres"))
	}}
}

// failover is one while no Howdah runs: the standby gets some segments and recycles what it
// need not keep, is promoted when the primary is gone, and a receiver comes back.
func failover(t *testing.T, kept bool) (*rig, *Receiver, *postgres.Server) {
	primary := start(t, wiretest.FindPostgres(t), wiretest.WithSetting("min_wal_size", "32MB"), wiretest.WithSetting("max_wal_size", "48MB"))
	standby := wiretest.StartStandby(t, primary, wiretest.WithTrust())
	g := newRig(t)
	receiver := func() *Receiver {
		r := g.receiver(fmt.Sprintf("postgres://postgres@%s,%s/postgres?target_session_attrs=primary", primary.Address(), standby.Address()))
		if r.keeping = 200 * time.Millisecond; kept {
			r.Standbys = func() []Member { return []Member{member(primary), member(standby)} }
		}
		return r
	}
	r := receiver()
	stop := run(t, r)
	exec1(t, primary, "create table t (n int)", "select pg_switch_wal()", "checkpoint")
	stored(t, r, primary)
	if kept {
		isKept(t, r, standby)
	}
	stop()
	for i := range 6 {
		exec1(t, primary, fmt.Sprintf("insert into t values (%d)", i), "select pg_switch_wal()", "checkpoint")
	}
	last := now(t, primary)
	until(t, "the standby has it", func() bool {
		l, err := replication.ParseLSN(query(t, standby, "select pg_last_wal_replay_lsn()"))
		return err == nil && l >= last
	})
	exec1(t, standby, "checkpoint") // by which it recycles
	primary.Kill()
	exec1(t, standby, "select pg_promote()", "insert into t values (100)", "checkpoint", "select pg_switch_wal()", "checkpoint")
	r = receiver()
	run(t, r)
	until(t, "the next timeline", func() bool { return r.Stats().Timeline == 2 })
	stored(t, r, standby)
	return g, r, standby
}

// isKept waits until the slot on the standby is where all is stored, and not beyond that.
func isKept(t *testing.T, r *Receiver, standby *postgres.Server) {
	t.Helper()
	least := r.Stats().Durable
	until(t, "the slot on the standby", func() bool {
		s := r.Stats().Standbys
		return len(s) == 1 && s[0].Address == standby.Address() && s[0].Error == "" && !s[0].Kept.IsZero() && s[0].Restart >= least
	})
	text := query(t, standby, "select restart_lsn from pg_replication_slots where slot_name = 'howdah'")
	if restart, err := replication.ParseLSN(text); err != nil || restart < least || restart > r.Stats().Durable {
		t.Errorf("the slot is at %s, %v; stored is %s", text, err, r.Stats().Durable)
	}
}

func TestFailoverToAStandbyWithTheSlot(t *testing.T) {
	g, r, standby := failover(t, true)
	c := list(t, g.Repository)
	if len(c.Gaps) != 0 {
		t.Errorf("WAL was lost: %v", c.Gaps)
	}
	if reached, err := c.Reaches(at(1, c.timeline(1).Segments[0].Start), 0, 0); err != nil || reached.Timeline != 2 || reached.LSN < now(t, standby) {
		t.Errorf("it reaches %+v, %v", reached, err)
	}
	until(t, "the old primary is missed, and the new one is no standby", func() bool {
		s := r.Stats().Standbys
		return len(s) == 1 && s[0].Address != standby.Address() && s[0].Kept.IsZero() && s[0].Error != ""
	})
}

func TestFailoverToAStandbyWithoutTheSlot(t *testing.T) {
	g, _, _ := failover(t, false)
	c := list(t, g.Repository)
	if len(c.Gaps) != 1 {
		t.Fatalf("WAL was lost, and there are gaps %+v", c.Gaps)
	}
	if _, err := c.Reaches(at(1, c.timeline(1).Segments[0].Start), 0, 0); !errors.Is(err, ErrHole) {
		t.Errorf("across the gap: %v", err)
	}
	if reached, err := c.Reaches(c.Gaps[0].To, 0, 0); err != nil || reached.Timeline != 2 {
		t.Errorf("behind the gap: %+v, %v", reached, err)
	}
}
