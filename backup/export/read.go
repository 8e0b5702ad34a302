package export

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"howdah/backup/store"
)

// checkedPart reads the piece of the archive that is in one object.
type checkedPart struct {
	io.ReadCloser
	key  string
	want Part
	sum  hash.Hash
}

func openPart(ctx context.Context, p *Place, m *Manifest, n int) (*checkedPart, error) {
	key := m.key(n)
	r, _, err := p.Sealer.Open(ctx, p.Store, key)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%w: object %q is missing", store.ErrDamaged, key)
	}
	if err != nil {
		return nil, err
	}
	return &checkedPart{ReadCloser: r, key: key, want: m.Parts[n], sum: sha256.New()}, nil
}

// Read says io.EOF only behind the piece that the manifest means.
func (c *checkedPart) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.sum.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(c.sum.Sum(nil)) != c.want.SHA256 {
		err = fmt.Errorf("%w: object %q is not the one of the manifest", store.ErrDamaged, c.key)
	}
	return n, err
}

// CanOpen is an error if the export cannot be opened here: store.ErrNoIdentity says that
// the private key is missing.
func (p *Place) CanOpen(ctx context.Context, m *Manifest) error {
	if len(m.Parts) == 0 {
		return fmt.Errorf("export %q has no parts: %w", m.ID, store.ErrDamaged)
	}
	part, err := openPart(ctx, p, m, 0)
	if err != nil {
		return fmt.Errorf("open export %q: %w", m.ID, err)
	}
	return part.Close()
}

// Verify reads all parts of an export again and checks that they are as they were
// stored, for which it needs no key: store.ErrDamaged says that they are not.
func (p *Place) Verify(ctx context.Context, id string, progress func(bytes int64)) (*Manifest, error) {
	m, err := p.Manifest(ctx, id)
	if err != nil {
		return nil, err
	}
	var done int64
	for n, want := range m.Parts {
		key := m.key(n)
		sums, err := store.Verify(ctx, p.Store, key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			err = fmt.Errorf("%w: object %q is missing", store.ErrDamaged, key)
		case err == nil && hex.EncodeToString(sums.Stored[:]) != want.StoredSum:
			err = fmt.Errorf("%w: object %q is not the one of the manifest", store.ErrDamaged, key)
		}
		if err != nil {
			return nil, fmt.Errorf("verify export %q: %w", id, err)
		}
		if done += want.Stored; progress != nil {
			progress(done)
		}
	}
	return m, nil
}

// Fetch unpacks an export into a folder, which must be empty. After an error what is
// there is good for nothing. progress, if not nil, is told how many bytes are there.
func (p *Place) Fetch(ctx context.Context, m *Manifest, folder string, progress func(bytes int64)) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("fetch export %q: %w", m.ID, err)
	}
	defer root.Close()
	parts := &partsReader{ctx: ctx, place: p, m: m}
	defer parts.Close()
	u := unpacking{ctx: ctx, m: m, root: root, progress: progress}
	err = u.all(tar.NewReader(parts))
	if err == nil {
		_, err = io.Copy(io.Discard, parts) // what comes behind the archive's end: the last part's sum is checked
	}
	if err == nil && (u.files != m.Files || u.size != m.Size) {
		err = fmt.Errorf("%w: it has %d files of %d bytes, and should have %d of %d", store.ErrDamaged, u.files, u.size, m.Files, m.Size)
	}
	if err != nil {
		return fmt.Errorf("fetch export %q: %w", m.ID, err)
	}
	return nil
}

// VerifyFiles opens an export, for which it needs a key, and checks that it has the files
// that it should, each with the sum that it had.
func (p *Place) VerifyFiles(ctx context.Context, m *Manifest, progress func(bytes int64)) error {
	parts := &partsReader{ctx: ctx, place: p, m: m}
	defer parts.Close()
	err := m.verifyFiles(ctx, tar.NewReader(parts), progress)
	if err == nil {
		_, err = io.Copy(io.Discard, parts) // as Fetch does
	}
	if err != nil {
		return fmt.Errorf("verify export %q: %w", m.ID, err)
	}
	return nil
}

func (m *Manifest) verifyFiles(ctx context.Context, archive *tar.Reader, progress func(int64)) error {
	files, size, sums := 0, int64(0), strings.Builder{}
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return fmt.Errorf("%w: it has no %s", store.ErrDamaged, SumsFile)
		}
		if err != nil {
			return blame(err)
		}
		if h.Name == SumsFile {
			break
		}
		sum := sha256.New()
		n, err := io.Copy(sum, &counted{ctx: ctx, r: archive, before: size, progress: progress})
		if err != nil {
			return blame(err)
		}
		files, size = files+1, size+n
		fmt.Fprintf(&sums, "%x  %s\n", sum.Sum(nil), h.Name)
	}
	want, err := io.ReadAll(io.LimitReader(archive, int64(sums.Len())+1))
	switch {
	case err != nil:
		return blame(err)
	case string(want) != sums.String():
		return fmt.Errorf("%w: its files are not those of %s", store.ErrDamaged, SumsFile)
	case files != m.Files || size != m.Size:
		return fmt.Errorf("%w: it has %d files of %d bytes, and should have %d of %d", store.ErrDamaged, files, size, m.Files, m.Size)
	}
	return nil
}

// unpacking writes the files of an archive.
type unpacking struct {
	ctx      context.Context
	m        *Manifest
	root     *os.Root
	progress func(int64)

	files int
	size  int64
}

func (u *unpacking) all(archive *tar.Reader) error {
	for ended := false; ; {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return blame(err)
		}
		sums := h.Name == SumsFile
		if err := checkFile(h.Name); h.Typeflag != tar.TypeReg || ended || err != nil && !sums {
			return fmt.Errorf("%w: it has an entry %.100q, which no export has there", store.ErrDamaged, h.Name)
		}
		if ended = sums; !sums {
			u.files++
			if u.size+h.Size > u.m.Size { // what is on the disk must not be more than was said
				return fmt.Errorf("%w: its files are larger than the manifest says", store.ErrDamaged)
			}
		}
		if err := u.file(archive, h.Name, sums); err != nil {
			return err
		}
	}
}

func (u *unpacking) file(from io.Reader, name string, sums bool) error {
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	progress := u.progress
	if sums {
		progress = nil
	}
	told := &counted{ctx: u.ctx, r: from, before: u.size, progress: progress}
	n, err := io.Copy(f, told)
	if !sums {
		u.size += n
	}
	return errors.Join(blame(err), f.Close())
}

// blame has an archive that breaks off, or is none, be a damaged export.
func blame(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return err
}
