package router_test

import (
	"strconv"
	"testing"

	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// TestRealPromotedUnderAReport promotes a standby while a report runs there, of several
// statements: it goes on to its end, and what is written then is at the promoted one.
func TestRealPromotedUnderAReport(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members)
	report, writer := d.connect(t), d.connect(t)
	do(t, writer, "create table kept (n int)")
	do(t, writer, "insert into kept values (1)")
	port := 0
	if !poll(func() bool { return readOnly(t.Context(), report, where, &port) == nil && port == standby.Port() }) {
		t.Fatal("READ ONLY transactions do not come to the standby")
	}
	do(t, report, "begin isolation level repeatable read read only")
	if n := get[int](t, report, "select count(*) from kept where current_setting('port')::int = "+strconv.Itoa(standby.Port())); n != 1 {
		t.Fatalf("the report has not begun at the standby, or sees %d rows", n)
	}
	running := make(chan error, 1)
	go func() {
		var n int
		running <- report.QueryRow(t.Context(), "select count(*) from kept, pg_sleep(3)").Scan(&n)
	}()
	h.Kill()
	if err := standby.Exec(t.Context(), postgres.Superuser, "select pg_promote()"); err != nil {
		t.Fatal(err)
	}
	after := d.connect(t)
	do(t, after, "insert into kept values (2)")
	if port := get[int](t, after, where); port != standby.Port() {
		t.Errorf("is written at %d, not at the promoted one", port)
	}
	if err := <-running; err != nil {
		t.Errorf("the statement that ran at the promotion: %v", err)
	}
	if n := get[int](t, report, "select count(*) from kept"); n != 1 {
		t.Errorf("the report's snapshot has %d rows now", n)
	}
	do(t, report, "commit")
	do(t, report, "insert into kept values (3)")
	if n := get[int](t, report, "select count(*) from kept"); n != 3 {
		t.Errorf("%d rows of 3 behind the report", n)
	}
	if err := h.Start(t.Context()); err != nil { // who leaves looks what is left there
		t.Fatal(err)
	}
}
