package router_test

import (
	"fmt"
	"regexp"
	"strings"
)

// transaction opens and ends transactions in all forms there are.
func (g *grammar) transaction() string {
	var sql string
	switch n := g.IntN(20); {
	case n < 8:
		sql = g.one("begin", "begin", "begin work", "begin transaction", "start transaction") + g.modes()
	case n < 13:
		sql = g.one("commit", "commit", "commit work", "commit transaction", "end", "end transaction", "commit and no chain")
	case n < 16:
		sql = g.one("rollback", "rollback", "abort", "rollback work", "abort transaction", "rollback and no chain")
	case n < 18:
		sql = g.one("commit and chain", "rollback and chain", "end work and chain", "abort and chain")
	case n < 19:
		sql = "set transaction" + g.one(" isolation level read committed", " isolation level repeatable read",
			" read only", " read write", " isolation level repeatable read, read only", " snapshot 'nowhere'")
	default:
		sql = g.one("show transaction_isolation", "show transaction_read_only", "show transaction isolation level",
			"prepare transaction 'x'", "commit prepared 'x'", "select current_setting('transaction_isolation'), current_setting('transaction_read_only')")
	}
	return g.dress(sql)
}

// modes returns the options of a BEGIN. SERIALIZABLE never meets DEFERRABLE:
// that would wait for other clients.
func (g *grammar) modes() string {
	if g.in(5) {
		return ""
	}
	choices := []string{
		"isolation level serializable", "isolation level repeatable read", "isolation level read committed", "isolation level read uncommitted",
		"read only", "read write", "not deferrable", "deferrable",
	}
	first := g.IntN(len(choices))
	modes := []string{choices[first]}
	if g.in(4) {
		if first == 0 {
			choices = choices[4:7]
		} else {
			choices = choices[1:]
		}
		modes = append(modes, choices[g.IntN(len(choices))])
	}
	if g.IntN(20) == 0 {
		modes = append(modes, "isolation level whatever")
	}
	return " " + strings.Join(modes, g.one(", ", " ", "\n,"))
}

// dress writes a statement as people and drivers do.
func (g *grammar) dress(sql string) string {
	if g.in(3) {
		sql = strings.ToUpper(sql)
	}
	if g.in(1) {
		sql = g.one("-- why\n", "/* a /* nested */ one */", " \t\n", "/*x*/ ") + sql
	}
	if g.in(3) {
		sql += g.one(";", " ; ", ";;", " -- end", "; /* end */", "\n")
	}
	return sql
}

func (g *grammar) savepoint() string {
	name := g.one("a", "b", `"A b"`)
	return g.dress(g.one("savepoint ", "savepoint ", "rollback to ", "rollback to savepoint ", "release ", "release savepoint ") + name)
}

// data reads and writes the client's own rows.
func (g *grammar) data() string {
	t, u := g.t(), g.u()
	return g.one(
		"select 1", "select 1, null, 'two'::text as b",
		fmt.Sprintf("select id, v, n from %s order by id", t), fmt.Sprintf("select * from %s order by id limit 3", t),
		fmt.Sprintf("select count(*) from %s", t), "select generate_series(1, 5)",
		fmt.Sprintf("insert into %s (v, n) values ('x', %d)", t, g.IntN(50)),
		fmt.Sprintf("insert into %s (v, n) values ('y', 1), ('ü', 2) returning id, v", t),
		fmt.Sprintf("insert into %s (v, n) select 'z' || i, i from generate_series(1, 20) i", t),
		fmt.Sprintf("insert into %s values (%d, 'u') on conflict do nothing", u, g.IntN(10)),
		fmt.Sprintf("insert into %s values (%d, 'u')", u, g.IntN(10)), // fails at commit
		fmt.Sprintf("update %s set n = n - 1 where id = %d returning n", t, 1+g.IntN(5)),
		fmt.Sprintf("delete from %s where id = %d", t, 1+g.IntN(5)), fmt.Sprintf("delete from %s where k > 5", u),
		fmt.Sprintf("with w as (insert into %s (v, n) values ('w', 3) returning id) select * from w", t),
		fmt.Sprintf("select v from %s order by id for update limit 1", t),
		fmt.Sprintf("lock table %s", t), fmt.Sprintf("explain (costs off) select * from %s", t), "values (1, 'a'), (2, 'b')",
		"select '2020-02-03'::date, '2020-02-03 04:05:06+00'::timestamptz, '1 day 2:03'::interval, 0.1::float8",
		"select '01/02/2020'::date", "select e'a\\nb', 'a\\nb'", "", ";", "  -- nothing\n",
	)
}

// failure is what PostgreSQL refuses.
func (g *grammar) failure() string {
	t, u := g.t(), g.u()
	return g.one(
		"selec 1", "select 1/0", "select * from nowhere", "select nothing(1)", "select 'x'::int", "select (", "select 'open",
		fmt.Sprintf("insert into %s (v, n) values ('bad', -1)", t), fmt.Sprintf("insert into %s (id) values (1), (1)", t),
		fmt.Sprintf("insert into %s values (1, 'a'), (1, 'b')", u), fmt.Sprintf("select nowhere from %s", t),
		"set constraints all immediate", "set constraints nowhere immediate", "select 1; select 2", "vacuum nowhere", "create database",
		"select 10/(5-i) from generate_series(1, 9) i", "drop table nowhere", "drop table if exists nowhere", "select pg_sleep('x')",
		"do $$ begin raise exception 'mine' using errcode = '25P02', detail = 'd', hint = 'h'; end $$", "select $1", "lock table nowhere",
	)
}

// cursor uses cursors, also those that live longer than their transaction.
func (g *grammar) cursor() string {
	c := g.one("c1", "c2")
	switch n := g.IntN(20); {
	case n < 5:
		return fmt.Sprintf("declare %s cursor for select id, v from %s order by id", c, g.t())
	case n < 8:
		return fmt.Sprintf("declare %s %scursor with hold for select i from generate_series(1, 9) i", c, g.one("", "scroll ", "binary ", "insensitive "))
	case n < 15:
		return g.one("fetch ", "fetch 2 from ", "fetch all ", "move 1 in ", "fetch backward 1 from ", "fetch absolute 3 from ") + c
	case n < 17:
		return g.one("close all", "CLOSE ALL;", "close "+c)
	case n < 18:
		return fmt.Sprintf("delete from %s where current of %s", g.t(), c)
	}
	return "select name, is_holdable from pg_cursors where name like 'c_' order by 1"
}

// temp uses tables that only the session sees.
func (g *grammar) temp() string {
	t := g.one("x1", "x2")
	return g.one(
		fmt.Sprintf("create temp table %s (i int unique, v text default 'd')", t), fmt.Sprintf("create temporary table if not exists %s (i int)", t),
		fmt.Sprintf("create temp table %s (i int) on commit %s", t, g.one("drop", "delete rows", "preserve rows")),
		fmt.Sprintf("create temp table %s as select i from generate_series(1, 3) i", t), fmt.Sprintf("select i into temp %s from generate_series(1, 3) i", t),
		fmt.Sprintf("insert into %s values (%d)", t, g.IntN(9)), fmt.Sprintf("insert into %s values (%d)", t, g.IntN(9)),
		fmt.Sprintf("select * from %s order by 1", t), fmt.Sprintf("select * from pg_temp.%s order by 1", t), fmt.Sprintf("drop table %s", t),
		fmt.Sprintf("create temp sequence q_%s", t), "discard temp", "discard all",
		fmt.Sprintf("create temp view v_%s as select 1 as one", t), fmt.Sprintf("select * from v_%s", t),
		"create function pg_temp.f() returns int language sql as 'select 7'", "select pg_temp.f()", "create table pg_temp.x3 (i int)", "select * from x3",
	)
}

func (g *grammar) sequence() string {
	t := g.t()
	return g.one(
		fmt.Sprintf("select nextval('q_%d')", g.n), fmt.Sprintf("select nextval('q_%d'), currval('q_%d'), lastval()", g.n, g.n),
		fmt.Sprintf("select setval('q_%d', %d)", g.n, 1+g.IntN(50)),
		fmt.Sprintf("insert into %s (v) values ('seq')", t), fmt.Sprintf("insert into %s (v) values ('seq') returning id", t), "discard sequences",
	)
}

// block runs code whose effects cannot be read from the tag.
func (g *grammar) block() string {
	return g.one(
		"do $$ begin raise notice 'said'; end $$", "do $$ begin raise warning 'warned' using detail = 'd'; end $$",
		fmt.Sprintf("do $$ begin insert into %s (v, n) values ('do', 1); end $$", g.t()), "do $$ begin perform 1/0; end $$",
		"do $$ begin create temp table x1 (i int); end $$", "do $$ begin perform set_config('work_mem', '5MB', false); end $$",
		fmt.Sprintf("do $$ begin perform pg_advisory_lock(%d); end $$", 1000+g.n), "do $$ begin commit; end $$",
		fmt.Sprintf("do $$ begin insert into %s (v) values ('kept'); commit; perform 1/0; end $$", g.t()),
		"do $$ begin execute 'set work_mem = ''6MB'''; end $$", "select "+currentSettings,
	)
}

// ddl changes a table that prepared statements read.
func (g *grammar) ddl() string {
	d := fmt.Sprint("d_", g.n)
	return g.one(
		fmt.Sprintf("create table %s (i int, v text)", d), fmt.Sprintf("create table if not exists %s (i int)", d), fmt.Sprintf("drop table %s", d),
		fmt.Sprintf("alter table %s add column w int default 5", d), fmt.Sprintf("alter table %s drop column w", d),
		fmt.Sprintf("alter table %s alter i type bigint", d), fmt.Sprintf("create index on %s (i)", d),
		fmt.Sprintf("insert into %s values (%d)", d, g.IntN(9)), fmt.Sprintf("select * from %s order by i", d), fmt.Sprintf("select * from %s order by i", d),
		fmt.Sprintf("truncate %s", d), fmt.Sprintf("comment on table %s is 'c'", d), fmt.Sprintf("analyze %s", d), fmt.Sprintf("vacuum %s", d),
		fmt.Sprintf("create table %s as select i, 'v' as v from generate_series(1, 3) i", d),
	)
}

// lock uses advisory locks, under keys of this program's own: those of a client
// that has left may be held for another moment.
func (g *grammar) lock() string {
	key := int(g.seed%10000)*1000 + 10*g.n + g.IntN(3)
	return g.one(
		fmt.Sprintf("select pg_advisory_lock(%d)", key), fmt.Sprintf("select pg_try_advisory_lock(%d, 1)", key),
		fmt.Sprintf("select pg_advisory_lock_shared(%d)", key), fmt.Sprintf("select pg_advisory_unlock(%d)", key),
		fmt.Sprintf("select pg_advisory_unlock(%d, 1)", key), fmt.Sprintf("select pg_advisory_unlock_shared(%d)", key),
		fmt.Sprintf("select pg_advisory_xact_lock(%d)", key), fmt.Sprintf("select pg_try_advisory_xact_lock_shared(%d)", key),
		"select pg_advisory_unlock_all()", "discard all",
		"select mode, classid, objid, objsubid, granted from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() order by 1, 2, 3, 4",
	)
}

// byName are statements that name a prepared one, which may be one of the
// protocol's.
var byName = regexp.MustCompile(`(?i)\b(execute|deallocate|prepare)\b`)

// resets are statements that put settings back to those of the login.
var resets = regexp.MustCompile(`(?i)\b(reset|discard|default|local)\b`)

// onlyQueried are statements that are sent in a simple Query alone: those that,
// prepared by the protocol and executed by SQL, would run another by the client's
// name for it, and FETCH, whose Describe without its cursor crashes PostgreSQL 15.
var onlyQueried = regexp.MustCompile(`(?i)\b(execute|prepare)\b|^\s*(fetch|move)\b`)

// several statements in one message.
func (g *grammar) several() string {
	var all []string
	for range 2 + g.IntN(3) {
		k := g.kind(func(k kind) bool { return k.sql != nil && k.name != "multi" })
		if sql := k.sql(g); !byName.MatchString(sql) && !resets.MatchString(sql) {
			all = append(all, sql)
		}
	}
	return strings.Join(all, g.one("; ", ";\n", ";;"))
}
