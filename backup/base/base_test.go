package base

import (
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"howdah/backup/repository"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

func TestRealServer(t *testing.T) {
	c := newCluster(t, wiretest.FindPostgres(t))
	r, m := testTakeAndUnpack(t, c)
	t.Run("one database", func(t *testing.T) { testOneDatabase(t, c, r, m) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, r, m) })
	t.Run("no incremental ones", func(t *testing.T) {
		if _, err := c.begin(t.Context(), r, c.databases, Options{Since: &Since{Manifest: m}}); err == nil || !strings.Contains(err.Error(), "17 is the oldest") {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("configuration", func(t *testing.T) { testConfiguration(t, c) })
	t.Run("killed", func(t *testing.T) { testKilled(t, c) })
	t.Run("trouble while it is taken", func(t *testing.T) { testTrouble(t, c) })
	t.Run("given up and deleted", func(t *testing.T) { testGivenUp(t, c) })
	t.Run("a bad page", func(t *testing.T) { testBadPage(t, c) }) // last: the server has it then
}

// TestNewerServer is TestRealServer on a newer major version, which has incremental base
// backups.
func TestNewerServer(t *testing.T) { testNewer(t, wiretest.NewerPostgres(t)) }

func TestNewestServerSoak(t *testing.T) { testNewer(t, wiretest.NewestPostgres(t)) }

func testNewer(t *testing.T, binaries postgres.Binaries) {
	c := newCluster(t, binaries)
	r, m := testTakeAndUnpack(t, c)
	t.Run("one database", func(t *testing.T) { testOneDatabase(t, c, r, m) })
	t.Run("incremental", func(t *testing.T) { testIncremental(t, c) })
	t.Run("a bad page", func(t *testing.T) { testBadPage(t, c) }) // last: the server has it then
}

// testTakeAndUnpack takes a base backup under load, and makes a server of it.
func testTakeAndUnpack(t *testing.T, c *cluster) (*repository.Repository, *Manifest) {
	r, _ := newRepository(t)
	stop := c.load()
	m := c.take(r)
	stop()
	all, err := List(t.Context(), r)
	if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], *m) {
		t.Fatalf("listed are %+v, %v, not %+v", all, err, m)
	}
	if again, err := c.databases(t.Context()); err != nil || !reflect.DeepEqual(m.DatabasesAtStart, again) || !reflect.DeepEqual(m.DatabasesAtEnd, again) {
		t.Errorf("the databases are %v and %v, not %v", m.DatabasesAtStart, m.DatabasesAtEnd, again)
	}
	for _, withKey := range []bool{false, true} {
		var last Progress
		if err := Verify(t.Context(), r, m, withKey, func(p Progress) { last = p }); err != nil {
			t.Errorf("with key %t: %v", withKey, err)
		}
		if last.Done == 0 || last.Done > last.Total {
			t.Errorf("with key %t: at last %d of %d bytes are done", withKey, last.Done, last.Total)
		}
	}
	c.archive()
	dir := filepath.Join(wiretest.ServerDir(t), "restored")
	var last Progress
	if err := Unpack(t.Context(), r, m, dir, UnpackOptions{Chown: ownedByServer, Progress: func(p Progress) { last = p }}); err != nil {
		t.Fatal(err)
	}
	if last.Done != m.Size || last.Total != m.Size {
		t.Errorf("at last %d of %d bytes are done, of %d", last.Done, last.Total, m.Size)
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
	return r, m
}

// location tells where a server has the tablespace.
func (c *cluster) location(s *postgres.Server) (path string) {
	c.Helper()
	if err := s.QueryRow(c.Context(), postgres.Superuser, "select pg_tablespace_location($1::oid)", []any{c.spaceOID}, &path); err != nil {
		c.Fatal(err)
	}
	return path
}

// testOneDatabase unpacks one tenant only, and its part of the tablespace somewhere else.
func testOneDatabase(t *testing.T, c *cluster, r *repository.Repository, m *Manifest) {
	var other uint32
	for oid, name := range m.DatabasesAtStart {
		if name == "globex" {
			other = oid
		}
	}
	place := wiretest.ServerDir(t)
	dir, space := filepath.Join(place, "restored"), filepath.Join(place, "space")
	counting := &countingStore{Store: r.Store}
	few := *r
	few.Store = counting
	err := Unpack(t.Context(), &few, m, dir, UnpackOptions{
		Chown: ownedByServer, Tablespaces: map[uint32]string{c.spaceOID: space},
		Only: func(database uint32) bool { return database != other },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Objects {
		o := &m.Objects[i]
		if read := counting.read(o.key(r, m)); read == (o.Database == other) {
			t.Errorf("an object of database %d was read: %t", o.Database, read)
		}
	}
	wantEmpty := func(folder string) {
		t.Helper()
		if names, err := os.ReadDir(folder); err != nil || len(names) > 0 {
			t.Errorf("in %s of a database that was not wanted there is %v, %v", folder, names, err)
		}
	}
	wantEmpty(filepath.Join(dir, "base", strconv.Itoa(int(other))))
	versions, err := filepath.Glob(filepath.Join(space, "PG_*"))
	if err != nil || len(versions) != 1 {
		t.Fatalf("the tablespace has %q, %v", versions, err)
	}
	wantEmpty(filepath.Join(versions[0], strconv.Itoa(int(other))))
	c.verifybackup(dir)
	s := c.recover(dir, "ignore_invalid_pages = on", "autovacuum = off")
	if got, want := sums(t, s, "acme"), sums(t, c.Server, "acme"); got != want {
		t.Errorf("acme has %s, not %s", got, want)
	}
	if location := c.location(s); location != space {
		t.Errorf("the tablespace is in %q, not %q", location, space)
	}
	if err := s.Stop(t.Context(), postgres.Immediate); err != nil {
		t.Error(err)
	}
}
