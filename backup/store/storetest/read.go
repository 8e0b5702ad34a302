package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"howdah/backup/store"
)

func testRanges(t *testing.T, d driver) {
	s := d.store(t)
	put(t, s, "k", "0123456789", map[string]string{"n": "1"})
	put(t, s, "empty", "", nil)
	tests := []struct {
		key            string
		offset, length int64
		want           string // "!" = ErrInvalid
	}{
		{"k", 0, -1, "0123456789"},
		{"k", 0, 4, "0123"},
		{"k", 3, 4, "3456"},
		{"k", 3, -1, "3456789"},
		{"k", 9, 1, "9"},
		{"k", 8, 100, "89"},
		{"k", 3, 0, ""},
		{"k", -4, -1, "6789"},
		{"k", -4, 2, "67"},
		{"k", -10, -1, "0123456789"},
		{"k", -11, -1, "0123456789"},
		{"k", -100, 3, "012"},
		{"k", 10, -1, "!"},
		{"k", 10, 1, "!"},
		{"k", 11, -1, "!"},
		{"k", 1 << 40, 5, "!"},
		{"empty", 0, -1, ""},
		{"empty", 0, 5, ""},
		{"empty", -5, -1, ""},
		{"empty", 1, -1, "!"},
	}
	for _, test := range tests {
		data, info, err := get(t.Context(), s, test.key, test.offset, test.length)
		switch {
		case test.want == "!":
			if !errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrNotFound) {
				t.Errorf("Get(%q, %d, %d): %q, %v, want ErrInvalid", test.key, test.offset, test.length, data, err)
			}
		case err != nil:
			t.Errorf("Get(%q, %d, %d): %v", test.key, test.offset, test.length, err)
		case string(data) != test.want:
			t.Errorf("Get(%q, %d, %d) = %q, want %q", test.key, test.offset, test.length, data, test.want)
		case test.key == "k" && (info.Size != 10 || info.Meta["n"] != "1" || info.Key != "k"):
			t.Errorf("Get(%q, %d, %d) says %+v of the object", test.key, test.offset, test.length, info)
		}
	}
	if _, _, err := get(t.Context(), s, "none", 5, 5); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a range of nothing: %v, want ErrNotFound", err)
	}
}

// testReadersSeeOneVersion reads an object while it is replaced by others of
// other lengths: a reader may fail, but must never see two of them in one.
func testReadersSeeOneVersion(t *testing.T, d driver) {
	s := d.store(t)
	version := func(i int) (string, map[string]string) {
		return strings.Repeat(string(rune('a'+i%26)), 100_000+i*7919%200_000), map[string]string{"version": strconv.Itoa(i)}
	}
	data, meta := version(0)
	put(t, s, "k", data, meta)
	var writer, readers sync.WaitGroup
	stop := make(chan struct{})
	var whole, seen [4]int
	for n := range 4 {
		readers.Go(func() {
			last := ""
			for more := true; more; {
				select {
				case <-stop:
					more = false
				default:
				}
				got, info, err := readSlowly(t.Context(), s)
				if err != nil {
					if errors.Is(err, store.ErrNotFound) {
						t.Errorf("the object was gone: %v", err)
					}
					continue
				}
				i, _ := strconv.Atoi(info.Meta["version"])
				if want, _ := version(i); string(got) != want || info.Size != int64(len(want)) {
					t.Errorf("read %d bytes that are not version %d, of %d", len(got), i, len(want))
				}
				whole[n]++
				if info.Meta["version"] != last {
					seen[n]++
					last = info.Meta["version"]
				}
			}
		})
	}
	writer.Go(func() {
		for i := range 60 {
			data, meta := version(i + 1)
			if err := s.Put(t.Context(), "k", []byte(data), meta); err != nil {
				t.Errorf("replace: %v", err)
			}
		}
	})
	writer.Wait()
	close(stop)
	readers.Wait()
	for n := range whole {
		if whole[n] == 0 || seen[n] < 2 {
			t.Errorf("reader %d has read %d versions whole, %d different in a row", n, whole[n], seen[n])
		}
	}
}

func readSlowly(ctx context.Context, s store.Store) ([]byte, store.Info, error) {
	r, info, err := s.Get(ctx, "k", 0, -1)
	if err != nil {
		return nil, info, err
	}
	defer r.Close()
	var all bytes.Buffer
	for {
		_, err := io.CopyN(&all, r, 32<<10)
		if err == io.EOF {
			return all.Bytes(), info, nil
		}
		if err != nil {
			return nil, info, err
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func testCancelledCalls(t *testing.T, d driver) {
	s := d.store(t)
	put(t, s, "k", "x", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, getErr := get(ctx, s, "k", 0, -1)
	_, statErr := s.Stat(ctx, "k")
	_, createErr := s.Create(ctx, "new", nil)
	var listErr error
	for _, listErr = range s.List(ctx, "") {
	}
	calls := map[string]error{
		"Put":         s.Put(ctx, "new", []byte("x"), nil),
		"PutIfAbsent": s.PutIfAbsent(ctx, "new", []byte("x"), nil),
		"Create":      createErr,
		"Get":         getErr,
		"Stat":        statErr,
		"List":        listErr,
		"Delete":      s.Delete(ctx, "k"),
	}
	for call, err := range calls {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", call, err)
		}
	}
	wantKeys(t, s, "", "k")
}

func testCancelledStreams(t *testing.T, d driver) {
	s := d.store(t)
	put(t, s, "k", strings.Repeat("x", 1<<22), nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err := s.Get(ctx, "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	writers := make(map[string]store.Writer)
	for _, key := range []string{"written", "closed"} {
		if writers[key], err = s.Create(ctx, key, nil); err != nil {
			t.Fatal(err)
		}
		defer writers[key].Abort()
		if _, err := io.WriteString(writers[key], "x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("reading on: %v", err)
	}
	if _, err := writers["written"].Write(make([]byte, 1<<20)); !errors.Is(err, context.Canceled) {
		t.Errorf("writing on: %v", err)
	}
	for key, w := range writers {
		if err := w.Close(); !errors.Is(err, context.Canceled) {
			t.Errorf("Close of %q: %v", key, err)
		}
		wantAbsent(t, s, key)
	}
	wantKeys(t, s, "", "k")
}
