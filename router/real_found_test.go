package router_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire"
	"howdah/wire/postgres"
)

// TestRealFound plays what the differential tester once found, in its shortest
// form.
func TestRealFound(t *testing.T) {
	h := startHouse(t)
	d := h.open(t, poolSize(2))
	closing := func(object byte, name string) pgproto3.FrontendMessage {
		return &pgproto3.Close{ObjectType: object, Name: name}
	}

	t.Run("SettingsBehindDiscardAllInAPipeline", func(t *testing.T) {
		r := d.raw(t, wire.Parameter{Name: "application_name", Value: "mine"})
		r.expect(t, "parsed; bound; DISCARD ALL; closed; ready I",
			parse("", "discard all"), bind(""), execute, closing('S', ""), syncMsg)
		if told := r.told["application_name"]; told != "mine" {
			t.Errorf("the client is told %q, want %q", told, "mine")
		}
		r.expect(t, "row mine; SHOW; ready I", query("show application_name"))
	})

	t.Run("CursorBehindAnErrorInFrontOfIt", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "BEGIN; ready T; row 1; SELECT 1; ready T", query("begin"), query("select 1"))
		r.expect(t, "error 3B001; ready E; ROLLBACK; ready I; DECLARE CURSOR; ready I",
			query("release savepoint a; commit"), query("end"), query("declare c1 cursor with hold for select 7"))
		r.expect(t, "row 7; FETCH 1; ready I", query("fetch c1"))
		r.expect(t, "CLOSE CURSOR; ready I", query("close c1"))
	})

	t.Run("CursorThatWasCommittedBeforeAnError", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "BEGIN; ready T; DECLARE CURSOR; ready T", query("begin"), query("declare c1 cursor with hold for select 7"))
		r.expect(t, "COMMIT; error 25P01; ready I", query("commit; savepoint b"))
		r.expect(t, "row 7; FETCH 1; ready I", query("fetch c1"))
		r.expect(t, "CLOSE CURSOR; ready I", query("close c1"))
	})

	t.Run("PrepareUnderTheNameOfAReset", func(t *testing.T) {
		r := d.raw(t, wire.Parameter{Name: "application_name", Value: "mine"})
		r.expect(t, "parsed; ready I", parse("s2", "reset all"), syncMsg)
		r.expect(t, "BEGIN; ready T", query("begin read only"))
		r.expect(t, "error 42P05; ready E", query("prepare s2 (text) as select $1"))
		r.expect(t, "ROLLBACK; ready I", query("rollback"))
	})

	t.Run("ResetUnderANameThatPrepareCouldNotGive", func(t *testing.T) {
		r := d.raw(t, wire.Parameter{Name: "application_name", Value: "mine"})
		r.expect(t, "BEGIN; ready T; error 25001; ready E; error 25P02; ready E; ROLLBACK; ready I",
			query("begin"), query("discard all"), query("prepare s1 as select 1"), query("commit"))
		r.expect(t, "parsed; bound; RESET; ready I", parse("s1", "reset all"), bind("s1"), execute, syncMsg)
		if told := r.told["application_name"]; told != "mine" {
			t.Errorf("the client is told %q, want %q", told, "mine")
		}
	})

	t.Run("ResetUnderANameThatPrepareWasRefused", func(t *testing.T) {
		r := d.raw(t, wire.Parameter{Name: "application_name", Value: "mine"})
		r.expect(t, "parsed; ready I", parse("s2", "select 2"), syncMsg)
		r.expect(t, "PREPARE; ready I; error 42P05; ready I", query("prepare q1 as select 1"), query("prepare s2 as select 1"))
		r.expect(t, "closed; parsed; bound; RESET; ready I", closing('S', "s2"), parse("s2", "reset all"), bind("s2"), execute, syncMsg)
		if told := r.told["application_name"]; told != "mine" {
			t.Errorf("the client is told %q, want %q", told, "mine")
		}
	})

	t.Run("MessagesBehindAnExecuteThatCannotBePreparedAgain", func(t *testing.T) {
		h.sql(t, "create table found (n int)", "grant all on found to acme")
		r, other := d.raw(t), d.raw(t)
		r.expect(t, "parsed; ready I", parse("s1", "update found set n = 1"), syncMsg)
		r.expect(t, "SET; ready I", query("set search_path = 'elsewhere'"))
		other.expect(t, "BEGIN; ready T; row 1; SELECT 1; ready T", query("begin"), query("select 1")) // on the server that knows s1
		r.expect(t, "error 42P01; ready I; error 26000; ready I; row 2; SELECT 1; ready I",
			query("explain (costs off) execute s1"), bind("s3"), syncMsg, query("select 2"))
	})

	t.Run("ResetUnderANameThatSQLHasFreed", func(t *testing.T) {
		r := d.raw(t, wire.Parameter{Name: "application_name", Value: "mine"})
		r.expect(t, "PREPARE; ready I; PREPARE; ready I; PREPARE; ready I",
			query("prepare q1 as select 1"), query("prepare s2 as select 1"), query("prepare s3 as select 1"))
		r.expect(t, "DEALLOCATE; ready I", query("deallocate s2"))
		r.expect(t, "parsed; bound; RESET; ready I", parse("s2", "reset all"), bind("s2"), execute, syncMsg)
		if told := r.told["application_name"]; told != "mine" {
			t.Errorf("behind DEALLOCATE the client is told %q, want %q", told, "mine")
		}
		r.expect(t, "DISCARD ALL; ready I", query("discard all"))
		r.expect(t, "BEGIN; ready T; row 1; SELECT 1; ready T", query("begin"), query("select 1"))
		r.expect(t, "parsed; bound; RESET; ready T", parse("s3", "reset all"), bind("s3"), execute, syncMsg)
		if told := r.told["application_name"]; told != "mine" {
			t.Errorf("behind DISCARD ALL the client is told %q, want %q", told, "mine")
		}
	})

	t.Run("PortalThatWasClosed", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; bound; DEALLOCATE ALL; closed; error 34000; ready I",
			parse("", "deallocate all"), bind(""), execute, closing('P', ""), execute, syncMsg)
	})

	t.Run("PositionInTheStatementThatExecuteRuns", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; ready I", parse("s1", "create table nowhere.t (i int)"), syncMsg)
		if err := r.send(query("execute s1 (1 + 7)")); err != nil {
			t.Fatal(err)
		}
		m, err := r.receive()
		if e, ok := m.(*pgproto3.ErrorResponse); err != nil || !ok || e.Position != 14 {
			t.Fatalf("got %+v, %v, want an error at 14", m, err)
		}
	})

	t.Run("DiscardAllOfWhatItsPipelineHasSet", func(t *testing.T) {
		r, other := d.raw(t, wire.Parameter{Name: "application_name", Value: "mine"}), d.raw(t)
		r.expect(t, "SET; standard_conforming_strings=off; ready I", query("set standard_conforming_strings = off"))
		other.expect(t, "BEGIN; ready T; row 1; SELECT 1; ready T", query("begin"), query("select 1")) // on that server
		r.expect(t, "parsed; bound; DISCARD ALL; standard_conforming_strings=on; error 26000; ready I",
			parse("s1", "discard all"), &pgproto3.Bind{DestinationPortal: "p1", PreparedStatement: "s1"},
			&pgproto3.Execute{Portal: "p1"}, bind("s3"), syncMsg)
		r.expect(t, "row on; SHOW; ready I", query("show standard_conforming_strings"))
	})

	t.Run("LiteralBehindASettingThatDoesNotConcernIt", func(t *testing.T) {
		r, other := d.raw(t), d.raw(t)
		r.expect(t, "parsed; ready I", parse("s1", `select 'a\tb'`), syncMsg)
		r.expect(t, "SET; standard_conforming_strings=off; ready I", query("set standard_conforming_strings = off"))
		other.expect(t, "BEGIN; ready T; row 1; SELECT 1; ready T", query("begin"), query("select 1")) // on the server that knows s1
		r.expect(t, `SET; ready I; bound; row a\tb; SELECT 1; ready I`, query("set work_mem = 5000"), bind("s1"), execute, syncMsg)
	})

	t.Run("DeallocateThatIsBoundAndNotExecuted", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; parsed; ready I", parse("s1", "deallocate s2"), parse("s2", "select 2"), syncMsg)
		r.expect(t, "bound; error 42P05; ready I", bind("s1"), parse("s2", "select 3"), syncMsg)
		r.expect(t, "BEGIN; ready T; bound; ready T; bound; row 2; SELECT 1; ready T", query("begin"),
			&pgproto3.Bind{DestinationPortal: "p1", PreparedStatement: "s1"}, syncMsg, bind("s2"), execute, syncMsg)
		r.expect(t, "DEALLOCATE; ready T; error 26000; ready E", &pgproto3.Execute{Portal: "p1"}, syncMsg, bind("s2"), syncMsg)
	})

	t.Run("PreparedInATransactionThatFailedBesideACursor", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "BEGIN; ready T; DECLARE CURSOR; ready T", query("begin"), query("declare c1 cursor with hold for select 7"))
		r.expect(t, "PREPARE; ready T; error 42P05; ready E", query("prepare q1 as select 1"), query("prepare q1 as select 1"))
		r.expect(t, "ROLLBACK; ready I", query("commit"))
		r.expect(t, "row 1; SELECT 1; ready I", query("execute q1"))
	})

	t.Run("ParseBehindASearchPathThatIsNotReadYet", func(t *testing.T) {
		r := d.raw(t)
		text := "select count(*) from found"
		r.expect(t, "parsed; ready I", parse("s1", text), syncMsg)
		r.expect(t, "SET; ready I; error 42P01; ready I", query("set search_path = 'elsewhere'"), parse("s2", text), syncMsg)
		r.expect(t, "RESET; ready I; parsed; ready I", query("reset search_path"), parse("s2", text), syncMsg)
		for n, local := range []string{"set local search_path = 'elsewhere'", "select set_config('search_path', 'elsewhere', true)"} {
			r.expect(t, "BEGIN; ready T", query("begin"))
			r.say(t, query(local))
			r.expect(t, "error 42P01; ready E; ROLLBACK; ready I", parse(fmt.Sprint("l", n), text), syncMsg, query("rollback"))
		}
	})

	t.Run("DescribeOfWhatTheSearchPathHides", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; ready I", parse("s1", "explain (costs off) select * from found"), syncMsg)
		r.expect(t, "SET; ready I; row 1; SELECT 1; ready I", query("set schema 'elsewhere'"), query("select 1"))
		if err := r.send(&pgproto3.Describe{ObjectType: 'S', Name: "s1"}, syncMsg); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := r.receive()
			if _, ok := m.(*pgproto3.ParameterDescription); ok {
				continue
			}
			if e, ok := m.(*pgproto3.ErrorResponse); err != nil || !ok || e.Code != "42P01" {
				t.Fatalf("got %+v, %v, want 42P01", m, err)
			}
			break
		}
	})

	t.Run("DescribeOfAPortalThatHasRunWithoutAServer", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; bound; CLOSE CURSOR ALL; parsed; NoData; ready I",
			parse("", "close all"), bind(""), execute, parse("s1", "select 1"), &pgproto3.Describe{ObjectType: 'P'}, syncMsg)
	})

	t.Run("SearchPathBehindAnotherCycleOfItsPipeline", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; ready I", parse("s1", "select count(*) from found"), syncMsg)
		r.say(t, query("select 1"), query("begin; set local search_path = elsewhere"))
		r.expect(t, "error 42P01; ready E", parse("s2", "select count(*) from found"), syncMsg)
	})

	t.Run("CommitPreparedBesideACursor", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "BEGIN; ready T; DECLARE CURSOR; ready T", query("begin"), query("declare c1 cursor with hold for select 7"))
		r.expect(t, "error 25001; ready E", query("commit prepared 'x'"))
		r.say(t, query("commit; begin; set my.x = 1"),
			query("select set_config('default_transaction_isolation', 'read uncommitted', false); declare c2 cursor for select 1"), query("commit"))
		r.expect(t, "row read uncommitted; SHOW; ready I", query("show default_transaction_isolation"))
	})

	t.Run("CloseBehindADeallocateThatIsSkipped", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; ready I; PREPARE; ready I", parse("s1", "select 1"), syncMsg, query("prepare q1 as select 1"))
		r.expect(t, "error 26000; ready I; closed; parsed; bound; row 2; SELECT 1; ready I",
			bind("s9"), parse("", "deallocate s1"), bind(""), execute, syncMsg,
			closing('S', "s1"), parse("s1", "select 2"), bind("s1"), execute, syncMsg)
	})

	t.Run("DescribeOfAFetchWithoutItsCursor", func(t *testing.T) { // PostgreSQL 15 would crash
		r := d.raw(t)
		r.expect(t, "BEGIN; ready T; DECLARE CURSOR; ready T", query("begin"), query("declare c1 cursor for select 7"))
		r.expect(t, "parsed; ready T; CLOSE CURSOR; ready T", parse("s1", "fetch c1"), syncMsg, query("close c1"))
		r.expect(t, "SET; ready T", query("set local search_path = elsewhere"))
		describe := &pgproto3.Describe{ObjectType: 'S', Name: "s1"}
		if got := r.say(t, describe, syncMsg); got[len(got)-1] != "ready T" {
			t.Errorf("got %v", got)
		}
		r.expect(t, "DECLARE CURSOR; ready T", query("declare c1 cursor for select 7"))
		if got := r.say(t, query("close c1"), describe, syncMsg); got[len(got)-1] != "ready T" { // the first is on its way
			t.Errorf("got %v", got)
		}
	})

	t.Run("PortalOfADeallocateWhoseBindIsSkipped", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; ready I; parsed; ready I", parse("s3", "deallocate s1"), syncMsg, parse("s1", "select 1"), syncMsg)
		bindAs := &pgproto3.Bind{DestinationPortal: "p2", PreparedStatement: "s3"}
		runIt := &pgproto3.Execute{Portal: "p2"}
		r.expect(t, "BEGIN; ready T; error 26000; ready E; error 34000; ready E; ROLLBACK; ready I",
			query("begin"), bind("s9"), bindAs, syncMsg, runIt, syncMsg, query("rollback"))
		r.expect(t, "BEGIN; ready T; bound; DEALLOCATE; ready T; error 26000; ready E",
			query("begin"), bindAs, runIt, syncMsg, bind("s1"), syncMsg)
	})

	t.Run("DescribeOfAPortalThatACommitEnded", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; bound; BEGIN; parsed; bound; COMMIT; error 34000; ready I",
			parse("", "begin"), bind(""), execute, parse("s3", "end"),
			&pgproto3.Bind{DestinationPortal: "p1", PreparedStatement: "s3"}, &pgproto3.Execute{Portal: "p1"},
			&pgproto3.Describe{ObjectType: 'P'}, syncMsg)
		r.expect(t, "parsed; bound; BEGIN; parsed; NoData; ready T",
			parse("", "begin"), bind(""), execute, parse("s4", "select 1"), &pgproto3.Describe{ObjectType: 'P'}, syncMsg)
	})

	t.Run("ResetInAPortalBehindAnotherBind", func(t *testing.T) {
		r := d.raw(t, wire.Parameter{Name: "application_name", Value: "mine"})
		r.expect(t, "SET; application_name=other; ready I", query("set application_name = 'other'"))
		r.expect(t, "parsed; ready I; bound; parsed; bound; RESET; application_name=mine; ready I", parse("", "reset all"), syncMsg,
			&pgproto3.Bind{DestinationPortal: "p1"}, parse("", "select 1"), bind(""), &pgproto3.Execute{Portal: "p1"}, syncMsg)
		if told := r.told["application_name"]; told != "mine" {
			t.Errorf("the client is told %q, want %q", told, "mine")
		}
		r.expect(t, "row mine; SHOW; ready I", query("show application_name"))
	})

	t.Run("ResetByExecuteInAPortal", func(t *testing.T) {
		r := d.raw(t, wire.Parameter{Name: "application_name", Value: "mine"})
		r.expect(t, "parsed; ready I; SET; application_name=other; ready I", parse("s1", "reset all"), syncMsg, query("set application_name = 'other'"))
		r.expect(t, "parsed; bound; RESET; application_name=mine; ready I", parse("", "execute s1"), bind(""), execute, syncMsg)
		if told := r.told["application_name"]; told != "mine" {
			t.Errorf("the client is told %q, want %q", told, "mine")
		}
	})

	t.Run("DeallocateBoundWithoutAServer", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; parsed; ready I", parse("s1", "select 1"), parse("s2", "select 2"), syncMsg)
		r.expect(t, "parsed; bound; bound; DEALLOCATE; ready I", parse("", "deallocate s1"), bind(""),
			&pgproto3.Bind{DestinationPortal: "p1", PreparedStatement: "s2"}, execute, syncMsg)
		r.expect(t, "error 26000; ready I", bind("s1"), syncMsg)
	})

	t.Run("CommitThatFailsBesideACursorInAPortalOfAnotherCycle", func(t *testing.T) { // PostgreSQL 15 would crash on the cursor
		h.sql(t, "create table found_late (n int unique deferrable initially deferred)", "grant all on found_late to acme")
		r := d.raw(t)
		r.say(t, query("begin"))
		before := r.say(t, query("select pg_backend_pid()"))
		r.expect(t, "DECLARE CURSOR; ready T; INSERT 0 2; ready T; parsed; bound; ready T; error 23505; ready I",
			query("declare c1 cursor with hold for select 7"), query("insert into found_late values (1), (1)"),
			parse("", "commit"), bind(""), syncMsg, execute, syncMsg)
		if after := r.say(t, query("select pg_backend_pid()")); after[0] != before[0] {
			t.Errorf("the client's server is another one now: %v", after)
		}
		r.Close()
		pid := strings.TrimPrefix(before[0], "row ")
		if !poll(func() bool {
			var n int
			err := h.QueryRow(t.Context(), postgres.Superuser, "select count(*) from pg_stat_activity where pid = "+pid, nil, &n)
			return err == nil && n == 0
		}) {
			t.Error("the server of the cursor outlives its client")
		}
	})

	t.Run("DeallocateAllInAPortalOfAnotherCycle", func(t *testing.T) {
		r := d.raw(t)
		named := &pgproto3.Bind{DestinationPortal: "p1"}
		runIt := &pgproto3.Execute{Portal: "p1"}
		r.expect(t, "parsed; ready I; BEGIN; ready T; parsed; bound; ready T", parse("s1", "select 1"), syncMsg, query("begin"), parse("", "deallocate all"), named, syncMsg)
		r.expect(t, "DEALLOCATE ALL; parsed; bound; row 2; SELECT 1; ready T; COMMIT; ready I", runIt, parse("s1", "select 2"), bind("s1"), execute, syncMsg, query("commit"))
	})

	t.Run("DeallocateAllByExecuteInAPipeline", func(t *testing.T) {
		r := d.raw(t)
		r.expect(t, "parsed; parsed; ready I", parse("s1", "select 1"), parse("s2", "deallocate all"), syncMsg)
		r.expect(t, "DEALLOCATE ALL; ready I; parsed; bound; row 2; SELECT 1; ready I",
			query("execute s2"), parse("s1", "select 2"), bind("s1"), execute, syncMsg)
		r.expect(t, "parsed; parsed; bound; DEALLOCATE ALL; parsed; bound; row 3; SELECT 1; ready I",
			parse("s2", "deallocate all"), parse("", "execute s2"), bind(""), execute, parse("s1", "select 3"), bind("s1"), execute, syncMsg)
	})

	t.Run("PortalOfADeallocateThatHasEnded", func(t *testing.T) {
		r := d.raw(t)
		bindAs := &pgproto3.Bind{DestinationPortal: "p1", PreparedStatement: "s3"}
		r.expect(t, "parsed; parsed; ready I", parse("s3", "deallocate s1"), parse("s1", "select 1"), syncMsg)
		r.expect(t, "BEGIN; ready T; bound; ready T; COMMIT; ready I; BEGIN; ready T; error 26000; ready E; error 34000; ready E; ROLLBACK; ready I",
			query("begin"), bindAs, syncMsg, query("commit"), query("begin"), bind("s9"), syncMsg, &pgproto3.Execute{Portal: "p1"}, syncMsg, query("rollback"))
		r.expect(t, "BEGIN; ready T; bound; ready T; row 1; SELECT 1; ready T; error 34000; ready E",
			query("begin"), bind("s3"), syncMsg, query("select 1"), execute, syncMsg)
		r.expect(t, "ROLLBACK; ready I; bound; row 1; SELECT 1; ready I", query("rollback"), bind("s1"), execute, syncMsg)
	})

	t.Run("DescribeOfAnExecute", func(t *testing.T) {
		r := d.raw(t)
		ofStatement := func(name string) pgproto3.FrontendMessage { return &pgproto3.Describe{ObjectType: 'S', Name: name} }
		r.expect(t, "parsed; parsed; ready I", parse("s1", "select 1 as a"), parse("s2", "execute s1"), syncMsg)
		r.expect(t, "ParameterDescription; ready I", ofStatement("s2"), syncMsg) // raw leaves out RowDescription; NoData would be there
		r.expect(t, "parsed; ParameterDescription; bound; row 1; SELECT 1; ready I",
			parse("", "execute s1"), ofStatement(""), bind(""), execute, syncMsg)
	})
}
