package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// removeMemory removes the piece of System V shared memory that a server which was killed
// has left, by what it notes in its data directory. The kernel has a few thousand of them
// (kernel.shmmni), and without one no server starts on the whole machine; who starts on the
// same directory again would remove it, but on a scratch server's nobody does.
func removeMemory(dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		return
	}
	var key uint64 // of an int with a sign
	var id int
	if n, err := fmt.Sscan(lines[6], &key, &id); err != nil || n != 2 {
		return
	}
	var segment unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &segment); err != nil || uint32(segment.Perm.Key) != uint32(key) || segment.Nattch > 0 {
		return // it is gone, or another's by now, or somebody lives on
	}
	_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) // another's: then it stays
}
