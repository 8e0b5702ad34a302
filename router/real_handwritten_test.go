package router_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// handWritten is a program that somebody thought of, in the notation of
// messages; "*" has another client take the server.
type handWritten struct {
	name  string
	login [][2]string
	steps []string
}

// messages reads what is divided by " | ": Q is a Query, FC a FunctionCall, c, ce
// and cf are CopyData, CopyDone and CopyFail, P, B, E, D and C are Parse, Bind,
// Execute, Describe and Close with names ("-" is none; E may have a row limit), X
// a Bind and Execute of a statement, W all three of an unnamed one, S and F Sync
// and Flush, ~ a Flush whose answers are waited for.
func messages(text string) (all []pgproto3.FrontendMessage) {
	for _, m := range strings.Split(text, " | ") {
		head, rest, _ := strings.Cut(m, ": ")
		w := strings.Fields(head)
		nm := func(i int) string {
			if i >= len(w) || w[i] == "-" {
				return ""
			}
			return w[i]
		}
		switch w[0] {
		case "Q":
			all = append(all, query(rest))
		case "P":
			all = append(all, prepareMsg(nm(1), rest))
		case "B":
			all = append(all, bindMsg(nm(1), nm(2)))
		case "E":
			all = append(all, executeMsg(nm(1), rows(nm(2))))
		case "X": // bind and execute
			all = append(all, bindMsg("", nm(1)), executeMsg("", 0))
		case "W": // whole, unnamed
			all = append(all, prepareMsg("", rest), bindMsg("", ""), executeMsg("", 0))
		case "D":
			all = append(all, describeMsg(w[1][0], nm(2)))
		case "C":
			all = append(all, closeMsg(w[1][0], nm(2)))
		case "S":
			all = append(all, syncMsg)
		case "F":
			all = append(all, flush)
		case "c": // a line of COPY's data
			all = append(all, &pgproto3.CopyData{Data: []byte(rest + "\n")})
		case "ce":
			all = append(all, &pgproto3.CopyDone{})
		case "cf":
			all = append(all, &pgproto3.CopyFail{Message: rest})
		case "FC": // a function call: its OID, and its arguments divided by commas
			f := &pgproto3.FunctionCall{ResultFormatCode: 0}
			fmt.Sscan(w[1], &f.Function)
			for _, a := range strings.Split(rest, ",") {
				if rest != "" {
					f.Arguments = append(f.Arguments, []byte(a))
				}
			}
			all = append(all, f)
		case "~":
			all = append(all, flush, &pause{})
		default:
			panic(m)
		}
	}
	return all
}

// rows reads the limit of an Execute, "" for none.
func rows(limit string) uint32 {
	n, _ := strconv.Atoi(limit)
	return uint32(n)
}

// playHandWritten returns the difference, "" for none. With sets the client who
// takes the server in between changes settings there.
func (a *arena) playHandWritten(t *testing.T, x handWritten, sets bool) string {
	t.Helper()
	p := program{client: 0, login: x.login}
	for _, s := range x.steps {
		if s == "*" {
			p.steps = append(p.steps, step{kind: "toggle"})
			continue
		}
		p.steps = append(p.steps, step{kind: "ddl", messages: messages(s)})
	}
	dist := disturb(t, a.house, a.door.address, sets)
	dist.line.patience = 20 * patience
	defer dist.line.leave()
	direct, err := dialLine(a.house, a.house.Address(), mirrorDatabase, p.login, a.patience)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.leave()
	through, err := dialLine(a.house, a.door.address, "acme", p.login, a.patience)
	if err != nil {
		t.Fatal(err)
	}
	defer through.leave()
	if r := tellsApart(direct.told, through.told); r != "" {
		return "login: " + r
	}
	w := &twin{direct: direct, through: through, otherSchemas: otherSchemas.MatchString(fmt.Sprint(p))}
	direct.exchange(emptied(p))
	through.exchange(emptied(p))
	n := 0
	for i, s := range p.steps {
		if s.kind == "toggle" {
			if err := dist.turn(n); err != nil {
				t.Fatal(err)
			}
			n++
			continue
		}
		d := &difference{program: p, at: i, direct: direct.exchange(s), through: through.exchange(s)}
		if d.reason = w.compare(d.direct, d.through); d.reason != "" {
			return d.String()
		}
	}
	return ""
}

// TestRealHandWritten plays programs that the random ones hardly come to.
func TestRealHandWritten(t *testing.T) {
	h := startHouse(t)
	mirror(t, h, 1, nil)
	a := &arena{house: h, door: h.open(t, poolSize(2), patientLimits), patience: patience}
	for _, x := range handWrittenPrograms {
		t.Run(x.name, func(t *testing.T) {
			for _, sets := range []bool{false, true} {
				a.newServers(t)
				if d := a.playHandWritten(t, x, sets); d != "" {
					t.Fatalf("others set settings: %v\n%s", sets, d)
				}
			}
		})
	}
}

var mine = [][2]string{{"application_name", "mine"}}

const date = "select '01/02/2020'::date"

var handWrittenPrograms = []handWritten{
	{"discardThenSet", nil, []string{"P s1: discard all | B p1 s1 | E p1 | W: set datestyle = german | S", "Q: show datestyle"}},
	{"discardThenSet2", nil, []string{"P s1: discard all | B p1 s1 | E p1 | W: select set_config('application_name','x',false) | S", "Q: show application_name"}},
	{"discardThenSame", nil, []string{"Q: set datestyle = german", "P s1: discard all | B p1 s1 | E p1 | W: set datestyle = german | S", "Q: show datestyle"}},
	{"discardThenSameMine", mine, []string{"Q: set datestyle = german", "P s1: discard all | B p1 s1 | E p1 | W: set datestyle = german | S", "Q: show datestyle"}},
	{"discardBehindCommit", mine, []string{"W: begin | S", "P s2: commit | B p1 s2 | E p1 | P -: discard all | B p1 - | E p1 | B - s3 | S", "Q: show application_name"}},
	{"discardBehindCommitThenSet", mine, []string{"Q: set datestyle = german", "W: begin | S", "P s2: commit | B p1 s2 | E p1 | P -: discard all | B p1 - | E p1 | W: set datestyle = sql | S", "Q: show application_name", "*", "Q: show datestyle"}},
	{"deallocateBehindRollback", nil, []string{"Q: begin", "P s1: select 1 | S", "Q: select 1/0", "W: rollback | P s3: deallocate q1 | B - s3 | E - | S", "P s3: deallocate s1 | S", "Q: begin", "Q: select 1/0", "W: rollback | B - s3 | E - | S", "X s1 | S"}},
	{"cursorBehindCommitAndChain", nil, []string{"Q: begin", "Q: set role 'reader'", "W: commit and chain | S", "Q: declare c2 cursor with hold for select 1", "W: select set_config('role', 'NONE', true) | S", "Q: commit", "Q: select current_user"}},
	{"localAuth", nil, []string{"Q: set role reader", "Q: begin", "Q: set local session authorization acme", "Q: commit", "Q: select current_user", "*", "Q: select current_user", "Q: show role"}},
	{"localAuth2", nil, []string{"Q: set role reader", "Q: set local session authorization acme", "Q: select current_user", "*", "Q: select current_user", "Q: show role"}},
	{"parsePiped", nil, []string{"Q: select 1", "Q: set datestyle = 'SQL, DMY' | P s1: " + date + " | S", "*", "X s1 | S"}},
	{"parsePiped2", nil, []string{"Q: select 1", "W: set datestyle = 'SQL, DMY' | P s1: " + date + " | S", "*", "X s1 | S"}},
	{"parsePiped3", nil, []string{"Q: select 1", "Q: begin; set local datestyle = 'SQL, DMY' | P s1: " + date + " | S | Q: commit", "*", "X s1 | S"}},
	{"bindPiped", nil, []string{"P s1: " + date + " | S", "*", "Q: select 1", "Q: set datestyle = 'SQL, DMY' | X s1 | S"}},
	{"bindPiped2", nil, []string{"P s1: " + date + " | S", "*", "Q: select 1", "W: set datestyle = 'SQL, DMY' | X s1 | S"}},
	{"bindPiped3", nil, []string{"P s1: " + date + " | S", "*", "W: set datestyle = 'SQL, DMY' | X s1 | S"}},
	{"bindPiped4", nil, []string{"P s1: " + date + " | S", "*", "Q: set datestyle = 'SQL, DMY' | X s1 | S"}},
	{"discardPlans", nil, []string{"P s1: " + date + " | S", "Q: set datestyle = 'SQL, DMY'", "Q: discard plans", "*", "X s1 | S"}},
	{"discardPlansHere", nil, []string{"P s1: " + date + " | S", "Q: set datestyle = 'SQL, DMY'", "X s1 | S", "Q: discard plans", "X s1 | S"}},
	{"pathReanalysis", nil, []string{"P s1: " + date + " | S", "Q: set datestyle = 'SQL, DMY'", "Q: set search_path = pg_catalog", "*", "X s1 | S"}},
	{"checkFailed", nil, []string{"Q: create table d_0 (i int, v text)", "P s1: select * from d_0 order by i | S", "*", "Q: alter table d_0 add column w int default 5", "X s1 | S", "Q: alter table d_0 drop column w", "X s1 | S", "*", "X s1 | S"}},
	{"warning", nil, []string{"Q: set standard_conforming_strings = off", `P s1: select e'a\nb', 'a\nb' | S`, `P s2: select e'a\nb', 'a\nb' | S`, `C S s1 | P s1: select e'a\nb', 'a\nb' | S`}},
	{"discardTemp", nil, []string{"Q: create temp table x1 (i int)", "P s1: select * from x1 order by 1 | S", "Q: discard temp", "P s2: select * from x1 order by 1 | S"}},
	{"onCommitDrop", nil, []string{"Q: begin", "Q: create temp table x1 (i int) on commit drop", "P s1: select * from x1 order by 1 | S", "Q: commit", "P s2: select * from x1 order by 1 | S"}},
	{"unnamedPiped", nil, []string{"P -: " + date + " | S", "*", "P s9: set datestyle = 'SQL, DMY' | B p1 s9 | E p1 | X - | S", "Q: show datestyle"}},
	{"bindPipedLocal", nil, []string{"P s1: " + date + " | S", "*", "W: set datestyle = 'SQL, DMY' | X s1 | W: select current_setting('datestyle') | S", "Q: show datestyle", "X s1 | S", "*", "X s1 | S"}},
	{"discardPlansTwice", nil, []string{"P s1: " + date + " | S", "Q: set datestyle = 'SQL, DMY'", "Q: discard plans", "Q: set datestyle = 'German'", "*", "X s1 | S", "Q: set datestyle = 'ISO, MDY'", "X s1 | S", "*", "X s1 | S"}},
	{"discardPlansMeant", nil, []string{"P s1: " + date + " | S", "Q: discard plans", "Q: set datestyle = 'SQL, DMY'", "X s1 | S", "*", "X s1 | S"}},
	{"bindPipedDDL", nil, []string{"Q: create table d_0 (i int, v text)", "P s1: select * from d_0 | S", "*", "W: alter table d_0 add column w int default 5 | X s1 | S"}},
	{"bindPipedDDL2", nil, []string{"Q: create table d_0 (i int, v text)", "P s1: select * from d_0 | S", "*", "Q: alter table d_0 add column w int default 5 | X s1 | S", "Q: select 1"}},
	{"resetPiped", [][2]string{{"DateStyle", "German"}}, []string{"Q: set datestyle = 'ISO, MDY'", "W: reset datestyle | P s1: " + date + " | X s1 | S", "*", "X s1 | S", "Q: begin", "Q: set local datestyle to default | X s1 | S", "*", "Q: set local datestyle = iso | P s3: " + date + " | S", "Q: rollback", "*", "X s3 | S"}},
	{"optionsPath", [][2]string{{"options", "-csearch_path=public,pg_catalog"}}, []string{"Q: set search_path = pg_catalog", "W: set search_path to default | W: select current_setting('search_path') | S", "*", "Q: show search_path", "Q: begin", "Q: set local search_path = ''", "W: set local search_path to default | S", "Q: show search_path", "Q: commit", "*", "Q: show search_path"}},
	{"roleChain", nil, []string{"Q: begin", "Q: set role reader", "Q: savepoint a", "Q: set session authorization default", "Q: rollback to a", "Q: commit and chain", "Q: show role", "Q: commit", "*", "Q: select current_user", "Q: show role"}},
	{"roleChain2", nil, []string{"Q: set role reader", "Q: begin", "Q: set session authorization acme", "Q: rollback", "Q: show role", "*", "Q: select current_user", "Q: show role"}},
	{"roleDiscard", mine, []string{"Q: set role reader", "Q: select 1", "W: discard all | W: select current_user | W: set role reader | S", "*", "Q: select current_user"}},
	{"discardErr", mine, []string{"Q: set datestyle = german", "P s1: discard all | B p1 s1 | E p1 | W: set intervalstyle = iso_8601 | W: select 1/0 | S", "Q: show datestyle", "*", "Q: show intervalstyle"}},
	{"discardErr2", nil, []string{"Q: set datestyle = german", "P s1: discard all | B p1 s1 | E p1 | W: set intervalstyle = iso_8601 | W: select 1/0 | S", "Q: show datestyle", "*", "Q: show intervalstyle"}},
	{"discardTx", nil, []string{"Q: set datestyle = german", "P s1: discard all | B p1 s1 | E p1 | W: begin | W: set local datestyle = german | S", "Q: show datestyle", "Q: rollback", "*", "Q: show datestyle"}},
	{"discardQuery", nil, []string{"Q: set datestyle = german", "P s1: discard all | B p1 s1 | E p1 | Q: set datestyle = german", "Q: show datestyle", "*", "Q: show datestyle"}},
	{"ddlPiped", nil, []string{"Q: create table d_0 (i int, v text)", "P s1: select * from d_0 order by i | S", "Q: alter table d_0 add column w int default 5 | P s2: select * from d_0 order by i | X s2 | S"}},
	{"rollbackPiped", nil, []string{"Q: create table d_0 (i int, v text)", "Q: begin", "Q: alter table d_0 add column w int default 5", "P s1: select * from d_0 order by i | S", "Q: rollback | P s2: select * from d_0 order by i | X s2 | S"}},
	{"warningEscape", nil, []string{"Q: set standard_conforming_strings = off", `P s1: select e'a\nb', 'a\nb' | S`, "*", `P s2: select e'a\nb', 'a\nb' | S`, "X s1 | S"}},
	{"rolledBackDDL", nil, []string{"Q: create table d_0 (i int, v text)", "Q: begin", "Q: alter table d_0 add column w int default 5", "P s1: select * from d_0 order by i | S", "Q: rollback", "P s2: select * from d_0 order by i | S", "X s2 | S", "X s1 | S"}},
	{"rolledBackDDL2", nil, []string{"Q: begin", "Q: create table d_0 (i int, v text)", "P s1: select * from d_0 order by i | S", "Q: rollback", "P s2: select * from d_0 order by i | S"}},
	{"rolledBackDDL3", nil, []string{"Q: create table d_0 (i int, v text)", "Q: begin", "Q: alter table d_0 add column w int default 5", "P s1: select * from d_0 order by i | S", "Q: rollback", "*", "X s1 | S"}},
	{"rolledBackDDL4", nil, []string{"Q: create table d_0 (i int, v text)", "Q: begin", "Q: savepoint a", "Q: alter table d_0 add column w int default 5", "P s1: select * from d_0 order by i | S", "Q: rollback to a", "P s2: select * from d_0 order by i | S", "X s2 | S", "X s1 | S"}},
	{"rolledBackDDL5", nil, []string{"Q: create table d_0 (i int, v text)", "W: alter table d_0 add column w int default 5 | P s1: select * from d_0 order by i | W: select 1/0 | S", "P s2: select * from d_0 order by i | S", "X s2 | S"}},
	{"failedCommitDDL", nil, []string{"Q: begin", "Q: create table d_0 (i int, v text)", "P s1: select * from d_0 order by i | S", "Q: insert into u_0 values (1, 'a'), (1, 'b')", "Q: commit", "P s2: select * from d_0 order by i | S"}},

	{"executeOfDeallocatePortalThatSyncEndedNameClosed", nil, []string{"P s1: select 1 | P s3: deallocate s1 | S", "Q: begin | Q: select 1 | Q: commit", "B p1 s3 | S | C S s1 | E p1 | S"}},
	{"theSameBehindACommit", nil, []string{"P s1: select 1 | P s3: deallocate s1 | P s2: commit | S", "B p1 s3 | B p2 s2 | E p2 | C S s1 | E p1 | S"}},
	{"deallocatePortalInFailedTransactionNameClosed", nil, []string{"P s1: select 1 | P s3: deallocate s1 | S", "Q: begin", "B p1 s3 | S", "Q: select 1/0", "C S s1 | E p1 | S"}},
	{"notClosed", nil, []string{"P s1: select 1 | P s3: deallocate s1 | S", "Q: begin", "B p1 s3 | S", "Q: select 1/0", "E p1 | S", "Q: rollback", "B - s1 | E - | S"}},
	{"deallocateBoundBeforeItsStatementIsThere", nil, []string{"P s1: deallocate s2 | B p1 s1 | P s2: select 2 | E p1 | S", "B - s2 | S"}},
	{"queryDeallocateBehindMessagesWithoutSync", nil, []string{"P s1: select 1 | B - s1 | E - | Q: deallocate s1"}},
	{"executeOfAPortalThatRanHereBehindCOMMIT", nil, []string{"Q: select 1", "Q: select 2", "P -: deallocate all | B - - | E - | P s3: commit | B p1 s3 | E p1 | E - | S"}},
	{"describeOfAPortalThatRanHereCommitOnlyBound", nil, []string{"Q: select 1", "Q: select 2", "P -: deallocate all | B - - | E - | P s3: commit | B p1 s3 | D P - | S"}},
	{"deallocateAllBoundHereExecutedThere", nil, []string{"P s1: select 1 | S", "P -: deallocate all | B - - | P s2: select 2 | E - | B - s1 | E - | S"}},
	{"t8b", nil, []string{"P s1: select 1 | S", "P -: deallocate all | B - - | P s2: select 2 | E - | P s1: select 3 | B - s1 | E - | S"}},
	{"deallocateAllBoundInAPipelineBefore", nil, []string{"P s1: select 1 | P s3: deallocate all | S", "Q: begin", "B p1 s3 | S", "E p1 | B - s1 | E - | S"}},
	{"t9b", nil, []string{"P s1: select 1 | P s3: deallocate all | S", "Q: begin", "B p1 s3 | S", "E p1 | P s1: select 3 | B - s1 | E - | S"}},
	{"literalsBehindASetBoundBefore", nil, []string{`P s2: select 'a\nb' | P s1: set standard_conforming_strings = off | S`, "Q: set escape_string_warning = off", "Q: begin", "B p1 s1 | S", `E p1 | P s3: select 'a\nb' | B - s3 | E - | S`}},
	{"date", nil, []string{"P s2: select '01/02/2020'::date | P s1: set DateStyle = 'SQL, DMY' | S", "Q: begin", "B p1 s1 | S", "E p1 | P s3: select '01/02/2020'::date | B - s3 | E - | S"}},
	{"setLocalToDefaultBoundBeforeBegin", mine, []string{"P s1: set local application_name to default | P s2: begin | P s3: show application_name | S", "Q: set application_name = 'other'", "B p1 s1 | B - s2 | E - | E p1 | B - s3 | E - | S", "Q: show application_name"}},
	{"setLocalToDefaultFirstInAPipeline", mine, []string{"P s1: set local application_name to default | P s3: show application_name | S", "Q: set application_name = 'other'", "B - s1 | E - | B - s3 | E - | S"}},
	{"setLocalToDefaultBehindAPause", mine, []string{"Q: set application_name = 'other'", "P s1: set local application_name to default | P s3: show application_name | ~ | B - s1 | E - | B - s3 | E - | S"}},
	{"nameThatAPortalDeallocated", mine, []string{"Q: prepare q1 as select 1", "Q: prepare s1 as select 1", "P -: deallocate s1 | B - - | E - | S", "P s1: reset all | B - s1 | E - | S", "Q: show application_name"}},
	{"plansThatAnotherDiscards", nil, []string{"P s1: " + date + " | S", "X s1 | S", "Q: set datestyle = 'SQL, DMY'", "*", "X s1 | S", "*", "X s1 | S", "*", "X s1 | S"}},
	{"unnamedBehindTwoErrors", nil, []string{"W: select 7 | B p1 nosuch | S", "B p2 nosuch | B p2 - | S | E p2 | P -: select 8 | B p2 - | S | B - - | E - | S", "B - - | E - | S"}},
	{"unnamedBehindTwoErrorsOfOnes", nil, []string{"P -: select 7 | S", "P -: select 9 | B p2 nosuch | P -: select 6 | S | E p2 | P -: select 8 | B p2 - | S | B - - | E - | S", "B - - | E - | S"}},
	{"discardPlansInFrontOfABind", nil, []string{`P s2: reset all | B - s2 | C S s2 | P s2: select 'a\nb' | B - s2 | S`, "Q: set application_name to default | C S s1 | P s1: select 1 | X s1 | P s2: select set_config('my.x', 'v', false) | X s2 | E p2 | B - - | B p2 s3 | S | Q: set search_path = elsewhere", "P s1: set application_name = 'x' | C S s2 | P s2: select 'unset:', current_setting('my.x', true) | X s2 | C S s1 | P s1: deallocate all | B p1 s1 | E p1 | S | P -: discard plans | B p2 - | E p2 | B p2 s2 | S"}},
	{"settingBeforeACommitAndChainWithoutATransaction", nil, []string{"Q: begin", "Q: set my.y = 'why'", "Q: end; declare c1 cursor with hold for select 1; commit and chain; commit", "Q: show my.y", "*", "Q: show my.y"}},
	{"warningOfANameThatIsTried", nil, []string{"Q: prepare s1 as select 7", "Q: set standard_conforming_strings = off", `P s1: select 'a\nb' | S`, "Q: deallocate s1", `P s1: select 'a\nb' | S`, "Q: select 1; prepare q1 as select 7", `P s2: select 'a\nb' | S`, "X s2 | S", `P q1: select 'a\nb' | S`}},
	{"unnamedDescribedBehindAnotherPath", nil, []string{"P -: insert into u_0 values (2, 'u') on conflict do nothing | B - - | S", "P s3: set search_path = pg_catalog | B - s3 | E - | D S - | B - s2 | S"}},
	{"unnamedBoundBehindAnotherPath", nil, []string{"P -: insert into u_0 values (2, 'u') on conflict do nothing | S", "P s3: set search_path = pg_catalog | B - s3 | E - | B p1 - | E p1 | S"}},
	{"setLocalOfACustomSettingToDefault", [][2]string{{"options", "-c my.x=started"}}, []string{"Q: begin", "Q: select 1", "Q: set local my.x to default", "Q: select current_setting('my.x', true)", "Q: commit", "*", "Q: begin", "P s3: set local my.x to default | S", "X s3 | S", "Q: select current_setting('my.x', true)", "Q: rollback"}},
	{"prepareBehindOneThatFails", nil, []string{"Q: begin", "Q: select 1/0", "Q: prepare s1 as select 1 | Q: commit | Q: prepare s1 as select 2", "P s1: select 3 | S", "Q: execute s1"}},
	{"prepareBehindDeallocate", nil, []string{"Q: prepare s1 as select 1", "Q: deallocate s1 | Q: prepare s1 as select 2", "P s1: select 3 | S", "Q: execute s1"}},
	{"prepareBehindDeallocateWhole", nil, []string{"Q: prepare s1 as select 1", "W: deallocate s1 | W: prepare s1 as select 2 | S", "P s1: select 3 | S", "Q: execute s1"}},
	{"prepareBehindDeallocateQuery", nil, []string{"Q: prepare s1 as select 1", "W: deallocate s1 | Q: prepare s1 as select 2", "P s1: select 3 | S", "Q: execute s1"}},
	{"prepareBehindDeallocateAll", nil, []string{"Q: prepare s1 as select 1", "Q: deallocate all | Q: prepare s1 as select 2", "P s1: select 3 | S", "Q: execute s1"}},
	{"prepareBehindClose", nil, []string{"Q: prepare s1 as select 1", "C S s1 | W: prepare s1 as select 2 | S", "P s1: select 3 | S", "Q: execute s1"}},
	{"prepareThatFailsBehindOne", nil, []string{"Q: prepare s1 as select 1 | Q: prepare s1 as select 2", "P s1: select 3 | S", "Q: execute s1"}},
	{"behindROLLBACK", nil, []string{"Q: select 1", "Q: select 2", "P -: deallocate all | B - - | E - | P s3: rollback | B p1 s3 | E p1 | D P - | S"}},
	{"warningOfAParseThatIsKnown", nil, []string{"Q: set standard_conforming_strings = off", `P s1: select 'a\nb' | S`, "C S s1 | S", `P s1: select 'a\nb' | S`}},
	{"executeOfDeallocateAllWithoutWaiting", nil, []string{"P s1: deallocate all | P s2: select 2 | S", "Q: execute s1 | P s2: select 3 | B - s2 | E - | S"}},
	{"t23b", nil, []string{"P s1: deallocate all | P s2: select 2 | S", "Q: execute s1 | B - s2 | E - | S"}},
	{"listenInAPipelineThatFails", nil, []string{"Q: select 1", "Q: select 2", "P -: listen ch_0 | B - - | E - | E - | S", "Q: notify ch_0", "Q: select 1"}},
	{"portalBoundBehindASkippedBindOfIt", mine, []string{"P s1: reset all | S", "Q: set application_name = 'x'", "B - s9 | B - s1 | S | B - s1 | ~ | E - | S", "Q: show application_name"}},
	{"aDeallocatingOne", nil, []string{"P s1: deallocate s2 | P s2: select 2 | S", "B - s9 | B - s1 | S | B - s1 | ~ | E - | S", "B - s2 | S"}},
	{"executeOfWhatASkippedPortalWouldDeallocate", nil, []string{"P s1: select 1 | P s2: deallocate s1 | S", "B p2 s2 | B - s9 | E p2 | S | Q: execute s1", "B p2 s2 | E p9 | E p2 | S | Q: execute s1"}},
	{"executeOfWhatASkippedCloseWouldClose", nil, []string{"P s1: select 1 | S", "B - s9 | C S s1 | S | Q: execute s1"}},
	{"bindOfADeallocateWhoseParseIsSkipped", nil, []string{"P s2: select 2 | S", "B - s9 | P s4: deallocate s2 | S | B - s4 | E - | S"}},
	{"unnamed", nil, []string{"P s2: select 2 | P -: select 1 | S", "B - s9 | P -: deallocate s2 | S | B - - | E - | S", "B - s2 | S"}},
	{"executeOfANameThatADeallocatePortalHasNot", nil, []string{"P s1: deallocate nosuch | B p1 s1 | E p1 | S", "P -: deallocate nosuch | B - - | E - | S"}},
	{"portalOfCloseAllThenBegin", nil, []string{"P -: close all | B - - | E - | P s3: begin | B p1 s3 | E p1 | D P - | E - | S", "Q: rollback"}},
	{"setBoundInFrontOtherNames", nil, []string{"P s2: select count(*) from t_0 | P s1: set search_path = elsewhere | S", "Q: begin", "B p1 s1 | S", "E p1 | P s3: select count(*) from t_0 | S"}},
	{"commitBoundInFront", nil, []string{"P s2: select 1 | P s1: commit | S", "Q: begin", "B p1 s1 | B p2 s2 | S", "E p1 | E p2 | S"}},
	{"resetBoundInFront", mine, []string{"P s1: reset all | P s2: reset application_name | S", "Q: set application_name = 'x'", "Q: begin", "B p1 s1 | B p2 s2 | S", "E p1 | S", "Q: set application_name = 'y' | Q: show application_name", "E p2 | S", "Q: show application_name", "Q: commit", "Q: show application_name"}},

	{"anotherClientsStatementByOurName", nil, []string{"Q: prepare q1 as select 1", "P s1: select 2 | S", "X s1 | S", "X _howdah_1 | S", "D S _howdah_1 | S", "C S _howdah_1 | S", "X s1 | S"}},
	{"deallocateByOurName", nil, []string{"P s1: select 2 | S", "X s1 | S", "Q: execute _howdah_1", "Q: deallocate _howdah_1", "X s1 | S", "W: deallocate _howdah_1 | S", "X s1 | S", "Q: prepare q1 as select 1", "W: deallocate _howdah_1 | S", "X s1 | S"}},
	{"executePortalNameClosed", nil, []string{"P s1: select 1 | P s2: execute s1 | S", "Q: begin", "B p1 s2 | C S s1 | E p1 | S"}},
	{"executePortalNameDeallocated", nil, []string{"P s1: select 1 | P s2: execute s1 | S", "B p1 s2 | W: deallocate s1 | E p1 | S"}},
	{"executePortalNameGivenAgain", nil, []string{"P s1: select 1 | P s2: execute s1 | S", "Q: begin", "B p1 s2 | C S s1 | P s1: select 1 | S", "E p1 | S"}},
	{"executePortalResumedNameClosed", nil, []string{"P s1: select generate_series(1,5) | P s2: execute s1 | S", "Q: begin", "B p1 s2 | E p1 2 | S", "C S s1 | E p1 2 | S", "E p1 2 | S"}},
	{"executePortalInFailedTransactionNameClosed", nil, []string{"P s1: select 1 | P s2: execute s1 | S", "Q: begin", "B p1 s2 | S", "Q: select 1/0", "C S s1 | E p1 | S"}},
	{"longPortalDeallocates", nil, []string{"P s1: select 1 | P s3: deallocate s1 | S", "Q: begin", "B nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnabc s3 | S", "E nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnaxyz | S", "X s1 | S"}},
	{"longPortalResets", mine, []string{"P s3: reset all | S", "Q: set application_name = 'x'", "Q: begin", "B nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnabc s3 | S", "E nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnaxyz | S", "Q: show application_name", "Q: commit", "Q: show application_name"}},
	{"positionBehindOtherCharacters", nil, []string{"P s1: select $1::int | S", "Q: /* ééééééééééééééééééééééééééééé */ execute s1(x)", "Q: /* é */ execute s1(x)"}},
	{"positionBehindANameOfOtherCharacters", nil, []string{"P éé: select $1::int | S", "Q: /* ééééééééééééééééééééééééééééé */ execute \"éé\"(x)"}},
	{"resetBehindPrepareAmongOthers", mine, []string{"Q: set application_name = 'x'", "Q: select 1; prepare s1 as select 1", "P s2: reset all | S", "X s2 | S", "Q: show application_name"}},
	{"executeOfResetBehindPrepareAmongOthers", mine, []string{"Q: set application_name = 'x'", "Q: select 1; prepare s1 as select 1", "P s2: reset all | S", "Q: execute s2", "Q: show application_name"}},
	{"namesBehindPrepareAmongOthers", nil, []string{"Q: select 1; prepare q1 as select 1", "P s1: select 2 | S", "X s1 | S", "P q1: select 3 | S", "X q1 | S", "P s2: selec | S", "P s2: select 4 | X s2 | S", "C S s2 | P s2: select 5 | X s2 | S", "Q: execute s2", "Q: deallocate s2", "X s2 | S", "Q: deallocate all", "X s1 | S"}},
	{"takenBehindPrepareAmongOthers", nil, []string{"Q: select 1; prepare q1 as select 1", "P s1: select 2 | P q1: select 3 | Q: select 1 | S", "Q: select 2", "X s1 | S", "Q: begin", "Q: select 1/0", "P s2: select 3 | S", "Q: rollback", "X s2 | S"}},
	{"queryBehindABindThatFailsAtANewServer", nil, []string{"Q: create table d_0 (i int)", "P s1: select * from d_0 | S", "Q: drop table d_0", "*", "B - s1 | P s3: select 8 | Q: select 1 | S", "Q: select 2"}},
	{"preparePortalNameGivenMeanwhile", nil, []string{"P -: prepare q1 as select 1 | B p1 - | P q1: select 2 | E p1 | S", "X q1 | S"}},
	{"preparePortalNameGivenInAnotherPipeline", nil, []string{"Q: begin", "P s1: prepare q1 as select 1 | B p1 s1 | B p2 s1 | S", "E p1 | S", "C S q1 | P q1: select 2 | S", "E p2 | S", "Q: rollback", "X q1 | S"}},
	{"preparePortalNameGivenAndClosed", nil, []string{"P -: prepare q1 as select 1 | B p1 - | P q1: select 2 | C S q1 | E p1 | S", "X q1 | S"}},
	{"seedSetLocal", nil, []string{"Q: begin", "Q: set local seed = 0.5", "Q: commit", "*", "Q: select random()"}},
	{"seedBySetConfigLocal", nil, []string{"Q: begin", "Q: select set_config('seed','0.5',true)", "Q: commit", "*", "Q: select random()"}},
	{"functionCallSetseed", nil, []string{"FC 1599: 0.5", "*", "Q: select random()"}},
	{"functionCallLocks", nil, []string{"FC 2880: 55", "*", "Q: select count(*) from pg_locks where locktype='advisory' and pid=pg_backend_pid()"}},
	{"functionCallLocksPiped", nil, []string{"Q: select 1 | FC 2880: 55", "*", "Q: select count(*) from pg_locks where locktype='advisory' and pid=pg_backend_pid()"}},
	{"functionCallSets", nil, []string{"FC 2078: work_mem,3MB,f", "*", "Q: show work_mem"}},
	{"functionCallSetsACustomSetting", nil, []string{"FC 2078: my.x,hi,f", "*", "Q: show my.x"}},
	{"functionCallSetsInATransaction", nil, []string{"Q: begin isolation level serializable", "FC 2078: work_mem,3MB,f", "Q: show transaction_isolation", "Q: commit", "*", "Q: show work_mem"}},
	{"functionCallLeavesTheUnnamedPortal", mine, []string{"P s1: reset all | S", "Q: set application_name = 'x'", "Q: begin", "B - s1 | S", "FC 870: AB", "E - | S", "Q: show application_name", "Q: commit", "Q: show application_name"}},
	{"functionCallSkipped", nil, []string{"B - nosuch | FC 2078: work_mem,3MB,f | S", "Q: show work_mem", "W: select 1 | FC 2078: work_mem,5MB,f | W: show work_mem | S", "*", "Q: show work_mem"}},
	{"setNamesIsDefault", [][2]string{{"client_encoding", "LATIN1"}}, []string{"Q: set names 'UTF8'", "Q: set names", "Q: show client_encoding", "*", "Q: show client_encoding"}},
	{"setLocalNamesDefault", [][2]string{{"client_encoding", "LATIN1"}}, []string{"Q: set names 'UTF8'", "Q: begin", "Q: set local names default", "Q: show client_encoding", "Q: commit", "*", "Q: show client_encoding"}},
	{"setLocalTimeZoneLocal", [][2]string{{"TimeZone", "Asia/Tokyo"}}, []string{"Q: set time zone 'UTC'", "Q: begin", "Q: set local time zone local", "Q: show timezone", "Q: commit", "*", "Q: show timezone"}},
	{"sequencesBehindDiscardAllHere", nil, []string{"Q: select nextval('q_0')", "Q: discard all", "Q: select currval('q_0')", "Q: select lastval()"}},
	{"sequencesBehindDiscardAllHereWhole", nil, []string{"Q: select nextval('q_0')", "W: discard all | S", "Q: select currval('q_0')"}},
	{"lastvalBehindCopy", nil, []string{"Q: begin", "Q: copy t_0(v) from stdin | c: a | ce", "Q: select lastval()", "Q: commit"}},
	{"queryThatIsAnArgument", nil, []string{"Q: select * from ts_stat('select to_tsvector(set_config(''work_mem'',''3MB'',false))')", "*", "Q: show work_mem"}},
	{"queryThatIsAnArgumentForXML", nil, []string{"Q: select query_to_xml('select set_config(''work_mem'',''3MB'',false)',true,true,'')", "*", "Q: show work_mem"}},
	{"literalsOfAQueryBehindASet", nil, []string{"Q: set escape_string_warning=off", `Q: set standard_conforming_strings = off | Q: select '\' , '; select pg_advisory_lock(77); --'`, "*", "Q: select count(*) from pg_locks where locktype='advisory' and pid=pg_backend_pid()"}},
	{"literalsOfAParseBehindASet", nil, []string{"Q: set escape_string_warning=off", `W: set standard_conforming_strings = off | W: select '\' || ', pg_advisory_lock(77) --' | S`, "*", "Q: select count(*) from pg_locks where locktype='advisory' and pid=pg_backend_pid()"}},
	{"literalsOfAQueryBehindASetInAPipeline", nil, []string{"Q: set escape_string_warning=off", `W: begin | W: set standard_conforming_strings = off | S | Q: select '\' || ', pg_advisory_lock(77) --' | Q: commit`, "*", "Q: select count(*) from pg_locks where locktype='advisory' and pid=pg_backend_pid()"}},
	{"literalsOfAQueryBehindASetInATransaction", nil, []string{"Q: set escape_string_warning=off", "Q: begin", `Q: set standard_conforming_strings = off | Q: select '\' , '; select pg_advisory_lock(77); --' | Q: commit`, "*", "Q: select count(*) from pg_locks where locktype='advisory' and pid=pg_backend_pid()"}},
	{"listenBeginAndNotifyWithoutWaiting", nil, []string{"Q: begin | Q: listen ch_0 | Q: commit | Q: notify ch_0, 'b' | Q: unlisten ch_0 | Q: notify ch_0, 'c'"}},
	{"tableInATemporarySchemaByPath", nil, []string{"Q: set search_path = pg_temp, public", "Q: create table x5 (i int)", "*", "Q: insert into x5 values (3)", "*", "Q: select * from x5"}},
	{"viewInATemporarySchemaByPath", nil, []string{"Q: set search_path = pg_temp, public", "*", "Q: create view x5 as select 1 as one", "*", "Q: select * from x5"}},
	{"unlistenAmongOthers", nil, []string{"Q: listen ch_0", "Q: unlisten *; notify ch_0, 'd'", "Q: notify ch_0, 'e'"}},
	{"unlistenAmongOthersThatFail", nil, []string{"Q: listen ch_0", "Q: begin; unlisten ch_0; rollback", "Q: notify ch_0, 'e'", "Q: unlisten ch_0; select 1/0", "Q: notify ch_0, 'f'", "Q: begin; unlisten ch_0; commit", "Q: notify ch_0, 'g'"}},
	{"unlistenInAPipeline", nil, []string{"Q: listen ch_0", "W: select 1 | W: unlisten ch_0 | S", "Q: notify ch_0, 'a'"}},
	{"unlistenInATransactionInAPipeline", nil, []string{"Q: listen ch_0", "W: begin | W: select 1 | W: unlisten ch_0 | W: commit | S", "Q: notify ch_0, 'a'"}},
	{"unlistenRolledBackInAPipeline", nil, []string{"Q: listen ch_0", "W: begin | W: select 1 | W: unlisten ch_0 | W: rollback | S", "Q: notify ch_0, 'a'"}},
	{"unlistenByAPortal", nil, []string{"Q: listen ch_0", "P s1: unlisten ch_0 | S", "Q: begin", "Q: select 1", "B p1 s1 | S", "E p1 | S", "Q: commit", "Q: notify ch_0, 'a'"}},
	{"unlistenByAPortalNotRun", nil, []string{"Q: listen ch_0", "P s1: unlisten ch_0 | S", "Q: begin", "Q: select 1", "B p1 s1 | S", "Q: commit", "Q: notify ch_0, 'a'"}},
	{"unlistenByExecute", nil, []string{"Q: listen ch_0", "P s1: unlisten ch_0 | S", "Q: execute s1", "Q: notify ch_0, 'a'", "Q: prepare q as select 1"}},
	{"functionCallNotifies", nil, []string{"Q: listen ch_0", "FC 3036: ch_0,hi", "Q: begin", "FC 3036: ch_0,ho", "Q: commit"}},
	{"lastvalBehindAFunction", nil, []string{"Q: create or replace function d_f() returns int language plpgsql as $$ begin insert into public.t_0(v) values ('a'); return 1; end $$", "Q: select lastval()", "Q: begin", "Q: select d_f()", "Q: select lastval()", "Q: commit", "Q: drop function d_f()"}},

	{"listenRolledBackBehindInjectedSettings", nil, []string{"Q: set datestyle=german", "Q: begin", "Q: listen ch_0", "*", "Q: select 1", "Q: rollback", "Q: notify ch_0, 'x'"}},
	{"unlistenThatIsSkipped", nil, []string{"Q: listen ch_0", "Q: begin", "Q: select 1", "W: unlisten ch_0 | W: select 1/0 | S", "Q: rollback", "Q: notify ch_0, 'a'"}},
	{"unlistenRolledBackToASavepointInAPipeline", nil, []string{"Q: listen ch_0", "W: begin | W: savepoint a | W: unlisten ch_0 | W: rollback to a | W: commit | S", "Q: notify ch_0, 'a'"}},
	{"unlistenRolledBackToASavepoint", nil, []string{"Q: listen ch_0", "Q: begin | Q: savepoint a | Q: unlisten ch_0 | Q: rollback to a | Q: commit", "Q: notify ch_0, 'a'", "Q: begin; savepoint a; unlisten ch_0; rollback to a; commit", "Q: notify ch_0, 'b'", "Q: begin; savepoint a; unlisten ch_0; release a; commit", "Q: notify ch_0, 'c'"}},
	{"unlistenAndBeginThatIsRolledBack", nil, []string{"Q: listen ch_0", "Q: begin; unlisten ch_0", "Q: rollback", "Q: notify ch_0, 'a'", "W: unlisten ch_0 | W: begin | S", "Q: rollback", "Q: notify ch_0, 'b'"}},
	{"listenThenUnlistenRolledBackToASavepoint", nil, []string{"Q: begin", "Q: listen ch_0", "Q: savepoint b", "Q: unlisten ch_0", "Q: rollback to b", "Q: commit", "Q: notify ch_0, 'y'"}},
	{"setConfigToNull", mine, []string{"Q: set application_name='x'", "Q: select set_config('application_name',null,false) is null", "Q: show application_name", "*", "Q: show application_name"}},
	{"resetOfAsyncpg", nil, []string{"Q: listen ch_0", "Q: select pg_advisory_unlock_all(); close all; unlisten *; reset all;", "Q: notify ch_0, 'a'", "Q: listen ch_0", "Q: notify ch_0, 'b'", "W: begin | W: select 1 | W: unlisten ch_0 | S", "Q: notify ch_0, 'c'", "Q: rollback", "Q: notify ch_0, 'd'"}},
	{"explainOfExecuteSets", nil, []string{"P s2: select set_config('work_mem', '5MB', false) | S", "Q: explain (analyze, costs off, timing off, summary off) execute s2", "*", "Q: show work_mem"}},
	{"unlistenRolledBackAndChained", nil, []string{"Q: listen ch_0", "Q: begin", "Q: select 1", "Q: unlisten ch_0", "Q: rollback and chain", "Q: commit", "Q: notify ch_0, 'a'"}},
	{"unlistenRolledBackAndChainedInAPipeline", nil, []string{"Q: listen ch_0", "W: begin | W: select 1 | W: unlisten ch_0 | W: rollback and chain | W: commit | S", "Q: notify ch_0, 'a'"}},
	{"unlistenCommittedAndBegin", nil, []string{"Q: listen ch_0", "Q: begin; unlisten ch_0; commit; begin", "Q: rollback", "Q: notify ch_0, 'a'"}},
	{"unlistenCommittedAndBeginInAPipeline", nil, []string{"Q: listen ch_0", "W: begin | W: select 1 | W: unlisten ch_0 | W: commit | W: begin | S", "Q: rollback", "Q: notify ch_0, 'a'"}},
	{"unlistenRolledBackAndBegin", nil, []string{"Q: listen ch_0", "Q: begin; unlisten ch_0; rollback; begin", "Q: commit", "Q: notify ch_0, 'a'"}},
	{"unlistenRolledBackAndUnlisten", nil, []string{"Q: listen ch_0", "Q: listen ch_1", "Q: begin; unlisten ch_0; rollback; unlisten ch_1", "Q: notify ch_0, 'a'", "Q: notify ch_1, 'a'"}},
	{"unlistenBehindReleaseOfTwo", nil, []string{"Q: listen ch_0", "Q: begin", "Q: savepoint o", "Q: savepoint a", "Q: savepoint b", "Q: release a", "Q: unlisten ch_0", "Q: rollback to o", "Q: commit", "Q: notify ch_0, 'a'"}},
	{"notifyBehindACommitOfPortals", nil, []string{"Q: begin", "Q: listen ch_0", "W: commit | S | Q: notify ch_0, 'b' | Q: unlisten ch_0 | Q: notify ch_0, 'c'"}},
	{"notifyBehindACommitOfPortalsAtTheServer", nil, []string{"Q: begin", "Q: select 1", "Q: listen ch_0", "W: commit | S | W: notify ch_0, 'b' | S | Q: select 2"}},
	{"unlistenInAnImplicitBlock", nil, []string{"Q: listen ch_0", "Q: unlisten ch_0; rollback", "Q: notify ch_0, 'a'", "Q: unlisten ch_0; select 1; commit; select 1/0", "Q: notify ch_0, 'b'", "Q: listen ch_0", "Q: begin", "Q: select 1", "Q: commit; unlisten ch_0", "Q: notify ch_0, 'c'", "Q: listen ch_0", "W: unlisten ch_0 | W: commit | W: select 1/0 | S", "Q: notify ch_0, 'd'"}},
	{"listenAndCommitAndChain", nil, []string{"Q: begin", "Q: listen ch_0", "Q: select 1", "Q: commit and chain", "Q: unlisten ch_0", "Q: notify ch_0, 'a'", "Q: rollback and chain", "Q: notify ch_0, 'b'", "Q: commit", "Q: select 2", "Q: begin", "Q: select 1", "Q: unlisten ch_0", "Q: commit; begin; notify ch_0, 'c'", "Q: rollback", "Q: notify ch_0, 'd'"}},
	{"executeOfALetterBehindDo", nil, []string{"P sä: select 1 | S", "Q: begin", "Q: do $$ begin end $$", "Q: execute \"sä\"", "Q: deallocate \"sä\"", "Q: commit", "X sä | S"}},
	{"executeOfALetterBehindDoByPortals", nil, []string{"P sä: select 1 | S", "P e1: execute \"sä\" | S", "Q: begin", "Q: do $$ begin end $$", "X e1 | S", "W: execute \"sä\" | S", "W: deallocate \"sä\" | S", "Q: commit", "X sä | S"}},
	{"unlistenOfALetterBehindDo", nil, []string{"Q: listen \"chä\"", "Q: begin", "Q: do $$ begin end $$", "Q: unlisten \"chä\"", "Q: commit", "Q: notify \"chä\", 'a'"}},
	{"listenOfALetterBehindDo", nil, []string{"Q: begin", "Q: do $$ begin end $$", "Q: listen \"chä\"", "Q: commit", "*", "Q: notify \"chä\", 'a'"}},
	{"literalsInDoubtBehindCopy", nil, []string{"Q: set escape_string_warning=off", "W: set standard_conforming_strings = off | W: copy t_0(v) from stdin | S | Q: select '\\'' | S", "Q: select 1"}},
	{"literalsInDoubtBehindFlush", nil, []string{"Q: set escape_string_warning=off", "W: set standard_conforming_strings = off | F | Q: select '\\'' ", "Q: select 1"}},
	{"literalsInDoubtAwaited", nil, []string{"Q: set escape_string_warning=off", "W: set standard_conforming_strings = off | ~ | P s1: select '\\'' | ~ | B - s1 | E - | ~ | S", "Q: select 1", "X s1 | S"}},
	{"literalsInDoubtInATransactionBehindFlush", nil, []string{"Q: set escape_string_warning=off", "W: begin | W: set standard_conforming_strings = off | S | P s1: select '\\'' | F | X s1 | F | Q: select '\\'' | W: commit | S", "Q: select 1", "X s1 | S"}},
	{"portalOfAnUnlistenSkipped", nil, []string{"Q: listen ch_0", "P s1: unlisten ch_0 | P e1: execute s1 | S", "Q: begin", "Q: select 1", "B p1 e1 | S", "Q: savepoint a", "W: select 1/0 | E p1 | S", "Q: rollback to a", "C S s1 | S", "E p1 | S", "Q: rollback", "Q: notify ch_0, 'a'"}},
	{"skippedWithoutAServerThenBegin", nil, []string{"P s1: close all | B - s1 | E - | E - | W: select 1 | S", "Q: begin isolation level serializable; select nextval('q_0')", "Q: commit", "*", "P s1: close all | B - s1 | E - | E - | W: select 1 | S", "Q: begin isolation level serializable; select nextval('q_0')"}},
	{"skippedWithoutAServer", mine, []string{"Q: begin", "B - nosuch | P s1: select 1 | Q: select 1 | S", "Q: rollback", "Q: set work_mem='3MB'", "*", "Q: show work_mem", "*", "B - nosuch | W: select 1 | S", "*", "Q: set datestyle=german | Q: show datestyle", "*", "Q: select nextval('q_0')", "Q: show datestyle"}},
	{"portalNamesThatAreCut", nil, []string{"P s1: deallocate s2 | P s2: select 1 | S", "B " + strings.Repeat("a", 80) + " s1 | E " + strings.Repeat("a", 80) + " | S", "X s2 | S", "B " + strings.Repeat("a", 80) + " s1 | E " + strings.Repeat("a", 63) + "b | S", "X s2 | S"}},
	{"sequencesBehindCopyInAPipeline", nil, []string{"Q: copy t_0(v) from stdin | c: a | ce | Q: select lastval()", "Q: begin", "Q: copy t_0(v) from stdin | cf | Q: select lastval()", "Q: rollback", "Q: select lastval()"}},
	{"namesTried", nil, []string{"Q: prepare q as select 1; prepare r as select 2", "P q: select 3 | B - q | E - | S", "P r: select 3 | Q: select 5 | S", "P t: select 3 | X t | S", "P t2: select 3 | P t2: select 4 | X t | S", "Q: begin", "P q: select 1 | S", "P t3: select 3 | S", "Q: rollback", "P t3: select 3 | X t3 | S", "Q: deallocate q", "P q: select 'q' | X q | S", "Q: discard all", "P q: select 'q' | X q | S"}},
	{"namesTriedInAPipeline", nil, []string{"Q: prepare q as select 1; select 2 | P q: select 4 | X q | S | P q: select 4 | X q | S", "P u: select 1 | P u2: select nosuch | S | P u: select 2 | S", "X u | S"}},
	{"namesTriedBehindFlush", nil, []string{"Q: prepare q as select 1; select 2", "P q: select 4 | ~ | S", "P w: select 4 | ~ | X w | ~ | S", "P w: select 4 | F | S"}},
	{"namesTriedAndDescribed", nil, []string{"Q: prepare q as select 1; select 2", "P w: select 'it''s' | D S w | X w | S | C S w | S | P w: select 2 | X w | S", "D S w | S"}},
	{"discardPlansOfTwo", nil, []string{"P s1: select 'x' || 1 | P s2: select 'y' | S", "X s1 | X s2 | S", "Q: discard plans | X s1 | X s2 | S", "W: discard plans | X s1 | X s2 | S", "*", "X s1 | D S s2 | X s2 | S", "Q: begin", "Q: discard plans", "X s1 | S", "Q: select 1/0", "X s1 | S", "Q: rollback", "X s1 | X s2 | S"}},
	{"positionsBehindLetters", nil, []string{"P s1: select $1::int | S", "Q: /* äö€𝄞 */ execute s1 (nosuch)", "Q: execute s1 ('ä', nosuch)", "Q: explain /*ä*/ execute s1 (nosuch)", "Q: deallocate _howdah_1 nosuch", "Q: execute \"_howdah_ä\" (nosuch)", "Q: /*ä*/ execute _howdah_1 (nosuch)"}},
	{"statementBehindACommitThatFailsBesideACursor", nil, []string{"Q: begin not deferrable", "Q: prepare q1 as select v from t_0 order by id", "P s2: declare c2 scroll cursor with hold for select i from generate_series(1, 9) i | X s2 | S", "Q: insert into u_0 values (1, 'a'), (1, 'b')", "P s1: end | B p1 s1 | E p1 | S", "Q: explain (costs off) execute q1"}},
	{"parseBehindAPortalThatStands", nil, []string{"P s2: update t_0 set n = n + 1 where id = 1 | W: with w as (insert into t_0 (v, n) values ('w', 3) returning id) select * from w | S", "Q: begin", "P s3: with w as (insert into t_0 (v, n) values ('w', 3) returning id) select id > 0 from w | B p0 s3 | E p0 1 | C S s2 | P s2: update t_0 set n = n + 1 where v = 'w' | B p1 s2 | E p1 3 | S", "Q: rollback", "B p0 s3 | E p0 1 | C S s2 | P s2: update t_0 set n = n + 1 where v = 'w' | B p1 s2 | E p1 | S", "Q: select count(*), sum(n) from t_0"}},
	{"setTransactionBehindBegin", nil, []string{"Q: begin", "Q: set transaction read only", "Q: show transaction_read_only", "Q: insert into t_0 (v) values ('x')", "Q: rollback", "Q: show transaction_read_only", "Q: begin isolation level serializable", "Q: set transaction isolation level repeatable read, read only", "Q: set transaction read write, deferrable", "Q: select current_setting('transaction_isolation'), current_setting('transaction_read_only'), current_setting('transaction_deferrable')", "Q: set transaction isolation level serializable", "Q: rollback"}},
	{"setTransactionOfNothing", nil, []string{"Q: begin", "Q: set transaction read only", "Q: set transaction isolation level nowhere", "Q: commit", "Q: begin", "Q: set transaction read only; set transaction read write", "Q: show transaction_read_only", "Q: commit", "Q: set transaction read only", "Q: show transaction_read_only", "Q: begin", "Q: set transaction snapshot 'x'", "Q: rollback"}},
	{"setTransactionAndChain", nil, []string{"Q: begin", "Q: set transaction read only", "Q: commit and chain", "Q: show transaction_read_only", "Q: rollback and chain", "Q: set transaction read write", "Q: show transaction_read_only", "Q: select 1/0", "Q: rollback and chain", "Q: show transaction_read_only", "Q: commit", "Q: begin read only", "Q: commit and chain", "Q: set transaction read write", "Q: select 1/0", "Q: commit and chain", "Q: show transaction_read_only", "Q: commit"}},
	{"setTransactionByPortals", nil, []string{"W: begin | W: set transaction read only | W: show transaction_read_only | S", "W: set transaction read write | S", "Q: rollback", "P s1: set transaction isolation level serializable | D S s1 | S", "Q: begin", "B - s1 | D P - | E - | S", "Q: show transaction_isolation", "X s1 | S", "Q: commit", "X s1 | S", "Q: begin", "X s1 | X s1 | W: show transaction_isolation | S", "Q: end", "Q: begin", "B - s1 | E - | E - | S", "Q: rollback", "*", "X s1 | S", "Q: begin | X s1 | S | Q: show transaction_isolation", "Q: rollback"}},
	{"setTransactionAndASavepoint", nil, []string{"Q: begin", "Q: savepoint a", "Q: set transaction read only", "Q: rollback to a", "Q: show transaction_read_only", "Q: commit", "Q: begin", "Q: set transaction read only", "Q: savepoint a", "Q: set transaction read write", "Q: show transaction_read_only", "Q: rollback"}},
	{"setTransactionAndSettings", mine, []string{"Q: set default_transaction_read_only = on", "Q: begin", "Q: set transaction read write", "Q: insert into t_0 (v) values ('x')", "*", "Q: commit", "*", "Q: begin", "Q: listen ch_0", "Q: set transaction read only", "Q: commit", "Q: begin", "Q: set transaction read only", "Q: discard all", "Q: rollback", "Q: begin; set transaction read only", "Q: show transaction_read_only", "Q: rollback"}},
}
