package store_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestDirLeavesNothingInMemory puts and gets an object: the system's memory for files is
// PostgreSQL's, and a base backup is larger than that.
func TestDirLeavesNothingInMemory(t *testing.T) {
	where := makeDir(t, t.TempDir())
	var stat unix.Statfs_t
	if err := unix.Statfs(where, &stat); err != nil || stat.Type == unix.TMPFS_MAGIC {
		t.Skipf("files are in memory here: %v", err)
	}
	d := openDir(t, where)
	const size = 16 << 20
	mustPut(t, d, "a/big", string(make([]byte, size)))
	path := filepath.Join(where, "objects", "a", "big")
	if n := resident(t, path); n > size/4 {
		t.Errorf("when it was put %d of %d bytes are in memory", n, size)
	}
	body, _, err := d.Get(t.Context(), "a/big", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, body); err != nil || n != size {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n := resident(t, path); n < size/2 {
		t.Fatalf("while it is read %d of %d bytes are in memory: the test tests nothing", n, size)
	}
	body.Close()
	if n := resident(t, path); n > size/4 {
		t.Errorf("when it was got %d of %d bytes are in memory", n, size)
	}
}

// resident is how many bytes of a file are in memory.
func resident(t *testing.T, path string) (n int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(data)
	page := os.Getpagesize()
	pages := make([]byte, (len(data)+page-1)/page)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, p := range pages {
		n += int(p&1) * page
	}
	return n
}
