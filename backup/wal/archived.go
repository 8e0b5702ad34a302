package wal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"howdah/backup/replication"
)

// OpenArchived opens a file of a server's pg_wal.
func OpenArchived(path string) (*os.File, Archived, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, Archived{}, err
	}
	a, err := archived(f, path)
	if err != nil {
		f.Close()
		return nil, a, err
	}
	return f, a, nil
}

func archived(f *os.File, path string) (a Archived, err error) {
	info, err := f.Stat()
	if err != nil {
		return a, err
	}
	if !info.Mode().IsRegular() {
		return a, fmt.Errorf("%w: %q is no file", ErrNotWAL, path)
	}
	a.Name, a.Size = filepath.Base(path), info.Size()
	kind, _, err := a.kind()
	if err != nil {
		return a, fmt.Errorf("%q: %w", path, err)
	}
	folder := filepath.Dir(path)
	h, err := readHeader(f)
	if kind == historyFile || kind == labelFile {
		h, err = headerIn(folder)
	}
	if err != nil {
		return a, fmt.Errorf("%q: %w", path, err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "..", "PG_VERSION"))
	if err != nil {
		return a, fmt.Errorf("%q is in no data directory's pg_wal: %w", path, err)
	}
	a.Server = replication.Server{System: h.system, Segment: h.segment}
	if a.Server.Major, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		return a, fmt.Errorf("PG_VERSION beside the folder of %q says %.20q", path, text)
	}
	return a, nil
}

// HistoryBeside returns the path of the history file of a segment's timeline, if that lies
// beside it; "" if not, or if the timeline has none.
func HistoryBeside(path string) string {
	name := filepath.Base(path)
	if !segmentForm.MatchString(name) && !partialForm.MatchString(name) {
		return ""
	}
	history := filepath.Join(filepath.Dir(path), name[:8]+".history")
	if _, err := os.Stat(history); err != nil {
		return ""
	}
	return history
}

// headerIn returns what a segment in a folder says of itself.
func headerIn(folder string) (h header, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return h, err
	}
	for _, e := range slices.Backward(entries) {
		if !segmentForm.MatchString(e.Name()) {
			continue
		}
		f, err := os.Open(filepath.Join(folder, e.Name()))
		if err != nil {
			continue // recycled since
		}
		h, err = readHeader(f)
		f.Close()
		// One that will be used again says what it was: of the same server, too.
		if err == nil {
			return h, nil
		}
	}
	return h, fmt.Errorf("%w: no segment is beside it", ErrNotWAL)
}
