package postgres_test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// ownerVariable makes this test program play a process that starts a server and
// is then killed.
const ownerVariable = "HOWDAH_TEST_SERVER_OWNER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerVariable); dir != "" {
		os.Exit(ownServer(dir))
	}
	os.Exit(m.Run())
}

// ownServer starts the server in dir, prints its process id and waits to be
// killed.
func ownServer(dir string) int {
	binaries, err := postgres.Find(0)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	port, err := strconv.Atoi(os.Getenv(ownerVariable + "_PORT"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	s, err := postgres.Open(binaries, postgres.Config{Dir: filepath.Join(dir, "data"), SocketDir: filepath.Join(dir, "run"), Port: port})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if err := s.Start(context.Background()); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(s.PID())
	select {}
}

func TestServerEndsWithItsKilledOwner(t *testing.T) {
	t.Parallel()
	s, owner, pid := startOwned(t)
	kill(t, owner)
	eventually(t, func() (bool, error) {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
		return os.IsNotExist(err), err
	})
	if err := s.Start(within(t)); err != nil {
		t.Errorf("start after the owner was killed: %v", err)
	}
}

func TestStopLeftoverEndsWhatAKilledOwnerLeft(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	s, owner, pid := startOwned(t)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // it cannot obey the parent-death signal
		t.Fatal(err)
	}
	kill(t, owner)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StopLeftover(ctx); err != nil {
		t.Fatal(err)
	}
	if found, err := s.StopLeftover(ctx); err != nil || found {
		t.Errorf("something is left over: %v %v", found, err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StopLeftover(ctx); err == nil {
		t.Error("our own server was taken for a leftover")
	}
}

// startOwned makes a server, has another process start it, and returns our
// handle of it, that process, and the server's process id.
func startOwned(t *testing.T) (*postgres.Server, *exec.Cmd, int) {
	t.Helper()
	dir := wiretest.ServerDir(t)
	s, err := postgres.Init(within(t), wiretest.FindPostgres(t), postgres.Config{
		Dir: filepath.Join(dir, "data"), SocketDir: wiretest.SocketDir(t, dir), Port: wiretest.FreePort(t), NoSync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	owner := exec.Command(os.Args[0], "-test.run=^$")
	owner.Env = append(os.Environ(), ownerVariable+"="+dir, fmt.Sprintf("%s_PORT=%d", ownerVariable, s.Port()))
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("owner says: %s", line)
	}
	return s, owner, pid
}

func kill(t *testing.T, owner *exec.Cmd) {
	t.Helper()
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // says that it was killed
}

func owner(info fs.FileInfo) uint32 {
	return info.Sys().(*syscall.Stat_t).Uid
}
