package base

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// sealed stores an object, and returns its sums.
func sealed(t *testing.T, r *repository.Repository, key string, text []byte) Sums {
	t.Helper()
	sums, err := r.Sealer.Put(t.Context(), r.Store, key, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Sums{Size: sums.PlainSize, SHA256: hex.EncodeToString(sums.Plain[:]), StoredSum: hex.EncodeToString(sums.Stored[:])}
}

// backupOf stores a base backup of one object with the entries, and of a manifest of
// PostgreSQL's that has their files.
func backupOf(t *testing.T, r *repository.Repository, entries ...tar.Header) *Manifest {
	t.Helper()
	m := &Manifest{Format: format, ID: "20260131T120000Z.abcdef", Cluster: r.Cluster, Major: 15, Start: Position{1, 1}, Stop: Position{2, 1}, Objects: []Object{{}}}
	archive := archiveOf(t, entries...)
	m.Objects[0].Sums = sealed(t, r, m.Objects[0].key(r, m), archive[:len(archive)-2*block])
	m.BackupManifest = sealed(t, r, backupManifestKey(r, m.ID), serverManifestOf(entries...))
	return m
}

// serverManifestOf returns a manifest as PostgreSQL writes them, of the entries that are
// files.
func serverManifestOf(entries ...tar.Header) []byte {
	var files []string
	for _, e := range entries {
		if e.Typeflag == tar.TypeDir {
			continue
		}
		sum := newFileSum()
		io.WriteString(sum, strings.Repeat("x", int(e.Size)))
		files = append(files, fmt.Sprintf(`{ "Path": %q, "Size": %d, "Last-Modified": "2026-01-31 12:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "%x" }`, e.Name, e.Size, sum.Sum(nil)))
	}
	lines := "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n" + strings.Join(files, ",\n") +
		"\n],\n\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/1\", \"End-LSN\": \"0/2\" }\n],\n"
	return fmt.Appendf(nil, "%s\"Manifest-Checksum\": \"%x\"}\n", lines, sha256.Sum256([]byte(lines)))
}

// received is a base backup that is taken of these entries, in small objects, without a
// server.
func received(t *testing.T, r *repository.Repository, entries ...tar.Header) *Manifest {
	t.Helper()
	m := &Manifest{Format: format, ID: "20260131T120000Z.abcdef", Cluster: r.Cluster, Major: 15, Start: Position{1, 1}, Stop: Position{2, 1}}
	taking := &taking{uploads: newUploads(t.Context(), r), m: m, sum: newFileSum(), o: Options{objectSize: 4 << 10}}
	defer taking.abort()
	taking.index = taking.begin(filesKey(r, m.ID), &m.Index, nil)
	for _, p := range []replication.Part{
		{Kind: replication.PartArchive, Archive: "base.tar"},
		{Kind: replication.PartData, Data: archiveOf(t, entries...)},
		{Kind: replication.PartManifest},
		{Kind: replication.PartData, Data: serverManifestOf(entries...)},
	} {
		if err := taking.part(&p); err != nil {
			t.Fatal(err)
		}
	}
	if err := taking.end(); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestUnpackStaysInside has archives that somebody else has made name files outside of the
// folder, in ways of all kinds.
func TestUnpackStaysInside(t *testing.T) {
	control := tar.Header{Typeflag: tar.TypeReg, Name: controlFile, Size: 1, Mode: 0o600}
	file := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 1, Mode: 0o600}
	}
	for name, x := range map[string]struct {
		entries []tar.Header
		want    string // "" is that it is unpacked
	}{
		"a database's in nobody's object": {[]tar.Header{file("base/1/PG_VERSION"), control}, "is not of its database"},
		"no database's":                   {[]tar.Header{file("PG_VERSION"), control}, ""},
		"above":                           {[]tar.Header{file("../outside"), control}, "an entry is called"},
		"above in the middle":             {[]tar.Header{file("global/../../outside"), control}, "an entry is called"},
		"absolute":                        {[]tar.Header{file("/tmp/outside"), control}, "an entry is called"},
		"by a symbolic link":              {[]tar.Header{{Typeflag: tar.TypeSymlink, Name: "link", Linkname: ".."}, control}, "of the kind"},
		"by a hard link":                  {[]tar.Header{{Typeflag: tar.TypeLink, Name: "link", Linkname: "/etc/passwd"}, control}, "of the kind"},
		"a file twice":                    {[]tar.Header{file("PG_VERSION"), file("PG_VERSION"), control}, "twice"},
		"our own name":                    {[]tar.Header{file(unfinished), control}, "twice"},
		"a file where a folder is":        {[]tar.Header{file("global"), control}, "global"},
		"no pg_control":                   {[]tar.Header{file("PG_VERSION")}, "has no global/pg_control"},
		"a map of what is not here":       {[]tar.Header{file(spacesFile), control}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRepository(t)
			m := backupOf(t, r, x.entries...)
			place := t.TempDir()
			dir := filepath.Join(place, "data")
			err := Unpack(t.Context(), r, m, dir, UnpackOptions{})
			if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
				t.Errorf("it says %v, and not %q", err, x.want)
			}
			if _, err := os.Lstat(dir); (err == nil) != (x.want == "") {
				t.Errorf("the folder is there: %v", err)
			}
			if text, err := os.ReadFile(filepath.Join(dir, spacesFile)); len(text) > 0 {
				t.Errorf("there is a %s: %q, %v", spacesFile, text, err)
			}
			if _, err := os.Lstat(filepath.Join(place, "outside")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("outside: %v", err)
			}
		})
	}
}

// TestUnpackGivesBackTheFolder has an empty folder that was there stay when there is
// trouble late.
func TestUnpackGivesBackTheFolder(t *testing.T) {
	r, _ := newRepository(t)
	m := backupOf(t, r, tar.Header{Typeflag: tar.TypeReg, Name: "PG_VERSION", Size: 1, Mode: 0o600}, tar.Header{Typeflag: tar.TypeReg, Name: controlFile, Size: 1, Mode: 0o640})
	dir := t.TempDir()
	errOwner := errors.New("no such owner")
	if err := Unpack(t.Context(), r, m, dir, UnpackOptions{Chown: func(path string) error {
		if path == dir {
			return errOwner
		}
		return nil
	}}); !errors.Is(err, errOwner) {
		t.Errorf("it says %v", err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("left is %v, %v", names, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Unpack(ctx, r, m, dir, UnpackOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it says %v", err)
	}
	told := 0
	if err := Unpack(t.Context(), r, m, dir, UnpackOptions{Chown: func(string) error {
		told++
		if _, err := os.Lstat(filepath.Join(dir, controlFile)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there before all is: %v", controlFile, err)
		}
		return nil
	}}); err != nil || told != 5 {
		t.Errorf("in the end: %d files and folders, %v", told, err)
	}
	if info, err := os.Stat(filepath.Join(dir, controlFile)); err != nil || info.Mode() != 0o640 {
		t.Errorf("%s is %v, %v", controlFile, info, err)
	}
}

// TestPostgresManifestMustAgree has PostgreSQL's manifest be of other files.
func TestPostgresManifestMustAgree(t *testing.T) {
	r, _ := newRepository(t)
	control := tar.Header{Typeflag: tar.TypeReg, Name: controlFile, Size: 1, Mode: 0o600}
	m := backupOf(t, r, tar.Header{Typeflag: tar.TypeReg, Name: "PG_VERSION", Size: 1, Mode: 0o600}, control)
	theirs := m.BackupManifest
	text := func() []byte { // it is sealed under the same key by what comes next
		in, err := open(t.Context(), r, backupManifestKey(r, m.ID), theirs)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		b := make([]byte, theirs.Size)
		if _, err := in.Read(b); err != nil {
			t.Fatal(err)
		}
		return b
	}()
	m = backupOf(t, r, control)
	m.BackupManifest = sealed(t, r, backupManifestKey(r, m.ID), text)
	if err := Unpack(t.Context(), r, m, filepath.Join(t.TempDir(), "data"), UnpackOptions{}); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "the 1 files that were unpacked are not the 2") {
		t.Errorf("it says %v", err)
	}
}

// FuzzServerManifest has no manifest of PostgreSQL's be read that its own sum is not of.
func FuzzServerManifest(f *testing.F) {
	lines := "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n" + `{ "Encoded-Path": "6162", "Size": 1, "Checksum-Algorithm": "CRC32C", "Checksum": "00" }` + "\n],\n"
	f.Add([]byte(lines+fmt.Sprintf("\"Manifest-Checksum\": \"%x\"}\n", sha256.Sum256([]byte(lines)))), 5)
	f.Add([]byte("x\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		n := 0
		s := &serverManifest{line: func(line []byte, _ *serverFile) error { n += len(line); return nil }}
		piece = 1 + piece&0xff
		for p := text; len(p) > 0; p = p[min(piece, len(p)):] {
			if _, err := s.Write(p[:min(piece, len(p))]); err != nil {
				return
			}
		}
		if s.close() == nil && (n >= len(text) || !strings.Contains(string(text[n:]), fmt.Sprintf("%x", sha256.Sum256(text[:n])))) {
			t.Error("it is read, and its sum is another")
		}
	})
}

// nowhere is a store that forgets.
type nowhere struct{ store.Store }

func (nowhere) Create(context.Context, string, map[string]string) (store.Writer, error) {
	return forgetful{}, nil
}

func (nowhere) Stat(context.Context, string) (store.Info, error) { return store.Info{}, nil }

type forgetful struct{}

func (forgetful) Write(p []byte) (int, error) { return len(p), nil }
func (forgetful) Close() error                { return nil }
func (forgetful) Abort()                      {}

// TestMemoryIsBounded has a large database come, faster than it can be sealed.
func TestMemoryIsBounded(t *testing.T) {
	r, _ := newRepository(t)
	r.Store = nowhere{}
	var most uint64
	taking := &taking{uploads: newUploads(t.Context(), r), m: &Manifest{ID: "x"}, sum: newFileSum(), o: Options{objectSize: 64 << 20, Progress: func(p Progress) {
		if p.Done>>20%16 == 0 {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse)
		}
	}}}
	defer taking.abort()
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	taking.index = taking.begin("index", &taking.m.Index, nil)
	if err := taking.part(&replication.Part{Kind: replication.PartArchive, Archive: "base.tar"}); err != nil {
		t.Fatal(err)
	}
	const files, size = 2000, 256 << 10
	for n := range files {
		entry := archiveOf(t, tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("base/%d/%d", 1+n/100, n), Size: size})
		if err := taking.part(&replication.Part{Kind: replication.PartData, Data: entry[:len(entry)-2*block]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(taking.endArchive(), taking.index.end(), taking.wait()); err != nil {
		t.Fatal(err)
	}
	if len(taking.objects) != 20 || taking.m.Files != files {
		t.Errorf("there are %d objects with %d files", len(taking.objects), taking.m.Files)
	}
	if most == 0 || most > before.HeapInuse+100<<20 {
		t.Errorf("%d MiB are in use", most>>20)
	}
}
