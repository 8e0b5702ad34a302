package main

import (
	"context"
	"fmt"
	"time"
)

// Case (d): many tenants are known, few of them active.
const (
	knownActivePart = 100 // one in so many
	knownCalm       = 5 * time.Second
)

// knownSizes are how many tenants the configuration names.
func knownSizes() []int { return []int{1000, 10_000, 100_000} }

// runKnown measures once: a hundred thousand lines take a while to settle, and
// neither figure varies much.
func (b *bench) runKnown(ctx context.Context) error {
	sizes := knownSizes()
	b.report.note("Known tenants are names of one database; of one in %d a client has logged in and run a query, then all are silent. Memory is the slope of resident memory, active ones included, from %d to %d known tenants; CPU is the pooler's own over %v.", knownActivePart, sizes[0], sizes[len(sizes)-1], knownCalm)
	cpu := make([]*row, len(sizes))
	for i, size := range sizes {
		cpu[i] = b.report.add(fmt.Sprintf("pooler CPU ms in %v of silence, %d known tenants", knownCalm, size), aloneAtMost(20))
	}
	memory := b.report.add("bytes per known idle tenant", aloneAtMost(1024))
	for _, c := range b.poolers {
		rss, last := make([]int64, len(sizes)), len(sizes)-1
		for i, size := range sizes {
			used, resident, err := b.takeKnown(ctx, c, size)
			if err != nil && c == bouncer && ctx.Err() == nil && i > 0 {
				b.report.note("PgBouncer did not answer within 15 s with %d databases configured; its figures end before.", size)
				b.say("%d known tenants, %v: %v", size, c, err)
				last = i - 1
				break
			}
			if err != nil {
				return fmt.Errorf("%d known tenants, %v: %w", size, c, err)
			}
			rss[i] = resident
			cpu[i].sample(c, float64(used.Milliseconds()))
			b.say("%d known tenants, %v: %v of CPU in %v, %d kB resident", size, c, used, knownCalm, resident>>10)
		}
		memory.sample(c, float64(rss[last]-rss[0])/float64(sizes[last]-sizes[0]))
	}
	return nil
}

// takeKnown returns the CPU time of a silent pooler, and its resident memory.
func (b *bench) takeKnown(ctx context.Context, c contender, known int) (time.Duration, int64, error) {
	s := seatSettings{names: tenantNames("k", known), database: tenant, poolSize: 1}
	p, err := b.startSeats(ctx, c, s)
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	active := s.names[:known/knownActivePart]
	riders, err := board(ctx, p, active, 1)
	if err != nil {
		return 0, 0, p.explain(err)
	}
	defer leave(riders)
	for _, r := range riders {
		if err := runEach(ctx, r.conn, "select 1"); err != nil {
			return 0, 0, p.explain(err)
		}
	}
	resident, err := settledRSS(ctx, p.child.PID())
	if err != nil {
		return 0, 0, p.explain(err)
	}
	before, err := readCPU(p.child.PID())
	if err != nil {
		return 0, 0, p.explain(err)
	}
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(knownCalm):
	}
	after, err := readCPU(p.child.PID())
	return after.sub(before).total(), resident, err
}
