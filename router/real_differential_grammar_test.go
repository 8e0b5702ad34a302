package router_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// kind is a family of steps: statements for grammar.send to put into messages,
// or whole steps.
type kind struct {
	name   string
	weight int
	asked  bool // only where HOWDAH_KINDS names it
	sql    func(*grammar) string
	step   func(*grammar) []pgproto3.FrontendMessage
}

// allKinds is the table HOWDAH_KINDS chooses from.
func allKinds() []kind {
	return []kind{
		{name: "transactions", weight: 30, sql: (*grammar).transaction},
		{name: "data", weight: 25, sql: (*grammar).data},
		{name: "savepoints", weight: 10, sql: (*grammar).savepoint},
		{name: "settings", weight: 20, sql: (*grammar).setting},
		{name: "roles", weight: 6, sql: (*grammar).role},
		{name: "sessions", weight: 8, sql: (*grammar).session},
		{name: "errors", weight: 8, sql: (*grammar).failure},
		{name: "prepare", weight: 8, sql: (*grammar).prepare},
		{name: "cursors", weight: 8, sql: (*grammar).cursor},
		{name: "temp", weight: 5, sql: (*grammar).temp},
		{name: "sequences", weight: 5, sql: (*grammar).sequence},
		{name: "do", weight: 4, sql: (*grammar).block},
		{name: "ddl", weight: 4, sql: (*grammar).ddl},
		{name: "locks", weight: 4, sql: (*grammar).lock},
		{name: "extended", weight: 20, step: (*grammar).pipeline},
		{name: "reuse", weight: 8, step: (*grammar).reuse},
		{name: "queries", weight: 8, step: (*grammar).queries},
		{name: "copy", weight: 6, step: (*grammar).copying},
		{name: "large", weight: 2, step: (*grammar).large},
		{name: "calls", weight: 3, step: (*grammar).call},
		{name: "multi", weight: 10, sql: (*grammar).several},
		{name: "listen", weight: 10, asked: true, sql: (*grammar).listen},
		{name: "taint", weight: 10, asked: true, sql: (*grammar).hidden},
	}
}

// chosenKinds are those that HOWDAH_KINDS names, or all that need not be asked
// for.
func chosenKinds(t *testing.T) (chosen []kind) {
	t.Helper()
	named := os.Getenv("HOWDAH_KINDS")
	for _, k := range allKinds() {
		if named == "" && !k.asked || strings.Contains(","+named+",", ","+k.name+",") {
			chosen = append(chosen, k)
		}
	}
	if len(chosen) == 0 {
		t.Fatalf("HOWDAH_KINDS=%q names none", named)
	}
	return chosen
}

// grammar makes up the steps of one client's program.
type grammar struct {
	*rand.Rand
	n          int // the client, whose tables are t_n, u_n and d_n
	seed       uint64
	kinds      []kind
	parameters map[string]int // by statement name, so that most Binds fit
}

// compose makes a program. It depends on nothing else than its arguments.
func compose(seed uint64, client int, kinds []kind) program {
	g := &grammar{Rand: rand.New(rand.NewPCG(seed, uint64(client))), n: client, seed: seed, parameters: map[string]int{}}
	g.kinds = g.theme(kinds)
	p := program{seed: seed, client: client, login: g.login()}
	for range 10 + g.IntN(30) {
		k := g.kind(func(kind) bool { return true })
		s := step{kind: k.name}
		if k.step != nil {
			s.messages = k.step(g)
		} else {
			s.messages = g.send(k.sql(g))
		}
		p.steps = append(p.steps, s)
	}
	if g.in(1) {
		return p // leaves everything as it is
	}
	for _, sql := range g.end() {
		p.steps = append(p.steps, step{kind: "end", messages: []pgproto3.FrontendMessage{query(sql)}})
	}
	return p
}

// theme narrows the kinds down, so that they meet more often.
func (g *grammar) theme(kinds []kind) (chosen []kind) {
	for i, k := range kinds {
		if i < 2 || len(kinds) < 5 || g.IntN(3) == 0 {
			chosen = append(chosen, k)
		}
	}
	return chosen
}

// kind chooses by weight among those that suit.
func (g *grammar) kind(suits func(kind) bool) kind {
	sum := 0
	for _, k := range g.kinds {
		if suits(k) {
			sum += k.weight
		}
	}
	if sum == 0 {
		return allKinds()[1]
	}
	at := g.IntN(sum)
	for _, k := range g.kinds {
		if suits(k) {
			if at -= k.weight; at < 0 {
				return k
			}
		}
	}
	panic("weights do not add up")
}

func (g *grammar) one(choices ...string) string { return choices[g.IntN(len(choices))] }

// in is true in n of 10 cases.
func (g *grammar) in(n int) bool { return g.IntN(10) < n }

func (g *grammar) t() string { return fmt.Sprint("t_", g.n) }
func (g *grammar) u() string { return fmt.Sprint("u_", g.n) }

// emptied empties the client's tables. Its answers are not compared.
func emptied(p program) step {
	sql := fmt.Sprintf("truncate public.t_%[1]d, public.u_%[1]d restart identity", p.client)
	for _, s := range p.steps {
		if s.kind == "ddl" || s.kind == "multi" {
			sql += fmt.Sprintf("; drop table if exists public.d_%d", p.client)
			break
		}
	}
	return step{kind: "setup", messages: []pgproto3.FrontendMessage{query(sql)}}
}

// login returns startup parameters.
func (g *grammar) login() (parameters [][2]string) {
	if g.in(6) {
		return [][2]string{{"application_name", fmt.Sprint("client ", g.n)}}
	}
	for _, p := range [][2]string{
		{"application_name", g.one("one", "two", "three")},
		{"DateStyle", g.one("German", "SQL, DMY", "iso")},
		{"TimeZone", g.one("UTC", "Asia/Tokyo", "Europe/Berlin")},
		{"client_encoding", g.one("UTF8", "LATIN1", "utf-8")},
		{"options", g.one("-c work_mem=7MB", "-c my.x=started -c geqo=off", `-csearch_path=public,pg_catalog`, "-c nonsense=1")},
		{"extra_float_digits", g.one("0", "3")},
	} {
		if g.in(3) {
			parameters = append(parameters, p)
		}
	}
	return parameters
}

// end ends what is open and asks what state is left.
func (g *grammar) end() []string {
	return []string{
		"rollback",
		"select " + currentSettings,
		"select current_user, session_user",
		fmt.Sprintf("select id, md5(v), n from public.t_%d order by id", g.n),
		fmt.Sprintf("select k, v from public.u_%d order by k", g.n),
	}
}

// send puts a statement into messages, in one of the ways clients have.
func (g *grammar) send(sql string) []pgproto3.FrontendMessage {
	name := ""
	switch n := g.IntN(20); {
	case n < 11 || onlyQueried.MatchString(sql):
		return []pgproto3.FrontendMessage{query(sql)}
	case n < 14: // as libpq's PQexecParams
		return []pgproto3.FrontendMessage{
			prepareMsg("", sql), bindMsg("", ""), describeMsg('P', ""), executeMsg("", 0), syncMsg,
		}
	case n < 16: // as pgx: prepare first
		name = g.one("", "s1", "s2", "s3")
		return []pgproto3.FrontendMessage{
			prepareMsg(name, sql), describeMsg('S', name), syncMsg, &pause{}, bindMsg("", name), describeMsg('P', ""), executeMsg("", 0), syncMsg,
		}
	case n < 18: // as pgjdbc: names that are used again
		name = g.one("s1", "s2", "s3", "s4")
		b := bindMsg(g.one("", "", "p1"), name)
		return []pgproto3.FrontendMessage{
			closeMsg('S', name), prepareMsg(name, sql), b, describeMsg('P', b.DestinationPortal), executeMsg(b.DestinationPortal, 0), syncMsg,
		}
	case n < 19: // step by step
		return []pgproto3.FrontendMessage{
			prepareMsg("", sql), flush, &pause{}, bindMsg("", ""), flush, &pause{}, executeMsg("", 0), flush, &pause{}, closeMsg('S', ""), syncMsg,
		}
	}
	messages := []pgproto3.FrontendMessage{prepareMsg("", sql), bindMsg("", ""), executeMsg("", uint32(1+g.IntN(3)))}
	if strings.HasPrefix(sql, "select") || g.in(2) { // what is not a query cannot go on
		messages = append(messages, executeMsg("", 0))
	}
	return append(messages, syncMsg)
}
