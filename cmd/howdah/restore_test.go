package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// restores has the cluster of up be backed up, and it and a tenant's database be restored.
func (p *upPlace) restores(t *testing.T, database string) {
	t.Helper()
	config := filepath.Join(p.dir, "howdah.toml")
	if first := p.done("backup", "list", "-c", config); strings.Count(first, "\n") != 2 {
		t.Errorf("up is ready, and there is not one base backup but %s", first)
	}
	taken := p.done("backup", "now", "-c", config)
	id, _, _ := strings.Cut(strings.TrimPrefix(taken[strings.Index(taken, "\n")+1:], "\n"), " ")
	if got := p.done("backup", "list", "-c", config); !strings.Contains(got, id) || id == "" {
		t.Errorf("backup %q is not in the list: %s", id, got)
	}
	p.refused(2, "--to when", "restore", "-c", config)
	p.refused(2, "time zone", "restore", "--to", "2026-01-31 10:42", "--into", "x", "-c", config)
	p.refused(1, "in the future", "restore", "--to", "2999-01-01T00:00:00Z", "--dry-run", "-c", config)
	p.refused(1, "oldest base backup", "restore", "--to", time.Now().Add(-time.Hour).Format(time.RFC3339), "--dry-run", "-c", config)
	p.refused(1, "nothing has ever been backed up", "restore", "--to", "latest", "--dry-run", "--cluster", "other", "-c", config)
	if got := p.done("restore", "--to", "latest", "--dry-run", "-c", config); !strings.Contains(got, id) {
		t.Errorf("the plan is %s", got)
	}
	beside := filepath.Dir(p.dir)
	dump := filepath.Join(t.TempDir(), "dump")
	p.done("restore", "--to", "latest", "--database", database, "--into", dump, "-c", config)
	if _, err := os.Stat(filepath.Join(dump, "toc.dat")); err != nil {
		t.Errorf("a dump of %s: %v", database, err)
	}
	p.refused(1, "no such database", "restore", "--to", "latest", "--database", "nobody", "--into", filepath.Join(t.TempDir(), "none"), "-c", config)
	restored := filepath.Join(beside, "restored")
	p.done("restore", "--to", "latest", "--into", restored, "-c", config)
	if _, err := os.Stat(filepath.Join(restored, "global", "pg_control")); err != nil {
		t.Error(err)
	}
	p.refused(1, "not empty", "restore", "--to", "latest", "--into", restored, "-c", config)
	p.restoresTenant(t, database)
}
