package dump_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
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
