package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// give is the time a server gets for one step; a healthy one needs a second.
const give = 30 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), give)
	t.Cleanup(cancel)
	return ctx
}

func TestServerAnswersSuperuserBySocketAndTenantByPassword(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	s := wiretest.StartPostgres(t)
	wiretest.CreateTenant(t, s, "acme", "geheim")

	var who string
	if err := s.QueryRow(ctx, "acme", "select current_user", nil, &who); err != nil {
		t.Fatal(err)
	}
	if who != postgres.Superuser {
		t.Errorf("over the socket we are %q", who)
	}
	conn, err := pgx.Connect(ctx, s.URL("acme", "geheim", "acme"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := pgx.Connect(ctx, s.URL("acme", "wrong", "acme")); err == nil {
		t.Error("a wrong password was let in")
	}
	if v := wiretest.Verifier(t, s, "acme"); !strings.HasPrefix(v, "SCRAM-SHA-256$4096:") {
		t.Errorf("verifier is %.20q…", v)
	}
}

func TestServerNeverRunsAsRoot(t *testing.T) {
	t.Parallel()
	s := wiretest.StartPostgres(t)
	info, err := os.Stat(fmt.Sprintf("/proc/%d", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.Stat(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if uid, dataUID := owner(info), owner(data); uid == 0 || uid != dataUID {
		t.Errorf("server runs as uid %d on data of uid %d", uid, dataUID)
	}
	if data.Mode().Perm() != 0o700 {
		t.Errorf("data directory has mode %v", data.Mode().Perm())
	}
}

func TestStandbyFollowsAlsoAfterBothRestarted(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	primary := wiretest.StartPostgres(t)
	standby := wiretest.StartStandby(t, primary)
	sees := func(table string) {
		t.Helper()
		if err := primary.Exec(ctx, postgres.Superuser, "create table "+table+"()"); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() (bool, error) {
			var there bool
			err := standby.QueryRow(ctx, postgres.Superuser, "select to_regclass($1) is not null", []any{table}, &there)
			return there, err
		})
	}
	sees("first")
	if id, other := systemID(t, primary), systemID(t, standby); id != other {
		t.Errorf("system identifiers differ: %s and %s", id, other)
	}
	for _, s := range []*postgres.Server{primary, standby} {
		if err := s.Stop(ctx, postgres.Fast); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	sees("second")
	eventually(t, func() (bool, error) { return primary.Streaming(ctx, "standby") })
}

// noted is the number of the shared memory that a server notes in its data directory.
func noted(t *testing.T, dir string) (id int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(strings.Split(string(text), "\n")[6], new(uint64), &id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestKilledServerComesBackWithItsData(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	s := wiretest.StartPostgres(t, wiretest.WithSetting("synchronous_commit", "on"))
	if err := s.Exec(ctx, postgres.Superuser, "create table kept as select 42 as n"); err != nil {
		t.Fatal(err)
	}
	var segment unix.SysvShmDesc
	memory := noted(t, s.Dir())
	if _, err := unix.SysvShmCtl(memory, unix.IPC_STAT, &segment); err != nil || segment.Nattch == 0 {
		t.Fatalf("shared memory %d: %+v, %v", memory, segment, err)
	}
	s.Kill()
	if s.Running() || s.PID() != 0 {
		t.Error("a killed server is said to run")
	}
	if _, err := unix.SysvShmCtl(memory, unix.IPC_STAT, &segment); err == nil && segment.Nattch == 0 {
		t.Errorf("a killed server has left shared memory: %+v", segment)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := s.QueryRow(ctx, postgres.Superuser, "select n from kept", nil, &n); err != nil || n != 42 {
		t.Errorf("row is %d, %v", n, err)
	}
}

func TestStartSaysWhyTheServerEnded(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	first := wiretest.StartPostgres(t)
	dir := wiretest.ServerDir(t)
	second, err := postgres.Init(ctx, wiretest.FindPostgres(t), postgres.Config{
		Dir: filepath.Join(dir, "data"), SocketDir: wiretest.SocketDir(t, dir), Port: first.Port(), NoSync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	err = second.Start(ctx)
	if err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("start on a taken port: %v", err)
	}
	if err := first.Start(ctx); err == nil {
		t.Error("a running server was started again")
	}
}

func TestInitRefusesWhatItWouldOverwrite(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	dir := wiretest.ServerDir(t)
	cfg := postgres.Config{Dir: dir, SocketDir: filepath.Join(dir, "run"), Port: 1234, NoSync: true}
	if _, err := postgres.Init(ctx, wiretest.FindPostgres(t), cfg); err == nil {
		t.Error("an existing directory was taken")
	}
	for name, cfg := range map[string]postgres.Config{
		"relative": {Dir: "data", SocketDir: dir, Port: 1234},
		"no port":  {Dir: dir, SocketDir: dir},
		"long":     {Dir: dir, SocketDir: "/" + strings.Repeat("x", 100), Port: 1234},
	} {
		if _, err := postgres.Open(wiretest.FindPostgres(t), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestInitLeavesNothingHalfMade(t *testing.T) {
	t.Parallel()
	dir := wiretest.ServerDir(t)
	cfg := postgres.Config{Dir: filepath.Join(dir, "data"), SocketDir: wiretest.SocketDir(t, dir), Port: wiretest.FreePort(t), NoSync: true}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // initdb needs ten times that
	defer cancel()
	if _, err := postgres.Init(ctx, wiretest.FindPostgres(t), cfg); err == nil {
		t.Fatal("initdb was not interrupted")
	}
	if _, err := os.Stat(cfg.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("data directory after an interrupted Init: %v", err)
	}
	s, err := postgres.Init(within(t), wiretest.FindPostgres(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := postgres.DataVersion(s.Dir()), wiretest.FindPostgres(t).Major; got != want {
		t.Errorf("data directory says version %d, want %d", got, want)
	}
}

func systemID(t *testing.T, s *postgres.Server) string {
	t.Helper()
	id, err := s.SystemID(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// eventually waits for something that PostgreSQL gives no signal for.
func eventually(t *testing.T, done func() (bool, error)) {
	t.Helper()
	var err error
	var ok bool
	for deadline := time.Now().Add(give); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok, err = done(); ok {
			return
		}
	}
	t.Fatalf("it did not happen within %v: %v", give, err)
}
