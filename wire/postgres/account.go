package postgres

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// account is the OS account that servers run as.
type account struct {
	name   string
	uid    int
	gid    int
	groups []uint32
	change bool // we are root and have to become it
	lent   bool // it may be lent the right to enter what it may not
}

// serverAccount is postgres when we are root, else ourselves.
func serverAccount() (account, error) { return accountOf("postgres") }

// ScratchUser is the OS user whose servers hold nothing that lasts. It owns no files of
// others: what such a server is told to write anywhere but in its own folder fails.
const ScratchUser = "nobody"

// accountOf is the OS user of that name when we are root, else ourselves.
func accountOf(name string) (account, error) {
	if os.Geteuid() != 0 {
		u, err := user.Current()
		if err != nil {
			return account{}, fmt.Errorf("look up the current user: %w", err)
		}
		return account{name: u.Username, uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, fmt.Errorf("look up the OS user that servers run as (postgres is made by: apt-get install postgresql): %w", err)
	}
	a := account{name: u.Username, change: true, lent: name != ScratchUser}
	if a.uid, err = strconv.Atoi(u.Uid); err != nil {
		return account{}, fmt.Errorf("read uid of %q: %w", u.Username, err)
	}
	if a.gid, err = strconv.Atoi(u.Gid); err != nil {
		return account{}, fmt.Errorf("read gid of %q: %w", u.Username, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return account{}, fmt.Errorf("read groups of %q: %w", u.Username, err)
	}
	for _, id := range ids {
		if gid, err := strconv.ParseUint(id, 10, 32); err == nil {
			a.groups = append(a.groups, uint32(gid))
		}
	}
	return a, nil
}

// chown gives path to the account. Only root needs to, and only root may.
func (a account) chown(path string) error {
	if !a.change {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// Own gives path to the OS user that servers run as. Only root needs to.
func Own(path string) error { return ownBy("postgres", path) }

// OwnScratch gives path to the OS user of scratch servers. Only root needs to.
func OwnScratch(path string) error { return ownBy(ScratchUser, path) }

func ownBy(name, path string) error {
	a, err := accountOf(name)
	if err != nil {
		return err
	}
	return a.chown(path)
}

// IsOther reports whether servers run as another OS user than the caller.
func IsOther() bool { return os.Geteuid() == 0 }

// prepare makes cmd run as the account, able to reach dir, outside our process
// group (so that Ctrl-C in a terminal reaches us alone) and free of the
// caller's PG* and locale variables.
func (a account) prepare(cmd *exec.Cmd, dir string) error {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.change {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: a.groups}
		closed, err := a.closedParent(dir)
		if err != nil {
			return err
		}
		if closed != "" {
			if !a.lent || !haveSearchCapability() {
				return fmt.Errorf("OS user %q may not enter %q and this system does not let us lend it that right: use a folder everyone may enter", a.name, closed)
			}
			attr.AmbientCaps = []uintptr{unix.CAP_DAC_READ_SEARCH}
		}
	}
	cmd.SysProcAttr = attr
	cmd.Dir = "/"
	cmd.Env = CleanEnviron(os.Environ())
	return nil
}

// ClosedParent returns the first folder above dir that servers could not enter
// by themselves, "" when the way is open. Such a server gets the capability
// CAP_DAC_READ_SEARCH, which lets it read every file of the machine: good
// enough for trying things out, and worth a word to the user.
func ClosedParent(dir string) (string, error) {
	a, err := serverAccount()
	if err != nil || !a.change {
		return "", err
	}
	return a.closedParent(dir)
}

func (a account) closedParent(dir string) (string, error) {
	var parents []string
	for p := filepath.Dir(dir); ; p = filepath.Dir(p) {
		parents = append(parents, p)
		if p == filepath.Dir(p) {
			break
		}
	}
	slices.Reverse(parents)
	for _, p := range parents {
		info, err := os.Stat(p)
		if err != nil {
			return "", fmt.Errorf("inspect parent of data directory: %w", err)
		}
		if !a.mayEnter(info) {
			return p, nil
		}
	}
	return "", nil
}

func (a account) mayEnter(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case int(st.Uid) == a.uid:
		return mode&0o100 != 0
	case int(st.Gid) == a.gid || slices.Contains(a.groups, st.Gid):
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// haveSearchCapability says whether we hold CAP_DAC_READ_SEARCH ourselves;
// containers often run root without it.
func haveSearchCapability() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Permitted&(1<<unix.CAP_DAC_READ_SEARCH) != 0
}

// CleanEnviron is an environment for PostgreSQL's programs: without the caller's PG* and
// locale variables.
func CleanEnviron(environ []string) []string {
	clean := []string{"LC_ALL=C.UTF-8"}
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "LC_") || name == "LANG" || name == "LANGUAGE" {
			continue
		}
		clean = append(clean, kv)
	}
	return clean
}
