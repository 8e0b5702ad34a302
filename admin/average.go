package admin

import (
	"sync"
	"time"

	"howdah/router"
)

// averages keeps two samples of the counters, one period apart. Averages are
// taken from the older one until now, so they cover one to two periods.
type averages struct {
	mu           sync.Mutex
	older, newer sample // guarded by mu; the maps never change
}

type sample struct {
	at       time.Time
	counters map[string]router.Counters // by database
}

func (a *averages) sample(now time.Time, counters map[string]router.Counters) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.older, a.newer = a.newer, sample{now, counters}
}

// since returns the sample to average from. Until there are two, that is the
// start, when all counters were zero.
func (a *averages) since(start time.Time) sample {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.older.at.IsZero() {
		return sample{at: start}
	}
	return a.older
}

// average returns what happened from old to current as PgBouncer averages it:
// counts and bytes per second, times per transaction, query and assignment.
func average(current, old router.Counters, d time.Duration) router.Counters {
	if d <= 0 {
		return router.Counters{}
	}
	n := minus(current, old)
	perSecond := func(v uint64) uint64 { return uint64(float64(v) / d.Seconds()) }
	return router.Counters{
		Assignments:  perSecond(n.Assignments),
		Transactions: perSecond(n.Transactions),
		Queries:      perSecond(n.Queries),
		Received:     perSecond(n.Received),
		Sent:         perSecond(n.Sent),
		TxTime:       over(n.TxTime, n.Transactions),
		QueryTime:    over(n.QueryTime, n.Queries),
		WaitTime:     over(n.WaitTime, n.Assignments),
		ClientParses: perSecond(n.ClientParses),
		ServerParses: perSecond(n.ServerParses),
		Binds:        perSecond(n.Binds),
	}
}

func over(sum, count uint64) uint64 {
	if count == 0 {
		return 0
	}
	return sum / count
}

// minus returns a - b. A counter that went back, since its pool was made anew,
// counts from zero.
func minus(a, b router.Counters) router.Counters {
	d := func(a, b uint64) uint64 {
		if a < b {
			return a
		}
		return a - b
	}
	return router.Counters{
		Assignments:  d(a.Assignments, b.Assignments),
		Transactions: d(a.Transactions, b.Transactions),
		Queries:      d(a.Queries, b.Queries),
		Received:     d(a.Received, b.Received),
		Sent:         d(a.Sent, b.Sent),
		TxTime:       d(a.TxTime, b.TxTime),
		QueryTime:    d(a.QueryTime, b.QueryTime),
		WaitTime:     d(a.WaitTime, b.WaitTime),
		ClientParses: d(a.ClientParses, b.ClientParses),
		ServerParses: d(a.ServerParses, b.ServerParses),
		Binds:        d(a.Binds, b.Binds),
	}
}
