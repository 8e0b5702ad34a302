package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// restores has the cluster of up be backed up, and it and a tenant's database be restored.
func (p *upPlace) restores(t *testing.T, database string) {
	t.Helper()
	config := filepath.Join(p.dir, "howdah.toml")
	if first := p.done("backup", "list", "-c", config); strings.Count(first, "\n") != 2 {
		t.Errorf("up is ready, and there is not one base backup but %s", first)
	}
	attached := p.attaches(t, database, config)
	outside := p.configuredOutside(t)
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
	p.showsBackups(t)
	beside := filepath.Dir(p.dir)
	dump := filepath.Join(t.TempDir(), "dump")
	p.done("restore", "--to", "latest", "--database", database, "--into", dump, "-c", config)
	if _, err := os.Stat(filepath.Join(dump, "toc.dat")); err != nil {
		t.Errorf("a dump of %s: %v", database, err)
	}
	attached(dump)
	p.refused(1, "no such database", "restore", "--to", "latest", "--database", "nobody", "--into", filepath.Join(t.TempDir(), "none"), "-c", config)
	p.drills(t, config, database)
	restored := filepath.Join(beside, "restored")
	told := p.done("restore", "--to", "latest", "--into", restored, "-c", config)
	back := filepath.Join(restored, "howdah_configuration")
	if text, err := os.ReadFile(filepath.Join(back, outside)); err != nil || string(text) != outsideText || !strings.Contains(told, "is in "+back) {
		t.Errorf("%s has come back as %q, %v; told was %s", outside, text, err, told)
	}
	if _, err := os.Stat(filepath.Join(restored, "global", "pg_control")); err != nil {
		t.Error(err)
	}
	p.refused(1, "not empty", "restore", "--to", "latest", "--into", restored, "-c", config)
	p.restoresTenant(t, database)
}

// outsideText is a configuration file outside of the data directory.
const outsideText = "# kept elsewhere\n"

// configuredOutside has the primary's configuration include such a file, and returns its path.
func (p *upPlace) configuredOutside(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(p.dir, "outside.conf")
	if err := os.WriteFile(path, []byte(outsideText), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(p.dir, "primary", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("\ninclude '" + path + "'\n"); err != nil {
		t.Fatal(err)
	}
	return path
}

// attaches has a database refer to two files, as Odoo's do, of which one is stored. attached
// looks whether that one comes back, and the other is missed.
func (p *upPlace) attaches(t *testing.T, database, config string) (attached func(dump string)) {
	t.Helper()
	const invoice, missing = "da/da39a3ee5e6b4b0d3255bfef95601890afd80709", "aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" // the first is of no bytes
	p.admin(database, "create table ir_attachment (id int, store_fname text)")
	p.admin(database, "insert into ir_attachment values (1, '"+invoice+"'), (2, null), (3, '"+missing+"'), (4, E'\\033[2J')")
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
		odd := filepath.Join(filepath.Dir(file), "da"+strings.Repeat("0", 38)) // is damaged on Odoo's disk
		if err := os.WriteFile(odd, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		p.done("filestore", "sync", "--from", from, "-c", config)
		p.refused(1, "no sync is known to have come to its end", append(fetch, dump)...)
		p.refused(1, `of no filestore: "\x1b[2J"`, append(fetch, dump)...)
		if err := os.Remove(odd); err != nil {
			t.Fatal(err)
		}
		p.done("filestore", "sync", "--from", from, "-c", config)
		p.refused(1, missing, append(fetch, dump)...)
		if _, err := os.Stat(filepath.Join(into, invoice)); err != nil {
			t.Error(err)
		}
		again := filepath.Join(t.TempDir(), "files")
		p.refused(1, missing, "filestore", "restore", "--database", database, "--database", "as_it_was_called", "--into", again, "-c", config, "--from-database",
			fmt.Sprintf("host=%s port=%d user=postgres dbname=%s", filepath.Join(p.dir, "run"), p.primary, database))
		if _, err := os.Stat(filepath.Join(again, invoice)); err != nil {
			t.Error(err)
		}
		p.refused(2, "--dump", "filestore", "restore", "--database", database, "-c", config)
	}
}

// showsBackups has a base backup be taken by the API, and looks for it, and for the WAL that
// is stored, where operators do.
func (p *upPlace) showsBackups(t *testing.T) {
	t.Helper()
	console, err := pgconn.Connect(t.Context(), p.url("howdah"))
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close(t.Context())
	show := func(what string) [][][]byte {
		results, err := console.Exec(t.Context(), "SHOW "+what).ReadAll()
		if err != nil || len(results) != 1 {
			t.Fatalf("SHOW %s: %v", what, err)
		}
		return results[0].Rows
	}
	var wal [][][]byte
	waitFor(t, "the slots, of which the servers are asked now and then, in SHOW WAL", func() bool {
		wal = show("WAL")
		return len(wal) == 1 && string(wal[0][8]) == "reserved" && string(wal[0][11]) == "1 of 1"
	})
	if string(wal[0][1]) != "receiving" || len(wal[0][5]) == 0 {
		t.Errorf("SHOW WAL: %q", wal)
	}
	before := len(show("BACKUPS"))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/api/v1/clusters/%s/backups", p.http, wal[0][0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(p.read("token")))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Errorf("a base backup was asked for: %s", answer.Status)
	}
	waitFor(t, "the base backup in SHOW BACKUPS", func() bool { return len(show("BACKUPS")) > before })
	var tenants [][][]byte
	defer func() {
		if t.Failed() {
			t.Logf("SHOW TENANT_BACKUPS: %q", tenants)
		}
	}()
	waitFor(t, "a tenant's backups, from when on, how much it writes and how long a restore takes, in SHOW TENANT_BACKUPS", func() bool {
		tenants = show("TENANT_BACKUPS")
		return slices.ContainsFunc(tenants, func(row [][]byte) bool { // up to when is known a minute later, perhaps
			return string(row[0]) == "acme" && row[3] != nil && row[5] != nil && row[6] != nil && row[7] != nil && row[12] != nil
		})
	})
	waitFor(t, "what tenants are promised beside the backups", func() bool {
		noted, err := filepath.Glob(filepath.Join(p.dir, "store", "objects", "clusters", string(wal[0][0]), "policies", "*"))
		return err == nil && len(noted) > 0
	})
}

// drills has a database be restored to see whether that can be done.
func (p *upPlace) drills(t *testing.T, config, database string) {
	p.refused(2, "time zone", "backup", "drill", "--to", "2026-01-31 10:42", "-c", config)
	p.refused(1, "no such database", "backup", "drill", "--database", "nobody", "-c", config)
	var done []struct {
		ID, Target string
		RTO        float64 `json:"rto_seconds"`
		Error      string
	}
	if err := json.Unmarshal([]byte(p.done("backup", "drill", "--database", database, "--json", "-c", config)), &done); err != nil || len(done) != 1 || done[0].RTO <= 0 || done[0].Target != "latest" {
		t.Errorf("the drill says %+v, %v", done, err)
	}
	list := p.done("backup", "drill", "--list", "-c", config)
	if !strings.Contains(list, done[0].ID) || !strings.Contains(list, "passed") || !strings.Contains(list, "failed: ") {
		t.Errorf("the drills are %s", list)
	}
}
