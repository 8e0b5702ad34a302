package main

import (
	"cmp"
	"time"

	"howdah/backup/keep"
	"howdah/tenants"
)

// policyOf returns what is to be kept of a cluster, and how often a base backup is to be
// taken: the widest of what the tiers of its tenants want, and the shortest interval; 0 is
// never. Without tenants, and for those without a tier, it is what [backup] says.
func (c *Config) policyOf(s *tenants.Snapshot, cluster string) (policy keep.Policy, interval time.Duration) {
	b := &c.Backup
	none := true
	for t := range s.Tenants() {
		if t.Cluster != cluster {
			continue
		}
		wants := tenants.BasePolicy{}
		if tier, ok := s.Tier(t.Tier); ok {
			wants = tier.Base
		}
		p := keep.Policy{Count: cmp.Or(wants.Count, b.KeepBase), Window: max(cmp.Or(wants.Window, b.KeepWindow), t.Backup.Retention)}
		every := cmp.Or(wants.Interval, b.BaseInterval)
		if none || interval == 0 || every != 0 && every < interval {
			interval = every
		}
		policy, none = policy.Wider(p), false
	}
	if none {
		return keep.Policy{Count: b.KeepBase, Window: b.KeepWindow}, b.BaseInterval
	}
	return policy, interval
}
