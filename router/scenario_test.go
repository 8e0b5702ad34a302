package router

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"howdah/tenants"
	"howdah/wire"
)

var update = flag.Bool("update", false, "record what the machine does in testdata/session; read the diff")

// scenario plays one file of testdata/session: events begin in the first
// column, what the machine does about them is indented below. README.txt there
// describes the notation.
type scenario struct {
	ddl      uint64 // changes of the database
	shared   shared
	sessions map[string]*session
	backends map[string]*backend
	name     string // of the session that acts
	waiting  []byte // message to be presented again
	lines    []string
}

// The machine does in each scenario what its file says.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../testdata/session/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d scenarios found, error %v", len(files), err)
	}
	for _, file := range files {
		if filepath.Base(file) == "README.txt" {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playFile(t, file) })
	}
}

func playFile(t *testing.T, file string) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sc := &scenario{sessions: map[string]*session{}, backends: map[string]*backend{}}
	sc.choose("A")
	for i, line := range strings.Split(strings.TrimRight(string(want), "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		sc.lines = append(sc.lines, line)
		if line == "" || line[0] == '#' {
			continue
		}
		words, err := splitLine(line)
		if err == nil {
			err = sc.event(words)
		}
		if err != nil {
			t.Fatalf("%s:%d: %s: %v", file, i+1, line, err)
		}
	}
	got := strings.Join(sc.lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	wantLines := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(wantLines) || wantLines[i] != line {
			t.Fatalf("%s:%d: the machine does\n%s\nwhole:\n%s", file, i+1, line, got)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: the machine does less than is written:\n%s", file, got)
	}
}

var scenarioBase = []wire.Parameter{{Name: "DateStyle", Value: "ISO, MDY"}, {Name: "TimeZone", Value: "UTC"}, {Name: "application_name", Value: ""}}

func (sc *scenario) choose(name string) *session {
	sc.name = name
	s := sc.sessions[name]
	if s == nil {
		s = &session{mode: tenants.Transaction, status: wire.TxIdle, shared: &sc.shared, ddl: &sc.ddl, limit: 100}
		s.vars = sc.shared.vars.of(scenarioBase)
		s.startup, s.base = s.vars, s.vars
		sc.sessions[name] = s
	}
	return s
}

func (sc *scenario) say(what string, lines ...string) {
	for _, line := range lines {
		sc.lines = append(sc.lines, "  "+strings.TrimSpace(what+" "+line))
	}
}

func (sc *scenario) event(words []string) error {
	s := sc.choose(sc.name)
	switch words[0] {
	case "session":
		sc.choose(words[1])
	case "startup":
		s.vars = sc.shared.vars.with(s.vars, words[1], words[2])
		s.startup = s.vars
	case "limit":
		n, err := strconv.Atoi(words[1])
		s.limit = int32(n)
		return err
	case "mode":
		mode, err := tenants.ParsePoolMode(words[1])
		s.mode = mode
		return err
	case "assigned":
		sc.assign(s, append(words, "one")[1])
	case "over":
		s.quota = newOverQuota("acme", tenants.Usage{Size: 3 << 30, Quota: 2 << 30})
	case "within":
		s.quota = nil
	case "released":
		s.released()
	case "leaves":
		sc.say("", "endable "+yes(s.endable())+", rolls back "+yes(s.rollsBack())+", unfinished "+yes(s.unfinished()))
	case "closed":
		s.close()
		sc.say("", "statements kept: "+strconv.Itoa(len(sc.shared.statements.known)))
	case "subscribed":
		s.subscribed(sc.shared.channels)
		sc.present(s, sc.waiting)
	case "unsubscribed":
		s.unheard = &wire.Error{Severity: "ERROR", Code: words[1], Message: "cannot listen"}
		sc.present(s, sc.waiting)
	case "barrier":
		s.passed()
		sc.left(s, nil)
	case "again":
		sc.present(s, sc.waiting)
	case "client:":
		b, err := message(clientNames, words[1:])
		if err != nil {
			return err
		}
		sc.present(s, b)
	case "client-huge:":
		b := parse(words[1], strings.Repeat("x", maxParse))
		sc.present(s, b)
	case "client-many:":
		n, err := strconv.Atoi(words[1])
		if err != nil {
			return err
		}
		return sc.many(s, n, words[2:])
	case "server:":
		b, err := message(serverNames, words[1:])
		if err != nil {
			return err
		}
		sc.answer(s, b)
	default:
		_, err := message(nil, words)
		return err
	}
	return nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (sc *scenario) assign(s *session, name string) {
	b := sc.backends[name]
	if b == nil {
		b = newBackend(sc.shared.vars.of(scenarioBase))
		sc.backends[name] = b
	}
	s.assigned(b)
	if sc.waiting != nil {
		sc.present(s, sc.waiting)
	}
}

var verbNames = map[verb]string{
	verbForward: "forward", verbRewrite: "rewrite", verbDrop: "drop", verbAcquire: "acquire",
	verbStall: "stall", verbLeave: "leave", verbRefuse: "refuse", verbSubscribe: "subscribe",
}

func (sc *scenario) present(s *session, b []byte) {
	h, _, _ := wire.ParseHeader(b)
	v := s.fromClient(h, b[:min(len(b), peek(h))])
	sc.waiting = nil
	if v == verbAcquire || v == verbStall || v == verbSubscribe {
		sc.waiting = b
	}
	sc.say("", verbNames[v])
	up := sc.shared.toServer
	switch v {
	case verbForward:
		up = append(up, b...)
	case verbRewrite:
		up = append(up, b[sc.shared.used:]...)
	}
	sc.left(s, up)
}

// many presents a message n times and says only how the last one fared.
func (sc *scenario) many(s *session, n int, words []string) error {
	b, err := message(clientNames, words)
	if err != nil {
		return err
	}
	h, _, _ := wire.ParseHeader(b)
	for i := range n {
		if v := s.fromClient(h, b); i == n-1 {
			sc.say("", "the last: "+verbNames[v])
		}
		sc.shared.toServer = sc.shared.toServer[:0]
	}
	return nil
}

func (sc *scenario) answer(s *session, b []byte) {
	what := "drop"
	if b[0] == wire.DataRow || b[0] == wire.CopyData {
		if s.plain() {
			what = "forward"
		} else if s.looksAt() {
			s.lookRow(b[wire.HeaderLen:])
		}
	} else if v, err := s.fromServer(b[0], b[wire.HeaderLen:]); err != nil {
		what = "error: " + err.Error()
	} else {
		what = verbNames[v]
	}
	sc.say("", what)
	sc.left(s, sc.shared.toServer)
}

// left says what the machine left for both sides, and whether the server can go.
func (sc *scenario) left(s *session, up []byte) {
	sc.say("to server:", describe(clientNames, up)...)
	sc.say("to client:", describe(serverNames, sc.shared.toClient)...)
	sc.shared.toServer, sc.shared.toClient = sc.shared.toServer[:0], sc.shared.toClient[:0]
	if s.held && s.releasable() {
		sc.say("", "releasable")
	}
}
