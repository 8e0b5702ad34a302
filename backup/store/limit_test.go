package store_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"howdah/backup/store"
)

func TestLimitKeepsItsRate(t *testing.T) {
	where := makeDir(t, t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		const second = 1 << 20
		s := &store.Limit{Store: openDir(t, where), Rates: store.NewRates(second, 2*second)}
		took := func(what string, want time.Duration, do func() error) {
			t.Helper()
			time.Sleep(time.Second) // so that what was saved up is the same each time
			begun := time.Now()
			if err := do(); err != nil {
				t.Fatal(err)
			}
			// A quarter of a mebibyte needs no waiting.
			if d := time.Since(begun); d > want || d < want-want/5 {
				t.Errorf("%s takes %v, want %v", what, d, want)
			}
		}
		data := make([]byte, 8*second)
		took("Put", 4*time.Second, func() error { return s.Put(t.Context(), "k", data, nil) })
		took("PutIfAbsent", 4*time.Second, func() error { return s.PutIfAbsent(t.Context(), "new", data, nil) })
		took("a stream", 4*time.Second, func() error {
			w, err := s.Create(t.Context(), "k", nil)
			if err != nil {
				return err
			}
			defer w.Abort()
			_, err = w.Write(data)
			return errors.Join(err, w.Close())
		})
		took("Get", 8*time.Second, func() error {
			r, _, err := s.Get(t.Context(), "k", 0, -1)
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			return err
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Put(ctx, "late", data, nil); err == nil {
			t.Error("what takes longer than it may is stored")
		}
		wantListed := wantListed(t.Context(), s, "", "k", "new")
		if wantListed != nil {
			t.Error(wantListed)
		}
	})
}
