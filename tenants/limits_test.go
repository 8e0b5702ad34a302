package tenants_test

import (
	"testing"
	"time"

	"howdah/tenants"
)

func TestUserLimitsGoBeforeTheTenants(t *testing.T) {
	zero, minute, three := time.Duration(0), time.Minute, 3
	tenant := tenants.Limits{PoolSize: 7, QueryTimeout: time.Second, ClientIdleTimeout: time.Hour, MaxUserClientConn: 9}
	own := tenants.UserLimits{QueryTimeout: &zero, TransactionTimeout: &minute, MaxUserConnections: &three}
	got := own.Over(tenant)
	want := tenant
	want.QueryTimeout, want.TransactionTimeout, want.MaxUserConnections = 0, time.Minute, 3
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got := (&tenants.UserLimits{}).Over(tenant); got != tenant {
		t.Errorf("a user without limits changes them: %+v", got)
	}
}

func TestWithLimitsChangesOneTenant(t *testing.T) {
	before := snapshot(t, tenants.Tenant{Name: "acme", User: "acme"}, tenants.Tenant{Name: "globex", User: "globex"}, tenants.Tenant{Name: tenants.Fallback})
	limitOf := func(s *tenants.Snapshot, database, user string) int {
		t.Helper()
		found, ok := s.Lookup(database, user)
		if !ok {
			t.Fatalf("no tenant for database %q", database)
		}
		return found.Limits.MaxClientConn
	}
	after, ok := before.WithLimits("acme", func(l *tenants.Limits) { l.MaxClientConn = 5 })
	if !ok {
		t.Fatal("acme is not known")
	}
	for _, c := range []struct {
		database string
		want     int
	}{{"acme", 5}, {tenants.Shared, 5}, {"globex", 0}, {"any", 0}} {
		if got := limitOf(after, c.database, "acme"); got != c.want {
			t.Errorf("max_client_conn of %s is %d, want %d", c.database, got, c.want)
		}
	}
	if got := limitOf(before, "acme", ""); got != 0 {
		t.Errorf("the snapshot before has changed to %d", got)
	}
	n := 0
	for range after.Tenants() {
		n++
	}
	if n != 2 {
		t.Errorf("%d tenants, want 2", n)
	}
	after, ok = after.WithLimits(tenants.Fallback, func(l *tenants.Limits) { l.MaxClientConn = 6 })
	if !ok || limitOf(after, "any", "") != 6 || limitOf(after, "acme", "") != 5 {
		t.Error("the fallback's limit, or acme's, is wrong")
	}
	if _, ok := after.WithLimits("stranger", func(*tenants.Limits) { t.Error("changed") }); ok {
		t.Error("a stranger is known")
	}
}
