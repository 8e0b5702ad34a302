package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

func TestFindNamesThePackageToInstall(t *testing.T) {
	t.Setenv("HOWDAH_PG_BINDIR", "")
	if _, err := postgres.Find(3); !errors.Is(err, postgres.ErrNotInstalled) || !strings.Contains(err.Error(), "apt-get install postgresql-3") {
		t.Errorf("find version 3: %v", err)
	}
	t.Setenv("HOWDAH_PG_BINDIR", t.TempDir())
	if _, err := postgres.Find(0); !errors.Is(err, postgres.ErrNotInstalled) || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("find in an empty folder: %v", err)
	}
}

func TestFindTakesTheNamedFolder(t *testing.T) {
	t.Setenv("HOWDAH_PG_BINDIR", "")
	found := wiretest.FindPostgres(t)
	t.Setenv("HOWDAH_PG_BINDIR", found.Dir)
	again, err := postgres.Find(found.Major)
	if err != nil || again != found {
		t.Errorf("found %v, %v; want %v", again, err, found)
	}
}

func TestServerRunsUnderAClosedParent(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(wiretest.ServerDir(t), "home")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	closed, err := postgres.ClosedParent(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	if root := os.Geteuid() == 0; root != (closed == dir) {
		t.Errorf("closed parent is %q as root %v", closed, root)
	}
	s, err := postgres.Init(within(t), wiretest.FindPostgres(t), postgres.Config{
		Dir: filepath.Join(dir, "data"), SocketDir: wiretest.SocketDir(t, dir), Port: wiretest.FreePort(t), NoSync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	if err := s.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(within(t), postgres.Superuser, "create table t as select 1", "checkpoint"); err != nil {
		t.Error(err)
	}
}

func TestLongSocketPathGetsAShortFolder(t *testing.T) {
	t.Parallel()
	wanted := filepath.Join(wiretest.ServerDir(t), strings.Repeat("long", 25), "run")
	short, err := postgres.MakeSocketDir(wanted)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(short) })
	if len(short) > 90 {
		t.Errorf("short folder is %q", short)
	}
	if info, err := os.Stat(short); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("short folder: %v %v", info.Mode(), err)
	}
	if again, err := postgres.MakeSocketDir(wanted); err != nil || again != short {
		t.Errorf("second time %q, %v; want %q", again, err, short)
	}
}

func TestMakeSocketDirRefusesAnotherOwnersPlace(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(wiretest.ServerDir(t), "run")
	if err := os.Symlink("/", dir); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.MakeSocketDir(dir); err == nil {
		t.Error("a symbolic link was followed")
	}
}
