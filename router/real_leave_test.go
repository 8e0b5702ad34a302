package router_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router"
)

// TestRealLeaving tests what becomes of the work of clients that go away, in front of one PostgreSQL.
func TestRealLeaving(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"ClientLeaves", testClientLeaves},
		{"ClientLeavesTheLine", testClientLeavesTheLine},
		{"LeavingFreesLocks", testLeavingFreesLocks},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// testClientLeaves has clients go away in the middle of things, in all the ways
// there are. What PostgreSQL would finish must be finished, what it would roll
// back must be gone, and the one server must be there for the next client.
func testClientLeaves(t *testing.T, h *house) {
	h.sql(t, "drop table if exists left_behind", "create table left_behind (what text)", "grant all on left_behind to acme")
	slowInsert := "insert into left_behind select 'x' from pg_sleep(0.2)"
	copyIn := query("copy left_behind from stdin")
	for _, c := range []struct {
		name     string
		messages []pgproto3.FrontendMessage
		answers  int // messages awaited before the client goes
		kept     bool
	}{
		{"without a word", nil, 0, false},
		{"with an autocommit statement running", []pgproto3.FrontendMessage{query(slowInsert)}, 0, true},
		{"with an autocommit statement running, extended", []pgproto3.FrontendMessage{parse("", slowInsert), bind(""), execute, syncMsg}, 0, true},
		{"with two pipelines running", []pgproto3.FrontendMessage{parse("", slowInsert), bind(""), execute, syncMsg, parse("", slowInsert), bind(""), execute, syncMsg}, 0, true},
		{"idle in a transaction", []pgproto3.FrontendMessage{query("begin; insert into left_behind values ('x')")}, 3, false},
		{"busy in a transaction", []pgproto3.FrontendMessage{query("begin; insert into left_behind values ('x')"), query("select pg_sleep(60)")}, 3, false},
		{"in a failed transaction", []pgproto3.FrontendMessage{query("begin"), query("select 1/0")}, 4, false},
		{"with a COMMIT on its way", []pgproto3.FrontendMessage{query("begin"), query(slowInsert), query("commit")}, 2, true},
		{"with a pipeline without Sync", []pgproto3.FrontendMessage{parse("", slowInsert), bind(""), execute}, 0, false},
		{"with a flushed pipeline without Sync", []pgproto3.FrontendMessage{parse("", "insert into left_behind values ('x')"), bind(""), execute, flush}, 3, false},
		{"behind a Sync with more without one", []pgproto3.FrontendMessage{parse("", slowInsert), bind(""), execute, syncMsg, parse("", "select 1"), bind("")}, 0, true},
		{"in the middle of COPY", []pgproto3.FrontendMessage{copyIn, &pgproto3.CopyData{Data: []byte("x\n")}}, 1, false},
		{"in the middle of a COPY not yet begun", []pgproto3.FrontendMessage{copyIn, &pgproto3.CopyData{Data: []byte("x\n")}}, 0, false},
		{"behind a COPY not yet begun", []pgproto3.FrontendMessage{copyIn, &pgproto3.CopyData{Data: []byte("x\n")}, &pgproto3.CopyDone{}}, 0, true},
		{"with BEGIN and more on the way", []pgproto3.FrontendMessage{query("begin"), query(slowInsert), query("select pg_sleep(60)")}, 0, false},
		{"behind COPY", []pgproto3.FrontendMessage{copyIn, &pgproto3.CopyData{Data: []byte("x\n")}, &pgproto3.CopyDone{}}, 1, true},
		{"in the middle of COPY in a transaction", []pgproto3.FrontendMessage{query("begin"), copyIn, &pgproto3.CopyData{Data: []byte("x\n")}}, 3, false},
		{"while rows stream in", []pgproto3.FrontendMessage{query("insert into left_behind values ('x'); select repeat('y', 1000) from generate_series(1, 20000)")}, 3, false},
	} {
		for name, leave := range map[string]func(*raw){
			"Terminate": func(r *raw) { r.send(terminate); r.Close() },
			"close":     func(r *raw) { r.Close() },
			"reset":     (*raw).reset,
		} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				h.sql(t, "truncate left_behind")
				d := h.open(t, poolSize(1))
				r := d.raw(t)
				if err := r.send(c.messages...); err != nil {
					t.Fatal(err)
				}
				for range c.answers {
					if m, err := r.receive(); err != nil {
						t.Fatal(err)
					} else if e, ok := m.(*pgproto3.ErrorResponse); ok && e.Code != "22012" {
						t.Fatal(e.Message)
					}
				}
				if c.answers == 0 && len(c.messages) > 0 {
					d.await(t, "its messages", func(p router.PoolStats) bool { return p.Counters.Assignments >= 2 })
				}
				leave(r)
				d.atRest(t)
				next := d.raw(t)
				next.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
				// What streams when its reader goes may or may not be finished.
				if c.name == "while rows stream in" {
					return
				}
				if rows := ask[int](t, h, "select count(*) from left_behind"); (rows > 0) != c.kept {
					t.Errorf("%d rows are there, kept should be %v", rows, c.kept)
				}
			})
		}
	}
}

// testClientLeavesTheLine has a client queue an autocommit statement and go
// before a server is free. PostgreSQL would run it: so does the router.
func testClientLeavesTheLine(t *testing.T, h *house) {
	h.sql(t, "drop table if exists left_behind", "create table left_behind (what text)", "grant all on left_behind to acme")
	for name, leave := range map[string]func(*raw){
		"Terminate": func(r *raw) { r.send(terminate); r.Close() },
		"close":     func(r *raw) { r.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			h.sql(t, "truncate left_behind")
			d := h.open(t, poolSize(1))
			holder, goes := d.raw(t), d.raw(t)
			holder.expect(t, "BEGIN; row 1; SELECT 1; ready T", query("begin; select 1"))
			if err := goes.send(query("insert into left_behind values ('x')")); err != nil {
				t.Fatal(err)
			}
			d.await(t, "a waiting client", func(p router.PoolStats) bool { return p.ClientsWaiting == 1 })
			leave(goes)
			holder.expect(t, "COMMIT; ready I", query("commit"))
			holder.Close()
			d.atRest(t)
			if rows := ask[int](t, h, "select count(*) from left_behind"); rows != 1 {
				t.Errorf("%d rows are there, want the one that was sent", rows)
			}
		})
	}
}

// testLeavingFreesLocks has a client vanish that holds a row lock for which
// another one waits.
func testLeavingFreesLocks(t *testing.T, h *house) {
	h.sql(t, "create table account (id int primary key, balance int)", "insert into account values (1, 10)", "grant all on account to acme")
	d := h.open(t)
	holder, waiter := d.raw(t), d.raw(t)
	holder.say(t, query("begin; select 1"))
	holder.expect(t, "UPDATE 1; ready T", query("update account set balance = 0 where id = 1"))
	if err := waiter.send(query("update account set balance = balance + 1 where id = 1 returning balance")); err != nil {
		t.Fatal(err)
	}
	if !poll(func() bool {
		return ask[bool](t, h, "select exists (select from pg_locks where not granted)")
	}) {
		t.Fatal("nobody waits for the lock")
	}
	holder.reset()
	waiter.expect(t, "row 11; UPDATE 1; ready I")
}
