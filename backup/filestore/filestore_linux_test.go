package filestore

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"testing"
)

// A folder that cannot be given to Odoo is not left for the next run, which would take it for
// Odoo's.
func TestNoFolderIsLeftThatOdooCannotEnter(t *testing.T) {
	into := t.TempDir()
	root, err := os.OpenRoot(into)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if os.Geteuid() == 0 { // then this goroutine is not, as far as files go
		const plain = 4711
		if err := os.Chown(into, plain, plain); err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(plain); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setfsuid(0)
	}
	g := &fetching{root: root, like: likeness{uid: 4712, gid: -1, mode: 0o700}}
	if err := g.makeFolder("aa"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want %v", err, fs.ErrPermission)
	}
	if entries, err := fs.ReadDir(root.FS(), "."); err != nil || len(entries) > 0 {
		t.Errorf("there is %v, %v", entries, err)
	}
}
