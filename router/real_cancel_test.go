package router_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router"
	"howdah/wire"
)

// TestRealCancelling tests cancel requests, in front of one PostgreSQL.
func TestRealCancelling(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"CancelNeverHitsAnother", testCancelNeverHitsAnother},
		{"Cancel", testCancel},
		{"CancelWaitingTransaction", testCancelWaitingTransaction},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// cancel sends a CancelRequest to the door and waits for its end.
func (d *door) cancel(key wire.Key) error {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	return wire.SendCancel(ctx, wire.DialConfig{Address: d.address}, key)
}

// testCancelNeverHitsAnother has many clients run short queries over few
// servers while some of them are cancelled at random, and others are not.
func testCancelNeverHitsAnother(t *testing.T, h *house) {
	d := h.open(t, poolSize(3))
	const clients, targets = 24, 8
	end := time.Now().Add(4 * time.Second)
	var keys [targets]wire.Key
	var hits, answered atomic.Int64
	var wg, ready sync.WaitGroup
	ready.Add(targets)
	for i := range clients {
		r, err := d.tryRaw("acme")
		if err != nil {
			t.Fatal(err)
		}
		if i < targets {
			keys[i] = r.key
			ready.Done()
		}
		wg.Go(func() {
			defer r.Close()
			for k := 0; time.Now().Before(end); k++ {
				want := fmt.Sprintf("row |%d-%d", i, k)
				got, err := r.talk(query(fmt.Sprintf("select pg_sleep(0.001), '%d-%d'", i, k)))
				switch {
				case err != nil:
					t.Error(err)
					return
				case got[0] == want:
					answered.Add(1)
				case got[0] == "error 57014" && i < targets:
					hits.Add(1)
				default:
					t.Errorf("client %d wanted %q and got %q", i, want, got)
					return
				}
			}
		})
	}
	ready.Wait()
	for range 4 {
		wg.Go(func() {
			for time.Now().Before(end) {
				if err := d.cancel(keys[rand.IntN(targets)]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if hits.Load() < 10 || answered.Load() < 100 {
		t.Errorf("only %d queries were cancelled and %d answered", hits.Load(), answered.Load())
	}
	d.atRest(t)
	t.Logf("%d cancelled, %d answered", hits.Load(), answered.Load())
}

func testCancel(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	r := d.raw(t)
	start := func(t *testing.T, r *raw, sql string) {
		t.Helper()
		if err := r.send(query(sql)); err != nil {
			t.Fatal(err)
		}
	}
	running := func(t *testing.T) {
		t.Helper()
		if !poll(func() bool {
			return ask[int](t, h, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == 1
		}) {
			t.Fatal("the query does not run")
		}
	}
	finish := func(t *testing.T, r *raw, want string) {
		t.Helper()
		if got, err := r.answers(); err != nil || strings.Join(got, "; ") != want {
			t.Fatalf("got %q, %v; want %s", got, err, want)
		}
	}
	mustCancel := func(t *testing.T, k wire.Key) {
		t.Helper()
		if err := d.cancel(k); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("of a running query", func(t *testing.T) {
		start(t, r, "select pg_sleep(60)")
		running(t)
		mustCancel(t, r.key)
		finish(t, r, "error 57014; ready I")
		r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	})
	t.Run("inside a transaction", func(t *testing.T) {
		r.say(t, query("begin; select 1"))
		start(t, r, "select pg_sleep(60)")
		running(t)
		mustCancel(t, r.key)
		finish(t, r, "error 57014; ready E")
		r.expect(t, "ROLLBACK; ready I", query("rollback"))
	})
	t.Run("of a pipeline", func(t *testing.T) {
		if err := r.send(parse("", "select 1"), bind(""), execute, parse("", "select pg_sleep(60)"), bind(""), execute, parse("", "select 2"), bind(""), execute, syncMsg); err != nil {
			t.Fatal(err)
		}
		running(t)
		mustCancel(t, r.key)
		finish(t, r, "parsed; bound; row 1; SELECT 1; parsed; bound; error 57014; ready I")
	})
	t.Run("of an idle client", func(t *testing.T) {
		mustCancel(t, r.key)
		r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		r.say(t, query("begin; select 1"))
		mustCancel(t, r.key)
		r.expect(t, "row 1; SELECT 1; ready T", query("select 1"))
		r.expect(t, "COMMIT; ready I", query("commit"))
	})
	t.Run("with a wrong key", func(t *testing.T) {
		start(t, r, "select 'whole' from pg_sleep(0.3)")
		running(t)
		for _, k := range wrongKeys(r.key) {
			mustCancel(t, k)
		}
		finish(t, r, "row whole; SELECT 1; ready I")
	})
	t.Run("with the key of a client that has gone", func(t *testing.T) {
		gone := d.raw(t)
		gone.say(t, query("select 1"))
		gone.Close()
		if !poll(func() bool { return d.Stats().Clients == 1 }) {
			t.Fatal("the client is still there")
		}
		heir := d.raw(t) // process ids are not soon used again
		for n := 0; heir.key.PID != gone.key.PID; n++ {
			if n == 500 {
				t.Fatalf("nobody inherits PID %d: the test shows nothing", gone.key.PID)
			}
			heir.Close()
			heir = d.raw(t)
		}
		start(t, heir, "select 'whole' from pg_sleep(0.3)")
		running(t)
		mustCancel(t, gone.key)
		finish(t, heir, "row whole; SELECT 1; ready I")
	})
	t.Run("of a waiting client", func(t *testing.T) {
		waiter := d.raw(t)
		r.say(t, query("begin; select 1"))
		for _, ways := range []func() error{
			func() error { return waiter.send(query("select 1")) },
			func() error { return waiter.send(parse("", "select 1"), bind(""), execute, syncMsg) },
			func() error { return waiter.send(query("select 1 -- " + strings.Repeat("x", 300_000))) },
		} {
			if err := ways(); err != nil {
				t.Fatal(err)
			}
			d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
			mustCancel(t, waiter.key)
			finish(t, waiter, "error 57014; ready I")
		}
		r.expect(t, "COMMIT; ready I", query("commit"))
		waiter.expect(t, "row 2; SELECT 1; ready I", query("select 2"))
	})
}

// testCancelWaitingTransaction cancels the first statement of a transaction
// whose BEGIN no server has seen: the transaction has failed all the same.
func testCancelWaitingTransaction(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	holder, r := d.raw(t), d.raw(t)
	r.expect(t, "SET; ready I", query("set work_mem = '7MB'"))
	extended := func(sql string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{parse("", sql), bind(""), execute, syncMsg}
	}
	for _, c := range []struct {
		name       string
		begin, end []pgproto3.FrontendMessage
		begun      string
		busy       bool // the end needs no server
		want       string
	}{
		{"rollback", []pgproto3.FrontendMessage{query("begin")}, []pgproto3.FrontendMessage{query("rollback")}, "BEGIN; ready T", true, "ROLLBACK; ready I"},
		{"commit", []pgproto3.FrontendMessage{query("begin")}, []pgproto3.FrontendMessage{query("commit")}, "BEGIN; ready T", true, "ROLLBACK; ready I"},
		{"chain", []pgproto3.FrontendMessage{query("begin")}, []pgproto3.FrontendMessage{query("commit and chain"), query("end")}, "BEGIN; ready T", true, "ROLLBACK; ready T; COMMIT; ready I"},
		{"statement", []pgproto3.FrontendMessage{query("begin")}, []pgproto3.FrontendMessage{query("select 1"), query("commit")}, "BEGIN; ready T", false, "error 25P02; ready E; ROLLBACK; ready I"},
		{"several", []pgproto3.FrontendMessage{query("begin")}, []pgproto3.FrontendMessage{query("rollback; show work_mem")}, "BEGIN; ready T", false, "ROLLBACK; row 7MB; SHOW; ready I"},
		{"extended", extended("begin"), extended("rollback"), "parsed; bound; BEGIN; ready T", true, "parsed; bound; ROLLBACK; ready I"},
		{"extended statement", extended("begin"), append(extended("select 1"), extended("commit")...), "parsed; bound; BEGIN; ready T", false, "error 25P02; ready E; parsed; bound; ROLLBACK; ready I"},
		{"options", []pgproto3.FrontendMessage{query("begin isolation level serializable")}, []pgproto3.FrontendMessage{query("rollback and chain"), query("show transaction_isolation"), query("commit")}, "BEGIN; ready T", false, "ROLLBACK; ready T; row read committed; SHOW; ready T; COMMIT; ready I"},
		{"savepoint", extended("begin isolation level serializable"), []pgproto3.FrontendMessage{query("savepoint a"), query("rollback and chain"), query("show transaction_isolation"), query("commit")}, "parsed; bound; BEGIN; ready T", false, "error 25P02; ready E; ROLLBACK; ready T; row read committed; SHOW; ready T; COMMIT; ready I"},
	} {
		for _, way := range [][]pgproto3.FrontendMessage{{query("select 1")}, extended("select 1")} {
			t.Run(c.name, func(t *testing.T) {
				holder.expect(t, "BEGIN; row 1; SELECT 1; ready T", query("begin; select 1"))
				r.expect(t, c.begun, c.begin...)
				if err := r.send(way...); err != nil {
					t.Fatal(err)
				}
				d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
				if err := d.cancel(r.key); err != nil {
					t.Fatal(err)
				}
				if got, err := r.answers(); err != nil || strings.Join(got, "; ") != "error 57014; ready E" {
					t.Fatalf("got %q, %v", got, err)
				}
				if !c.busy {
					holder.expect(t, "COMMIT; ready I", query("commit"))
				}
				r.expect(t, c.want, c.end...)
				if c.busy {
					holder.expect(t, "COMMIT; ready I", query("commit"))
				}
				r.expect(t, "row 2; SELECT 1; ready I", query("select 2"))
			})
		}
	}
}

func wrongKeys(k wire.Key) []wire.Key {
	flipped := append([]byte(nil), k.Secret...)
	flipped[0] ^= 1
	return []wire.Key{
		{PID: k.PID, Secret: flipped},
		{PID: k.PID, Secret: make([]byte, 4)},
		{PID: k.PID, Secret: append(append([]byte(nil), k.Secret...), make([]byte, 28)...)},
		{PID: k.PID + 1, Secret: k.Secret},
		{PID: k.PID + 1000, Secret: k.Secret},
		{PID: 0, Secret: k.Secret},
		{PID: 1<<31 - 1, Secret: k.Secret},
		{PID: 1<<32 - 1, Secret: k.Secret},
	}
}
