package members

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const twoMembers = `{"members": [
	{"name": "a", "role": "leader", "state": "running", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1", "port": 5432, "timeline": 3},
	{"name": "b", "role": "replica", "state": "running", "host": "db-b", "port": 5433, "timeline": 3, "lag": "unknown", "tags": {"noloadbalance": true, "clonefrom": true}}],
	"pause": true, "scheduled_switchover": {"at": "2030-01-01T00:00:00+00:00"}}`

func TestParseCluster(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want string // the members, or the error's words
	}{
		"leader and replica":   {twoMembers, `[{10.0.0.1:5432 true } {db-b:5433 false noloadbalance}]`},
		"IPv6":                 {`{"members": [{"role": "sync_standby", "host": "fd00::1", "port": 5432}]}`, `[{[fd00::1]:5432 false }]`},
		"of a standby cluster": {`{"members": [{"role": "standby_leader", "host": "a", "port": 1}]}`, `[{a:1 false }]`},
		"one being made":       {`{"members": [{"role": "leader", "host": "a", "port": 1}, {"name": "b", "role": "replica", "state": "creating replica"}]}`, `[{a:1 true }]`},
		"no hosts or ports":    {`{"members": [{"host": "/run", "port": 1}, {"host": "a@b", "port": 1}, {"host": "a", "port": 0}, {"host": "a", "port": 65536}, {"host": "b", "port": 2}]}`, `[{b:2 false }]`},
		"one address twice":    {`{"members": [{"host": "a", "port": 1}, {"host": "a", "port": 1, "role": "leader"}]}`, `[{a:1 false }]`},
		"tags of other types":  {`{"members": [{"host": "a", "port": 1, "tags": {"noloadbalance": "yes", "nofailover": true, "x": {"y": []}}}]}`, `[{a:1 false }]`},
		"two leaders":          {`{"members": [{"role": "leader", "host": "a", "port": 1}, {"role": "leader", "host": "b", "port": 1}]}`, "2 leaders"},
		"no members":           {`{"members": []}`, "no member"},
		"null":                 {`null`, "no member"},
		"another thing":        {`{"status": "ok"}`, "no member"},
		"a list":               {`[]`, "no list of members"},
		"a page":               {`<html>`, "no list of members"},
		"nothing":              {``, "no list of members"},
		"cut short":            {twoMembers[:100], "no list of members"},
		"a port in words":      {`{"members": [{"host": "a", "port": "x"}]}`, "no list of members"},
		"a fraction":           {`{"members": [{"host": "a", "port": 1.5}]}`, "no list of members"},
		"too many": {
			`{"members": [` + strings.TrimSuffix(strings.Repeat(`{"host": "%", "port": 1},`, maxMembers+1), ",") + `]}`,
			"101 members",
		},
	} {
		body := c.body
		for i := range strings.Count(body, "%") {
			body = strings.Replace(body, "%", fmt.Sprintf("h%d", i), 1)
		}
		found, err := parseCluster([]byte(body))
		if got := fmt.Sprint(found); err == nil && got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestElectNamed(t *testing.T) {
	in := func(r Role) *Member { return &Member{seen: seen{role: r}} }
	a, b := in(Primary), in(Primary)
	if electNamed(a, nil, false) != nil {
		t.Error("a primary stays that leads no more")
	}
	if electNamed(a, b, false) != b {
		t.Error("the leader is not followed, which is not in recovery")
	}
	b.seen.role = Standby
	if electNamed(a, b, false) != nil || electNamed(b, b, false) != nil {
		t.Error("a leader in recovery is taken for the primary, or who led before stays it")
	}
	b.seen.role = Unknown
	if electNamed(b, b, false) != b {
		t.Error("the leader is given up as it cannot be reached")
	}
	if electNamed(a, b, false) != nil || electNamed(nil, b, false) != nil {
		t.Error("a leader that was not asked yet is taken for the primary")
	}
	if electNamed(nil, b, true) != b {
		t.Error("where no member can be asked Patroni's word counts for nothing")
	}
}

// oracle is a Patroni that answers as it is told.
type oracle struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

func startOracle(t *testing.T) *oracle {
	o := &oracle{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		(*o.answer.Load())(w, r)
	}))
	t.Cleanup(o.Close)
	o.say(twoMembers)
	return o
}

func (o *oracle) do(h http.HandlerFunc) { o.answer.Store(&h) }

func (o *oracle) say(body string) {
	o.do(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); r.URL.Path != "/cluster" || user != "howdah" || password != "hunter2" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, body)
	})
}

func (o *oracle) url(t *testing.T) *url.URL {
	u, err := url.Parse(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("howdah", "hunter2")
	return u
}

// records is a log for tests.
type records struct {
	mu sync.Mutex
	bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Buffer.Write(p)
}

func (r *records) count(words string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.String(), words)
}

// watchOracles watches a cluster whose members are never reached.
func watchOracles(t *testing.T, all ...*oracle) (*Watch, *records) {
	log := &records{}
	cfg := Config{
		Patroni: &Patroni{Timeout: 500 * time.Millisecond},
		Connect: func(context.Context, string) (*pgconn.PgConn, error) { return nil, errors.New("nobody there") },
		Log:     slog.New(slog.NewTextHandler(log, nil)),
	}
	for _, o := range all {
		cfg.Patroni.URLs = append(cfg.Patroni.URLs, o.url(t))
	}
	w := New(cfg)
	t.Cleanup(w.Close)
	return w, log
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within 15 s: %s", what)
}

func addresses(w *Watch) (all []string) {
	for _, r := range w.Rows() {
		all = append(all, r.Address)
	}
	return all
}

// TestPatroniMisbehaves has both APIs answer in ways that are no answers: what was
// known stays, and the log has a line for each change.
func TestPatroniMisbehaves(t *testing.T) {
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	for name, bad := range map[string]http.HandlerFunc{
		"503": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, twoMembers)
		},
		"a page":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"hangs up":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no member": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"members": []}`) },
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			for range 3 * maxAnswer / 1000 {
				if _, err := fmt.Fprint(w, strings.Repeat(" ", 1000)); err != nil {
					return
				}
			}
			fmt.Fprint(w, twoMembers)
		},
		"slow": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			select {
			case <-stop:
			case <-time.After(patroniTimeout):
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := startOracle(t), startOracle(t)
			w, log := watchOracles(t, one, two)
			want := []string{"10.0.0.1:5432", "db-b:5433"}
			until(t, "two members", func() bool { return slices.Equal(addresses(w), want) })
			if two.asked.Load() != 0 {
				t.Error("the second API is asked while the first answers")
			}
			one.do(bad)
			two.do(bad)
			until(t, "each asked twice", func() bool { return two.asked.Load() >= 2 })
			if got := addresses(w); !slices.Equal(got, want) {
				t.Errorf("the members are %q", got)
			}
			if n := log.count("does not answer"); n != 2 {
				t.Errorf("%d lines for 2 APIs that do not answer", n)
			}
			two.say(twoMembers)
			until(t, "the second answers again", func() bool { return log.count("answers again") == 1 })
			asked := one.asked.Load()
			two.say(`{"members": [{"role": "leader", "host": "c", "port": 1}]}`)
			until(t, "another member", func() bool { return slices.Equal(addresses(w), []string{"c:1"}) })
			if one.asked.Load() != asked {
				t.Error("the first is asked while the second answers, which answered last")
			}
			for _, secret := range []string{"hunter2", "howdah:"} {
				if log.count(secret) > 0 {
					t.Errorf("the log has a secret:\n%s", log)
				}
			}
		})
	}
}

// TestPatroniChanges has members come, go and lead.
func TestPatroniChanges(t *testing.T) {
	o := startOracle(t)
	w, log := watchOracles(t, o)
	until(t, "two members", func() bool { return len(w.Rows()) == 2 })
	first := w.all()[0]
	o.say(`{"members": [{"role": "replica", "host": "c", "port": 1}, {"role": "replica", "host": "10.0.0.1", "port": 5432}]}`)
	until(t, "other members", func() bool { return slices.Equal(addresses(w), []string{"c:1", "10.0.0.1:5432"}) })
	if w.all()[1] != first || first.Gone() {
		t.Error("a member that stays is another")
	}
	until(t, "no leader", func() bool { return log.count("Patroni has no leader") == 1 })
	o.say(`{"members": [{"role": "leader", "host": "c", "port": 1}]}`)
	until(t, "one member", func() bool { return len(w.Rows()) == 1 })
	if !first.Gone() {
		t.Error("a member that has left is not gone")
	}
	until(t, "blind, the leader is the primary", func() bool { return w.Primary() != nil && w.Primary().Address == "c:1" })
}

// TestPatroniBars has a standby serve no reads that is tagged noloadbalance.
func TestPatroniBars(t *testing.T) {
	w := &Watch{cfg: Config{Patroni: &Patroni{}, Log: slog.New(slog.DiscardHandler)}, sampled: make(chan struct{}), hurry: make(chan struct{}, 1)}
	var stop context.CancelFunc
	w.ctx, stop = context.WithCancel(t.Context())
	stop() // nobody is followed
	at := func(r Role) seen {
		return seen{role: r, history: history{"1", 1}, lsn: 100, segment: segment16, started: "then", asked: Clock(), streamed: r == Standby}
	}
	w.take([]named{{address: "a", leads: true}, {address: "b"}})
	a, b := w.all()[0], w.all()[1]
	w.observe(a, at(Primary))
	w.observe(b, at(Standby))
	if w.Primary() != a || w.Standby(1) != b {
		t.Fatalf("primary %v, standby %v", w.Primary(), w.Standby(1))
	}
	w.take([]named{{address: "a", leads: true}, {address: "b", barred: "noloadbalance"}})
	if m := w.Standby(1); m != nil {
		t.Errorf("%s serves reads, tagged noloadbalance", m.Address)
	}
	w.observe(b, at(Standby))
	if rows := w.Rows(); w.Standby(1) != nil || rows[1].Ejected != "noloadbalance" {
		t.Errorf("it serves reads again, or nobody says why not: %+v", rows[1])
	}
	w.take([]named{{address: "a", leads: true}, {address: "b"}})
	w.observe(b, at(Standby))
	if w.Standby(1) != b {
		t.Error("it serves no reads without the tag")
	}
	w.observe(b, at(Primary)) // split brain
	if w.Primary() != a {
		t.Error("one is followed that does not lead")
	}
	w.take([]named{{address: "a"}, {address: "b", leads: true}})
	if w.Primary() != b {
		t.Error("the leader is not followed")
	}
	w.observe(a, seen{err: errProbe})
	w.take([]named{{address: "b"}})
	if w.Primary() != nil {
		t.Error("there is a primary without a leader")
	}
	w.observe(a, at(Primary)) // too late: it has left
	if w.Primary() != nil || a.Fresh() != 0 {
		t.Error("one that has left counts")
	}
	w.done.Wait()
}
