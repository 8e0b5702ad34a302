package router_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// dense is a grammar of few texts and names, whose programs are mostly pipelines
// that use a portal or a statement again, in front of Sync or behind it.
type dense struct{ *rand.Rand }

// denseSeeds are the programs that are played without HOWDAH_SOAK.
const denseSeeds = 300

// TestSoakDense plays such programs, one client at a time. Every other one has
// somebody else use the server between its steps.
func TestSoakDense(t *testing.T) {
	h := startHouse(t)
	mirror(t, h, 1, nil)
	door := h.open(t, poolSize(2), patientLimits)
	s := survey{most: number(t, "HOWDAH_SURVEY", 1)}
	rounds, started := 0, time.Now()
	for seed := range seeds(t, denseSeeds) {
		a := &arena{house: h, door: door, patience: patience, known: knownDifferences(t)}
		if seed%2 == 0 {
			a.disturber = disturb(t, h, door.address, false)
		}
		p := dense{rand.New(rand.NewPCG(seed, 5))}.program()
		p.seed = seed
		if d := a.play(p); d != nil && (a.known == nil || !a.known.MatchString(d.String())) {
			if known := len(s.found); known < s.most {
				s.add(t, []*difference{d})
				if len(s.found) > known {
					t.Errorf("HOWDAH_SEED=%d\n%s", seed, shortest(a, d))
				}
			}
		}
		if a.disturber != nil {
			a.disturber.line.leave()
		}
		if rounds++; len(s.found) == s.most {
			break
		}
	}
	t.Logf("%d programs in %v", rounds, time.Since(started))
}

// shortest looks for the shortest program that shows a difference.
func shortest(a *arena, d *difference) *difference {
	a.patience = shrinkPatience
	s := &shrinker{trial: trial{servers: 2}, arena: a, end: time.Now().Add(20 * time.Second), class: d.class()}
	shows := func(p program) *difference {
		if x := a.play(p); x != nil && x.class() == s.class {
			return x
		}
		return nil
	}
	d = s.shorten(d, shows)
	for x := d; x != nil && time.Now().Before(s.end); x = withoutMessage(d, shows) {
		d = x
	}
	return d
}

func (g dense) pick(c ...string) string { return c[g.IntN(len(c))] }

func (g dense) sql() string {
	return g.pick("begin", "begin", "commit", "commit", "rollback", "commit and chain", "rollback and chain", "deallocate s1", "deallocate s2", "deallocate all", "close all",
		"reset all", "reset application_name", "set application_name = 'x'", "set local application_name to default", "set local application_name = 'l'", "set application_name to default",
		"discard all", "select 1", "select 2", "select 1/0", "show application_name", "savepoint a", "rollback to a", "selec", "", "select generate_series(1, 3)",
		"set standard_conforming_strings = off", `select 'a\nb'`, `select 'a\nb'`, "select count(*) from t_0", "set search_path = elsewhere", "show standard_conforming_strings",
		"insert into t_0 (v) values ('x')", "insert into u_0 values (1, 'x')", "discard plans", "show search_path", "set transaction isolation level repeatable read", "begin isolation level repeatable read",
		"select set_config('my.x', 'v', false)", "select 'unset:', current_setting('my.x', true)")
}

func (g dense) name() string { return g.pick("", "s1", "s2", "s3") }

// portal names the unnamed one only where this pipeline has bound it, as
// grammar.pipeline does and for its reason.
func (g dense) portal(bound bool) string {
	if bound {
		return g.pick("", "p1", "p2")
	}
	return g.pick("p1", "p2")
}

func (g dense) pipeline() (m []pgproto3.FrontendMessage) {
	bound := false
	for range 1 + g.IntN(7) {
		switch n := g.IntN(22); {
		case n < 8:
			name, portal := g.name(), g.pick("", "", "p1", "p2") // mostly whole
			if name != "" && g.IntN(3) > 0 {
				m = append(m, closeMsg('S', name))
			}
			m = append(m, prepareMsg(name, g.sql()), bindMsg(portal, name))
			bound = bound || portal == ""
			if g.IntN(3) > 0 {
				m = append(m, executeMsg(portal, uint32(g.IntN(3))))
			}
		case n < 11:
			name, portal := g.name(), g.pick("", "p1", "p2")
			m = append(m, bindMsg(portal, name))
			if g.IntN(2) == 0 {
				m = append(m, executeMsg(portal, 0))
			}
			bound = bound || portal == ""
		case n < 15:
			m = append(m, executeMsg(g.portal(bound), uint32(g.IntN(2))))
		case n < 16:
			m = append(m, prepareMsg(g.name(), g.sql()))
		case n < 17:
			m = append(m, describeMsg('P', g.portal(bound)))
		case n < 18:
			m = append(m, describeMsg('S', g.name()))
		case n < 19:
			m = append(m, closeMsg('S', g.name()))
		case n < 20:
			m = append(m, closeMsg('P', g.portal(bound)))
		case n < 21:
			m = append(m, syncMsg)
			bound = false
		default:
			m = append(m, flush, &pause{})
		}
	}
	return append(m, syncMsg)
}

func (g dense) query() pgproto3.FrontendMessage {
	if g.IntN(5) == 0 {
		return query(g.pick("prepare s1 as select 7", "prepare s2 as select 8", "prepare q1 as select 1", "execute s1", "execute s2", "execute s3", "deallocate q1", "explain (costs off) execute s1"))
	}
	return query(g.sql())
}

func (g dense) program() program {
	var p program
	if g.IntN(2) == 0 {
		p.login = [][2]string{{"application_name", "mine"}}
	}
	for range 3 + g.IntN(8) {
		s := step{kind: "dense"}
		switch g.IntN(6) {
		case 0, 1:
			s.messages = []pgproto3.FrontendMessage{g.query()}
		case 2:
			for range 2 + g.IntN(3) {
				if g.IntN(2) == 0 {
					s.messages = append(s.messages, g.query())
				} else {
					s.messages = append(s.messages, g.pipeline()...)
				}
			}
		default:
			s.messages = g.pipeline()
		}
		p.steps = append(p.steps, s)
	}
	return p
}
