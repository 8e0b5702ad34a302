package base

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// UnpackOptions are those of unpacking a base backup.
type UnpackOptions struct {
	// Tablespaces has a new location for tablespaces, by OID. Those that it does not have go
	// to a folder of their own in the data directory's TablespacesFolder. Nothing of what is
	// unpacked refers to where they were.
	Tablespaces map[uint32]string
	// Only, if not nil, says which databases are wanted. The others get an empty folder, and
	// nothing of them is fetched.
	Only func(database uint32) bool
	// Chown, if not nil, is called once for every file and folder, with its path: a folder's
	// comes after all that is in it.
	Chown    func(path string) error
	Parallel int // objects that are unpacked at a time; 0 is 4
	// Progress, if not nil, is told how far it is, often, by one goroutine at a time.
	Progress func(Progress)

	changes bool // to be unpacked although it has only what has changed
}

// Unpack makes a data directory of a base backup, in a folder that is empty or not there
// yet, whose parent is. It is complete and durable when there is no error; otherwise
// nothing of it is left. If the process is killed, what it has written has no
// global/pg_control, and no server starts on it. All that is written is checked against the
// manifest and PostgreSQL's own, of which the new directory gets one of what it has.
func Unpack(ctx context.Context, r *repository.Repository, m *Manifest, dir string, o UnpackOptions) (err error) {
	u := &unpacking{repo: r, m: m, o: o, folders: map[folder]uint32{}}
	if err := u.prepare(ctx, dir); err != nil {
		return fmt.Errorf("unpack base backup %q: %w", m.ID, err)
	}
	defer u.close()
	err = u.make()
	if err == nil {
		err = u.fill(ctx)
	}
	if err == nil {
		err = u.finish(ctx)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("unpack base backup %q: %w", m.ID, err)
	for _, p := range u.places {
		if removeErr := p.remove(); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("remove what was unpacked: %w", removeErr))
		}
	}
	return err
}

// unpacking is a base backup that is being unpacked.
type unpacking struct {
	// Set before all else.
	repo    *repository.Repository
	m       *Manifest
	o       UnpackOptions
	places  []*place  // the data directory's is the first
	objects []*Object // those that are wanted

	mu       sync.Mutex // guards what follows
	progress Progress
	files    fileSet
	folders  map[folder]uint32 // those that there are, with their modes; 0: not known yet
	control  bool              // global/pg_control is there, by its other name
	spaces   bool              // the archive has a tablespace_map
}

// folder is one below a place.
type folder struct {
	at   *place
	name string
}

// The files that are not just written.
const (
	controlFile   = "global/pg_control"
	unfinished    = controlFile + ".howdah" // until all is there
	spacesFile    = "tablespace_map"
	manifestFile  = "backup_manifest"
	defaultFolder = 0o700
)

func (u *unpacking) wants(database uint32) bool {
	return database == 0 || u.o.Only == nil || u.o.Only(database)
}

// prepare finds out what is to be done and whether it can be. It changes nothing.
func (u *unpacking) prepare(ctx context.Context, dir string) (err error) {
	if u.m.Since != "" && !u.o.changes {
		return fmt.Errorf("it has only what has changed since base backup %q: they are unpacked together", u.m.Since)
	}
	if err := u.m.check(u.repo, u.m.ID); err != nil {
		return err
	}
	if u.places, err = u.m.places(dir, u.o); err != nil {
		return err
	}
	for i := range u.m.Objects {
		o := &u.m.Objects[i]
		p := u.place(o.Tablespace)
		if p == nil {
			return fmt.Errorf("%w: object %d is of tablespace %d, which it does not have", store.ErrDamaged, o.Number, o.Tablespace)
		}
		if u.wants(o.Database) {
			u.objects = append(u.objects, o)
			p.need += o.Size
			u.progress.Total += o.Size
		}
	}
	for _, p := range u.places {
		if err := p.check(); err != nil {
			return err
		}
	}
	if err := checkSpace(u.places); err != nil {
		return err
	}
	first, err := open(ctx, u.repo, backupManifestKey(u.repo, u.m.ID), u.m.BackupManifest)
	if err != nil {
		return err
	}
	return first.Close()
}

func (u *unpacking) place(tablespace uint32) *place {
	for _, p := range u.places {
		if p.tablespace == tablespace {
			return p
		}
	}
	return nil
}

// make makes the places, and the folders of databases that are not wanted.
func (u *unpacking) make() error {
	for _, p := range u.places {
		if p.tablespace != 0 && filepath.Dir(p.path) == filepath.Join(u.places[0].path, TablespacesFolder) {
			if err := u.folder(u.places[0], TablespacesFolder, defaultFolder); err != nil {
				return err
			}
		}
		if err := p.make(); err != nil {
			return err
		}
	}
	for i := range u.m.Objects {
		if o := &u.m.Objects[i]; !u.wants(o.Database) {
			if err := u.folder(u.place(o.Tablespace), o.Folder, defaultFolder); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *unpacking) close() {
	for _, p := range u.places {
		if p.root != nil {
			p.root.Close()
		}
	}
}

// fill unpacks the objects.
func (u *unpacking) fill(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *Object, len(u.objects))
	for _, o := range u.objects {
		next <- o
	}
	close(next)
	parallel := u.o.Parallel
	if parallel <= 0 {
		parallel = 4
	}
	var all sync.WaitGroup
	for range min(parallel, len(u.objects)) {
		all.Go(func() {
			w := worker{unpacking: u, buffer: make([]byte, bufferSize)}
			for o := range next {
				if ctx.Err() != nil {
					return
				}
				if err := w.object(ctx, o); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// worker unpacks one object after the other.
type worker struct {
	*unpacking
	buffer []byte
}

func (w *worker) object(ctx context.Context, o *Object) error {
	in, err := open(ctx, w.repo, o.key(w.repo, w.m), o.Sums)
	if err != nil {
		return err
	}
	defer in.Close()
	at := w.place(o.Tablespace)
	return in.eachEntry(func(h *header, _ int64, file io.Reader) error {
		if groupOf(o.Tablespace, h.name).database != o.Database {
			return fmt.Errorf("%w: object %q has an entry %q, which is not of its database", store.ErrDamaged, in.key, h.name)
		}
		if h.folder {
			return w.folder(at, h.name, h.mode)
		}
		return w.file(at, h, file)
	})
}

// folder makes a folder, and those that it is in, unless they are there. Whoever knows its
// mode says it; until the end it is ours alone.
func (u *unpacking) folder(at *place, name string, mode uint32) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		if _, there := u.folders[folder{at, parent}]; !there {
			u.folders[folder{at, parent}] = 0
		}
	}
	f := folder{at, name}
	if _, there := u.folders[f]; there && mode == 0 {
		return nil
	}
	u.folders[f] = mode
	return at.root.MkdirAll(name, 0o700)
}

func (w *worker) file(at *place, h *header, from io.Reader) (err error) {
	name := h.name
	if parent := path.Dir(name); parent != "." {
		if err := w.folder(at, parent, 0); err != nil {
			return err
		}
	}
	var to io.Writer
	sum := newFileSum()
	switch full := pathOf(at.tablespace, name); full {
	case spacesFile:
		w.note(&w.spaces)
		to = sum // another one is written
	case controlFile:
		w.note(&w.control)
		name = unfinished
		fallthrough
	default:
		f, err := at.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: %q", errTwice, full)
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		if err := f.Chmod(fs.FileMode(h.mode & 0o755)); err != nil {
			return err
		}
		to = io.MultiWriter(sum, &fileWriter{File: f})
	}
	if err := drain(to, from, w.buffer, w.tell); err != nil {
		return err
	}
	w.mu.Lock()
	w.files.add(pathOf(at.tablespace, h.name), h.size, sum.Sum(nil))
	w.mu.Unlock()
	if h.name == spacesFile && at.tablespace == 0 {
		return nil
	}
	return w.chown(at, name)
}

func (u *unpacking) note(b *bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	*b = true
}

func (u *unpacking) tell(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before := u.progress.Done / bufferSize
	u.progress.Done += int64(n)
	if u.o.Progress != nil && u.progress.Done/bufferSize > before {
		u.o.Progress(u.progress)
	}
}

func (u *unpacking) chown(at *place, name string) error {
	if u.o.Chown == nil {
		return nil
	}
	return u.o.Chown(filepath.Join(at.path, name))
}
