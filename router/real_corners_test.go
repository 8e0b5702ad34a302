package router_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router"
	"howdah/wire"
)

// TestRealCorners tests where sessions once got stuck, or saw what was not
// theirs.
func TestRealCorners(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"SequencesOfOthers", testSequencesOfOthers},
		{"LastvalByExecute", testLastvalByExecute},
		{"SettingsFailInFrontOfExecute", testSettingsFailInFrontOfExecute},
		{"ListenWhilePinned", testListenWhilePinned},
		{"NotificationsDuringALook", testNotificationsDuringALook},
		{"LeavesWhileTheListenerIsSilent", testLeavesWhileTheListenerIsSilent},
		{"LookThatFails", testLookThatFails},
		{"HugeErrorWithOurNames", testHugeErrorWithOurNames},
		{"BackslashInsideACharacter", testBackslashInsideACharacter},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// testSequencesOfOthers: what somebody else's nextval left is nobody's value.
func testSequencesOfOthers(t *testing.T, h *house) {
	h.sql(t, "create sequence numbers", "create table plain (n int)", "grant all on numbers, plain to acme")
	d := h.open(t, poolSize(1))
	r, other := d.raw(t), d.raw(t)
	other.expect(t, "row 1; SELECT 1; ready I", query("select nextval('numbers')"))
	r.expect(t, "BEGIN; INSERT 0 1; error 55000; ready E", query("begin; insert into plain values (1); select lastval()"))
	r.expect(t, "ROLLBACK; ready I", query("rollback"))
	r.expect(t, "DISCARD ALL; ready I", query("discard all")) // it keeps its server otherwise
	other.expect(t, "row 2; SELECT 1; ready I", query("select nextval('numbers')"))
	r.expect(t, "BEGIN; ready T; SAVEPOINT; ready T", query("begin"), query("savepoint s"))
	r.expect(t, "error 42601; ready E", parse("", "nonsense"), parse("", "select lastval()"), bind(""), execute, syncMsg)
	r.expect(t, "ROLLBACK; ready T", query("rollback to s"))
	r.expect(t, "error 55000; ready E", query("select lastval()"))
	r.expect(t, "ROLLBACK; ready I", query("rollback"))
}

// testHugeErrorWithOurNames has an error name a statement of ours that is too
// long to be held until its end: it comes whole.
func testHugeErrorWithOurNames(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	r := d.raw(t)
	const long = 2_000_000
	if err := r.send(query(fmt.Sprintf("do $$begin raise exception '_howdah_1 %%', repeat('x', %d); end$$", long))); err != nil {
		t.Fatal(err)
	}
	m, err := r.receive()
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := m.(*pgproto3.ErrorResponse); !ok || e.Code != "P0001" || len(e.Message) != len("_howdah_1 ")+long || e.Routine == "" {
		t.Fatalf("not the error, whole: %.100v", m)
	}
	r.expect(t, "ready I; row 1; SELECT 1; ready I", query("select 1"))
}

// testBackslashInsideACharacter has the login's settings be put back whose
// characters hold the byte of a backslash.
func testBackslashInsideACharacter(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	for _, c := range []struct{ encoding, value string }{
		{"SJIS", "\x95\x5c'"},
		{"SJIS", "\xb1\\'\x95\x5c\\"},
		{"SHIFT_JIS_2004", "\x95\x5c' \\ \x95\x5c"},
		{"BIG5", "\xa5\x5c'\\"},
		{"GBK", "\x81\x5c'\\"},
		{"UHC", "\xb0\xa1\\'"},
		{"GB18030", "\x81\x5c'\x81\x30\x81\x30\\'"},
		{"UTF8", "\u8868\\'"},
	} {
		t.Run(fmt.Sprintf("%s %q", c.encoding, c.value), func(t *testing.T) {
			r := d.raw(t, wire.Parameter{Name: "client_encoding", Value: c.encoding}, wire.Parameter{Name: "my.own", Value: c.value})
			want := "row " + c.value + "; SELECT 1; ready I"
			ask := query("select current_setting('my.own')")
			r.expect(t, want, ask)
			r.expect(t, "SET; ready I", query("set my.own = 'other'"))
			r.expect(t, "row other; SELECT 1; ready I", ask)
			r.expect(t, "RESET; ready I", query("reset my.own"))
			r.expect(t, want, ask)
			r.expect(t, "BEGIN; ready T", query("begin"))
			r.expect(t, "SET; ready T", query("set my.own = 'other'"))
			r.expect(t, "RESET; ready T", query("reset my.own"))
			r.expect(t, want[:len(want)-1]+"T", ask)
			r.expect(t, "COMMIT; ready I", query("commit"))
			r.expect(t, want, ask)
		})
	}
}

// testSettingsFailInFrontOfExecute has settings fail in front of a query that
// waits for them.
func testSettingsFailInFrontOfExecute(t *testing.T, h *house) {
	h.sql(t, "create role lent", "grant lent to acme")
	d := h.open(t, poolSize(1))
	r, other := d.raw(t), d.raw(t)
	r.expect(t, "parsed; ready I", parse("q1", "select 1"), syncMsg)
	r.expect(t, "SET; ready I", query("set role lent"))
	other.expect(t, "row acme; SELECT 1; ready I", query("select current_user"))
	h.sql(t, "revoke lent from acme")
	r.expect(t, "error 42501; ready I", query("execute q1"))
	other.expect(t, "row acme; SELECT 1; ready I", query("select current_user"))
	h.sql(t, "grant lent to acme")
	r.expect(t, "row 1; SELECT 1; ready I", query("execute q1"))
}

// testListenWhilePinned: a session that keeps its server hears everything once.
func testListenWhilePinned(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	r, other := d.raw(t), d.raw(t)
	r.expect(t, "LISTEN; ready I", query("listen a"))
	r.expect(t, "row ; SELECT 1; ready I", query("select pg_advisory_lock(1)"))
	r.expect(t, "LISTEN; ready I", query("listen a"))
	r.expect(t, "LISTEN; ready I", query(`listen "b.c"`))
	other.expect(t, "NOTIFY; ready I", query("notify a, 'x'"))
	other.expect(t, "NOTIFY; ready I", query(`notify "b.c", 'y'`))
	r.hears(t, "a x")
	r.hears(t, "b.c y")
	r.expect(t, "UNLISTEN; ready I", query(`unlisten "b.c"`))
	other.expect(t, "NOTIFY; ready I", query(`notify "b.c", 'z'`))
	other.expect(t, "NOTIFY; ready I", query("notify a, 'end'"))
	r.hears(t, "a end")
	r.expect(t, "BEGIN; row 1; SELECT 1; ready T", query("begin; select 1"))
	r.expect(t, "LISTEN; ready T", query("listen d"))
	r.expect(t, "COMMIT; ready T", query("commit and chain"))
	r.expect(t, "ROLLBACK; ready I", query("rollback"))
	other.expect(t, "NOTIFY; ready I", query("notify d"))
	r.hears(t, "d ")
}

// testNotificationsDuringALook: none waits for the client's next message.
func testNotificationsDuringALook(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	r, other := d.raw(t), d.raw(t)
	r.expect(t, "LISTEN; ready I", query("listen a"))
	for i := range 300 {
		if err := r.send(query("select pg_advisory_lock(1), pg_advisory_unlock(1)")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i%20) * 50 * time.Microsecond) // before, during and behind the look
		other.say(t, query(fmt.Sprintf("notify a, '%d'", i)))
		for ready, heard := false, false; !ready || !heard; {
			m, err := r.receive()
			if err != nil {
				t.Fatalf("round %d: ready %v, heard %v: %v", i, ready, heard, err)
			}
			ready = ready || describe(m) == "ready I"
			heard = heard || describe(m) == fmt.Sprintf("note a %d", i)
		}
	}
}

// testLeavesWhileTheListenerIsSilent: the server of a client that leaves while
// its transaction's end waits for the listener goes to others.
func testLeavesWhileTheListenerIsSilent(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	r, other := d.raw(t), d.raw(t)
	r.expect(t, "LISTEN; ready I", query("listen a"))
	pid := ask[int](t, h, "select pid from pg_stat_activity where usename = 'acme' and query like 'listen%'")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := r.send(query("select pg_advisory_lock(1)")); err != nil {
		t.Fatal(err)
	}
	d.await(t, "a held server", func(p router.PoolStats) bool { return p.ServersActive == 1 })
	r.Close()
	defer syscall.Kill(pid, syscall.SIGCONT)
	other.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// testLookThatFails: a look that PostgreSQL refuses is not repeated for ever.
func testLookThatFails(t *testing.T, h *house) {
	h.sql(t, "revoke select on pg_prepared_statements from public")
	defer h.sql(t, "grant select on pg_prepared_statements to public")
	d := h.open(t, poolSize(1))
	r, other := d.raw(t), d.raw(t)
	r.expect(t, "row ; SELECT 1; ready I", query("select pg_advisory_lock(1)"))
	d.await(t, "a pin", func(p router.PoolStats) bool { return p.Pinned["state unknown"] == 1 })
	r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	r.Close()
	other.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}
