package main

import (
	"math"

	"howdah/tenants"
)

// maxKB is the most that PostgreSQL takes in kilobytes.
const maxKB = math.MaxInt32 << 10

// policySettings are what a tenant's role is to have set in its database, and what is
// promised of its backups.
func policySettings() []setting {
	return []setting{
		{
			name: "statement_timeout", initial: "0s", reload: true,
			doc: "PostgreSQL's own, which the role of a tenant of the catalog gets in the tenant's database, unless somebody else has set one there: a statement that takes longer is cancelled with 57014. A session may set another. A change holds for servers that are opened from then on, and idle ones are replaced. 0 is what the server has.",
			at:  func(p *place) any { return &p.limits.Role.StatementTimeout },
		},
		{
			name: "idle_in_transaction_session_timeout", initial: "0s", reload: true,
			doc: "PostgreSQL's own, for the tenant's role: a session that idles in a transaction for longer is ended. See idle_transaction_timeout for Howdah's. 0 is what the server has.",
			at:  func(p *place) any { return &p.limits.Role.IdleInTransactionSessionTimeout },
		},
		{
			name: "work_mem", initial: int64(0), most: maxKB, reload: true,
			doc: "PostgreSQL's own, for the tenant's role: memory of one sort or hash before it goes to files; 64kB or more. 0 is what the server has.",
			at:  func(p *place) any { return &p.limits.Role.WorkMem },
		},
		{
			name: "temp_file_limit", initial: int64(0), most: maxKB, reload: true,
			doc: "PostgreSQL's own, for the tenant's role, which cannot set another: temporary files that one session may have at once; 1kB or more. 0 is what the server has.",
			at:  func(p *place) any { return &p.limits.Role.TempFileLimit },
		},
		{
			name: "backup_rpo", initial: "0s", reload: true,
			doc: "How much of the tenant's newest work may be lost with its cluster: wal_interval and a second at least. What is lost now is measured, as howdah_wal_rpo_seconds, and the log and the alert rules tell when it is more than the least of a cluster's tenants have. 0 is no promise.",
			at:  func(p *place) any { return &p.limits.Backup.RPO },
		},
		{
			name: "backup_rto", initial: "0s", reload: true,
			doc: "How long a restore of the tenant to the newest moment may take, which is estimated as by the dry run of a restore, and by the last drills. Before there is more WAL to replay than that leaves time for, a base backup of its cluster is taken, once an hour at most: an incremental one where base_changes_interval has these be taken, else a full one, of which keep_window may keep 24 a day. The log and the alert rules tell when that is not enough. 0 is no promise.",
			at:  func(p *place) any { return &p.limits.Backup.RTO },
		},
		{
			name: "backup_retention", initial: "0s", reload: true,
			doc: "How far back the tenant can be restored: keep_window of its cluster is at least that. 0 is no promise.",
			at:  func(p *place) any { return &p.limits.Backup.Retention },
		},
		{
			name: "export_store", initial: "", reload: true,
			doc: "The [[store]] that exports of the tenant go to, such as a bucket of its own; default is that of [backup]. What else is stored of the tenant is in its cluster's store, with the WAL that has its rows. \"\" is its cluster's too.",
			at:  func(p *place) any { return &p.limits.Backup.Exports },
		},
	}
}

// placementSettings are which tenants go where.
func placementSettings() []setting {
	classes := []string{tenants.SharedPlacement, tenants.SegmentedPlacement, tenants.DedicatedPlacement}
	return []setting{
		{
			section: sectionTier, name: "placement", initial: tenants.SharedPlacement, reload: true,
			choices: classes,
			doc:     "Which clusters new tenants of the tier go to: those of the same placement, shared with anybody, segmented with tenants of this tier alone, dedicated with nobody. This version reads it and does nothing with it yet.",
			at:      func(p *place) any { return &p.tier.Placement },
		},
		{
			section: sectionTier, name: "base_interval", initial: "0s", reload: true,
			doc: "Like base_interval in [backup], for clusters with tenants of this tier: of several tiers the shortest counts. 0 is that of [backup].",
			at:  func(p *place) any { return &p.tier.Base.Interval },
		},
		{
			section: sectionTier, name: "keep_base", initial: int64(0), most: maxInt, reload: true,
			doc: "Like keep_base in [backup], for clusters with tenants of this tier: of several tiers the most counts. 0 is that of [backup].",
			at:  func(p *place) any { return &p.tier.Base.Count },
		},
		{
			section: sectionTier, name: "keep_window", initial: "0s", reload: true,
			doc: "Like keep_window in [backup], for clusters with tenants of this tier: of several tiers the longest counts. 0 is that of [backup].",
			at:  func(p *place) any { return &p.tier.Base.Window },
		},
		{
			section: sectionCluster, name: "placement", initial: tenants.SharedPlacement, reload: true,
			choices: classes,
			doc:     "Which new tenants the cluster takes: those of tiers of the same placement, and with shared those without a tier. This version reads it and does nothing with it yet.",
			at:      func(p *place) any { return &p.cluster.Placement },
		},
		{
			section: sectionCluster, name: "max_tenants", initial: int64(0), most: maxInt, reload: true,
			doc: "Tenants the cluster takes; with so many it is full, and new ones are refused or go elsewhere. This version reads it and does nothing with it yet. 0 is no limit.",
			at:  func(p *place) any { return &p.cluster.MaxTenants },
		},
		{
			section: sectionCluster, name: "disk_size", initial: int64(0), most: math.MaxInt64, reload: true,
			doc: "Space that the cluster has for its databases, such as \"500GB\", since PostgreSQL cannot tell: what it has left is this less what its tablespaces and its WAL take. With less than a tenth left it is full. This version reads it and does nothing with it yet. 0 is not known.",
			at:  func(p *place) any { return &p.cluster.DiskSize },
		},
		{
			section: sectionCluster, name: "warm", initial: int64(0), most: 1000, reload: true,
			doc: "Empty databases kept ready, so that a tenant is created in no time; they are made anew, one at a time, while no tenant waits to be created. They belong to Howdah and are closed. An empty database takes about 8 MB.",
			at:  func(p *place) any { return &p.cluster.Warm },
		},
	}
}
