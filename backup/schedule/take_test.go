package schedule

import (
	"context"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store/storetest"
	"howdah/backup/wal"
)

const mib = 1 << 20

// claimed is a repository of segments of 1 MiB.
func claimed(t *testing.T) *repository.Repository {
	t.Helper()
	r := &repository.Repository{Store: storetest.NewDir(t), Sealer: storetest.NewSealer(t), Cluster: "main"}
	if _, err := r.Claim(t.Context(), replication.Server{System: "7", Major: 15, Segment: mib}); err != nil {
		t.Fatal(err)
	}
	return r
}

// putSegments stores segments of a timeline: who looks how far WAL is there sees but names.
func putSegments(t *testing.T, r *repository.Repository, timeline uint32, starts ...replication.LSN) {
	t.Helper()
	for _, start := range starts {
		name := replication.SegmentName(timeline, start, mib)
		if err := r.Store.Put(t.Context(), r.Key("wal", name[:8], name), []byte("x"), nil); err != nil {
			t.Error(err)
		}
	}
}

// TestWhatCannotCome has WAL be stored behind what a base backup needs, and never that.
func TestWhatCannotCome(t *testing.T) {
	r := claimed(t)
	m := &base.Manifest{Start: base.Position{LSN: 3*mib + 40, Timeline: 1}, Stop: base.Position{LSN: 5 * mib, Timeline: 1}}
	putSegments(t, r, 1, 3*mib)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- waitStored(ctx, r, m, nil, time.Second) }()
	for next := replication.LSN(5 * mib); ; next += mib {
		putSegments(t, r, 1, next)
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "hole at 0/400000") {
				t.Errorf("it ended with %v", err)
			}
			putSegments(t, r, 1, 4*mib)
			if err := waitStored(t.Context(), r, m, nil, time.Second); err != nil {
				t.Errorf("all is stored: %v", err)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestStandbyThatIsBehind has a base backup begin where it is of no use.
func TestStandbyThatIsBehind(t *testing.T) {
	r := claimed(t)
	putSegments(t, r, 1, 2*mib, 3*mib, 5*mib)
	for at, want := range map[replication.LSN]string{2 * mib: "not all WAL is stored", mib: "not all WAL is stored", 5*mib + 100: "", 9 * mib: ""} {
		err := canBeStored(t.Context(), r, base.Position{LSN: at, Timeline: 1}, time.Millisecond)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("from %s on: %v", at, err)
		}
	}
	if err := canBeStored(t.Context(), r, base.Position{LSN: 5 * mib, Timeline: 2}, time.Millisecond); err == nil {
		t.Error("a timeline that leads nowhere is taken")
	}
}

// TestLeftWhileItWasTaken is of a base backup during which the timeline was left that it is of.
func TestLeftWhileItWasTaken(t *testing.T) {
	r := claimed(t)
	putSegments(t, r, 1, 3*mib, 4*mib, 5*mib)
	putSegments(t, r, 2, 4*mib, 5*mib, 6*mib)
	a := &wal.Archive{Repo: r}
	history := "1\t0/400800\tno recovery target specified\n"
	if err := a.Push(t.Context(), wal.Archived{
		Name: "00000002.history", Size: int64(len(history)), Server: replication.Server{System: "7", Major: 15, Segment: mib},
	}, strings.NewReader(history)); err != nil {
		t.Fatal(err)
	}
	contents, err := wal.List(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for stop, want := range map[replication.LSN]string{4*mib + 0x800: "", 4*mib + 0x808: "is behind 0/400800"} {
		m := &base.Manifest{Start: base.Position{LSN: 3*mib + 40, Timeline: 1}, Stop: base.Position{LSN: stop, Timeline: 1}}
		if err := reaches(contents, m, 6*mib, 1); err != nil {
			t.Errorf("stopped at %s, on its own timeline: %v", stop, err)
		}
		if err := reaches(contents, m, 7*mib, 2); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("stopped at %s: %v", stop, err)
		}
	}
}
