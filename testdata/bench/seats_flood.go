package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Case (c): one tenant floods while others ask for little.
const (
	quietTenants = 20
	quietEvery   = 100 * time.Millisecond
	floodClients = 200
	// floodQuery holds a server without using a core: the question is who gets
	// servers, not who gets processors.
	floodQuery = "select pg_sleep(0.05)"
	// floodCap is what PgBouncer's operator would have to give the flooding
	// tenant so that a server is left for each quiet one.
	floodCap = seatBudget - quietTenants
)

func (b *bench) runFlood(ctx context.Context) error {
	alone := b.report.add(fmt.Sprintf("p99 ms of %d quiet tenants, %.0f queries a second each, alone", quietTenants, 1/quietEvery.Seconds()), target{})
	beside := b.report.add(fmt.Sprintf("p99 ms of the same beside a flood of %d clients", floodClients), target{})
	factor := b.report.add("– times as long as alone", aloneAtMost(1.5))
	flood := b.report.add("the flood's transactions/s", target{})
	b.report.note("The flood is %q without pauses. Latency counts from when a query was due. For PgBouncer pool_size = %d of the flooding tenant leaves a server to each quiet one; Howdah knows the budget only.", floodQuery, floodCap)
	names := append(tenantNames("q", quietTenants), "flood")
	s := seatSettings{names: names, database: tenant, poolSize: seatBudget, capped: map[string]int{"flood": floodCap}}
	for range b.pairs {
		for _, c := range b.poolers {
			o, err := b.takeFlood(ctx, c, s)
			if err != nil {
				return err
			}
			alone.sample(c, o.alone)
			beside.sample(c, o.beside)
			factor.sample(c, o.beside/o.alone)
			flood.sample(c, o.flood)
			b.say("quiet tenants, %v: p99 %.2f ms alone, %.2f ms beside a flood of %.0f per second", c, o.alone, o.beside, o.flood)
		}
	}
	return nil
}

// floodOutcome is one run of case (c): milliseconds at the 99th percentile, and
// the flood's transactions per second.
type floodOutcome struct{ alone, beside, flood float64 }

func (b *bench) takeFlood(ctx context.Context, c contender, s seatSettings) (o floodOutcome, err error) {
	p, err := b.startSeats(ctx, c, s)
	if err != nil {
		return o, err
	}
	defer p.stop()
	quiet, err := board(ctx, p, s.names[:quietTenants], 1)
	if err != nil {
		return o, p.explain(err)
	}
	defer leave(quiet)
	flood, err := board(ctx, p, s.names[quietTenants:], floodClients)
	if err != nil {
		return o, p.explain(err)
	}
	defer leave(flood)
	if o.alone, err = b.pace(ctx, quiet, time.Now()); err != nil {
		return o, p.explain(err)
	}
	// The flood is there a while before the quiet ones are timed beside it.
	from := time.Now().Add(time.Duration(b.warmup) * time.Second)
	until := from.Add(time.Duration(b.seconds) * time.Second)
	var floodErr error
	var served series
	done := make(chan struct{})
	go func() {
		defer close(done)
		served, floodErr = ride(ctx, flood, 1, from, until, always(floodQuery))
	}()
	o.beside, err = b.pace(ctx, quiet, from)
	<-done
	if err == nil {
		err = floodErr
	}
	if err != nil {
		return o, p.explain(err)
	}
	o.flood = served.sum() / float64(b.seconds)
	return o, nil
}

// pace has each client ask at its times, spread over the interval, for -seconds
// and returns the 99th percentile in milliseconds. What comes before from is
// asked but not counted: servers are opened then.
func (b *bench) pace(ctx context.Context, riders []*rider, from time.Time) (float64, error) {
	until := from.Add(time.Duration(b.seconds) * time.Second)
	ctx, cancel := context.WithDeadline(ctx, until.Add(patience))
	defer cancel()
	took := make([]series, len(riders))
	errs := make([]error, len(riders))
	var all sync.WaitGroup
	for i, r := range riders {
		all.Go(func() {
			due := time.Now().Add(quietEvery * time.Duration(i) / time.Duration(len(riders)))
			for ; due.Before(until); due = due.Add(quietEvery) {
				select {
				case <-ctx.Done():
				case <-time.After(time.Until(due)):
				}
				if errs[i] = runEach(ctx, r.conn, "select 1"); errs[i] != nil {
					return
				}
				if due.After(from) {
					took[i] = append(took[i], float64(time.Since(due).Microseconds())/1000)
				}
			}
		})
	}
	all.Wait()
	var together series
	for _, t := range took {
		together = append(together, t...)
	}
	return together.quantile(0.99), firstOf(errs)
}
