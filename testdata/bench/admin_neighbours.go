package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// neighbours are tenants beside the one to which something is done.
const neighbours = 10

// runNeighbours measures how long other tenants' transactions take while one of the same
// cluster is cloned, and while one is dropped.
func (b *bench) runNeighbours(ctx context.Context, a *adminPlane) error {
	var all []*aTenant
	for i := range neighbours {
		t, err := a.makeTenant(ctx, fmt.Sprintf("neighbour-%d", i))
		if err != nil {
			return err
		}
		if err := a.fill(ctx, &t, 1); err != nil {
			return err
		}
		all = append(all, &t)
	}
	big, err := a.makeTenant(ctx, "big")
	if err != nil {
		return err
	}
	if err := a.fill(ctx, &big, min(holdScale, 2*b.scale)); err != nil {
		return err
	}
	w := &waits{}
	going, stop := context.WithCancel(ctx)
	var riding sync.WaitGroup
	defer riding.Wait()
	defer stop()
	for _, t := range all {
		conn, err := pgconn.Connect(ctx, a.url(t))
		if err != nil {
			return err
		}
		riding.Go(func() {
			defer conn.Close(context.WithoutCancel(ctx))
			w.ride(going, conn, transfer(accountsPerScale))
		})
	}
	alone := b.report.add(fmt.Sprintf("transactions of %d tenants, p99, ms", neighbours), target{})
	cloned := b.report.add("– while another is cloned, ms", target{})
	dropped := b.report.add("– while another is dropped and purged, ms", target{})
	for run := range b.pairs {
		copied := fmt.Sprintf("copy-%d", run)
		for _, phase := range []struct {
			row *row
			do  func() error
		}{
			{alone, func() error { return pause(ctx, time.Duration(b.seconds)*time.Second) }},
			{cloned, func() error {
				return a.begin(ctx, "POST", "/tenants/big/clone", map[string]any{"name": copied})
			}},
			{dropped, func() error {
				if err := a.begin(ctx, "DELETE", "/tenants/"+copied, nil); err != nil {
					return err
				}
				return a.begin(ctx, "DELETE", "/dropped/"+copied, nil)
			}},
		} {
			took, err := w.during(phase.do)
			if err != nil {
				return err
			}
			phase.row.sample(howdah, took.quantile(0.99))
			b.say("%s: %.1f of %d", phase.row.figure, took.quantile(0.99), len(took))
		}
	}
	return nil
}

// waits are the milliseconds of transactions.
type waits struct {
	mu     sync.Mutex
	took   series
	failed error
}

// ride does transactions until ctx ends.
func (w *waits) ride(ctx context.Context, conn *pgconn.PgConn, do transaction) {
	for ctx.Err() == nil {
		begun := time.Now()
		err := do(context.WithoutCancel(ctx), conn)
		w.mu.Lock()
		w.took = append(w.took, time.Since(begun).Seconds()*1000)
		w.failed = err
		w.mu.Unlock()
		if err != nil {
			return
		}
		_ = pause(ctx, time.Duration(rand.ExpFloat64()*float64(holdRest)))
	}
}

// during does something, and returns what transactions took meanwhile.
func (w *waits) during(do func() error) (series, error) {
	w.mu.Lock()
	w.took = nil
	w.mu.Unlock()
	if err := do(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.took, w.failed
}
