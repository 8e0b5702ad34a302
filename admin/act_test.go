package admin_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"howdah/admin"
	"howdah/router"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	p := busyPooler()
	conn := startConsole(t, &admin.Console{Pooler: p}).connect(t, "boss", "howdah")
	steps := []struct {
		text, code, message string
	}{
		{"PAUSE", "", ""},
		{`pause "globex";`, "", ""},
		{"PAUSE nosuch", "3D000", "no such database: nosuch"},
		{"PAUSE pgbouncer", "55000", "cannot pause admin db: pgbouncer"},
		{"PAUSE howdah", "55000", "cannot pause admin db: howdah"},
		{"RESUME", "55000", "pooler is not paused/suspended"},
		{"RESUME acme", "", ""},
		{"RESUME globex", "55000", "database globex is not paused"},
		{"RESUME nosuch", "3D000", "no such database: nosuch"},
		{"RESUME made_by_star", "", ""},
	}
	for _, s := range steps {
		results, err := ask(conn, s.text)
		if s.code != "" {
			if e := wantCode(t, err, s.code); e.Message != s.message || e.Severity != "ERROR" {
				t.Errorf("%s: got %+v", s.text, e)
			}
			continue
		}
		verb, _, _ := strings.Cut(s.text, " ")
		if err != nil || results[0].CommandTag.String() != strings.ToUpper(verb) {
			t.Errorf("%s: tag %v, error %v", s.text, results, err)
		}
	}
	p.setStats(func(s *router.Stats) { s.Paused = true })
	_, err := ask(conn, "PAUSE")
	wantCode(t, err, "55000")
	expectRows(t, "SHOW STATE", rows(t, conn, "SHOW STATE"), "active|no", "paused|yes", "suspended|no")
	if _, err := ask(conn, "RESUME"); err != nil {
		t.Error(err)
	}
	p.setStats(func(s *router.Stats) { s.ShutDown = true })
	_, err = ask(conn, "RESUME")
	wantCode(t, err, "55000")
	want := []string{"pause ", "pause globex", "pause nosuch", "resume acme", "resume nosuch", "resume made_by_star", "resume "}
	if got := p.history(); !slices.Equal(got, want) {
		t.Errorf("the pooler was told %q, want %q", got, want)
	}
}

func TestCancelUndoesAPauseThatWaits(t *testing.T) {
	t.Parallel()
	p := &fakePooler{pausing: make(chan string)}
	conn := startConsole(t, &admin.Console{Pooler: p}).connect(t, "boss", "howdah")
	paused := make(chan error)
	go func() {
		_, err := ask(conn, "PAUSE acme")
		paused <- err
	}()
	if database := <-p.pausing; database != "acme" {
		t.Errorf("paused %q", database)
	}
	if err := conn.CancelRequest(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-paused, "57014")
	if got := p.history(); !slices.Equal(got, []string{"pause acme", "resume acme"}) {
		t.Errorf("the pooler was told %q", got)
	}
	// The session goes on, and a cancel that comes late changes nothing.
	if err := conn.CancelRequest(context.Background()); err != nil {
		t.Fatal(err)
	}
	rows(t, conn, "SHOW STATE")
}

func TestShutdownModes(t *testing.T) {
	t.Parallel()
	var modes []admin.ShutdownMode // written by one session, read behind its answers
	conn := startConsole(t, &admin.Console{Shutdown: func(m admin.ShutdownMode) { modes = append(modes, m) }}).
		connect(t, "boss", "howdah")
	for _, text := range []string{"shutdown wait_for_clients", "SHUTDOWN WAIT_FOR_SERVERS", "SHUTDOWN"} {
		results, err := ask(conn, text)
		if err != nil || results[0].CommandTag.String() != "SHUTDOWN" {
			t.Errorf("%s: error %v", text, err)
		}
	}
	_, err := ask(conn, "SHUTDOWN tomorrow")
	wantCode(t, err, "42601")
	want := []admin.ShutdownMode{admin.ShutdownWaitForClients, admin.ShutdownWaitForServers, admin.ShutdownNow}
	if !slices.Equal(modes, want) {
		t.Errorf("modes %q, want %q", modes, want)
	}
}

func TestReloadTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	var trouble error
	conn := startConsole(t, &admin.Console{Reload: func() error { return trouble }}).connect(t, "boss", "howdah")
	if results, err := ask(conn, "RELOAD"); err != nil || results[0].CommandTag.String() != "RELOAD" {
		t.Errorf("RELOAD: %v", err)
	}
	trouble = errors.New("howdah.toml:3: unknown key")
	_, err := ask(conn, "RELOAD")
	if e := wantCode(t, err, "F0000"); !strings.Contains(e.Detail, "howdah.toml:3") {
		t.Errorf("got %+v", e)
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	set := make(map[string]string)
	conn := startConsole(t, &admin.Console{SetSetting: func(key, value string) error {
		if key == "loops" {
			return errors.New("needs a restart")
		}
		set[key] = value
		return nil
	}}).connect(t, "boss", "howdah")
	for text, tag := range map[string]string{
		"SET pool_size = 5;": "SET pool_size=5", "set pool_mode to 'session'": "SET pool_mode=session",
		`set "server_check_query"='it''s'`: "SET server_check_query=it's",
	} {
		results, err := ask(conn, text)
		if err != nil || results[0].CommandTag.String() != tag {
			t.Errorf("%s: %v, error %v", text, results, err)
		}
	}
	if set["pool_size"] != "5" || set["pool_mode"] != "session" || set["server_check_query"] != "it's" {
		t.Errorf("settings: %q", set)
	}
	_, err := ask(conn, "SET loops = 3")
	if e := wantCode(t, err, "22023"); e.Message != "SET failed" || e.Detail != "needs a restart" {
		t.Errorf("got %+v", e)
	}
}

func TestKillClient(t *testing.T) {
	t.Parallel()
	p := &fakePooler{}
	server := startConsole(t, &admin.Console{Pooler: p})
	conn := server.connect(t, "boss", "howdah")
	victim := server.connect(t, "watcher", "howdah")
	for text, code := range map[string]string{
		"KILL_CLIENT": "42601", "KILL_CLIENT 0": "22023", "KILL_CLIENT x": "22023", "KILL_CLIENT 8": "22023",
		"KILL_CLIENT 99999999999999999999": "22023", "KILL_CLIENT -9": "22023", "KILL_CLIENT -1": "55000",
	} {
		_, err := ask(conn, text)
		if err == nil {
			t.Errorf("%s succeeded", text)
			continue
		}
		wantCode(t, err, code)
	}
	for _, text := range []string{"KILL_CLIENT 7", `kill_client "7";`, "KILL_CLIENT -2"} {
		if results, err := ask(conn, text); err != nil || results[0].CommandTag.String() != "KILL_CLIENT" {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ask(victim, "SHOW STATE"); err == nil {
		t.Error("the killed console session still answers")
	}
}

func TestWhatThisProcessCannotDo(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{}).connect(t, "boss", "howdah")
	for _, text := range []string{
		"RELOAD", "SHUTDOWN", "SET pool_size = 1", "SHOW FDS", "KILL", "KILL acme", "DISABLE acme",
		"ENABLE acme", "RECONNECT", "SUSPEND", "WAIT_CLOSE",
	} {
		_, err := ask(conn, text)
		wantCode(t, err, "0A000")
	}
}

func TestChangesAreLogged(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	conn := startConsole(t, &admin.Console{
		Pooler: busyPooler(), Log: slog.New(slog.NewTextHandler(&log, nil)),
	}).connect(t, "boss", "howdah")
	rows(t, conn, "SHOW POOLS")
	if log.String() != "" {
		t.Errorf("SHOW was logged: %s", log.String())
	}
	if _, err := ask(conn, "PAUSE acme"); err != nil {
		t.Fatal(err)
	}
	if line := log.String(); !strings.Contains(line, "command=PAUSE user=boss") || !strings.Contains(line, "argument=acme") {
		t.Errorf("log: %s", line)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestEndOfTheProcessIsSaid(t *testing.T) {
	t.Parallel()
	server := startConsole(t, &admin.Console{})
	conn := server.connect(t, "watcher", "howdah")
	server.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// The FATAL is on its way or here; the session answers nothing any more.
	if err := conn.WaitForNotification(ctx); err == nil {
		t.Error("a notification came")
	} else {
		wantCode(t, err, "57P01")
	}
}
