package router_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/tenants"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// where tells at which server it ran, beside what it read.
const where = "select current_setting('port')::int"

// readOnly runs one query in a READ ONLY transaction.
func readOnly(ctx context.Context, c *pgx.Conn, query string, into ...any) error {
	tx, err := c.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	if err := tx.QueryRow(ctx, query).Scan(into...); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// TestRealReadOnly has READ ONLY transactions run at the standby, unless they ask
// for what is another thing there.
func TestRealReadOnly(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members, func(s *setup) { s.tenants[1].Reads.Split = "off" })
	c := d.connect(t)
	do(t, c, "create table kept (n int); create sequence numbers")
	var port int
	if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == standby.Port() }) {
		t.Fatalf("READ ONLY transactions run at %d, the standby is at %d", port, standby.Port())
	}
	for range 3 {
		if port := get[int](t, c, "/* howdah: standby */ "+where); port == standby.Port() {
			break
		} else if port != h.Port() {
			t.Error(port)
		}
		time.Sleep(100 * time.Millisecond)
	}
	reporter := d.connect(t, func(c *pgx.ConnConfig) { c.RuntimeParams["default_transaction_read_only"] = "on" })
	if !poll(func() bool { return get[int](t, reporter, where) == standby.Port() }) {
		t.Error("with default_transaction_read_only nothing runs at the standby")
	}
	if v := get[string](t, c, "show in_hot_standby"); v != "off" {
		t.Errorf("in_hot_standby is %q", v)
	}
	if port := get[int](t, c, where); port != h.Port() {
		t.Errorf("a transaction that does not say READ ONLY runs at %d", port)
	}
	for _, query := range []string{
		where + " where not pg_is_in_recovery()",
		where + " from numbers where last_value > 0",
		where + " where \"pg_try_advisory_xact_lock\"(1)",
		where + " from pg_stat_activity limit 1",
		where + " -- a comment\n where (select count(*) from pg_locks) >= 0",
	} {
		if err := readOnly(t.Context(), c, query, &port); err != nil || port != h.Port() {
			t.Errorf("%s: runs at %d (%v), not at the primary", query, port, err)
		}
	}
	off := d.connect(t, func(c *pgx.ConnConfig) { c.User, c.Database = "globex", "globex" })
	for range 20 {
		if err := readOnly(t.Context(), off, where, &port); err != nil || port != h.Port() {
			t.Fatalf("with read_split off it runs at %d (%v)", port, err)
		}
	}
	d.readsOverQuota(t, c, reporter, standby)
	standby.Kill()
	for range 50 { // the first may have been on its way
		if err := readOnly(t.Context(), c, where, &port); err == nil && port == h.Port() {
			return
		}
		if c.IsClosed() {
			c = d.connect(t)
		}
	}
	t.Error("READ ONLY transactions fail without the standby")
}

// readsOverQuota has a tenant that is over its quota read at the standby as before, and
// be refused at the primary what it writes.
func (d *door) readsOverQuota(t *testing.T, c, reporter *pgx.Conn, standby *postgres.Server) {
	t.Helper()
	d.use(tenants.QuotaOver)
	var port int
	if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == standby.Port() }) {
		t.Errorf("over the quota READ ONLY transactions run at %d", port)
	}
	if !poll(func() bool { return get[int](t, reporter, where) == standby.Port() }) {
		t.Error("over the quota nothing of a session that reads only runs at the standby")
	}
	for _, write := range []string{"insert into kept values (1)", "/* howdah: standby */ insert into kept values (1)", "/* howdah: standby */ select nextval('numbers')"} {
		_, err := c.Exec(t.Context(), write)
		refusedByQuota(t, err)
	}
	d.use(tenants.QuotaWithin)
	do(t, c, "insert into kept values (1)")
	if port := get[int](t, c, where); port == standby.Port() {
		t.Error("what is not said to read only runs at the standby")
	}
}

// TestSoakStale writes a row and reads it back at once from many sessions, in READ
// ONLY transactions, while two standbys' replay is held up at random: what was
// written is always there.
func TestSoakStale(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standbys, members := h.clusterOf(t, 2)
	d := h.open(t, members, limits(func(l *tenants.Limits) { l.PoolSize = 6 }), func(s *setup) { s.tenants[0].Reads.Split = "auto" })
	do(t, d.connect(t), "create table kept (who int, n int)")
	ctx, cancel := context.WithTimeout(t.Context(), soakTime(t, time.Minute))
	defer cancel()
	var reads atomic.Int64
	var all sync.WaitGroup
	for who := range 8 {
		c := d.connect(t)
		all.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				insert := "insert into kept values (" + strconv.Itoa(who) + ", " + strconv.Itoa(n) + ")"
				if n%3 == 0 {
					insert = "begin; " + insert + "; commit"
				}
				if _, err := c.Exec(ctx, insert); err != nil {
					lastError(t, ctx, err)
					return
				}
				pause := time.Duration(rand.IntN(100)) * time.Millisecond
				if rand.IntN(3) == 0 {
					pause = 0
				}
				time.Sleep(pause)
				var got int
				query := "select coalesce(max(n), 0) from kept where who = " + strconv.Itoa(who)
				read := func() error { return c.QueryRow(ctx, query).Scan(&got) } // read_split = "auto" sees what it is
				if who%2 == 0 {
					read = func() error { return readOnly(ctx, c, query, &got) }
				}
				if err := read(); err != nil {
					lastError(t, ctx, err)
					return
				}
				if got != n {
					t.Errorf("session %d wrote %d and reads %d", who, n, got)
					return
				}
				reads.Add(1)
			}
		})
	}
	for _, standby := range standbys {
		all.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
				_ = standby.Exec(ctx, postgres.Superuser, "select pg_wal_replay_pause()")
				time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
				_ = standby.Exec(context.WithoutCancel(ctx), postgres.Superuser, "select pg_wal_replay_resume()")
			}
		})
	}
	all.Wait()
	t.Logf("%d reads, %d of them at standbys, none stale", reads.Load(), d.away())
	if d.away() == 0 {
		t.Error("no read ran at a standby")
	}
}

// lastError fails the test for an error that is not its end.
func lastError(t *testing.T, ctx context.Context, err error) {
	t.Helper()
	var e *pgconn.PgError
	if ctx.Err() == nil || errors.As(err, &e) && e.Code == "25006" {
		t.Error(err)
	}
}

// TestRealRetry has the standby refuse transactions at their first statement: they
// run at the primary, and the client does not know.
func TestRealRetry(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members)
	c := d.connect(t, func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = pgx.QueryExecModeExec })
	do(t, c, "create function written() returns pg_lsn stable language sql as 'select pg_current_wal_lsn()'")
	do(t, c, "create function held() returns int language plpgsql as $$ begin perform pg_sleep(30 * pg_is_in_recovery()::int); return 1; end $$")
	var port int
	settle := func(t *testing.T) {
		t.Helper()
		if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == standby.Port() }) {
			t.Fatal("READ ONLY transactions do not come to the standby")
		}
	}
	retried := func() int { return int(d.pool("acme").Ended["retried at the primary"]) }
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		t.Run(mode.String(), func(t *testing.T) {
			c := d.connect(t, func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = mode })
			do(t, c, "set application_name = 'mine'")
			do(t, c, "set datestyle = german")
			query := where + ", current_setting('application_name'), current_setting('datestyle') from written()"
			var name, style string
			if err := c.QueryRow(t.Context(), query).Scan(&port, &name, &style); err != nil { // where it is prepared by a message of its own, the client is told of that
				t.Fatal(err)
			}
			before := retried()
			for i := range 5 {
				settle(t)
				tx, err := c.BeginTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadOnly})
				if err != nil {
					t.Fatal(err)
				}
				err = tx.QueryRow(t.Context(), query).Scan(&port, &name, &style)
				if err != nil || port != h.Port() || name != "mine" || style != "German, DMY" {
					t.Fatalf("%d: at %d, %q, %q: %v", i, port, name, style, err)
				}
				if err := tx.QueryRow(t.Context(), where).Scan(&port); err != nil || port != h.Port() {
					t.Errorf("the second statement is at %d: %v", port, err)
				}
				if err := tx.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := retried() - before; n == 0 {
				t.Error("no transaction was at the standby first")
			}
		})
	}
	t.Run("a server that is ended", func(t *testing.T) {
		settle(t)
		done := make(chan error, 1)
		go func() {
			var n int
			done <- readOnly(t.Context(), c, "select held()", &n)
		}()
		ended := 0
		if !poll(func() bool {
			_ = standby.QueryRow(t.Context(), "acme", "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like 'select held%' and state = 'active'", nil, &ended)
			return ended > 0
		}) {
			t.Fatal("the statement does not come to the standby")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("a row was told", func(t *testing.T) {
		settle(t)
		tx, err := c.BeginTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadOnly})
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		if err := tx.QueryRow(t.Context(), where).Scan(&port); err != nil || port != standby.Port() {
			t.Fatalf("at %d: %v", port, err)
		}
		var lsn string
		var e *pgconn.PgError
		if err := tx.QueryRow(t.Context(), "select written()::text").Scan(&lsn); !errors.As(err, &e) || e.Code != "55000" {
			t.Errorf("the second statement, which the standby cannot run: %v", err)
		}
	})
}

// TestRealWrites has the standby replay nothing: behind whatever writes, READ ONLY
// transactions run at the primary.
func TestRealWrites(t *testing.T) {
	twoPhase := wiretest.WithSetting("max_prepared_transactions", "5")
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"), twoPhase)
	standby, members := h.cluster(t, twoPhase)
	d := h.open(t, members)
	c := d.connect(t)
	for _, sql := range []string{
		"create table kept (n int)",
		"create function write() returns int language sql as 'insert into kept values (1) returning n'",
		"create procedure fail() language plpgsql as $$ begin insert into kept values (1); commit; raise 'no'; end $$",
	} {
		do(t, c, sql)
	}
	query := func(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }
	var lo uint32
	if err := h.QueryRow(t.Context(), "acme", "select 'lo_creat'::regproc::oid::int", nil, &lo); err != nil {
		t.Fatal(err)
	}
	for _, write := range []struct {
		name     string
		messages []pgproto3.FrontendMessage
	}{
		{"insert", []pgproto3.FrontendMessage{query("insert into kept values (1)")}},
		{"function", []pgproto3.FrontendMessage{query("select write()")}},
		{"CTE", []pgproto3.FrontendMessage{query("with x as (insert into kept values (1) returning n) select n from x")}},
		{"SELECT INTO", []pgproto3.FrontendMessage{query("select 1 as n into made")}},
		{"EXPLAIN ANALYZE", []pgproto3.FrontendMessage{query("explain analyze insert into kept values (1)")}},
		{"procedure that fails behind its COMMIT", []pgproto3.FrontendMessage{query("call fail()")}},
		{"EXECUTE", []pgproto3.FrontendMessage{query("prepare x as select write()"), query("execute x"), query("deallocate x")}},
		{"COMMIT AND CHAIN", []pgproto3.FrontendMessage{query("begin; insert into kept values (1)"), query("commit and chain"), query("rollback")}},
		{"several", []pgproto3.FrontendMessage{query("insert into kept values (1); commit; select 1; rollback")}},
		{"COMMIT PREPARED", []pgproto3.FrontendMessage{query("commit prepared 'x'")}},
		{"row limit", []pgproto3.FrontendMessage{
			&pgproto3.Parse{Query: "insert into kept values (1), (2) returning n"}, &pgproto3.Bind{}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Sync{},
		}},
		{"large object", []pgproto3.FrontendMessage{
			&pgproto3.FunctionCall{Function: lo, ArgFormatCodes: []uint16{0}, Arguments: [][]byte{[]byte("-1")}},
		}},
		{"READ ONLY taken back", []pgproto3.FrontendMessage{
			query("begin read only"), query("set transaction read write"), query("select write()"), query("commit"),
		}},
		{"behind READ ONLY, at once", []pgproto3.FrontendMessage{query("begin read only"), query("select pg_is_in_recovery(); commit; select write()")}},
	} {
		t.Run(write.name, func(t *testing.T) {
			if write.name == "COMMIT PREPARED" {
				do(t, c, "begin; insert into kept values (1); prepare transaction 'x'")
			}
			var port int
			if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == standby.Port() }) {
				t.Fatal("READ ONLY transactions do not come to the standby")
			}
			for _, sql := range []string{"select pg_wal_replay_pause()", "select pg_wal_replay_resume()"} {
				if sql == "select pg_wal_replay_resume()" {
					r := d.raw(t)
					for _, m := range write.messages {
						var err error
						if _, ok := m.(*pgproto3.Parse); ok {
							_, err = r.talk(write.messages...)
						} else if _, ok := m.(*pgproto3.Query); ok {
							_, err = r.talk(m)
						} else if _, ok := m.(*pgproto3.FunctionCall); ok {
							_, err = r.talk(m)
						}
						if err != nil {
							t.Fatal(err)
						}
					}
					if err := readOnly(t.Context(), c, where, &port); err != nil || port != h.Port() {
						t.Errorf("it is not noticed: READ ONLY runs at %d (%v)", port, err)
					}
				}
				if err := standby.Exec(t.Context(), postgres.Superuser, sql); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestRealRetryMessages has the standby refuse what raw messages ask for, and looks
// at all that the client hears.
func TestRealRetryMessages(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members, limits(func(l *tenants.Limits) { l.QueryTimeout = 2 * time.Second }))
	c := d.connect(t)
	do(t, c, "create function written() returns int stable language sql as 'select (pg_current_wal_lsn() is null)::int'")
	do(t, c, "create function chatter() returns int language plpgsql as $$ begin for i in 1..3000 loop raise notice '%', repeat('x', 100); end loop; perform pg_sleep(30); return 1; end $$")
	settle := func(t *testing.T) {
		t.Helper()
		var port int
		if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == standby.Port() }) {
			t.Fatal("READ ONLY transactions do not come to the standby")
		}
	}
	retried := func() int { return int(d.pool("acme").Ended["retried at the primary"]) }
	begin := &pgproto3.Query{String: "begin read only"}
	t.Run("a statement is named in the same pipeline", func(t *testing.T) {
		settle(t)
		before, r := retried(), d.raw(t)
		r.say(t, begin)
		got := r.say(t, &pgproto3.Parse{Name: "S_1", Query: "select written()"}, &pgproto3.Bind{PreparedStatement: "S_1"},
			&pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
		if s := strings.Join(got, " "); strings.Contains(s, "ERROR") || !strings.Contains(s, "SELECT 1") {
			t.Error(s)
		}
		got = r.say(t, &pgproto3.Bind{PreparedStatement: "S_1"}, &pgproto3.Execute{}, &pgproto3.Sync{})
		if s := strings.Join(got, " "); strings.Contains(s, "ERROR") || !strings.Contains(s, "SELECT 1") {
			t.Error(s)
		}
		if retried() == before {
			t.Error("it was not at the standby first")
		}
	})
	t.Run("answered here", func(t *testing.T) {
		settle(t)
		r := d.raw(t)
		r.say(t, &pgproto3.Query{String: "set default_transaction_read_only = on"})
		r.say(t, &pgproto3.Parse{Name: "x", Query: "select 1"}, &pgproto3.Parse{Name: "y", Query: "select 2"}, &pgproto3.Sync{})
		r.say(t, &pgproto3.Parse{Name: "z", Query: "select 1"}, &pgproto3.Query{String: "deallocate y"})
	})
	for _, test := range []struct{ name, text, want string }{
		{"much is said before the first row", "select chatter()", "xxxx"},
		{"its time is over", "select pg_sleep(30)", "query_timeout"},
	} {
		t.Run(test.name, func(t *testing.T) {
			settle(t)
			r := d.raw(t)
			r.say(t, begin)
			if err := r.send(&pgproto3.Query{String: test.text}); err != nil {
				t.Fatal(err)
			}
			if err := r.Conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			for notices := 0; ; notices++ {
				m, err := r.Receive()
				if err != nil {
					t.Fatal("the connection ends without a word: ", err)
				}
				switch m := m.(type) {
				case *pgproto3.NoticeResponse:
					if strings.Contains(m.Message, test.want) {
						return
					}
				case *pgproto3.ErrorResponse:
					if !strings.Contains(m.Message, test.want) {
						t.Error(m.Message)
					}
					return
				}
			}
		})
	}
}

// TestRealBarred has the standby let nobody log in: READ ONLY transactions do not
// wait for it.
func TestRealBarred(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members, limits(func(l *tenants.Limits) { l.ServerLoginRetry = 15 * time.Second }))
	c := d.connect(t)
	var port int
	if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == standby.Port() }) {
		t.Fatal("READ ONLY transactions do not come to the standby")
	}
	do(t, c, "select 1") // the primary has a server for it
	h.sql(t, "alter role acme connection limit 0")
	if err := standby.Exec(t.Context(), postgres.Superuser, "select pg_sleep(0.5)", "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'acme'"); err != nil {
		t.Fatal(err)
	}
	if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == h.Port() }) {
		t.Fatal("READ ONLY transactions do not run at the primary")
	}
	for begin := time.Now(); time.Since(begin) < 4*time.Second; time.Sleep(10 * time.Millisecond) {
		at := time.Now()
		if err := readOnly(t.Context(), c, where, &port); err != nil || port != h.Port() {
			t.Fatalf("at %d: %v", port, err)
		}
		if took := time.Since(at); took > 500*time.Millisecond {
			t.Fatalf("a transaction waits %v for the standby", took)
		}
	}
}

// TestRealPipelineAtStandby sends the next transaction before the one at the standby
// has ended: it runs where it must.
func TestRealPipelineAtStandby(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members)
	c := d.connect(t)
	do(t, c, "create table kept (n int)")
	var port int
	if !poll(func() bool { return readOnly(t.Context(), c, where, &port) == nil && port == standby.Port() }) {
		t.Fatal("READ ONLY transactions do not come to the standby")
	}
	r := d.raw(t)
	for range 5 {
		time.Sleep(200 * time.Millisecond)
		r.expect(t, "BEGIN; ready T; row "+strconv.Itoa(standby.Port())+"; SELECT 1; ready T; COMMIT; ready I; INSERT 0 1; ready I; row 1; SELECT 1; ready I; BEGIN; ready T; row "+strconv.Itoa(h.Port())+"; SELECT 1; ready T; COMMIT; ready I; DELETE 1; ready I",
			query("begin read only"), query(where), query("commit"), query("insert into kept values (1)"), query("select 1"),
			query("begin read only"), query(where), query("commit"), query("delete from kept"))
		time.Sleep(200 * time.Millisecond)
		r.expect(t, "row "+strconv.Itoa(standby.Port())+"; SELECT 1; ready I; INSERT 0 1; ready I; DELETE 1; ready I",
			query("/* howdah: standby */ "+where), query("insert into kept values (1)"), query("delete from kept"))
	}
}
