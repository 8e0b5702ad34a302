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

// watcher is Howdah's own role on both members of a cluster.
const watcher = "watcher"

// cluster makes the house's server the primary of a cluster with a standby, which
// the setup names first.
func (h *house) cluster(t *testing.T, options ...wiretest.PostgresOption) (*postgres.Server, func(*setup)) {
	t.Helper()
	standbys, members := h.clusterOf(t, 1, options...)
	return standbys[0], members
}

// clusterOf does the same with n standbys.
func (h *house) clusterOf(t *testing.T, n int, options ...wiretest.PostgresOption) (standbys []*postgres.Server, members func(*setup)) {
	t.Helper()
	h.sql(t, fmt.Sprintf("create role %s superuser login password 'w'", watcher))
	for i := range n {
		standbys = append(standbys, wiretest.StartStandbyAt(t, h.Server, fmt.Sprintf("standby_%d", i), options...))
	}
	return standbys, func(s *setup) {
		s.cluster.Members = nil
		for _, standby := range standbys {
			s.cluster.Members = append(s.cluster.Members, tenants.Member{Address: standby.Address()})
		}
		s.cluster.Members = append(s.cluster.Members, tenants.Member{Address: h.Address()})
		s.cluster.AdminURL = h.URL(watcher, "w", postgres.Superuser)
	}
}

// TestRealFailover kills the primary under clients and promotes the standby: who
// has no transaction open waits and notices nothing.
func TestRealFailover(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	quiet, open := d.connect(t), d.connect(t)
	do(t, quiet, "create table kept (n int)")
	do(t, open, "begin")
	do(t, open, "insert into kept values (-1)")
	var writers sync.WaitGroup
	var errs, acknowledged atomic.Int64
	stop := make(chan struct{})
	for range 4 {
		conn := d.connect(t)
		writers.Go(func() {
			failed := 0
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if _, err := conn.Exec(ctx, "insert into kept values (1)"); err == nil {
					acknowledged.Add(1)
					continue
				}
				errs.Add(1)
				if failed++; failed > 1 {
					return // a second failure of one client: the test fails
				}
				var err error
				if conn, err = pgx.ConnectConfig(ctx, d.config(t, "acme")); err != nil {
					t.Error(err)
					return
				}
				defer conn.Close(context.WithoutCancel(ctx))
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	h.Kill()
	killed := time.Now()
	time.Sleep(300 * time.Millisecond)
	if err := standby.Exec(ctx, postgres.Superuser, "select pg_promote()"); err != nil {
		t.Fatal(err)
	}
	before := acknowledged.Load()
	do(t, quiet, "insert into kept values (2)") // waits for the new primary
	t.Logf("the first success %v after the kill", time.Since(killed).Round(time.Millisecond))
	var e *pgconn.PgError
	if _, err := open.Exec(ctx, "insert into kept values (-2)"); !errors.As(err, &e) && !open.IsClosed() {
		t.Errorf("a transaction that was open at the kill goes on: %v", err)
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	writers.Wait()
	if n := errs.Load(); n > 4 {
		t.Errorf("%d errors of 4 clients that had at most one statement open", n)
	}
	if acknowledged.Load() <= before {
		t.Error("no writer went on behind the failover")
	}
	var lost int
	if err := standby.QueryRow(ctx, "acme", "select count(*) from kept where n < 0", nil, &lost); err != nil || lost != 0 {
		t.Errorf("%d rows of the transaction that was cut (%v)", lost, err)
	}
	if err := h.Start(ctx); err != nil { // the old primary comes back, and nobody goes there
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	var port int
	if err := quiet.QueryRow(ctx, "select inet_server_port()").Scan(&port); err != nil || port != standby.Port() {
		t.Errorf("a transaction runs at port %d, not at the new primary's %d (%v)", port, standby.Port(), err)
	}
}
