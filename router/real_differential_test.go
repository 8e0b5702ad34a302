package router_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"howdah/tenants"
)

// The differential tester, in the files named real_differential_*, plays random
// programs of protocol messages twice: to PostgreSQL directly, on a connection
// of the client's own, and through a router in transaction mode with fewer
// servers than clients. Every reply must be the same, but for what
// testdata/differential/allowed.md lists.
//
//	HOWDAH_SEED=7                        plays only that round
//	HOWDAH_KINDS=transactions,settings   uses only these kinds of steps
//	HOWDAH_SOAK=1h                       plays new rounds for that long, at 16 clients on 3 servers
//	HOWDAH_CLIENTS=4 HOWDAH_SERVERS=1    changes the crowd
//	HOWDAH_KNOWN='field L|login:'        passes over differences whose text matches
//	HOWDAH_SURVEY=20                     goes on to that many different differences

// differentialSeeds are the rounds that are played without HOWDAH_SOAK.
const differentialSeeds = 60

// TestSoakDifferential plays rounds until one differs. The difference is then
// looked for with fewer clients and fewer steps, and the shortest program that
// shows it is printed.
func TestSoakDifferential(t *testing.T) {
	h := startHouse(t)
	sc := newScene(t)
	mirror(t, h, sc.clients, sc.kinds)
	s := survey{most: number(t, "HOWDAH_SURVEY", 1)}
	t.Run("Rounds", func(t *testing.T) {
		a := &arena{house: h, door: h.open(t, poolSize(sc.servers), patientLimits), known: sc.known, patience: patience}
		rounds, started := 0, time.Now()
		for seed := range seeds(t, differentialSeeds) {
			s.add(t, a.round(seed, sc.clients, sc.kinds))
			if rounds++; len(s.found) == s.most {
				break
			}
		}
		t.Logf("%d rounds of %d clients on %d servers in %v: %s", rounds, sc.clients, sc.servers, time.Since(started), &a.tally)
		a.door.atRest(t)
	})
	for _, d := range s.found {
		t.Errorf("HOWDAH_SEED=%d HOWDAH_CLIENTS=%d HOWDAH_SERVERS=%d, client %d (%d times)\n%s",
			d.program.seed, sc.clients, sc.servers, d.program.client, s.times[d.class()], d)
		t.Run("Shrink", func(t *testing.T) { sc.shrink(t, h, d, shrinkTime/time.Duration(len(s.found))) })
	}
}

// scene is who plays what.
type scene struct {
	clients, servers int
	kinds            []kind
	known            *regexp.Regexp // differences to pass over, nil: none
}

func newScene(t *testing.T) scene {
	t.Helper()
	clients, servers := 6, 2
	if os.Getenv("HOWDAH_SOAK") != "" {
		clients, servers = 16, 3
	}
	return scene{
		clients: number(t, "HOWDAH_CLIENTS", clients), servers: number(t, "HOWDAH_SERVERS", servers),
		kinds: chosenKinds(t), known: knownDifferences(t),
	}
}

// survey collects differences, one of each class.
type survey struct {
	most  int
	found []*difference
	times map[string]int
}

// add tells of a class the first time it is seen: a long run need not end first.
func (s *survey) add(t *testing.T, found []*difference) {
	if s.times == nil {
		s.times = map[string]int{}
	}
	for _, d := range found {
		if s.times[d.class()]++; s.times[d.class()] == 1 && len(s.found) < s.most {
			s.found = append(s.found, d)
			t.Logf("HOWDAH_SEED=%d, client %d:\n%s", d.program.seed, d.program.client, d)
		}
	}
}

// patientLimits let many clients hold servers for long, and servers keep few
// statements.
func patientLimits(s *setup) {
	limits(func(l *tenants.Limits) { l.QueryWaitTimeout, l.MaxPreparedStatements = 2*patience, 12 })(s)
}

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// knownDifferences compiles HOWDAH_KNOWN.
func knownDifferences(t *testing.T) *regexp.Regexp {
	t.Helper()
	text := os.Getenv("HOWDAH_KNOWN")
	if text == "" {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		t.Fatalf("HOWDAH_KNOWN: %v", err)
	}
	return re
}

// seeds yields the rounds to play: so many where nothing else is asked for.
func seeds(t *testing.T, most uint64) func(yield func(uint64) bool) {
	t.Helper()
	if os.Getenv("HOWDAH_SEED") != "" {
		seed := uint64(number(t, "HOWDAH_SEED", 0))
		return func(yield func(uint64) bool) { yield(seed) }
	}
	first := uint64(1)
	if os.Getenv("HOWDAH_SOAK") != "" {
		first = rand.Uint64() >> 12 // so that testers side by side do not play the same
	}
	end := time.Now().Add(soakTime(t, 20*time.Second))
	return func(yield func(uint64) bool) {
		for seed := first; time.Now().Before(end); seed++ {
			if first == 1 && seed > most || !yield(seed) {
				return
			}
		}
	}
}

// mirrorDatabase is the one that is only used directly. The tenant acme's own
// is only used through the router.
const mirrorDatabase = "mirror"

// mirror makes the same schema in both databases, with tables for each client.
func mirror(t *testing.T, h *house, clients int, kinds []kind) {
	t.Helper()
	h.sql(t, "create role reader", "grant reader to acme", "create database "+mirrorDatabase+" owner acme",
		"revoke all on database "+mirrorDatabase+" from public")
	schema := []string{"grant create on schema public to acme"}
	for n := range clients {
		schema = append(schema, fmt.Sprintf(`create table t_%[1]d (id serial primary key, v text, n int check (n >= 0));
			create table u_%[1]d (k int unique deferrable initially deferred, v text);
			create sequence q_%[1]d owned by u_%[1]d.k;
			alter table t_%[1]d owner to acme; alter table u_%[1]d owner to acme; alter sequence q_%[1]d owner to acme;
			grant select on t_%[1]d to reader`, n))
	}
	for _, k := range kinds {
		if k.name == "taint" {
			schema = append(schema, taintSchema...)
		}
	}
	h.sql(t, schema...)
	ctx, cancel := contextWithPatience()
	defer cancel()
	if err := h.Exec(ctx, mirrorDatabase, schema...); err != nil {
		t.Fatal(err)
	}
}

// arena is where programs are played.
type arena struct {
	house     *house
	door      *door
	known     *regexp.Regexp // differences to pass over, nil: none
	disturber *disturber     // nil: none
	patience  time.Duration  // for each message
	tally     tally
}

// tally counts what PostgreSQL answered, to see what a run has covered.
type tally struct {
	mu     sync.Mutex
	counts map[string]int // by type of message and SQLSTATE, or tag
}

func (y *tally) count(replies []reply) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.counts == nil {
		y.counts = map[string]int{}
	}
	y.counts["steps"]++
	for _, r := range replies {
		switch r.typ {
		case 'E', 'N':
			y.counts[string(r.typ)+" "+fields(r.body)['C']]++
		case 'C':
			y.counts["C "+details.ReplaceAllString(strings.TrimRight(string(r.body), "\x00"), "n")]++
		case 'Z':
			y.counts["Z "+string(r.body)]++
		default:
			y.counts[string(r.typ)]++
		}
	}
}

func (y *tally) String() string {
	var all []string
	for what, n := range y.counts {
		all = append(all, fmt.Sprintf("%s: %d", what, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// round plays one program per client at the same time and returns the
// differences.
func (a *arena) round(seed uint64, clients int, kinds []kind) []*difference {
	programs := make([]program, clients)
	for n := range programs {
		programs[n] = compose(seed, n, kinds)
	}
	return a.playAll(programs)
}

func (a *arena) playAll(programs []program) (found []*difference) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range programs {
		wg.Go(func() {
			if d := a.play(p); d != nil && (a.known == nil || !a.known.MatchString(d.String())) {
				mu.Lock()
				found = append(found, d)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return found
}

// program is what one client sends: one step after the other, each answered
// before the next.
type program struct {
	seed   uint64
	client int
	login  [][2]string // startup parameters
	steps  []step
}

// String writes the program in the notation of its messages.
func (p program) String() string {
	var b strings.Builder
	for _, l := range p.login {
		fmt.Fprintf(&b, "  login      %s=%s\n", l[0], l[1])
	}
	for i, s := range p.steps {
		fmt.Fprintf(&b, "  %2d %s", i, s)
	}
	return b.String()
}

// difference is a step of a program that PostgreSQL and the router answered
// differently.
type difference struct {
	program         program
	at              int // the step, -1 for the login
	reason          string
	direct, through []reply
}

// String writes the program up to the difference, and both answers.
func (d *difference) String() string {
	upTo := d.program
	upTo.steps = upTo.steps[:d.at+1]
	return fmt.Sprintf("%s%s\nPostgreSQL:\n%sHowdah:\n%s", upTo, d.reason, notation(d.direct), notation(d.through))
}

var details = regexp.MustCompile(`"(\\.|[^"\\])*"|\d+`)

// class is the same for differences that look alike.
func (d *difference) class() string {
	kind := "login"
	if d.at >= 0 {
		kind = d.program.steps[d.at].kind
	}
	return kind + " " + details.ReplaceAllString(d.reason, "_")
}

func notation(replies []reply) string {
	var b strings.Builder
	for _, r := range replies {
		fmt.Fprintf(&b, "    %s\n", r)
	}
	return b.String()
}
