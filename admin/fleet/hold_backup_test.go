package fleet_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/backup/base"
	"howdah/tenants/catalog"
)

// testHeld holds a base backup, and releases it; both are in the audit log.
func (v *vault) testHeld(t *testing.T, taken *base.Manifest) {
	ctx := t.Context()
	for until, says := range map[string]string{
		"2026-01-31 10:42":     "time zone",
		"name:x":               "it takes latest",
		"lsn:F/0":              "does not lead there",
		"lsn:0/100":            "after that",
		"2001-01-01T00:00:00Z": "after that",
	} {
		var invalid *fleet.InvalidError
		if err := v.fleet.HoldBackup(ctx, anna, "main", taken.ID, "", until); !errors.As(err, &invalid) || invalid.Field != "until" || !strings.Contains(err.Error(), says) {
			t.Errorf("held until %s: %v", until, err)
		}
	}
	if err := v.fleet.HoldBackup(ctx, anna, "main", "20010101T000000Z.abcdef", "", ""); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("one that is not there is held: %v", err)
	}
	var invalid *fleet.InvalidError
	if err := v.fleet.HoldBackup(ctx, anna, "main", "../identity", "", ""); !errors.As(err, &invalid) {
		t.Errorf("what is none is held: %v", err)
	}
	if err := v.fleet.ReleaseBackup(ctx, anna, "main", taken.ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("one that is not held is released: %v", err)
	}
	before := time.Now().Add(-time.Second)
	if err := v.fleet.HoldBackup(ctx, anna, "main", taken.ID, "case 4711", "latest"); err != nil {
		t.Fatal(err)
	}
	holds, err := base.Holds(ctx, v.repo)
	if h := holds[taken.ID]; err != nil || h == nil || h.Reason != "case 4711" || h.By != anna.Name || !h.Latest || h.Since.Before(before) {
		t.Errorf("the holds are %v, %v", holds, err)
	}
	if err := v.fleet.HoldBackup(ctx, anna, "main", taken.ID, "", ""); err != nil { // it lets go of nothing
		t.Fatal(err)
	}
	if again, err := base.Holds(ctx, v.repo); err != nil || !reflect.DeepEqual(again, holds) {
		t.Errorf("held again, the holds are %v, %v", again, err)
	}
	if err := v.fleet.ReleaseBackup(ctx, anna, "main", taken.ID); err != nil {
		t.Fatal(err)
	}
	if holds, err := base.Holds(ctx, v.repo); err != nil || len(holds) != 0 {
		t.Errorf("released, the holds are %v, %v", holds, err)
	}
	last, err := v.catalog.LastRecords(ctx, taken.ID, 10)
	if err != nil || len(last) != 3 {
		t.Fatalf("the audit log has %+v, %v", last, err)
	}
	for i, action := range []string{"release", "hold", "hold"} {
		if r := last[i]; r.Action != action || r.Kind != "backup" || r.Actor != anna.Name || r.After["cluster"] != "main" {
			t.Errorf("the audit log has %+v", r)
		}
	}
}
