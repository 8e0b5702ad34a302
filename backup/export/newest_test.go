package export_test

import (
	"context"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"howdah/backup/export"
	"howdah/backup/store"
)

// readStore counts what is read of manifests.
type readStore struct {
	store.Store
	reads int
}

func (r *readStore) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, store.Info, error) {
	if strings.Contains(key, "manifests") {
		r.reads++
	}
	return r.Store.Get(ctx, key, offset, length)
}

func TestNewest(t *testing.T) {
	h := newHouse(t)
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	export1 := func(tenant, uuid string, after time.Duration) *export.Manifest {
		m := h.about(tenant, at.Add(after))
		m.TenantID = uuid
		return h.make(m, 1<<20)
	}
	export1("acme", "u1", 0)
	export1("acme", "u1", time.Hour)
	last := export1("acme", "u1", 2*time.Hour)
	export1("acme.old", "u2", 3*time.Hour)
	export1("renamed", "u2", 4*time.Hour)
	export1("ofthefile", "", time.Minute)
	counted := &readStore{Store: h.Store}
	place := &export.Place{Store: counted, Sealer: h.Sealer}
	var n export.Newest
	want := map[string]time.Time{"u1": at.Add(2 * time.Hour), "u2": at.Add(4 * time.Hour), "ofthefile": at.Add(time.Minute)}
	for range 2 {
		if got, err := n.Read(t.Context(), place); err != nil || !maps.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("the newest are %v, %v; want %v", got, err, want)
		}
		if counted.reads > 4 {
			t.Errorf("%d manifests were read", counted.reads)
		}
	}
	elsewhere := newHouse(t)
	m := elsewhere.about("acme", at.Add(5*time.Hour))
	m.TenantID = "u1"
	elsewhere.make(m, 1<<20)
	both := map[string]time.Time{"u1": at.Add(5 * time.Hour), "u2": want["u2"], "ofthefile": want["ofthefile"]}
	if got, err := n.Read(t.Context(), place, elsewhere.Place); err != nil || !maps.EqualFunc(got, both, time.Time.Equal) {
		t.Errorf("the newest of two places are %v, %v; want %v", got, err, both)
	}
	if err := h.Remove(t.Context(), last.ID); err != nil {
		t.Fatal(err)
	}
	want["u1"] = at.Add(time.Hour)
	if got, err := n.Read(t.Context(), place); err != nil || !maps.EqualFunc(got, want, time.Time.Equal) {
		t.Errorf("without one: %v, %v; want %v", got, err, want)
	}
}
