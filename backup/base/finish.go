package base

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"howdah/backup/store"
)

// finish makes a data directory of what was unpacked.
func (u *unpacking) finish(ctx context.Context) error {
	if !u.control {
		return fmt.Errorf("%w: it has no %s", store.ErrDamaged, controlFile)
	}
	if !u.spaces && len(u.m.Tablespaces) > 0 {
		return fmt.Errorf("%w: it has tablespaces, and no %s", store.ErrDamaged, spacesFile)
	}
	spaces, err := u.link()
	if err == nil {
		err = u.writeManifest(ctx, spaces)
	}
	if err == nil {
		err = u.endFolders()
	}
	if err != nil {
		return err
	}
	for _, p := range u.places {
		if err := p.sync(); err != nil {
			return err
		}
	}
	data := u.places[0]
	if err := data.root.Rename(unfinished, controlFile); err != nil {
		return err
	}
	if err := syncFolder(filepath.Join(data.path, path.Dir(controlFile))); err != nil {
		return err
	}
	if u.o.Progress != nil {
		u.o.Progress(Progress{Done: u.progress.Total, Total: u.progress.Total})
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// link has the data directory refer to where the tablespaces are now, by the links that the
// server uses, and by the map from which recovery makes them. Where there are none the
// server has sent an empty map.
func (u *unpacking) link() (*serverFile, error) {
	if !u.spaces {
		return nil, nil
	}
	data := u.places[0]
	if err := u.folder(data, "pg_tblspc", 0); err != nil {
		return nil, err
	}
	for _, p := range u.places[1:] {
		if err := data.root.Symlink(p.path, fmt.Sprintf("pg_tblspc/%d", p.tablespace)); err != nil {
			return nil, err
		}
	}
	text := spacesMap(u.places[1:])
	err := u.write(spacesFile, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
	return spacesEntry(text), err
}

// spacesEscaper writes a path as the server does in a tablespace_map.
var spacesEscaper = strings.NewReplacer(`\`, `\\`, "\n", "\\\n", "\r", "\\\r")

// spacesMap is a tablespace_map of these places.
func spacesMap(places []*place) string {
	var text strings.Builder
	for _, p := range places {
		fmt.Fprintf(&text, "%d %s\n", p.tablespace, spacesEscaper.Replace(p.path))
	}
	return text.String()
}

// spacesEntry is how PostgreSQL's manifest has a tablespace_map.
func spacesEntry(text string) *serverFile {
	sum := newFileSum()
	io.WriteString(sum, text)
	return &serverFile{Path: spacesFile, Size: int64(len(text)), Algorithm: fileAlgorithm, Checksum: hex.EncodeToString(sum.Sum(nil))}
}

// write makes a file of our own in the data directory.
func (u *unpacking) write(name string, text func(io.Writer) error) error {
	data := u.places[0]
	f, err := data.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	err = text(w)
	if err == nil {
		err = w.Flush()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return u.chown(data, name)
}

// endFolders gives the folders their modes and their owner, which was not to get at what is
// in them before all was there.
func (u *unpacking) endFolders() error {
	all := make([]folder, 0, len(u.folders))
	for f := range u.folders {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b folder) int {
		return cmp.Or(strings.Count(b.name, "/")-strings.Count(a.name, "/"), cmp.Compare(a.name, b.name))
	})
	own := u.folders[folder{u.places[0], path.Dir(controlFile)}]
	for _, f := range all {
		if err := u.endFolder(f, cmp.Or(u.folders[f], defaultFolder)); err != nil {
			return err
		}
	}
	for _, p := range slices.Backward(u.places) {
		if err := u.endFolder(folder{p, "."}, cmp.Or(own, defaultFolder)); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacking) endFolder(f folder, mode uint32) error {
	if err := f.at.root.Chmod(f.name, fs.FileMode(mode&0o750)); err != nil {
		return err
	}
	return u.chown(f.at, f.name)
}

// writeManifest checks what was unpacked against PostgreSQL's manifest, and writes one of
// that: without the databases that were left out, and with the tablespace_map that there is
// now. So pg_verifybackup finds all right.
func (u *unpacking) writeManifest(ctx context.Context, spaces *serverFile) error {
	in, err := open(ctx, u.repo, backupManifestKey(u.repo, u.m.ID), u.m.BackupManifest)
	if err != nil {
		return err
	}
	defer in.Close()
	return u.write(manifestFile, func(w io.Writer) error {
		return u.copyManifest(w, in, spaces)
	})
}

func (u *unpacking) copyManifest(w io.Writer, in io.Reader, spaces *serverFile) error {
	out := &manifestWriter{w: w, sum: sha256.New(), spaces: spaces, wants: func(path string) bool { return u.wants(databaseOf(path)) }}
	s := &serverManifest{line: out.line}
	if _, err := io.Copy(s, in); err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	if out.files != u.files {
		return fmt.Errorf("%w: the %d files that were unpacked are not the %d of PostgreSQL's manifest", store.ErrDamaged, u.files.files, out.files.files)
	}
	return out.end()
}

var inTablespace = regexp.MustCompile(`^pg_tblspc/([1-9][0-9]*)/`)

// databaseOf returns the database of a file by its path in the data directory.
func databaseOf(path string) uint32 {
	if parts := inTablespace.FindStringSubmatch(path); parts != nil {
		if oid, err := strconv.ParseUint(parts[1], 10, 32); err == nil {
			return groupOf(uint32(oid), path[len(parts[0]):]).database
		}
	}
	return groupOf(0, path).database
}

// manifestWriter writes a manifest of PostgreSQL's with the files that are wanted.
type manifestWriter struct {
	w      io.Writer
	sum    hash.Hash // of all that is written
	wants  func(path string) bool
	spaces *serverFile // in the place of the tablespace_map that it has

	files   fileSet // those that are wanted, as they were
	written bool    // a file's line, of which the end is to come
}

func (m *manifestWriter) line(text []byte, f *serverFile) error {
	if f == nil {
		return m.next("\n", text)
	}
	if !m.wants(f.Path) {
		return nil
	}
	sum, err := hex.DecodeString(f.Checksum)
	if err != nil {
		return err
	}
	m.files.add(f.Path, f.Size, sum)
	text = withoutComma(text)
	if f.Path == spacesFile && m.spaces != nil {
		if text, err = m.spaces.like(f); err != nil {
			return err
		}
	}
	err = m.next(",\n", text)
	m.written = true
	return err
}

// next writes a line, behind the end of the one before it, if that is a file's.
func (m *manifestWriter) next(end string, text []byte) error {
	if m.written {
		text = append([]byte(end), text...)
	}
	m.written = false
	m.sum.Write(text)
	_, err := m.w.Write(text)
	return err
}

// like returns the line of a file as that of another.
func (f *serverFile) like(other *serverFile) ([]byte, error) {
	path, err := json.Marshal(f.Path)
	return fmt.Appendf(nil, `{ "Path": %s, "Size": %d, "Last-Modified": %q, "Checksum-Algorithm": %q, "Checksum": %q }`,
		path, f.Size, other.LastModified, f.Algorithm, f.Checksum), err
}

func (m *manifestWriter) end() error {
	_, err := fmt.Fprintf(m.w, "%s%x\"}\n", sumLine, m.sum.Sum(nil))
	return err
}
