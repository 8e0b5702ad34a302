package main

import (
	"io"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"howdah/admin"
	"howdah/admin/api"
	"howdah/admin/fleet"
	"howdah/router"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// desk is an API to which the commands of the test talk. It begins jobs and runs none.
type desk struct {
	t       *testing.T
	catalog *catalog.Catalog
	tokens  map[string]string // by role
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	url := wiretest.StartPostgres(t).AdminURL(postgres.Superuser)
	c, err := catalog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	d := &desk{t: t, catalog: c, tokens: map[string]string{"none": "howdah_nobody"}}
	d.change(func(tx *catalog.Tx) error {
		for _, role := range []string{"viewer", "operator", "admin", "tenant"} {
			token := catalog.Token{Name: role, Role: role}
			if role == "tenant" {
				token.Tenant = "acme"
			}
			d.tokens[role] = catalog.NewTokenText()
			if _, err := tx.AddToken(token, d.tokens[role]); err != nil {
				return err
			}
		}
		return nil
	})
	s, err := tenants.NewSnapshot([]tenants.Cluster{{Name: "main", AdminURL: url}}, []tenants.Tier{{Name: "gold"}, {Name: "silver"}},
		[]tenants.Tenant{{Name: "acme", Cluster: "main", Database: "acme", User: "acme"}, {Name: "globex", Cluster: "main", Database: "globex", User: "globex"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	registry := tenants.NewRegistry(s)
	f, err := fleet.New(t.Context(), "node", fleet.Config{
		Catalog: c, Registry: registry, Log: slog.New(slog.DiscardHandler), Check: func([]catalog.Entry) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Config{
		Registry: registry, Version: "test", Log: slog.New(slog.DiscardHandler), Console: &admin.Console{Pooler: noPooler{}},
		Fleet: func() (*fleet.Fleet, error) { return f, nil },
	}))
	t.Cleanup(server.Close)
	t.Chdir(t.TempDir()) // where no .howdah is, nor above
	t.Setenv("HOWDAH_URL", server.URL)
	d.as("admin")
	return d
}

// noPooler has no figures.
type noPooler struct{ admin.Pooler }

func (noPooler) Budgets() []router.BudgetRow { return nil }

func (noPooler) Usage() map[string]tenants.Usage { return nil }

func (d *desk) as(role string) { d.t.Setenv("HOWDAH_TOKEN", d.tokens[role]) }

func (d *desk) change(f func(*catalog.Tx) error) {
	d.t.Helper()
	if err := d.catalog.Change(d.t.Context(), catalog.Actor{Name: "test"}, f); err != nil {
		d.t.Fatal(err)
	}
}

// job begins one.
func (d *desk) job(kind, tenant string) (o *catalog.Operation) {
	d.t.Helper()
	d.change(func(tx *catalog.Tx) (err error) {
		o, err = tx.Begin(kind, tenant, nil)
		return err
	})
	return o
}

const anID = "00000000-0000-4000-8000-000000000000"

// commandRoles are the commands that talk to the API, each with arguments and the least
// role that may give it. NAME is a tenant: who is bound to it may give those of ownCommands.
func commandRoles() map[string]string {
	return map[string]string{
		"tenant create x":                  "operator",
		"tenant list":                      "viewer",
		"tenant show NAME":                 "viewer",
		"tenant set NAME pool_size=1":      "operator",
		"tenant suspend NAME":              "operator",
		"tenant resume NAME":               "operator",
		"tenant rename NAME y":             "operator",
		"tenant clone NAME copy":           "admin",
		"tenant move NAME --to main":       "operator",
		"tenant restore NAME --to latest":  "admin",
		"tenant restore NAME --undo --yes": "admin",
		"tenant export NAME":               "operator",
		"tenant exports NAME":              "viewer",
		"tenant grace NAME":                "operator",
		"tenant rotate NAME":               "admin",
		"tenant reseal":                    "admin",
		"tenant drop NAME":                 "admin",
		"tenant undrop NAME":               "admin",
		"tenant purge NAME":                "admin",
		"cluster add x":                    "admin",
		"cluster list":                     "viewer",
		"cluster show main":                "viewer",
		"cluster set main budget=1":        "admin",
		"cluster remove main":              "admin",
		"tier add x":                       "admin",
		"tier list":                        "viewer",
		"tier show gold":                   "viewer",
		"tier set gold weight=1":           "admin",
		"tier remove gold":                 "admin",
		"token create x":                   "admin",
		"token list":                       "admin",
		"token rotate x":                   "admin",
		"token remove x":                   "admin",
		"job list":                         "viewer",
		"job show " + anID:                 "viewer",
		"job watch " + anID:                "viewer",
		"job cancel " + anID:               "operator",
		"job resume " + anID:               "operator",
		"job end-review":                   "admin",
		"audit list":                       "admin",
		"audit export":                     "admin",
		"audit verify":                     "admin",

		"tenant import x --from acme.20260131T120000Z.abcdef": "admin",
	}
}

func ownCommands() []string { return []string{"tenant show NAME"} }

// TestEveryCommandForEveryRole gives every command that talks to the API with a token of
// every role. One that is in no row of the table fails.
func TestEveryCommandForEveryRole(t *testing.T) {
	d := newDesk(t)
	missing := apiCommands(newRootCommand())
	for line, least := range commandRoles() {
		args := strings.Fields(line)
		cmd, _, err := newRootCommand().Find(args)
		if err != nil {
			t.Fatal(err)
		}
		delete(missing, cmd.CommandPath())
		for _, flag := range []string{"no-wait", "yes"} {
			if cmd.Flags().Lookup(flag) != nil {
				args = append(args, "--"+flag)
			}
		}
		for _, name := range []string{"acme", "globex"} {
			for rank, role := range []string{"none", "tenant", "viewer", "operator", "admin"} {
				d.as(role)
				given := slices.Clone(args)
				if i := slices.Index(given, "NAME"); i >= 0 {
					given[i] = name
				}
				may := rank > 1 && rank >= slices.Index([]string{"none", "tenant", "viewer", "operator", "admin"}, least)
				if role == "tenant" {
					may = name == "acme" && slices.Contains(ownCommands(), line)
				}
				code, _, said := runCommand(t, given...)
				refused := code == exitFailed && (strings.Contains(said, "which does not allow this") || strings.Contains(said, "no such token"))
				if refused == may || code == exitUsage {
					t.Errorf("howdah %s as %s: exit code %d: %s", strings.Join(given, " "), role, code, said)
				}
			}
		}
	}
	for path := range missing {
		t.Errorf("%s: the table does not say who may", path)
	}
}

// apiCommands are the paths of the commands that talk to the API.
func apiCommands(root *cobra.Command) map[string]bool {
	all := map[string]bool{}
	for _, group := range root.Commands() {
		if slices.Contains([]string{"tenant", "cluster", "tier", "token", "job", "audit"}, group.Name()) {
			for _, cmd := range group.Commands() {
				all[cmd.CommandPath()] = true
			}
		}
	}
	return all
}

// Every command that prints data has --json.
func TestEveryListHasJSON(t *testing.T) {
	for _, group := range newRootCommand().Commands() {
		for _, cmd := range group.Commands() {
			if slices.Contains([]string{"list", "show", "create", "set", "add", "verify", "watch"}, cmd.Name()) && cmd.Flags().Lookup("json") == nil {
				t.Errorf("%s has no --json", cmd.CommandPath())
			}
			destroys := slices.Contains([]string{"drop", "purge", "remove"}, cmd.Name()) && group.Name() != "token"
			if destroys && cmd.Flags().Lookup("yes") == nil {
				t.Errorf("%s has no --yes: it does not ask", cmd.CommandPath())
			}
		}
	}
}

func TestCompletion(t *testing.T) {
	d := newDesk(t)
	job := d.job("suspend", "acme")
	for line, want := range map[string]string{
		"tenant show ":                   "acme globex",
		"tenant show g":                  "globex",
		"tenant show acme ":              "",
		"tenant create ":                 "",
		"tenant create x --cluster ":     "main",
		"tenant create x --tier s":       "silver",
		"tenant set acme pool_s":         "pool_size=",
		"tenant undrop ":                 "",
		"tier set ":                      "gold silver",
		"cluster set main replication_u": "replication_url=",
		"token remove t":                 "tenant",
		"token rotate v":                 "viewer",
		"token create x --tenant a":      "acme",
		"job cancel ":                    job.ID + "\tsuspend acme queued",
		"job list --tenant ":             "acme globex",
	} {
		args := strings.Split(line, " ")
		code, out, said := runCommand(t, append([]string{"__complete"}, args...)...)
		var got []string
		for text := range strings.Lines(out) {
			if !strings.HasPrefix(text, ":") {
				got = append(got, strings.TrimSpace(text))
			}
		}
		if code != 0 || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q: %s", line, got, want, said)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, said := runCommand(t, "completion", shell); code != 0 || !strings.Contains(out, "howdah") {
			t.Errorf("completion %s: %d %s", shell, code, said)
		}
	}
	t.Setenv("HOWDAH_URL", "http://127.0.0.1:1") // nobody is there: nothing is completed, and nothing said
	if code, out, _ := runCommand(t, "__complete", "tenant", "show", ""); code != 0 || !strings.HasPrefix(out, ":") {
		t.Errorf("%d %s", code, out)
	}
}

// heard is what a command says, and tells when it has said something.
type heard struct {
	mu     sync.Mutex
	text   strings.Builder
	awaits string
	said   chan struct{} // closed when it has said what is awaited
	once   sync.Once
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(p)
	if strings.Contains(h.text.String(), h.awaits) {
		h.once.Do(func() { close(h.said) })
	}
	return len(p), nil
}

// TestWatchTellsProgress has a job go on while a command follows it.
func TestWatchTellsProgress(t *testing.T) {
	d := newDesk(t)
	for state, want := range map[catalog.State]int{catalog.Done: exitDone, catalog.Failed: exitFailed} {
		o := d.job("suspend", "of-"+string(state))
		said := &heard{awaits: "suspend of-" + string(state) + ": running 1/2 close the database\n", said: make(chan struct{})}
		ended := make(chan error, 1)
		go func() { ended <- run(t.Context(), []string{"job", "watch", o.ID}, io.Discard, said) }()
		taken, err := d.catalog.Take(t.Context(), o.ID, "node", time.Minute)
		if err != nil || taken == nil {
			t.Fatal(taken, err)
		}
		if err := d.catalog.NoteStep(t.Context(), taken, "close the database", true, 1, 2); err != nil {
			t.Fatal(err)
		}
		select {
		case <-said.said:
		case <-time.After(time.Minute):
			t.Fatal("the command does not tell of the step")
		}
		d.change(func(tx *catalog.Tx) error { return tx.End(taken, state, "it was so", nil) })
		select {
		case err := <-ended:
			if exitCode(err) != want || want == exitFailed && !strings.Contains(err.Error(), "it was so") {
				t.Errorf("%s: %v", state, err)
			}
		case <-time.After(time.Minute):
			t.Fatal("the command does not end")
		}
		code, out, errs := runCommand(t, "job", "watch", o.ID, "--json")
		if code != want || want == exitDone && !strings.Contains(out, `"state": "done"`) {
			t.Errorf("%d %s %s", code, out, errs)
		}
	}
	if code, _, _ := runCommand(t, "job", "watch", anID); code != exitNotFound {
		t.Errorf("a job that is not there: exit code %d", code)
	}
}
