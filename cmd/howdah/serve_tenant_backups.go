package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"howdah/admin"
	"howdah/backup/export"
	"howdah/tenants"
)

// exportsAgain is how often the store is asked which exports there are: there may be many.
const exportsAgain = 10 * time.Minute

// exportsWatch remembers when the newest export of each tenant was taken.
type exportsWatch struct {
	newest export.Newest // watchExports' own

	mu    sync.Mutex
	taken map[string]time.Time // by UUID, or by name where a tenant has none
}

// watchExports reads which exports there are until ctx ends.
func (d *daemon) watchExports(ctx context.Context) {
	for ctx.Err() == nil {
		if err := d.exports.read(ctx, d.current()); err != nil && ctx.Err() == nil {
			d.log.Warn("cannot read which exports there are", "error", err)
		}
		select {
		case <-time.After(exportsAgain):
		case <-ctx.Done():
		}
	}
}

func (w *exportsWatch) read(ctx context.Context, config *Config) error {
	places, closed := config.exportPlaces((*Store).openToRead)
	ctx, cancel := context.WithTimeout(ctx, exportsAgain)
	defer cancel()
	taken, away := w.newest.Read(ctx, places...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if closed == nil && away == nil || w.taken == nil {
		w.taken = taken
	} else { // what is in the others is what it was
		maps.Copy(w.taken, taken)
	}
	return errors.Join(closed, away)
}

// takenOf returns when the newest export of a tenant was taken, zero if there is none.
func (w *exportsWatch) takenOf(t *tenants.Tenant) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := w.taken[t.ID]; t.ID != "" && !at.IsZero() {
		return at
	}
	return w.taken[t.Name]
}

// tenantBackups tells how the backups stand of a tenant, or of all (""), by name, as far as
// there is anything to tell.
func (d *daemon) tenantBackups(name string) (all []admin.TenantBackups) {
	clusters := map[string]admin.ClusterBackups{}
	for _, c := range d.clusterBackups() {
		clusters[c.Cluster] = c
	}
	add := func(t *tenants.Tenant) {
		c, known := clusters[t.Cluster]
		taken := d.exports.takenOf(t)
		if t.Name == "*" || !known && taken.IsZero() {
			return
		}
		b := c.OfTenant(t)
		b.Exported = taken
		all = append(all, b)
	}
	registry := d.registry.Snapshot()
	if name != "" {
		if t, ok := registry.Tenant(name); ok {
			add(t)
		}
		return all
	}
	for t := range registry.Tenants() {
		add(t)
	}
	slices.SortFunc(all, func(a, b admin.TenantBackups) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return all
}
