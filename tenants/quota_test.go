package tenants_test

import (
	"math"
	"testing"
	"time"

	"howdah/tenants"
)

func TestQuotaStates(t *testing.T) {
	const unknown, within, near, over, grace = tenants.QuotaUnknown, tenants.QuotaWithin, tenants.QuotaNear, tenants.QuotaOver, tenants.QuotaGrace
	for _, c := range []struct {
		before tenants.QuotaState
		size   int64
		want   tenants.QuotaState
	}{
		{unknown, 0, within},
		{unknown, 8999, within},
		{unknown, 9000, near},
		{unknown, 10000, over},
		{within, 8600, within},
		{within, 9999, near},
		{near, 8500, near},
		{near, 8499, within},
		{near, 9999, near},
		{near, 10000, over},
		{over, 9500, over},
		{over, 9499, near},
		{over, 8400, within},
		{over, 20000, over},
		{grace, 9500, over},
		{within, 9500, near},
	} {
		one := tenants.Tenant{Limits: tenants.Limits{Quota: 10000}}
		if got := one.Measured(c.before, c.size, time.Now()); got.State != c.want || got.Size != c.size || got.Quota != 10000 {
			t.Errorf("%d of 10000 after %v: %v, want %v", c.size, c.before, got.State, c.want)
		}
	}
}

func TestQuotaGraceEnds(t *testing.T) {
	end := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	one := tenants.Tenant{Limits: tenants.Limits{Quota: 100}, QuotaRules: tenants.QuotaRules{GraceUntil: end}}
	if u := one.Measured(tenants.QuotaOver, 101, end.Add(-time.Second)); u.State != tenants.QuotaGrace || !u.GraceUntil.Equal(end) {
		t.Errorf("before the end: %+v", u)
	}
	if u := one.Measured(tenants.QuotaGrace, 101, end); u.State != tenants.QuotaOver || !u.GraceUntil.IsZero() {
		t.Errorf("at the end: %+v", u)
	}
	if u := one.Measured(tenants.QuotaOver, 50, end.Add(-time.Second)); u.State != tenants.QuotaWithin {
		t.Errorf("within the quota: %+v", u)
	}
}

func TestQuotaOfAnySize(t *testing.T) {
	for _, quota := range []int64{1, 99, 101, math.MaxInt64} {
		one := tenants.Tenant{Limits: tenants.Limits{Quota: quota}}
		if u := one.Measured(tenants.QuotaWithin, quota, time.Now()); u.State != tenants.QuotaOver {
			t.Errorf("all of %d: %v", quota, u.State)
		} else if room := u.Room(); room < 0 || room > quota {
			t.Errorf("of %d there is room below %d", quota, room)
		}
	}
}
