package overview_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/overview"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
)

const mib = 1 << 20

// watchedStore counts what is read, and fails when told to.
type watchedStore struct {
	store.Store
	reads  []string
	broken bool
}

func (w *watchedStore) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, store.Info, error) {
	w.reads = append(w.reads, key)
	if w.broken {
		return nil, store.Info{}, errors.New("the network is down")
	}
	return w.Store.Get(ctx, key, offset, length)
}

func newRepository(t *testing.T) (*repository.Repository, *watchedStore) {
	w := &watchedStore{Store: storetest.NewDir(t)}
	return &repository.Repository{Store: w, Sealer: storetest.NewSealer(t), Cluster: "main"}, w
}

func claim(t *testing.T, r *repository.Repository) {
	t.Helper()
	if _, err := r.Claim(t.Context(), replication.Server{System: "7", Major: 15, Segment: mib}); err != nil {
		t.Fatal(err)
	}
}

// put stores something that is not sealed, with its sum.
func put(t *testing.T, r *repository.Repository, key, text string) {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	if err := r.Store.Put(t.Context(), r.Key(key), []byte(text), map[string]string{"sha-256": hex.EncodeToString(sum[:])}); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, r *repository.Repository, id string, started time.Time, start, stop replication.LSN) {
	t.Helper()
	commitAs(t, r, &base.Manifest{
		ID: id, Started: started, Finished: started.Add(time.Minute),
		Start: base.Position{LSN: start, Timeline: 1}, Stop: base.Position{LSN: stop, Timeline: 1},
		Size: 300, Stored: 100, Objects: []base.Object{{Files: 1}, {Number: 1, Files: 1, Database: 16400, Folder: "base/16400", Sums: base.Sums{Size: 70}}, {Number: 2, Files: 1, Database: 16400, Folder: "base/16400", Sums: base.Sums{Size: 7}}},
		DatabasesAtEnd: map[uint32]string{16400: "acme"},
	})
}

func commitAs(t *testing.T, r *repository.Repository, m *base.Manifest) {
	t.Helper()
	m.Format, m.Cluster, m.System, m.Major, m.Segment = 1, "main", "7", 17, mib
	keys := []string{r.Key("base", "index", m.ID, "files"), r.Key("base", "index", m.ID, "backup_manifest")}
	for i := range m.Objects {
		keys = append(keys, r.Key("base", "data", m.ID, fmt.Sprintf("%06d", i)))
	}
	for _, key := range keys {
		if err := r.Store.Put(t.Context(), key, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := base.Commit(t.Context(), r, m); err != nil {
		t.Fatal(err)
	}
}

func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func read(t *testing.T, r *overview.Reader) overview.Overview {
	t.Helper()
	if err := r.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r.Last()
}

func TestOverview(t *testing.T) {
	repo, reads := newRepository(t)
	r := &overview.Reader{Repo: repo}
	if o := r.Last(); !o.Read.IsZero() {
		t.Errorf("before it was read: %+v", o)
	}
	if o := read(t, r); o.Read.IsZero() || o.Bases != nil || !o.Until.IsZero() {
		t.Errorf("nobody's: %+v", o)
	}
	claim(t, repo)
	day1, day2 := moment("2026-01-30T01:00:00Z"), moment("2026-01-31T01:00:00Z")
	commit(t, repo, "20260130T010000Z.aaaaaa", day1, 3*mib, 3*mib+500)
	commit(t, repo, "20260131T010000Z.bbbbbb", day2, 9*mib, 9*mib+500)
	put(t, repo, "heartbeat", `{"timeline":1,"lsn":10485760,"time":"2026-01-31T10:42:00Z"}`)
	if err := base.PutHold(t.Context(), repo, base.Hold{ID: "20260130T010000Z.aaaaaa", Since: day2}); err != nil {
		t.Fatal(err)
	}
	o := read(t, r)
	until := moment("2026-01-31T10:42:00Z")
	if len(o.Bases) != 2 || o.Bases[0].ID != "20260131T010000Z.bbbbbb" || !o.Until.Equal(until) || o.LSN != 10*mib || o.Timeline != 1 || o.Gaps != 0 || o.Bases[0].Hold != nil || o.Bases[1].Hold == nil {
		t.Fatalf("it is %+v", o)
	}
	for i, from := range []time.Time{day2, day1} {
		if b := &o.Bases[i]; !b.Oldest.Equal(from.Add(time.Minute)) || !b.Newest.Equal(until) || b.Took() != time.Minute {
			t.Errorf("base backup %d restores from %v to %v", i, b.Oldest, b.Newest)
		}
	}
	if len(o.Databases) != 1 || o.Databases["acme"].Size != 77 || !o.Databases["acme"].Oldest.Equal(day1.Add(time.Minute)) {
		t.Errorf("the databases are %+v", o.Databases)
	}
	if from, to := o.Restorable(); !from.Equal(day1.Add(time.Minute)) || !to.Equal(until) {
		t.Errorf("restorable from %v to %v", from, to)
	}

	// A gap behind the first: it leads to where the last WAL in front of it was sampled.
	sampled := moment("2026-01-30T12:00:00Z")
	if _, err := repo.Sealer.Put(t.Context(), repo.Store, repo.Key("wal/00000001/000000010000000000000004"), make([]byte, mib),
		map[string]string{"samples": fmt.Sprintf("0/450000@%x,0/460000@%x", sampled.UnixMilli(), sampled.Add(time.Hour).UnixMilli())}); err != nil {
		t.Fatal(err)
	}
	put(t, repo, "gaps/00000001-0000000000800000-00000001-0000000000450000",
		`{"format":1,"from":{"LSN":4521984,"Timeline":1},"to":{"LSN":8388608,"Timeline":1},"found":"2026-01-31T00:00:00Z","why":"x"}`)
	for range 2 {
		reads.reads = nil
		o = read(t, r)
		if o.Gaps != 1 || !o.Bases[0].Newest.Equal(until) || !o.Bases[1].Newest.Equal(sampled) {
			t.Errorf("with a gap: %d, up to %v and %v", o.Gaps, o.Bases[0].Newest, o.Bases[1].Newest)
		}
		if found := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC); !o.LastGap.Equal(found) {
			t.Errorf("the gap was found at %v, not %v", o.LastGap, found)
		}
	}
	for _, key := range reads.reads {
		if strings.Contains(key, "manifests") || strings.Contains(key, "/wal/") {
			t.Errorf("it has read again what never changes: %s", key)
		}
	}

	reads.broken = true
	if err := r.Read(t.Context()); err == nil {
		t.Error("a store that is away can be read")
	}
	if o = r.Last(); len(o.Bases) != 2 || !strings.Contains(o.Error, "the network is down") {
		t.Errorf("while the store is away: %+v", o)
	}
	reads.broken = false
	if o = read(t, r); o.Error != "" {
		t.Errorf("when it is back: %q", o.Error)
	}
}

func TestOverviewOfWhatCannotBeRead(t *testing.T) {
	repo, _ := newRepository(t)
	claim(t, repo)
	commit(t, repo, "20260130T010000Z.aaaaaa", moment("2026-01-30T01:00:00Z"), 3*mib, 3*mib+500)
	put(t, repo, "base/manifests/20260131T010000Z.bbbbbb", "{}")
	r := &overview.Reader{Repo: repo}
	for range 2 { // the second time from memory
		if err := r.Read(t.Context()); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("a damaged manifest: %v", err)
		}
		if o := r.Last(); len(o.Bases) != 1 || !strings.Contains(o.Error, "bbbbbb") {
			t.Errorf("beside it: %+v", o)
		}
	}
	if err := repo.Store.Delete(t.Context(), repo.Key("base/manifests/20260131T010000Z.bbbbbb")); err != nil {
		t.Fatal(err)
	}
	if o := read(t, r); len(o.Bases) != 1 {
		t.Errorf("without it: %+v", o)
	}
}
