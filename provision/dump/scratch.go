package dump

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"howdah/wire/postgres"
)

// Scratch is a folder for one copy, for its owner alone. It holds what the tenant has.
type Scratch struct{ *postgres.Scratch }

// Data is the folder of the dump in it.
func (s *Scratch) Data() string { return filepath.Join(s.Dir, "data") }

// MakeScratch makes a folder below root, which must have need bytes free. What
// processes have left there that died is removed first. The caller calls Remove.
func MakeScratch(root string, need int64) (*Scratch, error) {
	s, err := postgres.MakeScratch(root, func(root string) error { return CheckSpace(root, need) })
	if err != nil {
		return nil, err
	}
	return &Scratch{s}, nil
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
