package postgres

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MakeSocketDir makes a folder for Unix sockets that servers can write to and
// returns its path: wanted itself (mode 0755) when a socket's path fits into
// the kernel's 107 bytes, else a short one under the system's temporary
// directory (mode 0700), the same one every time for the same wanted.
func MakeSocketDir(wanted string) (string, error) {
	a, err := serverAccount()
	if err != nil {
		return "", err
	}
	if len(filepath.Join(wanted, ".s.PGSQL.65535")) <= maxSocketPath {
		return wanted, makeOwned(a, wanted, 0o755)
	}
	sum := sha256.Sum256([]byte(wanted))
	short := filepath.Join(os.TempDir(), fmt.Sprintf("howdah-%x", sum[:6]))
	return short, makeOwned(a, short, 0o700)
}

// makeOwned makes dir, or takes it as it is if it already belongs to the
// account. Under the temporary directory somebody else may have made it first:
// that is refused, never followed.
func makeOwned(a account, dir string, mode fs.FileMode) error {
	err := os.Mkdir(dir, mode)
	if err == nil {
		if err := os.Chmod(dir, mode); err != nil { // whatever the umask
			return err
		}
		return a.chown(dir)
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder for sockets: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("inspect folder for sockets: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != a.uid {
		return fmt.Errorf("folder for sockets %q exists and is not a directory of %q: remove it", dir, a.name)
	}
	return nil
}
