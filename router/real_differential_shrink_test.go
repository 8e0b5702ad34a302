package router_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// shrinkTime bounds the search for short programs.
const shrinkTime = 60 * time.Second

// shrinkPatience is shorter than patience, so that a hanging program can be
// played often.
const shrinkPatience = 2 * time.Second

// disturber is a client that takes a server before one step of a program and
// gives it back before the next, so that a program played alone changes
// servers. Its settings may differ from everybody's.
type disturber struct {
	line *line
}

// disturb logs a disturber in.
func disturb(t *testing.T, h *house, address string, sets bool) *disturber {
	t.Helper()
	var login [][2]string
	if sets {
		login = [][2]string{
			{"application_name", "disturber"}, {"TimeZone", "Asia/Tokyo"}, {"DateStyle", "German"}, {"search_path", "pg_catalog"},
		}
	}
	l, err := dialLine(h, address, "acme", login, shrinkPatience)
	if err != nil {
		t.Fatal(err)
	}
	d := &disturber{line: l}
	if !sets {
		return d
	}
	for _, setting := range []string{
		"enable_seqscan = off", "work_mem = '9MB'", "my.x = 'disturbed'", "default_transaction_isolation = 'repeatable read'",
		"default_transaction_read_only = on", "standard_conforming_strings = off", "IntervalStyle = iso_8601", "bytea_output = escape",
	} {
		l.exchange(step{messages: []pgproto3.FrontendMessage{query("set " + setting)}})
	}
	return d
}

// turn comes before step i of the other client.
func (d *disturber) turn(i int) error {
	if d == nil {
		return nil
	}
	s := step{messages: []pgproto3.FrontendMessage{query("begin"), query("select 1")}}
	if i%2 == 1 {
		s = step{messages: []pgproto3.FrontendMessage{query("commit"), query("discard plans")}}
	}
	if got := d.line.exchange(s); len(got) == 0 || got[len(got)-1].typ != 'Z' {
		return errors.New(notation(got))
	}
	return nil
}

// trial is a smaller arena in which a difference may show.
type trial struct {
	name     string
	servers  int
	disturbs bool
	sets     bool      // the disturber changes settings
	others   []program // of other clients
	together bool      // all play at the same time, not the others first
}

func (tr trial) repeats() int {
	if tr.together {
		return 3
	}
	return 1
}

// trials are tried from the most to the least telling.
func (s scene) trials(found *difference) []trial {
	all := []trial{
		{name: "alone", servers: 1},
		{name: "alone, with a client that makes it change servers", servers: 2, disturbs: true},
		{name: "alone, with a client that makes it change servers and their settings", servers: 2, disturbs: true, sets: true},
	}
	var others []program
	for n := range s.clients {
		if n != found.program.client {
			others = append(others, compose(found.program.seed, n, s.kinds))
		}
	}
	for _, p := range others {
		all = append(all, trial{name: fmt.Sprintf("after client %d", p.client), servers: 1, others: []program{p}})
	}
	for _, p := range others {
		all = append(all, trial{name: fmt.Sprintf("beside client %d", p.client), servers: 1, others: []program{p}, together: true})
	}
	return append(all, trial{name: "beside other clients", servers: s.servers, others: others, together: true})
}

// shrink looks for the smallest arena and the shortest program that show the
// difference.
func (s scene) shrink(t *testing.T, h *house, found *difference, patience time.Duration) {
	end := time.Now().Add(max(patience, 5*time.Second))
	for _, tr := range s.trials(found) {
		if time.Now().After(end) {
			break
		}
		ok := false
		t.Run("Trial", func(t *testing.T) { ok = tr.run(t, h, found, s.known, end) })
		if ok {
			return
		}
	}
	t.Errorf("the difference shows neither alone nor with the same clients; play the round again")
}

// shrinker plays ever shorter programs.
type shrinker struct {
	trial
	arena *arena
	end   time.Time
	class string
	tries int
}

// run says whether the difference shows, and prints the shortest program.
func (tr trial) run(t *testing.T, h *house, found *difference, known *regexp.Regexp, end time.Time) bool {
	s := &shrinker{trial: tr, end: end, class: found.class()}
	s.arena = &arena{house: h, door: h.open(t, poolSize(tr.servers), patientLimits), known: known, patience: shrinkPatience}
	shortest := s.shows(t, found.program, tr.others)
	if shortest == nil {
		return false
	}
	shows := func(p program) *difference { return s.shows(t, p, tr.others) }
	shortest = s.shorten(shortest, shows)
	for d := shortest; d != nil && time.Now().Before(end); d = withoutMessage(shortest, shows) {
		shortest = d
	}
	var text strings.Builder
	for _, p := range s.shortenOthers(t, shortest.program) {
		fmt.Fprintf(&text, "\nclient %d:\n%s", p.client, p)
	}
	t.Errorf("shrunk in %d tries, %s (%d servers)\n%s%s", s.tries, tr.name, tr.servers, shortest, text.String())
	return true
}

// shortenOthers drops other clients, and then their steps.
func (s *shrinker) shortenOthers(t *testing.T, p program) []program {
	others := slices.Clone(s.others)
	for i := len(others) - 1; i >= 0 && len(others) > 1 && time.Now().Before(s.end); i-- {
		if fewer := slices.Delete(slices.Clone(others), i, i+1); s.shows(t, p, fewer) != nil {
			others = fewer
		}
	}
	for i, other := range others {
		d := s.shorten(&difference{program: other, at: -1}, func(shorter program) *difference {
			changed := slices.Clone(others)
			changed[i] = shorter
			if s.shows(t, p, changed) == nil {
				return nil
			}
			return &difference{program: shorter, at: -1}
		})
		others[i] = d.program
	}
	return others
}

// shows returns the difference of the same class that p still has, on servers
// that nobody used.
func (s *shrinker) shows(t *testing.T, p program, others []program) *difference {
	s.tries++
	programs := []program{p}
	if s.together {
		programs = append(programs, others...)
	}
	for range s.repeats() {
		s.arena.newServers(t)
		if s.disturbs {
			s.arena.disturber = disturb(t, s.arena.house, s.arena.door.address, s.sets)
		}
		for _, other := range others {
			if !s.together {
				s.arena.play(other)
			}
		}
		found := s.arena.playAll(programs)
		if s.disturbs {
			s.arena.disturber.line.leave()
		}
		for _, d := range found {
			if d.program.client == p.client && d.class() == s.class {
				return d
			}
		}
	}
	return nil
}

// newServers ends the router's servers, so that nothing is left in them.
func (a *arena) newServers(t *testing.T) {
	t.Helper()
	if !poll(func() bool {
		a.house.sql(t, "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'acme' and usename = 'acme'")
		p := a.door.pool("acme")
		return p.ServersActive+p.ServersIdle+p.ServersUsed+p.ServersTested+p.ServersLogin+p.ServersBeingClosed == 0
	}) {
		t.Fatalf("terminated servers stay in the pool: %+v", a.door.pool("acme"))
	}
}

// shorten drops steps, first many at a time. Pairs are tried again after
// single ones: a disturber's turns come in pairs.
func (s *shrinker) shorten(d *difference, shows func(program) *difference) *difference {
	if d.at >= 0 {
		p := d.program
		p.steps = p.steps[:d.at+1]
		if shorter := shows(p); shorter != nil {
			d = shorter
		}
	}
	for size := max(1, len(d.program.steps)/2); size > 0 && time.Now().Before(s.end); {
		switch shorter := s.without(d, size, shows); {
		case shorter == nil:
			size /= 2
		case size == 1:
			d, size = shorter, 2
		default:
			d = shorter
		}
	}
	return d
}

// without drops size steps, as late ones as can be.
func (s *shrinker) without(d *difference, size int, shows func(program) *difference) *difference {
	for from := len(d.program.steps) - size; from >= 0 && time.Now().Before(s.end); from -= max(1, size/2) {
		p := d.program
		p.steps = slices.Concat(p.steps[:from], p.steps[from+size:])
		if shorter := shows(p); shorter != nil {
			return shorter
		}
	}
	return nil
}

// withoutMessage drops one message of a step, or the startup parameters.
func withoutMessage(d *difference, shows func(program) *difference) *difference {
	for i := range d.program.login {
		p := d.program
		p.login = slices.Delete(slices.Clone(p.login), i, i+1)
		if shorter := shows(p); shorter != nil {
			return shorter
		}
	}
	for i, s := range d.program.steps {
		if s.kind == "copy" {
			continue
		}
		for j := len(s.messages) - 1; j >= 0; j-- {
			if _, ok := s.messages[j].(*pgproto3.Bind); ok {
				continue // see grammar.pipeline
			}
			p := d.program
			p.steps = slices.Clone(p.steps)
			p.steps[i].messages = slices.Delete(slices.Clone(s.messages), j, j+1)
			if !p.steps[i].answered() {
				continue
			}
			if shorter := shows(p); shorter != nil {
				return shorter
			}
		}
	}
	return nil
}
