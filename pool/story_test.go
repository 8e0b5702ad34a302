package pool

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Each story in testdata/budget is a workload and what must come of it. See
// README.txt there for the words.
func TestBudgetStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/budget/*.txt")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d stories found, error %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if name == "README" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				tell(t, file, seed)
			}
		})
	}
}

func tell(t *testing.T, file string, seed uint64) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &story{sim: &simulator{
		random: rand.New(rand.NewPCG(seed, 3)), byShare: map[*Share]*simTenant{},
		connect: 5 * time.Millisecond, close: time.Millisecond,
	}}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := s.line(words); err != nil {
			t.Errorf("%s:%d, seed %d: %v", filepath.Base(file), n, seed, err)
		}
	}
}

// story plays the lines of one file.
type story struct {
	sim *simulator
	ran time.Duration
}

func (s *story) line(words []string) error {
	args, err := pairs(words[1:])
	if err != nil && words[0] != "want" {
		return err
	}
	switch words[0] {
	case "budget":
		a := &s.sim.arbiter
		c := BudgetConfig{Seats: args.number("seats", 0), Reserve: args.number("reserve", -1)}
		a.seats, a.reserve, a.quantum = c.Seats, c.reserve(), args.span("quantum", DefaultQuantum)
	case "tenants":
		for range args.number("count", 1) {
			s.tenant(args)
		}
	case "run":
		s.ran += args.span("for", 0)
		s.sim.run(s.ran)
	case "want":
		return s.want(words[1:])
	default:
		return fmt.Errorf("unknown word %q", words[0])
	}
	return args.err
}

func (s *story) tenant(a *arguments) {
	h := &Share{rest: DefaultQuantum / restful}
	h.weight, h.min = float64(a.number("weight", 1)), a.number("min", 0)
	t := &simTenant{sim: s.sim, group: a.words["name"], share: h, limit: a.number("limit", 1000)}
	s.sim.tenants = append(s.sim.tenants, t)
	s.sim.byShare[h] = t
	t.start(simLoad{
		clients: a.number("clients", 1), depth: a.number("depth", 1),
		query: a.span("query", time.Millisecond), think: a.span("think", 0), from: a.span("from", 0), until: a.span("until", 0),
	})
}

// want checks a figure: its name, a group of tenants, "at most" or "at least",
// and the value.
func (s *story) want(words []string) error {
	if len(words) != 5 {
		return fmt.Errorf("want has five words: figure, group, at, most or least, value")
	}
	figure, group := words[0], words[1]
	got, err := s.figure(figure, group)
	if err != nil {
		return err
	}
	bound, err := strconv.ParseFloat(words[4], 64)
	if d, derr := time.ParseDuration(words[4]); err != nil && derr == nil {
		bound, err = d.Seconds(), nil
	}
	if err != nil {
		return err
	}
	if words[3] == "most" && got > bound || words[3] == "least" && got < bound {
		return fmt.Errorf("%s of %s is %.4g, wanted %s %s", figure, group, got, words[3], words[4])
	}
	return nil
}

func (s *story) figure(name, group string) (float64, error) {
	var rounds []float64
	var waits []time.Duration
	held := 0
	for _, t := range s.sim.tenants {
		if t.group == group || group == "all" {
			rounds = append(rounds, float64(t.rounds))
			waits = append(waits, t.waits...)
			held += t.share.held
		}
	}
	if len(rounds) == 0 {
		return 0, fmt.Errorf("no tenants are called %q", group)
	}
	slices.Sort(rounds)
	slices.Sort(waits)
	switch name {
	case "seats":
		return float64(s.sim.peak), nil
	case "held":
		return float64(held) / float64(len(rounds)), nil
	case "rounds":
		return rounds[0], nil // of the tenant that had the fewest
	case "throughput":
		sum := 0.0
		for _, r := range rounds {
			sum += r
		}
		return sum / s.ran.Seconds(), nil
	case "fairness":
		return jain(rounds), nil
	case "p99":
		return waits[len(waits)*99/100].Seconds(), nil
	case "moves":
		return float64(s.sim.arbiter.moved) / s.ran.Seconds(), nil
	}
	return 0, fmt.Errorf("unknown figure %q", name)
}

// jain is Jain's index of fairness: 1 where all are equal, 1/n where one has
// everything.
func jain(x []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum * sum / (float64(len(x)) * squares)
}

// arguments are the words of a line in pairs.
type arguments struct {
	words map[string]string
	err   error
}

func pairs(words []string) (*arguments, error) {
	a := &arguments{words: map[string]string{}}
	if len(words)%2 != 0 {
		return a, fmt.Errorf("words come in pairs: %q", words)
	}
	for i := 0; i < len(words); i += 2 {
		a.words[words[i]] = words[i+1]
	}
	return a, nil
}

func (a *arguments) number(name string, other int) int {
	if a.words[name] == "" {
		return other
	}
	n, err := strconv.Atoi(a.words[name])
	if err != nil {
		a.err = err
	}
	return n
}

func (a *arguments) span(name string, other time.Duration) time.Duration {
	if a.words[name] == "" {
		return other
	}
	d, err := time.ParseDuration(a.words[name])
	if err != nil {
		a.err = err
	}
	return d
}
