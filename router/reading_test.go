package router

import (
	"reflect"
	"strings"
	"testing"
)

// Texts are taken apart as PostgreSQL does.
func TestRead(t *testing.T) {
	for _, tt := range []struct {
		text string
		want reading
	}{
		{"", reading{command: commandEmpty}},
		{" ; ;", reading{command: commandEmpty}},
		{"select 1", reading{}},
		{"select 'a;set x=1' -- ; set y=2", reading{}},
		{"select $tag$;set x=1 $$ $tag$", reading{}},
		{"select E'\\';set x = 1'", reading{}},
		{"select '\\';set x = 1", reading{effects: maySet | several, settings: []touch{{name: "x", reset: false}}}},
		{"select E'a'\n  '\\';set x = 1'", reading{}},
		{"select 'a' -- it's\n 'b;set x = 1'", reading{}},
		{"select /* /* ; */ ; */ 1", reading{}},
		{"update t set x = 1", reading{}},
		{"BEGIN", reading{command: commandBegin, options: txBegun}},
		{"begin work;", reading{command: commandBegin, options: txBegun}},
		{"start transaction", reading{command: commandBegin, options: txBegun | txStart}},
		{"start", reading{}},
		{"begin isolation level read uncommitted", reading{command: commandBegin, options: txBegun + 1}},
		{"begin isolation level repeatable read read only deferrable", reading{command: commandBegin, options: txBegun + 3 + 5*2 + 15}},
		{"begin read write, not deferrable", reading{effects: unlocks, command: commandBegin, options: txBegun + 5 + 30}},
		{"begin read", reading{}},
		{"begin ,read only", reading{}},
		{"begin read only, read only", reading{}},
		{"set transaction read only", reading{command: commandSetTransaction, options: 10}},
		{"set transaction isolation level serializable, read write, deferrable", reading{effects: unlocks, command: commandSetTransaction, options: 4 + 5 + 15}},
		{"set transaction snapshot 'x'", reading{}},
		{"set transaction", reading{}},
		{"reset transaction isolation level", reading{effects: mayReset}},
		{"set transaction read only; select 1", reading{effects: several, options: 10}},
		{"begin; begin", reading{effects: several, options: txBegun}},
		{"commit and chain", reading{effects: mayCommit, command: commandCommit, options: txChain}},
		{"end transaction and no chain", reading{effects: mayCommit, command: commandCommit}},
		{"abort", reading{effects: rollsBack, command: commandRollback}},
		{"rollback to a", reading{effects: marksPlace, command: commandRollbackTo}},
		{"set local transaction read /* only */ write", reading{effects: unlocks, settings: []touch{{name: "transaction", local: true}}}},
		{"set session transaction isolation level read committed", reading{effects: maySet, settings: []touch{{name: "transaction"}}}},
		{"set \"Transaction_Read_Only\" = on", reading{effects: unlocks | maySet}},
		{"reset transaction_read_only", reading{effects: unlocks | mayReset | maySet}},
		{"set session characteristics as transaction read write", reading{effects: maySet, settings: []touch{{name: "default_transaction_isolation"}, {name: "default_transaction_read_only"}, {name: "default_transaction_deferrable"}}}},
		{"vacuum t", reading{effects: endsItself}},
		{"select pg_catalog.LO_PUT(1, 2, 'x')", reading{effects: writesLarge}},
		{"commit prepared 'x'", reading{effects: mayCommit | marksPlace}},
		{"rollback to savepoint a", reading{effects: marksPlace, command: commandRollbackTo}},
		{"discard all", reading{effects: endsItself | mayFree | mayForget | maySet | mayReset, command: commandDiscardAll}},
		{"deallocate prepare \"S\"\"1\"", reading{effects: mayFree | mayForget, command: commandDeallocate, name: "S\"1", from: 19, to: 25}},
		{"execute S1 (1, 2)", reading{effects: maySet | maySetAny, command: commandExecute, name: "s1", from: 8, to: 10}},
		{"listen " + strings.Repeat("x", 70), reading{effects: mayKeep | mayFree, command: commandListen, name: strings.Repeat("x", 63), from: 7, to: 77}},
		{"unlisten *", reading{effects: mayKeep | mayFree, command: commandUnlistenAll, unlisten: []string{""}}},
		{"unlisten a; unlisten *", reading{effects: mayKeep | mayFree | several, name: "a", from: 9, to: 10, unlisten: []string{"a", ""}}},
		{"set local x = 1", reading{settings: []touch{{"x", false, true}}}},
		{"set session time zone 'UTC'", reading{effects: maySet, settings: []touch{{name: "TimeZone", reset: false}}}},
		{"set my.Own to default", reading{effects: maySet | mayReset, settings: []touch{{name: "my.own", reset: true}}}},
		{"reset DATESTYLE", reading{effects: maySet | mayReset, settings: []touch{{name: "DateStyle", reset: true}}}},
		{"reset all", reading{effects: maySet | mayReset, command: commandResetAll, settings: []touch{{name: "*", reset: true}}}},
		{"set session authorization x", reading{effects: maySet, settings: []touch{{name: "session_authorization"}, {name: "role"}}}},
		{"set seed = 0.5", reading{effects: maySet | leavesSeed, settings: []touch{{name: "seed", reset: false}}}},
		{"select set_config('Search_Path', lower('a,b)'), false)", reading{effects: maySet, settings: []touch{{name: "search_path", reset: false}}}},
		{"select set_config('x', $1, true)", reading{settings: []touch{{"x", false, true}}}},
		{"select set_config($1, $2, true)", reading{settings: []touch{{anySetting, false, true}}}},
		{"select set_config('x', 'y', not true)", reading{effects: maySet, settings: []touch{{name: "x"}}}},
		{"select set_config($1, $2, false)", reading{effects: maySet | maySetAny | leavesSetting}},
		{"with x as (select pg_catalog.\"set_config\"('x', '1', $1)) select 1", reading{effects: maySet, settings: []touch{{name: "x", reset: false}}}},
		{"select PG_Advisory_Lock(1)", reading{effects: mayKeep}},
		{"select pg_advisory_xact_lock(1)", reading{}},
		{"create temp table x()", reading{effects: mayKeep | defines}},
		{"select temp from weather", reading{}},
		{"declare c cursor with hold for select 1", reading{effects: mayKeep | holdsCursor}},
		{"do $$begin perform setseed(1); end$$", reading{
			effects: blocks | maySet | maySetAny | mayKeep | mayFree | movesSequence | mayCommit | leavesSeed | defines,
		}},
		{"select 'unterminated", reading{effects: anything}},
		{"select /* unterminated", reading{effects: anything}},
	} {
		got := read([]byte(tt.text), true)
		got.planned, got.quiet = false, false
		got.effects &^= acts // the test below
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s\n got %+v\nwant %+v", tt.text, got, tt.want)
		}
	}
}

// Texts that may run code of the database's own are told from others.
func TestReadActs(t *testing.T) {
	for text, want := range map[string]bool{
		"select 1": false, "select count(*) from t where a in (1, 2)": false, "select f(1)": true, `select "F" (1)`: true,
		"insert into t values (1)": true, "update t set a = 1": true, "show work_mem": false, "with x as (select 1) select 1": true,
		"select sum(n) from t having max(n) > 1": false, "select now()": false,
	} {
		if got := read([]byte(text), true).effects&acts != 0; got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// Every combination of options is written as it is read.
func TestTransactionOptions(t *testing.T) {
	for i := range isolations * accesses * deferrings {
		o := txBegun | txOptions(i)
		if got := read([]byte(o.text()), true); got.command != commandBegin || got.options != o {
			t.Errorf("%q is read as %+v, want options %d", o.text(), got, o)
		}
	}
}

// Any text can be taken apart, and a text in front of which another statement
// stands has the effects of both.
func FuzzRead(f *testing.F) {
	for _, text := range []string{"select 'a' E'\\'' U&\"x\" $a$ $a$ /* */ --", "set x.y = 1; do $$ $$", "begin isolation level", "select set_config('a', 'b'"} {
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, conforming bool) {
		if strings.Contains(text, "\x00") {
			return // PostgreSQL's texts end there
		}
		one := read([]byte(text), conforming)
		two := read([]byte("select nextval('x');"+text), conforming)
		if want := one.effects | movesSequence | acts; two.effects&^several != want&^several {
			t.Errorf("%q alone has the effects %b, behind another statement %b", text, one.effects, two.effects)
		}
	})
}
