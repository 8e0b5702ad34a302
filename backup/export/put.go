package export

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"howdah/backup/store"
)

// Place is where exports are kept.
type Place struct {
	Name   string // of the store, "" for the usual one
	Store  store.Store
	Sealer *store.Sealer
}

// SumsFile is the last file of every export: the SHA-256 of the others, as sha256sum
// writes and checks them.
const SumsFile = "SHA256SUMS"

// ErrAbandoned is of an export that somebody has given up meanwhile.
var ErrAbandoned = errors.New("the export was given up meanwhile")

// ErrNoPlace is of exports that go to a store which the configuration does not have.
var ErrNoPlace = errors.New("there is no such [[store]]")

// Put stores the files of a folder, in the order given, as the export that m describes
// but for what it holds, and returns what is stored then. Whoever comes second with the
// same id leaves nothing, and gets what the first has stored. progress, if not nil, is
// told how many bytes of the files are stored.
func (p *Place) Put(ctx context.Context, m Manifest, folder string, names []string, progress func(bytes int64)) (*Manifest, error) {
	return p.put(ctx, m, folder, names, progress, partSize)
}

func (p *Place) put(ctx context.Context, m Manifest, folder string, names []string, progress func(int64), size int64) (*Manifest, error) {
	if err := CheckID(m.ID); err != nil {
		return nil, err
	}
	m.Format, m.Attempt, m.Parts = format, random()+random(), nil
	m.Taken = m.Taken.UTC().Truncate(time.Microsecond)
	err := p.putParts(ctx, &m, folder, names, progress, size)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store export %q: %w", m.ID, err), p.forget(ctx, &m))
	}
	text, meta, err := m.encode()
	if err != nil {
		return nil, err
	}
	err = p.Store.PutIfAbsent(ctx, manifests+m.ID, text, meta)
	switch {
	case errors.Is(err, store.ErrExists):
		there, err := p.manifest(ctx, m.ID)
		if err == nil && there.Abandoned {
			err = fmt.Errorf("store export %q: %w", m.ID, ErrAbandoned)
		}
		return there, errors.Join(err, p.forget(ctx, &m))
	case err != nil: // it may be there, or not: nothing is deleted
		return nil, fmt.Errorf("store export %q: %w", m.ID, err)
	}
	return &m, p.deleteOthers(ctx, &m)
}

// forgetWithin bounds how long is spent on leaving nothing after an error, for which the
// context may be at its end.
const forgetWithin = 10 * time.Second

// forget deletes what was stored of an attempt. What that leaves, Sweep finds.
func (p *Place) forget(ctx context.Context, m *Manifest) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetWithin)
	defer cancel()
	return p.deleteData(ctx, m.ID+"/"+m.Attempt+"/")
}

func (p *Place) putParts(ctx context.Context, m *Manifest, folder string, names []string, progress func(int64), size int64) error {
	parts := &partsWriter{ctx: ctx, place: p, m: m, size: size}
	defer parts.abort()
	archive := tar.NewWriter(parts)
	var sums strings.Builder
	for _, name := range names {
		sum, err := m.add(ctx, archive, folder, name, progress)
		if err != nil {
			return fmt.Errorf("file %q: %w", name, err)
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
	}
	err := archive.WriteHeader(header(SumsFile, int64(sums.Len())))
	if err == nil {
		_, err = io.WriteString(archive, sums.String())
	}
	if err == nil {
		err = archive.Close()
	}
	if err != nil {
		return err
	}
	return parts.end()
}

func header(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600}
}

// add adds a file to the archive, and returns its sum.
func (m *Manifest) add(ctx context.Context, archive *tar.Writer, folder, name string, progress func(int64)) (sum string, err error) {
	if err := checkFile(name); err != nil {
		return "", err
	}
	f, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := archive.WriteHeader(header(name, info.Size())); err != nil {
		return "", err
	}
	hash := sha256.New()
	told := &counted{ctx: ctx, r: f, before: m.Size, progress: progress}
	n, err := io.Copy(io.MultiWriter(archive, hash), told)
	if err == nil && n != info.Size() {
		err = fmt.Errorf("it has changed while it was read: %w", io.ErrUnexpectedEOF)
	}
	m.Files++
	m.Size += n
	return hex.EncodeToString(hash.Sum(nil)), err
}

// checkFile says whether a file may have that name, which goes into a folder.
func checkFile(name string) error {
	if name == "" || name == SumsFile || name[0] == '.' || len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	}) {
		return fmt.Errorf("a file of an export is not called %.100q", name)
	}
	return nil
}

// counted tells how much of a file was read, until its context ends.
type counted struct {
	ctx      context.Context
	r        io.Reader
	before   int64
	progress func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	n, err := c.r.Read(p)
	c.before += int64(n)
	if c.progress != nil && n > 0 {
		c.progress(c.before)
	}
	return n, err
}
