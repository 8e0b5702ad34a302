package store_test

import (
	"errors"
	"testing"

	"howdah/backup/store"
)

func TestPlain(t *testing.T) {
	d := openDir(t, madeDir(t))
	ctx := t.Context()
	put := func(key, text, summed string) {
		t.Helper()
		if err := d.Put(ctx, key, []byte(text), store.WithSum([]byte(summed))); err != nil {
			t.Fatal(err)
		}
	}
	put("whole", "howdah", "howdah")
	put("other", "howdah", "howdaH")
	if err := d.Put(ctx, "bare", []byte("howdah"), nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  string
		most int64
		err  error
	}{
		{"whole", -1, nil},
		{"whole", 6, nil},
		{"whole", 5, store.ErrDamaged},
		{"other", -1, store.ErrDamaged},
		{"bare", -1, store.ErrDamaged},
		{"none", -1, store.ErrNotFound},
	} {
		text, err := store.ReadPlain(ctx, d, c.key, c.most)
		if !errors.Is(err, c.err) || err == nil && string(text) != "howdah" {
			t.Errorf("%s, at most %d: %q, %v", c.key, c.most, text, err)
		}
	}
}
