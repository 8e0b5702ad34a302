package admin_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"howdah/admin"
	"howdah/backup/drill"
	"howdah/backup/overview"
	"howdah/backup/wal"
	"howdah/tenants"
)

// tenantBackups are those of three tenants, of whose clusters one is received here.
func tenantBackups() []admin.TenantBackups {
	main := someBackups()[0]
	main.Databases = map[string]overview.Database{"acme": {Size: 77, Oldest: fixedTime()}, "globex": {Size: 5, Oldest: fixedTime()}}
	main.Written = func(database string) (wal.Written, bool) {
		return wal.Written{Total: 1000, Day: 100}, database == "acme"
	}
	main.Drills = []drill.Record{
		{Database: "acme", Error: "x", Finished: fixedTime().Add(3 * time.Hour)},
		{Database: "globex", Finished: fixedTime().Add(2 * time.Hour)},
		{Finished: fixedTime().Add(time.Hour)}, // of all
		{Database: "acme", Finished: fixedTime()},
	}
	acme := main.OfTenant(&tenants.Tenant{Name: "acme", Cluster: "main", Database: "acme", Backup: tenants.BackupPolicy{RPO: 5 * time.Second, RTO: time.Minute}})
	acme.Exported = fixedTime().Add(time.Minute)
	return []admin.TenantBackups{
		main.OfTenant(&tenants.Tenant{Name: "born", Cluster: "main", Database: "born"}),
		main.OfTenant(&tenants.Tenant{Name: "g\xff", Cluster: "main", Database: "globex"}),
		acme,
	}
}

func TestTenantBackupMetrics(t *testing.T) {
	t.Parallel()
	top := 3
	r := prometheus.NewRegistry()
	admin.RegisterTenantBackups(r, tenantBackups, func() int { return top })
	web := startWeb(t, &admin.Web{Registry: r})
	families := scrape(t, web)
	at := float64(fixedTime().Unix())
	for _, want := range []struct {
		value        float64
		name, tenant string
	}{
		{1000, "howdah_tenant_wal_written_bytes_total", "acme"},
		{77, "howdah_tenant_backup_size_bytes", "acme"},
		{at, "howdah_tenant_backup_oldest_restorable_timestamp_seconds", "acme"},
		{at + 60, "howdah_tenant_export_last_success_timestamp_seconds", "acme"},
		{at + 3600, "howdah_tenant_drill_last_success_timestamp_seconds", "acme"},
		{at + 7200, "howdah_tenant_drill_last_success_timestamp_seconds", "g\ufffd"},
		{at + 3600, "howdah_tenant_drill_last_success_timestamp_seconds", "born"},
	} {
		if got := value(t, families, want.name, want.tenant); got != want.value {
			t.Errorf("%s of %s is %v, want %v", want.name, want.tenant, got, want.value)
		}
	}
	for name, n := range map[string]int{ // what is not known is not told
		"howdah_tenant_wal_written_bytes_total": 1, "howdah_tenant_export_last_success_timestamp_seconds": 1,
		"howdah_tenant_backup_oldest_restorable_timestamp_seconds": 2, "howdah_tenant_backup_newest_restorable_timestamp_seconds": 3,
	} {
		if got := len(families[name].GetMetric()); got != n {
			t.Errorf("%s is told of %d tenants, not of %d", name, got, n)
		}
	}
	top = 2
	families = scrape(t, web)
	if got := families["howdah_tenant_backup_newest_restorable_timestamp_seconds"].GetMetric(); len(got) != 2 || got[0].GetLabel()[0].GetValue() != "acme" {
		t.Errorf("the two that write most are %v", got)
	}
}

func TestShowTenantBackups(t *testing.T) {
	t.Parallel()
	server := startConsole(t, &admin.Console{Pooler: busyPooler(), TenantBackups: func(string) []admin.TenantBackups { return tenantBackups() }})
	got := rows(t, server.connect(t, "watcher", "howdah"), "SHOW TENANT_BACKUPS")
	if len(got) != 3 {
		t.Fatalf("SHOW TENANT_BACKUPS: %q", got)
	}
	for i, want := range map[int]string{0: "acme", 1: "main", 2: "acme", 5: "77", 6: "100", 7: "1000", 11: "5000", 12: "4075", 13: "60000"} {
		if cell := got[2][i]; cell != want {
			t.Errorf("column %d is %q, want %q", i, cell, want)
		}
	}
	if rpo, err := strconv.Atoi(got[2][10]); err != nil || rpo < 2000 || rpo > 30000 {
		t.Errorf("the RPO of acme is %q", got[2][10])
	}
	for _, i := range []int{3, 5, 6, 7, 8, 11, 13} {
		if cell := got[0][i]; cell != "<null>" {
			t.Errorf("column %d of one of which nothing is known is %q", i, cell)
		}
	}
}

// BenchmarkTenantBackups is a scrape with 5,000 tenants.
func BenchmarkTenantBackups(b *testing.B) {
	main := someBackups()[0]
	main.Databases = map[string]overview.Database{}
	var all []tenants.Tenant
	for i := range 5000 {
		t := tenants.Tenant{Name: "tenant" + strconv.Itoa(i), Cluster: "main", Database: "database" + strconv.Itoa(i)}
		main.Databases[t.Database] = overview.Database{Size: 7, Oldest: fixedTime()}
		main.Drills = append(main.Drills[:min(len(main.Drills), 99)], drill.Record{Database: t.Database})
		all = append(all, t)
	}
	main.Written = func(string) (wal.Written, bool) { return wal.Written{Total: 1000, Day: 100}, true }
	r := prometheus.NewRegistry()
	admin.RegisterTenantBackups(r, func() (found []admin.TenantBackups) {
		for i := range all {
			found = append(found, main.OfTenant(&all[i]))
		}
		return found
	}, func() int { return 50 })
	for b.Loop() {
		if _, err := r.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
