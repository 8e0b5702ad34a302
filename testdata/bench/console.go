package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// heldTime is how long a pooler's clients have held servers of the tenant since
// it started, as SHOW STATS on its console has it. Both poolers name the console
// "pgbouncer" and count in microseconds.
//
// PgBouncer's total_xact_time begins with the client's request, so that it holds
// the wait for a server as well, which total_wait_time has apart. Howdah's begins
// when the client gets the server.
func (p *pooler) heldTime(ctx context.Context) (time.Duration, error) {
	totals, err := p.showStats(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask %v for its statistics: %w", p.contender, err)
	}
	held := totals["total_xact_time"]
	if p.contender == bouncer {
		held -= totals["total_wait_time"]
	}
	return time.Duration(held) * time.Microsecond, nil
}

// showStats returns the totals of the tenant by their column's name.
func (p *pooler) showStats(ctx context.Context) (map[string]int64, error) {
	conn, err := pgconn.Connect(ctx, fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/pgbouncer?sslmode=disable", tenant, password, p.port))
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	results, err := conn.Exec(ctx, "SHOW STATS").ReadAll()
	if err != nil {
		return nil, err
	}
	for _, result := range results {
		for _, row := range result.Rows {
			if string(row[0]) == tenant {
				return parseTotals(result.FieldDescriptions, row)
			}
		}
	}
	return nil, fmt.Errorf("SHOW STATS has no row of %q", tenant)
}

// parseTotals reads a row of SHOW STATS: a name, then whole numbers.
func parseTotals(columns []pgconn.FieldDescription, row [][]byte) (map[string]int64, error) {
	totals := make(map[string]int64, len(row))
	for i, value := range row[1:] {
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read column %q: %w", columns[i+1].Name, err)
		}
		totals[columns[i+1].Name] = n
	}
	return totals, nil
}
