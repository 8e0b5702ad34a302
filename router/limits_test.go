package router

import (
	"fmt"
	"testing"
	"time"

	"howdah/tenants"
)

// A bucket lets one second's worth through at once, and then its rate, also
// when nobody has looked at it for long or its rate changes.
func TestBucket(t *testing.T) {
	for _, rate := range []int64{1, 7, 1000, 3_000_000_000} {
		for _, start := range []time.Duration{0, time.Millisecond, time.Hour} {
			t.Run(fmt.Sprint(rate, start), func(t *testing.T) {
				var b bucket
				unit := max(1, rate/1000) // as one read of many bytes
				now, n := start, int64(0)
				for ; b.wait(now, rate) <= 0; n += unit {
					b.take(now, unit, rate)
				}
				if n < rate || n > rate+unit {
					t.Errorf("%d at once, want %d", n, rate)
				}
				for n = 0; n < 3*rate; n += unit {
					wait := b.wait(now, rate)
					if wait > burst+time.Second {
						t.Fatalf("a wait of %v", wait)
					}
					now += max(wait, 0)
					b.take(now, unit, rate)
				}
				if took := now - start; took < 2900*time.Millisecond || took > 3100*time.Millisecond {
					t.Errorf("three seconds' worth took %v", took)
				}
				if left := b.left(now+time.Minute, rate); left < rate/2 || left > rate {
					t.Errorf("after a minute %d are left, want up to %d", left, rate)
				}
			})
		}
	}
}

func TestLoginsAreMeteredPerTenantAndForgotten(t *testing.T) {
	var l logins
	tenant := func(i int) *tenants.Tenant {
		return &tenants.Tenant{Name: fmt.Sprint(i), Limits: tenants.Limits{MaxLoginsPerSecond: 2}}
	}
	for i := range 5000 {
		now := time.Duration(i) * time.Millisecond
		for n := range 3 {
			if err := l.mayLogIn(tenant(i), nil, now); (err != nil) != (n == 2) {
				t.Fatalf("login %d of tenant %d: %v", n, i, err)
			}
		}
	}
	if n := len(l.buckets); n > 2*minSweep {
		t.Errorf("%d buckets are kept, but 1000 tenants have logged in in the last second", n)
	}
	l.enter("acme")
	l.enter("acme")
	l.leave("acme")
	if l.of("acme") != 1 || l.of("globex") != 0 {
		t.Errorf("acme has %d clients, globex %d", l.of("acme"), l.of("globex"))
	}
	l.leave("acme")
	if len(l.clients) != 0 {
		t.Errorf("users without clients are kept: %v", l.clients)
	}
}
