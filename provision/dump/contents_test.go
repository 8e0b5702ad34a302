package dump_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"howdah/provision/dump"
)

// A dump that has pg_restore read files which are not its own is not restored.
func TestDumpOfOthersFiles(t *testing.T) {
	h := newHouse(t)
	secret := filepath.Join(h.root, "k")
	for _, file := range []string{"toc.dat", "blobs.toc"} {
		s := h.scratch()
		h.dump(s)
		if err := os.WriteFile(secret, []byte("1\tsecret\t1\n\\.\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(s.Data(), file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// A name of the same length leads out of the folder: 3345.dat, blob_16500.dat.
		files, err := dump.Files(s)
		if err != nil {
			t.Fatal(err)
		}
		changed := text
		for _, name := range files {
			if len(name) < 8 || name == "toc.dat" || name == "blobs.toc" {
				continue
			}
			other := strings.Repeat("./", (len(name)-7)/2) + "../../k"
			changed = bytes.ReplaceAll(changed, []byte(name), []byte(other+strings.Repeat("x", len(name)-len(other))))
		}
		if bytes.Equal(text, changed) {
			t.Fatalf("%s names no file", file)
		}
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		err = dump.Restore(t.Context(), h.in(), s)
		if !errors.Is(err, dump.ErrContents) || !strings.Contains(err.Error(), "none of its own") {
			t.Errorf("%s: restored: %v", file, err)
		}
		h.as("copy", "drop owned by copy")
	}
}

// A dump that somebody else has made, in either format, is known for what it is, and
// restored.
func TestForeignDumps(t *testing.T) {
	h := newHouse(t)
	for _, format := range []string{"custom", "directory"} {
		path := filepath.Join(t.TempDir(), "theirs")
		out, err := exec.CommandContext(t.Context(), h.tools.Path("pg_dump"), "--format="+format, "--file="+path, h.server.AdminURL("acme")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		d, err := dump.LookAt(path)
		if err != nil {
			t.Fatal(err)
		}
		if d.Custom != (format == "custom") || d.Major != h.tools.Major || d.Encoding != "UTF8" || !slices.Equal(d.Extensions, []string{"pg_trgm", "unaccent"}) || d.Size == 0 {
			t.Errorf("%s: %+v", format, d)
		}
		s := h.scratch()
		if err := os.Mkdir(s.Data(), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range d.Files {
			to := name
			if d.Custom {
				to = dump.CustomFile
			}
			if err := os.Link(filepath.Join(d.Folder, name), filepath.Join(s.Data(), to)); err != nil {
				t.Fatal(err)
			}
		}
		if err := dump.Restore(t.Context(), h.in(), s); err != nil {
			t.Fatal(err)
		}
		const sum = "select md5(string_agg(id || name || md5(lo_get(photo)), ',' order by id)) from partner"
		if h.text("acme", sum) != h.text("copy", sum) {
			t.Errorf("%s: the rows differ", format)
		}
		h.as("copy", "select lo_unlink(oid) from pg_largeobject_metadata; drop owned by copy")
	}
	for _, path := range []string{"nowhere", "contents.go"} {
		if _, err := dump.LookAt(path); err == nil {
			t.Errorf("%s is a dump", path)
		}
	}
	folder := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "1.dat")); err != nil {
		t.Fatal(err)
	}
	if _, err := dump.LookAt(folder); err == nil || !strings.Contains(err.Error(), "no file") {
		t.Errorf("a link is followed: %v", err)
	}
}

// A table of contents that breaks off anywhere is refused.
func TestTornContents(t *testing.T) {
	h := newHouse(t)
	s := h.scratch()
	h.dump(s)
	path := filepath.Join(s.Data(), "toc.dat")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		if err := os.WriteFile(path, whole[:n*len(whole)/20], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := dump.Restore(t.Context(), h.in(), s); !errors.Is(err, dump.ErrContents) {
			t.Errorf("with %d of 20 parts: %v", n, err)
		}
	}
}
