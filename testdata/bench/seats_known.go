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
	b.report.note("Known tenants are names of one database; of one in %d a client has logged in and run a query, then all are silent. Memory is the slope of resident memory from %d to %d known tenants, before and after these clients; CPU is the pooler's own over %v.", knownActivePart, sizes[0], sizes[len(sizes)-1], knownCalm)
	cpu := make([]*row, len(sizes))
	for i, size := range sizes {
		cpu[i] = b.report.add(fmt.Sprintf("pooler CPU ms in %v of silence, %d known tenants", knownCalm, size), aloneAtMost(20))
	}
	idle := b.report.add("bytes per known idle tenant", aloneAtMost(1024))
	active := b.report.add(fmt.Sprintf("bytes per known tenant, once one in %d was active", knownActivePart), target{})
	for _, c := range b.poolers {
		taken, last := make([]knownOutcome, len(sizes)), len(sizes)-1
		for i, size := range sizes {
			o, err := b.takeKnown(ctx, c, size)
			if err != nil && c == bouncer && ctx.Err() == nil && i > 0 {
				b.report.note("PgBouncer did not answer within 15 s with %d databases configured; its figures end before.", size)
				b.say("%d known tenants, %v: %v", size, c, err)
				last = i - 1
				break
			}
			if err != nil {
				return fmt.Errorf("%d known tenants, %v: %w", size, c, err)
			}
			taken[i] = o
			cpu[i].sample(c, float64(o.used.Milliseconds()))
			b.say("%d known tenants, %v: %v of CPU in %v, %d kB resident, %d kB before", size, c, o.used, knownCalm, o.after>>10, o.before>>10)
		}
		more := float64(sizes[last] - sizes[0])
		idle.sample(c, float64(taken[last].before-taken[0].before)/more)
		active.sample(c, float64(taken[last].after-taken[0].after)/more)
	}
	return nil
}

// knownOutcome is the CPU time of a silent pooler, and its resident memory before
// and after some tenants were active.
type knownOutcome struct {
	used          time.Duration
	before, after int64
}

func (b *bench) takeKnown(ctx context.Context, c contender, known int) (o knownOutcome, err error) {
	s := seatSettings{names: tenantNames("k", known), database: tenant, poolSize: 1}
	p, err := b.startSeats(ctx, c, s)
	if err != nil {
		return o, err
	}
	defer p.stop()
	if o.before, err = settledRSS(ctx, p.child.PID()); err != nil {
		return o, p.explain(err)
	}
	active := s.names[:known/knownActivePart]
	riders, err := board(ctx, p, active, 1)
	if err != nil {
		return o, p.explain(err)
	}
	defer leave(riders)
	for _, r := range riders {
		if err := runEach(ctx, r.conn, "select 1"); err != nil {
			return o, p.explain(err)
		}
	}
	if o.after, err = settledRSS(ctx, p.child.PID()); err != nil {
		return o, p.explain(err)
	}
	before, err := readCPU(p.child.PID())
	if err != nil {
		return o, p.explain(err)
	}
	select {
	case <-ctx.Done():
		return o, ctx.Err()
	case <-time.After(knownCalm):
	}
	after, err := readCPU(p.child.PID())
	o.used = after.sub(before).total()
	return o, err
}
