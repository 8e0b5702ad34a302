package router_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// TestRealListener tests who listens for all, and what becomes of a LISTEN that
// cannot be had.
func TestRealListener(t *testing.T) {
	h := startHouse(t)
	h.sql(t, "create role howdah login superuser password 'own'", "grant connect on database postgres to acme")
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"ListensAsItsOwnRole", testListensAsItsOwnRole},
		{"ListensAsTheTenant", testListensAsTheTenant},
		{"RefusedLoginFailsTheStatement", testRefusedLoginFailsTheStatement},
		{"RefusedChannelFailsTheStatement", testRefusedChannelFailsTheStatement},
		{"PipelinedListens", testPipelinedListens},
		{"KeptOverAPromotion", testKeptOverAPromotion},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

func adminURL(url string) func(*setup) {
	return func(s *setup) { s.cluster.AdminURL = url }
}

// listenerRole returns the role of the one that listens.
func listenerRole(t *testing.T, h *house) string {
	t.Helper()
	const those = " from pg_stat_activity where application_name = 'howdah listener'"
	if !poll(func() bool { return ask[int](t, h, "select count(*)"+those) == 1 }) { // one of a router before may still be going
		t.Error("there is not one listener")
	}
	return ask[string](t, h, "select max(usename)"+those)
}

// shared logs acme in to the shared database.
func (d *door) shared(t *testing.T) *raw {
	t.Helper()
	c := d.dialConfig("acme")
	c.Parameters = []wire.Parameter{{Name: "user", Value: "acme"}, {Name: "database", Value: tenants.Shared}}
	r := newRaw(dial(t, c))
	t.Cleanup(func() { r.Conn.Close() })
	return r
}

// testListensAsItsOwnRole: no tenant can end the connection on which all of
// them listen.
func testListensAsItsOwnRole(t *testing.T, h *house) {
	for name, url := range map[string]string{
		"password": h.URL("howdah", "own", "postgres"), "socket": h.AdminURL("postgres"),
	} {
		t.Run(name, func(t *testing.T) {
			d := h.open(t, adminURL(url), func(s *setup) { s.config.Loops = 1 })
			r := d.shared(t)
			r.expect(t, "LISTEN; ready I", query("listen news"))
			want := map[string]string{"password": "howdah", "socket": "postgres"}[name]
			if got := listenerRole(t, h); got != want {
				t.Fatalf("%q listens, want %q", got, want)
			}
			if lines := d.log.lines("cannot listen"); len(lines) > 0 {
				t.Errorf("it is complained of: %s", lines)
			}
			pid := ask[int](t, h, "select pid from pg_stat_activity where application_name = 'howdah listener'")
			r.expect(t, "error 42501; ready I", query(fmt.Sprintf("select pg_terminate_backend(%d)", pid)))
			r.expect(t, "NOTIFY; note news still; ready I", query("notify news, 'still'"))
		})
	}
}

// testListensAsTheTenant: where the own role cannot log in, LISTEN still works,
// and the log says what to do.
func testListensAsTheTenant(t *testing.T, h *house) {
	for name, url := range map[string]string{
		"wrong password": h.URL("howdah", "wrong", "postgres"),
		"no password":    h.URL("howdah", "", "postgres"),
		"no such role":   h.URL("nobody", "x", "postgres"),
		"no URL at all":  "postgres://[",
	} {
		t.Run(name, func(t *testing.T) {
			d := h.open(t, adminURL(url))
			r := d.raw(t)
			r.expect(t, "LISTEN; ready I", query("listen news"))
			r.expect(t, "NOTIFY; note news one; ready I", query("notify news, 'one'"))
			if got := listenerRole(t, h); got != "acme" {
				t.Errorf("%q listens", got)
			}
			if lines := d.log.lines("level=WARN.*admin_url"); len(lines) != 1 || strings.Contains(lines[0], "wrong@") {
				t.Errorf("warned of it with %q", lines)
			}
		})
	}
}

// testRefusedLoginFailsTheStatement: a listener that PostgreSQL does not let in
// fails what needs it, and nothing else.
func testRefusedLoginFailsTheStatement(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	r := d.raw(t)
	h.sql(t, "create table if not exists fates (n int)", "grant all on fates to acme", "truncate fates")
	r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	h.sql(t, "alter role acme connection limit 1") // the pool has it
	t.Cleanup(func() {
		if err := h.Exec(context.Background(), "acme", "alter role acme connection limit -1"); err != nil {
			t.Error(err)
		}
	})
	r.expect(t, "error 53300; ready I", query("listen news"))
	r.expect(t, "row 2; SELECT 1; ready I", query("select 2"))
	r.expect(t, "parsed; bound; error 53300; ready I", parse("", "listen news"), bind(""), execute, syncMsg)
	r.expect(t, "BEGIN; ready T; LISTEN; ready T; error 53300; ready I", query("begin"), query("listen news"), query("commit"))
	// A COMMIT that is to subscribe does not commit.
	r.expect(t, "BEGIN; ready T; INSERT 0 1; ready T", query("begin"), query("insert into fates values (1)"))
	r.expect(t, "LISTEN; ready T", query("listen news"))
	r.expect(t, "error 53300; ready I", query("commit"))
	r.expect(t, "BEGIN; ready T; INSERT 0 1; ready T", query("begin"), query("insert into fates values (2)"))
	r.expect(t, "LISTEN; ready T", query("listen news"))
	r.expect(t, "parsed; error 53300; ready I", parse("", "commit"), bind(""), execute, syncMsg)
	r.expect(t, "BEGIN; ready T; INSERT 0 1; ready T", query("begin"), query("insert into fates values (3)"))
	r.expect(t, "LISTEN; ready T", query("listen news"))
	r.expect(t, "error 53300; ready E", query("select 1; commit"))
	r.expect(t, "error 25P02; ready E; ROLLBACK; ready I", query("select 1"), query("commit"))
	r.expect(t, "row 0; SELECT 1; ready I", query("select count(*) from fates"))
	h.sql(t, "alter role acme connection limit -1")
	r.expect(t, "LISTEN; ready I", query("listen news"))
	r.expect(t, "NOTIFY; note news now; ready I", query("notify news, 'now'"))
	r.expect(t, "BEGIN; ready T; INSERT 0 1; ready T", query("begin"), query("insert into fates values (4)"))
	r.expect(t, "LISTEN; ready T; COMMIT; ready I", query("listen more"), query("commit"))
	r.expect(t, "row 4; SELECT 1; ready I", query("select n from fates"))
}

// testRefusedChannelFailsTheStatement: one channel that the listener's server
// refuses leaves the others and their sessions alone.
func testRefusedChannelFailsTheStatement(t *testing.T, h *house) {
	d := h.open(t, poolSize(2), func(s *setup) { s.config.Loops = 1 })
	r, other := d.raw(t), d.raw(t)
	other.expect(t, "LISTEN; ready I", query("listen news"))
	r.expect(t, "error 22021; ready I", query("listen \"h\xe9\""))
	r.expect(t, "error 08P01; ready I", query("listen \"h\x00\""))
	r.expect(t, "LISTEN; ready I", query("listen news"))
	r.expect(t, "NOTIFY; note news one; ready I", query("notify news, 'one'"))
	other.hears(t, "news one")
}

// testPipelinedListens: a LISTEN behind another is not given up while it is
// being subscribed.
func testPipelinedListens(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	r := d.raw(t)
	r.expect(t, "LISTEN; ready I; LISTEN; ready I; UNLISTEN; ready I; LISTEN; ready I",
		query("listen a"), query("listen b"), query("unlisten a"), query("listen c"))
	r.expect(t, "NOTIFY; ready I; NOTIFY; note b 2; ready I; NOTIFY; note c 3; ready I",
		query("notify a, '1'"), query("notify b, '2'"), query("notify c, '3'"))
}

// testKeptOverAPromotion: sessions that stay when the database moves hear
// again, though the standby refuses LISTEN until it is the primary.
func testKeptOverAPromotion(t *testing.T, h *house) {
	standby := wiretest.StartStandby(t, h.Server)
	d := h.open(t, poolSize(1), func(s *setup) { s.config.ListenKeep = []string{"kept"} })
	r := d.raw(t)
	r.expect(t, "LISTEN; ready I", query("listen kept"))
	d.reload(t, func(s *setup) { s.cluster.Members[0].Address = standby.Address() })
	if !poll(func() bool { return len(d.log.lines("cannot listen.*25006")) > 1 }) {
		t.Fatal("nobody tries to listen at the standby again")
	}
	r.expect(t, "error 25006; ready I", query("listen more"))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := standby.Exec(ctx, "acme", "select pg_promote()"); err != nil {
		t.Fatal(err)
	}
	heard := make(chan error, 1)
	go func() {
		m, err := r.receive()
		if _, ok := m.(*pgproto3.NotificationResponse); !ok && err == nil {
			err = fmt.Errorf("got %T", m)
		}
		heard <- err
	}()
	other := d.raw(t)
	if !poll(func() bool {
		other.expect(t, "NOTIFY; ready I", query("notify kept"))
		select {
		case err := <-heard:
			if err != nil {
				t.Fatal(err)
			}
			return true
		default:
			return false
		}
	}) {
		t.Fatal("the session listens in vain")
	}
	other.expect(t, "LISTEN; ready I", query("listen more"))
}
