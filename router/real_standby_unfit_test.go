package router_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire/wiretest"
)

// TestRealUnfit has a transaction that is at the standby do what cannot be done there:
// it fails as one that may be repeated, and is then at the primary.
func TestRealUnfit(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members)
	settled := d.connect(t)
	port := 0
	settle := func(t *testing.T) {
		t.Helper()
		if !poll(func() bool { return readOnly(t.Context(), settled, where, &port) == nil && port == standby.Port() }) {
			t.Fatal("READ ONLY transactions do not come to the standby")
		}
	}
	settle(t)
	do(t, settled, "create table kept (n int)")
	locks := "select count(*) from pg_locks where locktype = 'advisory'"
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheDescribe} {
		for _, x := range []struct{ name, statement string }{
			{"a lock of the transaction", "select pg_advisory_xact_lock(7) is null"},
			{"a lock of the session", `select "pg_try_advisory_lock"(8)`},
			{"a statement of SQL's", "prepare p as select 1"},
			{"a cursor with hold", "declare c cursor with hold for select 1"},
		} {
			t.Run(mode.String()+"/"+x.name, func(t *testing.T) {
				c := d.connect(t, func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = mode })
				settle(t)
				do(t, c, "begin read only")
				if port := get[int](t, c, where); port != standby.Port() {
					t.Fatalf("begins at %d", port)
				}
				if _, err := c.Exec(t.Context(), x.statement); state(err) != "40001" {
					t.Errorf("got %v", err)
				}
				if _, err := c.Exec(t.Context(), "select 1"); state(err) != "25P02" {
					t.Errorf("behind it: %v", err)
				}
				do(t, c, "rollback")
				do(t, c, "begin read only")
				if port := get[int](t, c, where); port != h.Port() {
					t.Errorf("is repeated at %d", port)
				}
				do(t, c, x.statement)
				if n := ask[int](t, h, locks); n != 0 != strings.HasPrefix(x.name, "a lock") {
					t.Errorf("%d locks at the primary", n)
				}
				do(t, c, "commit")
				do(t, c, "insert into kept values (1)")
				do(t, c, "discard all")
			})
		}
	}
	t.Run("in one pipeline", func(t *testing.T) {
		c := d.connect(t)
		settle(t)
		var batch pgx.Batch
		batch.Queue("begin read only")
		batch.Queue(where)
		batch.Queue("select pg_advisory_xact_lock(9)")
		batch.Queue(locks)
		batch.Queue("commit")
		if err := c.SendBatch(t.Context(), &batch).Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("a function call", func(t *testing.T) {
		r := d.raw(t)
		settle(t)
		r.expect(t, "BEGIN; ready T; row 1; SELECT 1; ready T", query("begin read only"), query("select 1"))
		lock := ask[int](t, h, "select 'pg_advisory_xact_lock(bigint)'::regprocedure::int")
		r.expect(t, "error 40001; ready E", &pgproto3.FunctionCall{Function: uint32(lock), ArgFormatCodes: []uint16{0}, Arguments: [][]byte{[]byte("11")}})
		r.expect(t, "ROLLBACK; ready I", query("rollback"))
	})
	t.Run("in one pipeline of a transaction", func(t *testing.T) {
		r := d.raw(t)
		settle(t)
		r.expect(t, "BEGIN; ready T; row 1; SELECT 1; ready T", query("begin read only"), query("select 1"))
		r.expect(t, "error 40001; ready E", parse("", "select 2"), bind(""), execute, parse("", "select pg_advisory_lock(1)"), bind(""), execute, syncMsg)
		r.expect(t, "ROLLBACK; ready I", query("rollback"))
	})
	t.Run("with a setting at stake", func(t *testing.T) {
		lock := "select pg_advisory_xact_lock(10) is null"
		at := "BEGIN; ready T; row " + strconv.Itoa(standby.Port()) + "; SELECT 1; ready T; SET; ready T"
		r := d.raw(t)
		settle(t)
		r.expect(t, at, query("begin read only"), query(where), query("set work_mem = '5MB'"))
		if err := r.send(query(lock)); err != nil {
			t.Fatal(err)
		}
		if e, err := r.ended(); err != nil || e == nil || e.Code != "0A000" {
			t.Errorf("told %v (%v)", e, err)
		}
		r = d.raw(t)
		settle(t)
		r.expect(t, at, query("begin read only"), query(where), query("set work_mem = '5MB'"))
		r.expect(t, "error 22012; ready E; error 25P02; ready E; ROLLBACK; ready I", query("select 1/0"), query(lock), query("rollback"))
	})
}
