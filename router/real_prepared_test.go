package router_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/tenants"
)

// TestRealPrepared tests prepared statements over several servers, in front of one PostgreSQL.
func TestRealPrepared(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"PreparedStatementsAcrossServers", testPreparedStatementsAcrossServers},
		{"UnnamedStatementOutlivesItsServer", testUnnamedStatementOutlivesItsServer},
		{"StatementErrors", testStatementErrors},
		{"StatementsAfterDDL", testStatementsAfterDDL},
		{"DiscardAllBetween", testDiscardAllBetween},
		{"DriverCachesStatements", testDriverCachesStatements},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// testPreparedStatementsAcrossServers has 64 clients use 50 statements each,
// under names of their own, on 3 servers that keep 10: there is always one that
// must be parsed again, in place of another.
func testPreparedStatementsAcrossServers(t *testing.T, h *house) {
	d := h.open(t, poolSize(3), limits(func(l *tenants.Limits) { l.MaxPreparedStatements = 10 }))
	const clients, statements, rounds = 64, 50, 150
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			if err := usePrepared(d, i, statements, rounds); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	d.atRest(t)
	c := d.pool("acme").Counters
	if c.ServerParses < clients*rounds/10 || c.ClientParses != clients*statements {
		t.Errorf("%d Parses by clients and %d by servers do not look like eviction", c.ClientParses, c.ServerParses)
	}
	for _, s := range d.Servers() {
		if s.PreparedStatements > 10 {
			t.Errorf("a server keeps %d statements", s.PreparedStatements)
		}
	}
}

// usePrepared gives each statement a text that only some clients share, and a
// name that all do, with another meaning.
func usePrepared(d *door, i, statements, rounds int) error {
	r, err := d.tryRaw("acme")
	if err != nil {
		return err
	}
	defer r.Close()
	rng := rand.New(rand.NewPCG(uint64(i), 2))
	text := func(k int) string { return fmt.Sprintf("text %d of group %d", k, i%8) }
	var parses []pgproto3.FrontendMessage
	for k := range statements {
		parses = append(parses, parse(fmt.Sprint("s", k), fmt.Sprintf("select '%s', $1::text", text(k))))
	}
	if _, err := r.talk(append(parses, syncMsg)...); err != nil {
		return err
	}
	for n := range rounds {
		k := rng.IntN(statements)
		value := fmt.Sprintf("%d-%d", i, n)
		got, err := r.talk(bind(fmt.Sprint("s", k), value), execute, syncMsg)
		want := fmt.Sprintf("bound; row %s|%s; SELECT 1; ready I", text(k), value)
		if err != nil || strings.Join(got, "; ") != want {
			return fmt.Errorf("client %d wanted %q and got %q, %w", i, want, got, err)
		}
	}
	return nil
}

// testUnnamedStatementOutlivesItsServer binds it in later transactions, on
// whatever server there is.
func testUnnamedStatementOutlivesItsServer(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	r, other := d.raw(t), d.raw(t)
	r.expect(t, "parsed; ready I", parse("", "select 'mine', $1::text"), syncMsg)
	pids := map[string]bool{}
	for range 4 {
		other.say(t, query("begin; select 1"))
		other.expect(t, "parsed; bound; row other; SELECT 1; ready T", parse("", "select 'other'"), bind(""), execute, syncMsg)
		r.expect(t, "bound; row mine|1; SELECT 1; ready I", bind("", "1"), execute, syncMsg)
		other.expect(t, "bound; row other; SELECT 1; ready T", bind(""), execute, syncMsg)
		pids[backendOf(t, other)] = true
		r.say(t, query("begin; select 1"))
		r.expect(t, "parsed; ready T", parse("", "select 'mine', $1::text"), syncMsg)
		other.say(t, query("commit"))
		r.expect(t, "bound; row mine|2; SELECT 1; ready T", bind("", "2"), execute, syncMsg)
		other.expect(t, "parsed; bound; row other; SELECT 1; ready I", parse("", "select 'other'"), bind(""), execute, syncMsg)
		r.expect(t, "COMMIT; ready I", query("commit"))
		r.expect(t, "error 26000; ready I", bind("", "3"), execute, syncMsg) // a simple query drops it
		r.expect(t, "parsed; ready I", parse("", "select 'mine', $1::text"), syncMsg)
	}
}

// testStatementErrors are those that PostgreSQL would give.
func testStatementErrors(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	r := d.raw(t)
	r.expect(t, "parsed; ready I", parse("s", "select 1"), syncMsg)
	r.expect(t, "error 42P05; ready I", parse("s", "select 2"), syncMsg)
	r.expect(t, "error 26000; ready I", bind("unknown"), execute, syncMsg)
	r.expect(t, "closed; parsed; bound; row 3; SELECT 1; ready I",
		&pgproto3.Close{ObjectType: 'S', Name: "s"}, parse("s", "select 3"), bind("s"), execute, syncMsg)
	r.expect(t, "error 42601; ready I", parse("t", "selekt"), syncMsg)
	r.expect(t, "error 26000; ready I", bind("t"), execute, syncMsg)
	// An error undoes the names given behind it, not those before.
	r.expect(t, "parsed; error 42601; ready I", parse("before", "select 'b'"), parse("", "selekt"), parse("behind", "select 'c'"), syncMsg)
	r.expect(t, "bound; row b; SELECT 1; ready I", bind("before"), execute, syncMsg)
	r.expect(t, "error 26000; ready I", bind("behind"), execute, syncMsg)
	r.expect(t, "BEGIN; ready T", query("begin"))
	r.expect(t, "error 26000; ready E", bind("behind"), execute, syncMsg)
	r.expect(t, "error 25P02; ready E", bind("before"), execute, syncMsg)
	r.expect(t, "ROLLBACK; ready I", query("rollback"))
	r.expect(t, "DEALLOCATE ALL; ready I", query("deallocate all"))
	r.expect(t, "error 26000; ready I", bind("before"), execute, syncMsg)
}

// testStatementsAfterDDL changes a table under statements that name it.
func testStatementsAfterDDL(t *testing.T, h *house) {
	h.sql(t, "create table shape (a int)", "insert into shape values (1)", "alter table shape owner to acme")
	d := h.open(t, poolSize(2))
	r, other := d.raw(t), d.raw(t)
	r.expect(t, "parsed; bound; row 1; SELECT 1; ready I", parse("fixed", "select a from shape"), bind("fixed"), execute, syncMsg)
	r.expect(t, "parsed; bound; row 1; SELECT 1; ready I", parse("star", "select * from shape"), bind("star"), execute, syncMsg)
	other.expect(t, "ALTER TABLE; ready I", query("alter table shape add b int default 2"))
	r.expect(t, "bound; row 1; SELECT 1; ready I", bind("fixed"), execute, syncMsg)
	// PostgreSQL refuses "*" from now on, at servers that parse it only now too;
	// whoever prepares it again is served.
	r.expect(t, "error 0A000; ready I", bind("star"), execute, syncMsg)
	r.expect(t, "error 0A000; ready I", bind("star"), execute, syncMsg)
	other.expect(t, "BEGIN; SELECT 0; ready T", query("begin; select from shape where false"))
	r.expect(t, "error 0A000; ready I", bind("star"), execute, syncMsg)
	r.expect(t, "error 0A000; ready I", &pgproto3.Describe{ObjectType: 'S', Name: "star"}, syncMsg)
	r.expect(t, "error 0A000; ready I", query("execute star"))
	other.expect(t, "COMMIT; ready I", query("commit"))
	r.expect(t, "closed; ready I", &pgproto3.Close{ObjectType: 'S', Name: "star"}, syncMsg)
	r.expect(t, "parsed; bound; row 1|2; SELECT 1; ready I", parse("star", "select * from shape"), bind("star"), execute, syncMsg)
	other.expect(t, "parsed; bound; row 1|2; SELECT 1; ready I", parse("star", "select * from shape"), bind("star"), execute, syncMsg)
}

// testDiscardAllBetween does what Odoo does with each connection it borrows.
func testDiscardAllBetween(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			r, err := d.tryRaw("acme")
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			for k := range 40 {
				value := fmt.Sprintf("%d-%d", i, k)
				if err := borrow(r, value); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func borrow(r *raw, value string) error {
	for _, step := range []struct {
		want     string
		messages []pgproto3.FrontendMessage
	}{
		{"DISCARD ALL; ready I", []pgproto3.FrontendMessage{query("discard all")}},
		{"error 26000; ready I", []pgproto3.FrontendMessage{bind("s", value), execute, syncMsg}},
		{"BEGIN; ready T", []pgproto3.FrontendMessage{query("begin isolation level repeatable read")}},
		{"parsed; bound; row " + value + "; SELECT 1; ready T", []pgproto3.FrontendMessage{parse("s", "select $1::text"), bind("s", value), execute, syncMsg}},
		{"ROLLBACK; ready I", []pgproto3.FrontendMessage{query("rollback")}},
		{"bound; row " + value + "; SELECT 1; ready I", []pgproto3.FrontendMessage{bind("s", value), execute, syncMsg}},
	} {
		got, err := r.talk(step.messages...)
		if err != nil || strings.Join(got, "; ") != step.want {
			return fmt.Errorf("wanted %q and got %q, %w", step.want, got, err)
		}
	}
	return nil
}

// testDriverCachesStatements uses pgx as applications do, through fewer servers
// than connections.
func testDriverCachesStatements(t *testing.T, h *house) {
	d := h.open(t, poolSize(2))
	var wg sync.WaitGroup
	for i := range 8 {
		c := d.connect(t)
		wg.Go(func() {
			for k := range 100 {
				var got int
				err := c.QueryRow(context.Background(), fmt.Sprintf("select $1::int + %d", k%20), i).Scan(&got)
				if err != nil || got != i+k%20 {
					t.Errorf("%d + %d gave %d, %v", i, k%20, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
