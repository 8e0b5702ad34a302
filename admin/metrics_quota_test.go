package admin_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"howdah/admin"
	"howdah/tenants"
)

func TestQuotaMetricsAreOfTheFullest(t *testing.T) {
	t.Parallel()
	p := &fakePooler{usage: map[string]tenants.Usage{
		"a": {Size: 10, Quota: 100, State: tenants.QuotaWithin},
		"b": {Size: 300, Quota: 200, State: tenants.QuotaOver},
		"c": {Size: 95, Quota: 100, State: tenants.QuotaNear},
		"d": {Quota: 100},
	}}
	r := prometheus.NewRegistry()
	admin.RegisterTenants(r, p, func() int { return 2 })
	families := scrape(t, startWeb(t, &admin.Web{Registry: r}))
	values := func(family string) map[string]float64 {
		all := map[string]float64{}
		for _, m := range families[family].GetMetric() {
			all[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
		return all
	}
	counts := values("howdah_quota_tenants")
	for state, want := range map[string]float64{"unknown": 1, "within": 1, "near": 1, "over": 1, "grace": 0} {
		if got, ok := counts[state]; !ok || got != want {
			t.Errorf("%v tenants are %s, want %v", got, state, want)
		}
	}
	sizes, quotas := values("howdah_tenant_database_bytes"), values("howdah_tenant_quota_bytes")
	if len(sizes) != 2 || sizes["b"] != 300 || sizes["c"] != 95 || len(quotas) != 2 || quotas["b"] != 200 || quotas["c"] != 100 {
		t.Errorf("sizes are %v of %v", sizes, quotas)
	}
}
