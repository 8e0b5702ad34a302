package router_test

import (
	"encoding/binary"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"howdah/router"
	"howdah/wire"
)

// TestRealStreaming tests results and statements that are far larger than any buffer, in front of one PostgreSQL.
func TestRealStreaming(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"BigResultsAreStreamed", testBigResultsAreStreamed},
		{"StalledReaderHoldsNobodyUp", testStalledReaderHoldsNobodyUp},
		{"BigStatementsAreStreamed", testBigStatementsAreStreamed},
		{"WriterThatNeverReads", testWriterThatNeverReads},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// heapWatch samples the live heap while something is streamed.
type heapWatch struct {
	base, most uint64
	end        func()
}

func watchHeap(t *testing.T) *heapWatch {
	stop, done := make(chan struct{}), make(chan struct{})
	w := &heapWatch{base: liveHeap(), end: sync.OnceFunc(func() { close(stop); <-done })}
	t.Cleanup(w.end)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				w.most = max(w.most, liveHeap())
			}
		}
	}()
	return w
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// few is how much the heap may grow by without being said to.
const few = 6 << 20

// wantFlat ends the watch and wants the heap not to have grown by more than
// this many bytes.
func (w *heapWatch) wantFlat(t *testing.T, most uint64) {
	t.Helper()
	w.end()
	if w.most > w.base+most {
		t.Errorf("the heap grew from %d kB to %d kB", w.base>>10, w.most>>10)
	}
}

// drain reads messages by their headers alone until the n-th ReadyForQuery, and
// calls pause as often as every says.
func drain(r io.Reader, n int, every int64, pause func()) (bytes int64, rows int, err error) {
	buf := make([]byte, 64<<10)
	next := every
	for n > 0 {
		if _, err := io.ReadFull(r, buf[:wire.HeaderLen]); err != nil {
			return bytes, rows, err
		}
		h, _, err := wire.ParseHeader(buf)
		if err != nil {
			return bytes, rows, err
		}
		switch h.Type {
		case wire.DataRow:
			rows++
		case wire.ReadyForQuery:
			n--
		}
		for left := h.Len - wire.HeaderLen; left > 0; {
			part, err := r.Read(buf[:min(left, len(buf))])
			if err != nil {
				return bytes, rows, err
			}
			left -= part
			if bytes += int64(part); every > 0 && bytes > next {
				next += every
				pause()
			}
		}
	}
	return bytes, rows, nil
}

// testBigResultsAreStreamed sends 100 MB to a client that is slow, in many rows
// and in one. The router keeps next to nothing of it.
func testBigResultsAreStreamed(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	for name, c := range map[string]struct {
		sql  string
		rows int
	}{
		"rows of 1 kB": {"select repeat('x', 1000) from generate_series(1, 100000)", 100_000},
		"one row":      {"select repeat('x', 100000000)", 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, bystander := d.raw(t), d.raw(t)
			r.SetDeadline(time.Now().Add(2 * patience))
			w := watchHeap(t)
			if err := r.send(query(c.sql)); err != nil {
				t.Fatal(err)
			}
			bytes, rows, err := drain(r.Conn, 1, 10<<20, func() {
				bystander.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
			})
			if err != nil || rows != c.rows || bytes < 100_000_000 {
				t.Errorf("%d rows, %d bytes, %v", rows, bytes, err)
			}
			w.wantFlat(t, few)
		})
	}
}

// testStalledReaderHoldsNobodyUp has a client ask for much and read nothing.
func testStalledReaderHoldsNobodyUp(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	stalled, other := d.raw(t), d.raw(t)
	w := watchHeap(t)
	if err := stalled.send(query("select repeat('x', 1000) from generate_series(1, 100000)")); err != nil {
		t.Fatal(err)
	}
	if !poll(func() bool {
		return ask[int](t, h, "select count(*) from pg_stat_activity where usename = 'acme' and wait_event = 'ClientWrite'") == 1
	}) {
		t.Fatal("the server is not held back")
	}
	for range 1000 {
		other.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	}
	w.wantFlat(t, few)
	stalled.Close()
	other.Close()
	d.atRest(t)
}

// testBigStatementsAreStreamed sends statements of 50 MB, slowly.
func testBigStatementsAreStreamed(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	const size = 50 << 20
	blank := make([]byte, 1<<20)
	for i := range blank {
		blank[i] = ' '
	}
	for name, send := range map[string]func(io.Writer) error{
		"Query": func(w io.Writer) error {
			return sendLong(w, wire.Query, "select 1 ", "\x00", size, blank)
		},
		"Parse": func(w io.Writer) error {
			if err := sendLong(w, wire.Parse, "\x00select 1 ", "\x00\x00\x00", size, blank); err != nil {
				return err
			}
			b := wire.AppendBindText(nil, "")
			_, err := w.Write(wire.AppendEmpty(wire.AppendExecute(b), wire.Sync))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := d.raw(t)
			r.SetDeadline(time.Now().Add(2 * patience))
			w := watchHeap(t)
			if err := send(r.Conn); err != nil {
				t.Fatal(err)
			}
			_, rows, err := drain(r.Conn, 1, 0, nil)
			if err != nil || rows != 1 {
				t.Fatalf("%d rows, %v", rows, err)
			}
			w.wantFlat(t, 3*few) // of a Parse up to 4 MB are kept until it is known to be longer
			r.Close()
			d.atRest(t)
		})
	}
}

func sendLong(w io.Writer, typ byte, head, tail string, size int, filler []byte) error {
	header := binary.BigEndian.AppendUint32([]byte{typ}, uint32(4+size))
	if _, err := io.WriteString(w, string(header)+head); err != nil {
		return err
	}
	for left := size - len(head) - len(tail); left > 0; {
		n, err := w.Write(filler[:min(left, len(filler))])
		if err != nil {
			return err
		}
		left -= n
	}
	_, err := io.WriteString(w, tail)
	return err
}

// testWriterThatNeverReads fills both directions: what it sent is answered when
// it reads at last, and meanwhile it is not read without bound.
func testWriterThatNeverReads(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	r, other := d.raw(t), d.raw(t)
	r.SetDeadline(time.Now().Add(2 * patience))
	const queries = 20_000
	var b []byte
	for range queries {
		b = append(b, wire.AppendString(nil, wire.Query, "select repeat('x', 1000)")...)
	}

	failed := make(chan error, 1)
	go func() {
		_, err := r.Conn.Write(b)
		failed <- err
	}()
	d.await(t, "a busy server", func(p router.PoolStats) bool { return p.ServersActive == 1 })
	w := watchHeap(t)
	for range 500 {
		other.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	}
	w.wantFlat(t, few)
	if _, rows, err := drain(r.Conn, queries, 0, nil); err != nil || rows != queries {
		t.Fatalf("%d rows, %v", rows, err)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}
