package base

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// Verify reads all objects of a base backup again and checks that they are as they were
// stored: store.ErrDamaged says that they are not. With a key it opens them, and also
// compares every file with the list of files and with PostgreSQL's manifest. progress, if
// not nil, is told how far it is.
func Verify(ctx context.Context, r *repository.Repository, m *Manifest, withKey bool, progress func(Progress)) error {
	v := &verifying{ctx: ctx, repo: r, m: m, tell: progress}
	v.progress.Total = m.VerifySize(withKey)
	err := m.check(r, m.ID)
	switch {
	case err != nil:
	case withKey:
		err = v.files()
	default:
		err = v.stored()
	}
	if err != nil {
		return fmt.Errorf("verify base backup %q: %w", m.ID, err)
	}
	return nil
}

type verifying struct {
	ctx      context.Context
	repo     *repository.Repository
	m        *Manifest
	tell     func(Progress)
	progress Progress
}

func (v *verifying) done(n int64) {
	if v.progress.Done += n; v.tell != nil {
		v.tell(v.progress)
	}
}

// stored checks the objects' bytes: all of them, for there may be more that are damaged.
func (v *verifying) stored() error {
	var bad []error
	check := func(key string, want Sums) {
		if v.ctx.Err() == nil {
			bad = append(bad, v.storedObject(key, want))
		}
	}
	lists := v.m.lists(v.repo)
	for _, key := range slices.Sorted(maps.Keys(lists)) {
		check(key, lists[key])
	}
	for i := range v.m.Objects {
		o := &v.m.Objects[i]
		check(o.key(v.repo, v.m), o.Sums)
	}
	return errors.Join(append(bad, v.ctx.Err())...)
}

func (v *verifying) storedObject(key string, want Sums) error {
	sums, err := store.Verify(v.ctx, v.repo.Store, key)
	if err != nil {
		return missing(key, err)
	}
	if !want.are(sums) {
		return notThis(key)
	}
	v.done(want.Stored)
	return nil
}

// files checks the files, by the list of them, in the order of which they are, and by
// PostgreSQL's manifest.
func (v *verifying) files() error {
	list, err := open(v.ctx, v.repo, filesKey(v.repo, v.m.ID), v.m.Index)
	if err != nil {
		return err
	}
	defer list.Close()
	lines := bufio.NewReader(list)
	var files fileSet
	for i := range v.m.Objects {
		if err := v.object(&v.m.Objects[i], lines, &files); err != nil {
			return err
		}
	}
	if more, err := lines.ReadSlice('\n'); err != io.EOF || len(more) > 0 {
		if err != nil && err != io.EOF {
			return err
		}
		return fmt.Errorf("%w: object %q lists files that are not there", store.ErrDamaged, list.key)
	}
	v.done(v.m.Index.Size)
	if err := v.servers(files); err != nil {
		return err
	}
	return v.configuration()
}

// servers checks the files that there are against PostgreSQL's manifest.
func (v *verifying) servers(files fileSet) error {
	in, err := open(v.ctx, v.repo, backupManifestKey(v.repo, v.m.ID), v.m.BackupManifest)
	if err != nil {
		return err
	}
	defer in.Close()
	s := &serverManifest{}
	if _, err := io.Copy(s, in); err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	if s.files != files {
		return fmt.Errorf("%w: its %d files are not the %d of PostgreSQL's manifest", store.ErrDamaged, files.files, s.files.files)
	}
	v.done(v.m.BackupManifest.Size)
	return nil
}

// configuration checks the files of the configuration that is beside the data.
func (v *verifying) configuration() error {
	if v.m.Configuration == nil {
		return nil
	}
	if _, err := readConfiguration(v.ctx, v.repo, v.m); err != nil {
		return err
	}
	v.done(v.m.Configuration.Size)
	return nil
}

func (v *verifying) object(o *Object, lines *bufio.Reader, files *fileSet) error {
	in, err := open(v.ctx, v.repo, o.key(v.repo, v.m), o.Sums)
	if err != nil {
		return err
	}
	defer in.Close()
	buffer, sum, n := make([]byte, bufferSize), newFileSum(), 0
	err = in.eachEntry(func(h *header, at int64, file io.Reader) error {
		if groupOf(o.Tablespace, h.name).database != o.Database {
			return fmt.Errorf("%w: object %q has an entry %q, which is not of its database", store.ErrDamaged, in.key, h.name)
		}
		if h.folder {
			return nil
		}
		n++
		sum.Reset()
		if err := drain(sum, file, buffer, func(n int) { v.done(int64(n)) }); err != nil {
			return err
		}
		path := pathOf(o.Tablespace, h.name)
		files.add(path, h.size, sum.Sum(nil))
		want, err := indexLine(path, o.Number, at, h.size, sum.Sum(nil))
		if err != nil {
			return err
		}
		if line, err := lines.ReadSlice('\n'); !bytes.Equal(line, want) {
			if err != nil && err != io.EOF {
				return err
			}
			return fmt.Errorf("%w: file %q (CRC-32C %s) of object %q is not the one of the list of files", store.ErrDamaged, path, hex.EncodeToString(sum.Sum(nil)), in.key)
		}
		return nil
	})
	if err == nil && n != o.Files {
		err = fmt.Errorf("%w: object %q has %d files, and should have %d", store.ErrDamaged, in.key, n, o.Files)
	}
	return err
}
