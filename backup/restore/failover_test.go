package restore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/restore"
	"howdah/backup/wal"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestFailover restores a cluster whose primary has died: to what its standby has done since,
// and to what the dead one had that its standby had not.
func TestFailover(t *testing.T) {
	// A commit has written its WAL when it is answered: the positions below depend on it.
	h := newHouse(t, wiretest.FindPostgres(t), wiretest.WithSetting("synchronous_commit", "on"))
	h.stop()
	h.write(3)
	standby := wiretest.StartStandby(t, h.Server, wiretest.WithTrust(), wiretest.WithSetting("max_prepared_transactions", "5"))
	h.receive(fmt.Sprintf("postgres://postgres@%s,%s/postgres?target_session_attrs=primary", h.Address(), standby.Address()))
	first := h.backUp()
	h.write(2)
	h.replayed(standby)
	// From here on it hears nothing of its primary, which goes on for a while.
	if err := standby.Stop(t.Context(), postgres.Fast); err != nil {
		t.Fatal(err)
	}
	h.write(2)
	lost := h.backUp()
	h.write(1)
	h.stored(replication.Position(first.Start), lsn(t, h.text("select pg_current_wal_flush_lsn()::text")))
	abandoned := upTo(h.rows)

	h.failOver(standby)
	h.rows = 100
	h.write(1)
	at := h.now()
	h.write(2)
	h.plan(h.now()) // all of it is stored then
	if c, err := wal.List(t.Context(), h.repo); err != nil || len(c.Gaps) > 0 {
		t.Errorf("gaps %v, %v", c.Gaps, err)
	}

	t.Run("latest", func(t *testing.T) {
		p := h.plan("latest")
		if p.Timeline != 2 || p.Base.ID != first.ID {
			t.Errorf("it is on timeline %d, from base backup %s", p.Timeline, p.Base.ID)
		}
		if rows := h.run(t, p); !slices.Equal(rows, append(upTo(5), 101, 102, 103)) {
			t.Errorf("rows %v", rows)
		}
	})
	t.Run("a time on the new timeline", func(t *testing.T) {
		if rows := h.restore(t, at); !slices.Equal(rows, append(upTo(5), 101)) {
			t.Errorf("rows %v", rows)
		}
	})
	t.Run("the timeline that was left", func(t *testing.T) { testLeft(t, h, first, lost, abandoned) })
	t.Run("a base backup of the timeline that was left", func(t *testing.T) {
		_, err := restore.Make(t.Context(), h.repo, restore.Target{}, 0, lost.ID)
		if !errors.Is(err, restore.ErrUnreachable) || !strings.Contains(err.Error(), "not on the way to timeline 2") {
			t.Errorf("the new timeline, from there: %v", err)
		}
	})
}

// testLeft restores to the end of the timeline that a failover has left, from a base backup
// of before that.
func testLeft(t *testing.T, h *house, first, lost *base.Manifest, rows []int) {
	newest, err := restore.Make(t.Context(), h.repo, restore.Target{}, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	if newest.Timeline != 1 || newest.Base.ID != lost.ID {
		t.Errorf("it is on timeline %d, from base backup %s", newest.Timeline, newest.Base.ID)
	}
	// From the earlier one the recovery comes past the fork.
	p, err := restore.Make(t.Context(), h.repo, restore.Target{}, 1, first.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.run(t, p); !slices.Equal(got, rows) {
		t.Errorf("rows %v, not %v", got, rows)
	}
}

// replayed waits until a standby has all that is committed.
func (h *house) replayed(standby *postgres.Server) {
	h.Helper()
	written := h.text("select pg_current_wal_flush_lsn()::text")
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var has bool
		err := standby.QueryRow(h.Context(), postgres.Superuser, "select pg_last_wal_replay_lsn() >= $1::pg_lsn", []any{written}, &has)
		if err != nil {
			h.Fatal(err)
		}
		if has {
			return
		}
		if time.Now().After(end) {
			h.Fatalf("the standby has not replayed WAL until %s", written)
		}
	}
}

// failOver kills the primary, and promotes a standby that was stopped.
func (h *house) failOver(standby *postgres.Server) {
	h.Helper()
	h.conn.Close(context.Background())
	h.Kill()
	if err := standby.Start(h.Context()); err != nil {
		h.Fatal(err)
	}
	if err := standby.Exec(h.Context(), postgres.Superuser, "select pg_promote()"); err != nil {
		h.Fatal(err)
	}
	h.Server = standby
	h.connect()
}
