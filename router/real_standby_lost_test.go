package router_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRealStandbyLost has the server at a standby go away behind a transaction's
// first answer: the client gets a serialization failure, once, and stays.
func TestRealStandbyLost(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members)
	at := "row " + strconv.Itoa(standby.Port()) + "; SELECT 1; ready "
	home := "row " + strconv.Itoa(h.Port()) + "; SELECT 1; ready "
	extended := func(sql string, end pgproto3.FrontendMessage) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{parse("", sql), bind(""), execute, end}
	}
	type turn struct {
		say  []pgproto3.FrontendMessage
		want string
	}
	back := turn{[]pgproto3.FrontendMessage{query("rollback")}, "ROLLBACK; ready I"}
	failed := turn{[]pgproto3.FrontendMessage{query("select 1")}, "error 25P02; ready E"}
	slow := "select pg_sleep(30)"
	do(t, d.connect(t), "create table kept (n int)") // by none of those below, who would have to read it
	for _, test := range []struct {
		name   string
		before []turn                     // behind the first answer
		asks   []pgproto3.FrontendMessage // what runs when the server goes
		hears  string
		after  []turn
	}{
		{name: "between two statements", after: []turn{{[]pgproto3.FrontendMessage{query(where)}, "error 40001; ready E"}, failed, back}},
		{name: "before ROLLBACK", after: []turn{back}},
		{name: "before COMMIT", after: []turn{{[]pgproto3.FrontendMessage{query("commit")}, "ROLLBACK; ready I"}}},
		{name: "before ROLLBACK, extended", after: []turn{{extended("rollback", syncMsg), "parsed; bound; ROLLBACK; ready I"}}},
		{name: "before a pipeline", after: []turn{{extended(where, syncMsg), "error 40001; ready E"}, failed, back}},
		{name: "before two transactions", after: []turn{
			{[]pgproto3.FrontendMessage{query(where), query("rollback"), query("insert into kept values (1)")}, "error 40001; ready E; ROLLBACK; ready I; INSERT 0 1; ready I"},
		}},
		{name: "in a query", asks: []pgproto3.FrontendMessage{query(slow)}, hears: "error 40001; ready E", after: []turn{failed, back}},
		{name: "in a pipeline", asks: extended(slow, syncMsg), hears: "parsed; bound; error 40001; ready E", after: []turn{failed, back}},
		{name: "in a failed transaction", before: []turn{{[]pgproto3.FrontendMessage{query("select 1/0")}, "error 22012; ready E"}}, after: []turn{failed, back}},
		{
			name: "with a prepared statement", before: []turn{{[]pgproto3.FrontendMessage{parse("x", where), syncMsg}, "parsed; ready T"}},
			after: []turn{back, {[]pgproto3.FrontendMessage{bind("x"), execute, syncMsg}, "bound; " + home + "I"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := d.raw(t)
			d.settleAt(t, "acme", standby)
			r.expect(t, "BEGIN; ready T; "+at+"T", query("begin read only"), query(where))
			for _, turn := range test.before {
				r.expect(t, turn.want, turn.say...)
			}
			if err := r.send(test.asks...); err != nil {
				t.Fatal(err)
			}
			if test.asks != nil {
				awaitSleep(t, standby)
			}
			endServers(t, standby)
			if test.asks != nil {
				r.expect(t, test.hears)
			}
			for _, turn := range test.after {
				r.expect(t, turn.want, turn.say...)
			}
			r.expect(t, home+"I", query(where))
		})
	}
	t.Run("without Sync", func(t *testing.T) {
		d.settleAt(t, "acme", standby)
		r := d.raw(t)
		r.expect(t, "BEGIN; ready T; "+at+"T", query("begin read only"), query(where))
		if err := r.send(extended(slow, flush)...); err != nil {
			t.Fatal(err)
		}
		awaitSleep(t, standby)
		endServers(t, standby)
		r.expect(t, "parsed; bound; error 40001; ready E", syncMsg)
		r.expect(t, "ROLLBACK; ready I", query("rollback"))
	})
	t.Run("among rows", func(t *testing.T) {
		d.settleAt(t, "acme", standby)
		r := d.raw(t)
		if err := r.send(query("/* howdah: standby */ select repeat('x', 20000), pg_sleep(n) from unnest(array[0, 0, 30]) n")); err != nil {
			t.Fatal(err)
		}
		awaitSleep(t, standby)
		endServers(t, standby)
		got := r.say(t)
		if n := len(got); n < 3 || strings.Join(got[n-2:], "; ") != "error 40001; ready I" {
			t.Errorf("%d answers, the last of them %q", n, got[max(0, n-2):])
		}
		r.expect(t, home+"I", query(where))
	})
	t.Run("a setting is at stake", func(t *testing.T) {
		d.settleAt(t, "acme", standby)
		r := d.raw(t)
		r.expect(t, "BEGIN; ready T; "+at+"T; SET; ready T", query("begin read only"), query(where), query("set work_mem = '5MB'"))
		endServers(t, standby)
		if e, err := r.ended(); err != nil || e == nil || e.Code != "57P01" {
			t.Errorf("told %v (%v)", e, err)
		}
	})
	t.Run("COMMIT is on its way", func(t *testing.T) {
		d.settleAt(t, "acme", standby)
		r := d.raw(t)
		r.expect(t, "BEGIN; ready T; "+at+"T", query("begin read only"), query(where))
		freeze(t, standby)
		if err := r.send(query("commit")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		standby.Kill()
		r.expect(t, "COMMIT; ready I")
		r.expect(t, home+"I", query(where))
	})
}

// awaitSleep waits until a client's statement sleeps at a server.
func awaitSleep(t *testing.T, s *postgres.Server) {
	t.Helper()
	var n int
	if !poll(func() bool {
		err := s.QueryRow(t.Context(), postgres.Superuser, "select count(*) from pg_stat_activity where usename = 'acme' and wait_event = 'PgSleep'", nil, &n)
		return err == nil && n > 0
	}) {
		t.Fatal("nothing sleeps at the standby")
	}
}

// endServers ends acme's servers at a member, and waits until the router knows.
func endServers(t *testing.T, s *postgres.Server) {
	t.Helper()
	var n int
	for _, sql := range []string{
		"select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'acme'",
		"select count(*) from pg_stat_activity where usename = 'acme'",
	} {
		if !poll(func() bool {
			err := s.QueryRow(t.Context(), postgres.Superuser, sql, nil, &n)
			return err == nil && (n == 0) == strings.HasPrefix(sql, "select count(*)")
		}) {
			t.Fatalf("%s: %d", sql, n)
		}
	}
	time.Sleep(50 * time.Millisecond)
}
