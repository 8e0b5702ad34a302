package router_test

import (
	"fmt"
	"runtime"
	"testing"

	"howdah/router"
	"howdah/tenants"
)

// many returns a server that knows n tenants, none of which is in use.
func many(t testing.TB, n int) *router.Server {
	t.Helper()
	all := make([]tenants.Tenant, n)
	for i := range all {
		name := fmt.Sprintf("tenant%06d", i)
		all[i] = tenants.Tenant{Name: name, Cluster: "main", Database: name, User: name, Limits: tenants.Limits{PoolSize: 20}}
	}
	snapshot, err := tenants.NewSnapshot([]tenants.Cluster{{Name: "main", Members: []tenants.Member{{Address: "127.0.0.1:1"}}}}, nil, all, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := router.New(router.Config{Loops: 1}, tenants.NewRegistry(snapshot))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func everyTenant(string) bool { return true }

// TestAHundredThousandTenants has all of them told, and one changed, and
// nothing kept of that.
func TestAHundredThousandTenants(t *testing.T) {
	const n = 100_000
	s := many(t, n)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	count, changed := 0, 0
	if err := s.SetLimits("tenant050000", func(l *tenants.Limits) { l.PoolSize = 7 }); err != nil {
		t.Fatal(err)
	}
	for row := range s.Tenants(everyTenant) {
		count++
		if row.Limits.PoolSize == 7 {
			changed++
		}
		if row.Clients+row.Servers+row.Waiting != 0 || row.Paused {
			t.Fatalf("%s is in use: %+v", row.Name, row)
		}
	}
	if count != n || changed != 1 {
		t.Errorf("%d tenants, %d of them changed", count, changed)
	}
	if used, _ := s.TenantStats(); len(used) != 0 {
		t.Errorf("%d tenants have numbers", len(used))
	}
	if grown := int64(heap() - before); grown > 8<<20 {
		t.Errorf("%d bytes more are in use", grown)
	}
	if err := s.SetLimits("stranger", func(*tenants.Limits) {}); err == nil {
		t.Error("a stranger's limits have changed")
	}
}

func BenchmarkTenants(b *testing.B) {
	s := many(b, 100_000)
	for b.Loop() {
		for range s.Tenants(everyTenant) {
		}
	}
}
