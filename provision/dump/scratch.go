package dump

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// scratchPrefix begins the names of scratch folders.
const scratchPrefix = "howdah-scratch-"

// Scratch is a folder for one copy, for its owner alone. It holds what the tenant has.
type Scratch struct {
	Dir  string
	lock *os.File // says that somebody uses it; the kernel takes it back from the dead
}

// Data is the folder of the dump in it.
func (s *Scratch) Data() string { return filepath.Join(s.Dir, "data") }

// MakeScratch makes a folder below root, which must have need bytes free. What
// processes have left there that died is removed first. The caller calls Remove.
func MakeScratch(root string, need int64) (*Scratch, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("make scratch folder: %w", err)
	}
	held, err := lockRoot(root)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	sweep(root)
	if err := CheckSpace(root, need); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(root, scratchPrefix)
	if err != nil {
		return nil, fmt.Errorf("make scratch folder: %w", err)
	}
	s := &Scratch{Dir: dir}
	if s.lock, err = lockFolder(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("lock scratch folder: %w", err), os.Remove(dir))
	}
	return s, nil
}

// lockRoot locks the folder of scratch folders until it is closed: who sweeps must not
// meet one that is not locked yet.
func lockRoot(root string) (*os.File, error) {
	held, err := os.Open(root)
	if err != nil {
		return nil, fmt.Errorf("open scratch folder: %w", err)
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock folder %q: %w", root, err), held.Close())
	}
	return held, nil
}

// SweepScratch removes what processes have left below root that died.
func SweepScratch(root string) error {
	held, err := lockRoot(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	sweep(root)
	return held.Close()
}

// Remove removes the folder with all that is in it.
func (s *Scratch) Remove() error {
	err := os.RemoveAll(s.Dir)
	return errors.Join(err, s.lock.Close())
}

func lockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sweep removes the scratch folders that nobody holds.
func sweep(root string) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return // whoever makes a folder there will say it
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), scratchPrefix) {
			continue
		}
		if lock, err := lockFolder(path); err == nil {
			_ = os.RemoveAll(path) // what cannot be removed now, the next one will try
			_ = lock.Close()
		}
	}
}

// CheckSpace is ErrNoSpace where the file system of a folder has fewer than need bytes
// free for us.
func CheckSpace(folder string, need int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil {
		return fmt.Errorf("ask for the free space of %q: %w", folder, err)
	}
	free := int64(fs.Bavail) * fs.Bsize
	if free >= need {
		return nil
	}
	return fmt.Errorf("%w: about %s are needed in %q, which has %s free: free %s more there, or set scratch_dir to another disk",
		ErrNoSpace, Size(need), folder, Size(free), Size(need-free))
}

// Size writes a number of bytes for people.
func Size(bytes int64) string {
	const units = "kMGTPE"
	n, unit := float64(bytes), -1
	for n >= 1000 && unit < len(units)-1 {
		n /= 1000
		unit++
	}
	if unit < 0 {
		return fmt.Sprintf("%d bytes", bytes)
	}
	return fmt.Sprintf("%.3g %cB", n, units[unit])
}
