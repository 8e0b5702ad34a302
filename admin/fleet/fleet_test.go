package fleet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
)

func (h *house) create(name string) *fleet.Creation {
	h.t.Helper()
	made, err := h.fleet.CreateTenant(h.t.Context(), anna, fleet.NewTenant{Name: name}, false)
	if err != nil {
		h.t.Fatal(err)
	}
	h.await(made.Operation, catalog.Done)
	return made
}

// TestTenantFromBirthToDeath takes one tenant through all of it.
func TestTenantFromBirthToDeath(t *testing.T) {
	h := newManagedHouse(t)
	h.run()
	made := h.create("acme")
	if err := h.can("acme", made.Password); err != nil {
		t.Fatal(err)
	}
	do := func(o *catalog.Operation, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		h.await(o, catalog.Done)
		h.letGo()
	}
	do(h.fleet.SuspendTenant(t.Context(), anna, "acme"))
	if err := h.can("acme", made.Password); err == nil {
		t.Error("a suspended tenant's database lets clients in")
	}
	if _, ever := h.pooler.holding(); !slices.Equal(ever, []string{"acme"}) {
		t.Errorf("held were %q", ever)
	}
	do(h.fleet.ResumeTenant(t.Context(), anna, "acme"))
	if err := h.can("acme", made.Password); err != nil {
		t.Errorf("resumed: %v", err)
	}
	do(h.fleet.DropTenant(t.Context(), anna, "acme", time.Hour))
	if got := h.holds(); !strings.HasPrefix(got, "howdah_drop_") {
		t.Errorf("dropped, there is %s", got)
	}
	do(h.fleet.UndropTenant(t.Context(), anna, "acme"))
	if err := h.can("acme", made.Password); err != nil {
		t.Errorf("undropped: %v", err)
	}
	var rows int
	if err := h.server.QueryRow(t.Context(), "acme", "select count(*) from kept", nil, &rows); err != nil || rows != 3 {
		t.Errorf("%d rows are left of 3: %v", rows, err)
	}
	do(h.fleet.DropTenant(t.Context(), anna, "acme", 0))
	if err := h.fleet.PurgeOld(t.Context()); err != nil { // its time has come
		t.Fatal(err)
	}
	all, err := h.catalog.Operations(t.Context(), "acme", 1)
	if err != nil || all[0].Kind != "purge" {
		t.Fatalf("operations %+v, %v", all, err)
	}
	h.await(&all[0], catalog.Done)
	if got := h.holds(); got != "|" {
		t.Errorf("purged, there is %s", got)
	}
	if _, err := h.fleet.UndropTenant(t.Context(), anna, "acme"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("undropped when purged: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	h := newHouse(t)
	h.run()
	h.create("taken")
	for _, n := range []fleet.NewTenant{
		{Name: ""},
		{Name: strings.Repeat("x", 64)},
		{Name: "postgres"},
		{Name: "template1"},
		{Name: "howdah"},
		{Name: "Acme"},
		{Name: "rené"},
		{Name: `a"; drop table x`},
		{Name: "ok", Database: "pg_x"},
		{Name: "ok", User: "howdah_x"},
		{Name: "ok", Cluster: "nowhere"},
		{Name: "ok", Password: "a\x00b"},
		{Name: "ok", Settings: catalog.Settings{"cluster": "main"}},
		{Name: "ok", Settings: catalog.Settings{"nonsense": int64(1)}},
	} {
		_, err := h.fleet.CreateTenant(t.Context(), anna, n, false)
		var invalid *fleet.InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%+v: %v", n, err)
		}
	}
	for _, n := range []fleet.NewTenant{{Name: "taken"}, {Name: "other", User: "taken"}} {
		if _, err := h.fleet.CreateTenant(t.Context(), anna, n, false); !errors.Is(err, catalog.ErrExists) {
			t.Errorf("%+v: %v", n, err)
		}
	}
}

func TestDryRunOfCreate(t *testing.T) {
	h := newHouse(t)
	plan, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Steps) < 3 || plan.Operation != nil || plan.Password != "" || h.holds() != "|" {
		t.Errorf("%+v, and the server has %s", plan, h.holds())
	}
}

// The answer to a request is given again, and nothing is done a second time.
func TestOnce(t *testing.T) {
	h := newHouse(t)
	h.run()
	n := fleet.NewTenant{Name: "acme", Once: &fleet.Once{Key: "k", Secret: "mine"}}
	first, err := h.fleet.CreateTenant(t.Context(), anna, n, false)
	if err != nil {
		t.Fatal(err)
	}
	h.await(first.Operation, catalog.Done)
	again, err := h.fleet.CreateTenant(t.Context(), anna, n, false)
	if err != nil || again.Password != first.Password || again.Operation.ID != first.Operation.ID {
		t.Errorf("the same request again: %+v, %v", again, err)
	}
	n.Name = "globex"
	var invalid *fleet.InvalidError
	if _, err := h.fleet.CreateTenant(t.Context(), anna, n, false); !errors.As(err, &invalid) {
		t.Errorf("another request under the key: %v", err)
	}
	n.Name, n.Once = "acme", &fleet.Once{Key: "k", Secret: "another's"}
	if _, err := h.fleet.CreateTenant(t.Context(), anna, n, false); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("another's request under the key: %v", err)
	}
	var kept string
	if err := h.server.QueryRow(t.Context(), "catalog", "select string_agg(i::text, '') || (select string_agg(o::text, '') from howdah.operation o) || (select string_agg(a::text, '') from howdah.audit a) from howdah.idempotency i", nil, &kept); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(kept, first.Password) || strings.Contains(kept, "mine") {
		t.Error("the catalog has a secret in plain text")
	}
}

func TestSettings(t *testing.T) {
	h := newHouse(t)
	h.run()
	h.create("acme")
	e, err := h.fleet.SetTenant(t.Context(), anna, "acme", catalog.AnyRevision, map[string]any{"pool_size": int64(7), "weight": int64(2)})
	if err != nil {
		t.Fatal(err)
	}
	e, err = h.fleet.SetTenant(t.Context(), anna, "acme", e.Revision, map[string]any{"weight": nil})
	if _, ok := e.Settings["weight"]; err != nil || ok || e.Settings["pool_size"] != int64(7) || e.Settings.Text("database") != "acme" {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := h.fleet.SetTenant(t.Context(), anna, "acme", e.Revision-1, map[string]any{"weight": int64(1)}); !errors.Is(err, catalog.ErrChanged) {
		t.Errorf("of an old revision: %v", err)
	}
	if e, err = h.fleet.GraceTenant(t.Context(), anna, "acme", time.Hour); err != nil {
		t.Fatal(err)
	}
	until, err := time.Parse(time.RFC3339, e.Settings.Text("quota_grace_until"))
	if left := time.Until(until); err != nil || left > time.Hour || left < 50*time.Minute || e.Settings["pool_size"] != int64(7) {
		t.Errorf("grace: %+v, %v", e, err)
	}
	e, err = h.fleet.GraceTenant(t.Context(), anna, "acme", 0)
	if _, ok := e.Settings["quota_grace_until"]; err != nil || ok {
		t.Errorf("grace ended: %+v, %v", e, err)
	}
	var invalid *fleet.InvalidError
	for _, lasts := range []time.Duration{-1, 32 * 24 * time.Hour} {
		if _, err := h.fleet.GraceTenant(t.Context(), anna, "acme", lasts); !errors.As(err, &invalid) {
			t.Errorf("grace for %v: %v", lasts, err)
		}
	}
	for _, patch := range []map[string]any{{"database": "x"}, {"state": "suspended"}, {"nonsense": true}} {
		if _, err := h.fleet.SetTenant(t.Context(), anna, "acme", catalog.AnyRevision, patch); !errors.As(err, &invalid) {
			t.Errorf("%v: %v", patch, err)
		}
	}
	if _, err := h.fleet.SetTenant(t.Context(), anna, "nobody", catalog.AnyRevision, nil); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	if _, err := h.fleet.PutEntry(t.Context(), anna, catalog.Cluster, "main", catalog.AnyRevision, catalog.Settings{}); !errors.Is(err, fleet.ErrFile) {
		t.Errorf("a cluster of the file: %v", err)
	}
	tier, err := h.fleet.PutEntry(t.Context(), anna, catalog.Tier, "gold", 0, catalog.Settings{"weight": int64(4)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.fleet.PutEntry(t.Context(), anna, catalog.Tier, "gold", 0, nil); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("made twice: %v", err)
	}
	if err := h.fleet.DeleteEntry(t.Context(), anna, catalog.Tier, "gold", tier.Revision); err != nil {
		t.Error(err)
	}
}

// Two operations on a tenant do not run at once.
func TestTenantIsBusy(t *testing.T) {
	h := newHouse(t) // nothing runs
	made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme"}, false)
	var busy *catalog.BusyError
	if !errors.As(err, &busy) || busy.Operation != made.Operation.ID {
		t.Errorf("the second: %v", err)
	}
	if err := h.fleet.CancelOperation(t.Context(), anna, made.Operation.ID); err != nil {
		t.Fatal(err)
	}
	h.run()
	h.await(made.Operation, catalog.Cancelled)
	if got := h.holds(); got != "|" {
		t.Errorf("cancelled, there is %s", got)
	}
}

// Answers are kept for a day.
func TestOldAnswersAreForgotten(t *testing.T) {
	h := newHouse(t)
	for _, key := range []string{"old", "new"} {
		n := fleet.NewTenant{Name: key, Once: &fleet.Once{Key: key, Secret: "mine"}}
		if _, err := h.fleet.CreateTenant(t.Context(), anna, n, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.server.Exec(t.Context(), "catalog", "update howdah.idempotency set at = now() - interval '25 hours' where key = 'old'"); err != nil {
		t.Fatal(err)
	}
	h.run()
	var left string
	for end := time.Now().Add(patience); left != "new" && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err := h.server.QueryRow(t.Context(), "catalog", "select string_agg(key, ' ' order by key) from howdah.idempotency", nil, &left); err != nil {
			t.Fatal(err)
		}
	}
	if left != "new" {
		t.Errorf("there are the answers of %q", left)
	}
}
