package admin_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"howdah/admin"
	"howdah/router"
)

// TestCommandsOnDatabases gives each command, what the router is to be told of
// it, and what the client. The messages are PgBouncer's.
func TestCommandsOnDatabases(t *testing.T) {
	t.Parallel()
	p := busyPooler()
	conn := startConsole(t, &admin.Console{Pooler: p}).connect(t, "boss", "howdah")
	for _, step := range []struct {
		text, told    string
		trouble       error
		code, message string
	}{
		{text: "PAUSE", told: "pause "},
		{text: `pause "globex";`, told: "pause globex"},
		{text: "PAUSE nosuch", told: "pause nosuch", code: "3D000", message: "no such database: nosuch"},
		{text: "PAUSE pgbouncer", code: "55000", message: "cannot pause admin db: pgbouncer"},
		{text: "PAUSE howdah", code: "55000", message: "cannot pause admin db: howdah"},
		{text: "PAUSE acme", told: "pause acme", trouble: router.ErrPaused, code: "55000", message: "already suspended/paused"},

		{text: "RESUME", told: "resume "},
		{text: "RESUME acme", told: "resume acme"},
		{text: "RESUME", told: "resume ", trouble: router.ErrNotPaused, code: "55000", message: "pooler is not paused/suspended"},
		{text: "RESUME", told: "resume ", trouble: router.ErrShuttingDown, code: "55000", message: "pooler is shutting down"},
		{text: "RESUME globex", told: "resume globex", trouble: router.ErrNotPaused, code: "55000", message: "database globex is not paused"},
		{text: "RESUME nosuch", told: "resume nosuch", code: "3D000", message: "no such database: nosuch"},

		{text: "DISABLE acme", told: "disable acme"},
		{text: "DISABLE", code: "55000", message: "a database is required"},
		{text: "DISABLE nosuch", told: "disable nosuch", code: "3D000", message: "no such database: nosuch"},
		{text: "DISABLE pgbouncer", code: "55000", message: "cannot disable admin db: pgbouncer"},
		{text: "ENABLE acme", told: "enable acme"},
		{text: "ENABLE", code: "55000", message: "a database is required"},
		{text: "ENABLE nosuch", told: "enable nosuch", code: "3D000", message: "no such database: nosuch"},
		{text: "ENABLE howdah", code: "55000", message: "cannot enable admin db: howdah"},

		{text: "RECONNECT", told: "reconnect "},
		{text: "reconnect acme;", told: "reconnect acme"},
		{text: "RECONNECT nosuch", told: "reconnect nosuch", code: "3D000", message: "no such database: nosuch"},
		{text: "RECONNECT howdah", code: "55000", message: "cannot reconnect admin db: howdah"},

		{text: "KILL", told: "kill "},
		{text: "KILL acme", told: "kill acme"},
		{text: "KILL acme", told: "kill acme", trouble: router.ErrPaused, code: "55000", message: "already suspended/paused"},
		{text: "KILL nosuch", told: "kill nosuch", code: "3D000", message: "no such database: nosuch"},
		{text: "KILL pgbouncer", code: "55000", message: "cannot kill admin db: pgbouncer"},

		{text: "SUSPEND", told: "suspend "},
		{text: "SUSPEND acme", code: "42601", message: "invalid command 'SUSPEND acme', use SHOW HELP;"},
		{text: "SUSPEND", told: "suspend ", trouble: router.ErrPaused, code: "55000", message: "already suspended/paused"},
		{
			text: "SUSPEND", told: "suspend ", trouble: router.ErrDatabasesPaused,
			code: "55000", message: "cannot suspend with paused databases",
		},

		{text: "WAIT_CLOSE", told: "wait "},
		{text: "wait_close acme", told: "wait acme"},
		{text: "WAIT_CLOSE nosuch", told: "wait nosuch", code: "3D000", message: "no such database: nosuch"},
		{text: "WAIT_CLOSE howdah", code: "55000", message: "cannot wait in admin db: howdah"},
	} {
		before := len(p.history())
		p.setTrouble(step.trouble)
		results, err := ask(conn, step.text)
		if told := strings.Join(p.history()[before:], ","); told != step.told {
			t.Errorf("%s: the router was told %q, want %q", step.text, told, step.told)
		}
		if step.code != "" {
			if e := wantCode(t, err, step.code); e.Message != step.message || e.Severity != "ERROR" {
				t.Errorf("%s: got %+v", step.text, e)
			}
			continue
		}
		verb, _, _ := strings.Cut(strings.TrimSuffix(step.text, ";"), " ")
		if err != nil || len(results) != 1 || results[0].CommandTag.String() != strings.ToUpper(verb) {
			t.Errorf("%s: %v, error %v", step.text, results, err)
		}
	}
}

func TestShowState(t *testing.T) {
	t.Parallel()
	p := busyPooler()
	conn := startConsole(t, &admin.Console{Pooler: p}).connect(t, "watcher", "howdah")
	p.setStats(func(s *router.Stats) { s.Paused = true })
	expectRows(t, "SHOW STATE", rows(t, conn, "SHOW STATE"), "active|no", "paused|yes", "suspended|no")
	p.setStats(func(s *router.Stats) { s.Paused, s.Suspended = false, true })
	expectRows(t, "SHOW STATE", rows(t, conn, "SHOW STATE"), "active|no", "paused|no", "suspended|yes")
}

func TestCancelUndoesWhatWaits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"PAUSE acme":      {"pause acme", "resume acme"},
		"SUSPEND":         {"suspend ", "resume "},
		"WAIT_CLOSE acme": {"wait acme"},
	} {
		p := &fakePooler{waiting: make(chan string)}
		conn := startConsole(t, &admin.Console{Pooler: p}).connect(t, "boss", "howdah")
		answer := make(chan error)
		go func() {
			_, err := ask(conn, text)
			answer <- err
		}()
		if told := <-p.waiting; told != want[0] {
			t.Errorf("%s: the router was told %q", text, told)
		}
		if err := conn.CancelRequest(context.Background()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, <-answer, "57014")
		if got := p.history(); !slices.Equal(got, want) {
			t.Errorf("%s: the router was told %q, want %q", text, got, want)
		}
		// The session goes on, and a cancel that comes late changes nothing.
		if err := conn.CancelRequest(context.Background()); err != nil {
			t.Fatal(err)
		}
		rows(t, conn, "SHOW STATE")
	}
}

// TestShowFDs looks that nothing secret is shown, and nothing of TLS.
func TestShowFDs(t *testing.T) {
	t.Parallel()
	p := busyPooler()
	p.clients = []router.ConnStats{
		{
			User: "acme", Database: "acme", Addr: "192.0.2.7", Port: 4711, ID: 7, FD: 11, Link: 9,
			ClientEncoding: "UTF8", StandardStrings: "on", DateStyle: "ISO, MDY", TimeZone: "GMT",
		},
		{User: "acme", Database: "acme", ID: 8, FD: 13, TLS: "TLSv1.3"},
		{User: "acme", Database: "acme", ID: 10, FD: 14, Link: 11},
	}
	p.servers = []router.ConnStats{
		{User: "acme", Database: "acme", Addr: "10.0.0.1", Port: 5432, ID: 9, FD: 12, Link: 7},
		{User: "acme", Database: "acme", ID: 11, FD: 15, Link: 10, TLS: "TLSv1.3"},
		{User: "standby", Database: "replication", ID: 12},
	}
	conn := startConsole(t, &admin.Console{Pooler: p}).connect(t, "boss", "howdah")
	expectRows(t, "SHOW FDS", rows(t, conn, "SHOW FDS"),
		"11|client|acme|acme|192.0.2.7|4711|0|12|UTF8|on|ISO, MDY|GMT|<null>|<null>|<null>",
		"12|server|acme|acme|10.0.0.1|5432|0|11|<null>|<null>|<null>|<null>|<null>|<null>|<null>")
}
