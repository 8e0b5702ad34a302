package router_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"howdah/router"
	"howdah/tenants"
)

// TestRealHold has operations hold clients, in front of one PostgreSQL.
func TestRealHold(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"HoldUnderLoad", testHoldUnderLoad},
		{"HoldIsApartFromPause", testHoldIsApartFromPause},
		{"HoldEndsByItself", testHoldEndsByItself},
		{"HoldKeepsListeners", testHoldKeepsListeners},
		{"HoldEndsSequencePins", testHoldEndsSequencePins},
		{"HoldOfNobody", testHoldOfNobody},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// hold must succeed.
func (d *door) hold(t *testing.T, tenant, operation string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Hold(ctx, tenant, operation, time.Minute); err != nil {
		t.Fatal(err)
	}
}

// inside counts the connections to acme's database but the one that asks.
func (h *house) inside(t *testing.T) int {
	t.Helper()
	return ask[int](t, h, "select count(*) from pg_stat_activity where datname = 'acme' and pid <> pg_backend_pid()")
}

func testHoldUnderLoad(t *testing.T, h *house) {
	d := h.open(t)
	c := d.crowd(30)
	for range 5 {
		c.await(t, 300)
		d.hold(t, "acme", "one")
		d.hold(t, "acme", "two")
		if !poll(func() bool { return h.inside(t) == 0 }) { // what was closed is on its way out
			t.Fatal("somebody is in the database")
		}
		d.await(t, "waiting clients", func(p router.PoolStats) bool { return p.ClientsWaiting == 30 })
		d.Release("acme", "one")
		before := c.queries.Load()
		d.await(t, "waiting clients", func(p router.PoolStats) bool { return p.ClientsWaiting == 30 })
		if now := c.queries.Load(); now != before {
			t.Fatalf("%d queries were answered though one operation still holds", now-before)
		}
		d.Release("acme", "two")
	}
	c.await(t, 300)
	if errs := c.leave(); len(errs) > 0 {
		t.Errorf("errors: %v", errs)
	}
}

func testHoldIsApartFromPause(t *testing.T, h *house) {
	d := h.open(t)
	r := d.raw(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Pause(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	d.hold(t, "acme", "one")
	d.Release("acme", "one")
	waits := func(what string) {
		t.Helper()
		if d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 }); d.pool("acme").ServersActive > 0 {
			t.Fatalf("%s let a client go", what)
		}
	}
	if err := r.send(query("select 1")); err != nil {
		t.Fatal(err)
	}
	waits("the operation's release")
	d.hold(t, "acme", "two")
	if err := d.Resume("acme"); err != nil {
		t.Fatal(err)
	}
	waits("the operator's RESUME")
	d.Release("acme", "two")
	if got, err := r.answers(); err != nil || got[0] != "row 1" {
		t.Fatalf("%q, %v", got, err)
	}
}

func testHoldEndsByItself(t *testing.T, h *house) {
	d := h.open(t)
	r := d.raw(t)
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, lasts := range []time.Duration{100 * time.Millisecond, 600 * time.Millisecond} { // it is made to last longer
		if err := d.Hold(ctx, "acme", "one", lasts); err != nil {
			t.Fatal(err)
		}
	}
	r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	if took := time.Since(begun); took < 600*time.Millisecond {
		t.Errorf("held for %v", took)
	}
	r.say(t, query("begin; select 1"))
	if err := d.Hold(ctx, "acme", "two", 50*time.Millisecond); !errors.Is(err, router.ErrNotHeld) {
		t.Errorf("a hold that was over before the transaction returned %v", err)
	}
	r.expect(t, "COMMIT; ready I", query("commit"))
	d.Release("acme", "two") // which is over
}

// testHoldKeepsListeners closes the connection that listens too, and no session ends,
// and nothing is missed.
func testHoldKeepsListeners(t *testing.T, h *house) {
	d := h.open(t)
	listens, comes, sender := d.raw(t), d.raw(t), d.raw(t)
	listens.expect(t, "LISTEN; ready I", query("listen news"))
	sender.expect(t, "NOTIFY; ready I", query("notify news, 'before'"))
	d.hold(t, "acme", "one")
	listens.hears(t, "news before")
	if !poll(func() bool { return h.inside(t) == 0 }) {
		t.Fatal("somebody is in the database")
	}
	for _, q := range []string{"listen news", "listen other"} {
		if err := comes.send(query(q)); err != nil {
			t.Fatal(err)
		}
	}
	if err := sender.send(query("notify news, 'behind'")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
	d.Release("acme", "one")
	listens.hears(t, "news behind") // it listens again before anybody can send
	if _, err := comes.answers(); err != nil {
		t.Fatal(err)
	}
	if _, err := sender.answers(); err != nil {
		t.Fatal(err)
	}
	sender.expect(t, "NOTIFY; ready I", query("notify other, 'last'"))
	for {
		if note, _ := comes.hear(t); note == "other last" {
			break
		}
	}
}

// testHoldEndsSequencePins takes servers from who keeps them for values of sequences, be
// they idle or about to be: everybody would wait for them, and they would be cut off.
func testHoldEndsSequencePins(t *testing.T, h *house) {
	d := h.open(t, limits(func(l *tenants.Limits) { l.SequencePinTimeout, l.ClientIdleTimeout = 2*patience, patience }))
	h.sql(t, "create sequence numbers", "grant usage on sequence numbers to acme")
	t.Cleanup(func() { h.sql(t, "drop sequence numbers") })
	idle, busy := d.raw(t), d.raw(t)
	for _, r := range []*raw{idle, busy} {
		r.say(t, query("select nextval('numbers')"))
		r.say(t, query("select lastval()"))
		r.say(t, query("select nextval('numbers')"))
	}
	busy.say(t, query("begin; select 1"))
	d.await(t, "servers that are kept", func(p router.PoolStats) bool { return p.ServersActive == 2 })
	held := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		held <- d.Hold(ctx, "acme", "one", time.Minute)
	}()
	d.await(t, "one server less", func(p router.PoolStats) bool { return p.ServersActive == 1 })
	busy.expect(t, "COMMIT; ready I", query("commit"))
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	d.Release("acme", "one")
	idle.expect(t, "error 55000; ready I", query("select lastval()"))
	busy.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

func testHoldOfNobody(t *testing.T, h *house) {
	d := h.open(t)
	d.hold(t, "nobody", "one")
	d.Release("nobody", "one")
	d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}
