package router_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/tenants"
)

// TestRealListen tests LISTEN and NOTIFY in transaction pooling, in front of
// one PostgreSQL.
func TestRealListen(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"ListenersHoldNoServer", testListenersHoldNoServer},
		{"OwnNotificationsComeBeforeReady", testOwnNotificationsComeBeforeReady},
		{"ListenIsTransactional", testListenIsTransactional},
		{"NotificationsWaitForTheTransactionsEnd", testNotificationsWait},
		{"UnlistenEndsOnlyWhatComesAfterIt", testUnlistenEndsOnlyWhatComesAfterIt},
		{"LostListener", testLostListener},
		{"SharedDatabaseIsFiltered", testSharedDatabaseIsFiltered},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// hear returns the next notification's channel, payload and process id.
func (r *raw) hear(t *testing.T) (note string, pid uint32) {
	t.Helper()
	m, err := r.receive()
	if err != nil {
		t.Fatal(err)
	}
	n, ok := m.(*pgproto3.NotificationResponse)
	if !ok {
		t.Fatalf("got %s instead of a notification", describe(m))
	}
	return n.Channel + " " + n.Payload, n.PID
}

func (r *raw) hears(t *testing.T, want string) {
	t.Helper()
	if got, _ := r.hear(t); got != want {
		t.Fatalf("heard %q, want %q", got, want)
	}
}

func testListenersHoldNoServer(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	sender := d.raw(t)
	var all []*raw
	for i := range 20 {
		r := d.raw(t)
		r.expect(t, "LISTEN; ready I", query(fmt.Sprintf("listen news; -- %d", i)))
		r.expect(t, "LISTEN; ready I", query(fmt.Sprintf(`LISTEN "Own %d"`, i)))
		all = append(all, r)
	}
	sender.expect(t, "NOTIFY; ready I", query("notify news, 'for all'"))
	for i, r := range all {
		r.hears(t, "news for all")
		sender.expect(t, "NOTIFY; ready I", query(fmt.Sprintf(`notify "Own %d"`, i)))
		r.hears(t, fmt.Sprintf("Own %d ", i))
	}
	all[0].expect(t, "UNLISTEN; ready I", query("unlisten news"))
	all[1].expect(t, "DISCARD ALL; ready I", query("discard all"))
	sender.say(t, query("notify news, 'again'"))
	all[2].hears(t, "news again")
	for _, r := range all[:2] {
		r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	}
	var n int
	if !poll(func() bool { n = h.backends(t); return n == 2 }) { // the house's own logins are on their way out
		t.Errorf("%d backends for a pool of one and a listener", n)
	}
	for _, r := range all {
		r.Close()
	}
	if !poll(func() bool { return h.backends(t) == 1 }) {
		t.Error("the listener stays, and nobody listens")
	}
}

// testOwnNotificationsComeBeforeReady, as PostgreSQL sends them, with the
// process id that the client was told.
func testOwnNotificationsComeBeforeReady(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	r, other := d.raw(t), d.raw(t)
	r.expect(t, "parsed; bound; LISTEN; ready I", parse("", "listen news"), bind(""), execute, syncMsg)
	for i := range 500 {
		r.expect(t, fmt.Sprintf("NOTIFY; note news %d; ready I", i), query(fmt.Sprintf("notify news, '%d'", i)))
	}
	for i := range 100 {
		other.say(t, query(fmt.Sprintf("notify news, '%d'", i)))
		r.hears(t, fmt.Sprintf("news %d", i))
	}
	if err := r.send(query("notify news, 'own'")); err != nil {
		t.Fatal(err)
	}
	r.receive()
	if _, pid := r.hear(t); pid != r.key.PID {
		t.Errorf("its own notification comes from %d, its own pid is %d", pid, r.key.PID)
	}
	r.receive()
	other.say(t, query("notify news, 'other'"))
	if _, pid := r.hear(t); pid == r.key.PID {
		t.Error("another's notification looks like its own")
	}
}

func testListenIsTransactional(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	r, other := d.raw(t), d.raw(t)
	tell := func(channel string) { t.Helper(); other.say(t, query("notify "+channel)) }
	r.expect(t, "BEGIN; ready T; LISTEN; ready T; COMMIT; ready I", query("begin"), query("listen a"), query("commit"))
	r.expect(t, "BEGIN; ready T; LISTEN; ready T; ROLLBACK; ready I", query("begin"), query("listen b"), query("rollback"))
	r.expect(t, "BEGIN; ready T", query("begin"))
	r.expect(t, "row f; SELECT 1; ready T", query("select pg_is_in_recovery()"))
	r.expect(t, "LISTEN; ready T", query("listen c"))
	r.expect(t, "COMMIT; ready I", query("commit"))
	r.expect(t, "BEGIN; ready T; row 1; SELECT 1; ready T", query("begin"), query("select 1"))
	r.expect(t, "LISTEN; ready T", query("listen d"))
	r.expect(t, "error 22012; ready E", query("select 1/0"))
	r.expect(t, "error 25P02; ready E", query("listen e"))
	r.expect(t, "ROLLBACK; ready I", query("commit"))
	r.expect(t, "BEGIN; ready T; row 1; SELECT 1; ready T", query("begin"), query("select 1"))
	r.expect(t, "UNLISTEN; ready T", query("unlisten a"))
	r.expect(t, "ROLLBACK; ready I", query("rollback"))
	for _, channel := range strings.Fields("b d e a c") {
		tell(channel)
	}
	r.hears(t, "a ")
	r.hears(t, "c ")
	r.expect(t, "BEGIN; SAVEPOINT; ready T", query("begin; savepoint s"))
	r.expect(t, "LISTEN; ready T", query("listen f"))
	r.expect(t, "ROLLBACK; ready T", query("rollback to s"))
	r.expect(t, "LISTEN; ready T", query("listen g"))
	r.expect(t, "COMMIT; ready I", query("commit"))
	tell("f")
	tell("g")
	r.hears(t, "g ")
}

func testNotificationsWait(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	r, other := d.raw(t), d.raw(t)
	r.expect(t, "LISTEN; ready I", query("listen news"))
	r.expect(t, "BEGIN; ready T", query("begin"))
	other.say(t, query("notify news, 'one'"))
	r.expect(t, "row 1; SELECT 1; ready T", query("select 1"))
	other.say(t, query("notify news, 'two'"))
	r.expect(t, "NOTIFY; ready T", query("notify news, 'three'"))
	r.expect(t, "COMMIT; note news one; note news two; note news three; ready I", query("commit"))
	// A transaction that needs no server delivers them too.
	r.expect(t, "BEGIN; ready T", query("begin"))
	other.say(t, query("notify news, 'four'"))
	time.Sleep(50 * time.Millisecond) // the listener hears of it; nobody is told
	r.expect(t, "COMMIT; note news four; ready I", query("commit"))
	// A pipeline of transactions has each end in its place.
	r.expect(t, "NOTIFY; note news a; ready I; row 2; SELECT 1; ready I; NOTIFY; note news b; ready I",
		query("notify news, 'a'"), query("select 2"), query("notify news, 'b'"))
}

func testLostListener(t *testing.T, h *house) {
	d := h.open(t, poolSize(2), func(s *setup) { s.config.ListenKeep = []string{"kept"} })
	keeps, closes, other := d.raw(t), d.raw(t), d.raw(t)
	keeps.expect(t, "LISTEN; ready I", query("listen kept"))
	closes.expect(t, "LISTEN; ready I", query("listen kept"))
	closes.expect(t, "LISTEN; ready I", query("listen news"))
	h.sql(t, "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%' and backend_type = 'client backend'")
	closes.wantEnd(t, "08006", "lost")
	if !poll(func() bool {
		return ask[int](t, h, "select count(*) from pg_stat_activity where query ilike 'listen \"kept\"%'") == 1
	}) {
		t.Fatal("nobody listens any more")
	}
	other.say(t, query("notify kept, 'later'"))
	keeps.hears(t, "kept later")
	if rows := d.Clients(); len(rows) != 2 {
		t.Errorf("%d clients are left, want 2", len(rows))
	}
}

func testSharedDatabaseIsFiltered(t *testing.T, h *house) {
	for _, filter := range []bool{true, false} {
		t.Run(fmt.Sprint(filter), func(t *testing.T) { testFilter(t, h, filter) })
	}
}

func testFilter(t *testing.T, h *house, filter bool) {
	d := h.open(t, poolSize(2), func(s *setup) {
		s.config.FilterNotifications = filter
		s.config.Loops = 1
	})
	shared := func(user string) *raw {
		c := d.dialConfig(user)
		for i := range c.Parameters {
			if c.Parameters[i].Name == "database" {
				c.Parameters[i].Value = tenants.Shared
			}
		}
		r := newRaw(dial(t, c))
		t.Cleanup(func() { r.Close() })
		r.expect(t, "LISTEN; ready I", query("listen imbus"))
		r.expect(t, "LISTEN; ready I", query("listen cron_trigger"))
		return r
	}
	acme, globex := shared("acme"), shared("globex")
	acme.expect(t, "row ; SELECT 1; note imbus [[\"acme\", \"a\"]]; ready I", query(`select pg_notify('imbus', '[["acme", "a"]]')`))
	acme.expect(t, "row ; SELECT 1; note cron_trigger who; ready I", query(`select pg_notify('cron_trigger', 'who')`))
	want := "row ; SELECT 1; ready I"
	if !filter {
		want = "row ; SELECT 1; note cron_trigger globex; ready I"
	}
	acme.expect(t, want, query(`select pg_notify('cron_trigger', 'globex')`))
	if !filter {
		globex.hears(t, `imbus [["acme", "a"]]`)
	}
	globex.hears(t, "cron_trigger who")
	globex.hears(t, "cron_trigger globex")
	if p := d.pool("postgres"); p.ClientsActive != 0 {
		t.Errorf("%d listeners hold a server", p.ClientsActive)
	}
}

// testUnlistenEndsOnlyWhatComesAfterIt: what was sent before an UNLISTEN, or a
// DISCARD ALL, is delivered however late the listener tells of it.
func testUnlistenEndsOnlyWhatComesAfterIt(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	r, other := d.raw(t), d.raw(t)
	for n := range 200 {
		end, tag := "unlisten *", "UNLISTEN"
		if n%2 == 1 {
			end, tag = "discard all", "DISCARD ALL"
		}
		r.expect(t, "LISTEN; ready I", query("listen news"))
		other.expect(t, "NOTIFY; ready I", query("notify news, 'before'"))
		got := strings.Join(r.say(t, query(end)), "; ")
		if want := "note news before; " + tag + "; ready I"; got != want {
			t.Fatalf("round %d: got %s, want %s", n, got, want)
		}
		other.expect(t, "NOTIFY; ready I", query("notify news, 'after'"))
		r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	}
}
