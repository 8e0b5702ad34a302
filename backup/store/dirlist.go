package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// List yields the objects whose keys begin with prefix. It holds the names of
// one folder, and of those above it, at a time.
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		err := CheckPrefix(prefix)
		if err == nil {
			err = d.here()
		}
		if err == nil {
			folder := prefix[:strings.LastIndexByte(prefix, '/')+1]
			err = d.walk(ctx, folder, prefix, yield)
		}
		if err != nil && err != errStopped {
			yield(Info{}, fmt.Errorf("list objects %q: %w", prefix, err))
		}
	}
}

// errStopped ends a walk whose reader has seen enough.
var errStopped = errors.New("stopped")

// walk yields what is in a folder, which is empty or ends in a slash.
func (d *Dir) walk(ctx context.Context, folder, prefix string, yield func(Info, error) bool) error {
	names, err := d.names(folder, prefix)
	if err != nil {
		return err
	}
	for _, name := range names {
		key := folder + name
		if strings.HasSuffix(name, "/") {
			if err := d.walk(ctx, key, prefix, yield); err != nil {
				return err
			}
			continue
		}
		f, info, err := d.open(ctx, key)
		switch {
		case errors.Is(err, ErrDamaged):
			info = Info{Key: key, Size: -1}
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrInvalid):
			continue // deleted since, or no name of ours
		case err != nil:
			return err
		default:
			f.Close()
			info.Meta = nil
		}
		if !yield(info, nil) {
			return errStopped
		}
	}
	return ctx.Err()
}

// names returns what a folder holds that keys with the prefix may lie in. Names
// of folders end in a slash, by which they are ordered as their keys are: a-b
// comes before a/b.
func (d *Dir) names(folder, prefix string) ([]string, error) {
	f, err := os.Open(filepath.Join(d.objects, filepath.FromSlash(folder)))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		if key := folder + name; strings.HasPrefix(key, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
