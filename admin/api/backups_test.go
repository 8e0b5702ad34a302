package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"howdah/admin"
	"howdah/admin/api"
	"howdah/backup/base"
	"howdah/backup/drill"
	"howdah/backup/overview"
	"howdah/backup/wal"
	"howdah/tenants"
)

func someBackups() []admin.ClusterBackups {
	taken := time.Date(2026, 1, 31, 1, 0, 0, 0, time.UTC)
	m := base.Manifest{
		ID: "20260131T010000Z.k3jx7q", Major: 15, Started: taken, Finished: taken.Add(time.Minute), Size: 300, Stored: 100,
		Start: base.Position{LSN: 16 << 20, Timeline: 1}, Stop: base.Position{LSN: 17 << 20, Timeline: 1},
	}
	return []admin.ClusterBackups{{
		Overview: overview.Overview{Cluster: "main", Read: taken, Bases: []overview.Base{{Manifest: m, Oldest: m.Finished, Hold: &base.Hold{By: "anna", Reason: "case 4711"}}}, Drills: []drill.Record{
			{ID: "20260131T020000Z.k3jx7q", Database: "acme", Started: taken, Finished: taken, Error: "a page is missing"},
			{ID: "20260131T010000Z.k3jx7q", Started: taken, Finished: taken, RTO: 61.5, RPO: 1.5, Databases: 3},
		}},
		Receiving:   &wal.Stats{Connected: true, Timeline: 1, Received: 20 << 20, Durable: 19 << 20, Sampled: time.Now(), Slot: wal.SlotState{Status: "reserved"}},
		RPOPromised: 5 * time.Second,
	}}
}

func tenantBackups(name string) []admin.TenantBackups {
	if name != "acme" {
		return nil
	}
	return []admin.TenantBackups{{
		Tenant: "acme", Size: 77, Written: &wal.Written{Total: 1000}, Exported: time.Date(2026, 1, 31, 1, 0, 0, 0, time.UTC),
		RPO: 1500 * time.Millisecond, RTO: time.Minute, Promised: tenants.BackupPolicy{RPO: 5 * time.Second},
	}}
}

func TestTenantBackups(t *testing.T) {
	d := newDesk(t)
	for name, want := range map[string]string{
		"acme":   `{"exported":"2026-01-31T01:00:00Z","rpo_promised_seconds":5,"rpo_seconds":1.5,"rto_seconds":60,"size":77,"wal_bytes_day":0,"wal_bytes_total":1000}`,
		"globex": "null",
	} {
		var tenant map[string]any
		status, text, _ := d.ask("GET", "/api/v1/tenants/"+name, d.tokens["viewer"], "")
		if err := json.Unmarshal([]byte(text), &tenant); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s, %v", status, text, err)
		}
		if got, err := json.Marshal(tenant["backups"]); err != nil || string(got) != want {
			t.Errorf("the backups of %s are %s, want %s", name, got, want)
		}
	}
}

func TestBackups(t *testing.T) {
	d := newDesk(t)
	status, text, _ := d.ask("GET", "/api/v1/clusters/main/backups", d.tokens["viewer"], "")
	var all []map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil || status != http.StatusOK || len(all) != 1 {
		t.Fatalf("%d %s, %v", status, text, err)
	}
	if b := all[0]; b["id"] != "20260131T010000Z.k3jx7q" || b["size"] != 300.0 || b["stop_lsn"] != "0/1100000" || b["oldest"] != "2026-01-31T01:01:00Z" || b["newest"] != nil || b["held"] != true || b["held_by"] != "anna" || b["held_for"] != "case 4711" {
		t.Errorf("the backup is %v", b)
	}
	status, text, _ = d.ask("GET", "/api/v1/clusters/main/wal", d.tokens["viewer"], "")
	var w map[string]any
	if err := json.Unmarshal([]byte(text), &w); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s, %v", status, text, err)
	}
	rpo, _ := w["rpo_seconds"].(float64)
	if w["state"] != "receiving" || w["durable_lsn"] != "0/1300000" || w["slot_status"] != "reserved" || w["rpo_promised_seconds"] != 5.0 || rpo <= 0 || rpo > 60 {
		t.Errorf("the WAL is %v", w)
	}
	var drills []map[string]any
	status, text, _ = d.ask("GET", "/api/v1/clusters/main/drills", d.tokens["viewer"], "")
	if err := json.Unmarshal([]byte(text), &drills); err != nil || status != http.StatusOK || len(drills) != 2 {
		t.Fatalf("%d %s, %v", status, text, err)
	}
	if a, b := drills[0], drills[1]; a["passed"] != false || a["error"] != "a page is missing" || a["rto_seconds"] != nil || b["passed"] != true || b["rto_seconds"] != 61.5 || b["database"] != nil {
		t.Errorf("the drills are %v", drills)
	}
	for _, path := range []string{"backups", "wal", "drills"} {
		if status, text, _ := d.ask("GET", "/api/v1/clusters/nowhere/"+path, d.tokens["viewer"], ""); status != http.StatusNotFound || !strings.Contains(text, "nowhere") {
			t.Errorf("%s of no cluster: %d %s", path, status, text)
		}
	}
	if status, text, _ := d.ask("POST", "/api/v1/clusters/main/backups", d.tokens["operator"], ""); status != http.StatusAccepted || len(d.taken) != 1 || d.taken[0] != "main: operator has asked for it" {
		t.Errorf("asked for one: %d %s, %q", status, text, d.taken)
	}
	d.taking = fmt.Errorf("%w: another node receives", api.ErrNotHere)
	if status, text, _ := d.ask("POST", "/api/v1/clusters/main/backups", d.tokens["operator"], ""); status != http.StatusConflict || !strings.Contains(text, "another node receives") {
		t.Errorf("not here: %d %s", status, text)
	}
	for _, test := range []struct {
		method, cluster string
		status          int
		says            string
	}{
		{"PUT", "nowhere", http.StatusNotFound, "nowhere"},
		{"PUT", "main", http.StatusUnprocessableEntity, "give [backup] store"}, // the fleet of here has none
		{"DELETE", "main", http.StatusUnprocessableEntity, "give [backup] store"},
	} {
		if status, text, _ := d.ask(test.method, "/api/v1/clusters/"+test.cluster+"/backups/20260131T010000Z.k3jx7q/hold", d.tokens["admin"], `{"reason":"case 4711"}`); status != test.status || !strings.Contains(text, test.says) {
			t.Errorf("%s the hold of a backup of %s: %d %s", test.method, test.cluster, status, text)
		}
	}
	if status, text, _ := d.ask("POST", "/api/v1/clusters/nowhere/backups", d.tokens["operator"], ""); status != http.StatusNotFound || len(d.taken) != 2 {
		t.Errorf("of no cluster: %d %s", status, text)
	}
}
