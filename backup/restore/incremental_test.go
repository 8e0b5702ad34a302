package restore_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/restore"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRestoreFromIncrementals restores a cluster, and one database of it, from base backups
// of which each has what has changed since the one before.
func TestRestoreFromIncrementals(t *testing.T) { fromIncrementals(t, wiretest.NewerPostgres(t)) }

func TestRestoreFromIncrementalsNewestSoak(t *testing.T) {
	fromIncrementals(t, wiretest.NewestPostgres(t))
}

func fromIncrementals(t *testing.T, binaries postgres.Binaries) {
	h := newHouse(t, binaries, wiretest.WithSetting("summarize_wal", "on"))
	h.fill("acme", 1000)
	h.write(100)
	full := h.backUp()
	h.write(100)
	newest := h.since(t, full)
	h.in("acme", "update invoice set name = 'changed' where id < 10")
	between := h.now()
	rows := h.rows
	h.write(100)
	newest = h.since(t, newest)
	h.write(100)
	h.in("acme", "insert into invoice select n, 'late' from generate_series(2000, 2100) n")
	sum := h.sum("acme")
	h.exec("select pg_switch_wal()") // the house's commits need not be written
	h.stored(replication.Position(newest.Start), lsn(t, h.text("select pg_current_wal_lsn()::text")))

	p := h.plan("latest")
	if p.Base.ID != newest.ID || len(p.Chain) != 3 || p.Chain[0].ID != full.ID || p.BaseBytes() <= full.Size {
		t.Errorf("the plan begins with %s, made up of %d, %d bytes", p.Base.ID, len(p.Chain), p.BaseBytes())
	}
	if got := h.run(t, p); !slices.Equal(got, upTo(h.rows)) {
		t.Errorf("latest: %d rows, want %d", len(got), h.rows)
	}
	h.exam = &restore.Exam{}
	p = h.plan(between)
	if len(p.Chain) != 2 {
		t.Errorf("a moment between them begins with %d", len(p.Chain))
	}
	if got := h.run(t, p); !slices.Equal(got, upTo(rows)) {
		t.Errorf("between: %d rows, want %d", len(got), rows)
	}
	if h.exam.Databases == 0 {
		t.Error("it was not looked through")
	}
	dump := filepath.Join(t.TempDir(), "dump")
	d := &restore.Database{Repo: h.repo, Name: "acme", Into: dump, Binaries: h.binaries, Get: []string{os.Args[0], "get"}}
	if err := d.Run(t.Context(), h.plan("latest")); err != nil {
		t.Fatal(err)
	}
	if got := h.load(t, dump); got != sum {
		t.Errorf("acme is %s, want %s", got, sum)
	}

	// Without the one in the middle the newest is of no use, and the oldest is.
	if err := h.repo.Store.Delete(t.Context(), h.repo.Key("base", "manifests", p.Base.ID)); err != nil {
		t.Fatal(err)
	}
	if p := h.plan("latest"); p.Base.ID != full.ID {
		t.Errorf("the plan begins with %s, which is since one that is gone", p.Base.ID)
	}
}

// since takes a base backup of what has changed since another.
func (h *house) since(t *testing.T, m *base.Manifest) *base.Manifest {
	t.Helper()
	text, err := base.ServerManifest(t.Context(), h.repo, m)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	return h.backUpBy(base.Options{Since: &base.Since{Manifest: m, BackupManifest: text}})
}
