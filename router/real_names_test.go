package router_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/router"
	"howdah/router/members"
	"howdah/tenants"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRealNames has the names of a primary and a standby change places under
// clients, as at a failover by DNS, while the old primary still takes writes.
func TestRealNames(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"), wiretest.WithHBA("host all all 127.0.0.0/8 scram-sha-256"))
	h.sql(t, fmt.Sprintf("create role %s superuser login password 'w'", watcher))
	standby := wiretest.StartStandby(t, h.Server, func(c *postgres.Config) { c.Host, c.Port = "127.0.0.2", h.Port() })
	var mu sync.Mutex
	hosts := map[string]string{"rw.test": "127.0.0.1", "ro.test": "127.0.0.2"}
	d := h.open(t, func(s *setup) {
		s.config.Resolve = func(_ context.Context, host string) ([]string, error) {
			mu.Lock()
			defer mu.Unlock()
			return []string{hosts[host]}, nil
		}
		s.cluster.Members = nil
		for host := range hosts {
			s.cluster.Members = append(s.cluster.Members, tenants.Member{Address: fmt.Sprintf("%s:%d", host, h.Port())})
		}
		s.cluster.AdminURL = h.URL(watcher, "w", postgres.Superuser)
	})
	const where = "select host(inet_server_addr())"
	quiet, open, reader := d.connect(t), d.connect(t), d.connect(t)
	do(t, quiet, "create table kept (n int)")
	read := func() (at string) {
		t.Helper()
		if err := readOnly(t.Context(), reader, "select current_setting('listen_addresses')", &at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	if !poll(func() bool { return read() == "127.0.0.2" }) {
		t.Fatalf("reads do not come to the standby: %+v", d.Standbys())
	}
	if at := get[string](t, quiet, where); at != "127.0.0.1" {
		t.Fatalf("a transaction runs at %s", at)
	}
	do(t, open, "begin")
	do(t, open, "insert into kept values (-1)")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := standby.Exec(ctx, postgres.Superuser, "select pg_promote()"); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	hosts = map[string]string{"rw.test": "127.0.0.2", "ro.test": "127.0.0.1"}
	mu.Unlock()
	moved := time.Now()
	late := d.connect(t, func(c *pgx.ConnConfig) { c.User, c.Database = "globex", "globex" }) // a server is opened for it
	if at := get[string](t, late, where); at != "127.0.0.2" {
		t.Errorf("a new server is at %s, which was replaced", at)
	}
	if !poll(func() bool {
		return slices.ContainsFunc(d.Standbys(), func(r router.StandbyRow) bool {
			return strings.HasPrefix(r.Address, "rw") && r.Role == members.Primary && r.Timeline == 2
		})
	}) {
		t.Fatalf("nobody notices that the name leads elsewhere: %+v", d.Standbys())
	}
	t.Logf("moved after %v", time.Since(moved).Round(time.Millisecond))
	for range 100 {
		if at := get[string](t, quiet, where); at != "127.0.0.2" {
			t.Fatalf("a transaction runs at %s again", at)
		}
		if at := read(); at != "127.0.0.2" {
			t.Fatalf("a read runs at %s, which was replaced", at)
		}
	}
	if _, err := open.Exec(ctx, "insert into kept values (-2)"); err == nil {
		t.Error("a transaction goes on at the server that was replaced")
	}
	h.Server = standby
	if n := ask[int](t, h, "select count(*) from kept"); n != 0 {
		t.Errorf("%d rows of the transaction that was cut", n)
	}
}
