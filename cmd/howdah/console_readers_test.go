package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// shows is a console's answers, by what SHOW was asked for, as the programs in
// testdata/clients/go/console and testdata/python/console.py print them.
type shows map[string]struct {
	Columns, Types []string
	Rows           [][]any
}

// value returns what the first row with these leading values has in a column.
func (s shows) value(show, column string, leading ...string) string {
	at := slices.Index(s[show].Columns, column)
	for _, row := range s[show].Rows {
		match := at >= 0
		for i, v := range leading {
			match = match && fmt.Sprint(row[i]) == v
		}
		if match {
			return fmt.Sprint(row[at])
		}
	}
	return "nothing"
}

// consolePlace is a running `howdah serve` with one tenant and an operator who
// may do everything and one who may look.
type consolePlace struct {
	server  *postgres.Server
	port    int
	config  string
	environ []string
}

const consolePassword = "console secret"

func startConsolePlace(t *testing.T) *consolePlace {
	t.Helper()
	server := wiretest.StartPostgres(t)
	dir := t.TempDir()
	p := &consolePlace{server: server, port: wiretest.FreePort(t), config: filepath.Join(dir, "howdah.toml")}
	p.environ = append(os.Environ(), "PGHOST=127.0.0.1", "PGPORT="+strconv.Itoa(p.port), "PGPASSWORD="+consolePassword,
		"PGSSLMODE=disable", "PGCONNECT_TIMEOUT=30", "LC_ALL=C")
	var text strings.Builder
	fmt.Fprintf(&text, "[listen]\naddresses = [\"127.0.0.1:%d\"]\nunix_socket_dir = \"\"\n", p.port)
	fmt.Fprintf(&text, "[admin]\nhttp = \"\"\nusers = [\"boss\"]\nstats_users = [\"watcher\"]\n")
	fmt.Fprintf(&text, "[defaults]\npool_size = 7\n[server]\nmax_client_conn = 321\n")
	fmt.Fprintf(&text, "[[cluster]]\nname = \"main\"\nmembers = [%q]\n", server.Address())
	text.WriteString("[[tenant]]\nname = \"acme\"\n")
	for _, name := range []string{"acme", "boss", "watcher"} {
		wiretest.CreateTenant(t, server, name, consolePassword)
		fmt.Fprintf(&text, "[[user]]\nname = %q\nverifier = %q\n", name, wiretest.Verifier(t, server, name))
	}
	if err := os.WriteFile(p.config, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p.serve(t, buildProgram(t, "howdah", "."))
	return p
}

// buildProgram compiles a package, in the folder dir if it is another module's.
func buildProgram(t *testing.T, name, dir string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return program
}

func (p *consolePlace) serve(t *testing.T, program string) {
	t.Helper()
	cmd := exec.Command(program, "serve", "-c", p.config)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Howdah's log:\n%s", log.String())
		}
	})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := p.connect(t, "boss", "howdah")
		if err == nil {
			conn.Close(t.Context())
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Howdah does not answer: %v", err)
		}
	}
}

func (p *consolePlace) connect(t *testing.T, user, database string) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s sslmode=disable", p.port, user, database))
	if err != nil {
		t.Fatal(err)
	}
	c.Password, c.DefaultQueryExecMode = consolePassword, pgx.QueryExecModeSimpleProtocol
	return pgx.ConnectConfig(t.Context(), c)
}

// run runs a reader as user on one of the console's databases.
func (p *consolePlace) run(t *testing.T, user, database string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(slices.Clone(p.environ), "PGUSER="+user, "PGDATABASE="+database)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command[0], err, errors.String())
	}
	return string(out)
}

// read is run for the programs that print JSON.
func (p *consolePlace) read(t *testing.T, user, database string, command ...string) shows {
	t.Helper()
	found := shows{}
	if err := json.Unmarshal([]byte(p.run(t, user, database, command...)), &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestConsoleReaders has programs that others wrote read every SHOW of a
// console whose figures are known: psql, lib/pq and psycopg2.
func TestConsoleReaders(t *testing.T) {
	t.Parallel()
	p := startConsolePlace(t)
	busy, err := p.connect(t, "acme", "acme")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close(context.Background())
	for _, text := range slices.Concat(slices.Repeat([]string{"select 1"}, 9), []string{"begin; select 2"}) {
		if _, err := busy.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	var all []string
	for _, c := range admin.Commands() {
		if show, ok := strings.CutPrefix(c.Name, "SHOW "); ok && show != "HELP" && !c.NeedsCatalog() {
			all = append(all, show)
		}
	}
	pq := buildProgram(t, "pq", "../../testdata/clients/go/console")
	python := []string{"/usr/bin/python3", "../../testdata/python/console.py"}
	for _, database := range []string{"howdah", "pgbouncer"} {
		byPQ := p.read(t, "boss", database, append([]string{pq}, all...)...)
		byPython := p.read(t, "boss", database, append(python, all...)...)
		for name, got := range map[string]shows{"lib/pq": byPQ, "psycopg2": byPython} {
			t.Run(database+" by "+name, func(t *testing.T) { checkFigures(t, got, all) })
		}
		for _, show := range all {
			if !slices.Equal(byPQ[show].Columns, byPython[show].Columns) || !slices.Equal(byPQ[show].Types, byPython[show].Types) {
				t.Errorf("SHOW %s: lib/pq reads %+v, psycopg2 %+v", show, byPQ[show], byPython[show])
			}
			header, _, _ := strings.Cut(p.run(t, "boss", database, "psql", "-X", "-A", "-c", "SHOW "+show+";"), "\n")
			if want := strings.Join(byPQ[show].Columns, "|"); header != want {
				t.Errorf("SHOW %s: psql's header is %q, want %q", show, header, want)
			}
		}
	}
	// Who may only look reads the same, but for the descriptors.
	all = slices.DeleteFunc(all, func(show string) bool { return show == "FDS" })
	checkFigures(t, p.read(t, "watcher", "pgbouncer", append([]string{pq}, all...)...), all)
}

// checkFigures looks at what exporters and dashboards show.
func checkFigures(t *testing.T, got shows, all []string) {
	t.Helper()
	for _, show := range all {
		if len(got[show].Columns) == 0 {
			t.Errorf("SHOW %s was not answered", show)
		}
	}
	for _, figure := range []struct{ want, got string }{
		{"PgBouncer 1.25.2", got.value("VERSION", "version")},
		{"1", fmt.Sprint(len(got["VERSION"].Columns))},
		{"4", fmt.Sprint(len(got["CONFIG"].Columns))},
		{"321", got.value("CONFIG", "value", "max_client_conn")},
		{"7", got.value("CONFIG", "value", "default_pool_size")},
		{"7", got.value("DATABASES", "pool_size", "acme")},
		{"1", got.value("DATABASES", "current_connections", "acme")},
		{"1", got.value("DATABASES", "current_client_connections", "acme")},
		{"0", got.value("DATABASES", "paused", "acme")},
		{"10", got.value("STATS_TOTALS", "query_count", "acme")},
		{"9", got.value("STATS_TOTALS", "xact_count", "acme")},
		{"10", got.value("STATS", "total_query_count", "acme")},
		{"1", got.value("POOLS", "cl_active", "acme", "acme")},
		{"0", got.value("POOLS", "cl_waiting", "acme", "acme")},
		{"1", got.value("POOLS", "sv_active", "acme", "acme")},
		{"0", got.value("POOLS", "maxwait", "acme", "acme")},
		{"<nil>", got.value("POOLS", "load_balance_hosts", "acme", "acme")},
		{"2", got.value("LISTS", "items", "databases")},
		{"1", got.value("LISTS", "items", "used_servers")},
		{"active", got.value("CLIENTS", "state", "C", "acme")},
		{"active", got.value("SERVERS", "state", "S", "acme")},
		{"yes", got.value("STATE", "value", "active")},
	} {
		if figure.got != figure.want {
			t.Errorf("got %q where %q should be", figure.got, figure.want)
		}
	}
}

// TestSetAndReload changes a limit by SET, which holds until RELOAD.
func TestSetAndReload(t *testing.T) {
	t.Parallel()
	p := startConsolePlace(t)
	size := func() string {
		return strings.TrimSpace(p.run(t, "boss", "howdah", "psql", "-X", "-A", "-t", "-c", "SHOW DATABASES"))
	}
	if !strings.Contains(size(), "|acme||7|") {
		t.Fatalf("SHOW DATABASES: %s", size())
	}
	for _, step := range []struct{ command, tag, row string }{
		{"SET default_pool_size = 3", "SET default_pool_size=3", "|acme||3|"},
		{"SET query_wait_timeout = '5s';", "SET query_wait_timeout=5s", "|acme||3|"},
		{"RELOAD", "RELOAD", "|acme||7|"},
	} {
		if out := p.run(t, "boss", "howdah", "psql", "-X", "-A", "-c", step.command); strings.TrimSpace(out) != step.tag {
			t.Errorf("%s: %q", step.command, out)
		}
		if got := size(); !strings.Contains(got, step.row) {
			t.Errorf("after %s SHOW DATABASES has no %q:\n%s", step.command, step.row, got)
		}
	}
}
