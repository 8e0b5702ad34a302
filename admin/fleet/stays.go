package fleet

import (
	"cmp"
	"fmt"
	"slices"

	"howdah/backup/export"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// storesOf returns the store that a cluster is backed up to, nothing for one that is not
// known.
func (f *Fleet) storesOf(cluster string) []string {
	if c, ok := f.Registry.Snapshot().Cluster(cluster); ok {
		return []string{storeName(c.Store)}
	}
	return nil
}

func storeName(store string) string { return cmp.Or(store, tenants.DefaultStore) }

// tenantStays is storeStays of a tenant of the catalog, or a copy of it.
func (f *Fleet) tenantStays(field string, e *catalog.Entry, to *tenants.Cluster) error {
	cluster := e.Settings.Text("cluster")
	return storeStays(field, fmt.Sprintf("tenant %q, on cluster %q,", e.Name, cluster), f.storesOf(cluster), to)
}

// storesOfExport returns the stores that have a tenant's data by its export: the one that has
// the export, and that of the cluster on which the tenant was.
func (f *Fleet) storesOfExport(place *export.Place, m *export.Manifest) []string {
	return append([]string{storeName(place.Name)}, f.storesOf(m.Cluster)...)
}

// storeStays is an error where a tenant's data would come to a store that has none of it: all
// that is on a cluster is in the WAL that is stored of it. what has the data, stores are
// where it is stored, field says which cluster it comes to.
func storeStays(field, what string, stores []string, to *tenants.Cluster) error {
	store := storeName(to.Store)
	if len(stores) == 0 || slices.Contains(stores, store) {
		return nil
	}
	return invalid(field, "cluster %q is backed up to store %q, and %s is in store %q: where its data may go there, say --another-store",
		to.Name, store, what, stores[0])
}
