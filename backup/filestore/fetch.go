package filestore

import (
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // Odoo names files by it
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"howdah/backup/store"
)

// Fetched is what came of a Fetch.
type Fetched struct {
	Files   int      `json:"files"` // that are there now
	New     int      `json:"new_files"`
	Bytes   int64    `json:"new_bytes"`
	Missing []string `json:"missing,omitempty"` // that are not stored
	// Foreign are names that no filestore gives: another program keeps those files.
	Foreign []string `json:"foreign,omitempty"`
}

// Fetch puts the files of these names into a folder, which is made unless it is there. A
// file that is there already, and whole, stays as it is: the folder may be one that Odoo
// uses. progress, if not nil, is told how far it is, by one goroutine at a time.
func (f *Filestore) Fetch(ctx context.Context, names []string, into string, progress func(Fetched)) (Fetched, error) {
	if err := os.MkdirAll(into, 0o700); err != nil {
		return Fetched{}, err
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return Fetched{}, err
	}
	defer root.Close()
	g := &fetching{Filestore: f, root: root, progress: progress}
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(parallel)
	for _, name := range names {
		file, ok := parseName(name)
		if !ok {
			g.fetched.Foreign = append(g.fetched.Foreign, name)
			continue
		}
		workers.Go(func() error { return g.one(ctx, file) })
	}
	err = workers.Wait()
	slices.Sort(g.fetched.Missing)
	if err != nil {
		err = fmt.Errorf("fetch the filestore of database %q: %w", f.Database, err)
	}
	return g.fetched, err
}

// fetching is a Fetch that runs.
type fetching struct {
	*Filestore
	root     *os.Root
	progress func(Fetched)

	mu      sync.Mutex
	fetched Fetched
}

func (g *fetching) count(change func(*Fetched)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.fetched)
	if g.progress != nil {
		g.progress(g.fetched)
	}
}

func (g *fetching) one(ctx context.Context, file sum) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if g.isThere(file) {
		g.count(func(f *Fetched) { f.Files++ })
		return nil
	}
	in, _, err := g.Repo.Sealer.Open(ctx, g.Repo.Store, g.fileKey(file))
	if errors.Is(err, store.ErrNotFound) {
		g.count(func(f *Fetched) { f.Missing = append(f.Missing, file.name()) })
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	size, err := g.write(in, file)
	if err != nil {
		return fmt.Errorf("file %q: %w", file.name(), err)
	}
	g.count(func(f *Fetched) { f.Files, f.New, f.Bytes = f.Files+1, f.New+1, f.Bytes+size })
	return nil
}

// isThere says whether a file is there and whole.
func (g *fetching) isThere(file sum) bool {
	f, err := g.root.Open(file.name())
	if err != nil {
		return false
	}
	defer f.Close()
	whole := sha1.New() //nolint:gosec // as above
	_, err = io.Copy(whole, f)
	return err == nil && sum(whole.Sum(nil)) == file
}

// write writes a file under another name, and gives it its own once it is durable.
func (g *fetching) write(in io.Reader, file sum) (size int64, err error) {
	name := file.name()
	if err := g.root.Mkdir(path.Dir(name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return 0, err
	}
	unfinished := path.Join(path.Dir(name), ".howdah-"+rand.Text())
	out, err := g.root.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	defer g.root.Remove(unfinished) // which is not there any more if all went well
	whole := sha1.New()             //nolint:gosec // as above
	size, err = io.Copy(io.MultiWriter(out, whole), in)
	if err == nil && sum(whole.Sum(nil)) != file {
		err = fmt.Errorf("%w: it is not what its name says", store.ErrDamaged)
	}
	if err == nil {
		err = out.Sync()
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return 0, err
	}
	return size, g.root.Rename(unfinished, name)
}
