package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"howdah/backup/store"
)

// driver is what is tested, and where.
type driver struct {
	open  func(t *testing.T, where string) store.Store
	where string // of the subtest's own store
}

// Run tests a driver. Of it, create makes an empty store of the test's own and
// says where it is: a directory, a URL. What open returns for the same place is
// the same store, in this process and in another: one test runs the test that
// calls Run again in a child process, which only opens. What that test does
// before it calls Run, the child does too.
func Run(t *testing.T, create func(t *testing.T) string, open func(t *testing.T, where string) store.Store) {
	if where := os.Getenv(childWhere); where != "" {
		writeForEver(t, open(t, where))
		return
	}
	tests := []struct {
		name string
		run  func(*testing.T, driver)
	}{
		{"PutIsGot", testPutIsGot},
		{"PutReplacesAll", testPutReplacesAll},
		{"AbsentIsNotFound", testAbsentIsNotFound},
		{"DeleteRemoves", testDeleteRemoves},
		{"PutIfAbsentRefuses", testPutIfAbsentRefuses},
		{"PutIfAbsentHasOneWinner", testPutIfAbsentHasOneWinner},
		{"PutKeepsNothingOfTheCallers", testPutKeepsNothingOfTheCallers},
		{"StreamShowsWhenClosed", testStreamShowsWhenClosed},
		{"StreamReplacesWhenClosed", testStreamReplacesWhenClosed},
		{"AbortLeavesNothing", testAbortLeavesNothing},
		{"StreamEndsOnce", testStreamEndsOnce},
		{"BigObjectNeedsLittleMemory", testBigObject},
		{"KilledWriterLeavesNothing", testKilledWriter},
		{"Ranges", testRanges},
		{"ReadersSeeOneVersion", testReadersSeeOneVersion},
		{"CancelledCallsEnd", testCancelledCalls},
		{"CancelledStreamsEnd", testCancelledStreams},
		{"ListPastAPage", testListPastAPage},
		{"ListByPrefix", testListByPrefix},
		{"ListStops", testListStops},
		{"OddKeys", testOddKeys},
		{"InvalidNames", testInvalidNames},
		{"Metadata", testMetadata},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.run(t, driver{open, create(t)})
		})
	}
}

func (d driver) store(t *testing.T) store.Store {
	t.Helper()
	return d.open(t, d.where)
}

func put(t *testing.T, s store.Store, key, data string, meta map[string]string) {
	t.Helper()
	if err := s.Put(t.Context(), key, []byte(data), meta); err != nil {
		t.Fatal(err)
	}
}

// get returns what Get gives, or the first error of opening and reading.
func get(ctx context.Context, s store.Store, key string, offset, length int64) ([]byte, store.Info, error) {
	r, info, err := s.Get(ctx, key, offset, length)
	if err != nil {
		return nil, info, err
	}
	data, err := io.ReadAll(r)
	return data, info, errors.Join(err, r.Close())
}

// wantObject checks an object through Get and Stat.
func wantObject(t *testing.T, s store.Store, key, data string, meta map[string]string) {
	t.Helper()
	got, fromGet, err := get(t.Context(), s, key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte(data)) {
		t.Errorf("object %q has %d bytes %.40q, want %d: %.40q", key, len(got), got, len(data), data)
	}
	fromStat, err := s.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for from, info := range map[string]store.Info{"Get": fromGet, "Stat": fromStat} {
		if info.Key != key || info.Size != int64(len(data)) {
			t.Errorf("%s says key %q and %d bytes, want %q and %d", from, info.Key, info.Size, key, len(data))
		}
		if info.Version == "" || info.Version != fromStat.Version {
			t.Errorf("%s says version %q, Stat %q", from, info.Version, fromStat.Version)
		}
		if !maps.Equal(info.Meta, meta) {
			t.Errorf("%s says metadata %v, want %v", from, info.Meta, meta)
		}
		if age := time.Since(info.Time); age < -time.Hour || age > time.Hour {
			t.Errorf("%s says it was stored %v ago", from, age)
		}
	}
}

// wantAbsent checks that nothing shows of an object.
func wantAbsent(t *testing.T, s store.Store, key string) {
	t.Helper()
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Stat(%q): %v, want ErrNotFound", key, err)
	}
	if _, _, err := get(t.Context(), s, key, 0, -1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get(%q): %v, want ErrNotFound", key, err)
	}
	if keys := list(t, s, ""); slices.Contains(keys, key) {
		t.Errorf("List yields %q, which is not there", key)
	}
}

func list(t *testing.T, s store.Store, prefix string) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func wantKeys(t *testing.T, s store.Store, prefix string, want ...string) {
	t.Helper()
	if got := list(t, s, prefix); !slices.Equal(got, want) {
		t.Errorf("List(%q) yields %q, want %q", prefix, got, want)
	}
}
