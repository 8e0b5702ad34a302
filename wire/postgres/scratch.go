package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// scratchPrefix begins the names of scratch folders.
const scratchPrefix = "howdah-scratch-"

// Scratch is a folder for what does not last, for its owner alone. Who has it holds a lock on
// it, which the kernel takes back from the dead: what they have left, others remove.
type Scratch struct {
	Dir  string
	lock *os.File
}

// ScratchRoot is the folder that scratch folders are made in: the one given, or, for "", one
// of our own in the system's folder of temporary files.
func ScratchRoot(given string) string {
	if given != "" {
		return given
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("howdah-scratch-of-%d", os.Geteuid()))
}

// MakeScratch makes a folder below root, after it has removed what processes have left there
// that died. room, if not nil, then says whether there is room for what it is for. The caller
// calls Remove.
func MakeScratch(root string, room func(root string) error) (*Scratch, error) {
	// Others may pass through it, and see nothing: servers of another OS user, to theirs.
	if err := os.MkdirAll(root, 0o711); err != nil {
		return nil, fmt.Errorf("make scratch folder: %w", err)
	}
	if root == ScratchRoot("") {
		if err := takeOwn(root); err != nil {
			return nil, err
		}
	}
	held, err := lockRoot(root)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	sweep(root)
	if room != nil {
		if err := room(root); err != nil {
			return nil, err
		}
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

// MakeServerScratch is MakeScratch of a folder that nobody but scratch servers (and root) can
// enter: for all that they have.
func MakeServerScratch(root string, room func(root string) error) (*Scratch, error) {
	s, err := MakeScratch(root, room)
	if err != nil {
		return nil, err
	}
	if err := s.lend(); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

// lend gives the folder to the scratch servers' OS user, who must be able to come to it.
func (s *Scratch) lend() error {
	a, err := accountOf(ScratchUser)
	if err != nil || !a.change {
		return err
	}
	closed, err := a.closedParent(s.Dir)
	if err != nil {
		return err
	}
	if closed != "" {
		return fmt.Errorf("scratch servers run as OS user %q, who may not enter %q: have a scratch_dir that everyone may come to (chmod o+x)", a.name, closed)
	}
	return a.chown(s.Dir)
}

// takeOwn sees that our own folder of scratch folders is ours, in a place where everybody may
// make folders, and has others pass through it.
func takeOwn(root string) error {
	info, err := os.Lstat(root)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("scratch folder %q is not a directory of ours: remove it, or set scratch_dir", root)
	}
	return os.Chmod(root, info.Mode().Perm()|0o111)
}

// lockRoot locks the folder of scratch folders until it is closed: who sweeps must not meet
// one that is not locked yet.
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
			for _, server := range readFolders(path) {
				removeMemory(server)
			}
			_ = os.RemoveAll(path) // what cannot be removed now, the next one will try
			_ = lock.Close()
		}
	}
}

// readFolders returns the folders in a folder, some of which may be data directories.
func readFolders(path string) (folders []string) {
	entries, _ := os.ReadDir(path) // what cannot be read has none
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, filepath.Join(path, e.Name()))
		}
	}
	return folders
}
