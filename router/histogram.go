package router

import (
	"math/bits"
	"time"
)

// HistogramBuckets is how many buckets a Histogram has. Each but the last has a
// bound twice that of the one before.
const HistogramBuckets = 22

// firstBound is the bound of the first bucket; that of the last but one is 67
// seconds.
const firstBound = 64 * time.Microsecond

// Histogram counts durations by their size.
type Histogram struct {
	Counts [HistogramBuckets]uint64 // the last is for what is beyond all bounds
	Sum    uint64                   // microseconds
}

// HistogramBound returns the longest duration that bucket i is for. The last
// bucket has no bound.
func HistogramBound(i int) time.Duration { return firstBound << i }

// observe counts n durations that took d together.
func (h *Histogram) observe(d time.Duration, n uint32) {
	if n == 0 {
		return
	}
	h.Sum += uint64(d / time.Microsecond)
	if n > 1 {
		d /= time.Duration(n)
	}
	i := 0
	if d > 0 {
		i = min(bits.Len64(uint64(d-1)/uint64(firstBound)), HistogramBuckets-1)
	}
	h.Counts[i] += uint64(n)
}

// Add adds o to h.
func (h *Histogram) Add(o *Histogram) {
	for i := range h.Counts {
		h.Counts[i] += o.Counts[i]
	}
	h.Sum += o.Sum
}

// Count returns how many durations were counted.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Times are how long a tenant's work took.
type Times struct {
	Query       Histogram // servers worked on queries
	Wait        Histogram // clients waited for a server, or for max_queries_per_second
	Transaction Histogram // transactions were open at a server
}

// Add adds o to t.
func (t *Times) Add(o *Times) {
	t.Query.Add(&o.Query)
	t.Wait.Add(&o.Wait)
	t.Transaction.Add(&o.Transaction)
}
