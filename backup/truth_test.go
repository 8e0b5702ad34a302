package backup_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/wire/postgres"
)

// truth is what the WAL itself says was committed, and in which order: read by PostgreSQL's
// pg_waldump from what the server's own archive_command has kept, beside Howdah.
type truth struct {
	ends   []ending
	commit map[uint64]int // index of a transaction that was committed
}

// ending is a record by which a transaction ends.
type ending struct {
	xid   uint64
	at    replication.LSN
	time  time.Time
	abort bool
}

// leg is a stretch of one timeline.
type leg struct {
	timeline uint32
	end      replication.LSN // 0: to the end of what there is
}

var (
	endingLine = regexp.MustCompile(`tx:\s+(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), .*desc: (COMMIT|ABORT)\S* (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC`)
	dumpTime   = "2006-01-02 15:04:05.999999"
)

// readTruth reads a folder with files of WAL, along a way.
func readTruth(t testing.TB, binaries postgres.Binaries, folder string, way ...leg) *truth {
	t.Helper()
	truth := &truth{commit: map[uint64]int{}}
	from := replication.LSN(0)
	for _, l := range way {
		for _, e := range dumpWAL(t, binaries, folder, l.timeline) {
			if e.at >= from && (l.end == 0 || e.at < l.end) {
				truth.ends = append(truth.ends, e)
			}
		}
		from = l.end
	}
	for i, e := range truth.ends {
		if i > 0 && e.at <= truth.ends[i-1].at {
			t.Fatalf("the WAL has %s behind %s", e.at, truth.ends[i-1].at)
		}
		if !e.abort {
			truth.commit[e.xid] = i
		}
	}
	return truth
}

// dumpWAL has pg_waldump read all of a timeline.
func dumpWAL(t testing.TB, binaries postgres.Binaries, folder string, timeline uint32) (all []ending) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, fmt.Sprintf("%08X", timeline)+strings.Repeat("[0-9A-F]", 16)))
	if err != nil || len(files) == 0 {
		t.Fatalf("no WAL of timeline %d in %s: %v", timeline, folder, err)
	}
	slices.Sort(files)
	cmd := exec.Command(binaries.Path("pg_waldump"), "--rmgr=Transaction", filepath.Base(files[0]), filepath.Base(files[len(files)-1]))
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20) // a commit may name many tables
	for lines.Scan() {
		found := endingLine.FindStringSubmatch(lines.Text())
		if found == nil {
			continue
		}
		e := ending{abort: found[3] == "ABORT"}
		e.xid, _ = strconv.ParseUint(found[1], 10, 64) // digits
		e.at, err = replication.ParseLSN(found[2])
		if err == nil {
			e.time, err = time.Parse(dumpTime, found[4])
		}
		if err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		all = append(all, e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	// The last file ends in the midst, and pg_waldump says so.
	if err := cmd.Wait(); err != nil && !strings.Contains(said.String(), "error in WAL record at") {
		t.Fatalf("pg_waldump: %v: %s", err, said.String())
	}
	return all
}

// before returns how many transactions have ended when a recovery to a time stops: at the
// first one that has ended later.
func (t *truth) before(at time.Time) int {
	for i, e := range t.ends {
		if e.time.After(at) {
			return i
		}
	}
	return len(t.ends)
}

// in reports whether a transaction is among the first n that have ended.
func (t *truth) in(o *op, n int) bool {
	i, ok := t.commit[o.xid]
	return ok && i < n
}

// keepWAL copies what a server has of WAL to where its archive_command copies it.
func keepWAL(t testing.TB, dir, folder string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dir, "pg_wal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if len(f.Name()) != 24 && !strings.HasSuffix(f.Name(), ".history") {
			continue
		}
		if err := copyNew(filepath.Join(dir, "pg_wal", f.Name()), filepath.Join(folder, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// copyNew copies a file unless there is one.
func copyNew(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	in, err := os.Open(from)
	if errors.Is(err, os.ErrNotExist) { // recycled meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
