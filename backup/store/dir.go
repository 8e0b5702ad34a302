package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// abandoned is how long nobody must have written to a temporary file before it
// is taken for what a crash has left.
const abandoned = time.Hour

// Dir is a Store in a local directory, which it has for itself. Below it,
// objects/ has a file for each object, at the path that its key says, and tmp/
// has what is being written. All of it is for its owner alone.
type Dir struct {
	root    string
	objects string
	tmp     string
}

// MakeDir makes an empty store at path, which may be an empty directory already.
// It leaves a store that is there as it is.
func MakeDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make store: %w", err)
	}
	for _, name := range []string{"tmp", "objects"} {
		if err := os.Mkdir(filepath.Join(path, name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make store: %w", err)
		}
	}
	if err := errors.Join(syncFolder(path), syncFolder(filepath.Dir(path))); err != nil {
		return fmt.Errorf("make store: %w", err)
	}
	return nil
}

// OpenDir opens the store at path and removes what crashed writers have left in
// it. It makes nothing: a file system that is not mounted must not pass for a
// store without objects.
func OpenDir(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	d := &Dir{root: path, objects: filepath.Join(path, "objects"), tmp: filepath.Join(path, "tmp")}
	if err := d.here(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := d.sweep(); err != nil {
		return nil, fmt.Errorf("clean store %q: %w", path, err)
	}
	return d, nil
}

// here tells a store without objects from one that is not there.
func (d *Dir) here() error {
	if _, err := os.Stat(d.objects); err != nil {
		return fmt.Errorf("no store in directory %q: is it mounted? %w", d.root, err)
	}
	return nil
}

// sweep removes the temporary files that nobody has written to for long and
// nobody holds.
func (d *Dir) sweep() error {
	entries, err := os.ReadDir(d.tmp)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && time.Since(info.ModTime()) < abandoned {
			continue
		}
		if err == nil {
			err = removeUnheld(filepath.Join(d.tmp, e.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeUnheld removes a temporary file unless a living writer has it locked.
func removeUnheld(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// path is the file of an object.
func (d *Dir) path(key string) string {
	return filepath.Join(d.objects, filepath.FromSlash(key))
}

// Get reads from the file as it is when Get is called, whatever replaces it.
func (d *Dir) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, Info, error) {
	f, info, err := d.open(ctx, key)
	if err != nil {
		return nil, Info{}, fmt.Errorf("get object %q: %w", key, err)
	}
	begin, n, err := cut(info.Size, offset, length)
	if err != nil {
		f.Close()
		return nil, Info{}, fmt.Errorf("get object %q: %w", key, err)
	}
	return &dirReader{ctx, f, io.NewSectionReader(f, begin, n)}, info, nil
}

// cut says where a range of an object begins and how long it is.
func cut(size, offset, length int64) (begin, n int64, err error) {
	begin = offset
	if offset < 0 {
		begin = max(0, size+offset)
	} else if offset > 0 && offset >= size {
		return 0, 0, fmt.Errorf("%w range: it begins at %d, the object has %d bytes", ErrInvalid, offset, size)
	}
	n = size - begin
	if length >= 0 {
		n = min(n, length)
	}
	return begin, n, nil
}

type dirReader struct {
	ctx  context.Context
	file *os.File
	data *io.SectionReader
}

func (r *dirReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.data.Read(p)
}

func (r *dirReader) Close() error {
	forget(r.file)
	return r.file.Close()
}

// Stat describes the object.
func (d *Dir) Stat(ctx context.Context, key string) (Info, error) {
	f, info, err := d.open(ctx, key)
	if err != nil {
		return Info{}, fmt.Errorf("stat object %q: %w", key, err)
	}
	f.Close()
	return info, nil
}

// open opens the file of an object and reads what its end says.
func (d *Dir) open(ctx context.Context, key string) (*os.File, Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, Info{}, err
	}
	if err := CheckKey(key); err != nil {
		return nil, Info{}, err
	}
	f, err := os.OpenFile(d.path(key), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		if err := d.here(); err != nil {
			return nil, Info{}, err
		}
		return nil, Info{}, ErrNotFound
	}
	if err != nil {
		return nil, Info{}, err
	}
	info, err := readTail(f)
	if err != nil {
		f.Close()
		return nil, Info{}, err
	}
	info.Key = key
	return f, info, nil
}

// Delete removes the object, and the folders that are empty without it.
func (d *Dir) Delete(ctx context.Context, key string) error {
	err := ctx.Err()
	if err == nil {
		err = CheckKey(key)
	}
	if err == nil {
		err = d.remove(d.path(key))
	}
	if err != nil {
		return fmt.Errorf("delete object %q: %w", key, err)
	}
	return nil
}

func (d *Dir) remove(path string) error {
	switch err := unix.Unlink(path); {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return d.here()
	case err != nil:
		return err
	}
	folder := filepath.Dir(path)
	for folder != d.objects && unix.Rmdir(folder) == nil {
		folder = filepath.Dir(folder)
	}
	// One that is gone by now is somebody else's to make durable.
	if err := syncFolder(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder makes durable which names a folder has.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
