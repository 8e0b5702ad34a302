package admin_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"howdah/admin"
	"howdah/router"
)

// tenantSeries returns what /metrics tells of tenants: bytes sent, by tenant,
// and the queries' histograms.
func tenantSeries(t *testing.T, r *prometheus.Registry) (sent map[string]float64, queries map[string]*dto.Histogram) {
	t.Helper()
	families := scrape(t, startWeb(t, &admin.Web{Registry: r}))
	sent, queries = map[string]float64{}, map[string]*dto.Histogram{}
	for _, m := range families["howdah_tenant_sent_bytes_total"].GetMetric() {
		sent[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	for _, m := range families["howdah_tenant_query_duration_seconds"].GetMetric() {
		queries[m.GetLabel()[0].GetValue()] = m.GetHistogram()
	}
	return sent, queries
}

// busy is a tenant whose queries took so many microseconds.
func busy(name string, load uint64) router.TenantStats {
	s := router.TenantStats{Name: name}
	s.Counters.Sent, s.Counters.Queries = load, load
	s.Times.Query.Sum, s.Times.Query.Counts[3] = load, load
	return s
}

func TestTenantMetricsAreOfTheHeaviest(t *testing.T) {
	t.Parallel()
	p := &fakePooler{used: []router.TenantStats{busy("a", 10), busy("b", 3e6), busy("c\xff", 20), busy("other", 1e9), busy("c\xfe", 1e6)}, gone: busy("", 5)}
	r := prometheus.NewRegistry()
	admin.RegisterTenants(r, p, func() int { return 2 })
	sent, queries := tenantSeries(t, r)
	if len(sent) != 3 || sent["b"] != 3e6 || sent["c\uFFFD"] != 1e6+20 || sent["other"] != 1e9+15 {
		t.Errorf("bytes sent are %v", sent)
	}
	b := queries["b"]
	if b.GetSampleCount() != 3e6 || b.GetSampleSum() != 3 || len(b.GetBucket()) != router.HistogramBuckets-1 && len(b.GetBucket()) != router.HistogramBuckets {
		t.Errorf("b's queries are %v", b)
	}
	for i, bucket := range b.GetBucket()[:router.HistogramBuckets-1] {
		want := uint64(0)
		if i >= 3 {
			want = 3e6
		}
		if bucket.GetUpperBound() != router.HistogramBound(i).Seconds() || bucket.GetCumulativeCount() != want {
			t.Errorf("bucket %d is %v, want %d", i, bucket, want)
		}
	}
}

// TestOthersNeverJump has tenants work, rest and come back while the number of
// series is bounded: what all series tell together is what was done, and the
// others' sum neither goes back nor grows by what was told under a name.
func TestOthersNeverJump(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	p := &fakePooler{}
	r := prometheus.NewRegistry()
	top := 3
	admin.RegisterTenants(r, p, func() int { return top })
	web := startWeb(t, &admin.Web{Registry: r})
	load := map[string]uint64{}
	var gone uint64
	last, before := 0.0, map[string]float64{}
	for step := range 300 {
		var done uint64
		for i := range 8 {
			name := fmt.Sprint("t", i)
			switch n := random.Uint64N(10); {
			case n == 0 && step%3 == 0:
				gone += load[name]
				delete(load, name)
			case n < 6:
				work := random.Uint64N(1000)
				load[name] += work
				done += work
			}
		}
		if step%50 == 49 {
			top = 1 + step/50
		}
		p.mu.Lock()
		p.used, p.gone = nil, busy("", gone)
		for name, n := range load {
			p.used = append(p.used, busy(name, n))
		}
		p.mu.Unlock()
		now := map[string]float64{}
		for _, m := range scrape(t, web)["howdah_tenant_sent_bytes_total"].GetMetric() {
			now[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
		if len(now) > top+1 {
			t.Fatalf("step %d: %d series, want %d at most", step, len(now), top+1)
		}
		other := now["other"]
		if other < last {
			t.Fatalf("step %d: the others went back from %v to %v\n%v\n%v", step, last, other, before, now)
		}
		if grown := other - last; grown > float64(done) {
			t.Fatalf("step %d: the others grew by %v, but all did only %d\n%v\n%v", step, grown, done, before, now)
		}
		last, before = other, now
	}
}
