package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// countBackends is all of the role's but the one that asks.
const countBackends = "select count(*) from pg_stat_activity where usename = current_user and pid <> pg_backend_pid()"

// askNumber returns the first column of a query's one row.
func askNumber(ctx context.Context, conn *pgconn.PgConn, sql string) (int, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return 0, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return 0, fmt.Errorf("%q has not one row", sql)
	}
	return strconv.Atoi(string(results[0].Rows[0][0]))
}

func (b *bench) connectDirectly(ctx context.Context) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, b.database.server.URL(tenant, password, tenant)+"?sslmode=disable")
}

// awaitNoBackends waits until the servers of the pooler before have ended.
func (b *bench) awaitNoBackends(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := b.connectDirectly(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		n, err := askNumber(ctx, conn, countBackends)
		if err != nil {
			return fmt.Errorf("wait for servers to end: %w", err)
		}
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d servers of an ended pooler stay", n)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// backendWatch looks at pg_stat_activity all the time.
type backendWatch struct {
	cancel context.CancelFunc
	done   chan struct{}
	most   int
	err    error
}

func (b *bench) watchBackends(ctx context.Context) (*backendWatch, error) {
	conn, err := b.connectDirectly(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &backendWatch{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		defer conn.Close(context.WithoutCancel(ctx))
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			n, err := askNumber(context.WithoutCancel(ctx), conn, countBackends)
			if err != nil {
				w.err = fmt.Errorf("count backends: %w", err)
				return
			}
			w.most = max(w.most, n)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
	return w, nil
}

// stop returns the greatest number of backends there were at one time.
func (w *backendWatch) stop() (int, error) {
	w.cancel()
	<-w.done
	return w.most, w.err
}

// seatsMoved is how many seats Howdah has moved so far, of SHOW BUDGET.
func (p *pooler) seatsMoved(ctx context.Context) (int, error) {
	conn, err := pgconn.Connect(ctx, p.tenantURL("pgbouncer"))
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	results, err := conn.Exec(ctx, "SHOW BUDGET").ReadAll()
	if err != nil {
		return 0, err
	}
	for _, result := range results {
		for i, column := range result.FieldDescriptions {
			if column.Name == "moved" && len(result.Rows) == 1 {
				return strconv.Atoi(string(result.Rows[0][i]))
			}
		}
	}
	return 0, fmt.Errorf("SHOW BUDGET has no column moved")
}
