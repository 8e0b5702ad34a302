package admin_test

import (
	"iter"
	"strings"
	"testing"
	"time"

	"howdah/admin"
	"howdah/router"
	"howdah/tenants"
)

func (f *fakePooler) Tenants(wanted func(string) bool) iter.Seq[router.TenantRow] {
	return func(yield func(router.TenantRow) bool) {
		for i := range f.tenants {
			if wanted(f.tenants[i].Name) && !yield(f.tenants[i]) {
				return
			}
		}
	}
}

func (f *fakePooler) Top(tenant string) (rows []router.StatementStats) {
	for _, s := range f.top {
		if tenant == "" || s.Tenant == tenant {
			rows = append(rows, s)
		}
	}
	return rows
}

func (f *fakePooler) TenantStats() (map[string]*router.TenantStats, router.TenantStats) {
	f.mu.Lock()
	defer f.mu.Unlock()
	used := map[string]*router.TenantStats{}
	for _, t := range f.used {
		used[t.Name] = &t
	}
	return used, f.gone
}

func tenantsPooler() *fakePooler {
	row := func(t tenants.Tenant, paused bool, clients int) router.TenantRow {
		return router.TenantRow{Tenant: &t, Paused: paused, Clients: clients, Servers: 2 * clients, Waiting: 3 * clients}
	}
	p := &fakePooler{
		tenants: []router.TenantRow{
			row(tenants.Tenant{Name: "acme", Cluster: "main", Database: "acme_db", User: "acme", Tier: "gold", Limits: tenants.Limits{
				PoolSize: 1, MinPoolSize: 2, ReservePoolSize: 3, MaxDBConnections: 4, MaxUserConnections: 5, MaxClientConn: 6,
				MaxUserClientConn: 7, MaxWaitingClients: 8, MaxQueriesPerSecond: 9, MaxLoginsPerSecond: 10, MaxBytesPerSecond: 1 << 31,
				QueryWaitTimeout: 12 * time.Second, QueryTimeout: 1300 * time.Millisecond, TransactionTimeout: time.Minute,
				IdleTransactionTimeout: time.Hour, ClientIdleTimeout: 0, Weight: 16, Quota: 1 << 40,
			}}, true, 1),
			row(tenants.Tenant{Name: "acme_staging", Cluster: "main", State: tenants.Suspended}, true, 0),
			row(tenants.Tenant{Name: "globex", Cluster: "other"}, false, 0),
		},
		top: []router.StatementStats{
			{Tenant: "globex", Shape: "select pg_sleep(?)", Calls: 4, Rows: 5, Total: 2 * time.Second, Max: 1234567 * time.Nanosecond},
			{Tenant: "acme", Shape: "commit", Calls: 1, Total: 150 * time.Millisecond, Max: 150 * time.Millisecond},
		},
	}
	p.tenants[0].Usage = tenants.Usage{Size: 1 << 41, Quota: 1 << 40, State: tenants.QuotaGrace, GraceUntil: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
	return p
}

func TestShowTenants(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{Pooler: tenantsPooler()}).connect(t, "watcher", "howdah")
	const acme = "acme|main|acme_db|acme|gold|paused|1|2|3|transaction|1|2|3|4|5|6|7|8|9|10|2147483648|12|1.3|60|3600|0|16|<null>|2199023255552|1099511627776|grace|2026-01-31 12:00:00 UTC"
	const staging = "acme_staging|main|<null>|<null>|<null>|suspended|0|0|0|transaction|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|<null>|<null>|0|<null>|<null>"
	globex := strings.NewReplacer("acme_staging", "globex", "main", "other", "suspended", "active").Replace(staging)
	for text, want := range map[string][]string{
		"SHOW TENANTS":                  {acme, staging, globex},
		"show tenants;":                 {acme, staging, globex},
		"SHOW TENANTS acme":             {acme},
		"SHOW TENANTS 'acme%';":         {acme, staging},
		"SHOW TENANTS LIKE 'acme\\_%'":  {staging},
		"SHOW TENANTS like '%e_'":       {globex},
		`SHOW TENANTS "globex"`:         {globex},
		"SHOW TENANTS LIKE '%a%a%'":     {staging},
		"SHOW TENANTS LIKE '____'":      {acme},
		"SHOW TENANTS LIKE 'acme\\%'":   nil,
		"SHOW TENANTS LIKE 'stranger%'": nil,
	} {
		expectRows(t, text, rows(t, conn, text), want...)
	}
	for _, text := range []string{"SHOW TENANTS LIKE 'a' 'b'", "SHOW TENANTS LIKE", "SHOW TENANTS 'a", "SHOW POOLS acme", "SHOW VERSION LIKE 'x'"} {
		if _, err := ask(conn, text); err == nil {
			t.Errorf("%q is understood", text)
		} else {
			wantCode(t, err, "42601")
		}
	}
}

// TestShowManyTenants reads a hundred thousand rows, of which few are in memory
// at a time.
func TestShowManyTenants(t *testing.T) {
	t.Parallel()
	const many = 100_000
	p := &fakePooler{tenants: make([]router.TenantRow, many)}
	one := tenants.Tenant{Name: "acme", Cluster: "main"}
	for i := range p.tenants {
		p.tenants[i].Tenant = &one
	}
	conn := startConsole(t, &admin.Console{Pooler: p}).connect(t, "watcher", "howdah")
	if n := len(rows(t, conn, "SHOW TENANTS")); n != many {
		t.Errorf("%d rows, want %d", n, many)
	}
}

func TestShowTop(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{Pooler: tenantsPooler()}).connect(t, "watcher", "howdah")
	const globex, acme = "globex|select pg_sleep(?)|4|2000.000|500.000|1.234|5", "acme|commit|1|150.000|150.000|150.000|0"
	expectRows(t, "SHOW TOP", rows(t, conn, "SHOW TOP"), globex, acme)
	expectRows(t, "SHOW TOP acme", rows(t, conn, "SHOW TOP acme"), acme)
	expectRows(t, "SHOW TOP 'stranger'", rows(t, conn, "SHOW TOP 'stranger'"))
	if _, err := ask(conn, "SHOW TOP a b"); err == nil {
		t.Error("two tenants are understood")
	}
}
