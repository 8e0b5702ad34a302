package admin

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"howdah/backup/wal"
	"howdah/tenants"
)

// TenantBackups tells how the backups of a tenant stand, as far as this node knows. A zero is
// that it does not.
type TenantBackups struct {
	Tenant, Cluster, Database string
	// Oldest and Newest are from when to when there is a base backup that leads to each moment. A
	// tenant that is in no base backup yet has no Oldest: it can be restored from its birth on.
	Oldest, Newest time.Time
	Size           int64        // bytes of files, in the newest base backup
	Written        *wal.Written // nil: another node receives, or nobody
	Exported       time.Time    // when the newest export was taken
	Drilled        time.Time    // when the newest drill was done that had its database, and passed
	// RPO is how much of its newest work would be lost if its cluster were, and RTO how long a
	// restore of it would take, an estimate; 0: nobody knows.
	RPO, RTO time.Duration
	Promised tenants.BackupPolicy
}

// OfTenant tells how the backups of a tenant of the cluster stand, but for exports.
func (c *ClusterBackups) OfTenant(t *tenants.Tenant) TenantBackups {
	b := TenantBackups{Tenant: t.Name, Cluster: t.Cluster, Database: t.Database, Promised: t.Backup}
	b.RPO, _ = c.RPO(time.Now())
	b.RTO, _ = c.Expected(t.Database)
	there := c.Databases[t.Database]
	b.Oldest, b.Size = there.Oldest, there.Size
	_, b.Newest = c.Restorable()
	if c.Written != nil {
		if w, known := c.Written(t.Database); known {
			b.Written = &w
		}
	}
	for i := range c.Drills {
		if d := &c.Drills[i]; d.Passed() && (d.Database == "" || d.Database == t.Database) {
			b.Drilled = d.Finished
			break
		}
	}
	return b
}

// RegisterTenantBackups adds to r how the backups of tenants stand. To bound the number of
// series only the top tenants by the WAL that they write, then by size, have any.
func RegisterTenantBackups(r *prometheus.Registry, all func() []TenantBackups, top func() int) {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("howdah_tenant_"+name, help, []string{"tenant"}, nil)
	}
	r.MustRegister(&tenantBackupCollector{
		all: all, top: top,
		oldest:   desc("backup_oldest_restorable_timestamp_seconds", "The oldest time that the tenant can be restored to from a base backup; absent if none has its database yet."),
		newest:   desc("backup_newest_restorable_timestamp_seconds", "The newest time that the tenant can be restored to."),
		size:     desc("backup_size_bytes", "Bytes of the files of the tenant's database in the newest base backup."),
		written:  desc("wal_written_bytes_total", "Bytes of WAL that the tenant's database has written, as far as this node has received it; absent where another node receives. It begins anew with another database."),
		exported: desc("export_last_success_timestamp_seconds", "When the tenant's newest export was taken; absent if there is none."),
		drilled:  desc("drill_last_success_timestamp_seconds", "When the newest drill was done that has passed, of the tenant's database or of all its cluster; absent if there was none."),
	})
}

type tenantBackupCollector struct {
	all                                              func() []TenantBackups
	top                                              func() int
	oldest, newest, size, written, exported, drilled *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *tenantBackupCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.oldest, c.newest, c.size, c.written, c.exported, c.drilled} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *tenantBackupCollector) Collect(ch chan<- prometheus.Metric) {
	m := metricSink{ch}
	for _, b := range mostWritten(c.all(), c.top()) {
		m.time(c.oldest, b.Oldest, b.Tenant)
		m.time(c.newest, b.Newest, b.Tenant)
		if b.Size > 0 {
			m.gauge(c.size, float64(b.Size), b.Tenant)
		}
		if b.Written != nil {
			m.counter(c.written, float64(b.Written.Total), b.Tenant)
		}
		m.time(c.exported, b.Exported, b.Tenant)
		m.time(c.drilled, b.Drilled, b.Tenant)
	}
}

// mostWritten returns the tenants that have written most, of those that readers can tell apart.
func mostWritten(all []TenantBackups, n int) (most []TenantBackups) {
	written := func(b *TenantBackups) int64 {
		if b.Written == nil {
			return 0
		}
		return b.Written.Total
	}
	slices.SortFunc(all, func(a, b TenantBackups) int {
		return cmp.Or(cmp.Compare(written(&b), written(&a)), cmp.Compare(b.Size, a.Size), cmp.Compare(a.Tenant, b.Tenant))
	})
	names := map[string]bool{}
	for i := range all {
		if len(most) >= n {
			break
		}
		b := all[i]
		if b.Tenant = cleanText(b.Tenant); !names[b.Tenant] {
			names[b.Tenant] = true
			most = append(most, b)
		}
	}
	return most
}
