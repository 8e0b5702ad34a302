package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	holdClients = 8
	holdRest    = 20 * time.Millisecond // between a client's transactions, on average
	holdScale   = 20                    // of pgbench -i: about 300 MB
)

// runHolds measures for how long a tenant's clients wait while it is renamed, and while it
// moves to another cluster by replication. It fails if one of them gets an error, or if a
// transaction that was answered is lost.
func (b *bench) runHolds(ctx context.Context, a *adminPlane) error {
	t, err := a.makeTenant(ctx, "rider")
	if err != nil {
		return err
	}
	scale := min(holdScale, 2*b.scale)
	if err := a.fill(ctx, &t, scale); err != nil {
		return err
	}
	c, err := a.climb(ctx, &t, holdClients, transfer(scale*accountsPerScale))
	if err != nil {
		return err
	}
	defer c.leave()
	still := b.report.add(fmt.Sprintf("longest transaction of %d clients in %d s, ms", holdClients, b.seconds), target{})
	for range b.pairs {
		worst, err := c.during(func() error { return pause(ctx, time.Duration(b.seconds)*time.Second) })
		if err != nil {
			return err
		}
		still.sample(howdah, worst)
	}
	for _, op := range []struct {
		figure string
		do     func(i int) error
	}{
		{"– while the tenant is renamed, ms", func(i int) error {
			from, to := "rider", "driver"
			if i%2 == 1 {
				from, to = to, from
			}
			return a.begin(ctx, "POST", "/tenants/"+from+"/rename", map[string]any{"name": to})
		}},
		{fmt.Sprintf("– while it moves by replication (scale %d), ms", scale), func(i int) error {
			name, to := "rider", []string{"other", "main"}[i%2]
			return a.begin(ctx, "POST", "/tenants/"+name+"/move", map[string]any{"to": to, "how": "replicate"})
		}},
	} {
		longest := b.report.add(op.figure, target{})
		most := b.report.add("– – the longest of them", aloneAtMost(1000))
		var all series
		for i := range 2 * b.pairs { // there and back
			worst, err := c.during(func() error { return op.do(i) })
			if err != nil {
				return err
			}
			all = append(all, worst)
			longest.sample(howdah, worst)
			b.say("%s: %.0f", op.figure, worst)
		}
		most.sample(howdah, all.most())
	}
	return c.nothingLost(ctx, a.url(&t))
}

// accountsPerScale are pgbench's.
const accountsPerScale = 100000

// fill has pgbench fill a tenant's database, through Howdah.
func (a *adminPlane) fill(ctx context.Context, t *aTenant, scale int) error {
	cmd := exec.CommandContext(ctx, a.programs.pgbench, "-i", "-q", "-s", strconv.Itoa(scale), "-h", "127.0.0.1", "-p", strconv.Itoa(a.pooler.port), "-U", t.Name, t.Name)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+t.Password, "PGSSLMODE=disable", "LC_ALL=C.UTF-8")
	_, err := output(cmd)
	return err
}

// transfer changes a row with a key and adds one to a table without.
func transfer(accounts int) transaction {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		aid := 1 + rand.IntN(accounts)
		return runEach(ctx, conn, "begin", fmt.Sprintf("update pgbench_accounts set abalance = abalance + 1 where aid = %d", aid),
			fmt.Sprintf("insert into pgbench_history (aid, delta) values (%d, 1)", aid), "commit")
	}
}

// climbers are clients that do transactions until they leave, and know how long each took.
type climbers struct {
	riders  []*rider
	stop    context.CancelFunc
	all     sync.WaitGroup
	done    atomic.Int64
	mu      sync.Mutex
	longest time.Duration // since the last during began
	failed  error
}

// climb has so many clients of a tenant do transactions.
func (a *adminPlane) climb(ctx context.Context, t *aTenant, n int, do transaction) (*climbers, error) {
	c := &climbers{}
	for range n {
		conn, err := pgconn.Connect(ctx, a.url(t))
		if err != nil {
			leave(c.riders)
			return nil, err
		}
		c.riders = append(c.riders, &rider{conn: conn})
	}
	var going context.Context
	going, c.stop = context.WithCancel(ctx)
	for _, r := range c.riders {
		c.all.Go(func() {
			for going.Err() == nil {
				begun := time.Now()
				err := do(ctx, r.conn)
				c.note(time.Since(begun), err)
				if err != nil {
					return
				}
				_ = pause(going, time.Duration(rand.ExpFloat64()*float64(holdRest)))
			}
		})
	}
	return c, nil
}

func (c *climbers) note(took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.longest = max(c.longest, took)
	c.failed = errors.Join(c.failed, err)
	if err == nil {
		c.done.Add(1)
	}
}

// during does something, and returns the milliseconds of the longest transaction
// meanwhile.
func (c *climbers) during(do func() error) (worst float64, err error) {
	c.mu.Lock()
	c.longest = 0
	c.mu.Unlock()
	err = do()
	for last := c.done.Load() + int64(4*len(c.riders)); c.done.Load() < last && err == nil; { // who still waits
		time.Sleep(10 * time.Millisecond)
		c.mu.Lock()
		err = c.failed
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.longest.Seconds() * 1000, errors.Join(err, c.failed)
}

// leave ends the clients' transactions, then the clients.
func (c *climbers) leave() {
	c.stop()
	c.all.Wait()
	leave(c.riders)
	c.riders = nil
}

// nothingLost ends the clients, and looks whether each transaction that was answered is
// there.
func (c *climbers) nothingLost(ctx context.Context, url string) error {
	c.leave()
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, "select count(*) from pgbench_history union all select sum(abalance) from pgbench_accounts").ReadAll()
	if err != nil {
		return err
	}
	for _, row := range results[0].Rows {
		if got := string(row[0]); got != fmt.Sprint(c.done.Load()) {
			return fmt.Errorf("%d transactions were answered, and %s are there", c.done.Load(), got)
		}
	}
	return c.failed
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
