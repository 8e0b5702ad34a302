package members_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"howdah/router/members"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// cluster is a primary with a standby, watched.
type cluster struct {
	primary, standby *postgres.Server
	watch            *members.Watch
	changes          chan string // addresses, "" for none
}

func startCluster(t *testing.T, options ...wiretest.PostgresOption) *cluster {
	t.Helper()
	c := &cluster{changes: make(chan string, 100)}
	c.primary = wiretest.StartPostgres(t, wiretest.WithSetting("synchronous_commit", "on"))
	c.standby = wiretest.StartStandby(t, c.primary, options...)
	c.watch = members.New(members.Config{
		Members: []string{c.standby.Address(), c.primary.Address()},
		Connect: func(ctx context.Context, address string) (*pgconn.PgConn, error) {
			s := c.primary
			if address == c.standby.Address() {
				s = c.standby
			}
			return pgconn.Connect(ctx, s.AdminURL(postgres.Superuser))
		},
		Changed: func(now *members.Member) {
			if now == nil {
				c.changes <- ""
			} else {
				c.changes <- now.Address
			}
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	t.Cleanup(c.watch.Close)
	got := c.change(t)
	if got == "" { // the standby has answered first
		got = c.change(t)
	}
	if got != c.primary.Address() {
		t.Fatalf("the primary is %q, want %q", got, c.primary.Address())
	}
	return c
}

func (c *cluster) change(t *testing.T) string {
	t.Helper()
	select {
	case now := <-c.changes:
		return now
	case <-time.After(20 * time.Second):
		t.Fatal("no change of the primary within 20 s")
		return ""
	}
}

// fresh waits for a standby that has what was committed before since.
func (c *cluster) fresh(since, patience time.Duration) *members.Member {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if m := c.watch.Standby(since); m != nil {
			return m
		}
	}
	return nil
}

func dial(t *testing.T, s *postgres.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.AdminURL(postgres.Superuser))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// TestBlind has a watch say that it cannot ask anybody, which is not the same as
// that there is no primary.
func TestBlind(t *testing.T) {
	changes := make(chan *members.Member, 10)
	w := members.New(members.Config{
		Members: []string{"one:5432", "two:5432"},
		Connect: func(context.Context, string) (*pgconn.PgConn, error) {
			return nil, errors.New("password authentication failed")
		},
		Changed: func(now *members.Member) { changes <- now },
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	defer w.Close()
	if w.Blind() {
		t.Error("it is blind before there was time")
	}
	select {
	case now := <-changes:
		if now != nil || !w.Blind() {
			t.Errorf("the primary is %v, blind %v", now, w.Blind())
		}
	case <-time.After(20 * time.Second):
		t.Error("nobody is told")
	}
}

// TestRealFreshness has a fresh standby always show what was written before, however far
// behind it was meanwhile.
func TestRealFreshness(t *testing.T) {
	c := startCluster(t)
	writer, reader := dial(t, c.primary), dial(t, c.standby)
	exec(t, writer, "create table kept (n int)")
	var longest time.Duration
	for i := range 300 {
		switch {
		case i%100 == 50:
			exec(t, reader, "select pg_wal_replay_pause()")
		case i%10 == 3:
			exec(t, writer, "set synchronous_commit = off")
		case i%10 == 4:
			exec(t, writer, "set synchronous_commit = on")
		case i%10 == 5:
			exec(t, writer, "select pg_switch_wal()")
		}
		exec(t, writer, "insert into kept values ("+strconv.Itoa(i)+")")
		since := members.Clock()
		c.watch.Wrote()
		if i%100 == 50 {
			if m := c.fresh(since, 300*time.Millisecond); m != nil {
				t.Fatal("a standby that replays nothing is fresh")
			}
			exec(t, reader, "select pg_wal_replay_resume()")
		}
		if c.fresh(since, 10*time.Second) == nil {
			t.Fatalf("write %d: no fresh standby within 10 s", i)
		}
		if took := members.Clock() - since; i%100 != 50 {
			longest = max(longest, took)
		}
		var n int
		if err := reader.QueryRow(t.Context(), "select max(n) from kept").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != i {
			t.Fatalf("the standby is called fresh and has %d, not %d", n, i)
		}
	}
	t.Logf("fresh after at most %v", longest)
	exec(t, writer, "select pg_switch_wal()")
	if c.fresh(members.Clock(), 10*time.Second) == nil {
		t.Fatal("no fresh standby behind a change of the WAL segment, with an idle primary")
	}
}

// TestRealPromotion kills the primary and promotes the standby; the old one comes
// back and is not followed.
func TestRealPromotion(t *testing.T) {
	c := startCluster(t)
	if c.fresh(members.Clock(), 10*time.Second) == nil {
		t.Fatal("no fresh standby")
	}
	c.primary.Kill()
	if c.watch.Standby(1) == nil {
		t.Error("the standby serves no reads while there is no primary")
	}
	if got := c.watch.Primary(); got == nil || got.Address != c.primary.Address() {
		t.Errorf("the primary is %v before another is there", got)
	}
	exec(t, dial(t, c.standby), "select pg_promote()")
	if got := c.change(t); got != c.standby.Address() {
		t.Fatalf("the primary is %q, want the promoted standby %q", got, c.standby.Address())
	}
	if c.watch.Standby(1) != nil {
		t.Error("there is a fresh standby, and none is left")
	}
	if err := c.primary.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond) // it is looked at each second
	select {
	case got := <-c.changes:
		t.Fatalf("the primary has changed to %q", got)
	default:
	}
	if got := c.watch.Primary(); got.Address != c.standby.Address() {
		t.Fatalf("the primary is %q", got.Address)
	}
}

// TestRealCulprit has a report at the standby hold up its replay: it is named, until
// it has ended.
func TestRealCulprit(t *testing.T) {
	c := startCluster(t, wiretest.WithSetting("max_standby_streaming_delay", "-1"))
	writer, report := dial(t, c.primary), dial(t, c.standby)
	exec(t, writer, "create table kept (n int)")
	exec(t, writer, "insert into kept select generate_series(1, 1000)")
	if c.fresh(members.Clock(), 10*time.Second) == nil {
		t.Fatal("no fresh standby")
	}
	exec(t, report, "begin isolation level repeatable read")
	exec(t, report, "select count(*) from kept /* a report */")
	exec(t, writer, "delete from kept")
	exec(t, writer, "vacuum kept")
	culprit := func(want bool) string {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			c.watch.Standby(1) // somebody reads
			c.watch.Wrote()
			for _, row := range c.watch.Rows() {
				if row.Role == members.Standby && (row.Culprit != "") == want {
					return row.Culprit
				}
			}
		}
		t.Fatalf("somebody holds up the replay: never %v", want)
		return ""
	}
	if got := culprit(true); !strings.Contains(got, "RecoveryConflict") || !strings.Contains(got, "/* a report */") {
		t.Errorf("replay is held up by %q", got)
	}
	exec(t, report, "commit")
	culprit(false)
}

// TestRealUnflushed has a transaction write and then stay open on a primary where nothing
// else happens: reads go to the standby all the same.
func TestRealUnflushed(t *testing.T) {
	c := startCluster(t)
	writer := dial(t, c.primary)
	exec(t, writer, "create table kept (n int)")
	if c.fresh(members.Clock(), 10*time.Second) == nil {
		t.Fatal("no fresh standby")
	}
	for range 3 {
		exec(t, writer, "begin")
		exec(t, writer, "insert into kept values (1)")
		begun := members.Clock()
		if c.fresh(begun, 5*time.Second) == nil {
			t.Fatal("no standby is fresh beside an open transaction")
		}
		t.Logf("fresh after %v", members.Clock()-begun)
		exec(t, writer, "commit")
	}
}
