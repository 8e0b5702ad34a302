package restore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/restore"
	"howdah/backup/store/storetest"
	"howdah/backup/wal"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestMain is also the program that a recovering server gets WAL by.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "get" {
		exit, err := wal.Get(os.Args[2], os.Args[3], os.Args[4])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(exit)
	}
	os.Exit(m.Run())
}

// house is a cluster whose WAL is stored.
type house struct {
	*testing.T
	*postgres.Server
	binaries postgres.Binaries
	repo     *repository.Repository
	conn     *pgx.Conn
	stop     func() // the receiver
	rows     int
	look     func(conn *pgx.Conn, dir string) // at what is restored; nil is nobody
	exam     *restore.Exam                    // of what is restored
}

func newHouse(t *testing.T, binaries postgres.Binaries, options ...wiretest.PostgresOption) *house {
	h := &house{T: t, binaries: binaries, repo: newRepository(t)}
	options = append([]wiretest.PostgresOption{
		wiretest.WithTrust(), wiretest.WithSetting("wal_level", "replica"), wiretest.WithSetting("max_prepared_transactions", "5"),
		wiretest.WithSetting("archive_mode", "on"), wiretest.WithSetting("archive_command", "true"),
	}, options...)
	h.Server = wiretest.StartPostgresOf(t, binaries, options...)
	h.connect()
	h.exec("create table log (n int primary key)")
	h.receive(h.AdminURL("postgres"))
	return h
}

// receive stores the WAL of a server from now on.
func (h *house) receive(address string) {
	url := func() string { return address }
	r := &wal.Receiver{Repo: h.repo, URL: url, SampleURL: url, Interval: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx) // until it is told to end
	}()
	h.stop = func() {
		cancel()
		<-done
	}
	h.Cleanup(h.stop)
}

func (h *house) connect() {
	h.Helper()
	var err error
	if h.conn, err = pgx.Connect(h.Context(), h.AdminURL("postgres")); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { h.conn.Close(context.Background()) })
}

func newRepository(t *testing.T) *repository.Repository {
	return &repository.Repository{Store: storetest.NewDir(t), Sealer: storetest.NewSealer(t), Cluster: "main"}
}

func (h *house) exec(sql string, args ...any) {
	h.Helper()
	if _, err := h.conn.Exec(h.Context(), sql, args...); err != nil {
		h.Fatalf("%s: %v", sql, err)
	}
}

// backUp takes a base backup.
func (h *house) backUp() *base.Manifest {
	h.Helper()
	return h.backUpBy(base.Options{})
}

func (h *house) backUpBy(o base.Options) *base.Manifest {
	h.Helper()
	c, err := replication.Connect(h.Context(), h.AdminURL("postgres"))
	if err != nil {
		h.Fatal(err)
	}
	defer c.Close(context.Background())
	m, err := base.Take(h.Context(), h.repo, c, h.databases, o)
	if err != nil {
		h.Fatal(err)
	}
	h.stored(replication.Position(m.Start), m.Stop.LSN)
	if err := base.Commit(h.Context(), h.repo, m); err != nil {
		h.Fatal(err)
	}
	return m
}

func (h *house) databases(ctx context.Context) (map[uint32]string, error) {
	rows, err := h.conn.Query(ctx, "select oid, datname::text from pg_database")
	if err != nil {
		return nil, err
	}
	names := map[uint32]string{}
	var oid uint32
	var name string
	_, err = pgx.ForEachRow(rows, []any{&oid, &name}, func() error {
		names[oid] = name
		return nil
	})
	return names, err
}

// stored waits until WAL is stored.
func (h *house) stored(from replication.Position, until replication.LSN) {
	h.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		contents, err := wal.List(h.Context(), h.repo)
		if err == nil {
			_, err = contents.Reaches(from, until, from.Timeline)
		}
		if err == nil {
			return
		}
		if time.Now().After(end) {
			h.Fatalf("WAL until %s is not stored: %v", until, err)
		}
	}
}

// write commits a few rows, one after the other.
func (h *house) write(n int) {
	h.Helper()
	for range n {
		h.rows++
		h.exec("insert into log values ($1)", h.rows)
	}
}

func (h *house) text(sql string) (text string) {
	h.Helper()
	if err := h.conn.QueryRow(h.Context(), sql).Scan(&text); err != nil {
		h.Fatalf("%s: %v", sql, err)
	}
	return text
}

// now is a moment with no commit close to it, by the server's clock.
func (h *house) now() string {
	time.Sleep(20 * time.Millisecond)
	text := h.text(`select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`)
	time.Sleep(20 * time.Millisecond)
	return text
}

// plan waits until a target can be reached.
func (h *house) plan(to string) *restore.Plan {
	h.Helper()
	target, err := restore.ParseTarget(to)
	if err != nil {
		h.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		p, err := restore.Make(h.Context(), h.repo, target, 0, "")
		if err == nil {
			return p
		}
		if !errors.Is(err, restore.ErrUnreachable) || time.Now().After(end) {
			h.Fatalf("plan to %s: %v", to, err)
		}
	}
}

// restore restores to a target and returns the rows that are there then.
func (h *house) restore(t *testing.T, to string) (rows []int) {
	t.Helper()
	return h.run(t, h.plan(to))
}

func (h *house) run(t *testing.T, p *restore.Plan) (rows []int) {
	t.Helper()
	dir := filepath.Join(wiretest.ServerDir(t), "restored")
	c := &restore.Cluster{Repo: h.repo, Dir: dir, Binaries: h.binaries, Get: []string{os.Args[0], "get"}, Exam: h.exam}
	if err := c.Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	sockets := wiretest.SocketDir(t, dir)
	s, err := postgres.Open(h.binaries, postgres.Config{Dir: dir, SocketDir: sockets, Port: wiretest.FreePort(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	conn, err := pgx.Connect(t.Context(), s.AdminURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if h.look != nil {
		h.look(conn, dir)
	}
	var archives string
	if err := conn.QueryRow(t.Context(), "show archive_mode").Scan(&archives); err != nil || archives != "off" {
		t.Errorf("archive_mode of what was restored is %q: %v", archives, err)
	}
	all, err := conn.Query(t.Context(), "select n from log order by n")
	if err == nil {
		rows, err = pgx.CollectRows(all, pgx.RowTo[int])
	}
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func upTo(n int) (rows []int) {
	for i := range n {
		rows = append(rows, i+1)
	}
	return rows
}

func TestRestoreCluster(t *testing.T) {
	h := newHouse(t, wiretest.FindPostgres(t))
	h.write(5)
	m := h.backUp()
	h.write(5)
	// One that is neither committed nor not is so afterwards too.
	h.exec("begin")
	h.exec("insert into log values (-1)")
	h.exec("prepare transaction 'neither'")
	type moment struct {
		to   string
		rows int
	}
	moments := []moment{{h.now(), h.rows}}
	h.write(5)
	h.exec("select pg_create_restore_point('half')")
	moments = append(moments, moment{"name:half", h.rows})
	h.write(5)
	moments = append(moments, moment{"lsn:" + h.text("select pg_current_wal_insert_lsn()::text"), h.rows})
	h.exec("select pg_switch_wal()")
	h.write(5)
	h.rows++
	var xid string
	if err := h.conn.QueryRow(t.Context(), "insert into log values ($1) returning pg_current_xact_id()::text", h.rows).Scan(&xid); err != nil {
		t.Fatal(err)
	}
	moments = append(moments, moment{"xid:" + xid, h.rows})
	// Nobody knows, before all WAL is read, that the restore point and the transaction are
	// before this one.
	late := h.backUp()
	h.write(5)
	moments = append(moments, moment{h.now(), h.rows}) // and then nothing is committed any more
	h.stored(replication.Position(m.Start), lsn(t, h.text("select pg_current_wal_flush_lsn()::text")))
	moments = append(moments, moment{"latest", h.rows})
	for _, x := range moments {
		t.Run(strings.ReplaceAll(x.to, "/", "-"), func(t *testing.T) {
			if rows := h.restore(t, x.to); !slices.Equal(rows, upTo(x.rows)) {
				t.Errorf("restored to %s: rows %v, not 1 to %d", x.to, rows, x.rows)
			}
		})
	}
	t.Run("no such transaction", func(t *testing.T) {
		dir := filepath.Join(wiretest.ServerDir(t), "restored")
		c := &restore.Cluster{Repo: h.repo, Dir: dir, Binaries: h.binaries, Get: []string{os.Args[0], "get"}}
		p := h.plan("xid:2000000000")
		if err := c.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "before the target was met") {
			t.Errorf("it is restored to: %v", err)
		}
		if p.Base.ID != m.ID || p.Until.LSN != late.Stop.LSN { // no WAL is read twice that need not be
			t.Errorf("base backup %s was the last to begin with, and WAL was read until %s", p.Base.ID, p.Until.LSN)
		}
	})
	if p := h.plan("latest"); p.Base.ID != late.ID {
		t.Errorf("latest begins with %s, not %s", p.Base.ID, late.ID)
	}
	t.Run("refusals", func(t *testing.T) { testRefusals(t, h, m) })
	t.Run("a hole", func(t *testing.T) { testHole(t, h) })
}

// testHole takes a segment away: latest is not what is in front of it.
func testHole(t *testing.T, h *house) {
	h.exec("select pg_switch_wal()")
	h.write(1)
	h.exec("select pg_switch_wal()")
	h.write(1)
	h.plan("lsn:" + h.text("select pg_current_wal_insert_lsn()::text"))
	h.stop()
	var keys []string
	for info, err := range h.repo.Store.List(t.Context(), h.repo.Key("wal", "00000001")+"/") {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(info.Key, ".parts/") {
			keys = append(keys, info.Key)
		}
	}
	if len(keys) < 2 {
		t.Fatalf("there are only %q", keys)
	}
	if err := h.repo.Store.Delete(t.Context(), keys[len(keys)-1]); err != nil {
		t.Fatal(err)
	}
	if _, err := restore.Make(t.Context(), h.repo, restore.Target{}, 0, ""); !errors.Is(err, restore.ErrUnreachable) || !errors.Is(err, wal.ErrHole) {
		t.Errorf("to latest, over a hole: %v", err)
	}
	// A restore point may be in front of it.
	if rows := h.restore(t, "name:half"); !slices.Equal(rows, upTo(10+5)) {
		t.Errorf("to a restore point in front of a hole: rows %v", rows)
	}
}

func lsn(t *testing.T, text string) replication.LSN {
	l, err := replication.ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func testRefusals(t *testing.T, h *house, m *base.Manifest) {
	for to, want := range map[string]string{
		"2999-01-01T00:00:00Z":                         "in the future",
		m.Started.Add(-time.Hour).Format(time.RFC3339): "oldest base backup",
		"lsn:0/1000028":                                "oldest base backup",
		"lsn:FFFFF/28":                                 "stored",
	} {
		target, err := restore.ParseTarget(to)
		if err != nil {
			t.Fatal(err)
		}
		_, err = restore.Make(t.Context(), h.repo, target, 0, "")
		if !errors.Is(err, restore.ErrUnreachable) || !strings.Contains(err.Error(), want) {
			t.Errorf("to %s: %v", to, err)
		}
	}
	p := h.plan("latest")
	full := filepath.Join(wiretest.ServerDir(t), "full")
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := &restore.Cluster{Repo: h.repo, Dir: full, Binaries: h.binaries, Get: []string{os.Args[0], "get"}}
	if err := c.Run(t.Context(), p); err == nil {
		t.Error("a folder that is not empty was taken")
	}
	if there, err := os.ReadDir(full); err != nil || len(there) != 1 {
		t.Errorf("afterwards: %v, %v", there, err)
	}
	other := &repository.Repository{Store: h.repo.Store, Sealer: h.repo.Sealer, Cluster: "other"}
	if _, err := restore.Make(t.Context(), other, restore.Target{}, 0, ""); !errors.Is(err, repository.ErrEmpty) {
		t.Errorf("a cluster that was never backed up: %v", err)
	}
}
