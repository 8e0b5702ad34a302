package fleet

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// keptFor is how long a connection to a cluster may wait for the next operation.
const keptFor = 10 * time.Second

// connections are those that wait for the next operation, by their admin_url: a login, and
// a session that has to plan all that it is asked for the first time, cost more than most
// steps do.
type connections struct {
	mu      sync.Mutex
	waiting map[string][]*pgx.Conn // the one that was used last is last
}

// borrow logs in to a cluster as connect does, or goes on with a connection that was given
// back. The caller calls back with its own outcome: what an error came of is closed.
func (f *Fleet) borrow(ctx context.Context, cluster string) (conn *pgx.Conn, back func(error), err error) {
	c, err := f.cluster(cluster)
	if err != nil {
		return nil, nil, err
	}
	if conn = f.kept.take(ctx, c.AdminURL); conn == nil {
		if conn, err = f.connect(ctx, cluster); err != nil {
			return nil, nil, err
		}
	}
	return conn, func(outcome error) {
		if outcome != nil || conn.IsClosed() {
			_ = conn.Close(context.WithoutCancel(ctx))
			return
		}
		f.kept.give(c.AdminURL, conn)
	}, nil
}

// take returns a connection that still answers, nil for none.
func (c *connections) take(ctx context.Context, url string) *pgx.Conn {
	for {
		conn := c.last(url)
		if conn == nil || conn.Ping(ctx) == nil {
			return conn
		}
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}

func (c *connections) last(url string) *pgx.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.waiting[url]
	if len(waiting) == 0 {
		return nil
	}
	conn := waiting[len(waiting)-1]
	c.remove(url, conn)
	return conn
}

func (c *connections) give(url string, conn *pgx.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[string][]*pgx.Conn{}
	}
	c.waiting[url] = append(c.waiting[url], conn)
	// Of those that are borrowed and given back all the time the first to be closed may be
	// one that has not waited for so long: the next operation logs in.
	time.AfterFunc(keptFor, func() { c.expire(url, conn) })
}

// expire closes a connection unless it has been taken.
func (c *connections) expire(url string, conn *pgx.Conn) {
	c.mu.Lock()
	mine := c.remove(url, conn)
	c.mu.Unlock()
	if mine {
		_ = conn.Close(context.Background())
	}
}

// remove reports whether the connection was there. mu is held.
func (c *connections) remove(url string, conn *pgx.Conn) bool {
	i := slices.Index(c.waiting[url], conn)
	if i < 0 {
		return false
	}
	if c.waiting[url] = slices.Delete(c.waiting[url], i, i+1); len(c.waiting[url]) == 0 {
		delete(c.waiting, url)
	}
	return true
}

// close closes all.
func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, waiting := range c.waiting {
		for _, conn := range waiting {
			_ = conn.Close(context.Background())
		}
	}
	c.waiting = nil
}
