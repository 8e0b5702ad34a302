package storetest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"howdah/backup/store"
)

const (
	childWhere = "HOWDAH_STORETEST_WHERE" // set in the child process: the store
	childReady = "storetest: half of it is written"
)

// testKilledWriter kills a process in the middle of a stream, while it also
// replaces an object again and again.
func testKilledWriter(t *testing.T, d driver) {
	root, _, _ := strings.Cut(t.Name(), "/")
	for range 3 {
		child := exec.Command(os.Args[0], "-test.run=^"+root+"$")
		child.Env = append(os.Environ(), childWhere+"="+d.where)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		ready := false
		for lines := bufio.NewScanner(out); !ready && lines.Scan(); {
			ready = lines.Text() == childReady
		}
		child.Process.Kill()
		child.Wait()
		if !ready {
			t.Fatal("the child process has ended early")
		}
		wantWhole(t, d.store(t))
	}
}

func wantWhole(t *testing.T, s store.Store) {
	t.Helper()
	wantAbsent(t, s, "killed/stream")
	wantAbsent(t, s, "killed/new/stream")
	keys := list(t, s, "")
	if !slices.Equal(keys, []string{"killed/whole"}) {
		t.Fatalf("List yields %q", keys)
	}
	data, info, err := get(t.Context(), s, "killed/whole", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	letter := data[:1]
	if info.Meta["letter"] != string(letter) || !bytes.Equal(data, bytes.Repeat(letter, wholeSize)) {
		t.Errorf("%d bytes of one that begins with %s and says %s: not one version", len(data), letter, info.Meta["letter"])
	}
}

const wholeSize = 256 << 10

// writeForEver is what the child process does.
func writeForEver(t *testing.T, s store.Store) {
	half := strings.Repeat("never seen ", 1<<19)
	begin(t, s, "killed/stream", half)
	w := begin(t, s, "killed/new/stream", half)
	for i := 0; ; i++ {
		if _, err := w.Write(make([]byte, 4<<10)); err != nil {
			t.Fatal(err)
		}
		letter := string(rune('a' + i%26))
		put(t, s, "killed/whole", strings.Repeat(letter, wholeSize), map[string]string{"letter": letter})
		if i == 4 {
			fmt.Println(childReady)
		}
	}
}
