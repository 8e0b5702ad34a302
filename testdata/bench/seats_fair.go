package main

import (
	"context"
	"fmt"
	"time"
)

// Case (a): many tenants of equal weight, more connections than backends.
const (
	fairTenants = 100
	fairClients = 10 // of each
)

func (b *bench) runFair(ctx context.Context) error {
	of := fmt.Sprintf("%d tenants × %d connections, %d backends", fairTenants, fairClients, seatBudget)
	backends := b.report.add("most backends at one time, "+of, aloneAtMost(seatBudget))
	fairness := b.report.add("Jain's index, "+of, aloneAtLeast(0.95))
	throughput := b.report.add("transactions/s, "+of, target{})
	b.report.note("%s: four of five transactions are a SELECT by key, the fifth BEGIN, SELECT, UPDATE, COMMIT in four messages. All tenants are names of one database with one role, so that PgBouncer's max_user_connections = %d holds for all of them.", of, seatBudget)
	settings := seatSettings{names: tenantNames("t", fairTenants), database: tenant, poolSize: fairClients}
	for range b.pairs {
		for _, c := range b.poolers {
			served, most, err := b.takeFair(ctx, c, settings)
			if err != nil {
				return err
			}
			backends.sample(c, float64(most))
			fairness.sample(c, served.jain())
			throughput.sample(c, served.sum()/float64(b.seconds))
			b.say("%s, %v: %d backends, Jain %.3f, %.0f per second", of, c, most, served.jain(), served.sum()/float64(b.seconds))
		}
	}
	return nil
}

func (b *bench) takeFair(ctx context.Context, c contender, s seatSettings) (served series, most int, err error) {
	p, err := b.startSeats(ctx, c, s)
	if err != nil {
		return nil, 0, err
	}
	defer p.stop()
	riders, err := board(ctx, p, s.names, fairClients)
	if err != nil {
		return nil, 0, p.explain(err)
	}
	defer leave(riders)
	watch, err := b.watchBackends(ctx)
	if err != nil {
		return nil, 0, err
	}
	from := time.Now().Add(time.Duration(b.warmup) * time.Second)
	until := from.Add(time.Duration(b.seconds) * time.Second)
	served, err = ride(ctx, riders, len(s.names), from, until, mixed(100000*b.scale))
	most, watchErr := watch.stop()
	if err != nil {
		return nil, 0, p.explain(err)
	}
	return served, most, watchErr
}
