package main

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// aGroup returns a group that a socket of ours can be given to, and that it
// would not have anyway where there is a choice.
func aGroup(t *testing.T) int {
	t.Helper()
	if os.Geteuid() == 0 {
		return 12345
	}
	groups, err := os.Getgroups()
	if err != nil || len(groups) == 0 {
		t.Fatalf("no groups: %v", err)
	}
	return groups[len(groups)-1]
}

func TestUnixSocketHasModeAndGroup(t *testing.T) {
	group := aGroup(t)
	path := filepath.Join(t.TempDir(), ".s.PGSQL.6432")
	all, err := listen(&Listen{UnixSocketMode: 0o710, UnixSocketGroup: strconv.Itoa(group)}, path)
	if err != nil {
		t.Fatal(err)
	}
	defer all[0].Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o710 {
		t.Errorf("mode %o", got)
	}
	if got := info.Sys().(*syscall.Stat_t).Gid; int(got) != group {
		t.Errorf("group %d, want %d", got, group)
	}
}

func TestUnixSocketGroupMustExist(t *testing.T) {
	if c := mustLoad(t, "[listen]\nunix_socket_group = \"root\"\n"+good); c.Listen.UnixSocketGroup != "root" {
		t.Errorf("group %q", c.Listen.UnixSocketGroup)
	}
	checkMistakes(t, "[listen]\nunix_socket_group = \"no such group\"\n"+good, []string{
		`2: unix_socket_group: no group "no such group"; write the name or number of a group`,
	})
	if _, err := listen(&Listen{UnixSocketGroup: "no such group"}, filepath.Join(t.TempDir(), "s")); err == nil {
		t.Error("a socket of no group is open")
	}
}
