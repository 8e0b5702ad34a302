package admin

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"howdah/router"
)

// otherTenants is the label of the tenants that have no series of their own.
const otherTenants = "other"

// RegisterTenants adds to r what is told of each tenant. To bound the number of
// series only the top tenants by load have their own; all others are summed.
func RegisterTenants(r *prometheus.Registry, p Pooler, top func() int) {
	c := &tenantCollector{pooler: p, top: top, shown: map[string]*router.TenantStats{}, hidden: map[string]bool{}}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("howdah_tenant_"+name, help, []string{"tenant"}, nil)
	}
	type stats = router.TenantStats
	count := func(name, help string, value func(*stats) float64) {
		c.counters = append(c.counters, tenantCounter{desc(name, help), value})
	}
	count("received_bytes_total", "Bytes of the protocol that the tenant's clients sent.", func(s *stats) float64 { return float64(s.Counters.Received) })
	count("sent_bytes_total", "Bytes of the protocol sent to the tenant's clients.", func(s *stats) float64 { return float64(s.Counters.Sent) })
	measure := func(name, help string, value func(*router.Times) *router.Histogram) {
		c.times = append(c.times, tenantTimes{desc(name, help), value})
	}
	measure("query_duration_seconds", "How long servers worked on queries.", func(t *router.Times) *router.Histogram { return &t.Query })
	measure("wait_duration_seconds", "How long clients waited for a server, or for their tenant's rate of queries.",
		func(t *router.Times) *router.Histogram { return &t.Wait })
	measure("transaction_duration_seconds", "How long transactions were open.", func(t *router.Times) *router.Histogram { return &t.Transaction })
	r.MustRegister(c, newQuotaCollector(p, top))
}

// tenantCollector tells of tenants. The series of the others' sum must not jump
// when a tenant comes out of it or goes back into it, which would look like
// work done: what the tenant had then is kept in base.
type tenantCollector struct {
	pooler   Pooler
	top      func() int
	counters []tenantCounter
	times    []tenantTimes

	mu     sync.Mutex                     // guards what follows
	shown  map[string]*router.TenantStats // with series of their own at the last scrape
	hidden map[string]bool                // the others that were in use then
	base   router.TenantStats             // to be added to the others' sum, modulo 2^64
}

type tenantCounter struct {
	desc  *prometheus.Desc
	value func(*router.TenantStats) float64
}

type tenantTimes struct {
	desc  *prometheus.Desc
	value func(*router.Times) *router.Histogram
}

// Describe implements prometheus.Collector.
func (c *tenantCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, x := range c.counters {
		ch <- x.desc
	}
	for _, x := range c.times {
		ch <- x.desc
	}
}

// Collect implements prometheus.Collector.
func (c *tenantCollector) Collect(ch chan<- prometheus.Metric) {
	for _, t := range c.scrape() {
		for _, x := range c.counters {
			metricSink{ch}.counter(x.desc, x.value(t), t.Name)
		}
		for _, x := range c.times {
			h := x.value(&t.Times)
			buckets := make(map[float64]uint64, router.HistogramBuckets)
			var sum uint64
			for i, n := range h.Counts[:router.HistogramBuckets-1] {
				sum += n
				buckets[router.HistogramBound(i).Seconds()] = sum
			}
			ch <- prometheus.MustNewConstHistogram(x.desc, h.Count(), seconds(h.Sum), buckets, t.Name)
		}
	}
}

// scrape returns the tenants with series of their own, and the sum of all
// others under their common name.
func (c *tenantCollector) scrape() []*router.TenantStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	used, other := c.pooler.TenantStats()
	all := merged(used)
	top, rest := heaviest(slices.Collect(maps.Values(all)), c.top())
	shown := make(map[string]*router.TenantStats, len(top))
	hidden := make(map[string]bool, len(rest))
	for _, t := range rest {
		hidden[t.Name] = true
		addTenant(&other, t)
		if c.shown[t.Name] != nil && !restarted(c.shown[t.Name], t) {
			subtractTenant(&c.base, t) // it was told under its own name
		}
	}
	for _, t := range top {
		shown[t.Name] = t
		if c.hidden[t.Name] {
			addTenant(&c.base, t) // it was told among the others
		}
	}
	for name, last := range c.shown {
		if now := all[name]; now == nil || restarted(last, now) {
			subtractTenant(&c.base, last) // it is among those gone now
		}
	}
	c.shown, c.hidden = shown, hidden
	addTenant(&other, &c.base)
	other.Name = otherTenants
	return append(top, &other)
}

// merged returns one entry per name that readers can tell apart.
func merged(used map[string]*router.TenantStats) map[string]*router.TenantStats {
	byName := make(map[string]*router.TenantStats, len(used))
	for _, t := range used {
		name := cleanText(t.Name)
		if byName[name] == nil {
			byName[name] = &router.TenantStats{Name: name}
		}
		addTenant(byName[name], t)
	}
	return byName
}

// heaviest takes the n tenants apart whose queries took most time. One that is
// called like the sum of the others is never among them.
func heaviest(all []*router.TenantStats, n int) (top, rest []*router.TenantStats) {
	slices.SortFunc(all, func(a, b *router.TenantStats) int {
		return cmp.Or(cmp.Compare(oneIf(a.Name == otherTenants), oneIf(b.Name == otherTenants)),
			cmp.Compare(b.Times.Query.Sum, a.Times.Query.Sum), cmp.Compare(a.Name, b.Name))
	})
	n = min(n, len(all))
	if n > 0 && all[n-1].Name == otherTenants {
		n--
	}
	return all[:n:n], all[n:]
}

// restarted reports whether a tenant was out of use since last and began anew.
func restarted(last, now *router.TenantStats) bool {
	return now.Counters.Queries < last.Counters.Queries || now.Counters.Sent < last.Counters.Sent
}

func addTenant(to, t *router.TenantStats) {
	to.Counters.Add(&t.Counters)
	to.Times.Add(&t.Times)
}

// subtractTenant is the inverse of addTenant, modulo 2^64.
func subtractTenant(from, t *router.TenantStats) {
	from.Counters.Received -= t.Counters.Received
	from.Counters.Sent -= t.Counters.Sent
	for _, h := range []struct{ from, what *router.Histogram }{
		{&from.Times.Query, &t.Times.Query}, {&from.Times.Wait, &t.Times.Wait}, {&from.Times.Transaction, &t.Times.Transaction},
	} {
		for i := range h.from.Counts {
			h.from.Counts[i] -= h.what.Counts[i]
		}
		h.from.Sum -= h.what.Sum
	}
}
