package wal

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

const (
	asCommand  = "HOWDAH_WAL_TEST_SOCKET"   // set: the process is a restore_command
	asReceiver = "HOWDAH_WAL_TEST_RECEIVER" // set: the process is a receiver that will be killed
)

func TestMain(m *testing.M) {
	if socket := os.Getenv(asCommand); socket != "" {
		exit, err := Get(socket, os.Args[1], os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(exit)
	}
	if text := os.Getenv(asReceiver); text != "" {
		var c child
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			panic(err)
		}
		c.run()
	}
	os.Exit(m.Run())
}

// child is what a process is told that receives.
type child struct{ Store, Recipient, URL string }

func (c child) run() {
	d, err := store.OpenDir(c.Store)
	if err != nil {
		panic(err)
	}
	sealer, err := store.NewSealer([]string{c.Recipient}, "")
	if err != nil {
		panic(err)
	}
	r := &Receiver{
		Repo: &repository.Repository{Store: d, Sealer: sealer, Cluster: "main"},
		URL:  func() string { return c.URL }, SampleURL: func() string { return c.URL },
		Interval: 200 * time.Millisecond, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	_ = r.Run(context.Background())
}

// rig is a repository, whose key we have.
type rig struct {
	*repository.Repository
	folder, recipient string
}

func newRig(t testing.TB) *rig {
	t.Helper()
	g := &rig{folder: t.TempDir()}
	if err := store.MakeDir(g.folder); err != nil {
		t.Fatal(err)
	}
	d, err := store.OpenDir(g.folder)
	if err != nil {
		t.Fatal(err)
	}
	var identity string
	if identity, g.recipient, err = store.NewIdentity(); err != nil {
		t.Fatal(err)
	}
	sealer, err := store.NewSealer([]string{g.recipient}, identity)
	if err != nil {
		t.Fatal(err)
	}
	g.Repository = &repository.Repository{Store: d, Sealer: sealer, Cluster: "main"}
	return g
}

// receiver returns one that stores in the rig.
func (g *rig) receiver(url string) *Receiver {
	return &Receiver{
		Repo: g.Repository, URL: func() string { return url }, SampleURL: func() string { return url },
		Interval: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
}

// run runs a receiver until stop is called.
func run(t testing.TB, r *Receiver) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// spawn runs a receiver in a process of its own.
func (g *rig) spawn(t testing.TB, url string) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(child{g.folder, g.recipient, url})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asReceiver+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func exec1(t testing.TB, s *postgres.Server, statements ...string) {
	t.Helper()
	if err := s.Exec(context.Background(), postgres.Superuser, statements...); err != nil {
		t.Fatal(err)
	}
}

func query(t testing.TB, s *postgres.Server, sql string) (text string) {
	t.Helper()
	if err := s.QueryRow(context.Background(), postgres.Superuser, "select ("+sql+")::text", nil, &text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

// now returns where a server's WAL ends.
func now(t testing.TB, s *postgres.Server) replication.LSN {
	t.Helper()
	l, err := replication.ParseLSN(query(t, s, "pg_current_wal_flush_lsn()"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// until waits for something.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come: %s", what)
		}
	}
}

// stored waits until a receiver has stored all that a server has written.
func stored(t testing.TB, r *Receiver, s *postgres.Server) {
	t.Helper()
	end := now(t, s)
	defer func() {
		if t.Failed() {
			t.Logf("it is at %+v", r.Stats())
		}
	}()
	until(t, "WAL up to "+end.String()+" in the store", func() bool { return r.Stats().Durable >= end })
}

// copyOf copies a server, to be recovered later.
func copyOf(t testing.TB, primary *postgres.Server, binaries postgres.Binaries) *postgres.Server {
	t.Helper()
	folder := wiretest.ServerDir(t)
	s, err := postgres.Standby(context.Background(), binaries, primary, "copy", postgres.Config{
		Dir: filepath.Join(folder, "data"), SocketDir: wiretest.SocketDir(t, folder), Port: wiretest.FreePort(t), NoSync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	exec1(t, primary, "select pg_drop_replication_slot('copy')")
	return s
}

// recover has PostgreSQL recover a copy from what is in the repository, with a
// restore_command of ours.
func (g *rig) recover(t testing.TB, s *postgres.Server, settings ...string) {
	t.Helper()
	c, err := List(context.Background(), g.Repository)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(s.Dir())
	program := filepath.Join(folder, "archive-get")
	copyFile(t, os.Args[0], program)
	socket := filepath.Join(folder, "get")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o777); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	source := NewSource(ctx, g.Repository, c, 0)
	done := make(chan error)
	go func() { done <- Serve(ctx, l, source.Get) }()
	defer func() {
		cancel()
		source.Wait()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if err := os.Rename(filepath.Join(s.Dir(), "standby.signal"), filepath.Join(s.Dir(), "recovery.signal")); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(s.Dir(), "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintf(f, "primary_conninfo = ''\nprimary_slot_name = ''\nrestore_command = '%s=%s %s %%f %%p'\n", asCommand, socket, program)
	for _, setting := range settings {
		fmt.Fprintln(f, setting)
	}
	start, cancelStart := context.WithTimeout(context.Background(), time.Minute)
	defer cancelStart()
	if err := s.Start(start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(s.Log())
			t.Logf("%s", log[max(0, len(log)-4000):])
		}
		s.Kill()
	})
	until(t, "the end of recovery", func() bool { return query(t, s, "pg_is_in_recovery()") == "false" })
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
