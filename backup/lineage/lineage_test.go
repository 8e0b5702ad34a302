package lineage_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"howdah/backup/lineage"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
)

const (
	acme   = "aaaaaaaa-0000-4000-8000-000000000001"
	globex = "aaaaaaaa-0000-4000-8000-000000000002"
	job    = "bbbbbbbb-0000-4000-8000-000000000001"
)

func TestRecords(t *testing.T) {
	repo := &repository.Repository{Store: storetest.NewDir(t), Cluster: "main"}
	r := lineage.Record{Tenant: acme, Name: "acme", Database: "acme", OID: 4_000_000_000, System: "1", LSN: 0x16B374D848, Time: time.Now().UTC().Truncate(time.Microsecond), What: "create", Operation: job}
	if err := lineage.Put(t.Context(), repo, r); !errors.Is(err, repository.ErrEmpty) {
		t.Errorf("into nobody's repository: %v", err)
	}
	if _, err := repo.Claim(t.Context(), replication.Server{System: "1", Major: 15, Segment: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	foreign := r
	foreign.System = "2"
	if err := lineage.Put(t.Context(), repo, foreign); !errors.Is(err, repository.ErrForeign) {
		t.Errorf("into another's repository: %v", err)
	}
	odd := r
	odd.Tenant = "../" + acme
	if err := lineage.Put(t.Context(), repo, odd); err == nil || !strings.Contains(err.Error(), "no UUIDs") {
		t.Errorf("of what is no tenant: %v", err)
	}
	later, other := r, r
	later.OID, later.LSN, later.Time, later.What = 0, r.LSN+1, r.Time.Add(time.Second), "drop"
	other.Tenant = globex
	for _, one := range []lineage.Record{later, r, other, r} { // the same one twice
		if err := lineage.Put(t.Context(), repo, one); err != nil {
			t.Fatal(err)
		}
	}
	r.Format, later.Format = 1, 1
	all, err := lineage.List(t.Context(), repo, acme)
	if err != nil || len(all) != 2 || all[0] != r || all[1] != later {
		t.Fatalf("there are %+v, %v", all, err)
	}
	for _, test := range []struct {
		at         time.Time
		last, next string
	}{{r.Time.Add(-1), "", "create"}, {r.Time, "create", "drop"}, {later.Time, "drop", ""}} {
		last, next := lineage.Around(all, func(r *lineage.Record) bool { return r.Time.After(test.at) })
		if what(last) != test.last || what(next) != test.next {
			t.Errorf("at %v: %v, %v", test.at, last, next)
		}
	}
	if keys, err := lineage.Superseded(t.Context(), repo, later.Time); err != nil || len(keys) > 0 {
		t.Errorf("what is needed is superseded: %q, %v", keys, err)
	}
	keys, err := lineage.Superseded(t.Context(), repo, later.Time.Add(1))
	if err != nil || len(keys) != 1 || !strings.HasSuffix(keys[0], "lineage/"+acme+"/00000016B374D848-"+job) {
		t.Errorf("superseded are %q, %v", keys, err)
	}
	if all, err := lineage.List(t.Context(), repo, job); err != nil || len(all) > 0 {
		t.Errorf("of nobody there are %+v, %v", all, err)
	}
	if _, err := lineage.List(t.Context(), repo, "acme"); err == nil {
		t.Error("a name is taken for a UUID")
	}
	if err := repo.Store.Put(t.Context(), repo.Key("lineage", acme, "x"), []byte("{"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := lineage.List(t.Context(), repo, acme); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("what is no record is taken for one: %v", err)
	}
	if keys, err := lineage.Superseded(t.Context(), repo, later.Time.Add(1)); err != nil || len(keys) > 0 {
		t.Errorf("beside what cannot be read are superseded %q, %v", keys, err)
	}
}

func what(r *lineage.Record) string {
	if r == nil {
		return ""
	}
	return r.What
}
