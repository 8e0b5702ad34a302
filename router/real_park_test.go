package router_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"howdah/tenants"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRealExternalWriters writes past the router, and reads it back at once: with
// writers = "external" it is always there, and mostly at the standby.
func TestRealExternalWriters(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members, func(s *setup) { s.cluster.Writers = tenants.ExternalWriters })
	do(t, d.connect(t), "create table kept (who int, n int)")
	ctx, cancel := context.WithTimeout(t.Context(), soakTime(t, 4*time.Second))
	defer cancel()
	var away, reads atomic.Int64
	var all sync.WaitGroup
	for who := range 4 {
		c := d.connect(t)
		all.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				if err := h.Exec(context.WithoutCancel(ctx), "acme", "insert into kept values ("+strconv.Itoa(who)+", "+strconv.Itoa(n)+")"); err != nil {
					t.Error(err)
					return
				}
				var got, port int
				if err := readOnly(ctx, c, "select max(n), current_setting('port')::int from kept where who = "+strconv.Itoa(who), &got, &port); err != nil {
					lastError(t, ctx, err)
					return
				}
				if got != n {
					t.Errorf("session %d: %d was written and %d is read at %d", who, n, got, port)
					return
				}
				if reads.Add(1); port == standby.Port() {
					away.Add(1)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d reads, %d at the standby, none stale", reads.Load(), away.Load())
	if away.Load()*2 < reads.Load() {
		t.Errorf("%d of %d reads ran at the standby", away.Load(), reads.Load())
	}
	if err := standby.Exec(t.Context(), postgres.Superuser, "select pg_wal_replay_pause()"); err != nil {
		t.Fatal(err)
	}
	c := d.connect(t)
	do(t, c, "insert into kept values (99, 1)")
	var n, port int
	for range 5 {
		began := time.Now()
		if err := readOnly(t.Context(), c, "select n, current_setting('port')::int from kept where who = 99", &n, &port); err != nil || n != 1 || port != h.Port() {
			t.Errorf("beside a standby that stands still: %d at %d (%v)", n, port, err)
		}
		if took := time.Since(began); took > patience/4 {
			t.Errorf("it took %v", took)
		}
	}
}

// TestRealMaxPrimaryReads has more reads come than the primary may run while the
// standby stands still: they wait, and go to the standby when it is back.
func TestRealMaxPrimaryReads(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members, poolSize(20), func(s *setup) { s.cluster.MaxPrimaryReads = 2 })
	c := d.connect(t)
	do(t, c, "create table kept (n int)")
	port := 0
	if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == standby.Port() }) {
		t.Fatal("READ ONLY transactions do not come to the standby")
	}
	if err := standby.Exec(t.Context(), postgres.Superuser, "select pg_wal_replay_pause()"); err != nil {
		t.Fatal(err)
	}
	do(t, c, "insert into kept values (1)")
	const readers = 8
	var here, there atomic.Int64
	var all sync.WaitGroup
	for range readers {
		c := d.connect(t)
		all.Go(func() {
			var port int
			if err := readOnly(t.Context(), c, "select current_setting('port')::int from pg_sleep(0.3)", &port); err != nil {
				t.Error(err)
			}
			if port == standby.Port() {
				there.Add(1)
			} else {
				here.Add(1)
			}
		})
	}
	running := "select count(*) from pg_stat_activity where query like 'select current_setting%' and state = 'active'"
	if !poll(func() bool { return ask[int](t, h, running) == 2 }) {
		t.Error("not two reads run at the primary")
	}
	time.Sleep(100 * time.Millisecond)
	if n := ask[int](t, h, running); n > 2 {
		t.Errorf("%d reads run at the primary", n)
	}
	if err := standby.Exec(t.Context(), postgres.Superuser, "select pg_wal_replay_resume()"); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	t.Logf("%d at the primary, %d at the standby", here.Load(), there.Load())
	if here.Load() < 2 || there.Load() < 2 || here.Load()+there.Load() != readers {
		t.Errorf("%d at the primary, %d at the standby", here.Load(), there.Load())
	}
	standby.Kill()
	d.reload(t, func(s *setup) { s.tenants[0].Limits.QueryWaitTimeout = time.Second })
	do(t, c, "insert into kept values (2)")
	var refused atomic.Int64
	for range 4 {
		c := d.connect(t)
		all.Go(func() {
			switch err := readOnly(t.Context(), c, "select count(*) from kept, pg_sleep(3)", &port2{}); state(err) {
			case "57014":
				refused.Add(1)
			case "":
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if refused.Load() != 2 {
		t.Errorf("%d of 4 reads were refused after query_wait_timeout", refused.Load())
	}
}

// port2 takes any value.
type port2 struct{}

// Scan implements sql.Scanner.
func (*port2) Scan(any) error { return nil }
