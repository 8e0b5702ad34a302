package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/restore"
	"howdah/backup/store"
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

// house is a cluster that is backed up.
type house struct {
	*testing.T
	repo     *repository.Repository
	binaries postgres.Binaries
	scratch  string
}

func newHouse(t *testing.T) *house {
	h := &house{T: t, binaries: wiretest.FindPostgres(t), scratch: filepath.Join(wiretest.ServerDir(t), "scratch")}
	h.repo = &repository.Repository{Store: storetest.NewDir(t), Sealer: storetest.NewSealer(t), Cluster: "main"}
	s := wiretest.StartPostgres(t, wiretest.WithTrust(), wiretest.WithSetting("wal_level", "replica"))
	exec := func(sql ...string) {
		t.Helper()
		if err := s.Exec(t.Context(), postgres.Superuser, sql...); err != nil {
			t.Fatal(err)
		}
	}
	exec("create database acme", "create database put_by allow_connections false")
	url := func() string { return s.AdminURL(postgres.Superuser) }
	ctx, cancel := context.WithCancel(context.Background())
	r := &wal.Receiver{Repo: h.repo, URL: url, SampleURL: url, Interval: 100 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx) // until it is told to end
	}()
	t.Cleanup(func() { cancel(); <-done })
	m := h.backUp(s)
	exec("create table log (n int primary key)", "insert into log select generate_series(1, 1000)")
	h.await(m)
	return h
}

// backUp takes a base backup.
func (h *house) backUp(s *postgres.Server) *base.Manifest {
	h.Helper()
	conn, err := replication.Connect(h.Context(), s.AdminURL(postgres.Superuser))
	if err != nil {
		h.Fatal(err)
	}
	defer conn.Close(context.Background())
	m, err := base.Take(h.Context(), h.repo, conn, func(ctx context.Context) (map[uint32]string, error) {
		var text string
		err := s.QueryRow(ctx, postgres.Superuser, "select json_object_agg(oid, datname)::text from pg_database", nil, &text)
		names := map[uint32]string{}
		return names, errors.Join(err, json.Unmarshal([]byte(text), &names))
	}, base.Options{})
	if err != nil {
		h.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		contents, err := wal.List(h.Context(), h.repo)
		if err == nil {
			_, err = contents.Reaches(replication.Position(m.Start), m.Stop.LSN, m.Stop.Timeline)
		}
		if err == nil {
			break
		}
		if time.Now().After(end) {
			h.Fatal(err)
		}
	}
	if err := base.Commit(h.Context(), h.repo, m); err != nil {
		h.Fatal(err)
	}
	return m
}

// await waits until there are moments to choose from, all of which are stored.
func (h *house) await(m *base.Manifest) {
	h.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		until, _, err := wal.StoredUntil(h.Context(), h.repo)
		if err == nil && until.Time.After(m.Finished.Add(time.Second)) {
			return
		}
		if time.Now().After(end) {
			h.Fatalf("stored until %s, %v", until.Time, err)
		}
	}
}

func (h *house) drill() *Drill {
	return &Drill{
		Repo: h.repo, Get: []string{os.Args[0], "get"}, Scratch: h.scratch,
		Find: func(int) (postgres.Binaries, error) { return h.binaries, nil },
		Room: func(string, int64) error { return nil },
	}
}

// empty sees that nothing is left.
func (h *house) empty() {
	h.Helper()
	if entries, err := os.ReadDir(h.scratch); err != nil && !errors.Is(err, os.ErrNotExist) || len(entries) > 0 {
		h.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestDrill(t *testing.T) {
	h := newHouse(t)
	rec, err := h.drill().Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// postgres, template1, acme and put_by
	if !rec.Passed() || rec.Databases != 4 || rec.Dumped != "postgres" || rec.RTO <= 0 || rec.RPO <= 0 || rec.RPO > 60 || rec.Bytes == 0 || rec.Target != "latest" {
		t.Errorf("%+v", rec)
	}
	h.empty()

	d := h.drill()
	d.Database, d.To = "acme", Random
	one, err := d.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if target, err := restore.ParseTarget(one.Target); err != nil || target.Time.IsZero() || one.Databases != 1 || one.Dumped != "acme" || one.Recovered <= 0 || one.RTO <= one.Recovered || one.Bytes >= rec.Bytes {
		t.Errorf("%+v, %v", one, err)
	}
	h.empty()
	t.Run("fails", func(t *testing.T) { testFails(t, h) })
	t.Run("records", func(t *testing.T) { testRecords(t, h, rec.ID) })
}

// testFails has drills find what is wrong: regression 27, a changed key, for one.
func testFails(t *testing.T, h *house) {
	full := errors.New("it is full")
	for name, c := range map[string]struct {
		change func(*Drill)
		is     error
		says   string
	}{
		"a changed key": {func(d *Drill) {
			other := *h.repo
			other.Sealer = storetest.NewSealer(t)
			d.Repo = &other
		}, store.ErrNoIdentity, "sealed for others"},
		"no room":         {func(d *Drill) { d.Room = func(string, int64) error { return full } }, full, "it is full"},
		"no such moment":  {func(d *Drill) { d.To = "2999-01-01T00:00:00Z" }, restore.ErrUnreachable, "in the future"},
		"no such name":    {func(d *Drill) { d.Database = "nobody" }, restore.ErrNoDatabase, "no such database"},
		"another version": {func(d *Drill) { d.Find = func(int) (postgres.Binaries, error) { return postgres.Binaries{}, full } }, full, "it is full"},
	} {
		d := h.drill()
		c.change(d)
		rec, err := d.Run(t.Context())
		if !errors.Is(err, ErrFailed) || !errors.Is(err, c.is) || rec == nil || rec.Passed() || !strings.Contains(rec.Error, c.says) {
			t.Errorf("%s: %+v, %v", name, rec, err)
			continue
		}
		if all, err := List(t.Context(), h.repo, 0); err != nil || !has(all, rec) {
			t.Errorf("%s: its record is not there: %v, %v", name, all, err)
		}
		h.empty()
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := h.drill()
	d.Room = func(string, int64) error { cancel(); return nil }
	if rec, err := d.Run(ctx); rec != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("one that is cut short: %+v, %v", rec, err)
	}
	h.empty()
	d.Repo = &repository.Repository{Store: h.repo.Store, Sealer: h.repo.Sealer, Cluster: "other"}
	if _, err := d.Run(t.Context()); !errors.Is(err, repository.ErrEmpty) {
		t.Errorf("of a cluster that was never backed up: %v", err)
	}
}

func has(all []Record, r *Record) bool {
	for i := range all {
		if all[i] == *r {
			return true
		}
	}
	return false
}

// testRecords damages a record, and has more be stored than are kept.
func testRecords(t *testing.T, h *house, first string) {
	if err := h.repo.Store.Put(t.Context(), prefix(h.repo)+first, []byte("{}"), nil); err != nil {
		t.Fatal(err)
	}
	before, err := List(t.Context(), h.repo, 0)
	if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), first) || len(before) != 6 {
		t.Errorf("with a damaged record: %v, %v", before, err)
	}
	at := time.Now().UTC().Truncate(time.Second)
	for i := range kept {
		if err := put(t.Context(), h.repo, &Record{Format: format, ID: repository.NewID(at.Add(time.Duration(i) * time.Hour)), Started: at}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := List(t.Context(), h.repo, 0)
	if err != nil || len(all) != kept || all[0].ID < all[1].ID {
		t.Errorf("%d records, %v", len(all), err)
	}
	if two, err := List(t.Context(), h.repo, 2); err != nil || len(two) != 2 || two[0] != all[0] {
		t.Errorf("%v, %v", two, err)
	}
}

func TestDrillIsDue(t *testing.T) {
	repo := &repository.Repository{Store: storetest.NewDir(t), Sealer: storetest.NewSealer(t), Cluster: "main"}
	receives, interval := true, time.Hour
	s := &Scheduler{Repo: repo, Receives: func() bool { return receives }, Interval: func() time.Duration { return interval }}
	now := time.Now().UTC().Truncate(time.Second)
	if !s.due(t.Context(), now) {
		t.Error("the first one is not due")
	}
	if err := put(t.Context(), repo, &Record{Format: format, ID: repository.NewID(now), Started: now}); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]bool{0: false, 59 * time.Minute: false, time.Hour: true, -time.Hour: true} {
		s.last = time.Time{}
		if s.due(t.Context(), now.Add(after)) != want {
			t.Errorf("after %s it is due: %v", after, !want)
		}
	}
	receives = false
	if s.due(t.Context(), now.Add(24*time.Hour)) {
		t.Error("another node receives, and it is due")
	}
	receives, interval = true, 0
	if s.due(t.Context(), now.Add(24*time.Hour)) {
		t.Error("there are to be none, and one is due")
	}
}

// TestScheduledDrills has one fail, which is done again when it is due and not before.
func TestScheduledDrills(t *testing.T) {
	repo := &repository.Repository{Store: storetest.NewDir(t), Sealer: storetest.NewSealer(t), Cluster: "main"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seats, n := make(chan struct{}, 1), 0
	s := &Scheduler{
		Repo: repo, Receives: func() bool { return true }, Interval: func() time.Duration { return time.Hour }, Seats: seats,
		Log: slog.New(slog.DiscardHandler),
		Drill: func(context.Context) (*Record, error) {
			n++
			if len(seats) != 1 {
				t.Error("it has no seat")
			}
			return &Record{Started: time.Now()}, ErrFailed
		},
	}
	if err := s.drill(ctx); err != nil || n != 1 || len(seats) != 0 || s.due(ctx, time.Now()) {
		t.Errorf("%v, %d drills, %d seats taken", err, n, len(seats))
	}
	s.Drill = func(context.Context) (*Record, error) { return nil, errors.New("no") }
	if err := s.drill(ctx); err == nil {
		t.Error("one that has left no record is no error")
	}
}
