package admin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/admin"
)

// allowedToStats is what stats users may do, apart from the table in the code:
// whoever lets them do more has to write it down here too (CVE-2026-6667 was a
// stats user who could KILL_CLIENT).
func allowedToStats() []string {
	return strings.Fields("HELP VERSION HOWDAH CONFIG DATABASES POOLS CLIENTS SERVERS PINS BUDGET STANDBYS BACKUPS WAL DRILLS TENANT_BACKUPS BLAME CLUSTERS TIERS JOBS EXPORTS DROPPED SOCKETS ACTIVE_SOCKETS STATS " +
		"STATS_TOTALS STATS_AVERAGES TOTALS TENANTS TOP USERS LISTS STATE MEM PEERS PEER_POOLS DNS_HOSTS DNS_ZONES CLIENT_ENCODING " +
		"DEFAULT_TRANSACTION_ISOLATION STANDARD_CONFORMING_STRINGS DATESTYLE TIMEZONE EXTRA_FLOAT_DIGITS")
}

// changes are the commands that change something, which stats users may not
// give, and what the router or the process is told of them.
func changes() map[string]string {
	return map[string]string{
		"SET pool_size = 3": "set", "RELOAD": "reload", "PAUSE acme": "pause acme", "RESUME acme": "resume acme",
		"DISABLE acme": "disable acme", "ENABLE acme": "enable acme", "RECONNECT acme": "reconnect acme",
		"KILL acme": "kill acme", "KILL_CLIENT 7": "kill_client 7", "SUSPEND": "suspend ",
		"SHUTDOWN": "shutdown", "WAIT_CLOSE acme": "wait acme",
	}
}

// operations are the statements that change the catalog, which stats users may not give.
func operations() []string {
	return []string{
		"CREATE TENANT x", "ALTER TENANT initech SET pool_size = 1", "SUSPEND TENANT initech", "RESUME TENANT initech",
		"GRACE TENANT initech", "ROTATE TENANT initech OVERLAP '0s'", "RENAME TENANT initech TO initrode",
		"EXPORT TENANT initech", "RESTORE TENANT initech TO 'latest'", "UNRESTORE TENANT initech", "CLONE TENANT initech AS initrode", "IMPORT TENANT x FROM 'acme.20260131T120000Z.abcdef'", "DROP TENANT initech", "UNDROP TENANT initech", "MOVE TENANT initech TO CLUSTER other", "PURGE TENANT initech",
		"CREATE CLUSTER x", "ALTER CLUSTER x SET budget = 3", "DROP CLUSTER x",
		"CREATE TIER x", "ALTER TIER x SET weight = 3", "DROP TIER x",
		"CREATE TOKEN x ROLE admin", "ROTATE TOKEN x", "DROP TOKEN x", "CANCEL JOB x", "RESUME JOB x", "END REVIEW",
		"SHOW AUDIT", "SHOW TOKENS", // which change nothing, and are not for stats users either
	}
}

// TestEveryCommandForEveryRole gives every command of the table, each written
// down here too, as a user of every role: in full, in all the other ways that
// reach it, and with arguments that it does not take.
func TestEveryCommandForEveryRole(t *testing.T) {
	t.Parallel()
	h, pooler := newHouse(t), busyPooler()
	h.add(t, "initech")
	c := h.console(pooler)
	c.SetSetting = func(string, string) error { pooler.called("set"); return nil }
	c.Reload = func() error { pooler.called("reload"); return nil }
	c.Shutdown = func(admin.ShutdownMode) { pooler.called("shutdown") }
	server := startConsole(t, c)
	told := map[string]string{"SHOW FDS": ""} // by full command, for admins only
	full := map[string]string{"SHOW FDS": "SHOW FDS"}
	for text, what := range changes() {
		name, _, _ := strings.Cut(text, " ")
		told[text], full[name] = what, text
	}
	for _, text := range operations() {
		name := strings.Join(strings.Fields(text)[:2], " ")
		told[text], full[name] = "", text
	}
	for _, show := range allowedToStats() {
		full["SHOW "+show] = "SHOW " + show
	}
	for _, c := range admin.Commands() {
		if full[c.Name] == "" {
			t.Errorf("%s is written down for no role", c.Name)
		}
	}
	if len(full) != len(admin.Commands()) {
		t.Errorf("%d commands are written down, there are %d", len(full), len(admin.Commands()))
	}
	for _, user := range []string{"boss", "both", "peer", "watcher"} {
		conn := server.connect(t, user, "howdah")
		for name, text := range full {
			what, adminsOnly := told[text]
			before := len(pooler.history())
			refused := user == "watcher" && adminsOnly
			for _, spelling := range spellings(text) {
				if got := isRefused(t, conn, spelling); got != refused {
					t.Errorf("%s: %q: refused %v, want %v", user, spelling, got, refused)
				}
			}
			for _, odd := range []string{name, name + " acme", name + " 7", name + ` "x y"`, name + " nosuch", name + " = 3", name + " TO x"} {
				if user == "watcher" {
					isRefused(t, conn, odd) // or is no command: nothing may come of it
				}
			}
			done := pooler.history()[before:]
			if user == "watcher" || what == "" {
				if len(done) > 0 {
					t.Errorf("%s: %s changed something: %q", user, text, done)
				}
			} else if len(done) != len(spellings(text)) || done[0] != what {
				t.Errorf("%s: of %s the router was told %q, want %q", user, text, done, what)
			}
		}
	}
	if all := h.records(t, "watcher"); len(all) > 0 {
		t.Errorf("a stats user has changed the catalog: %+v", all)
	}
	if all := h.records(t, "peer"); len(all) < len(operations()) { // some cannot be done twice
		t.Errorf("an admin's changes are not in the audit log: %+v", all)
	}
}

// spellings returns ways to write one command.
func spellings(text string) []string {
	verb, rest, _ := strings.Cut(text, " ")
	all := []string{text, strings.ToLower(text) + ";", "  " + verb + "\n\t" + rest + " ; ", "/* SHOW */ " + text + " -- POOLS", `"` + verb + `" ` + rest}
	if verb == "SHOW" {
		all = append(all, "SELECT "+rest, `select "`+rest+`"`)
	}
	return all
}

// isRefused reports whether a command is refused for the user's role.
func isRefused(t *testing.T, conn *pgconn.PgConn, text string) bool {
	t.Helper()
	_, err := ask(conn, text)
	var e *pgconn.PgError
	if err != nil && !errors.As(err, &e) {
		t.Fatalf("%q: %v", text, err)
	}
	return e != nil && e.Code == "42501"
}

func TestOthersAreTurnedAway(t *testing.T) {
	t.Parallel()
	server := startConsole(t, &admin.Console{})
	_, err := server.tryConnect("acme", "howdah")
	e := wantCode(t, err, "28000")
	if e.Severity != "FATAL" || !strings.Contains(e.Message, `"acme"`) || !strings.Contains(e.Hint, "stats_users") {
		t.Errorf("got %+v", e)
	}
	server = startConsole(t, &admin.Console{Roles: func(string) admin.Role { return admin.RoleNone }})
	if _, err := server.tryConnect("boss", "howdah"); err == nil {
		t.Error("a user without a role came in")
	}
	server.connect(t, "peer", "howdah")
}

func TestRoleOf(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]admin.Role{
		"boss": admin.RoleAdmin, "both": admin.RoleAdmin, "watcher": admin.RoleStats, "": admin.RoleNone, "Boss": admin.RoleNone,
	} {
		if got := testRoles(user); got != want {
			t.Errorf("user %q is %v, want %v", user, got, want)
		}
	}
}
