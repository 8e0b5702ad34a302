package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"howdah/backup/store"
)

// storeCollector tells how the object stores answer.
type storeCollector struct {
	stats                                                        func() map[string]store.MeterStats
	seconds, failed, bytes, succeeded, failing, written, refused *prometheus.Desc
}

// RegisterStores registers what Howdah has asked its object stores for, by their names.
func RegisterStores(r *prometheus.Registry, stats func() map[string]store.MeterStats) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("howdah_store_"+name, help, append([]string{"store"}, labels...), nil)
	}
	r.MustRegister(&storeCollector{
		stats:     stats,
		seconds:   desc("call_seconds", "How long calls of the object store took, each try by itself; stream is from the first byte written to the last, get to the last byte read.", "call"),
		failed:    desc("failures_total", "Calls of the object store that have failed, tries that were tried again too. That there is no such object is none.", "call"),
		bytes:     desc("bytes_total", "Bytes of objects that went to the store or came from it.", "call"),
		succeeded: desc("last_success_timestamp_seconds", "When the object store has last answered a call; absent before the first."),
		failing:   desc("last_failure_timestamp_seconds", "When a call of the object store, or a try, has last failed; absent before the first."),
		written:   desc("last_write_timestamp_seconds", "When the object store has last taken an object, or been opened; absent before the first."),
		refused:   desc("last_write_failure_timestamp_seconds", "When writing an object to the store, or opening it, or a try, has last failed; absent before the first."),
	})
}

// Describe implements prometheus.Collector.
func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.seconds, c.failed, c.bytes, c.succeeded, c.failing, c.written, c.refused} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	for name, s := range c.stats() {
		c.collect(ch, name, s)
	}
}

func (c *storeCollector) collect(ch chan<- prometheus.Metric, in string, s store.MeterStats) {
	for _, call := range []struct {
		name string
		of   store.CallStats
	}{{"put", s.Put}, {"stream", s.Stream}, {"get", s.Get}, {"stat", s.Stat}, {"list", s.List}, {"delete", s.Delete}, {"open", s.Open}} {
		buckets := map[float64]uint64{}
		for i, bound := range store.LatencyBounds() {
			buckets[bound.Seconds()] = call.of.Within[i]
		}
		ch <- prometheus.MustNewConstHistogram(c.seconds, call.of.Calls, call.of.Took.Seconds(), buckets, in, call.name)
		ch <- prometheus.MustNewConstMetric(c.failed, prometheus.CounterValue, float64(call.of.Failed), in, call.name)
		ch <- prometheus.MustNewConstMetric(c.bytes, prometheus.CounterValue, float64(call.of.Bytes), in, call.name)
	}
	for _, last := range []struct {
		of *prometheus.Desc
		at time.Time
	}{{c.succeeded, s.LastSuccess}, {c.failing, s.LastFailure}, {c.written, s.LastWritten}, {c.refused, s.LastRefused}} {
		if !last.at.IsZero() {
			ch <- prometheus.MustNewConstMetric(last.of, prometheus.GaugeValue, float64(last.at.UnixMilli())/1000, in)
		}
	}
}
