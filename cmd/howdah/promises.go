package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"howdah/admin"
	"howdah/backup/overview"
	"howdah/tenants"
)

// promisedOf returns, by cluster, the tenants of which backup_rpo or backup_rto promises
// something.
func promisedOf(s *tenants.Snapshot) map[string][]*tenants.Tenant {
	all := map[string][]*tenants.Tenant{}
	for t := range s.WithFallback() {
		if t.Backup.RPO > 0 || t.Backup.RTO > 0 {
			all[t.Cluster] = append(all[t.Cluster], t)
		}
	}
	return all
}

// restored is the database that is restored of a tenant; "" is any.
func restored(t *tenants.Tenant) string {
	if t.Name == tenants.Fallback {
		return ""
	}
	return t.Database
}

// standing says what the tenants of a cluster are promised: the least backup_rpo, 0 for none,
// and how it stands with that backup_rto that is the furthest from being kept, nil for none.
func standing(b *admin.ClusterBackups, promised []*tenants.Tenant) (rpo time.Duration, rto *admin.RTO) {
	for _, t := range promised {
		if p := t.Backup.RPO; p > 0 && (rpo == 0 || p < rpo) {
			rpo = p
		}
		if t.Backup.RTO == 0 {
			continue
		}
		takes, known := b.Expected(restored(t))
		if r := (admin.RTO{Tenant: t.Name, Expected: takes, Promised: t.Backup.RTO}); known && (rto == nil || r.Over() > rto.Over()) {
			rto = &r
		}
	}
	return rpo, rto
}

// mayReplay says how many bytes of WAL a restore of any of the tenants may have to replay for
// backup_rto to be kept, and how many if the newest base backup had all. Who is promised what
// no base backup could keep is left out; 0 for the second is that nobody is left, or nothing
// is known.
func mayReplay(stored *overview.Overview, promised []*tenants.Tenant) (most, whole int64) {
	for _, t := range promised {
		if t.Backup.RTO == 0 {
			continue
		}
		n, w := stored.MayReplay(restored(t), t.Backup.RTO)
		if w <= 0 {
			continue
		}
		if whole == 0 || n < most {
			most = n
		}
		if whole == 0 || w < whole {
			whole = w
		}
	}
	return most, whole
}

// tellPromises logs which promises of clusters that no other node receives are broken, and
// which are kept again, each once.
func (d *daemon) tellPromises() {
	config, s := d.current(), d.registry.Snapshot()
	stands := map[string]*admin.ClusterBackups{}
	for _, b := range d.clusterBackups() {
		stands[b.Cluster] = &b
	}
	before := d.backups.broken
	d.backups.broken = map[string]map[string]bool{}
	promised := promisedOf(s)
	for _, name := range slices.Sorted(maps.Keys(promised)) {
		c, _ := s.Cluster(name)
		broken, known := config.broken(c, stands[name], promised[name])
		one := d.backups.receiverOf(name)
		if !known || one != nil && time.Since(one.started) < walAway { // it has to catch up first
			d.backups.broken[name] = before[name]
			continue
		}
		is := map[string]bool{}
		for _, setting := range []string{"backup_rpo", "backup_rto"} {
			why := broken[setting]
			is[setting] = why != ""
			switch {
			case why != "" && !before[name][setting]:
				d.log.Warn("a promise of backups is not kept", "cluster", name, "setting", setting, "why", why)
			case why == "" && before[name][setting]:
				d.log.Info("a promise of backups is kept again", "cluster", name, "setting", setting)
			}
		}
		d.backups.broken[name] = is
	}
}

// broken says which of the promises to a cluster's tenants are not kept, and why, by setting.
// It is not known where another node receives.
func (c *Config) broken(cluster *tenants.Cluster, b *admin.ClusterBackups, promised []*tenants.Tenant) (why map[string]string, known bool) {
	why = map[string]string{}
	for _, t := range promised {
		for _, p := range promisesTo(t) {
			if problem, remedy := c.unkept(cluster, p.limit, p.promised); problem != "" && why[p.limit] == "" {
				why[p.limit] = fmt.Sprintf("that of tenant %q %s: %s", t.Name, problem, remedy)
			}
		}
	}
	if !c.receives(cluster) {
		return why, true
	}
	if b == nil || b.Receiving == nil || b.Receiving.Elsewhere {
		return nil, false
	}
	if lost, measured := b.RPO(time.Now()); measured && b.RPOPromised > 0 && lost > b.RPOPromised {
		why["backup_rpo"] = fmt.Sprintf("what was committed in the last %s may not be stored, and all is to be within %s: SHOW WAL says why", lost.Round(time.Millisecond), b.RPOPromised)
	}
	if r := b.RTO; r != nil && r.Over() > 0 {
		why["backup_rto"] = fmt.Sprintf("a restore of tenant %q would take about %s, and may take %s: if base backups do not make it shorter, promise less, or have it on a cluster with less to write",
			r.Tenant, r.Expected.Round(time.Second), r.Promised)
	}
	return why, true
}
