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
)

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
		"KILL_CLIENT": "22023", "KILL_CLIENT 0": "22023", "KILL_CLIENT x": "22023", "KILL_CLIENT 8": "22023",
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
		"RELOAD", "SHUTDOWN", "SET pool_size = 1",
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
