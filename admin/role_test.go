package admin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/admin"
)

// allowedToStats is what stats users may do, apart from the table in the code:
// whoever lets them do more has to write it down here too (CVE-2026-6667 was a
// stats user who could KILL_CLIENT).
func allowedToStats() []string {
	return strings.Fields("HELP VERSION HOWDAH CONFIG DATABASES POOLS CLIENTS SERVERS PINS BUDGET BLAME SOCKETS ACTIVE_SOCKETS STATS " +
		"STATS_TOTALS STATS_AVERAGES TOTALS TENANTS TOP USERS LISTS STATE MEM PEERS PEER_POOLS DNS_HOSTS DNS_ZONES CLIENT_ENCODING " +
		"DEFAULT_TRANSACTION_ISOLATION STANDARD_CONFORMING_STRINGS DATESTYLE TIMEZONE EXTRA_FLOAT_DIGITS")
}

func TestEveryCommandForEveryRole(t *testing.T) {
	t.Parallel()
	console := &admin.Console{
		SetSetting: func(string, string) error { return nil },
		Reload:     func() error { return nil },
		Shutdown:   func(admin.ShutdownMode) {},
	}
	pooler := busyPooler()
	console.Pooler = pooler
	server := startConsole(t, console)
	// What to add to a command's name to make it complete.
	arguments := map[string]string{"SET": "pool_size = 3", "KILL_CLIENT": "7", "RESUME": "acme"}
	for _, user := range []string{"boss", "both", "peer", "watcher"} {
		conn := server.connect(t, user, "howdah")
		for _, c := range admin.Commands() {
			for _, text := range []string{c.Name + " " + arguments[c.Name], strings.ToLower(c.Name) + " acme", c.Name + " 7"} {
				before := len(pooler.history())
				_, err := ask(conn, text)
				var e *pgconn.PgError
				if err != nil && !errors.As(err, &e) {
					t.Fatalf("%s: %q: %v", user, text, err)
				}
				refused := e != nil && e.Code == "42501"
				show, isShow := strings.CutPrefix(c.Name, "SHOW ")
				mayStats := isShow && slices.Contains(allowedToStats(), show)
				want := user == "watcher" && !mayStats
				// Behind a SHOW or a SET there is nothing to add, so these
				// may be invalid before anybody's role matters.
				invalid := e != nil && e.Code == "42601"
				if refused != want && !(invalid && text != c.Name+" "+arguments[c.Name]) {
					t.Errorf("%s: %q: refused %v, want %v (%v)", user, text, refused, want, err)
				}
				if user == "watcher" && len(pooler.history()) != before {
					t.Errorf("%s: %q changed something: %q", user, text, pooler.history()[before:])
				}
			}
		}
	}
	if !slices.Contains(pooler.history(), "kill_client 7") {
		t.Errorf("admins killed nobody: %q", pooler.history())
	}
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
