package base

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"howdah/backup/store"
)

// TablespacesFolder is where, in the data directory, tablespaces are unpacked that nobody
// has named a place for. A server that is to stay should have them elsewhere.
const TablespacesFolder = "howdah_tablespaces"

// place is a folder that an archive is unpacked into: the data directory, or a tablespace's.
// Nothing is ever written outside of it, whatever an archive has for names and links.
type place struct {
	tablespace uint32
	path       string // absolute, without symbolic links
	need       int64  // bytes
	made       bool   // by us
	root       *os.Root
}

// places returns where the archives go, the data directory first, of which nothing is made
// yet.
func (m *Manifest) places(dir string, o UnpackOptions) ([]*place, error) {
	path, err := resolve(dir)
	if err != nil {
		return nil, err
	}
	all := []*place{{path: path}}
	known := map[uint32]bool{}
	for _, t := range m.Tablespaces {
		known[t.OID] = true
		where, given := o.Tablespaces[t.OID]
		if !given {
			all = append(all, &place{tablespace: t.OID, path: filepath.Join(path, TablespacesFolder, fmt.Sprint(t.OID))})
			continue
		}
		where, err := resolve(where)
		if err != nil {
			return nil, err
		}
		for _, other := range all {
			if within(where, other.path) || within(other.path, where) {
				return nil, fmt.Errorf("tablespace %d cannot be unpacked into %q: %q is for something else", t.OID, where, other.path)
			}
		}
		all = append(all, &place{tablespace: t.OID, path: where})
	}
	for oid := range o.Tablespaces {
		if !known[oid] {
			return nil, fmt.Errorf("base backup %q has no tablespace %d", m.ID, oid)
		}
	}
	return all, nil
}

// resolve makes a path absolute, and free of symbolic links. What it names need not exist,
// what it is in must.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if whole, err := filepath.EvalSymlinks(path); err == nil {
		return whole, nil
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("cannot unpack into %q: %w", path, err)
	}
	return filepath.Join(parent, filepath.Base(path)), nil
}

// within reports whether path is a folder or in it.
func within(path, folder string) bool {
	rest, err := filepath.Rel(folder, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, "../")
}

// check says why nothing can be unpacked there.
func (p *place) check() error {
	names, err := os.ReadDir(p.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot unpack into %q: %w", p.path, err)
	case len(names) > 0:
		return fmt.Errorf("cannot unpack into %q: it is not empty: it has %q; name another folder, or empty it", p.path, names[0].Name())
	}
	return nil
}

// checkSpace says whether the file systems have space for what comes.
func checkSpace(all []*place) error {
	type system struct {
		free, need int64
		path       string
	}
	systems := map[uint64]*system{}
	for _, p := range all {
		there := p.path
		for _, err := os.Stat(there); errors.Is(err, fs.ErrNotExist); _, err = os.Stat(there) {
			there = filepath.Dir(there)
		}
		var file unix.Stat_t
		var space unix.Statfs_t
		if err := errors.Join(unix.Stat(there, &file), unix.Statfs(there, &space)); err != nil {
			return fmt.Errorf("look for space in %q: %w", there, err)
		}
		s := systems[file.Dev]
		if s == nil {
			s = &system{free: int64(space.Bavail) * space.Bsize, path: there}
			systems[file.Dev] = s
		}
		s.need += p.need
	}
	for _, s := range systems {
		if s.need > s.free {
			return fmt.Errorf("cannot unpack: %d MiB are needed in %q, and %d are free: make space there, or name another folder", s.need>>20, s.path, s.free>>20)
		}
	}
	return nil
}

// make makes the folder, unless it is there, and opens it.
func (p *place) make() error {
	err := os.Mkdir(p.path, 0o700)
	if p.made = err == nil; err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	p.root, err = os.OpenRoot(p.path)
	return err
}

// remove leaves of what was made what was there before. The folder was empty.
func (p *place) remove() error {
	if p.root == nil {
		return nil
	}
	if p.made {
		return os.RemoveAll(p.path)
	}
	names, err := os.ReadDir(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(filepath.Join(p.path, name.Name())))
	}
	return err
}

// sync makes all durable that was written to the place's file system.
func (p *place) sync() error {
	d, err := os.Open(p.path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("sync %q: %w", p.path, err)
	}
	return nil
}

// writtenAtOnce is how much of a file is written before the disk is told to begin: so there
// is not all to be done in the end.
const writtenAtOnce = 8 << 20

// fileWriter writes a file's bytes.
type fileWriter struct {
	*os.File
	written, begun int64
}

func (f *fileWriter) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.written += int64(n)
	if f.written-f.begun >= writtenAtOnce {
		// Where that is not possible it is done in the end.
		_ = unix.SyncFileRange(int(f.Fd()), f.begun, f.written-f.begun, unix.SYNC_FILE_RANGE_WRITE)
		f.begun = f.written
	}
	return n, err
}

// drain copies a file of an archive, which must have its full length.
func drain(to io.Writer, from io.Reader, buffer []byte, told func(int)) error {
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
			told(n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// errTwice is of an archive that has a file more than once.
var errTwice = fmt.Errorf("%w: it has a file twice", store.ErrDamaged)
