package router_test

import "fmt"

// taintSchema are functions that leave state behind which no statement's text
// shows.
var taintSchema = []string{
	`create function hide_temp() returns void language plpgsql as $$ begin create temp table if not exists hidden (i int); insert into hidden values (1); end $$`,
	`create function hide_setting(v text) returns void language plpgsql as $$ begin perform set_config('work_mem', v, false); perform set_config('my.x', v, false); end $$`,
	`create function hide_lock(k int) returns void language plpgsql as $$ begin perform pg_advisory_lock(k); end $$`,
	`create function hide_role() returns void language plpgsql as $$ begin set role reader; end $$`,
	`create function hide_cursor() returns void language plpgsql as $$ begin execute 'declare c1 cursor with hold for select generate_series(1, 3)'; end $$`,
}

// hidden leaves state behind by functions.
func (g *grammar) hidden() string {
	return g.one("select hide_temp()", "select * from hidden", "select hide_setting('3MB')", "select hide_setting('9MB')", "select hide_role()", "reset role",
		fmt.Sprintf("select hide_lock(%d)", 2000+g.n), "select hide_cursor()", "fetch 1 from c1", "discard all",
		fmt.Sprintf("select pg_advisory_unlock(%d)", 2000+g.n), "select "+currentSettings, "select current_user")
}
