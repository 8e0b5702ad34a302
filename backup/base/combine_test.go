package base

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// testIncremental takes base backups since others, and makes servers of them.
func testIncremental(t *testing.T, c *cluster) {
	r, _ := newRepository(t)
	var first, second bytes.Buffer
	full := c.takeSince(r, nil, &first)
	stop := c.load()
	middle := c.takeSince(r, &Since{Manifest: full, BackupManifest: &first}, &second)
	stop()
	stop = c.load()
	m := c.takeSince(r, &Since{Manifest: middle, BackupManifest: &second}, nil)
	stop()
	c.archive()
	if m.Since != middle.ID || middle.Since != full.ID || m.Size > full.Size/2 {
		t.Errorf("since %q and %q, %d bytes of %d", m.Since, middle.Since, m.Size, full.Size)
	}
	program := c.binaries.Path("pg_combinebackup")
	place := wiretest.ServerDir(t)
	dir := filepath.Join(place, "restored")
	if err := UnpackChain(t.Context(), r, m, program, dir, UnpackOptions{Chown: ownedByServer}); err != nil {
		t.Fatal(err)
	}
	c.verifybackup(dir, "-i", TablespacesFolder)
	s := c.recover(dir)
	for _, tenant := range tenants {
		if got, want := sums(t, s, tenant), sums(t, c.Server, tenant); got != want {
			t.Errorf("%s has %s, not %s", tenant, got, want)
		}
	}
	if location := c.location(s); !within(location, dir) {
		t.Errorf("the tablespace is in %q", location)
	}
	if err := s.Stop(t.Context(), postgres.Immediate); err != nil {
		t.Error(err)
	}
	testChainOfOneDatabase(t, c, r, m, program)
	testChainRefusals(t, r, full, m, program)
}

func testChainOfOneDatabase(t *testing.T, c *cluster, r *repository.Repository, m *Manifest, program string) {
	place := wiretest.ServerDir(t)
	dir, space := filepath.Join(place, "one"), filepath.Join(place, "space=1")
	err := UnpackChain(t.Context(), r, m, program, dir, UnpackOptions{
		Chown: ownedByServer, Tablespaces: map[uint32]string{c.spaceOID: space},
		Only: func(database uint32) bool { return m.DatabasesAtEnd[database] != "globex" },
	})
	if err != nil {
		t.Fatal(err)
	}
	c.verifybackup(dir)
	s := c.recover(dir, "ignore_invalid_pages = on", "autovacuum = off")
	if got, want := sums(t, s, "acme"), sums(t, c.Server, "acme"); got != want {
		t.Errorf("alone acme has %s, not %s", got, want)
	}
	if location := c.location(s); location != space {
		t.Errorf("the tablespace is in %q, not %q", location, space)
	}
	if err := s.Stop(t.Context(), postgres.Immediate); err != nil {
		t.Error(err)
	}
}

func testChainRefusals(t *testing.T, r *repository.Repository, full, m *Manifest, program string) {
	dir := filepath.Join(t.TempDir(), "data")
	for what, x := range map[string]struct {
		err  error
		want string
	}{
		"alone":              {Unpack(t.Context(), r, m, dir, UnpackOptions{}), "only what has changed since"},
		"without a program":  {UnpackChain(t.Context(), r, m, "", dir, UnpackOptions{}), "pg_combinebackup of PostgreSQL"},
		"with another":       {UnpackChain(t.Context(), r, m, "/bin/false", dir, UnpackOptions{}), "exit status 1"},
		"with one not there": {UnpackChain(t.Context(), r, m, "/nowhere", dir, UnpackOptions{}), "run pg_combinebackup"},
	} {
		if x.err == nil || !strings.Contains(x.err.Error(), x.want) {
			t.Errorf("%s it says %v, and not %q", what, x.err, x.want)
		}
	}
	if err := Delete(t.Context(), r, full.ID); !errors.Is(err, ErrNeeded) || !strings.Contains(err.Error(), m.Since) {
		t.Errorf("what is needed is deleted: %v", err)
	}
	if err := r.Store.Delete(t.Context(), manifestKey(r, full.ID)); err != nil {
		t.Fatal(err)
	}
	if err := UnpackChain(t.Context(), r, m, program, dir, UnpackOptions{}); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), full.ID) {
		t.Errorf("without what it is since it says %v", err)
	}
	again := *m
	again.ID = repository.NewID(m.Started)
	if err := Commit(t.Context(), r, &again); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without what it is since it is committed: %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}
