package storetest

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"

	"howdah/backup/store"
)

// begin starts a stream and writes some of it.
func begin(t *testing.T, s store.Store, key, data string) store.Writer {
	t.Helper()
	w, err := s.Create(t.Context(), key, map[string]string{"by": "stream"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Abort)
	if n, err := w.Write([]byte(data)); n != len(data) || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
	return w
}

func testStreamShowsWhenClosed(t *testing.T, d driver) {
	s := d.store(t)
	w := begin(t, s, "a/k", "hello, ")
	wantAbsent(t, s, "a/k")
	wantKeys(t, s, "")
	if _, err := io.WriteString(w, "world"); err != nil {
		t.Fatal(err)
	}
	wantAbsent(t, s, "a/k")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantObject(t, d.store(t), "a/k", "hello, world", map[string]string{"by": "stream"})
	wantKeys(t, s, "", "a/k")
	if err := begin(t, s, "empty", "").Close(); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, "empty", "", map[string]string{"by": "stream"})
}

func testStreamReplacesWhenClosed(t *testing.T, d driver) {
	s := d.store(t)
	put(t, s, "k", "old", map[string]string{"old": "1"})
	w := begin(t, s, "k", "new")
	wantObject(t, s, "k", "old", map[string]string{"old": "1"})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantObject(t, s, "k", "new", map[string]string{"by": "stream"})
}

func testAbortLeavesNothing(t *testing.T, d driver) {
	s := d.store(t)
	begin(t, s, "a/new", strings.Repeat("x", 1<<20)).Abort()
	wantAbsent(t, s, "a/new")
	put(t, s, "old", "old", nil)
	begin(t, s, "old", "new").Abort()
	wantObject(t, s, "old", "old", nil)
	wantKeys(t, s, "", "old")
}

func testStreamEndsOnce(t *testing.T, d driver) {
	s := d.store(t)
	w := begin(t, s, "closed", "x")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantOver(t, "closed", w)
	w.Abort()
	wantObject(t, s, "closed", "x", map[string]string{"by": "stream"})
	w = begin(t, s, "aborted", "x")
	w.Abort()
	wantOver(t, "aborted", w)
	w.Abort()
	wantAbsent(t, s, "aborted")
}

func wantOver(t *testing.T, how string, w store.Writer) {
	t.Helper()
	if _, err := w.Write([]byte("more")); err == nil {
		t.Errorf("Write to a stream that is %s succeeds", how)
	}
	if err := w.Close(); err == nil {
		t.Errorf("Close of a stream that is %s succeeds", how)
	}
}

const (
	bigBlocks = 100
	bigBlock  = 1 << 20
	bigMemory = 80 << 20 // less than the object, enough for a part of an upload
)

func testBigObject(t *testing.T, d driver) {
	s := d.store(t)
	before := heap()
	w := begin(t, s, "big", "")
	block := bytes.Repeat([]byte("howdah! "), bigBlock/8)
	for i := range bigBlocks {
		binary.BigEndian.PutUint64(block, uint64(i))
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
		wantSmall(t, "writing", i, before)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, info, err := s.Get(t.Context(), "big", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if info.Size != bigBlocks*bigBlock {
		t.Fatalf("it has %d bytes, want %d", info.Size, bigBlocks*bigBlock)
	}
	got := make([]byte, bigBlock)
	for i := range bigBlocks {
		binary.BigEndian.PutUint64(block, uint64(i))
		if _, err := io.ReadFull(r, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, block) {
			t.Fatalf("block %d is not what was written", i)
		}
		wantSmall(t, "reading", i, before)
	}
	if n, err := r.Read(got); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// wantSmall looks at the memory now and then.
func wantSmall(t *testing.T, what string, i int, before uint64) {
	t.Helper()
	if i%20 == 19 {
		if now := heap(); now > before+bigMemory {
			t.Fatalf("%s block %d takes %d MiB", what, i, (now-before)>>20)
		}
	}
}

// heap is how much memory is in use once the garbage is gone.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
