package provision_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"howdah/provision"
)

var update = flag.Bool("update", false, "record what is planned in testdata/plan; read the diff")

const (
	tenantA  = "aaaaaaaa-0000-4000-8000-000000000001"
	tenantB  = "bbbbbbbb-0000-4000-8000-000000000002"
	verifier = "SCRAM-SHA-256$4096:cXd1aWRqd2lvZGhqd2tkZA==$uW3BMExcgDsTNoTg4dAm9ckdeT0i7aMTCjyUn0d4XBg=:EBJqqYXlgjL6bAH1MdXy9WKgMPtLkDmhsn4b4iVsEaw="
	another  = "SCRAM-SHA-256$4096:YW5vdGhlcnNhbHRoZXJlMQ==$EBJqqYXlgjL6bAH1MdXy9WKgMPtLkDmhsn4b4iVsEaw=:uW3BMExcgDsTNoTg4dAm9ckdeT0i7aMTCjyUn0d4XBg="
)

// shorthand is what the files write for what is long.
var shorthand = []string{"$A", tenantA, "$B", tenantB, "$V", verifier}

// Each file of testdata/plan holds operations, what a cluster holds, and what is
// planned: lines that begin in the first column are input, the planner's answer
// is indented. An operation's line forgets the cluster before it.
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/plan/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files found, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playPlans(t, file) })
	}
}

func playPlans(t *testing.T, file string) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var p plans
	for i, line := range strings.Split(strings.TrimRight(string(want), "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		p.out = append(p.out, line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := p.line(expand(line)); err != nil {
			t.Fatalf("%s:%d: %s: %v", file, i+1, line, err)
		}
	}
	got := strings.Join(p.out, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got != string(want) && !*update {
		t.Errorf("%s is planned otherwise (-update records it):\n%s", file, diff(string(want), got))
	}
}

// diff returns the lines from the first that differs on.
func diff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\n got %s", i+1, w[i], g[i])
		}
	}
	return "one is longer than the other"
}

func expand(s string) string { return strings.NewReplacer(shorthand...).Replace(s) }

func shorten(s string) string {
	turned := make([]string, len(shorthand))
	for i := range shorthand {
		turned[i] = shorthand[i^1]
	}
	return strings.NewReplacer(turned...).Replace(s)
}

type plans struct {
	op    provision.Operation
	state provision.State
	out   []string
}

func (p *plans) line(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "server":
		return json.Unmarshal([]byte(rest), &p.state.Version)
	case "database":
		var d provision.Database
		err := strictly(rest, &d)
		p.state.Databases = append(p.state.Databases, d)
		return err
	case "role":
		var r provision.Role
		err := strictly(rest, &r)
		p.state.Roles = append(p.state.Roles, r)
		return err
	case "setting":
		var set provision.Setting
		err := strictly(rest, &set)
		p.state.Settings = append(p.state.Settings, set)
		return err
	case "plan":
		p.answer(provision.Plan(p.op, p.state))
		return nil
	case "undo":
		p.answer(provision.Undo(p.op, p.state))
		return nil
	}
	p.state = provision.State{Version: 150004, Admin: "postgres"}
	return p.operation(word, rest)
}

func (p *plans) operation(word, rest string) (err error) {
	switch word {
	case "create":
		p.op, err = operation[provision.Create](rest)
	case "warm":
		p.op, err = operation[provision.Warm](rest)
	case "clone":
		p.op, err = operation[provision.Clone](rest)
	case "suspend":
		p.op, err = operation[provision.Suspend](rest)
	case "resume":
		p.op, err = operation[provision.Resume](rest)
	case "rename":
		p.op, err = operation[provision.Rename](rest)
	case "rotate":
		p.op, err = operation[provision.Rotate](rest)
	case "configure":
		p.op, err = operation[provision.Configure](rest)
	case "drop":
		p.op, err = operation[provision.Drop](rest)
	case "undrop":
		p.op, err = operation[provision.Undrop](rest)
	case "purge":
		p.op, err = operation[provision.Purge](rest)
	case "receive":
		p.op, err = operation[provision.Receive](rest)
	case "arrive":
		p.op, err = operation[provision.Arrive](rest)
	case "admit":
		p.op, err = operation[provision.Admit](rest)
	case "exchange":
		p.op, err = operation[provision.Exchange](rest)
	case "reach":
		p.op, err = operation[provision.Reach](rest)
	default:
		return fmt.Errorf("unknown word %q", word)
	}
	return err
}

func operation[O provision.Operation](text string) (O, error) {
	var op O
	return op, strictly(text, &op)
}

func strictly(text string, into any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func (p *plans) answer(steps []provision.Step, err error) {
	text := "nothing to do"
	switch {
	case err != nil:
		text = "error: " + err.Error()
		for name, sentinel := range map[string]error{
			"ErrConflict": provision.ErrConflict, "ErrNotFound": provision.ErrNotFound, "ErrInvalid": provision.ErrInvalid,
		} {
			if errors.Is(err, sentinel) {
				text = name + ": " + strings.TrimPrefix(err.Error(), sentinel.Error()+": ")
			}
		}
	case len(steps) > 0:
		var b strings.Builder
		for _, s := range steps {
			b.WriteString(s.String())
		}
		text = strings.TrimRight(b.String(), "\n")
	}
	for line := range strings.SplitSeq(shorten(text), "\n") {
		p.out = append(p.out, "  "+line)
	}
}
