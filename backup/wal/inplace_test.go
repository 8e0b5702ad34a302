package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"howdah/backup/replication"
	"howdah/wire/postgres"
)

// tablespace writes the record of a tablespace with a path; origin is that it has one.
func (w *writer) tablespace(oid uint32, path string, origin bool) replication.LSN {
	r := make([]byte, recordHeader)
	r[17] = rmTablespace
	if origin {
		r = append(r, idOrigin, 1, 0)
	}
	data := append(binary.LittleEndian.AppendUint32(nil, oid), path...)
	data = append(data, 0)
	if len(data) > 255 {
		r = binary.LittleEndian.AppendUint32(append(r, idDataLong), uint32(len(data)))
	} else {
		r = append(r, idDataShort, byte(len(data)))
	}
	r = append(r, data...)
	binary.LittleEndian.PutUint32(r, uint32(len(r)))
	binary.LittleEndian.PutUint32(r[recordCRC:], crcOf(r))
	return w.put(r)
}

// crcOf is a record's CRC as PostgreSQL makes it.
func crcOf(r []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(r[recordHeader:], table), table, r[:recordCRC])
}

// leave writes records until so many bytes are left of a page.
func (w *writer) leave(n int) {
	w.record(40, 7)
	rest := pageSize - int((w.at()+7)%pageSize&^7)
	if rest < n+40 {
		rest += pageSize - shortHeader
		if (w.at()+pageSize)/w.size > w.at()/w.size {
			rest += shortHeader - longHeader
		}
	}
	w.record(rest-n, 7)
}

// read reads the record of so many bytes that begins somewhere.
func (w *writer) read(b []byte, start replication.LSN, n int) (r []byte) {
	s := newScanner(w.start, 0, w.size)
	for i := range n {
		r = append(r, b[s.place(start, i)-w.start])
	}
	return r
}

// passed passes WAL that begins with a segment, segment by segment.
func (w *writer) passed(p *InPlace, most int) ([]byte, error) {
	var into bytes.Buffer
	for at := w.start; at < w.at(); at += w.size {
		segment := w.b[at-w.start : min(w.at()-w.start, at-w.start+w.size)]
		err := p.Pass(at, &into, func(into io.Writer) error {
			for len(segment) > 0 {
				n := min(1+rand.IntN(most), len(segment))
				if _, err := into.Write(segment[:n]); err != nil {
					return err
				}
				segment = segment[n:]
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return into.Bytes(), nil
}

// TestInPlace takes the paths of tablespaces away, wherever their records are on a page.
func TestInPlace(t *testing.T) {
	const size = 16 * pageSize
	long := "/" + strings.Repeat("long/", 180)
	for in := range 30 { // where on the page the first one begins, from its end
		for _, most := range []int{20, 9000, size} {
			w := &writer{start: 4 * size, size: size}
			type made struct {
				at     replication.LSN
				length int
			}
			var all []made
			for oid, path := range map[uint32]string{1: "/srv/space", 2: "", 3: long} {
				w.leave(8 * (in + 1))
				at := w.tablespace(oid, path, oid == 1 && in%2 == 0)
				length := binary.LittleEndian.Uint32(w.read(w.b, at, 4))
				all = append(all, made{at, int(length)})
				w.record(100, 7)
			}
			p := NewInPlace(size)
			got, err := w.passed(p, most)
			if err != nil || len(got) != len(w.b) {
				t.Fatalf("%d from the end of a page, in pieces of %d: %d bytes of %d, %v", in, most, len(got), len(w.b), err)
			}
			if len(p.begun) > len(w.b)/size {
				t.Errorf("it remembers %d heads", len(p.begun))
			}
			for _, m := range all {
				r := w.read(got, m.at, m.length)
				at := dataIn(r)
				if r[at+4] != 0 || binary.LittleEndian.Uint32(r[recordCRC:]) != crcOf(r) {
					t.Errorf("%d from the end of a page, in pieces of %d: the path begins with %q, the CRC is %x, not %x", in, most, r[at+4], r[recordCRC:recordHeader], crcOf(r))
				}
			}
			different := 0
			for i := range got {
				if got[i] != w.b[i] {
					different++
				}
			}
			if different > 2*5 {
				t.Errorf("%d bytes are different", different)
			}
		}
	}
}

// TestInPlaceOverSegments has records cross the end of a segment: they are refused where one
// has the path and another the CRC, and else go through.
func TestInPlaceOverSegments(t *testing.T) {
	const size = 16 * pageSize
	refused, passed := 0, 0
	for in := 8; in <= 64; in += 8 {
		w := &writer{start: 4 * size, size: size}
		for w.at() < 5*size-pageSize {
			w.leave(pageSize / 2)
		}
		w.leave(in)
		if left := 5*size - w.at(); left != replication.LSN(in) {
			t.Fatalf("%d bytes are left, not %d", left, in)
		}
		at := w.tablespace(9, "/srv/space", false)
		w.record(100, 7)
		got, err := w.passed(NewInPlace(size), size)
		if errors.Is(err, errCutOff) {
			refused++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		passed++
		r := w.read(got, at, int(binary.LittleEndian.Uint32(w.read(w.b, at, 4))))
		if r[recordHeader+6] != 0 || binary.LittleEndian.Uint32(r[recordCRC:]) != crcOf(r) {
			t.Errorf("%d from the end: the path begins with %q, the CRC is %x, not %x", in, r[recordHeader+6], r[recordCRC:recordHeader], crcOf(r))
		}
	}
	if refused != 1 || passed != 7 {
		t.Errorf("%d were refused, and %d passed on", refused, passed)
	}
	other := &writer{start: 4 * size, size: size, b: bytes.Repeat([]byte{0xD1}, size)}
	if _, err := other.passed(NewInPlace(size), size); err == nil || !strings.Contains(err.Error(), "no WAL") {
		t.Errorf("what is no WAL is passed on: %v", err)
	}
}

// testInPlace has a server make tablespaces, and pg_waldump read what is left of it.
func testInPlace(t *testing.T, primary *postgres.Server, binaries postgres.Binaries) {
	const size = 16 * mib
	spaces := t.TempDir()
	exec1(t, primary, "select pg_switch_wal()")
	from := now(t, primary).SegmentStart(size)
	for _, name := range []string{"space", "other"} {
		dir := filepath.Join(filepath.Dir(primary.Dir()), name)
		if err := errors.Join(os.Mkdir(dir, 0o700), postgres.Own(dir)); err != nil {
			t.Fatal(err)
		}
		exec1(t, primary, "create tablespace "+name+" location '"+dir+"'")
		defer exec1(t, primary, "drop tablespace "+name)
	}
	to := now(t, primary)
	exec1(t, primary, "select pg_switch_wal()")
	name := replication.SegmentName(1, from, size)
	whole, err := os.ReadFile(filepath.Join(primary.Dir(), "pg_wal", name))
	if err != nil {
		t.Fatal(err)
	}
	p := NewInPlace(size)
	var into bytes.Buffer
	err = p.Pass(from, &into, func(w io.Writer) error { _, err := w.Write(whole); return err })
	if err == nil {
		err = os.WriteFile(filepath.Join(spaces, name), into.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binaries.Path("pg_waldump"), "-p", spaces, "-s", from.String(), "-e", to.String(), "-r", "Tablespace").CombinedOutput()
	if err != nil || strings.Count(string(out), `""`) != 2 {
		t.Errorf("pg_waldump says %v: %s", err, out)
	}
}

func FuzzInPlace(f *testing.F) {
	w := &writer{start: 0, size: mib}
	for i := range 30 {
		w.record(30+i*20, uint32(i))
		w.tablespace(uint32(i), "/srv", i%2 == 0)
	}
	f.Add(w.b, 100)
	f.Fuzz(func(t *testing.T, b []byte, most int) {
		if most < 1 || len(b)/most > 1<<16 {
			return
		}
		w := &writer{size: mib, b: b}
		one, err := w.passed(NewInPlace(mib), mib)
		other, otherErr := w.passed(NewInPlace(mib), most)
		if (err == nil) != (otherErr == nil) || !bytes.Equal(one, other) || err == nil && len(one) != len(b) {
			t.Errorf("%d bytes, %v; in pieces %d bytes, %v", len(one), err, len(other), otherErr)
		}
	})
}
