package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Put stores data under key, in place of what was there.
func (d *Dir) Put(ctx context.Context, key string, data []byte, meta map[string]string) error {
	return d.put(ctx, key, data, meta, os.Rename)
}

// PutIfAbsent stores data under key unless there is an object.
func (d *Dir) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	return d.put(ctx, key, data, meta, linkOnly)
}

// linkOnly gives the file its name where that is free. Unlike a check followed
// by a rename, this is one step for all processes.
func linkOnly(tmp, path string) error {
	if err := os.Link(tmp, path); err != nil {
		return err
	}
	os.Remove(tmp) // where that fails, OpenDir will do it: the object is there
	return nil
}

func (d *Dir) put(ctx context.Context, key string, data []byte, meta map[string]string, name func(tmp, path string) error) error {
	w, err := d.create(ctx, key, meta)
	if err != nil {
		return err
	}
	defer w.Abort()
	w.name = name
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}

// Create begins an object in a temporary file.
func (d *Dir) Create(ctx context.Context, key string, meta map[string]string) (Writer, error) {
	w, err := d.create(ctx, key, meta)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (d *Dir) create(ctx context.Context, key string, meta map[string]string) (*dirWriter, error) {
	err := ctx.Err()
	if err == nil {
		err = errors.Join(CheckKey(key), CheckMeta(meta))
	}
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(filepath.Join(d.tmp, rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("put object %q: %w", key, d.plain(err))
	}
	// On a file system without locks nothing counts as abandoned.
	unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	return &dirWriter{dir: d, ctx: ctx, key: key, meta: maps.Clone(meta), name: os.Rename, file: f}, nil
}

// dirWriter writes the temporary file of an object. The lock on it tells OpenDir
// that it is not abandoned. Its random name is the object's version.
type dirWriter struct {
	dir  *Dir
	ctx  context.Context
	key  string
	meta map[string]string
	name func(tmp, path string) error

	file *os.File // nil = closed or aborted
	size int64
	err  error // why it is over, if that is an error
}

func (w *dirWriter) Write(p []byte) (int, error) {
	if w.file == nil {
		return 0, w.over()
	}
	if err := w.ctx.Err(); err != nil {
		return 0, w.fail(err)
	}
	n, err := w.file.Write(p)
	w.size += int64(n)
	if err != nil {
		return n, w.fail(err)
	}
	return n, nil
}

func (w *dirWriter) Close() error {
	if w.file == nil {
		return w.over()
	}
	_, err := w.file.Write(tailOf(dirTail{w.size, filepath.Base(w.file.Name()), w.meta}))
	if err == nil {
		err = w.file.Sync()
	}
	if err == nil {
		err = w.ctx.Err()
	}
	if err == nil {
		err = w.dir.publish(w.file.Name(), w.key, w.name)
	}
	if err != nil {
		return w.fail(err)
	}
	forget(w.file)
	w.file.Close() // it is durable by now
	w.file, w.err = nil, fs.ErrClosed
	return nil
}

// forget lets go of what the system has of a file in memory: nobody reads it soon, and the
// memory is PostgreSQL's where the store is on its machine. That it may do so is all.
func forget(f *os.File) { unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }

func (w *dirWriter) Abort() {
	if w.file != nil {
		w.fail(errors.New("aborted"))
	}
}

func (w *dirWriter) over() error {
	return fmt.Errorf("put object %q: %w", w.key, w.err)
}

// fail ends the writing and frees the space that it took.
func (w *dirWriter) fail(err error) error {
	os.Remove(w.file.Name()) // what cannot be removed now, OpenDir will
	w.file.Close()
	w.file = nil
	w.err = w.dir.plain(err)
	return w.over()
}

// plain says in words what an operator can mend.
func (d *Dir) plain(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the file system of store %q is full: %w", d.root, err)
	case errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("the disk quota in store %q is used up: %w", d.root, err)
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%w key: it is the folder of another, or another is its folder", ErrInvalid)
	}
	return err
}

// publish gives a finished file its name, durably.
func (d *Dir) publish(tmp, key string, name func(tmp, path string) error) error {
	path := d.path(key)
	folder := filepath.Dir(path)
	var err error
	for range 100 {
		switch err = os.MkdirAll(folder, 0o700); {
		case err == nil:
			err = name(tmp, path)
		case errors.Is(err, fs.ErrExist): // it went between two looks at it; no object is there for that
			err = fs.ErrNotExist
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		// A Delete has just found the folder empty, and removed it.
	}
	if errors.Is(err, fs.ErrExist) {
		if stat, err := os.Lstat(path); err == nil && stat.IsDir() {
			return syscall.EISDIR
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Also where the object is another's: it may have crashed before this.
	for ; ; folder = filepath.Dir(folder) {
		if err := syncFolder(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if folder == d.objects {
			return err
		}
	}
}
