package store_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"howdah/backup/store"
	"howdah/backup/store/storetest"
)

func TestDir(t *testing.T) {
	t.Parallel()
	storetest.Run(t, madeDir, func(t *testing.T, where string) store.Store { return openDir(t, where) })
}

// madeDir makes a store in memory, if there is room: what a disk is needed for is
// in TestDirSyncsBeforeItAnswers.
func madeDir(t *testing.T) string {
	t.Helper()
	const memory = "/dev/shm"
	var stat unix.Statfs_t
	if err := unix.Statfs(memory, &stat); err != nil || stat.Bavail < 1<<30/uint64(stat.Bsize) {
		return makeDir(t, t.TempDir())
	}
	where, err := os.MkdirTemp(memory, "howdah-store")
	if err != nil {
		return makeDir(t, t.TempDir())
	}
	t.Cleanup(func() { os.RemoveAll(where) })
	return makeDir(t, where)
}

func makeDir(t *testing.T, where string) string {
	t.Helper()
	if err := store.MakeDir(where); err != nil {
		t.Fatal(err)
	}
	return where
}

func openDir(t *testing.T, where string) *store.Dir {
	t.Helper()
	d, err := store.OpenDir(where)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustPut(t *testing.T, s store.Store, key, data string) {
	t.Helper()
	if err := s.Put(t.Context(), key, []byte(data), nil); err != nil {
		t.Fatal(err)
	}
}

// filesIn returns the names in a folder of a store.
func filesIn(t *testing.T, where, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(where, folder))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestDirIsForItsOwnerAlone(t *testing.T) {
	where := filepath.Join(t.TempDir(), "new", "store")
	if err := store.MakeDir(where); err != nil {
		t.Fatal(err)
	}
	mustPut(t, openDir(t, where), "a/b", "secret")
	files := 0
	err := filepath.WalkDir(where, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil || files != 1 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestMakeDirLeavesWhatIsThere(t *testing.T) {
	where := madeDir(t)
	mustPut(t, openDir(t, where), "k", "x")
	if err := store.MakeDir(where); err != nil {
		t.Fatal(err)
	}
	if _, err := openDir(t, where).Stat(t.Context(), "k"); err != nil {
		t.Error(err)
	}
}

// A store whose file system is not mounted must not look empty: what is not
// found is archived anew, or taken for the end of the archive.
func TestAbsentDirIsNotAnEmptyStore(t *testing.T) {
	where := t.TempDir()
	if _, err := store.OpenDir(where); err == nil || !strings.Contains(err.Error(), "mounted") {
		t.Errorf("OpenDir of an empty directory: %v", err)
	}
	if left := filesIn(t, where, "."); len(left) > 0 {
		t.Errorf("OpenDir has made %q", left)
	}
	where = madeDir(t)
	d := openDir(t, where)
	mustPut(t, d, "k", "x")
	for _, folder := range []string{"objects", "tmp"} {
		if err := os.Rename(filepath.Join(where, folder), filepath.Join(where, "not "+folder)); err != nil {
			t.Fatal(err)
		}
	}
	_, _, getErr := d.Get(t.Context(), "k", 0, -1)
	_, statErr := d.Stat(t.Context(), "k")
	var listErr error
	for _, listErr = range d.List(t.Context(), "a/") {
	}
	for call, err := range map[string]error{
		"Get": getErr, "Stat": statErr, "List": listErr, "Delete": d.Delete(t.Context(), "k"),
		"Put": d.Put(t.Context(), "k", nil, nil),
	} {
		if err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s in a store that is gone: %v", call, err)
		}
	}
	if left := filesIn(t, where, "."); !slices.Equal(left, []string{"not objects", "not tmp"}) {
		t.Errorf("where a store was there is now %q", left)
	}
}

func TestOpenDirSweepsWhatCrashesLeft(t *testing.T) {
	where := madeDir(t)
	d := openDir(t, where)
	held, err := d.Create(t.Context(), "held", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Abort()
	living := filesIn(t, where, "tmp")
	for _, name := range []string{"old", "young"} {
		if err := os.WriteFile(filepath.Join(where, "tmp", name), []byte("half an obj"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * time.Hour)
	for _, name := range append(living, "old") {
		if err := os.Chtimes(filepath.Join(where, "tmp", name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	for info, err := range d.List(t.Context(), "") {
		t.Errorf("List yields %+v, %v", info, err)
	}
	d = openDir(t, where)
	want := append(living, "young")
	slices.Sort(want)
	if left := filesIn(t, where, "tmp"); !slices.Equal(left, want) {
		t.Errorf("it left %q, want %q", left, want)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stat(t.Context(), "held"); err != nil {
		t.Error(err)
	}
}

func TestDirRemovesEmptyFolders(t *testing.T) {
	where := madeDir(t)
	d := openDir(t, where)
	mustPut(t, d, "a/b/c/d", "1")
	mustPut(t, d, "a/e", "2")
	for _, step := range []struct {
		key  string
		want []string
	}{{"a/b/c/d", []string{"e"}}, {"a/e", nil}} {
		if err := d.Delete(t.Context(), step.key); err != nil {
			t.Fatal(err)
		}
		if step.want != nil && !slices.Equal(filesIn(t, where, "objects/a"), step.want) {
			t.Errorf("after deleting %q there is %q", step.key, filesIn(t, where, "objects/a"))
		}
	}
	if left := slices.Concat(filesIn(t, where, "objects"), filesIn(t, where, "tmp")); len(left) > 0 {
		t.Errorf("an empty store has %q", left)
	}
}

// A folder goes when it is empty, also while another is about to put into it.
func TestPutAndDeleteInOneFolder(t *testing.T) {
	d := openDir(t, madeDir(t))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			key := fmt.Sprintf("a/b/%d", i)
			put := d.Put
			if i%2 == 0 {
				put = d.PutIfAbsent
			}
			for range 100 {
				if err := put(t.Context(), key, []byte("x"), nil); err != nil {
					t.Error(err)
				}
				if _, err := d.Stat(t.Context(), key); err != nil {
					t.Error(err)
				}
				if err := d.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestKeyInsideAKeyIsRefused(t *testing.T) {
	d := openDir(t, madeDir(t))
	mustPut(t, d, "a/b", "1")
	mustPut(t, d, "c", "2")
	for _, key := range []string{"a", "c/d", "c/d/e"} {
		for call, err := range map[string]error{
			"Put": d.Put(t.Context(), key, nil, nil), "PutIfAbsent": d.PutIfAbsent(t.Context(), key, nil, nil),
		} {
			if !errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrExists) {
				t.Errorf("%s(%q): %v, want ErrInvalid", call, key, err)
			}
		}
	}
}

func TestDamagedFileIsNoObject(t *testing.T) {
	where := madeDir(t)
	d := openDir(t, where)
	mustPut(t, d, "a", "1")
	mustPut(t, d, "k", "hello")
	path := filepath.Join(where, "objects", "k")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := [][]byte{append(slices.Clone(whole), 'x'), append([]byte("x"), whole...), whole[1:], slices.Concat(whole[:20], whole[25:]), make([]byte, 1<<10)}
	for n := range whole {
		broken = append(broken, whole[:n], whole[n:][:min(8, len(whole)-n)])
	}
	for n := len(whole) - len("\nhowdah object 2 01234567 01234567\n"); n < len(whole); n++ {
		for bit := range 8 {
			flipped := slices.Clone(whole)
			flipped[n] ^= 1 << bit
			broken = append(broken, flipped)
		}
	}
	broken = append(broken, []byte("\nhowdah object 2 "), []byte("\nhowdah object 2 0000"))
	for _, content := range broken {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Stat(t.Context(), "k"); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("Stat with %q in the file: %v, want ErrDamaged", content, err)
		}
		sizes := map[string]int64{}
		for info, err := range d.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			sizes[info.Key] = info.Size
		}
		if len(sizes) != 2 || sizes["a"] != 1 || sizes["k"] != -1 {
			t.Errorf("List with %q in the file says sizes %v", content, sizes)
		}
	}
	mustPut(t, d, "k", "mended")
	if info, err := d.Stat(t.Context(), "k"); err != nil || info.Size != 6 {
		t.Errorf("after it was put again: %+v, %v", info, err)
	}
}

func TestFullDiskLeavesNothing(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	where := t.TempDir()
	if err := syscall.Mount("tmpfs", where, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(where, 0); err != nil {
			t.Error(err)
		}
	})
	if err := store.MakeDir(where); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, where)
	mustPut(t, d, "k", "old")
	wantFull := func(call string, err error) {
		t.Helper()
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "full") {
			t.Errorf("%s: %v, want one that says that it is full", call, err)
		}
		if left := filesIn(t, where, "tmp"); len(left) > 0 {
			t.Errorf("%s has left %q", call, left)
		}
	}
	wantFull("Put", d.Put(t.Context(), "k", make([]byte, 5<<20), nil))
	wantFull("PutIfAbsent", d.PutIfAbsent(t.Context(), "new/k", make([]byte, 5<<20), nil))
	w, err := d.Create(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = w.Write(make([]byte, 100_000))
	}
	wantFull("Write", err)
	wantFull("Close after it", w.Close())
	r, info, err := d.Get(t.Context(), "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if data, err := io.ReadAll(r); string(data) != "old" || info.Size != 3 || err != nil {
		t.Errorf("what was there is %q now, %v", data, err)
	}
	if names := filesIn(t, where, "objects"); !slices.Equal(names, []string{"k"}) {
		t.Errorf("objects are %q", names)
	}
	mustPut(t, d, "k", strings.Repeat("x", 3<<20))
}
