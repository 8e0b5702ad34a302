package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"howdah/backup/store"
)

func testOddKeys(t *testing.T, d driver) {
	s := d.store(t)
	long := strings.Repeat(strings.Repeat("p", 179)+"/", 5)
	keys := []string{
		"a b", " a", "a ", "a+b", "a%2Fb", "a%b", "a?b=c", "a#b", "a&b;c", `a\b`, `a"b'c`, "a<b>", "a:b", "*", "~", "-", "=",
		"...", "....", "a..b", "..a", ".a", "a.", "x/.../y", "x/.hidden", "tmp/x", "objects/x", "lost+found/x",
		"é", "e\u0301", "日本語/テナント", "🐘", "\u202eodd", "a\u00a0b", "A", "a",
		strings.Repeat("k", 200), long[:900-1] + "k", strings.Repeat("日", 66),
	}
	for i, key := range keys {
		put(t, s, key, fmt.Sprint("object ", i), nil)
	}
	for i, key := range keys {
		wantObject(t, s, key, fmt.Sprint("object ", i), nil)
		wantKeys(t, s, key, withPrefix(keys, key)...)
	}
	wantKeys(t, s, "", withPrefix(keys, "")...)
	for _, key := range keys {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete(%q): %v", key, err)
		}
	}
	wantKeys(t, s, "")
}

func withPrefix(keys []string, prefix string) []string {
	var with []string
	for _, key := range keys {
		if strings.HasPrefix(key, prefix) {
			with = append(with, key)
		}
	}
	slices.Sort(with)
	return with
}

func testInvalidNames(t *testing.T, d driver) {
	s := d.store(t)
	for _, key := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\x00b", "a\nb", "\xff", "a\ufffe", strings.Repeat("k", 201)} {
		for call, err := range everyCall(t.Context(), s, key, nil) {
			if !errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s(%q): %v, want ErrInvalid", call, key, err)
			}
		}
	}
	wantKeys(t, s, "")
}

// everyCall returns what each method says to a key and, if it stores, to meta.
func everyCall(ctx context.Context, s store.Store, key string, meta map[string]string) map[string]error {
	w, createErr := s.Create(ctx, key, meta)
	if createErr == nil {
		w.Abort()
	}
	errs := map[string]error{
		"Put":         s.Put(ctx, key, []byte("x"), meta),
		"PutIfAbsent": s.PutIfAbsent(ctx, key, []byte("x"), meta),
		"Create":      createErr,
	}
	if meta == nil {
		_, _, errs["Get"] = get(ctx, s, key, 0, -1)
		_, errs["Stat"] = s.Stat(ctx, key)
		errs["Delete"] = s.Delete(ctx, key)
	}
	return errs
}

func testMetadata(t *testing.T, d driver) {
	s := d.store(t)
	most := map[string]string{"a": strings.Repeat("&", 1000), "b-2": strings.Repeat("x", 1044)}
	put(t, s, "most", "x", most)
	wantObject(t, s, "most", "x", most)
	for _, meta := range []map[string]string{
		{"": "x"},
		{"a": ""},
		{"A": "x"},
		{"a b": "x"},
		{"a_b": "x"},
		{"é": "x"},
		{"a": "é"},
		{"a": "x\n"},
		{"a": "x\x00y"},
		{"a": " x"},
		{"a": "x "},
		{"a": strings.Repeat("x", 2048)},
	} {
		for call, err := range everyCall(t.Context(), s, "k", meta) {
			if !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%s with metadata %.40q: %v, want ErrInvalid", call, fmt.Sprint(meta), err)
			}
		}
	}
	wantKeys(t, s, "", "most")
}
