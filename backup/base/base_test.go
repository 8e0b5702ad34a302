package base

import (
	"path/filepath"
	"reflect"
	"testing"

	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

func TestTakeAndUnpack(t *testing.T) {
	for name, binaries := range map[string]postgres.Binaries{"the system's": wiretest.FindPostgres(t), "a newer one": wiretest.NewerPostgres(t)} {
		t.Run(name, func(t *testing.T) { testTakeAndUnpack(t, newCluster(t, binaries)) })
	}
}

func testTakeAndUnpack(t *testing.T, c *cluster) {
	r, _ := newRepository(t)
	stop := c.load()
	m := c.take(r)
	stop()
	all, err := List(t.Context(), r)
	if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], *m) {
		t.Fatalf("listed are %+v, %v, not %+v", all, err, m)
	}
	for _, withKey := range []bool{false, true} {
		if err := Verify(t.Context(), r, m, withKey, nil); err != nil {
			t.Errorf("with key %t: %v", withKey, err)
		}
	}
	c.archive()
	place := wiretest.ServerDir(t)
	dir := filepath.Join(place, "restored")
	if err := Unpack(t.Context(), r, m, dir, UnpackOptions{Chown: ownedByServer}); err != nil {
		t.Fatal(err)
	}
	c.verifybackup(dir, "-i", TablespacesFolder)
	s := c.recover(dir)
	for _, tenant := range tenants {
		if got, want := sums(t, s, tenant), sums(t, c.Server, tenant); got != want {
			t.Errorf("%s has %s, not %s", tenant, got, want)
		}
	}
	var location string
	if err := s.QueryRow(t.Context(), postgres.Superuser, "select pg_tablespace_location(oid) from pg_tablespace where spcname = 'side'", nil, &location); err != nil || !within(location, dir) {
		t.Errorf("the tablespace is in %q, %v", location, err)
	}
}
