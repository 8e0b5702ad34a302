package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// memoryPairs is how often memory is measured at most: it hardly varies, and
// eleven thousand logins take a while.
const memoryPairs = 3

// runMemory measures what one more idle client costs.
func (b *bench) runMemory(ctx context.Context) error {
	plain := b.report.add("bytes per idle client", ratioAtMost(1.2))
	encrypted := b.report.add("bytes per idle client, TLS", target{})
	b.report.note("Memory is the slope of resident memory between %d and %d clients that logged in with SCRAM and sent nothing since, each time in a fresh process.", b.idle[0], b.idle[1])
	for range min(b.pairs, memoryPairs) {
		for _, secure := range []bool{false, true} {
			for _, c := range b.poolers {
				bytes, err := b.memoryPerClient(ctx, c, secure)
				if err != nil {
					return fmt.Errorf("idle clients of %v, TLS %v: %w", c, secure, err)
				}
				b.say("idle clients, TLS %v, %v: %.0f bytes each", secure, c, bytes)
				if secure {
					encrypted.sample(c, bytes)
				} else {
					plain.sample(c, bytes)
				}
			}
		}
	}
	return nil
}

func (b *bench) memoryPerClient(ctx context.Context, c contender, secure bool) (float64, error) {
	p, err := b.startPooler(ctx, c, b.overDatabase())
	if err != nil {
		return 0, err
	}
	defer p.stop()
	crowd := &crowd{url: p.url(tenant), secure: secure}
	defer crowd.leave()
	var rss [2]int64
	for i, clients := range b.idle {
		if err := crowd.grow(ctx, clients); err != nil {
			return 0, p.explain(err)
		}
		if rss[i], err = settledRSS(ctx, p.child.PID()); err != nil {
			return 0, p.explain(err)
		}
	}
	return float64(rss[1]-rss[0]) / float64(b.idle[1]-b.idle[0]), nil
}

// settledRSS waits until memory stops moving: garbage of the logins is given
// back with delay. After a minute what there is counts.
func settledRSS(ctx context.Context, pid int) (int64, error) {
	const (
		calm    = 5 * time.Second
		patient = time.Minute
		noise   = 128 << 10 // bytes
	)
	begun := time.Now()
	since, mark := begun, int64(0)
	for {
		rss, err := readRSS(pid)
		if err != nil {
			return 0, err
		}
		if rss < mark-noise || rss > mark+noise {
			since, mark = time.Now(), rss
		}
		if time.Since(since) >= calm || time.Since(begun) >= patient {
			return rss, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// crowd is many clients that logged in and sit there.
type crowd struct {
	url    string
	secure bool

	mu      sync.Mutex
	clients []net.Conn
}

// grow logs clients in, a few at a time, until there are so many.
func (c *crowd) grow(ctx context.Context, clients int) error {
	const together = 8
	missing := make(chan struct{}, clients)
	for range clients - len(c.clients) {
		missing <- struct{}{}
	}
	close(missing)
	errs := make(chan error, together)
	for range together {
		go func() {
			for range missing {
				if err := c.join(ctx); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var first error
	for range together {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// join logs one client in and keeps only its socket.
func (c *crowd) join(ctx context.Context) error {
	config, err := pgconn.ParseConfig(c.url)
	if err != nil {
		return err
	}
	if c.secure {
		config.TLSConfig = &tls.Config{InsecureSkipVerify: true} // the certificate is our own
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	taken, err := conn.Hijack()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients = append(c.clients, taken.Conn)
	return nil
}

func (c *crowd) leave() {
	for _, conn := range c.clients {
		_ = conn.Close() // the pooler goes next
	}
}
