package repository_test

import (
	"errors"
	"strings"
	"testing"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store/storetest"
)

func TestRepositoryIsOneClusters(t *testing.T) {
	d := storetest.NewDir(t)
	r := &repository.Repository{Store: d, Cluster: "main"}
	if _, err := r.Identity(t.Context()); !errors.Is(err, repository.ErrEmpty) {
		t.Errorf("nobody's repository: %v", err)
	}
	s := replication.Server{System: "7", Major: 15, Segment: 16 << 20, Timeline: 1}
	first, err := r.Claim(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	s.Timeline = 3
	again, err := r.Claim(t.Context(), s)
	if err != nil || *again != *first {
		t.Errorf("the same cluster: %+v, %v", again, err)
	}
	for _, other := range []replication.Server{
		{System: "8", Major: 15, Segment: 16 << 20},
		{System: "7", Major: 16, Segment: 16 << 20},
		{System: "7", Major: 15, Segment: 1 << 20},
	} {
		if _, err := r.Claim(t.Context(), other); !errors.Is(err, repository.ErrForeign) {
			t.Errorf("%+v: %v", other, err)
		}
	}
	if there, err := r.Identity(t.Context()); err != nil || *there != *first {
		t.Errorf("afterwards: %+v, %v", there, err)
	}
}

func TestRepositoryThatCannotBeRead(t *testing.T) {
	d := storetest.NewDir(t)
	r := &repository.Repository{Store: d, Cluster: "main"}
	for text, want := range map[string]string{
		"{}": "does not say whose", "x": "does not say whose",
		`{"format": 2, "system_identifier": "7", "major": 15, "wal_segment_size": 16777216}`: "use a newer one",
	} {
		if err := d.Put(t.Context(), r.Key("identity"), []byte(text), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Identity(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	r.Cluster = "a/b"
	if _, err := r.Claim(t.Context(), replication.Server{}); err == nil || !strings.Contains(err.Error(), "slash") {
		t.Errorf("a name with a slash: %v", err)
	}
}
