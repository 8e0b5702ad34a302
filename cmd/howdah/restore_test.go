package main_test

import (
	"errors"
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
	attached := p.attaches(t, database, config)
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
	attached(dump)
	p.refused(1, "no such database", "restore", "--to", "latest", "--database", "nobody", "--into", filepath.Join(t.TempDir(), "none"), "-c", config)
	restored := filepath.Join(beside, "restored")
	p.done("restore", "--to", "latest", "--into", restored, "-c", config)
	if _, err := os.Stat(filepath.Join(restored, "global", "pg_control")); err != nil {
		t.Error(err)
	}
	p.refused(1, "not empty", "restore", "--to", "latest", "--into", restored, "-c", config)
	p.restoresTenant(t, database)
}

// attaches has a database refer to two files, as Odoo's do, of which one is stored. attached
// looks whether that one comes back, and the other is missed.
func (p *upPlace) attaches(t *testing.T, database, config string) (attached func(dump string)) {
	t.Helper()
	const invoice, missing = "da/da39a3ee5e6b4b0d3255bfef95601890afd80709", "aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" // the first is of no bytes
	p.admin(database, "create table ir_attachment (id int, store_fname text)")
	p.admin(database, "insert into ir_attachment values (1, '"+invoice+"'), (2, null), (3, '"+missing+"')")
	from, into := t.TempDir(), filepath.Join(t.TempDir(), "files")
	file := filepath.Join(from, database, invoice)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	fetch := []string{"filestore", "restore", "--database", database, "--into", into, "-c", config, "--dump"}
	p.refused(2, "--from which folder", "filestore", "sync", "-c", config)
	p.refused(1, "no such file", "filestore", "sync", "--from", from, "--database", "nobody", "-c", config)
	return func(dump string) {
		p.refused(4, "no filestore of database", append(fetch, dump)...)
		p.done("filestore", "sync", "--from", from, "-c", config)
		p.refused(1, missing, append(fetch, dump)...)
		if _, err := os.Stat(filepath.Join(into, invoice)); err != nil {
			t.Error(err)
		}
		p.admin(database, "drop table ir_attachment")
		p.refused(2, "--dump", "filestore", "restore", "--database", database, "-c", config)
	}
}
