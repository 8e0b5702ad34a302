package wal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"howdah/backup/replication"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// counts is what a scanner has counted, by database.
func counts(s *scanner) map[uint32]int64 {
	all := map[uint32]int64{}
	s.bytes.take(func(oid uint32, n int64) { all[oid] = n })
	return all
}

// scanned scans WAL in pieces of random sizes; 0 is in one.
func scanned(b []byte, from, count, size replication.LSN, most int) *scanner {
	s := newScanner(from, count, size)
	for len(b) > 0 {
		n := len(b)
		if most > 0 {
			n = min(n, 1+rand.IntN(most))
		}
		s.scan(b[:n])
		b = b[n:]
	}
	return s
}

// dumped is a line of pg_waldump.
var dumped = regexp.MustCompile(`^rmgr: (\S+) +len \(rec/tot\): +\d+/ *(\d+), tx: +\d+, lsn: ([0-9A-F]+/[0-9A-F]+), .*desc: (\S+)`)

var (
	dumpedBlock = regexp.MustCompile(`blkref #\d+: rel \d+/(\d+)/`)
	dumpedCopy  = regexp.MustCompile(`copy dir \d+/(\d+) to \d+/(\d+)`)
)

// waldump counts what pg_waldump says of a server's WAL.
func waldump(t *testing.T, s *postgres.Server, b postgres.Binaries, from, to replication.LSN) (map[uint32]int64, []fileCopy) {
	t.Helper()
	cmd := exec.Command(b.Path("pg_waldump"), "-p", filepath.Join(s.Dir(), "pg_wal"), "-s", from.String(), "-e", to.String())
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_waldump: %v\n%s", err, &trouble)
	}
	all := map[uint32]int64{}
	var copies []fileCopy
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, len(out)) // a line has all of a message
	for lines.Scan() {
		m := dumped.FindStringSubmatch(lines.Text())
		if m == nil {
			t.Fatalf("pg_waldump says %q", lines.Text())
		}
		n, _ := strconv.ParseInt(m[2], 10, 64)
		oid := uint64(0)
		if block := dumpedBlock.FindStringSubmatch(lines.Text()); block != nil {
			oid, _ = strconv.ParseUint(block[1], 10, 32)
		}
		all[uint32(oid)] += n
		if m[1] == "Database" && m[4] == "CREATE_FILE_COPY" {
			c := dumpedCopy.FindStringSubmatch(lines.Text())
			source, _ := strconv.ParseUint(c[1], 10, 32)
			made, _ := strconv.ParseUint(c[2], 10, 32)
			lsn, _ := replication.ParseLSN(m[3])
			copies = append(copies, fileCopy{lsn, uint32(made), uint32(source)})
		}
	}
	return all, copies
}

// testRecords compares what is read of records with what pg_waldump says of them.
func testRecords(t *testing.T, primary *postgres.Server, binaries postgres.Binaries) {
	exec1(t, primary, "select pg_create_physical_replication_slot('records', true)", "create database other", "checkpoint")
	defer exec1(t, primary, "select pg_drop_replication_slot('records')", "drop database copied", "drop database other")
	from := now(t, primary).SegmentStart(16 * mib)
	for i, database := range []string{postgres.Superuser, "other"} {
		err := primary.Exec(t.Context(), database,
			"create table records (n int primary key, filler text)",
			"insert into records select g, repeat(md5(g::text), g % 200) from generate_series(1, 4000) g",
			"set wal_compression = on", "checkpoint", "update records set n = -n", "vacuum (freeze) records",
			"select pg_logical_emit_message(true, 'records', repeat('x', 3000000))",
			"select pg_replication_origin_create('origin"+strconv.Itoa(i)+"')", "select pg_replication_origin_session_setup('origin"+strconv.Itoa(i)+"')",
			"do 'begin for i in 1..300 loop begin insert into records values (i); exception when others then null; end; end loop; end'",
			"create index on records (filler)", "select pg_switch_wal()", "drop table records",
			"select pg_replication_origin_session_reset()", "select pg_replication_origin_drop('origin"+strconv.Itoa(i)+"')",
		)
		if err != nil {
			t.Fatal(err)
		}
	}
	exec1(t, primary, "create database copied strategy file_copy template other", "select pg_switch_wal()", "select txid_current()")
	exec1(t, primary, "checkpoint") // so that all is written
	to := now(t, primary)
	var b []byte
	for at := from; at < to; at += 16 * mib {
		segment, err := os.ReadFile(filepath.Join(primary.Dir(), "pg_wal", replication.SegmentName(1, at, 16*mib)))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, segment...)
	}
	b = b[:to-from]
	s := scanned(b, from, 0, 16*mib, 0)
	first := firstRecord(b, from)
	got, copies := counts(s), fmt.Sprint(s.copies)
	want, wantCopies := waldump(t, primary, binaries, first, to)
	if !maps.Equal(got, want) || len(want) < 3 || copies != fmt.Sprint(wantCopies) || len(wantCopies) == 0 || s.skipped != 0 {
		t.Fatalf("read %v, copies %s, skipped %d; pg_waldump says %v, %v", got, copies, s.skipped, want, wantCopies)
	}
	for _, most := range []int{17, 1000, 200000} {
		s := scanned(b, from, 0, 16*mib, most)
		if pieces := counts(s); !maps.Equal(pieces, got) || fmt.Sprint(s.copies) != copies || s.skipped != 0 {
			t.Errorf("in pieces of up to %d: %v, copies %v, skipped %d, not %v", most, pieces, s.copies, s.skipped, got)
		}
	}
	// Whoever goes on in the middle counts the rest only, and sees all.
	middle := wantCopies[len(wantCopies)-1].lsn
	s = scanned(b, from, middle, 16*mib, 0)
	got = counts(s)
	if want, _ = waldump(t, primary, binaries, middle, to); !maps.Equal(got, want) || fmt.Sprint(s.copies) != copies {
		t.Errorf("from %s on: %v, copies %v; pg_waldump says %v", middle, got, s.copies, want)
	}
}

// firstRecord is where the first record begins that begins in WAL.
func firstRecord(b []byte, from replication.LSN) replication.LSN {
	header, rest := replication.LSN(longHeader), replication.LSN(0)
	if binary.LittleEndian.Uint16(b[2:])&pageContinues != 0 {
		rest = replication.LSN(binary.LittleEndian.Uint32(b[16:]))
	}
	return from + header + (rest+7)&^7
}

func TestRecordsOfNewer(t *testing.T) { testRecordsOf(t, wiretest.NewerPostgres(t)) }

func TestRecordsOfNewestSoak(t *testing.T) { testRecordsOf(t, wiretest.NewestPostgres(t)) }

func testRecordsOf(t *testing.T, binaries postgres.Binaries) {
	primary := start(t, binaries, wiretest.WithSetting("wal_level", "logical"))
	testRecords(t, primary, binaries)
	testInPlace(t, primary, binaries)
}

// writer writes WAL as PostgreSQL does, of records that it is given.
type writer struct {
	start, size replication.LSN
	b           []byte
}

func (w *writer) at() replication.LSN { return w.start + replication.LSN(len(w.b)) }

// page begins a page, on which so many bytes of a record are still to come.
func (w *writer) page(flags uint16, rest int) {
	header := make([]byte, shortHeader)
	if w.at()%w.size == 0 {
		header = make([]byte, longHeader)
		flags |= longHeaderFlag
	}
	binary.LittleEndian.PutUint16(header, oldestMagic)
	binary.LittleEndian.PutUint16(header[2:], flags)
	binary.LittleEndian.PutUint32(header[4:], 1)
	binary.LittleEndian.PutUint64(header[8:], uint64(w.at()))
	binary.LittleEndian.PutUint32(header[16:], uint32(rest))
	w.b = append(w.b, header...)
}

// record writes a record of so many bytes, with a block of a database unless that is 0, and
// returns where it begins.
func (w *writer) record(length int, oid uint32) replication.LSN {
	r := make([]byte, length)
	binary.LittleEndian.PutUint32(r, uint32(length))
	r[17] = 10 // heap
	r[recordHeader] = idDataShort
	if oid != 0 {
		r[recordHeader] = 0
		binary.LittleEndian.PutUint32(r[recordHeader+8:], oid)
	}
	return w.put(r)
}

func (w *writer) put(r []byte) replication.LSN {
	for len(w.b)%8 != 0 {
		w.b = append(w.b, 0)
	}
	if w.at()%pageSize == 0 {
		w.page(0, 0)
	}
	start := w.at()
	for {
		n := min(len(r), pageSize-int(w.at()%pageSize))
		w.b, r = append(w.b, r[:n]...), r[n:]
		if len(r) == 0 {
			return start
		}
		w.page(pageContinues, len(r))
	}
}

// fillPage fills the page with a record.
func (w *writer) fillPage() { w.record(pageSize-int(w.at()+7)%pageSize&^7, 0) }

// TestScannerFindsItsWay has WAL that is not as it should be.
func TestScannerFindsItsWay(t *testing.T) {
	whole := func() *writer {
		w := &writer{start: 3 * mib, size: mib}
		for w.at() < 3*mib+5*pageSize+100 {
			w.record(100, 7)
		}
		return w
	}
	for name, c := range map[string]struct {
		change  func(w *writer)
		extra   int64 // bytes of database 8
		skipped int64
	}{
		"nothing": {func(w *writer) { w.record(60, 8) }, 60, 0},
		"a record of no length": {func(w *writer) {
			w.put(make([]byte, 40))
			w.record(60, 8)
			w.fillPage()
			w.record(61, 8)
		}, 61, 1},
		"a page of another kind": {func(w *writer) {
			w.fillPage()
			w.b = append(w.b, bytes.Repeat([]byte{0x55}, pageSize)...)
			w.record(60, 8)
		}, 60, 1},
		"a record that ends too early": {func(w *writer) {
			w.fillPage()
			w.record(2*pageSize, 0)
			w.b = w.b[:len(w.b)-len(w.b)%pageSize]
			w.page(0, 0)
			w.record(60, 8)
		}, 60, 1},
		"a server that crashed": {func(w *writer) {
			w.fillPage()
			w.record(2*pageSize, 0)
			w.b = w.b[:len(w.b)-len(w.b)%pageSize]
			w.page(pageOverwrote, 0)
			w.record(60, 8)
		}, 60, 0},
		"a record that goes on otherwise": {func(w *writer) {
			w.fillPage()
			w.record(2*pageSize, 0)
			w.b = w.b[:len(w.b)-len(w.b)%pageSize]
			w.page(pageContinues, 160)
			w.b = append(w.b, make([]byte, 160)...)
			w.record(60, 8)
		}, 60, 1},
		"a switch": {func(w *writer) {
			r := make([]byte, recordHeader)
			r[0], r[16] = recordHeader, switchRecord
			w.put(r)
			for w.at() < 4*mib {
				w.b = append(w.b, 0x55)
			}
			w.record(60, 8)
		}, 60, 0},
	} {
		w := whole()
		before := counts(scanned(w.b, w.start, 0, mib, 0))
		c.change(w)
		for _, most := range []int{0, 3, 100, 5000} {
			s := scanned(w.b, w.start, 0, mib, most)
			if got := counts(s); got[7] != before[7] || got[8] != c.extra || s.skipped != c.skipped || before[7] == 0 {
				t.Errorf("%s, in pieces of %d: %v, skipped %d; before %v", name, most, got, s.skipped, before)
			}
		}
	}
	w := whole()
	want := counts(scanned(w.b, w.start, w.start+2*pageSize, mib, 0))
	if got := counts(scanned(w.b[2*pageSize:], w.start+2*pageSize, 0, mib, 50)); !maps.Equal(got, want) || got[7] == 0 {
		t.Errorf("begun within a record: %v, not %v", got, want)
	}
}

func TestScannerDoesNotAllocate(t *testing.T) {
	w := &writer{size: 16 * mib}
	for i := 0; w.at() < mib; i++ {
		w.record(40+rand.IntN(400), uint32(16384+i%20))
	}
	s := newScanner(0, 0, 16*mib)
	s.scan(w.b)
	if n := testing.AllocsPerRun(10, func() { s.at, s.left, s.headed = 0, 0, 0; s.scan(w.b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzScanner has anything be scanned: in pieces it is the same as in one.
func FuzzScanner(f *testing.F) {
	w := &writer{start: mib - pageSize, size: mib}
	for i := range 30 {
		w.record(30+i*20, uint32(i))
	}
	f.Add(w.b, 100)
	f.Add([]byte(strings.Repeat("\x10\xd1\x01\x00", 100)), 7)
	f.Fuzz(func(t *testing.T, b []byte, most int) {
		if most < 1 || len(b)/most > 1<<16 {
			return
		}
		one := newScanner(mib-pageSize, mib-pageSize/2, mib)
		one.scan(b)
		all := newScanner(mib-pageSize, mib-pageSize/2, mib)
		for left := b; len(left) > 0; {
			n := min(most, len(left))
			all.scan(left[:n])
			left = left[n:]
		}
		if end := mib - pageSize + replication.LSN(len(b)); one.at != end || all.at != end {
			t.Errorf("of %d bytes it is at %s and %s", len(b), one.at, all.at)
		}
		if a, b := counts(one), counts(all); !maps.Equal(a, b) || one.skipped != all.skipped || fmt.Sprint(one.copies) != fmt.Sprint(all.copies) {
			t.Errorf("%v, skipped %d, %v; in pieces %v, %d, %v", a, one.skipped, one.copies, b, all.skipped, all.copies)
		}
	})
}

// BenchmarkScanner scans WAL as a busy server with many databases writes it: the median
// record has 100 bytes, and one in thirty a page. It is in the processor's cache, as what has
// just been received is.
func BenchmarkScanner(b *testing.B) {
	w := &writer{size: 16 * mib}
	for w.at() < mib {
		length := 50 + rand.IntN(100)
		if rand.IntN(30) == 0 {
			length = 2000 + rand.IntN(6000)
		}
		w.record(length, uint32(16384+rand.IntN(500)))
	}
	b.SetBytes(int64(len(w.b)))
	for b.Loop() {
		s := newScanner(0, 0, 16*mib)
		for rest := w.b; len(rest) > 0; { // as they come
			n := min(len(rest), 128<<10)
			s.scan(rest[:n])
			rest = rest[n:]
		}
	}
}
