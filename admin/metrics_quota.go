package admin

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"howdah/tenants"
)

// quotaCollector tells how tenants stand to their quotas: how many are in each state, and
// the sizes of those that use most of theirs.
type quotaCollector struct {
	pooler             Pooler
	top                func() int
	count, size, quota *prometheus.Desc
}

func newQuotaCollector(p Pooler, top func() int) *quotaCollector {
	return &quotaCollector{
		pooler: p, top: top,
		count: prometheus.NewDesc("howdah_quota_tenants", "Tenants with a quota by state: unknown is not measured yet, near is from 90 %, over cannot write, grace is over and may.", []string{"state"}, nil),
		size:  prometheus.NewDesc("howdah_tenant_database_bytes", "Size of the tenant's database, of those tenants that use most of their quotas.", []string{"tenant"}, nil),
		quota: prometheus.NewDesc("howdah_tenant_quota_bytes", "Size that the tenant's database may have, of the same tenants.", []string{"tenant"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *quotaCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.count
	ch <- c.size
	ch <- c.quota
}

// Collect implements prometheus.Collector.
func (c *quotaCollector) Collect(ch chan<- prometheus.Metric) {
	m := metricSink{ch}
	counts := map[tenants.QuotaState]int{}
	type use struct {
		name string
		tenants.Usage
	}
	var all []use
	names := map[string]bool{} // as readers tell them apart
	for name, u := range c.pooler.Usage() {
		counts[u.State]++
		if clean := cleanText(name); u.State != tenants.QuotaUnknown && !names[clean] {
			names[clean] = true
			all = append(all, use{clean, u})
		}
	}
	for state := tenants.QuotaUnknown; state <= tenants.QuotaGrace; state++ {
		m.gauge(c.count, float64(counts[state]), state.String())
	}
	slices.SortFunc(all, func(a, b use) int {
		used := func(u use) float64 { return float64(u.Size) / float64(u.Quota) }
		return cmp.Or(cmp.Compare(used(b), used(a)), cmp.Compare(a.name, b.name))
	})
	for _, u := range all[:min(len(all), c.top())] {
		m.gauge(c.size, float64(u.Size), u.name)
		m.gauge(c.quota, float64(u.Quota), u.name)
	}
}
