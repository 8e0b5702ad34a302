package admin_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"howdah/admin"
	"howdah/backup/base"
	"howdah/backup/drill"
	"howdah/backup/overview"
	"howdah/backup/schedule"
	"howdah/backup/wal"
)

// someBackups are those of a cluster that is received here, of one that has never been, and of
// one that another node receives.
func someBackups() []admin.ClusterBackups {
	now := time.Now()
	m := base.Manifest{
		ID: "20260131T010000Z.k3jx7q", Started: fixedTime(), Finished: fixedTime().Add(90 * time.Second), Size: 300, Stored: 100,
		Start: base.Position{LSN: 16 << 20, Timeline: 1}, Stop: base.Position{LSN: 17 << 20, Timeline: 1}, DatabasesAtEnd: map[uint32]string{5: "postgres"},
	}
	older := m
	older.ID, older.Since = "20260130T010000Z.aaaaaa", "20260129T010000Z.aaaaaa"
	return []admin.ClusterBackups{
		{
			Overview: overview.Overview{
				Cluster: "main", Read: now, Gaps: 1, LastGap: fixedTime(), Until: now.Add(-time.Minute), LSN: 18 << 20, Timeline: 1,
				Drills: []drill.Record{
					{Finished: fixedTime().Add(time.Hour), InvalidPages: 3, Error: "a page is missing"},
					{Finished: fixedTime(), RTO: 61, RPO: 1.5},
				},
				Bases: []overview.Base{{Manifest: m, Oldest: m.Finished, Newest: now, Hold: &base.Hold{}}, {Manifest: older, Oldest: fixedTime().Add(-time.Hour)}},
			},
			Wanted: true, Interval: 24 * time.Hour, DrillInterval: 48 * time.Hour,
			RPOPromised: 5 * time.Second, RTO: &admin.RTO{Tenant: "acme", Expected: 70 * time.Second, Promised: time.Minute},
			Scheduling: &schedule.Stats{Why: "it is the first", Since: fixedTime(), Progress: base.Progress{Done: 500e6, Total: 2000e6}, LastError: "no room", LastErrorAt: fixedTime()},
			Receiving: &wal.Stats{
				Connected: true, Timeline: 2, Received: 20 << 20, Durable: 19 << 20, Sampled: now.Add(-2 * time.Second), Gaps: 2, LastGap: fixedTime().Add(time.Minute),
				Objects: 7, BytesIn: 1000, BytesOut: 400,
				Slot:     wal.SlotState{Asked: now, Status: "extended", Retained: 12345, Safe: -1, Waits: wal.Waits{Sync: "sync", Applied: "role acme"}},
				Standbys: []wal.StandbySlot{{Address: "db2:5432", Kept: fixedTime(), Restart: 19 << 20}, {Address: "db3:5432", Error: "connection refused"}},
			},
		},
		{Overview: overview.Overview{Cluster: "new", Read: now}, Wanted: true},
		{Overview: overview.Overview{Cluster: "other", Read: now, Until: now}, Wanted: true, Receiving: &wal.Stats{Elsewhere: true}},
	}
}

func TestBackupMetrics(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	all := someBackups()
	admin.RegisterBackups(r, func() []admin.ClusterBackups { return all })
	web := startWeb(t, &admin.Web{Registry: r})
	families := scrape(t, web)
	for _, want := range []struct {
		value  float64
		name   string
		labels []string
	}{
		{1, "howdah_wal_receiver_state", []string{"main", "receiving"}},
		{1, "howdah_wal_receiver_state", []string{"new", "disconnected"}},
		{1, "howdah_wal_receiver_state", []string{"other", "elsewhere"}},
		{20 << 20, "howdah_wal_received_lsn", []string{"main"}},
		{19 << 20, "howdah_wal_durable_lsn", []string{"main"}},
		{2, "howdah_wal_timeline", []string{"main"}},
		{2, "howdah_wal_gaps", []string{"main"}},
		{float64(fixedTime().Unix() + 60), "howdah_wal_last_gap_timestamp_seconds", []string{"main"}},
		{1000, "howdah_wal_received_bytes_total", []string{"main"}},
		{400, "howdah_wal_stored_bytes_total", []string{"main"}},
		{7, "howdah_wal_stored_objects_total", []string{"main"}},
		{1, "howdah_wal_slot_status", []string{"main", "extended"}},
		{1, "howdah_wal_commits_hang", []string{"main"}},
		{12345, "howdah_wal_slot_retained_bytes", []string{"main"}},
		{float64(fixedTime().Unix()), "howdah_wal_standby_slot_kept_timestamp_seconds", []string{"main", "db2:5432"}},
		{0, "howdah_wal_standby_slot_kept_timestamp_seconds", []string{"main", "db3:5432"}},
		{19 << 20, "howdah_wal_standby_slot_restart_lsn", []string{"main", "db2:5432"}},
		{0, "howdah_wal_durable_timestamp_seconds", []string{"new"}},
		{86400, "howdah_base_backup_interval_seconds", []string{"main"}},
		{float64(fixedTime().Unix()), "howdah_base_backup_last_error_timestamp_seconds", []string{"main"}},
		{float64(fixedTime().Unix()), "howdah_base_backup_running_since_timestamp_seconds", []string{"main"}},
		{172800, "howdah_drill_interval_seconds", []string{"main"}},
		{float64(fixedTime().Unix() + 3600), "howdah_drill_last_timestamp_seconds", []string{"main"}},
		{float64(fixedTime().Unix()), "howdah_drill_last_success_timestamp_seconds", []string{"main"}},
		{61, "howdah_drill_rto_seconds", []string{"main"}},
		{1.5, "howdah_drill_rpo_seconds", []string{"main"}},
		{5, "howdah_backup_rpo_promised_seconds", []string{"main"}},
		{70, "howdah_backup_rto_expected_seconds", []string{"main"}},
		{60, "howdah_backup_rto_promised_seconds", []string{"main"}},
		{3, "howdah_drill_invalid_page_lines", []string{"main"}},
		{2, "howdah_base_backups", []string{"main"}},
		{float64(fixedTime().Unix() + 90), "howdah_base_backup_last_success_timestamp_seconds", []string{"main"}},
		{0, "howdah_base_backup_last_success_timestamp_seconds", []string{"new"}},
		{90, "howdah_base_backup_duration_seconds", []string{"main"}},
		{300, "howdah_base_backup_size_bytes", []string{"main"}},
		{100, "howdah_base_backup_stored_bytes", []string{"main"}},
		{3, "howdah_base_backup_compression_ratio", []string{"main"}},
		{float64(fixedTime().Unix() - 3600), "howdah_backup_oldest_restorable_timestamp_seconds", []string{"main"}},
	} {
		if got := value(t, families, want.name, want.labels...); got != want.value {
			t.Errorf("%s%q is %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	all[0].Until, all[0].Receiving.Sampled, all[0].Receiving.Slot.Waits.Applied = time.Time{}, time.Time{}, ""
	for _, name := range []string{"howdah_wal_durable_timestamp_seconds", "howdah_wal_commits_hang"} {
		if got := value(t, scrape(t, web), name, "main"); got != 0 {
			t.Errorf("where the primary cannot be asked, and no commit hangs, %s is %v", name, got)
		}
	}
	if rpo := value(t, families, "howdah_wal_rpo_seconds", "main"); rpo < 2 || rpo > 30 {
		t.Errorf("the RPO is %v", rpo)
	}
	if n := len(families["howdah_wal_rpo_seconds"].GetMetric()); n != 1 {
		t.Errorf("%d clusters have an RPO: one is received elsewhere, and one never", n)
	}
	for _, name := range []string{"howdah_backup_rpo_promised_seconds", "howdah_backup_rto_expected_seconds", "howdah_backup_rto_promised_seconds"} {
		if n := len(families[name].GetMetric()); n != 1 {
			t.Errorf("%s is told of %d clusters, and of one something is promised", name, n)
		}
	}
	if n := len(families["howdah_wal_last_gap_timestamp_seconds"].GetMetric()); n != 1 {
		t.Errorf("a gap was found of %d clusters, and one has some", n)
	}
	if families["howdah_wal_slot_safe_bytes"] != nil {
		t.Error("a slot that cannot be lost has a limit")
	}
}

func TestUnreadBackupsAreNotNone(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	admin.RegisterBackups(r, func() []admin.ClusterBackups {
		return []admin.ClusterBackups{{Overview: overview.Overview{Cluster: "main", Error: "the store is away"}, Wanted: true}}
	})
	families := scrape(t, startWeb(t, &admin.Web{Registry: r}))
	for _, name := range []string{"howdah_base_backups", "howdah_base_backup_last_success_timestamp_seconds", "howdah_wal_durable_timestamp_seconds", "howdah_wal_rpo_seconds"} {
		if families[name] != nil {
			t.Errorf("%s is told of a store that nobody has read", name)
		}
	}
	if got := value(t, families, "howdah_wal_receiver_state", "main", "disconnected"); got != 1 {
		t.Errorf("the receiver is %v disconnected", got)
	}
}

// Where WAL is received and the primary cannot be asked, nobody knows how new it is what is
// stored: that is as bad as if nothing were.
func TestNobodyKnowsTheAge(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	admin.RegisterBackups(r, func() []admin.ClusterBackups {
		return []admin.ClusterBackups{{Overview: overview.Overview{Cluster: "main", Read: time.Now()}, Wanted: true, Receiving: &wal.Stats{Connected: true, Received: 20, Durable: 20}}}
	})
	families := scrape(t, startWeb(t, &admin.Web{Registry: r}))
	if got := value(t, families, "howdah_wal_durable_timestamp_seconds", "main"); got != 0 {
		t.Errorf("it is known that all is stored until %v", got)
	}
	if got := value(t, families, "howdah_wal_durable_lsn", "main"); got != 20 {
		t.Errorf("it is stored up to %v", got)
	}
}

func TestShowBackups(t *testing.T) {
	t.Parallel()
	server := startConsole(t, &admin.Console{Pooler: busyPooler(), Backups: someBackups})
	conn := server.connect(t, "watcher", "howdah")
	got := rows(t, conn, "SHOW BACKUPS")
	if len(got) != 2 || len(got[0]) != 15 {
		t.Fatalf("SHOW BACKUPS: %q", got)
	}
	for i, want := range map[int]string{0: "main", 1: "20260131T010000Z.k3jx7q", 2: "full", 4: "90", 5: "300", 6: "100", 7: "3.00", 8: "1", 9: "0/1000000", 10: "0/1100000", 11: "1", 12: "yes"} {
		if cell := got[0][i]; cell != want {
			t.Errorf("column %d is %q, want %q", i, cell, want)
		}
	}
	if got[1][2] != "incremental" {
		t.Errorf("the second is %q", got[1])
	}
	got = rows(t, conn, "SHOW DRILLS")
	if len(got) != 2 {
		t.Fatalf("SHOW DRILLS: %q", got)
	}
	for i, want := range map[int]string{0: "main", 7: "failed", 9: "<null>", 13: "a page is missing"} {
		if cell := got[0][i]; cell != want {
			t.Errorf("column %d is %q, want %q", i, cell, want)
		}
	}
	for i, want := range map[int]string{7: "passed", 8: "1500", 9: "61000", 13: "<null>"} {
		if cell := got[1][i]; cell != want {
			t.Errorf("column %d of the next is %q, want %q", i, cell, want)
		}
	}
	got = rows(t, conn, "SHOW WAL")
	if len(got) != 3 {
		t.Fatalf("SHOW WAL: %q", got)
	}
	for i, want := range map[int]string{0: "main", 1: "receiving", 2: "2", 3: "0/1400000", 4: "0/1300000", 7: "2", 8: "extended", 9: "12345", 11: "1 of 2", 12: "it is the first; 25 % of 2000 MB", 13: "no base backup was taken: no room"} {
		if cell := got[0][i]; cell != want {
			t.Errorf("column %d is %q, want %q", i, cell, want)
		}
	}
	if got[1][1] != "disconnected" || got[2][1] != "elsewhere" {
		t.Errorf("the others are %q", got[1:])
	}
}
