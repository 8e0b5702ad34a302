package router_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/router"
	"howdah/wire/wiretest"
)

// away is how many transactions have been sent to standbys.
func (d *door) away() (n uint64) {
	for _, row := range d.Standbys() {
		n += row.Row.Started
	}
	return n
}

// TestRealAuto has statements that say nothing run at the standby if they only read.
func TestRealAuto(t *testing.T) {
	router.NeedParser(t)
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	_, members := h.cluster(t)
	d := h.open(t, members, func(s *setup) { s.tenants[0].Reads.Split = "auto" })
	c := d.connect(t)
	for _, sql := range []string{
		"create table kept (n int)", "create sequence numbers",
		"create function quiet() returns int stable language sql as 'select 1'",
		"create function loud() returns int volatile language sql as 'insert into kept values (1) returning 1'",
		"create view loud_view as select loud()",
	} {
		do(t, c, sql)
	}
	comes := func(c *pgx.Conn, sql string, args ...any) bool {
		before := d.away()
		return poll(func() bool {
			do(t, c, sql, args...)
			time.Sleep(30 * time.Millisecond)
			return d.away() > before
		})
	}
	if !comes(c, "select count(*) from kept where n > 5") {
		t.Fatal("no SELECT comes to the standby")
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		c := d.connect(t, func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = mode })
		if !comes(c, "select n, quiet() from kept where n = $1", 7) {
			t.Errorf("%v: a SELECT of a stable function does not come to the standby", mode)
		}
	}
	for _, sql := range []string{
		"select nextval('numbers')", "select * from kept for update", "select loud()", "select * from loud_view", "select last_value from numbers",
		"with x as (delete from kept returning n) select * from x", "select 1 into other", "select pg_is_in_recovery()", "show port",
		"select count(*) from kept; insert into kept values (2)", "select pg_backend_pid()", "set work_mem = '5MB'",
	} {
		for range 3 {
			before := d.away()
			if _, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil && sql != "select 1 into other" {
				t.Errorf("%s: %v", sql, err)
			}
			time.Sleep(60 * time.Millisecond)
			if d.away() != before {
				t.Errorf("%s comes to the standby", sql)
			}
		}
	}
	if !comes(c, "select quiet()") {
		t.Error("a stable function does not come to the standby")
	}
	do(t, c, "create or replace function quiet() returns int volatile language sql as 'insert into kept values (1) returning 1'")
	before := d.away()
	for range 20 {
		do(t, c, "select quiet()")
		time.Sleep(40 * time.Millisecond)
	}
	if n := d.away() - before; n > 0 {
		t.Errorf("a function that has become volatile came to the standby %d times", n)
	}
	r := d.raw(t)
	for range 20 { // a SELECT and an INSERT are one transaction where one Sync ends both
		time.Sleep(40 * time.Millisecond)
		r.expect(t, "parsed; bound; row 0; SELECT 1; parsed; bound; INSERT 0 1; ready I",
			parse("", "select count(*) from kept where n > 5"), bind(""), execute, parse("", "insert into kept values (3)"), bind(""), execute, syncMsg)
	}
}
