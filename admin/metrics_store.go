package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	"howdah/backup/store"
)

// storeCollector tells how the object store answers.
type storeCollector struct {
	stats                        func() store.MeterStats
	seconds, failed, bytes, last *prometheus.Desc
}

// RegisterStore registers what Howdah has asked its object store for.
func RegisterStore(r *prometheus.Registry, stats func() store.MeterStats) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("howdah_store_"+name, help, labels, nil)
	}
	r.MustRegister(&storeCollector{
		stats:   stats,
		seconds: desc("call_seconds", "How long calls of the object store took, each try by itself; stream is from the first byte written to the last, get to the last byte read.", "call"),
		failed:  desc("failures_total", "Calls of the object store that have failed, tries that were tried again too. That there is no such object is none.", "call"),
		bytes:   desc("bytes_total", "Bytes of objects that went to the store or came from it.", "call"),
		last:    desc("last_success_timestamp_seconds", "When the object store has last answered a call; absent before the first."),
	})
}

// Describe implements prometheus.Collector.
func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.seconds, c.failed, c.bytes, c.last} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	for _, call := range []struct {
		name string
		of   store.CallStats
	}{{"put", s.Put}, {"stream", s.Stream}, {"get", s.Get}, {"stat", s.Stat}, {"list", s.List}, {"delete", s.Delete}} {
		buckets := map[float64]uint64{}
		for i, bound := range store.LatencyBounds() {
			buckets[bound.Seconds()] = call.of.Within[i]
		}
		ch <- prometheus.MustNewConstHistogram(c.seconds, call.of.Calls, call.of.Took.Seconds(), buckets, call.name)
		ch <- prometheus.MustNewConstMetric(c.failed, prometheus.CounterValue, float64(call.of.Failed), call.name)
		ch <- prometheus.MustNewConstMetric(c.bytes, prometheus.CounterValue, float64(call.of.Bytes), call.name)
	}
	if !s.LastSuccess.IsZero() {
		ch <- prometheus.MustNewConstMetric(c.last, prometheus.GaugeValue, float64(s.LastSuccess.UnixMilli())/1000)
	}
}
