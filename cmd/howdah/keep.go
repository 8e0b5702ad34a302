package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"howdah/backup/keep"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// policyOf returns what is to be kept of a cluster, and how often a base backup is to be
// taken: the widest of what the tiers of its tenants want, and the shortest interval; 0 is
// never. Without tenants, and for those without a tier, it is what [backup] says.
func (c *Config) policyOf(s *tenants.Snapshot, cluster string) (policy keep.Policy, interval time.Duration) {
	b := &c.Backup
	none := true
	for t := range s.WithFallback() {
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

// withCatalog returns the configuration with what the catalog has now, for who must know all
// tenants; and what has a deed noted in the audit log. Without a catalog it is the file's.
func (c *Config) withCatalog(ctx context.Context, by catalog.Actor) (whole *Config, audit auditor, err error) {
	if c.Catalog.URL == "" {
		return c, func(string, string, catalog.Settings) error { return nil }, nil
	}
	opened, err := catalog.Open(ctx, c.Catalog.URL)
	if err != nil {
		return nil, nil, fmt.Errorf("what the tenants of the catalog need must be known, and the audit log be written: %w", err)
	}
	defer opened.Close()
	contents, err := opened.Load(ctx)
	if err == nil && contents.Review != "" {
		err = fmt.Errorf("%w: %s", catalog.ErrReview, contents.Review)
	}
	if err == nil {
		whole, err = c.WithEntries(contents.Entries)
	}
	if err != nil {
		return nil, nil, err
	}
	return whole, func(action, name string, details catalog.Settings) error {
		return noteInCatalog(ctx, c.Catalog.URL, by, action, "backup", name, details)
	}, nil
}

// auditor notes what is about to be done to a cluster's backups. What cannot be noted is not
// done.
type auditor func(action, name string, details catalog.Settings) error
