package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"howdah/backup/store"
)

// overwriting is a server that ignores If-None-Match.
type overwriting struct{ store.Store }

func (o overwriting) PutIfAbsent(ctx context.Context, key string, data []byte, meta map[string]string) error {
	return o.Put(ctx, key, data, meta)
}

func TestCheckPutIfAbsent(t *testing.T) {
	where := madeDir(t)
	d := openDir(t, where)
	if err := store.CheckPutIfAbsent(t.Context(), d); err != nil {
		t.Error(err)
	}
	if err := store.CheckPutIfAbsent(t.Context(), overwriting{d}); !errors.Is(err, store.ErrNotExclusive) {
		t.Errorf("of a store that overwrites: %v, want ErrNotExclusive", err)
	}
	if left := slices.Concat(filesIn(t, where, "objects"), filesIn(t, where, "tmp")); len(left) > 0 {
		t.Errorf("it has left %q", left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.CheckPutIfAbsent(ctx, d); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}
