package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"howdah/backup/store"
)

// testListPastAPage lists more than the 1,000 keys that S3 gives at a time.
func testListPastAPage(t *testing.T, d driver) {
	s := d.store(t)
	const n = 2500
	want := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		want[i] = fmt.Sprintf("wal/%03d/%d", i%7, i)
	}
	for part := range slices.Chunk(want, n/64+1) {
		all.Go(func() {
			for _, key := range part {
				if err := s.Put(t.Context(), key, []byte(key), map[string]string{"n": "1"}); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	all.Wait()
	slices.Sort(want)
	var keys []string
	for info, err := range s.List(t.Context(), "wal/") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
		if info.Size != int64(len(info.Key)) || info.Time.IsZero() || info.Version == "" || info.Meta != nil {
			t.Fatalf("List says %+v", info)
		}
	}
	if !slices.Equal(keys, want) {
		t.Errorf("List yields %d keys, want %d in order", len(keys), n)
	}
}

func testListByPrefix(t *testing.T, d driver) {
	s := d.store(t)
	wantKeys(t, s, "")
	all := []string{"a-b", "a.b/c", "a/b", "a/b-c/d", "a/b0/d", "a0", "aa/b", "b/a", "z"}
	for _, key := range slices.Backward(all) {
		put(t, s, key, "x", nil)
	}
	wantKeys(t, s, "", all...)
	wantKeys(t, s, "a", "a-b", "a.b/c", "a/b", "a/b-c/d", "a/b0/d", "a0", "aa/b")
	wantKeys(t, s, "a/", "a/b", "a/b-c/d", "a/b0/d")
	wantKeys(t, s, "a/b", "a/b", "a/b-c/d", "a/b0/d")
	wantKeys(t, s, "a/b-", "a/b-c/d")
	wantKeys(t, s, "a/b-c/d", "a/b-c/d")
	wantKeys(t, s, "a/b-c/d/")
	wantKeys(t, s, "a.", "a.b/c")
	wantKeys(t, s, "none")
	wantKeys(t, s, "none/none/")
	for _, prefix := range []string{"/", "/a", "../", "a/../b", "a//b"} {
		var info store.Info
		var err error
		for info, err = range s.List(t.Context(), prefix) {
		}
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("List(%q) ends with %+v, %v, want ErrInvalid", prefix, info, err)
		}
	}
}

func testListStops(t *testing.T, d driver) {
	s := d.store(t)
	for _, key := range []string{"a/1", "a/2", "b/1", "b/2"} {
		put(t, s, key, "x", nil)
	}
	var keys []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if keys = append(keys, info.Key); len(keys) == 2 {
			break
		}
	}
	if !slices.Equal(keys, []string{"a/1", "a/2"}) {
		t.Errorf("a list that is left yields %q", keys)
	}
	// Which keys have come with the same page may come still, but no end without
	// an error.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, last = range s.List(ctx, "") {
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("a list that is cancelled ends with %v", last)
	}
}
