package schedule

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
)

// What looks as if a crash had left it is for Keep alone to judge, which knows by what was
// stored whether this clock is right.
func TestTidyDeletesNothingItself(t *testing.T) {
	where := filepath.Join(t.TempDir(), "store")
	if err := store.MakeDir(where); err != nil {
		t.Fatal(err)
	}
	dir, err := store.OpenDir(where)
	if err != nil {
		t.Fatal(err)
	}
	r := &repository.Repository{Store: dir, Sealer: storetest.NewSealer(t), Cluster: "main"}
	key := r.Key("base", "data", "20260101T000000Z.abcdef", "000000")
	if err := dir.Put(t.Context(), key, []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	err = filepath.WalkDir(where, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Chtimes(path, old, old)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	s := &Scheduler{Repo: r, Log: slog.New(slog.DiscardHandler), Keep: func(context.Context) error { kept++; return nil }}
	s.tidy(t.Context())
	if info, err := dir.Stat(t.Context(), key); err != nil || time.Since(info.Time) < 24*time.Hour || kept != 1 {
		t.Errorf("%+v, %v; kept %d times", info, err, kept)
	}
}
