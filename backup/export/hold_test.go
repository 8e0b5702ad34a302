package export_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"howdah/backup/export"
	"howdah/backup/store"
)

func TestHold(t *testing.T) {
	h := newHouse(t)
	m := h.make(h.about("acme", noon), 3000)
	hold := export.Hold{ID: m.ID, Reason: "case 4711", By: "anna", Since: noon}
	if err := h.PutHold(t.Context(), hold); err != nil {
		t.Fatal(err)
	}
	if all, err := h.Holds(t.Context()); err != nil || len(all) != 1 || all[m.ID].Reason != "case 4711" || !all[m.ID].Since.Equal(noon) {
		t.Errorf("%+v, %v", all, err)
	}
	h.wantHeld(m)
	key := "exports/holds/" + m.ID
	if err := h.Store.Put(t.Context(), key, []byte("{}"), nil); err != nil { // one that cannot be read holds too
		t.Fatal(err)
	}
	if all, err := h.Holds(t.Context()); !errors.Is(err, store.ErrDamaged) || all[m.ID] == nil {
		t.Errorf("%+v, %v", all, err)
	}
	h.wantHeld(m)
	if err := h.Release(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.PutHold(t.Context(), hold); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what is not there is held: %v", err)
	}
	hold.ID, hold.Reason = h.make(h.about("acme", noon), 10).ID, strings.Repeat("x", 64<<10)
	if err := h.PutHold(t.Context(), hold); err == nil {
		t.Error("a hold has any reason")
	}
}

// wantHeld sees to it that an export cannot be removed, and loses nothing by the attempt.
func (h *house) wantHeld(m *export.Manifest) {
	h.Helper()
	if err := h.Remove(h.Context(), m.ID); !errors.Is(err, export.ErrHeld) {
		h.Errorf("it is removed: %v", err)
	}
	if _, err := h.Verify(h.Context(), m.ID, nil); err != nil {
		h.Error(err)
	}
}

// A hold that is put while the export is being removed either holds, or fails.
func TestHoldWhileItIsRemoved(t *testing.T) {
	for _, before := range []bool{true, false} {
		h := newHouse(t)
		m := h.make(h.about("acme", noon), 3000)
		real, held := h.Store, error(nil)
		hold := func() {
			h.Store = real
			held = h.PutHold(t.Context(), export.Hold{ID: m.ID, Since: noon})
		}
		h.Store = &meanwhile{Store: real, before: before, do: hold}
		err := h.Remove(t.Context(), m.ID)
		h.Store = real
		if before {
			if held != nil || !errors.Is(err, export.ErrHeld) {
				t.Errorf("held: %v, removed: %v", held, err)
			}
			h.wantHeld(m)
		} else if held == nil {
			t.Error("it is held when it is gone")
		}
	}
}

// meanwhile has something be done when a manifest is replaced.
type meanwhile struct {
	store.Store
	before bool
	do     func()
}

func (s *meanwhile) Put(ctx context.Context, key string, data []byte, meta map[string]string) error {
	if s.before {
		s.do()
	}
	err := s.Store.Put(ctx, key, data, meta)
	if !s.before {
		s.do()
	}
	return err
}

// noHolds is a store whose holds cannot be listed.
type noHolds struct{ store.Store }

func (s noHolds) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	if strings.HasPrefix(prefix, "exports/holds/") {
		return func(yield func(store.Info, error) bool) { yield(store.Info{}, errors.New("no permission")) }
	}
	return s.Store.List(ctx, prefix)
}

// Where nobody knows whether an export is held, it is told as if it were.
func TestListAllWithoutHolds(t *testing.T) {
	h := newHouse(t)
	h.make(h.about("acme", noon), 10)
	all, err := export.ListAll(t.Context(), []*export.Place{h.Place}, "")
	if err != nil || len(all) != 1 || all[0].Held != nil {
		t.Errorf("%+v, %v", all, err)
	}
	h.Store = noHolds{h.Store}
	all, err = export.ListAll(t.Context(), []*export.Place{h.Place}, "")
	if err == nil || len(all) != 1 || all[0].Held == nil || !strings.Contains(all[0].Held.Reason, "no permission") {
		t.Errorf("%+v, %v", all, err)
	}
}
