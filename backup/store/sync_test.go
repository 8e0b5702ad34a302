package store_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"howdah/backup/store"
)

// TestDirSyncsBeforeItAnswers has strace tell in which order a child process
// syncs files, names them, and syncs the folders that have the names.
func TestDirSyncsBeforeItAnswers(t *testing.T) {
	const traced = "HOWDAH_STORE_TRACED"
	if where := os.Getenv(traced); where != "" {
		callAll(t, openDir(t, where))
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("there is no strace: run testdata/install strace")
	}
	where, trace := makeDir(t, t.TempDir()), filepath.Join(t.TempDir(), "trace")
	child := exec.Command(strace, "-f", "-y", "-qq", "-o", trace, "-e", "trace=fsync,linkat,renameat,renameat2,unlinkat,unlink,rmdir",
		os.Args[0], "-test.run=^TestDirSyncsBeforeItAnswers$")
	child.Env = append(os.Environ(), traced+"="+where)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	const folders = "fsync objects/a/b\nfsync objects/a\nfsync objects\n"
	want := "fsync tmp\nrenameat objects/a/b/put\n" + folders +
		"fsync tmp\nrenameat objects/a/b/stream\n" + folders +
		"fsync tmp\nlinkat objects/a/b/first\nunlinkat tmp\n" + folders +
		"fsync tmp\nlinkat objects/a/b/first\n" + folders + "unlinkat tmp\n" + // it was there
		"unlinkat objects/a/b/put\nunlinkat objects/a/b\nfsync objects/a/b\n"
	if got := steps(string(text), where); got != want {
		t.Errorf("it does\n%s\nwant\n%s", got, want)
	}
}

func callAll(t *testing.T, d *store.Dir) {
	mustPut(t, d, "a/b/put", "x")
	if err := write(t.Context(), d, "a/b/stream", "x"); err != nil {
		t.Fatal(err)
	}
	if err := d.PutIfAbsent(t.Context(), "a/b/first", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if err := d.PutIfAbsent(t.Context(), "a/b/first", []byte("x"), nil); !errors.Is(err, store.ErrExists) {
		t.Fatal(err)
	}
	if err := d.Delete(t.Context(), "a/b/put"); err != nil {
		t.Fatal(err)
	}
}

// steps are the calls in a trace, each with the last path that it names in the
// store: relative, and without the names of temporary files.
func steps(trace, where string) string {
	call := regexp.MustCompile(`(?m)^\d+ +(\w+)\((.*)$`)
	same := strings.NewReplacer("renameat2", "renameat", "unlinkat", "unlinkat", "unlink", "unlinkat", "rmdir", "unlinkat")
	path := regexp.MustCompile(regexp.QuoteMeta(where) + `/([^">]*)[">]`)
	var all strings.Builder
	for _, m := range call.FindAllStringSubmatch(trace, -1) {
		paths := path.FindAllStringSubmatch(m[2], -1)
		if len(paths) == 0 {
			continue
		}
		last := paths[len(paths)-1][1]
		if strings.HasPrefix(last, "tmp/") {
			last = "tmp"
		}
		all.WriteString(same.Replace(m[1]) + " " + last + "\n")
	}
	return all.String()
}
