package store_test

import (
	"errors"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"howdah/backup/store"
)

// FuzzCheckKey holds what CheckKey lets through against what drivers do with it.
func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"", "a", "a/b", "/a", "a/", "a//b", ".", "..", "a/../b", "a/..", "...", ".a", "a\x00", "\xff", "日本/語", strings.Repeat("k", 201), strings.Repeat("kk/", 300) + "k"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		err := store.CheckKey(key)
		clean := key != "" && path.Clean("/"+key) == "/"+key && utf8.ValidString(key)
		long := len(key) > 900
		for part := range strings.SplitSeq(key, "/") {
			long = long || len(part) > 200
		}
		switch {
		case err != nil && !errors.Is(err, store.ErrInvalid):
			t.Errorf("%q: %v is not ErrInvalid", key, err)
		case err == nil && (!clean || long || strings.ContainsAny(key, "\x00\n\r\x7f")):
			t.Errorf("%q is let through", key)
		case err != nil && clean && !long && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r >= 0x7f }):
			t.Errorf("%q is refused: %v", key, err)
		}
		if err == nil && (store.CheckPrefix(key) != nil || store.CheckPrefix(key+"/") != nil) {
			t.Errorf("%q is no prefix", key)
		}
	})
}

func TestKeyErrorIsShort(t *testing.T) {
	if err := store.CheckKey(strings.Repeat("k", 1<<20)); err == nil || len(err.Error()) > 300 {
		t.Errorf("%d bytes of error", len(err.Error()))
	}
}
