package router_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// TestRealQuota has tenants be over their quotas.
func TestRealQuota(t *testing.T) { quotas(t, startHouse(t)) }

// TestRealQuotaNewestSoak is TestRealQuota on the newest major version.
func TestRealQuotaNewestSoak(t *testing.T) {
	quotas(t, houseOf(t, wiretest.StartPostgresOf(t, wiretest.NewestPostgres(t))))
}

func quotas(t *testing.T, h *house) {
	h.sql(t, "create role cleaner login password '"+strings.ReplaceAll(secret, "'", "''")+"'")
	h.users = append(h.users, tenants.User{Name: "cleaner", Verifier: wiretest.Verifier(t, h.Server, "cleaner")})
	h.sql(t,
		"create table sales (n int)", "insert into sales values (0)", "create sequence numbers",
		"create function unlock() returns int language plpgsql as $$ begin set transaction read write; return 1; end $$",
		"create function unlock_by_config() returns text language sql as $$ select set_config('transaction_read_only', 'off', false) $$",
		"create function unlock_next() returns text language sql as $$ select set_config('default_transaction_read_only', 'off', false) $$",
		"create function replaces() returns int language plpgsql as $$ declare name text; begin "+
			"foreach name in array array['_howdah_set', '_howdah_commit', '_howdah_begin0', '_howdah_begin10'] loop "+
			"begin execute format('deallocate %I', name); exception when others then end; "+
			"execute format('prepare %I as select 1 where $1 is null or $2 is null', name); end loop; return 1; end $$",
		"create function replaces_one() returns int language plpgsql as $$ begin begin execute 'deallocate _howdah_commit'; exception when others then end; "+
			"execute 'prepare _howdah_commit as select 1'; return 1; end $$",
		"create procedure breaks_out(n int) language plpgsql as $$ begin commit; set transaction read write; insert into sales values (n); commit; end $$",
		"alter table sales owner to acme", "alter sequence numbers owner to acme", "grant all on sales to cleaner",
		"grant connect on database acme to cleaner",
	)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"NothingIsWritten", testNothingIsWritten},
		{"ReadersGoOn", testReadersGoOn},
		{"OpenTransactionsEndAsTheyBegan", testQuotaCrossed},
		{"WhoMayWriteAllTheSame", testQuotaExempt},
		{"SettingsOfTheClient", testQuotaAndSettings},
		{"LargeMessages", testQuotaAndLargeMessages},
		{"UnderLoad", testQuotaUnderLoad},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// use tells the router how acme stands to its quota.
func (d *door) use(state tenants.QuotaState) {
	d.SetUsage(map[string]tenants.Usage{"acme": {Size: 3 << 30, Quota: 2 << 30, State: state}, "globex": {Size: 1, Quota: 2, State: tenants.QuotaWithin}})
}

// attempts are ways to write. N is a number of the attempt's own.
func attempts() [][]string {
	const write = "insert into sales values (NN)"
	return [][]string{
		{write},
		{"begin", write, "commit"},
		{"begin read write", write, "commit"},
		{"START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE", write, "commit"},
		{"begin", "set transaction read write", write, "commit"},
		{"begin", "set local transaction read write", write, "commit"},
		{"begin", "set session transaction isolation level repeatable read, read /* x */ write", write, "commit"},
		{"begin", "set transaction_read_only = off", write, "commit"},
		{"begin", "set local TRANSACTION_read_only to default", write, "commit"},
		{"begin", `set "Transaction_Read_Only" to 0`, write, "commit"},
		{"begin", `set U&"transaction\005fread_only" to 0`, write, "commit"},
		{"begin", "reset transaction_read_only", write, "commit"},
		{"begin", "select set_config('transaction_read_only', 'off', true)", write, "commit"},
		{"begin", "select unlock()", write, "commit"},
		{"begin", "select unlock_by_config()", write, "commit"},
		{"begin", "begin read write", write, "commit"},
		{"begin", "commit and chain", "set transaction read write", write, "commit"},
		{"begin", "rollback and chain", "set transaction read write", write, "commit"},
		{"begin", "savepoint a", "set transaction read write", write, "release a", "commit"},
		{"set default_transaction_read_only = off", write},
		{"set session characteristics as transaction read write", write},
		{"select set_config('default_transaction_read_only', 'off', false)", write},
		{"select unlock_next()", write},
		{"select unlock_next()", "commit", write},
		{"select unlock_next()", "rollback", write, "commit"},
		{"select unlock_next()", "end work", "begin", write, "commit"},
		{"begin", "select unlock_next()", "commit", write, "commit"},
		{"begin", "select unlock_next()", "abort", "begin", write, "commit"},
		{"begin", "set local default_transaction_read_only = off", "commit and chain", write, "commit"},
		{"select unlock_next()", "prepare transaction 'x'", write},
		{"select unlock_next(), replaces()", write, "commit"},
		{"begin", "select unlock_next(), replaces()", "commit", "begin read write", write, "commit"},
		{"select unlock_next(), replaces_one()", write, "commit"},
		{"select replaces_one()", "select unlock_next()", write, "commit"},
		{"set statement_timeout = 1", "select unlock_next()", "begin", "select pg_sleep(1)", "rollback and chain", "set statement_timeout = 0", write, "commit"},
		{"reset default_transaction_read_only", write},
		{"reset all", write},
		{"discard all", write},
		{"select unlock_next()", "vacuum sales", write},
		{"vacuum sales", "select unlock_next()", "vacuum sales", write},
		{"analyze", "select unlock_next()", "analyze", write},
		{"do $$ begin commit; set transaction read write; insert into sales values (NN); end $$"},
		{"do $$ begin perform unlock_next(); commit; insert into sales values (NN); end $$"},
		{"do $$ begin perform unlock_next(); rollback; insert into sales values (NN); commit; end $$"},
		{"call breaks_out(NN)"},
		{"begin", "call breaks_out(NN)", "commit"},
		{"begin", "commit", "call breaks_out(NN)"},
		{"begin", "do $$ begin set transaction read write; insert into sales values (NN); end $$", "commit"},
		{"prepare p as " + write, "execute p"},
		{"begin", "declare c cursor for select 1", "set transaction read write", write, "commit"},
		{"with x as (" + write + " returning n) select n from x"},
		{"explain analyze " + write},
		{"select n into more from sales"},
		{"create table more (n int)"},
		{"copy sales from program 'echo NN'"},
		{"delete from sales where n = 0"},
		{"truncate sales"},
		{"update sales set n = NN where n = 0"},
		{"drop table sales"},
		{"select nextval('numbers')"},
		{"select setval('numbers', 7)"},
		{"merge into sales using (values (NN)) v (n) on false when not matched then insert values (v.n)"},
		{"select lo_create(0)"},
		{"select lo_from_bytea(0, 'x')"},
		{`select "lo_creat"(-1)`},
		{"begin", "select lo_put(lo_create(0), 0, 'x')", "commit"},
		{"set role acme", write},
		{"set client_encoding = 'SJIS'", "select '\x95\x5c'; commit; begin read write; " + write + "; commit"},
		{"set client_encoding = 'SJIS'", "begin; set transaction read write; " + write + "; commit; select '\x95\x5c'"},
		{"set standard_conforming_strings = off", `select 'a\'; select '; commit; begin read write; ` + write + "; commit"},
	}
}

// ways are the ways in which statements can be sent, one write for each slice.
func ways() map[string]func(statements []string) [][]pgproto3.FrontendMessage {
	extended := func(sql string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{parse("", sql), bind(""), execute}
	}
	return map[string]func([]string) [][]pgproto3.FrontendMessage{
		"queries": func(statements []string) (all [][]pgproto3.FrontendMessage) {
			for _, sql := range statements {
				all = append(all, []pgproto3.FrontendMessage{query(sql)})
			}
			return all
		},
		"queries at once": func(statements []string) [][]pgproto3.FrontendMessage {
			var all []pgproto3.FrontendMessage
			for _, sql := range statements {
				all = append(all, query(sql))
			}
			return [][]pgproto3.FrontendMessage{all}
		},
		"one query": func(statements []string) [][]pgproto3.FrontendMessage {
			return [][]pgproto3.FrontendMessage{{query(strings.Join(statements, "; "))}}
		},
		"extended": func(statements []string) (all [][]pgproto3.FrontendMessage) {
			for _, sql := range statements {
				all = append(all, append(extended(sql), syncMsg))
			}
			return all
		},
		"pipelines at once": func(statements []string) [][]pgproto3.FrontendMessage {
			var all []pgproto3.FrontendMessage
			for _, sql := range statements {
				all = append(all, append(extended(sql), syncMsg)...)
			}
			return [][]pgproto3.FrontendMessage{all}
		},
		"one pipeline": func(statements []string) [][]pgproto3.FrontendMessage {
			var all []pgproto3.FrontendMessage
			for _, sql := range statements {
				all = append(all, extended(sql)...)
			}
			return [][]pgproto3.FrontendMessage{append(all, syncMsg)}
		},
		"bound in front": func(statements []string) [][]pgproto3.FrontendMessage {
			var bound, executed []pgproto3.FrontendMessage
			for i, sql := range statements {
				name := fmt.Sprintf("p%d", i)
				bound = append(bound, parse("", sql), &pgproto3.Bind{DestinationPortal: name})
				executed = append(executed, &pgproto3.Execute{Portal: name})
			}
			return [][]pgproto3.FrontendMessage{append(append(bound, executed...), syncMsg)}
		},
		"query behind a pipeline": func(statements []string) [][]pgproto3.FrontendMessage {
			var all []pgproto3.FrontendMessage
			for _, sql := range statements[:len(statements)-1] {
				all = append(all, extended(sql)...)
			}
			return [][]pgproto3.FrontendMessage{append(all, query(statements[len(statements)-1]), syncMsg, query("rollback"), query(done))}
		},
	}
}

// wires are ways to write that are no matter of statements alone.
func wires() map[string][][]pgproto3.FrontendMessage {
	insert := query("insert into sales values (NN)")
	const setConfig = 2078
	text := func(values ...string) (all [][]byte) {
		for _, v := range values {
			all = append(all, []byte(v))
		}
		return all
	}
	return map[string][][]pgproto3.FrontendMessage{
		"EXECUTE of a statement that unlocks": {
			{parse("s", "set transaction read write"), syncMsg}, {query("begin")}, {query("execute s")}, {query("rollback; begin; execute s")}, {insert}, {query("commit")},
		},
		"EXECUTE of a COMMIT": {{parse("s", "commit"), syncMsg}, {query("select unlock_next(); execute s; insert into sales values (NN)")}, {query("commit")}},
		"EXECUTE of a DO": {
			{parse("s", "do $$ begin perform unlock_next(); commit; insert into sales values (NN); end $$"), syncMsg},
			{query("execute s")},
			{parse("", "execute s"), bind(""), execute, syncMsg},
			{bind("s"), execute, syncMsg},
		},
		"a function call that unlocks": {
			{&pgproto3.FunctionCall{Function: setConfig, Arguments: text("default_transaction_read_only", "off", "f")}},
			{insert},
			{query("begin")},
			{&pgproto3.FunctionCall{Function: setConfig, Arguments: text("transaction_read_only", "off", "t")}},
			{insert},
			{query("commit")},
		},
		"a pipeline without Sync": {
			{parse("", "select unlock_next()"), bind(""), execute, parse("", "commit"), bind(""), execute, flush},
			{parse("", "insert into sales values (NN)"), bind(""), execute, flush},
			{syncMsg},
			{insert},
		},
		"a function call in a pipeline": {
			{
				parse("", "select unlock_next()"), bind(""), execute, parse("", "commit"), bind(""), execute,
				&pgproto3.FunctionCall{Function: 957, Arguments: [][]byte{{0, 6, 0, 0}}, ArgFormatCodes: []uint16{1}}, syncMsg, query("rollback"), query(done),
			},
		},
		"large objects by function calls": {
			{&pgproto3.FunctionCall{Function: 957, Arguments: [][]byte{{0, 6, 0, 0}}, ArgFormatCodes: []uint16{1}}},
			{&pgproto3.FunctionCall{Function: 715, Arguments: [][]byte{{0, 0, 77, 0}}, ArgFormatCodes: []uint16{1}}},
		},
		"a portal of before": {
			{query("begin")},
			{parse("c", "commit"), &pgproto3.Bind{PreparedStatement: "c", DestinationPortal: "c"}, syncMsg},
			{query("select unlock_next()")},
			{&pgproto3.Execute{Portal: "c"}, parse("", "insert into sales values (NN)"), bind(""), execute, syncMsg},
		},
	}
}

// testNothingIsWritten tries every way to write, and sees that nothing is.
func testNothingIsWritten(t *testing.T, h *house) {
	n := 0
	for _, mode := range []tenants.PoolMode{tenants.Transaction, tenants.Session} {
		t.Run(mode.String(), func(t *testing.T) {
			d := h.open(t, poolMode(mode), poolSize(3))
			d.use(tenants.QuotaOver)
			for way, send := range ways() {
				tried := map[int]string{}
				for _, statements := range attempts() {
					n++
					tried[n] = fmt.Sprintf("%s: %q", way, statements)
					d.attempt(t, n, send(statements))
				}
				for _, found := range h.written(t) {
					t.Errorf("written by %s", tried[found])
				}
			}
			for way, sent := range wires() {
				n++
				d.attempt(t, n, sent)
				if found := h.written(t); len(found) > 0 {
					t.Errorf("written by %s", way)
				}
			}
		})
	}
	t.Run("within", func(t *testing.T) { // the attempts are such
		d := h.open(t, poolSize(3))
		d.use(tenants.QuotaWithin)
		tries := 0
		for _, statements := range attempts() {
			if strings.Contains(strings.Join(statements, ";"), "insert into sales values") {
				n, tries = n+1, tries+1
				d.attempt(t, n, ways()["queries"](statements))
			}
		}
		if got := len(h.written(t)); got < tries/2 {
			t.Errorf("of %d attempts %d write where they may", tries, got)
		}
		h.sql(t, "delete from sales where n <> 0")
	})
}

// attempt sends what an attempt sends, whatever comes back.
func (d *door) attempt(t *testing.T, n int, writes [][]pgproto3.FrontendMessage) {
	t.Helper()
	r, err := d.tryRaw("acme")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Conn.Close()
	number := func(sql string) string { return strings.ReplaceAll(sql, "NN", fmt.Sprint(n)) }
	for _, messages := range writes {
		for i, m := range messages {
			switch m := m.(type) {
			case *pgproto3.Query:
				messages[i] = query(number(m.String))
			case *pgproto3.Parse:
				messages[i] = parse(m.Name, number(m.Query))
			}
		}
		if m, ok := messages[len(messages)-1].(*pgproto3.Query); ok && m.String == done {
			r.till(t, messages...)
		} else if got, err := r.talk(messages...); err != nil {
			t.Fatalf("%v, after %q", err, got)
		}
	}
}

// done is the last query where nobody knows how many are answered.
const done = "select 'done'"

// till sends messages of which some may be skipped, and reads up to the last one's answer.
func (r *raw) till(t *testing.T, messages ...pgproto3.FrontendMessage) {
	t.Helper()
	if err := r.send(messages...); err != nil {
		t.Fatal(err)
	}
	last := false
	for {
		m, err := r.receive()
		if err != nil {
			t.Fatal(err)
		}
		if line := describe(m); line == "row done" {
			last = true
		} else if last && strings.HasPrefix(line, "ready") {
			return
		}
	}
}

// written returns the numbers of attempts that have written, or -1 for other changes.
func (h *house) written(t *testing.T) (found []int) {
	t.Helper()
	found = ask[[]int](t, h, "select coalesce(array_agg(n), '{}') from sales where n <> 0")
	if ask[int](t, h, "select count(*) from sales where n = 0") != 1 || ask[int](t, h, "select count(*) from pg_largeobject_metadata") != 0 ||
		ask[bool](t, h, "select is_called from numbers") || ask[int](t, h, "select count(*) from pg_class where relname = 'more'") != 0 {
		found = append(found, -1)
	}
	return found
}

// refusedByQuota wants err to be the refusal of a write that says why.
func refusedByQuota(t *testing.T, err error) {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != wire.CodeReadOnly || !strings.Contains(e.Hint, `tenant "acme" has 3072 MB, and its quota is 2048 MB`) {
		t.Errorf("got %v (%+v), want 25006 with a hint", err, e)
	}
}

func testReadersGoOn(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	c, batch := d.connect(t), d.connect(t, func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol })
	do(t, c, "insert into sales values (1)")
	d.use(tenants.QuotaOver)
	for _, conn := range []*pgx.Conn{c, batch} {
		_, err := conn.Exec(t.Context(), "insert into sales values ($1)", 2)
		refusedByQuota(t, err)
		if n := get[int](t, conn, "select count(*) from sales where n < $1", 10); n != 2 {
			t.Errorf("%d rows are read, want 2", n)
		}
		tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadWrite}) // as Odoo does
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := tx.QueryRow(t.Context(), "select count(*) from sales").Scan(&n); err != nil || n != 2 {
			t.Errorf("%d rows, %v", n, err)
		}
		_, err = tx.Exec(t.Context(), "delete from sales")
		refusedByQuota(t, err)
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
		do(t, conn, "vacuum sales")
		do(t, conn, "listen somewhere; unlisten somewhere")
		do(t, conn, "begin")
		do(t, conn, "do $$ begin perform 1; end $$")
		do(t, conn, "commit")
		_, err = conn.Exec(t.Context(), "do $$ begin perform 1; end $$")
		refusedByQuota(t, err)
	}
	b := &pgx.Batch{}
	b.Queue("begin isolation level repeatable read")
	b.Queue("select n from sales order by n limit 1")
	b.Queue("commit")
	if err := c.SendBatch(t.Context(), b).Close(); err != nil {
		t.Errorf("a pipeline that reads: %v", err)
	}
	d.use(tenants.QuotaWithin)
	for _, conn := range []*pgx.Conn{c, batch} {
		do(t, conn, "insert into sales values ($1)", 3)
		do(t, conn, "do $$ begin delete from sales where n > 0; end $$")
	}
}

// testQuotaCrossed has the quota be used up, and not any more, while transactions run.
func testQuotaCrossed(t *testing.T, h *house) {
	for _, mode := range []tenants.PoolMode{tenants.Transaction, tenants.Session} {
		t.Run(mode.String(), func(t *testing.T) {
			d := h.open(t, poolMode(mode), poolSize(2))
			r, other := d.raw(t), d.raw(t)
			r.expect(t, "BEGIN; ready T; INSERT 0 1; ready T", query("begin"), query("insert into sales values (1)"))
			d.use(tenants.QuotaOver)
			other.expect(t, "error 25006; ready I", query("insert into sales values (2)"))
			r.expect(t, "parsed; bound; INSERT 0 1; ready T", parse("", "insert into sales values (3)"), bind(""), execute, syncMsg)
			r.expect(t, "COMMIT; ready I; error 25006; ready I", query("commit"), query("insert into sales values (4)"))
			r.expect(t, "BEGIN; ready T; row 2; SELECT 1; ready T", query("begin"), query("select count(*) from sales where n > 0"))
			d.use(tenants.QuotaWithin)
			other.expect(t, "INSERT 0 1; ready I", query("insert into sales values (5)"))
			r.expect(t, "error 25006; ready E; ROLLBACK; ready I", query("insert into sales values (6)"), query("rollback"))
			r.expect(t, "BEGIN; ready T; DELETE 3; ready T", query("begin"), query("delete from sales where n > 0"))
			d.use(tenants.QuotaOver)
			r.expect(t, "error 25006; ready E; ROLLBACK; ready I", query("commit and chain"), query("rollback"))
			d.use(tenants.QuotaWithin)
			r.expect(t, "DELETE 3; ready I", query("delete from sales where n > 0"))
		})
	}
}

// testQuotaExempt has those write who may though the tenant is over its quota.
func testQuotaExempt(t *testing.T, h *house) {
	d := h.open(t, poolSize(1), func(s *setup) {
		s.tenants[0].QuotaRules.ExemptUsers = []string{"clean*"}
	})
	c := d.connect(t)
	cleaner := d.connect(t, func(c *pgx.ConnConfig) { c.User = "cleaner" })
	do(t, c, "insert into sales values (1)")
	d.use(tenants.QuotaOver)
	_, err := c.Exec(t.Context(), "delete from sales where n > 0")
	refusedByQuota(t, err)
	do(t, cleaner, "delete from sales where n > 0")
	d.reload(t, func(s *setup) { s.tenants[0].QuotaRules.ExemptUsers = nil })
	_, err = cleaner.Exec(t.Context(), "insert into sales values (1)")
	refusedByQuota(t, err)
	d.use(tenants.QuotaGrace)
	do(t, c, "insert into sales values (1)")
	do(t, cleaner, "delete from sales where n > 0")
	d.use(tenants.QuotaOver)
	_, err = c.Exec(t.Context(), "insert into sales values (1)")
	refusedByQuota(t, err)
	globex := d.config(t, "globex")
	conn, err := pgx.ConnectConfig(t.Context(), globex)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	do(t, conn, "create table mine (n int)")
	do(t, conn, "drop table mine")
	usage := map[string]tenants.QuotaState{}
	for row := range d.Tenants(func(string) bool { return true }) {
		usage[row.Name] = row.Usage.State
	}
	if usage["acme"] != tenants.QuotaOver || usage["globex"] != tenants.QuotaWithin {
		t.Errorf("the tenants' states are %v", usage)
	}
}

// testQuotaAndSettings: what a session has set is as it was when there is room again, and
// nobody is told of what Howdah sets.
func testQuotaAndSettings(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	const name = "default_transaction_read_only"
	r, reader, strict := d.raw(t), d.raw(t), d.raw(t, wire.Parameter{Name: name, Value: "on"})
	reader.expect(t, "SET; "+name+"=on; ready I", query("set default_transaction_read_only = on"))
	shown := func(r *raw, want string) {
		t.Helper()
		r.expect(t, "row "+want+"; SELECT 1; ready I", query("select current_setting('default_transaction_read_only')"))
	}
	d.use(tenants.QuotaOver)
	for _, one := range []*raw{r, reader, strict} {
		shown(one, "on")
	}
	r.expect(t, "SET; application_name=shop; ready I", query("set application_name = 'shop'"))
	d.use(tenants.QuotaWithin)
	shown(r, "off")
	shown(reader, "on")
	shown(strict, "on")
	shown(r, "off")
	if r.told[name] != "off" || reader.told[name] != "on" || strict.told[name] != "on" {
		t.Errorf("told %q, %q and %q", r.told[name], reader.told[name], strict.told[name])
	}
}

// testQuotaAndLargeMessages: what is too long to be looked at is refused.
func testQuotaAndLargeMessages(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	r := d.raw(t)
	long := query("select '" + strings.Repeat("x", 2<<20) + "'; commit; begin read write; insert into sales values (1); commit")
	parsed := []pgproto3.FrontendMessage{parse("", "do $$ begin commit; set transaction read write; insert into sales values (1); --"+strings.Repeat("x", 5<<20)+"\n end $$"), bind(""), execute, syncMsg}
	d.use(tenants.QuotaOver)
	r.expect(t, "error 25006; ready I", long)
	r.expect(t, "error 25006; ready I", parsed...)
	if got := h.written(t); len(got) > 0 {
		t.Errorf("%v was written", got)
	}
	r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// testQuotaUnderLoad has the quota be used up and left again all the time, under clients
// that write in several ways: no write fails for another reason, none is done while nobody
// may, and none is lost.
func testQuotaUnderLoad(t *testing.T, h *house) {
	d := h.open(t, poolSize(3))
	lasts := soakTime(t, 2*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), lasts+patience)
	defer cancel()
	var written, refused atomic.Int64
	var rounds [8]atomic.Int64 // of each client
	var done atomic.Bool
	end := time.Now().Add(lasts)
	var clients sync.WaitGroup
	for i := range rounds {
		c := d.connect(t, func(c *pgx.ConnConfig) {
			if i%4 == 0 {
				c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
			}
		})
		clients.Go(func() {
			for n := 0; !done.Load(); n++ {
				rounds[i].Add(1)
				err := write(ctx, c, n)
				switch {
				case err == nil:
					written.Add(1)
				case state(err) == wire.CodeReadOnly:
					refused.Add(1)
				default:
					t.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	count := func() int { return ask[int](t, h, "select count(*) from sales where n > 0") }
	passes := func() { // until what each client does now has ended
		for i := range rounds {
			for now := rounds[i].Load(); rounds[i].Load() == now && !t.Failed(); {
				time.Sleep(time.Millisecond)
			}
		}
	}
	for time.Now().Before(end) && !t.Failed() {
		d.use(tenants.QuotaOver)
		passes()
		before := count()
		passes()
		if after := count(); after != before {
			t.Errorf("%d rows were written while nobody may", after-before)
		}
		d.use(tenants.QuotaWithin)
		passes()
	}
	done.Store(true)
	clients.Wait()
	if got := count(); int64(got) != written.Load() || got == 0 || refused.Load() == 0 {
		t.Errorf("%d rows are there of %d written; %d writes were refused", got, written.Load(), refused.Load())
	}
	h.sql(t, "delete from sales where n <> 0")
}

// write writes one row, in one of several ways.
func write(ctx context.Context, c *pgx.Conn, n int) error {
	const insert = "insert into sales values ($1)"
	switch n % 4 {
	case 0:
		_, err := c.Exec(ctx, insert, 1)
		return err
	case 1:
		_, err := c.Exec(ctx, "set default_transaction_read_only = off")
		if err == nil {
			_, err = c.Exec(ctx, insert, 1)
		}
		return err
	case 2:
		b := &pgx.Batch{}
		b.Queue("select unlock_next()")
		b.Queue(insert, 1)
		return c.SendBatch(ctx, b).Close()
	}
	return pgx.BeginTxFunc(ctx, c, pgx.TxOptions{AccessMode: pgx.ReadWrite}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, insert, 1)
		return err
	})
}
