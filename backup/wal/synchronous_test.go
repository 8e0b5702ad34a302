package wal

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/wire/postgres"
)

// logged is what was logged, by several goroutines.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// TestNobodyToAsk has it be told, once, that the primary cannot be asked.
func TestNobodyToAsk(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	told := make(chan error, 10)
	s := &sampler{patient: time.Millisecond, failed: func(err error) { told <- err }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run(ctx, func() string { return "postgres://127.0.0.1:1/x" }, "howdah")
	}()
	if err := <-told; err == nil {
		t.Error("it is not told why")
	}
	select {
	case <-told:
		t.Error("it is told again")
	case <-time.After(sampling + sampling/2):
	}
	stop()
	<-done
}

// testSynchronous has commits wait for the receiver.
func testSynchronous(t *testing.T, primary *postgres.Server) {
	exec1(t, primary, "create table waits (n int)", "create role applies", "create role receives login replication", "alter system set synchronous_standby_names = 'howdah'")
	set := func(statements ...string) {
		t.Helper()
		exec1(t, primary, append(append([]string{"set synchronous_commit = local"}, statements...), "select pg_reload_conf()")...)
	}
	defer func() {
		set("alter system reset synchronous_standby_names", "alter system reset synchronous_commit")
		exec1(t, primary, "drop role applies", "drop role receives", "drop table waits")
	}()
	g := newRig(t)
	away := &gate{Store: g.Store}
	g.Store = away
	r, log := g.receiver(primary.URL("receives", "", "")+"?replication=true"), &logged{} // who has no other right
	r.Log, r.samples.asking = slog.New(slog.NewTextHandler(log, nil)), time.Millisecond
	stop := run(t, r)
	defer stop()
	exec1(t, primary, "select pg_reload_conf()")
	until(t, "the primary tells where it is", func() bool { return !r.Stats().Sampled.IsZero() && r.Stats().Slot.Status == "reserved" })
	set("grant pg_read_all_stats to receives")
	until(t, "commits wait", func() bool { return r.Stats().Slot.Waits == Waits{Sync: "sync"} })
	for range 3 {
		var behind string
		insert := "insert into waits values (1) returning pg_current_wal_insert_lsn()::text"
		if err := primary.QueryRow(t.Context(), postgres.Superuser, insert, nil, &behind); err != nil {
			t.Fatal(err)
		}
		c := list(t, g.Repository)
		reached, err := c.Reaches(at(1, c.Timelines[0].Segments[0].Start), 0, 1)
		if want, parseErr := replication.ParseLSN(behind); err != nil || parseErr != nil || reached.LSN <= want {
			t.Errorf("a commit behind %s is done, and the store reaches %s, %v, %v", behind, reached.LSN, err, parseErr)
		}
	}
	away.close()
	done := make(chan error, 1)
	go func() { done <- primary.Exec(context.Background(), postgres.Superuser, "insert into waits values (2)") }()
	until(t, "somebody waits", func() bool {
		return query(t, primary, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'") == "1"
	})
	select {
	case err := <-done:
		t.Errorf("a commit is done that cannot be stored: %v", err)
	case <-time.After(3 * r.Interval):
	}
	away.open()
	if err := <-done; err != nil {
		t.Error(err)
	}
	set("alter role applies set synchronous_commit = remote_apply")
	until(t, "one role's commits wait for ever", func() bool { return r.Stats().Slot.Waits.Applied == "role applies" })
	if w := r.Stats().Slot.Waits; !w.Hang() || w.AllHang() || !log.has("role applies") {
		t.Errorf("it says %+v", w)
	}
	set("alter system set synchronous_commit = remote_apply")
	until(t, "all wait for ever", func() bool { return r.Stats().Slot.Waits.AllHang() })
	set("alter role applies reset synchronous_commit", "alter system reset synchronous_commit", "alter system set synchronous_standby_names = ''")
	until(t, "nobody waits", func() bool { return r.Stats().Slot.Waits == Waits{Sync: "async"} })
	until(t, "it says so", func() bool { return log.has("do not wait any more") })
}
