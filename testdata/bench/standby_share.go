package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// The load of the section: one client writes now and then, others read in READ ONLY
// transactions, all at random times.
const (
	shareReaders = 8
	readPause    = 20 * time.Millisecond // of each reader, on average
	quietFor     = 50 * time.Millisecond // since the last write: then a read should run at the standby
)

// shareLoad is what the clients of one run know together.
type shareLoad struct {
	standbyPort string
	begun       time.Time
	written     atomic.Int64 // the value of the last write that was confirmed
	writing     atomic.Bool
	wrote       atomic.Int64 // when the last write was confirmed, in nanoseconds since begun

	mu    sync.Mutex
	reads struct{ all, away, quiet, quietAway, stale int }
}

// runShare measures how many READ ONLY transactions run at the standby while the
// tenant also writes, and whether one of them ever reads what is no longer so.
func (b *bench) runShare(ctx context.Context, standby *database) error {
	if err := b.prepareShare(ctx); err != nil {
		return err
	}
	p, err := b.startSplit(ctx, standby, splitSettings{split: "declared", maxLag: 10 * time.Second})
	if err != nil {
		return err
	}
	defer p.stop()
	rates := []int{1, 5, 10}
	quiet, all, stale := make([]*row, len(rates)), make([]*row, len(rates)), make([]*row, len(rates))
	for i, rate := range rates {
		quiet[i] = b.report.add(fmt.Sprintf("reads at the standby of those begun > %v behind a write, %d writes/s, %%", quietFor, rate), aloneAtLeast(95))
	}
	for i, rate := range rates {
		all[i] = b.report.add(fmt.Sprintf("reads at the standby of all, %d writes/s, %%", rate), target{})
	}
	for i, rate := range rates {
		stale[i] = b.report.add(fmt.Sprintf("stale reads, %d writes/s", rate), aloneAtMost(0))
	}
	total, late := 0, 0
	for range b.pairs {
		for i, rate := range rates {
			l := &shareLoad{standbyPort: strconv.Itoa(standby.server.Port())}
			if err := l.run(ctx, p, rate, time.Duration(b.seconds)*time.Second); err != nil {
				return p.explain(err)
			}
			r := l.reads
			total, late = total+r.all, late+r.stale
			all[i].sample(howdah, percent(r.away, r.all))
			quiet[i].sample(howdah, percent(r.quietAway, r.quiet))
			stale[i].sample(howdah, float64(r.stale))
			b.say("%d writes/s: %d reads, %.1f %% at the standby; %d in quiet, %.1f %% of them; %d stale", rate,
				r.all, percent(r.away, r.all), r.quiet, percent(r.quietAway, r.quiet), r.stale)
		}
	}
	b.report.note("stale reads: %d of %d.", late, total)
	return nil
}

func percent(part, whole int) float64 { return 100 * float64(part) / float64(max(1, whole)) }

// prepareShare makes the row that is written.
func (b *bench) prepareShare(ctx context.Context) error {
	conn, err := b.connectDirectly(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return runEach(ctx, conn, "create table written (n bigint)", "insert into written values (0)")
}

// run has the clients work for a time.
func (l *shareLoad) run(ctx context.Context, p *pooler, rate int, length time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, length+patience)
	defer cancel()
	riders, err := board(ctx, p, []string{tenant}, 1+shareReaders)
	if err != nil {
		return err
	}
	defer leave(riders)
	if err := l.write(ctx, riders[0].conn); err != nil {
		return err
	}
	time.Sleep(time.Second) // a watch that nobody read by rests
	errs := make([]error, len(riders))
	until := time.Now().Add(length)
	var clients sync.WaitGroup
	for i, r := range riders {
		pause, do := readPause, l.read
		if i == 0 {
			pause, do = time.Second/time.Duration(rate), l.write
		}
		clients.Go(func() {
			for errs[i] == nil && time.Now().Before(until) {
				time.Sleep(time.Duration(rand.ExpFloat64() * float64(pause)))
				errs[i] = do(ctx, r.conn)
			}
		})
	}
	clients.Wait()
	return firstOf(errs)
}

// write counts the row up.
func (l *shareLoad) write(ctx context.Context, conn *pgconn.PgConn) error {
	if l.begun.IsZero() {
		l.begun = time.Now()
	}
	l.writing.Store(true)
	n, err := askNumber(ctx, conn, "update written set n = n + 1 returning n")
	l.wrote.Store(int64(time.Since(l.begun)))
	l.written.Store(int64(n))
	l.writing.Store(false)
	return err
}

// read reads the row in a READ ONLY transaction, and where.
func (l *shareLoad) read(ctx context.Context, conn *pgconn.PgConn) error {
	known := l.written.Load()
	quiet := time.Since(l.begun)-time.Duration(l.wrote.Load()) > quietFor && !l.writing.Load()
	if err := runEach(ctx, conn, "begin isolation level repeatable read read only"); err != nil {
		return err
	}
	results, err := conn.Exec(ctx, "select n, current_setting('port') from written").ReadAll()
	if err != nil {
		return err
	}
	if err := runEach(ctx, conn, "commit"); err != nil {
		return err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return fmt.Errorf("a read has no row")
	}
	row := results[0].Rows[0]
	n, err := strconv.ParseInt(string(row[0]), 10, 64)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	away := string(row[1]) == l.standbyPort
	l.reads.all++
	if away {
		l.reads.away++
	}
	if quiet {
		l.reads.quiet++
	}
	if quiet && away {
		l.reads.quietAway++
	}
	if n < known {
		l.reads.stale++
	}
	return nil
}
