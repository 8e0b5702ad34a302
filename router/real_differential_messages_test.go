package router_test

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// prepare uses PREPARE and its family. Its names are also those of Parse, as
// in PostgreSQL both are one.
func (g *grammar) prepare() string {
	s := g.one("s1", "s2", "q1")
	return g.one(
		fmt.Sprintf("prepare %s as select 1", s), fmt.Sprintf("prepare %s (int) as select $1 + 1", s), fmt.Sprintf("prepare %s as select v from %s order by id", s, g.t()),
		fmt.Sprintf("prepare %s (text) as insert into %s (v) values ($1)", s, g.t()), fmt.Sprintf("execute %s", s), fmt.Sprintf("execute %s (1 + %d)", s, g.IntN(9)),
		fmt.Sprintf("execute %s ('it')", s), fmt.Sprintf("explain (costs off) execute %s", s), fmt.Sprintf("deallocate %s", s), fmt.Sprintf("DEALLOCATE PREPARE %s", s), `deallocate "S1"`,
		"deallocate all", "discard plans", "discard all", "select name, statement, from_sql from pg_prepared_statements where from_sql order by 1",
	)
}

// text is a statement with a number of parameters.
type text struct {
	sql        string
	parameters int
	values     []string
}

func (g *grammar) text() text {
	t := g.t()
	texts := []text{
		{"select $1::int + 1", 1, []string{"5", "x", "-7"}},
		{"select 1 / $1::int", 1, []string{"0", "1"}},
		{"select $1::text, $2::text", 2, []string{"a", "ü", "", "'"}},
		{fmt.Sprintf("insert into %s (v, n) values ($1, $2) returning id", t), 2, []string{"1", "-1", "3"}},
		{fmt.Sprintf("update %s set n = n + 1 where id = $1", t), 1, []string{"1", "2", "99"}},
		{"select generate_series(1, $1)", 1, []string{"3", "7", "100"}},
		{fmt.Sprintf("select id, v, n from %s order by id", t), 0, nil},
		{fmt.Sprintf("select * from %s order by 1", t), 0, nil},
		{"select i, 100 / (5 - i) from generate_series(1, 9) i", 0, nil},
		{"select 'again', '01/02/2020'::date, '2020-02-03 04:05:06+00'::timestamptz", 0, nil},
		{"", 0, nil},
		{"selec", 0, nil},
		{"select 1; select 2", 0, nil},
	}
	if g.in(4) {
		k := g.kind(func(k kind) bool { return k.sql != nil && k.name != "multi" })
		sql := k.sql(g)
		for onlyQueried.MatchString(sql) {
			sql = k.sql(g)
		}
		return text{sql: sql}
	}
	return texts[g.IntN(len(texts))]
}

// pipeline is what an asynchronous driver sends: messages of the extended
// protocol, in any order, with errors in between. The unnamed portal is only
// used behind a Bind: one that a failed Query left behind crashes PostgreSQL
// 15, whose memory is gone by then.
func (g *grammar) pipeline() (messages []pgproto3.FrontendMessage) {
	bound := false
	for range 1 + g.IntN(6) {
		switch n := g.IntN(20); {
		case n < 10:
			all := g.whole()
			messages = append(messages, all...)
			bound = bound || all[len(all)-1].(*pgproto3.Execute).Portal == ""
		case n < 18:
			messages = append(messages, g.piece(bound))
		case n < 19:
			messages = append(messages, syncMsg)
			bound = false
		default:
			messages = append(messages, flush, &pause{})
		}
	}
	return append(messages, syncMsg)
}

// statementName is now and then longer than PostgreSQL's 63 bytes.
func (g *grammar) statementName() string {
	if g.IntN(40) == 0 {
		return strings.Repeat("long", 20) + g.one("a", "b")
	}
	return g.one("", "", "s1", "s2", "s3", "S1")
}

func (g *grammar) portalName() string { return g.one("", "", "", "p1", "p2") }

// whole is a statement from Parse to Execute.
func (g *grammar) whole() (messages []pgproto3.FrontendMessage) {
	name, portal, x := g.statementName(), g.portalName(), g.text()
	if name != "" && g.in(5) {
		messages = append(messages, closeMsg('S', name))
	}
	g.parameters[name] = x.parameters
	var types []uint32
	for range x.parameters {
		if g.in(1) {
			types = append(types, []uint32{0, 23, 25, 4}[g.IntN(4)]) // unknown, int4, text, none
		}
	}
	messages = append(messages, prepareMsg(name, x.sql, types...))
	if g.in(4) {
		messages = append(messages, describeMsg('S', name))
	}
	messages = append(messages, g.bind(portal, name, x.values))
	if g.in(6) {
		messages = append(messages, describeMsg('P', portal))
	}
	rows := uint32(0)
	if g.in(3) {
		rows = uint32(1 + g.IntN(4))
	}
	messages = append(messages, executeMsg(portal, rows))
	if rows > 0 && g.in(6) {
		messages = append(messages, executeMsg(portal, rows+1))
	}
	return messages
}

func (g *grammar) bind(portal, name string, values []string) *pgproto3.Bind {
	b := bindMsg(portal, name)
	for range g.parameters[name] {
		if len(values) == 0 {
			values = []string{"1", "2", "x"}
		}
		if g.IntN(20) == 0 {
			b.Parameters = append(b.Parameters, nil)
			continue
		}
		b.Parameters = append(b.Parameters, []byte(g.one(values...)))
	}
	if g.IntN(30) == 0 {
		b.Parameters = append(b.Parameters, nil)
	}
	if g.in(2) {
		b.ResultFormatCodes = []int16{1}
	}
	return b
}

// reuse executes what some step before has prepared, or has not.
func (g *grammar) reuse() []pgproto3.FrontendMessage {
	name := g.one("s1", "s2", "s3", "s4")
	messages := []pgproto3.FrontendMessage{g.bind("", name, nil), describeMsg('P', ""), executeMsg("", 0), syncMsg}
	if g.in(3) {
		messages = append([]pgproto3.FrontendMessage{describeMsg('S', name)}, messages...)
	}
	return messages
}

// piece is one message, whatever was before it; bound says that there is an
// unnamed portal.
func (g *grammar) piece(bound bool) pgproto3.FrontendMessage {
	name, portal := g.statementName(), g.one("p1", "p2")
	if bound {
		portal = g.portalName()
	}
	switch g.IntN(7) {
	case 0:
		x := g.text()
		g.parameters[name] = x.parameters
		return prepareMsg(name, x.sql)
	case 1:
		return describeMsg('S', name)
	case 2:
		return describeMsg('P', portal)
	case 3:
		return g.bind(portal, name, nil)
	case 4:
		return executeMsg(portal, uint32(g.IntN(3)))
	case 5:
		return closeMsg('S', name)
	}
	return closeMsg('P', portal)
}

// queries sends several messages of the simple protocol, some with extended
// ones between, and does not wait.
func (g *grammar) queries() (messages []pgproto3.FrontendMessage) {
	for range 2 + g.IntN(4) {
		if g.in(2) {
			messages = append(append(messages, g.whole()...), syncMsg)
			continue
		}
		k := g.kind(func(k kind) bool { return k.sql != nil })
		messages = append(messages, query(k.sql(g)))
	}
	return messages
}

// copying copies in and out.
func (g *grammar) copying() (messages []pgproto3.FrontendMessage) {
	t := g.t()
	if g.in(3) {
		return g.send(g.one("copy "+t+" to stdout", "copy (select i, 'x' from generate_series(1, 5) i) to stdout csv header",
			"copy (select 10/(3-i) from generate_series(1, 5) i) to stdout", "copy nowhere to stdout", "copy "+t+" (v) to stdout binary"))
	}
	start := g.one("copy "+t+" (v, n) from stdin", "copy "+t+" (v, n) from stdin csv", "COPY "+t+" (v, n) FROM STDIN;", "copy nowhere from stdin",
		"copy "+t+" (v, n) from stdin; select 1", "select 1; copy "+t+" (v, n) from stdin")
	extended := g.in(3)
	if extended {
		messages = append(messages, prepareMsg("", start), bindMsg("", ""), executeMsg("", 0), flush)
	} else {
		messages = append(messages, query(start))
	}
	if g.in(5) {
		messages = append(messages, &pause{})
	}
	separator := "\t"
	if strings.HasSuffix(start, "csv") {
		separator = ","
	}
	for i := range g.IntN(5) {
		row := fmt.Sprintf("copied%s%d\n", separator, i)
		if g.IntN(10) == 0 {
			row = g.one("too few\n", "bad"+separator+"x\n", "negative"+separator+"-1\n", "half a", "\\.\n")
		}
		messages = append(messages, &pgproto3.CopyData{Data: []byte(row)})
	}
	if g.in(2) {
		messages = append(messages, &pgproto3.CopyFail{Message: "changed my mind"})
	} else {
		messages = append(messages, &pgproto3.CopyDone{})
	}
	if extended {
		messages = append(messages, syncMsg)
	}
	return messages
}

// large moves values that fit no buffer.
func (g *grammar) large() []pgproto3.FrontendMessage {
	const size = 200_000
	value := strings.Repeat("large ", size/6)
	insert := fmt.Sprintf("insert into %s (v) values ", g.t())
	switch g.IntN(6) {
	case 5:
		return g.long()
	case 0:
		return []pgproto3.FrontendMessage{query(fmt.Sprintf("select repeat('x', %d)", size))}
	case 1:
		return []pgproto3.FrontendMessage{query(insert + "('" + value + "')")}
	case 2:
		name := g.one("", "s1")
		return []pgproto3.FrontendMessage{
			closeMsg('S', name), prepareMsg(name, insert+"($1) returning length(v)"), bindMsg("", name, value), executeMsg("", 0), syncMsg,
		}
	case 3:
		return []pgproto3.FrontendMessage{query("select i, repeat('y', 100) from generate_series(1, 2000) i")}
	}
	return []pgproto3.FrontendMessage{prepareMsg("s2", "select '"+value+"' || $1::text"), bindMsg("", "s2", "end"), executeMsg("", 0), syncMsg}
}

// long is a pipeline of a thousand messages, with an error somewhere.
func (g *grammar) long() []pgproto3.FrontendMessage {
	name, bad := g.one("", "s1", "s3"), g.IntN(400)
	messages := []pgproto3.FrontendMessage{closeMsg('S', name), prepareMsg(name, "select 1 / $1::int, $2::text")}
	for i := range 350 {
		divisor := "1"
		if i == bad {
			divisor = "0"
		}
		messages = append(messages, bindMsg("", name, divisor, fmt.Sprint("value ", i)), executeMsg("", 0))
		if i%100 == 99 && g.in(5) {
			messages = append(messages, syncMsg)
		}
	}
	return append(messages, syncMsg)
}

// call calls a function by its OID: int4pl, or one that is not there, or with
// too few arguments.
func (g *grammar) call() []pgproto3.FrontendMessage {
	number := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	c := &pgproto3.FunctionCall{Function: 177, ArgFormatCodes: []uint16{1}, Arguments: [][]byte{number(g.IntN(9)), number(5)}, ResultFormatCode: 1}
	switch g.IntN(6) {
	case 0:
		c.Function = 4
	case 1:
		c.Arguments = c.Arguments[:1]
	case 2:
		c.Function = 154 // int4div
		c.Arguments[1] = number(0)
	}
	return []pgproto3.FrontendMessage{c}
}
