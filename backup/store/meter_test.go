package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"howdah/backup/store"
)

func TestMeterCounts(t *testing.T) {
	where := makeDir(t, t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		broken := false
		m := &store.Meter{Counts: &store.Counts{}, Store: &faulty{Store: openDir(t, where), before: func(context.Context, string) error {
			time.Sleep(50 * time.Millisecond)
			if broken {
				return errNetwork
			}
			return nil
		}}}
		for i := range 3 {
			broken = i == 1
			errs := []error{m.Put(t.Context(), "k", []byte("0123456789"), nil), m.Delete(t.Context(), "none")}
			_, err := m.Stat(t.Context(), "k")
			errs = append(errs, err, wantRead(t.Context(), m, "k", "0123456789"), wantListed(t.Context(), m, "", "k"))
			w, err := m.Create(t.Context(), "k", nil)
			errs = append(errs, err)
			if err == nil {
				_, err := w.Write([]byte("0123456789"))
				errs = append(errs, err, w.Close())
				w.Abort()
			}
			for _, err := range errs {
				if broken != errors.Is(err, errNetwork) {
					t.Errorf("round %d: %v", i, err)
				}
			}
		}
		if err := m.PutIfAbsent(t.Context(), "k", nil, nil); !errors.Is(err, store.ErrExists) {
			t.Error(err)
		}
		if _, err := m.Stat(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		s := m.Counts.Stats()
		for name, c := range map[string]struct {
			got          store.CallStats
			calls, bytes uint64
			took         time.Duration
		}{
			"Put":    {s.Put, 4, 20, 200 * time.Millisecond},
			"Stream": {s.Stream, 3, 20, 350 * time.Millisecond}, // Create, Write, Close
			"Get":    {s.Get, 3, 20, 150 * time.Millisecond},
			"Stat":   {s.Stat, 4, 0, 200 * time.Millisecond},
			"List":   {s.List, 3, 0, 250 * time.Millisecond}, // a list and its page
			"Delete": {s.Delete, 3, 0, 150 * time.Millisecond},
		} {
			if c.got.Calls != c.calls || c.got.Failed != 1 || c.got.Bytes != c.bytes || c.got.Took != c.took {
				t.Errorf("%s: %+v, want %d calls of which 1 failed, %d bytes, %v", name, c.got, c.calls, c.bytes, c.took)
			}
			within := c.got.Within
			if last := within[len(within)-1]; last != c.calls || within[0] != 0 {
				t.Errorf("%s: within %v: %v", name, store.LatencyBounds(), within)
			}
		}
		if s.LastWritten.IsZero() || s.LastRefused.IsZero() || !s.LastWritten.Before(s.LastSuccess) || !s.LastRefused.Before(s.LastWritten) {
			t.Errorf("last written at %v, refused at %v; the last success is of %v", s.LastWritten, s.LastRefused, s.LastSuccess)
		}
		if age, failure := time.Since(s.LastSuccess), s.LastSuccess.Sub(s.LastFailure); age != 0 || failure < time.Second/20 || failure > time.Second {
			t.Errorf("the last success is %v ago, %v after the last failure", age, failure)
		}
		time.Sleep(time.Second)
		given, giveUp := context.WithCancel(t.Context())
		giveUp()
		broken = true
		m.Put(given, "k", nil, nil) // nobody waits for it: no failure
		if after := m.Counts.Stats(); after.LastFailure != s.LastFailure || after.LastSuccess != s.LastSuccess || after.Put.Failed != s.Put.Failed {
			t.Errorf("given up: %+v", after)
		}
		if _, err := m.Counts.Open(t.Context(), func() (store.Store, error) { return store.OpenDir("none") }); err == nil {
			t.Error("what is not there was opened")
		}
		if after := m.Counts.Stats(); after.LastFailure.Before(after.LastSuccess) || after.Open.Failed != 1 || after.LastSuccess != s.LastSuccess || after.LastRefused != after.LastFailure || after.LastWritten != s.LastWritten {
			t.Errorf("not opened: %+v", after)
		}
		refused := m.Counts.Stats().LastRefused
		time.Sleep(time.Second)
		for _, err := range m.List(t.Context(), "") {
			if !errors.Is(err, errNetwork) {
				t.Error(err)
			}
		}
		broken = false
		if err := wantListed(t.Context(), m, "", "k"); err != nil {
			t.Error(err)
		}
		if after := m.Counts.Stats(); after.LastRefused != refused || after.LastWritten != s.LastWritten {
			t.Errorf("reading is taken for writing: %+v", after)
		}
	})
}
