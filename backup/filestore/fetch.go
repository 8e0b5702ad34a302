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
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"howdah/backup/store"
)

// Fetched is what came of a Fetch.
type Fetched struct {
	Files   int      `json:"files"` // that are there now
	New     int      `json:"new_files"`
	Bytes   int64    `json:"new_bytes"`
	Missing []string `json:"missing,omitempty"` // that are not stored
	Damaged []string `json:"damaged,omitempty"` // that are not what was stored
	// Foreign are names that no filestore gives: another program keeps those files.
	Foreign []string `json:"foreign,omitempty"`
}

// FetchOptions say how files are fetched.
type FetchOptions struct {
	// Trust has a file that is there be taken to be whole, and not be read.
	Trust bool
	// Inside has the folder be there, and be inside of the one that it is in: a link that leads
	// out of that is refused.
	Inside bool
	// Progress, if not nil, is told how far it is, by one goroutine at a time.
	Progress func(Fetched)
}

// Fetch puts the files of these names into a folder, which is made unless it is there. A
// file that is there already, and whole, stays as it is: the folder may be one that Odoo
// uses. What is made has the owner and the mode of the folder (likeness.go).
func (all Filestores) Fetch(ctx context.Context, names []string, into string, o FetchOptions) (Fetched, error) {
	root, like, err := openFolder(into, o.Inside)
	if err != nil {
		return Fetched{}, fmt.Errorf("fetch files of database %q: %w", all[0].Database, err)
	}
	defer root.Close()
	g := &fetching{Filestores: all, FetchOptions: o, root: root, like: like}
	g.sweep()
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(parallel)
	for _, name := range names {
		file, ok := parseName(name)
		if !ok {
			g.count(func(f *Fetched) { f.Foreign = append(f.Foreign, name) })
			continue
		}
		workers.Go(func() error { return g.one(ctx, file) })
	}
	err = workers.Wait()
	slices.Sort(g.fetched.Missing)
	slices.Sort(g.fetched.Damaged)
	slices.Sort(g.fetched.Foreign)
	if err != nil {
		err = fmt.Errorf("fetch files of database %q: %w", all[0].Database, err)
	}
	return g.fetched, err
}

// fetching is a Fetch that runs.
type fetching struct {
	Filestores
	FetchOptions
	root *os.Root
	like likeness

	mu      sync.Mutex
	fetched Fetched
}

func (g *fetching) count(change func(*Fetched)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.fetched)
	if g.Progress != nil {
		g.Progress(g.fetched)
	}
}

func (g *fetching) one(ctx context.Context, file sum) error {
	if g.isThere(file) {
		g.count(func(f *Fetched) { f.Files++ })
		return nil
	}
	damaged := false
	for _, from := range g.Filestores {
		if err := ctx.Err(); err != nil {
			return err
		}
		size, err := g.fetch(ctx, from, file)
		switch {
		case err == nil:
			g.count(func(f *Fetched) { f.Files, f.New, f.Bytes = f.Files+1, f.New+1, f.Bytes+size })
			return nil
		case errors.Is(err, store.ErrDamaged):
			damaged = true
		case !errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("file %q: %w", file.name(), err)
		}
	}
	g.count(func(f *Fetched) {
		if damaged {
			f.Damaged = append(f.Damaged, file.name())
		} else {
			f.Missing = append(f.Missing, file.name())
		}
	})
	return nil
}

func (g *fetching) fetch(ctx context.Context, from *Filestore, file sum) (size int64, err error) {
	in, _, err := from.Repo.Sealer.Open(ctx, from.Repo.Store, from.fileKey(file))
	if err != nil {
		return 0, err
	}
	defer in.Close()
	return g.write(in, file)
}

// isThere says whether a file is there and whole.
func (g *fetching) isThere(file sum) bool {
	info, err := g.root.Lstat(file.name())
	if err != nil || !info.Mode().IsRegular() { // opening a pipe would wait for who writes to it
		return false
	}
	if g.Trust {
		return true
	}
	f, err := g.root.Open(file.name())
	if err != nil {
		return false
	}
	defer f.Close()
	whole := sha1.New() //nolint:gosec // as above
	_, err = io.Copy(whole, f)
	return err == nil && sum(whole.Sum(nil)) == file
}

// unfinishedFile is what the names of files begin with that are being fetched.
const unfinishedFile = ".howdah-file-"

// unfinishedFor is how old one is at least that somebody has left who was killed.
const unfinishedFor = time.Hour

// sweep removes what those have left who were killed. What cannot be removed does no harm.
func (g *fetching) sweep() {
	entries, err := fs.ReadDir(g.root.FS(), ".")
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), unfinishedFile) {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > unfinishedFor {
			_ = g.root.Remove(entry.Name())
		}
	}
}

// makeFolder makes a folder, unless it is there. It is Odoo's from the first moment on: one that
// Odoo cannot enter would be there already for who comes after a kill.
func (g *fetching) makeFolder(name string) error {
	if _, err := g.root.Lstat(name); err == nil {
		return nil
	}
	unfinished := unfinishedFile + rand.Text()
	if err := g.root.Mkdir(unfinished, 0o700); err != nil {
		return err
	}
	err := g.like.give(g.root, unfinished, g.like.mode)
	if err == nil {
		err = g.root.Rename(unfinished, name) // an empty one is replaced
	}
	if err == nil {
		return nil
	}
	removed := g.root.Remove(unfinished)
	if errors.Is(err, fs.ErrExist) { // another was faster
		return removed
	}
	return errors.Join(err, removed)
}

// write writes a file under another name, and gives it its own once it is durable.
func (g *fetching) write(in io.Reader, file sum) (size int64, err error) {
	name := file.name()
	if err := g.makeFolder(path.Dir(name)); err != nil {
		return 0, err
	}
	unfinished := unfinishedFile + rand.Text()
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
		err = g.like.giveFile(out)
	}
	if err == nil {
		err = out.Sync()
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return 0, err
	}
	return size, g.root.Rename(unfinished, name)
}
