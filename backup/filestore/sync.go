package filestore

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // Odoo names files by it
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"howdah/backup/store"
)

const (
	parallel  = 8       // files at a time: most are small, and wait for the store
	smallMost = 1 << 20 // bytes of a file that is stored with one request
)

// Outcome is what came of a Sync.
type Outcome struct {
	Files int   `json:"files"` // that there are
	Bytes int64 `json:"bytes"`
	New   int   `json:"new_files"` // that were stored now
	Added int64 `json:"new_bytes"`
	// Odd are files whose contents are not what their name says: they are being written, or
	// damaged. They are not stored; the next Sync looks at them again, and this one does not
	// count as one that came to its end.
	Odd []string `json:"odd,omitempty"`
	// Others are files and folders whose names no filestore gives. They are not stored.
	Others int `json:"others"`
}

// Sync stores the files of a filestore that are not stored yet. dir is the database's own
// folder in Odoo's. progress, if not nil, is told how far it is, by one goroutine at a time.
func (f *Filestore) Sync(ctx context.Context, dir string, progress func(Outcome)) (Outcome, error) {
	synced := Synced{Format: format, Started: time.Now().UTC().Truncate(time.Microsecond)}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Outcome{}, fmt.Errorf("open the filestore of database %q: %w", f.Database, err)
	}
	defer root.Close()
	s := &syncing{Filestore: f, root: root, progress: progress}
	if s.stored, err = f.list(ctx); err != nil {
		return Outcome{}, err
	}
	if err := s.all(ctx); err != nil {
		return s.outcome, fmt.Errorf("store the filestore of database %q: %w", f.Database, err)
	}
	slices.Sort(s.outcome.Odd)
	switch {
	case len(s.outcome.Odd) > 0:
		return s.outcome, nil // not all is stored that there was when it began
	case s.outcome.Files == 0 && len(s.stored) > 0:
		return s.outcome, fmt.Errorf("the filestore of database %q is empty, and %d files of it are stored: is the disk mounted?", f.Database, len(s.stored))
	}
	synced.Finished, synced.Files, synced.Bytes = time.Now().UTC().Truncate(time.Microsecond), s.outcome.Files, s.outcome.Bytes
	return s.outcome, f.putSynced(ctx, synced)
}

// list returns the files that are stored.
func (f *Filestore) list(ctx context.Context) (map[sum]struct{}, error) {
	stored := map[sum]struct{}{}
	return stored, f.each(ctx, func(file sum) { stored[file] = struct{}{} })
}

// each calls do for each file that is stored.
func (f *Filestore) each(ctx context.Context, do func(sum)) error {
	prefix := f.key("files") + "/"
	for info, err := range f.Repo.Store.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("list the filestore of database %q: %w", f.Database, err)
		}
		if file, ok := parseName(strings.TrimPrefix(info.Key, prefix)); ok && info.Size >= 0 {
			do(file)
		}
	}
	return nil
}

// syncing is a Sync that runs.
type syncing struct {
	*Filestore
	root     *os.Root
	stored   map[sum]struct{}
	progress func(Outcome)

	mu      sync.Mutex
	outcome Outcome
}

func (s *syncing) count(change func(*Outcome)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.outcome)
	if s.progress != nil {
		s.progress(s.outcome)
	}
}

// all goes through the folders, and has files be stored meanwhile.
func (s *syncing) all(ctx context.Context) error {
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(parallel)
	err := s.walk(ctx, func(name string, file sum, size int64) {
		if _, is := s.stored[file]; is {
			s.count(func(o *Outcome) { o.Files, o.Bytes = o.Files+1, o.Bytes+size })
			return
		}
		workers.Go(func() error { return s.one(ctx, name, file) })
	})
	if failed := workers.Wait(); failed != nil {
		return failed // it is why the walk ended
	}
	return err
}

// walk calls file for each file that a filestore can have.
func (s *syncing) walk(ctx context.Context, file func(name string, file sum, size int64)) error {
	folders, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if folder.Name() == "checklist" || folder.Name() == copyMark { // the first is where Odoo notes what it may collect
			continue
		}
		if !folder.IsDir() || len(folder.Name()) != 2 {
			s.count(func(o *Outcome) { o.Others++ })
			continue
		}
		entries, err := fs.ReadDir(s.root.FS(), folder.Name())
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			name := path.Join(folder.Name(), entry.Name())
			parsed, ok := parseName(name)
			info, err := entry.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist): // Odoo has collected it meanwhile
			case err != nil:
				return err
			case !ok || !info.Mode().IsRegular():
				s.count(func(o *Outcome) { o.Others++ })
			default:
				file(name, parsed, info.Size())
			}
		}
	}
	return nil
}

// one stores a file.
func (s *syncing) one(ctx context.Context, name string, file sum) error {
	in, err := s.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) { // Odoo has collected it meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	size, err := s.put(ctx, in, file)
	switch {
	case errors.Is(err, errOdd):
		s.count(func(o *Outcome) { o.Odd = append(o.Odd, name) })
		return nil
	case err != nil:
		return fmt.Errorf("file %q: %w", name, err)
	}
	s.count(func(o *Outcome) {
		o.Files, o.Bytes, o.New, o.Added = o.Files+1, o.Bytes+size, o.New+1, o.Added+size
	})
	return nil
}

// errOdd is of a file whose contents are not what its name says.
var errOdd = errors.New("its contents are not what its name says")

func (s *syncing) put(ctx context.Context, in io.Reader, file sum) (size int64, err error) {
	start, err := io.ReadAll(io.LimitReader(in, smallMost))
	if err != nil {
		return 0, err
	}
	if len(start) < smallMost {
		if sum(sha1.Sum(start)) != file {
			return 0, errOdd
		}
		_, err := s.Repo.Sealer.PutIfAbsent(ctx, s.Repo.Store, s.fileKey(file), start, nil)
		if errors.Is(err, store.ErrExists) { // another Sync was faster, with the same
			err = nil
		}
		return int64(len(start)), err
	}
	out, err := s.Repo.Sealer.Create(ctx, s.Repo.Store, s.fileKey(file), nil)
	if err != nil {
		return 0, err
	}
	defer out.Abort()
	whole := sha1.New() //nolint:gosec // as above
	size, err = io.Copy(io.MultiWriter(whole, out), io.MultiReader(bytes.NewReader(start), in))
	if err != nil {
		return 0, err
	}
	if sum(whole.Sum(nil)) != file {
		return 0, errOdd
	}
	_, err = out.Close()
	return size, err
}
