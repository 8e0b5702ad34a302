package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"howdah/backup/store"
)

func testPutIsGot(t *testing.T, d driver) {
	s := d.store(t)
	put(t, s, "a/b/c", "hello", map[string]string{"sha256": "0a", "from": "a b <&> \"c\""})
	put(t, s, "empty", "", nil)
	put(t, s, "big", strings.Repeat("0123456789abcdef", 1<<16), nil)
	other := d.store(t)
	wantObject(t, other, "a/b/c", "hello", map[string]string{"sha256": "0a", "from": "a b <&> \"c\""})
	wantObject(t, other, "empty", "", nil)
	wantObject(t, other, "big", strings.Repeat("0123456789abcdef", 1<<16), nil)
}

func testPutReplacesAll(t *testing.T, d driver) {
	s := d.store(t)
	put(t, s, "k", "a long first version", map[string]string{"one": "1", "both": "1"})
	versions := map[string]bool{}
	for i := range 10 {
		put(t, s, "k", fmt.Sprint("version ", i), nil)
		info, err := s.Stat(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		versions[info.Version] = true
	}
	if len(versions) != 10 {
		t.Errorf("of 10 versions %d have a name", len(versions))
	}
	put(t, s, "k", "second", map[string]string{"two": "2", "both": "2"})
	wantObject(t, s, "k", "second", map[string]string{"two": "2", "both": "2"})
	put(t, s, "k", "", nil)
	wantObject(t, s, "k", "", nil)
}

func testAbsentIsNotFound(t *testing.T, d driver) {
	s := d.store(t)
	put(t, s, "folder/k", "x", nil)
	for _, key := range []string{"none", "folder", "folder/none", "folder/k/none", "none/none"} {
		wantAbsent(t, s, key)
		_, err := s.Stat(t.Context(), key)
		for _, other := range []error{store.ErrExists, store.ErrInvalid, store.ErrDamaged} {
			if errors.Is(err, other) {
				t.Errorf("Stat(%q) says %v, which is also %v", key, err, other)
			}
		}
	}
}

func testDeleteRemoves(t *testing.T, d driver) {
	s := d.store(t)
	put(t, s, "a/b/c", "1", nil)
	put(t, s, "a/d", "2", nil)
	for _, key := range []string{"a/b/c", "a/b/c", "a/b", "a", "none/none", "a/d/none"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete(%q): %v", key, err)
		}
	}
	wantAbsent(t, s, "a/b/c")
	wantObject(t, s, "a/d", "2", nil)
	put(t, s, "a/b/c", "again", nil)
	wantObject(t, s, "a/b/c", "again", nil)
}

func testPutIfAbsentRefuses(t *testing.T, d driver) {
	s := d.store(t)
	if err := s.PutIfAbsent(t.Context(), "k", []byte("first"), map[string]string{"n": "1"}); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"second", "first", ""} {
		if err := s.PutIfAbsent(t.Context(), "k", []byte(data), nil); !errors.Is(err, store.ErrExists) {
			t.Errorf("PutIfAbsent over an object: %v, want ErrExists", err)
		}
	}
	wantObject(t, s, "k", "first", map[string]string{"n": "1"})
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutIfAbsent(t.Context(), "k", []byte("third"), nil); err != nil {
		t.Errorf("PutIfAbsent after Delete: %v", err)
	}
	wantObject(t, s, "k", "third", nil)
	wantKeys(t, s, "", "k")
}

func testPutIfAbsentHasOneWinner(t *testing.T, d driver) {
	s := d.store(t)
	const racers = 16
	for round := range 8 {
		key := fmt.Sprintf("race/%d/k", round)
		var all sync.WaitGroup
		start := make(chan struct{})
		errs := make([]error, racers)
		for i := range racers {
			own := d.store(t)
			all.Go(func() {
				<-start
				mine := fmt.Sprintf("racer %d", i)
				errs[i] = own.PutIfAbsent(t.Context(), key, []byte(mine), map[string]string{"racer": mine})
			})
		}
		close(start)
		all.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Errorf("racers %d and %d have both won", winner, i)
			case !errors.Is(err, store.ErrExists):
				t.Errorf("racer %d: %v", i, err)
			}
		}
		if winner < 0 {
			t.Fatal("nobody has won")
		}
		mine := fmt.Sprintf("racer %d", winner)
		wantObject(t, s, key, mine, map[string]string{"racer": mine})
	}
}

func testPutKeepsNothingOfTheCallers(t *testing.T, d driver) {
	s := d.store(t)
	data, meta := []byte("before"), map[string]string{"n": "before"}
	if err := s.Put(t.Context(), "k", data, meta); err != nil {
		t.Fatal(err)
	}
	w, err := s.Create(t.Context(), "stream", meta)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	copy(data, "after!")
	meta["n"] = "after"
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := s.Stat(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	info.Meta["n"] = "changed"
	wantObject(t, s, "k", "before", map[string]string{"n": "before"})
	wantObject(t, s, "stream", "before", map[string]string{"n": "before"})
}
