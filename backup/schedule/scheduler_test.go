package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/repository"
	"howdah/backup/store/storetest"
	"howdah/backup/wal"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// house is a cluster with what stores its WAL and takes its base backups.
type house struct {
	*testing.T
	server   *postgres.Server
	repo     *repository.Repository
	seats    chan struct{}
	interval atomic.Int64
	changes  atomic.Int64 // as interval
	replay   atomic.Int64 // bytes
	rate     atomic.Int64 // kB a second
	state    string       // state_dir
	log      logged
	away     atomic.Bool  // the server, for those who take base backups
	standby  atomic.Value // base_url; nil is none
	kept     atomic.Int64 // how often what is not needed was removed
	*running
}

// running is one run of it.
type running struct {
	receiver  *wal.Receiver
	scheduler *Scheduler
	stop      func()
}

func newHouse(t *testing.T, binaries postgres.Binaries, options ...wiretest.PostgresOption) *house {
	h := &house{T: t, seats: make(chan struct{}, 1), state: filepath.Join(t.TempDir(), "state")}
	h.repo = &repository.Repository{Store: storetest.NewDir(t), Sealer: storetest.NewSealer(t), Cluster: "main"}
	options = append([]wiretest.PostgresOption{wiretest.WithTrust(), wiretest.WithSetting("wal_level", "replica")}, options...)
	h.server = wiretest.StartPostgresOf(t, binaries, options...)
	h.start()
	return h
}

// nowhere is the URL of a server that is away.
const nowhere = "postgres://127.0.0.1:1/x"

func (h *house) start() {
	url := func() string { return h.server.AdminURL(postgres.Superuser) }
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	dead := func() string {
		if h.away.Load() {
			return nowhere
		}
		return url()
	}
	r := &wal.Receiver{Repo: h.repo, URL: url, SampleURL: url, Interval: 100 * time.Millisecond, Log: log}
	s := &Scheduler{
		Repo: h.repo, URL: dead, AdminURL: url, Receiver: r, Seats: h.seats, StateDir: h.state, Log: log, every: 500 * time.Millisecond,
		BaseURL: func() string {
			url, _ := h.standby.Load().(string)
			return url
		},
		Settings: func() Settings {
			return Settings{Interval: time.Duration(h.interval.Load()), Changes: time.Duration(h.changes.Load()), Replay: h.replay.Load(), ReplayWhole: h.replay.Load(), MaxRate: int(h.rate.Load())}
		},
		Keep: func(context.Context) error {
			h.kept.Add(1)
			return nil
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { s.Run(ctx) })
	all.Go(func() { _ = r.Run(ctx) }) // until it is told to end
	h.running = &running{r, s, func() { cancel(); all.Wait() }}
	h.Cleanup(h.stop)
}

// logged is what was logged, by several goroutines.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func (h *house) until(what string, is func() bool) {
	h.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			h.Fatalf("%s: it did not come: %+v", what, h.scheduler.Stats())
		}
	}
}

func (h *house) exec(statements ...string) {
	h.Helper()
	if err := h.server.Exec(context.Background(), postgres.Superuser, statements...); err != nil {
		h.Fatal(err)
	}
}

// list returns the base backups, the newest first.
func (h *house) list() []base.Manifest {
	h.Helper()
	all, err := base.List(context.Background(), h.repo)
	if err != nil {
		h.Fatal(err)
	}
	return all
}

// waits waits until there are so many, and sees that there are no more.
func (h *house) waits(n int, what string) []base.Manifest {
	h.Helper()
	for end := time.Now().Add(time.Minute); len(h.list()) < n; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			h.Fatalf("%s: there are %d base backups, not %d: %+v", what, len(h.list()), n, h.scheduler.Stats())
		}
	}
	h.still(n, what)
	return h.list()
}

func (h *house) still(n int, what string) {
	h.Helper()
	taken := func() bool { return h.scheduler.Stats().Why != "" }
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end) || taken(); time.Sleep(100 * time.Millisecond) {
		if now := len(h.list()); now != n {
			h.Fatalf("%s: there are %d base backups, not %d", what, now, n)
		}
	}
}

// TestSchedule has all happen to a cluster after which a base backup is taken.
func TestSchedule(t *testing.T) {
	h := newHouse(t, wiretest.FindPostgres(t))
	h.waits(1, "the first one")
	if s := h.scheduler.Stats(); !s.There || s.Taken != 1 || s.LastError != "" || s.Last == nil || h.kept.Load() == 0 {
		t.Errorf("%+v, kept %d times", s, h.kept.Load())
	}

	h.stop()
	h.start()
	h.still(1, "a new start")

	space := filepath.Join(wiretest.ServerDir(t), "space")
	if err := os.Mkdir(space, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Own(space); err != nil {
		t.Fatal(err)
	}
	h.exec(fmt.Sprintf("create tablespace beside location '%s'", space))
	if all := h.waits(2, "a tablespace"); len(all[0].Tablespaces) != 1 || all[0].Started.Before(all[1].Finished) {
		t.Errorf("taken after a tablespace: %+v", all[0])
	}

	h.exec("create database copied strategy file_copy")
	all := h.waits(3, "a database that was copied file by file")
	if copies, err := wal.Copies(t.Context(), h.repo); err != nil || len(copies) == 0 || all[0].Start.LSN <= copies[len(copies)-1].At.LSN {
		t.Errorf("taken from %s on; copied are %+v, %v", all[0].Start.LSN, copies, err)
	}
	h.exec("create database again strategy file_copy")
	h.still(3, "again too soon")

	h.stop()
	h.exec("do $$ begin while exists (select from pg_replication_slots where active) loop perform pg_sleep(0.05); end loop; end $$",
		"select pg_drop_replication_slot('howdah')", "create table log (n int)", "select pg_switch_wal()")
	for range 3 {
		h.exec("insert into log select generate_series(1, 1000)", "select pg_switch_wal()", "checkpoint")
	}
	h.start()
	all = h.waits(4, "a gap")
	contents, err := wal.List(t.Context(), h.repo)
	if err != nil || len(contents.Gaps) != 1 || all[0].Start.LSN < contents.Gaps[0].To.LSN {
		t.Errorf("gaps %v, %v; taken from %s on", contents, err, all[0].Start.LSN)
	}

	h.changes.Store(int64(time.Millisecond))
	h.until("it is told that there are no incremental ones", func() bool { return h.log.count("no incremental base backups are taken") > 0 })
	h.changes.Store(0)
	h.seats <- struct{}{} // another cluster's turn
	h.interval.Store(int64(10 * time.Second))
	h.still(4, "not its turn")
	if n := h.log.count("no incremental base backups are taken"); n != 1 {
		t.Errorf("it is told %d times that there are no incremental ones", n)
	}
	<-h.seats
	h.waits(5, "an old one")
	h.interval.Store(int64(time.Hour))

	h.replay.Store(100 << 20)
	for range 6 {
		h.exec("insert into log values (1)", "select pg_switch_wal()")
	}
	h.waits(6, "much to replay")
	if n := h.log.count("would soon replay more WAL than backup_rto leaves time for"); n != 1 {
		t.Errorf("it is told %d times that a restore would replay too much", n)
	}
	h.replay.Store(0)

	h.standby.Store(nowhere)
	h.interval.Store(int64(time.Second))
	h.until("that the standby is away is told", func() bool { return strings.Contains(h.scheduler.Stats().LastError, "at base_url: ") })
	h.interval.Store(int64(time.Hour))
	if _, err := h.scheduler.Now(t.Context(), "somebody asks"); err != nil || h.log.count("and one is at replication_url") != 1 {
		t.Errorf("while the standby is away, in a hurry: %v", err)
	}
	h.waits(7, "one while the standby is away")
	h.standby.Store(h.server.AdminURL(postgres.Superuser)) // what a standby became that was promoted
	if _, err := h.scheduler.Now(t.Context(), "somebody asks again"); err != nil || h.log.count("and one is at replication_url") != 1 {
		t.Errorf("at base_url: %v", err)
	}
	h.standby.Store("")
	h.stop()
	h.start()

	h.away.Store(true)
	h.until("that a server is away is told", func() bool { return h.scheduler.Stats().LastError != "" })
	if s := h.scheduler.Stats(); !strings.Contains(s.LastError, "whether a base backup is due") || s.LastErrorAt.IsZero() {
		t.Errorf("%+v", s)
	}
	h.away.Store(false)
	h.stop()
	testElsewhere(h)
}

// testElsewhere has another node get the slot while a base backup is being taken.
func testElsewhere(h *house) {
	h.rate.Store(1024)
	h.start()
	for end := time.Now().Add(time.Minute); !h.receiver.Stats().Connected; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.Fatal("nobody receives")
		}
	}
	taken := make(chan error, 1)
	go func() {
		_, err := h.scheduler.Now(h.Context(), "somebody asks")
		taken <- err
	}()
	for h.scheduler.Stats().Why == "" {
		time.Sleep(20 * time.Millisecond)
	}
	other := &wal.Receiver{Repo: h.repo, URL: h.receiver.URL, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(h.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = other.Run(ctx) })
	defer all.Wait()
	defer cancel()
	for end := time.Now().Add(time.Minute); !h.receiver.Stats().Elsewhere; time.Sleep(200 * time.Millisecond) {
		if h.receiver.Stats().Connected {
			h.exec("select pg_terminate_backend(active_pid) from pg_replication_slots where active")
		}
		if time.Now().After(end) {
			h.Fatal("the other does not get the slot")
		}
	}
	if err := <-taken; !errors.Is(err, errElsewhere) {
		h.Errorf("the slot is gone: %v", err)
	}
	for info, err := range h.repo.Store.List(h.Context(), h.repo.Key("base", "data")) {
		if err != nil || !slices.ContainsFunc(h.list(), func(m base.Manifest) bool { return strings.Contains(info.Key, m.ID) }) {
			h.Errorf("left behind: %s, %v", info.Key, err)
		}
	}
	if _, err := h.scheduler.Now(h.Context(), "somebody asks"); err == nil || !strings.Contains(err.Error(), "does not receive") {
		h.Errorf("of a node that does not receive: %v", err)
	}
}
