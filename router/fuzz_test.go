package router

import (
	"bytes"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"howdah/wire"
)

func callers() string { return string(debug.Stack()) }

// chooser makes the decisions of a generated program: from a fuzzer's bytes
// while there are any, then from a seed.
type chooser struct {
	bytes []byte
	rand  *rand.Rand
}

func (c *chooser) n(n int) int {
	if len(c.bytes) > 0 {
		b := c.bytes[0]
		c.bytes = c.bytes[1:]
		return int(b) % n
	}
	return c.rand.IntN(n)
}

func (c *chooser) one(of ...string) string { return of[c.n(len(of))] }

func (c *chooser) chance(percent int) bool { return c.n(100) < percent }

func ask(messages ...[]byte) (u []request) {
	for _, m := range messages {
		u = append(u, request{message: m})
	}
	return u
}

func query(text string) []byte { return wire.AppendString(nil, wire.Query, text) }

func parse(name, text string) []byte { return wire.AppendParse(nil, name, text, nil) }

func empty(typ byte) []byte { return wire.AppendEmpty(nil, typ) }

var (
	plainTexts = []string{"select 1", "select 2", "select 3", "select rows 3", "select 'now'", "notice", "copy out", ""}
	ownTexts   = []string{
		"set my.own=5", "set my.own=6", "reset my.own", "select pg_advisory_lock(1)", "select pg_advisory_unlock(1)",
		"create temp table t", "drop table t", "select pg_advisory_lock(1)", "select pg_advisory_unlock(1)",
	}
	stateTexts = []string{
		"begin", "begin read only", "commit", "rollback", "commit", "fail", "bad", "defer",
		"set application_name=x", "set application_name=none", "set TimeZone=Paris", "set TimeZone=UTC",
	}
)

func (c *chooser) text() string {
	if c.chance(60) {
		return c.one(plainTexts...)
	}
	if c.chance(20) {
		return c.one(ownTexts...)
	}
	return c.one(stateTexts...)
}

func (c *chooser) name() string   { return c.one("", "s1", "s2", "s3", "s1") }
func (c *chooser) portal() string { return c.one("", "", "", "p1") }

// unit returns messages that belong together.
func (c *chooser) unit() []request {
	switch c.n(14) {
	case 0, 1:
		return ask(query(c.text()))
	case 2:
		return ask(query(c.one("select 1;select 2", "begin;select 1", "select 1;commit", "select 1;fail;select 2",
			"set application_name=y;fail", "set application_name=y;select 1", "begin;fail", "deallocate all;fail")))
	case 3, 4:
		return c.pipeline()
	case 5, 6:
		name := c.name()
		return ask(parse(name, c.text()), bindMessage("", name), wire.AppendTarget(nil, wire.Describe, 'P', ""), executeMessage("", 0), empty(wire.Sync))
	case 7:
		return ask(bindMessage("", c.name()), executeMessage("", 0), empty(wire.Sync))
	case 8:
		return c.copyUnit(ask(query("copy in")), false)
	case 9:
		return c.copyUnit(ask(parse("cp", "copy in"), bindMessage("", "cp"), executeMessage("", 0)), true)
	case 10:
		return c.discardUnit()
	case 11:
		return ask(wire.AppendMessage(nil, wire.FunctionCall, []byte{0, 0, 952 >> 8, 952 & 255, 0, 0, 0, 0}))
	case 12:
		return ask(empty([]byte{wire.Sync, wire.Flush, wire.CopyDone}[c.n(3)]))
	default:
		return ask(query("begin"), query(c.text()), query(c.one("commit", "rollback")))
	}
}

// pipeline returns extended messages in any order.
func (c *chooser) pipeline() (u []request) {
	for range 1 + c.n(8) {
		var m []byte
		switch c.n(10) {
		case 0, 1:
			m = parse(c.name(), c.text())
		case 2, 3, 4:
			m = bindMessage(c.portal(), c.name())
		case 5:
			m = wire.AppendTarget(nil, wire.Describe, c.one("S", "P")[0], c.name())
		case 6, 7:
			m = executeMessage(c.portal(), c.n(3))
		case 8:
			m = wire.AppendTarget(nil, wire.Close, c.one("S", "S", "P")[0], c.name())
		default:
			m = empty(wire.Flush)
		}
		u = append(u, request{message: m, wait: c.chance(5)})
	}
	switch c.n(10) {
	case 0: // no Sync: the next unit goes on
	case 1:
		u = append(u, ask(query(c.text()), empty(wire.Sync))...)
	default:
		u = append(u, ask(empty(wire.Sync))...)
	}
	return u
}

// copyUnit sends data behind a COPY, waiting for the server's word or not.
func (c *chooser) copyUnit(u []request, extended bool) []request {
	if extended && c.chance(50) {
		u = append(u, ask(empty(wire.Sync))...)
	}
	first := len(u)
	for range c.n(3) {
		u = append(u, ask(wire.AppendMessage(nil, wire.CopyData, []byte(c.one("row", "row", "bad"))))...)
	}
	if c.chance(80) {
		u = append(u, ask(empty(wire.CopyDone))...)
	} else {
		u = append(u, ask(wire.AppendString(nil, wire.CopyFail, "no"))...)
	}
	u[first].wait = c.chance(60)
	if extended {
		u = append(u, ask(empty(wire.Sync))...)
	}
	return u
}

func (c *chooser) discardUnit() (u []request) {
	text := c.one("discard all", "deallocate all")
	if c.chance(50) {
		u = ask(query(text))
	} else {
		u = ask(empty(wire.Sync), parse("", text), bindMessage("", ""), executeMessage("", 0), empty(wire.Sync))
	}
	u[0].wait = true
	return append(u, ask(query("select 1"))...) // not to be bound again by a pipeline that goes on
}

// styleUnit changes a setting that Parse looks at, in front of a Parse or not.
func (c *chooser) styleUnit() []request {
	text := "set DateStyle=" + c.one("German", "SQL", "ISO")
	if c.chance(50) {
		return ask(query(text))
	}
	return ask(parse("", text), bindMessage("", ""), executeMessage("", 0), parse(c.name(), c.one(plainTexts...)), empty(wire.Sync))
}

func (c *chooser) programs(clients int) (all []program) {
	for range clients {
		p := program{startup: map[string]string{}, flees: c.chance(15), keeps: c.chance(10), sets: c.chance(20), blind: c.chance(5)}
		if c.chance(30) {
			p.startup["DateStyle"] = c.one("German", "SQL")
		}
		if c.chance(50) {
			p.startup["application_name"] = c.one("x", "y")
		}
		if c.chance(20) {
			p.startup["my.own"] = c.one("1", "2")
		}
		for range 1 + c.n(12) {
			p.units = append(p.units, c.unit())
			if p.sets && c.chance(30) {
				p.units = append(p.units, c.styleUnit())
			}
		}
		p.units = append(p.units, ask(empty(wire.CopyDone), empty(wire.Sync)))
		if c.chance(70) {
			p.units = append(p.units, ask(query("rollback")))
		}
		all = append(all, p)
	}
	return all
}

// tryPrograms generates and runs; what goes wrong is made as short as can be.
func tryPrograms(tb testing.TB, data []byte, seed uint64) {
	c := &chooser{bytes: data, rand: rand.New(rand.NewPCG(seed, 2))}
	clients, servers, limit := 1+c.n(4), 1+c.n(3), 1+c.n(4)
	programs := c.programs(clients)
	wrong, trace := runRig(seed, servers, limit, programs)
	if wrong == "" {
		return
	}
	wrong, trace, seed = shrink(seed, servers, limit, programs, wrong, trace)
	tb.Fatalf("seed %d, %d servers, limit %d: %s\n%s", seed, servers, limit, wrong, strings.Join(trace, "\n"))
}

// shrink leaves units, then messages, out of programs as long as something
// goes wrong.
func shrink(seed uint64, servers, limit int, programs []program, wrong string, trace []string) (string, []string, uint64) {
	try := func() bool {
		for s := seed; s < seed+20; s++ {
			if w, t := runRig(s, servers, limit, programs); w != "" {
				wrong, trace, seed = w, t, s
				return true
			}
		}
		return false
	}
	for again := true; again; {
		again = false
		for i := range programs {
			p := &programs[i]
			if had := p.startup; len(had) > 0 {
				if p.startup = nil; try() {
					again = true
				} else {
					p.startup = had
				}
			}
			for j := 0; j < len(p.units); j++ {
				units := p.units
				p.units = append(append([][]request(nil), units[:j]...), units[j+1:]...)
				if try() {
					again = true
					j--
					continue
				}
				p.units = units
				for k := 0; k < len(p.units[j]) && !whole(p.units[j]); k++ {
					u := p.units[j]
					p.units[j] = append(append([]request(nil), u[:k]...), u[k+1:]...)
					if try() {
						again = true
						k--
						continue
					}
					p.units[j] = u
				}
			}
		}
	}
	return wrong, trace, seed
}

// whole reports whether a unit makes sense only whole: it is a COPY, or has
// the server forget.
func whole(u []request) bool {
	for _, q := range u {
		if bytes.Contains(q.message, []byte(" all")) {
			return true
		}
		switch q.message[0] {
		case wire.CopyData, wire.CopyDone, wire.CopyFail:
			return true
		}
	}
	return false
}

// Whatever clients do, each sees what a server of its own would show it, and
// the books on every server are right. HOWDAH_SEED runs one seed again,
// HOWDAH_SEEDS as many as it says.
func TestSessionsSeeTheirOwnServer(t *testing.T) {
	first, n := uint64(1), uint64(1000)
	if s := os.Getenv("HOWDAH_SEED"); s != "" {
		one, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, n = one, 1
	}
	if s := os.Getenv("HOWDAH_SEEDS"); s != "" {
		n, _ = strconv.ParseUint(s, 10, 64)
	}
	for seed := first; seed < first+n; seed++ {
		tryPrograms(t, nil, seed)
	}
}

func FuzzSessions(f *testing.F) {
	f.Add(uint64(1), []byte{})
	f.Add(uint64(2), []byte("any bytes will do"))
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) { tryPrograms(t, data, seed) })
}
