package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// patience is for how long a client may wait beyond the end of its run.
const patience = 30 * time.Second

// rider is one client of a tenant.
type rider struct {
	conn   *pgconn.PgConn
	tenant int // index
}

// board logs so many clients of each tenant in, a few at a time.
func board(ctx context.Context, p *pooler, names []string, each int) ([]*rider, error) {
	const together = 8
	riders := make([]*rider, len(names)*each)
	next := make(chan int, len(riders))
	for i := range riders {
		next <- i
	}
	close(next)
	errs := make([]error, together)
	var all sync.WaitGroup
	for worker := range together {
		all.Go(func() {
			for i := range next {
				conn, err := pgconn.Connect(ctx, p.tenantURL(names[i/each]))
				if err != nil {
					errs[worker] = fmt.Errorf("log in to %q: %w", names[i/each], err)
					return
				}
				riders[i] = &rider{conn: conn, tenant: i / each}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		leave(riders)
		return nil, err
	}
	return riders, nil
}

func leave(riders []*rider) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, r := range riders {
		if r != nil {
			_ = r.conn.Close(ctx) // the pooler goes next
		}
	}
}

// transaction is what a client does again and again.
type transaction func(context.Context, *pgconn.PgConn) error

func runEach(ctx context.Context, conn *pgconn.PgConn, statements ...string) error {
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			return fmt.Errorf("%q: %w", sql, err)
		}
	}
	return nil
}

func always(sql string) transaction {
	return func(ctx context.Context, conn *pgconn.PgConn) error { return runEach(ctx, conn, sql) }
}

// resting has a client pause behind each transaction, for a time that is
// exponentially distributed.
func resting(mean time.Duration, do transaction) transaction {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		err := do(ctx, conn)
		time.Sleep(time.Duration(rand.ExpFloat64() * float64(mean)))
		return err
	}
}

// mixed is a SELECT by key four times of five, else a transaction that writes,
// in four messages.
func mixed(accounts int) transaction {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		read := fmt.Sprintf("select abalance from pgbench_accounts where aid = %d", 1+rand.IntN(accounts))
		if rand.IntN(5) > 0 {
			return runEach(ctx, conn, read)
		}
		write := fmt.Sprintf("update pgbench_accounts set abalance = abalance + 1 where aid = %d", 1+rand.IntN(accounts))
		return runEach(ctx, conn, "begin", read, write, "commit")
	}
}

// ride has every client do its transactions, without pauses, and returns how
// many each tenant was served between from and until. All begin at once.
func ride(ctx context.Context, riders []*rider, tenants int, from, until time.Time, do transaction) (series, error) {
	ctx, cancel := context.WithDeadline(ctx, until.Add(patience))
	defer cancel()
	served := make([]int, len(riders))
	errs := make([]error, len(riders))
	var all sync.WaitGroup
	for i, r := range riders {
		all.Go(func() {
			for time.Now().Before(until) {
				if err := do(ctx, r.conn); err != nil {
					errs[i] = err
					return
				}
				if now := time.Now(); now.After(from) && now.Before(until) {
					served[i]++
				}
			}
		})
	}
	all.Wait()
	total := make(series, tenants)
	for i, r := range riders {
		total[r.tenant] += float64(served[i])
	}
	return total, firstOf(errs)
}

// firstOf keeps an error that a thousand clients met readable.
func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s series) sum() (sum float64) {
	for _, x := range s {
		sum += x
	}
	return sum
}

// jain is Jain's fairness index: 1 if all have the same, 1/n if one has it all.
func (s series) jain() float64 {
	var squares float64
	for _, x := range s {
		squares += x * x
	}
	if squares == 0 {
		return 0
	}
	return s.sum() * s.sum() / (float64(len(s)) * squares)
}

// quantile takes the nearest rank.
func (s series) quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
