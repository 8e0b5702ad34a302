package router_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"howdah/tenants"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// slow is how long clients wait for a failover: Patroni waits for its ttl.
const slow = time.Minute

// patroniHouse has the tenants on a cluster that Patroni runs, and a door whose
// cluster names no member.
func patroniHouse(t *testing.T, c *trio) (*house, *door) {
	t.Helper()
	leader, _ := c.leader(t)
	h := &house{Server: leader.open(t)}
	for _, name := range []string{"acme", "globex"} {
		wiretest.CreateTenant(t, h.Server, name, secret)
		h.users = append(h.users, tenants.User{Name: name, Verifier: wiretest.Verifier(t, h.Server, name)})
	}
	h.sql(t, fmt.Sprintf("create role %s superuser login password 'w'", watcher))
	d := h.open(t, limits(func(l *tenants.Limits) { l.QueryWaitTimeout = slow }), func(s *setup) {
		s.cluster.Members = nil
		for _, n := range c.nodes {
			s.cluster.Patroni = append(s.cluster.Patroni, n.api)
		}
		s.cluster.AdminURL = h.URL(watcher, "w", postgres.Superuser)
	})
	return h, d
}

// clerks are clients that write a row each few milliseconds.
type clerks struct {
	all          sync.WaitGroup
	stop         chan struct{}
	acknowledged atomic.Int64
	mu           sync.Mutex
	errs         []error
}

func (d *door) startClerks(t *testing.T, n int) *clerks {
	t.Helper()
	k := &clerks{stop: make(chan struct{})}
	for range n {
		conn := d.connect(t)
		k.all.Go(func() { k.work(t, d, conn) })
	}
	return k
}

func (k *clerks) work(t *testing.T, d *door, conn *pgx.Conn) {
	ctx := context.WithoutCancel(t.Context())
	for {
		select {
		case <-k.stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
		begun := time.Now()
		_, err := conn.Exec(ctx, "insert into kept values (1)")
		if err == nil {
			k.acknowledged.Add(1)
			continue
		}
		k.mu.Lock()
		k.errs = append(k.errs, fmt.Errorf("after %v: %w", time.Since(begun), err))
		k.mu.Unlock()
		if !conn.IsClosed() {
			continue
		}
		if conn, err = pgx.ConnectConfig(ctx, d.config(t, "acme")); err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
	}
}

// end stops the clerks. Each may have had one statement open when the primary went.
func (k *clerks) end(t *testing.T, n int) {
	t.Helper()
	close(k.stop)
	k.all.Wait()
	if len(k.errs) > n {
		t.Errorf("%d errors of %d clients that had at most one statement open: %v", len(k.errs), n, k.errs)
	}
	for _, err := range k.errs {
		if e := (*pgconn.PgError)(nil); errors.As(err, &e) && e.Code[:2] != "57" && e.Code[:2] != "08" {
			t.Errorf("a client sees %v", err)
		}
	}
	t.Logf("%d rows were acknowledged, %d statements failed: %v", k.acknowledged.Load(), len(k.errs), k.errs)
}

// TestSoakPatroni has a real Patroni hand over from one node to the other: who has
// no transaction open waits and notices nothing. With HOWDAH_SOAK it goes on for so
// long, and kills the leader in turn, which takes Patroni's ttl of 20 s each time.
func TestSoakPatroni(t *testing.T) {
	begun := time.Now()
	c := startTrio(t)
	h, d := patroniHouse(t, c)
	t.Logf("up after %v", time.Since(begun).Round(time.Millisecond))
	do(t, d.connect(t), "create table kept (n int)")
	for end := time.Now().Add(soakTime(t, 0)); ; {
		leader, other := c.leader(t)
		c.change(t, h, d, other, true, func() { c.switchover(t, leader, other) })
		if time.Now().After(end) {
			return
		}
		c.awaitStream(t, h)
		leader, other = c.leader(t)
		c.change(t, h, d, other, false, leader.kill)
		leader.renew(t)
		c.awaitStream(t, h)
	}
}

// awaitStream waits until one node leads, h's server, and the other follows it.
func (c *trio) awaitStream(t *testing.T, h *house) {
	t.Helper()
	c.await(t, "a leader and a replica that streams", func(roles map[string]string) bool {
		return c.whole(roles) && ask[int](t, h, "select count(*) from pg_stat_replication where state = 'streaming' and application_name like 'node%'") == 1
	})
}

// change has the leader change under clients. whole is that nothing may be lost
// which was acknowledged.
func (c *trio) change(t *testing.T, h *house, d *door, next *node, whole bool, by func()) {
	t.Helper()
	quiet, open := d.connect(t), d.connect(t)
	do(t, quiet, "truncate kept")
	if !poll(func() bool {
		var port int
		return readOnly(t.Context(), quiet, where, &port) == nil && port == next.server.Port
	}) {
		t.Error("READ ONLY transactions do not come to the standby")
	}
	do(t, open, "begin")
	do(t, open, "insert into kept values (-1)")
	k := d.startClerks(t, 4)
	time.Sleep(200 * time.Millisecond)
	begun := time.Now()
	by()
	if port := waitingGet(t, quiet, where); port != next.server.Port {
		t.Errorf("a transaction runs at port %d, the new leader's is %d", port, next.server.Port)
	}
	took := time.Since(begun)
	t.Logf("the new leader works after %v", took.Round(time.Millisecond))
	if took > 30*time.Second {
		t.Error("that is longer than Patroni's ttl of 20 s, and some")
	}
	if _, err := open.Exec(t.Context(), "insert into kept values (-2)"); err == nil {
		t.Error("a transaction that was open goes on")
	}
	time.Sleep(300 * time.Millisecond)
	k.end(t, 4)
	h.Server = next.open(t)
	if n := ask[int](t, h, "select count(*) from kept where n < 0"); n != 0 {
		t.Errorf("%d rows of a transaction that was cut", n)
	}
	kept, known := ask[int64](t, h, "select count(*) from kept"), k.acknowledged.Load()
	t.Logf("%d rows are kept of %d acknowledged", kept, known)
	if whole && kept < known || kept > known+4 {
		t.Error("that is too few, or too many")
	}
}

// waitingGet runs a query that waits for a primary.
func waitingGet(t *testing.T, c *pgx.Conn, query string) (n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), slow)
	defer cancel()
	if err := c.QueryRow(ctx, query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
