package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"howdah/backup/schedule"
	"howdah/tenants"
)

// writtenAt is where a limit of a tenant is written: there, or in its tier, or in [defaults].
func (r *configReader) writtenAt(tenant int, limit string) []string {
	if b := r.tenantAt[tenant]; b.has(limit) {
		return b.key(limit)
	}
	for i := range r.config.Tiers {
		if b := r.tierAt[i]; r.config.Tiers[i].Name == r.config.Tenants[tenant].Tier && b.has(limit) {
			return b.key(limit)
		}
	}
	return []string{string(sectionLimits), limit}
}

// promise is a limit that promises something of a tenant's backups.
type promise struct {
	limit    string
	promised time.Duration
}

// promisesTo returns what a tenant is promised, always in the same order.
func promisesTo(t *tenants.Tenant) []promise {
	all := []promise{{"backup_rpo", t.Backup.RPO}, {"backup_rto", t.Backup.RTO}, {"backup_retention", t.Backup.Retention}}
	return slices.DeleteFunc(all, func(p promise) bool { return p.promised == 0 })
}

// checkPromises notes what is promised of tenants' backups and cannot be kept: once where it
// is written, of however many tenants it is.
func (r *configReader) checkPromises() {
	c := r.config
	clusters := map[string]*tenants.Cluster{}
	for i := range c.Clusters {
		clusters[c.Clusters[i].Name] = &c.Clusters[i]
	}
	told := map[string]bool{}
	for i := range c.Tenants {
		t := &c.Tenants[i]
		cluster := clusters[t.Cluster]
		if cluster == nil { // which is told already
			continue
		}
		for _, p := range promisesTo(t) {
			at := r.writtenAt(i, p.limit)
			problem, remedy := c.unkept(cluster, p.limit, p.promised)
			if written := strings.Join(at, "."); problem != "" && !told[written] {
				told[written] = true
				r.note(at, remedy, "%s of tenant %q %s", p.limit, t.Name, problem)
			}
		}
	}
}

// checkCosts notes how many base backups may be kept because of backup_rto: once for each
// cluster, where the first of its tenants has it from.
func (r *configReader) checkCosts() {
	c := r.config
	if c.Backup.BaseChangesInterval > 0 || len(r.mistakes) > 0 {
		return
	}
	at, tenant := map[string][]string{}, map[string]string{}
	for i := range c.Tenants {
		if t := &c.Tenants[i]; t.Backup.RTO > 0 && at[t.Cluster] == nil {
			at[t.Cluster], tenant[t.Cluster] = r.writtenAt(i, "backup_rto"), t.Name
		}
	}
	if len(at) == 0 {
		return
	}
	all, err := c.Snapshot()
	if err != nil { // of which `howdah check` tells
		return
	}
	for i := range c.Clusters {
		on := &c.Clusters[i]
		if at[on.Name] == nil || !c.receives(on) {
			continue
		}
		policy, _ := c.policyOf(all, on.Name)
		most := max(policy.Count, int(policy.Window/schedule.ReplayPause))
		r.note(at[on.Name], "give [backup] a base_changes_interval, by which they are incremental from PostgreSQL 17 on, or see to it that the store has room; say by keep_window how far back the cluster can be put",
			"backup_rto of tenant %q may have a full base backup of cluster %q be taken every hour, and about %d be kept, as keep_window is %s and keep_base %d, which may be of as few hours",
			tenant[on.Name], on.Name, most, policy.Window, policy.Count)
	}
}

// toldWithin is how long it takes to know what is stored: once a second the primary is asked
// where it is.
const toldWithin = time.Second

// unkept says why a limit that promises something of backups cannot be kept on a cluster, and
// what helps; "" is that it may be.
func (c *Config) unkept(on *tenants.Cluster, limit string, promised time.Duration) (problem, remedy string) {
	least := c.Backup.WALInterval + toldWithin
	switch {
	case !c.receives(on):
		return fmt.Sprintf("is not kept: nothing of cluster %q is stored", on.Name), "give [backup] a store, and the cluster a replication_url"
	case limit != "backup_rpo":
		return "", ""
	case on.AdminURL == "":
		return fmt.Sprintf("may be kept or not, and nobody knows: cluster %q has no admin_url", on.Name), "give the cluster an admin_url"
	case promised < least:
		return fmt.Sprintf("cannot be kept: WAL is stored every %s, and it is known within %s more", c.Backup.WALInterval, toldWithin), fmt.Sprintf("write %s or more, or a shorter wal_interval in [backup]", least)
	}
	return "", ""
}
