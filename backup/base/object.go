package base

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// opened reads a sealed object that must be the one that a manifest means.
type opened struct {
	*store.SealedReader
	key  string
	want Sums
	size int64 // bytes that were read
}

// open opens an object.
func open(ctx context.Context, r *repository.Repository, key string, want Sums) (*opened, error) {
	unseal := r.Sealer.Open
	if want.SHA256 == "" {
		unseal = r.Sealer.OpenBare
	}
	body, _, err := unseal(ctx, r.Store, key)
	if errors.Is(err, store.ErrNoIdentity) {
		// It looks so too where it is damaged in the wrong place.
		if _, damage := store.Verify(ctx, r.Store, key); errors.Is(damage, store.ErrDamaged) {
			err = damage
		}
	}
	if err != nil {
		return nil, missing(key, err)
	}
	return &opened{SealedReader: body, key: key, want: want}, nil
}

// ServerManifest opens PostgreSQL's own manifest of a base backup, for a Since.
func ServerManifest(ctx context.Context, r *repository.Repository, m *Manifest) (io.ReadCloser, error) {
	o, err := open(ctx, r, backupManifestKey(r, m.ID), m.BackupManifest)
	if err != nil {
		return nil, fmt.Errorf("read PostgreSQL's manifest of base backup %q: %w", m.ID, err)
	}
	return o, nil
}

// missing has an object that is not there, and should be, be a damaged backup.
func missing(key string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: object %q is missing", store.ErrDamaged, key)
	}
	return err
}

// Read says io.EOF only behind what the manifest means.
func (o *opened) Read(p []byte) (int, error) {
	n, err := o.SealedReader.Read(p)
	o.size += int64(n)
	if o.size > o.want.Size || err == io.EOF && !o.want.are(o.Sums()) {
		return n, notThis(o.key)
	}
	return n, err
}

// are reports whether they are those that a sealed object has.
func (s *Sums) are(o store.Sums) bool {
	return s.Size == o.PlainSize && s.StoredSum == hex.EncodeToString(o.Stored[:]) &&
		(s.SHA256 == "" || s.SHA256 == hex.EncodeToString(o.Plain[:]))
}

func notThis(key string) error {
	return fmt.Errorf("%w: object %q is not the one of the manifest", store.ErrDamaged, key)
}

// eachEntry reads the entries of an object, one after the other. at is where the file is in
// the object; what of it is not read is skipped.
func (o *opened) eachEntry(do func(h *header, at int64, file io.Reader) error) error {
	raw := make([]byte, block)
	for {
		h, err := nextEntry(o, raw)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return o.blame(err)
		}
		at := o.size
		if err := do(h, at, &whole{o: o, left: h.size}); err != nil {
			return o.blame(err)
		}
		if _, err := io.CopyN(io.Discard, o, at+h.size+h.padding()-o.size); err != nil {
			return o.blame(err)
		}
	}
}

// blame has an object that ends too early, or has no entries, be a damaged one.
func (o *opened) blame(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errTar) {
		return fmt.Errorf("read object %q: %w: %w", o.key, store.ErrDamaged, err)
	}
	return err
}

// whole reads an entry's file, and says io.EOF behind its last byte only.
type whole struct {
	o    *opened
	left int64
}

func (w *whole) Read(p []byte) (int, error) {
	if w.left == 0 {
		return 0, io.EOF
	}
	n, err := w.o.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if err == io.EOF && w.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil // the padding's reader meets it again
	}
	return n, err
}
