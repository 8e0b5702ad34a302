package verify_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
	"howdah/backup/verify"
)

const mib = 1 << 20

// stored is a repository with whole segments of WAL, each of which was sampled, and base
// backups with nothing in their objects.
func stored(t *testing.T, segments []int, bases ...int) *house {
	t.Helper()
	h := &house{T: t, repo: &repository.Repository{Store: storetest.NewDir(t), Sealer: storetest.NewSealer(t), Cluster: "main"}}
	if _, err := h.repo.Claim(t.Context(), replication.Server{System: "7", Major: 15, Segment: mib}); err != nil {
		t.Fatal(err)
	}
	for _, i := range segments {
		at := time.Date(2026, 1, 31, i, 0, 0, 0, time.UTC)
		l := replication.LSN(i) * mib
		meta := map[string]string{"samples": fmt.Sprintf("%s@%x", l+mib/2, at.UnixMilli())}
		key := h.repo.Key("wal", "00000001", replication.SegmentName(1, l, mib))
		if _, err := h.repo.Sealer.PutIfAbsent(t.Context(), h.repo.Store, key, make([]byte, mib), meta); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range bases {
		at := time.Date(2026, 1, 31, i, 0, 0, 0, time.UTC)
		l := replication.LSN(i) * mib
		m := &base.Manifest{
			Format: 1, ID: at.Format("20060102T150405Z") + ".aaaaaa", Cluster: "main", System: "7", Major: 15, Segment: mib,
			Start: base.Position{LSN: l + 40, Timeline: 1}, Stop: base.Position{LSN: l + mib + 80, Timeline: 1}, Started: at, Finished: at, Objects: []base.Object{{}},
		}
		for _, key := range []string{h.repo.Key("base", "data", m.ID, "000000"), h.repo.Key("base", "index", m.ID, "files"), h.repo.Key("base", "index", m.ID, "backup_manifest")} {
			if err := h.repo.Store.Put(t.Context(), key, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := base.Commit(t.Context(), h.repo, m); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// ofWAL returns the findings about WAL, and not those about objects that the base backups of
// the test do not have.
func ofWAL(all []verify.Finding) (texts []string) {
	for _, f := range all {
		if !strings.Contains(f.Problem, "is missing\n") && !strings.Contains(f.Problem, "/base/") {
			texts = append(texts, f.What+": "+f.Problem)
		}
	}
	return texts
}

func TestHolesAreTold(t *testing.T) {
	h := stored(t, []int{1, 2, 3, 4, 7, 8, 9, 10, 12}, 2, 3, 8, 9, 10)
	r := h.verify(verify.Verification{})
	damage := ofWAL(r.Damage)
	if len(damage) != 3 {
		t.Fatalf("%q", damage)
	}
	for i, want := range []string{"WAL from 0/500000", "WAL from 0/B00000", "it cannot be restored, for its own WAL is not complete"} {
		if !strings.Contains(damage[i], want) {
			t.Errorf("%q is not %q", damage[i], want)
		}
	}
	if !strings.Contains(damage[0], "after 2026-01-31T04:00:00Z") || !strings.Contains(damage[0], "stored again after it") {
		t.Errorf("%q", damage[0])
	}
	if b := r.Bases[4]; b.Until != "0/500000" || b.Before == nil || b.Before.Hour() != 4 || !strings.Contains(b.Hole, "0/500000") {
		t.Errorf("the oldest leads to %+v", b)
	}
	// What is recorded is known.
	gap := `{"format":1,"from":{"LSN":5242880,"Timeline":1},"to":{"LSN":7340032,"Timeline":1},"found":"2026-01-31T06:00:00Z","why":"the slot was lost"}`
	h.put("gaps/00000001-0000000000700000-00000001-0000000000500000", gap)
	r = h.verify(verify.Verification{})
	if damage := ofWAL(r.Damage); len(damage) != 2 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].Problem, "the slot was lost") {
		t.Errorf("damaged are %q; noted is %+v", damage, r.Notes)
	}
	// One alone.
	r = h.verify(verify.Verification{Backup: "20260131T080000Z.aaaaaa"})
	if damage := ofWAL(r.Damage); len(damage) != 1 || len(r.Bases) != 1 || r.Bases[0].Until != "0/B00000" {
		t.Errorf("damaged are %q; %+v", damage, r.Bases)
	}
}

func TestWhatIsNotOursIsNoted(t *testing.T) {
	h := stored(t, []int{1, 2, 3}, 1)
	for _, key := range []string{"wal/notes.txt", "notes", "base/data/x/000000"} {
		if err := h.repo.Store.Put(t.Context(), h.repo.Key(key), []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	r := h.verify(verify.Verification{})
	if len(r.Notes) != 3 || len(ofWAL(r.Damage)) != 0 {
		t.Errorf("%+v", r)
	}
	// A segment that is too short for its name, and one whose samples are none.
	key := h.repo.Key("wal", "00000001", replication.SegmentName(1, 3*mib, mib))
	if _, err := h.repo.Sealer.Put(t.Context(), h.repo.Store, key, []byte("short"), nil); err != nil {
		t.Fatal(err)
	}
	for _, open := range []bool{false, true} {
		if r := h.verify(verify.Verification{Open: open}); !tells(r, key) {
			t.Errorf("with key %t: %+v", open, r)
		}
	}
	if _, err := h.repo.Sealer.Put(t.Context(), h.repo.Store, key, make([]byte, mib), map[string]string{"samples": "x"}); err != nil {
		t.Fatal(err)
	}
	if r := h.verify(verify.Verification{}); !tells(r, key) {
		t.Errorf("%+v", r)
	}
	// A file of a filestore that is another than its name says.
	key = h.repo.Key(fileKey([]byte("one")))
	if _, err := h.repo.Sealer.Put(t.Context(), h.repo.Store, key, []byte("another"), nil); err != nil {
		t.Fatal(err)
	}
	if r := h.verify(verify.Verification{Open: true}); !tells(r, key) {
		t.Errorf("%+v", r)
	}
	if _, err := (&verify.Verification{Repo: &repository.Repository{Store: h.repo.Store, Sealer: h.repo.Sealer, Cluster: "none"}}).Run(t.Context()); !errors.Is(err, repository.ErrEmpty) {
		t.Errorf("of nothing it says %v", err)
	}
	if _, err := (&verify.Verification{Repo: h.repo, Backup: "20260131T080000Z.aaaaaa"}).Run(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of none it says %v", err)
	}
}
