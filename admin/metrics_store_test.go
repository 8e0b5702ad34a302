package admin_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"howdah/admin"
	"howdah/backup/store"
)

func TestStoreMetrics(t *testing.T) {
	t.Parallel()
	var s, other store.MeterStats
	r := prometheus.NewRegistry()
	admin.RegisterStores(r, func() map[string]store.MeterStats { return map[string]store.MeterStats{"default": s, "eu": other} })
	web := startWeb(t, &admin.Web{Registry: r})
	if families := scrape(t, web); families["howdah_store_last_success_timestamp_seconds"] != nil {
		t.Error("a store that was never asked has answered last at some time")
	}
	s.Put = store.CallStats{Calls: 10, Failed: 3, Bytes: 1 << 20, Took: 1500 * time.Millisecond}
	for i := range s.Put.Within {
		s.Put.Within[i] = uint64(i + 4)
	}
	s.LastSuccess = time.Unix(1790000000, 0)
	other.LastFailure = time.Unix(1790000001, 0)
	s.LastWritten, other.LastRefused = time.Unix(1790000002, 0), time.Unix(1790000003, 0)
	families := scrape(t, web)
	for family, want := range map[string]struct {
		store string
		at    float64
	}{
		"howdah_store_last_success_timestamp_seconds": {"default", 1790000000}, "howdah_store_last_failure_timestamp_seconds": {"eu", 1790000001},
		"howdah_store_last_write_timestamp_seconds": {"default", 1790000002}, "howdah_store_last_write_failure_timestamp_seconds": {"eu", 1790000003},
	} {
		all := families[family].GetMetric()
		if len(all) != 1 || all[0].GetLabel()[0].GetValue() != want.store || all[0].GetGauge().GetValue() != want.at {
			t.Errorf("%s: %v", family, all)
		}
	}
	for _, m := range families["howdah_store_call_seconds"].GetMetric() {
		h, call := m.GetHistogram(), m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue() // sorted by their names
		if call != "put default" && h.GetSampleCount() != 0 {
			t.Errorf("%s: %v", call, h)
		}
		if call == "put default" && (h.GetSampleCount() != 10 || h.GetSampleSum() != 1.5 || len(h.GetBucket()) != 8 ||
			h.GetBucket()[0].GetUpperBound() != 0.005 || h.GetBucket()[6].GetCumulativeCount() != 10) {
			t.Errorf("put: %v", h)
		}
	}
	for family, want := range map[string]float64{"howdah_store_failures_total": 3, "howdah_store_bytes_total": 1 << 20} {
		sum := 0.0
		for _, m := range families[family].GetMetric() {
			sum += m.GetCounter().GetValue()
		}
		if n := len(families[family].GetMetric()); n != 14 || sum != want {
			t.Errorf("%s: %d calls, %v in all", family, n, sum)
		}
	}
}
