package restore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/restore"
	"howdah/backup/store"
	"howdah/backup/wal"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// hiding is a store some of whose objects are gone.
type hiding struct {
	store.Store
	gone func(key string) bool
}

func (h *hiding) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, store.Info, error) {
	if h.gone(key) {
		return nil, store.Info{}, store.ErrNotFound
	}
	return h.Store.Get(ctx, key, offset, length)
}

func (h *hiding) Stat(ctx context.Context, key string) (store.Info, error) {
	if h.gone(key) {
		return store.Info{}, store.ErrNotFound
	}
	return h.Store.Stat(ctx, key)
}

func (h *hiding) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for info, err := range h.Store.List(ctx, prefix) {
			if err == nil && h.gone(info.Key) {
				continue
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// without returns the house's repository as it would be without what has a name.
func (h *house) without(name string) *house {
	other, repo := *h, *h.repo
	repo.Store = &hiding{h.repo.Store, func(key string) bool { return strings.Contains(key, name) }}
	other.repo = &repo
	return &other
}

// outOfPlace starts the server again with its configuration where Debian has it: outside of
// the data directory.
func (h *house) outOfPlace() {
	h.Helper()
	h.conn.Close(context.Background())
	if err := h.Stop(h.Context(), postgres.Fast); err != nil {
		h.Fatal(err)
	}
	folder := filepath.Join(filepath.Dir(h.Dir()), "etc")
	if err := os.Mkdir(folder, 0o755); err != nil {
		h.Fatal(err)
	}
	override := map[string]string{}
	for setting, name := range map[string]string{"config_file": "postgresql.conf", "hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf", "": "howdah.conf"} {
		if err := os.Rename(filepath.Join(h.Dir(), name), filepath.Join(folder, name)); err != nil {
			h.Fatal(err)
		}
		if setting != "" {
			override[setting] = filepath.Join(folder, name)
		}
	}
	h.addOutside(folder)
	s, err := postgres.Open(h.binaries, postgres.Config{Dir: h.Dir(), SocketDir: h.SocketDir(), Port: h.Port(), Override: override})
	if err != nil {
		h.Fatal(err)
	}
	if err := s.Start(h.Context()); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(s.Kill)
	h.Server = s
	h.connect()
}

// outside are files beside those that the server had, below the folder of its configuration.
var outside = map[string]string{
	"conf.d/10-memory.conf": "work_mem = '5MB'\n",
	"conf.d/20-none.conf":   "# nothing is set here\n",
	"extra/some.conf":       "include 'more.conf'\n",
	"extra/more.conf":       "application_name = 'of more.conf'\n",
	"nobody":                "nobody\n",
}

// addOutside has the configuration include files and folders, of which one is empty, and a
// link in the data directory lead out of it.
func (h *house) addOutside(folder string) {
	h.Helper()
	files := maps.Clone(outside)
	for name, add := range map[string]string{
		"postgresql.conf": "include_dir = 'conf.d'\nINCLUDE_DIR 'empty.d'\ninclude '" + folder + "/extra/some.conf' # and more\ninclude_if_exists = 'none.conf'\ninclude '" + h.Dir() + "/linked.conf'\n",
		"pg_hba.conf":     "local @nobody nobody reject\n",
	} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			h.Fatal(err)
		}
		files[name] = string(text) + add
	}
	files["../linked"] = "statement_timeout = 0\n"
	if err := os.Symlink(filepath.Join(filepath.Dir(folder), "linked"), filepath.Join(h.Dir(), "linked.conf")); err != nil {
		h.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.MkdirAll(filepath.Join(folder, "empty.d"), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			h.Fatal(err)
		}
	}
}

// TestRegressions has what other tools have lost data by; backup/FORMAT.md has the list, by
// the same numbers.
func TestRegressions(t *testing.T) {
	archived := filepath.Join(wiretest.ServerDir(t), "production")
	// Every server may write there, whoever's it is: what keeps a scratch server from it is to be
	// how it is started.
	if err := errors.Join(os.Mkdir(archived, 0o777), os.Chmod(archived, 0o777)); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, wiretest.FindPostgres(t), wiretest.WithSetting("archive_mode", "on"), wiretest.WithSetting("archive_command", "cp %p "+archived+"/%f"))
	h.outOfPlace()
	// These are in the base backup.
	h.exec("alter system set archive_mode = on")
	h.exec("alter system set archive_command = 'cp %p " + archived + "/%f'")
	const odd = `Od'd "na\me" %f ; .parts/x`
	h.exec(`create database "` + strings.ReplaceAll(odd, `"`, `""`) + `"`)
	h.in(odd, "create table invoice (id int primary key)", "insert into invoice select generate_series(1, 1000)")
	h.write(3)
	h.exec("begin")
	h.exec("insert into log values (-1)")
	h.exec("prepare transaction 'neither'")
	m := h.backUpBy(base.Options{Configuration: base.ConfigurationOf(t.Context(), func(ctx context.Context) (*pgx.Conn, error) {
		return pgx.Connect(ctx, h.AdminURL("postgres"))
	}, h.text("select system_identifier::text from pg_control_system()"))})
	if m.ConfigurationMissing != "" {
		t.Error(m.ConfigurationMissing)
	}
	for range 3 {
		h.write(1)
		h.exec("select pg_switch_wal()")
	}
	h.write(3)
	end := lsn(t, h.text("select pg_current_wal_flush_lsn()::text"))
	h.stored(replication.Position(m.Start), end)
	h.plan(h.now())
	h.stop()
	first := replication.SegmentName(1, m.Start.LSN, 16<<20)
	middle := replication.SegmentName(1, m.Stop.LSN.SegmentStart(16<<20)+16<<20, 16<<20)

	t.Run("3 a restore archives nothing, 25 the configuration is elsewhere", func(t *testing.T) {
		testConfigurationElsewhere(t, h, m)
		names, err := filepath.Glob(filepath.Join(archived, "*"))
		if err != nil || len(names) == 0 {
			t.Fatalf("the server has archived %q, %v: the test tests nothing", names, err)
		}
		if i := slices.IndexFunc(names, func(name string) bool { return !strings.HasPrefix(filepath.Base(name), "00000001") }); i >= 0 {
			t.Errorf("it has archived %s", names[i])
		}
	})
	t.Run("4 WAL begins after the base backup has begun", func(t *testing.T) {
		_, err := restore.Make(t.Context(), h.without(first).repo, restore.Target{}, 0, "")
		if !errors.Is(err, wal.ErrHole) || !errors.Is(err, restore.ErrUnreachable) {
			t.Errorf("without its first segment: %v", err)
		}
	})
	t.Run("5 WAL that goes while it is restored is not its end", func(t *testing.T) {
		h := h.without(middle)
		if _, err := restore.Make(t.Context(), h.repo, restore.Target{}, 0, ""); !errors.Is(err, wal.ErrHole) {
			t.Errorf("a plan without a segment: %v", err)
		}
		p := h.wholePlan(t)
		c := &restore.Cluster{Repo: h.repo, Dir: filepath.Join(wiretest.ServerDir(t), "restored"), Binaries: h.binaries, Get: []string{os.Args[0], "get"}}
		if err := c.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "before all WAL was read that is stored") {
			t.Errorf("without a segment that was there: %v", err)
		}
		into := filepath.Join(t.TempDir(), "dump")
		d := &restore.Database{Repo: h.repo, Name: odd, Into: into, Binaries: h.binaries, Get: []string{os.Args[0], "get"}}
		if err := d.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "before all WAL was read that is stored") {
			t.Errorf("a database without a segment that was there: %v", err)
		}
		if _, err := os.Stat(into); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there is a dump: %v", err)
		}
	})
	t.Run("6 a target within the base backup", func(t *testing.T) {
		for _, target := range []restore.Target{
			{LSN: m.Start.LSN + 8}, {LSN: m.Stop.LSN - 8}, {Time: m.Started.Add(time.Microsecond)}, {Time: m.Finished.Add(-time.Microsecond)},
		} {
			if _, err := restore.Make(t.Context(), h.repo, target, 0, ""); !errors.Is(err, restore.ErrUnreachable) || !strings.Contains(err.Error(), "oldest base backup") {
				t.Errorf("to %s: %v", target, err)
			}
			if _, err := restore.Make(t.Context(), h.repo, target, 0, m.ID); !errors.Is(err, restore.ErrUnreachable) || !strings.Contains(err.Error(), "after it") {
				t.Errorf("from it to %s: %v", target, err)
			}
		}
	})
	t.Run("26 an odd name", func(t *testing.T) {
		into := filepath.Join(t.TempDir(), "dump")
		d := &restore.Database{Repo: h.repo, Name: odd, Into: into, Binaries: h.binaries, Get: []string{os.Args[0], "get"}}
		if err := d.Run(t.Context(), h.plan("latest")); err != nil {
			t.Fatal(err)
		}
		if got, want := h.load(t, into), h.sum(odd); got != want {
			t.Errorf("it has %s, not %s", got, want)
		}
	})
}

// wholePlan returns a plan that was made when all was there.
func (h *house) wholePlan(t *testing.T) *restore.Plan {
	t.Helper()
	hidden := h.repo.Store.(*hiding)
	gone := hidden.gone
	hidden.gone = func(string) bool { return false }
	defer func() { hidden.gone = gone }()
	p, err := restore.Make(t.Context(), h.repo, restore.Target{}, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// testConfigurationElsewhere restores a cluster in whose data directory there is none.
func testConfigurationElsewhere(t *testing.T, h *house, m *base.Manifest) {
	if err := base.Verify(t.Context(), h.repo, m, true, nil); err != nil {
		t.Error(err)
	}
	dir := filepath.Join(wiretest.ServerDir(t), "restored")
	c := &restore.Cluster{Repo: h.repo, Dir: dir, Binaries: h.binaries, Get: []string{os.Args[0], "get"}}
	if err := c.Run(t.Context(), h.plan("latest")); err != nil {
		t.Fatal(err)
	}
	if !c.Plain || c.Configuration != filepath.Join(dir, restore.ConfigurationFolder) {
		t.Errorf("it says that the configuration is in %q, and a plain one there: %t", c.Configuration, c.Plain)
	}
	etc := filepath.Join(filepath.Dir(h.Dir()), "etc")
	sameTree(t, etc, filepath.Join(c.Configuration, etc))
	if linked, err := os.ReadFile(filepath.Join(c.Configuration, h.Dir(), "linked.conf")); err != nil || string(linked) != "statement_timeout = 0\n" {
		t.Errorf("what a link leads to is %q, %v", linked, err)
	}
	if names, err := os.ReadDir(filepath.Join(c.Configuration, h.Dir())); err != nil || len(names) != 1 {
		t.Errorf("of the data directory there is %v, %v", names, err)
	}
	config := postgres.Config{Dir: dir, SocketDir: wiretest.SocketDir(t, dir), Port: wiretest.FreePort(t)}
	plain, err := postgres.Open(h.binaries, config)
	if err == nil {
		err = plain.Start(t.Context())
	}
	if err == nil {
		err = plain.Stop(t.Context(), postgres.Fast)
	}
	if err != nil {
		t.Fatalf("it does not start by the plain configuration: %v", err)
	}
	config.Override = map[string]string{"archive_mode": "off", "data_directory": dir}
	for setting, name := range map[string]string{"config_file": "postgresql.conf", "hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf"} {
		config.Override[setting] = filepath.Join(c.Configuration, etc, name)
	}
	s, err := postgres.Open(h.binaries, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Kill()
	var rows int
	var memory string
	if err := s.QueryRow(t.Context(), postgres.Superuser, "select count(*), current_setting('work_mem') from log", nil, &rows, &memory); err != nil || rows != h.rows || memory != "5MB" {
		t.Errorf("there are %d rows, not %d, and work_mem is %s: %v", rows, h.rows, memory, err)
	}
}

// sameTree sees that a folder has the files and folders of another, for nobody else to read.
func sameTree(t *testing.T, want, got string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(want, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n++
		there := filepath.Join(got, strings.TrimPrefix(path, want))
		info, err := os.Stat(there)
		if err != nil || info.IsDir() != d.IsDir() || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has become %v, %v", path, info, err)
			return nil
		}
		if d.IsDir() {
			return nil
		}
		a, err := os.ReadFile(path)
		if b, err2 := os.ReadFile(there); err != nil || err2 != nil || string(a) != string(b) {
			t.Errorf("%s: %q has become %q, %v, %v", path, a, b, err, err2)
		}
		return nil
	})
	if err != nil || n < len(outside) {
		t.Errorf("%d files, %v", n, err)
	}
}

// TestSegmentSizes is regression 24: a cluster whose WAL is in segments of another size is
// restored as any other. Those of 64 MiB are kept in parts for ever.
func TestSegmentSizes(t *testing.T) {
	for _, size := range []int{1, 64} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			h := newHouse(t, wiretest.FindPostgres(t), wiretest.WithSegmentSize(size))
			h.write(2)
			m := h.backUp()
			if m.Segment != replication.LSN(size)<<20 {
				t.Fatalf("segments have %d bytes", m.Segment)
			}
			h.exec("create table big as select n, repeat(md5(n::text), 30) text from generate_series(1, $1::int) n", 3000+size*1300)
			h.write(2)
			moments := map[string]int{h.now(): h.rows}
			h.write(2)
			moments["lsn:"+h.text("select pg_current_wal_insert_lsn()::text")] = h.rows
			h.write(2)
			end := lsn(t, h.text("select pg_current_wal_flush_lsn()::text"))
			if end < m.Stop.LSN.SegmentStart(m.Segment)+m.Segment {
				t.Fatalf("all is in one segment: it ends at %s", end)
			}
			h.stored(replication.Position(m.Start), end)
			for to, n := range moments {
				if rows := h.restore(t, to); !slices.Equal(rows, upTo(n)) {
					t.Errorf("restored to %s: rows %v, not 1 to %d", to, rows, n)
				}
			}
		})
	}
}
