package admin_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/admin"
	"howdah/wire"
)

func TestWelcomeParameters(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{}).connect(t, "watcher", "pgbouncer")
	for name, want := range map[string]string{
		"server_version": "1.25.2/bouncer", "client_encoding": "UTF8", "server_encoding": "UTF8", "DateStyle": "ISO",
		"TimeZone": "GMT", "standard_conforming_strings": "on", "is_superuser": "on",
	} {
		if got := conn.ParameterStatus(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if conn.PID() != 1 || len(conn.SecretKey()) != 4 {
		t.Errorf("key %d %v", conn.PID(), conn.SecretKey())
	}
}

func TestCommandsAsClientsWriteThem(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{}).connect(t, "watcher", "howdah")
	for _, text := range []string{
		"SHOW VERSION", "show version;", "  Show\n\tVersion ; ", "SELECT version", `show "version"`, `"SHOW" version;`,
		"-- what is it\nSHOW VERSION -- this", "/* a */SHOW/* b */VERSION",
	} {
		if got := rows(t, conn, text); len(got) != 1 || got[0][0] != "PgBouncer 1.25.2" {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, text := range []string{
		"SHOW", "SHOW 'version'", "SHOW NOSUCH", "version", "SHOW VERSION; SHOW POOLS", "SHOW VERSION;;", ";;",
		"SHOW VERSION x", "SELECT 1", "SELECT version()", "BEGIN", "SET", "SET x", "SET x =", "SET = 3", "SET x = 1; RELOAD",
		`SHOW "version`, "SHOW 'version", "/* SHOW VERSION", "SHOW VERSION \x01", "'SHOW' version", `SET "" = 3`,
		strings.Repeat("x", 10_000), strings.Repeat("((", 1000), "\xff\xfe",
	} {
		_, err := ask(conn, text)
		e := wantCode(t, err, "42601")
		if !strings.Contains(e.Hint, "SHOW HELP") || len(e.Message) > 300 {
			t.Errorf("%.40q: %+v", text, e)
		}
	}
	for _, text := range []string{"", ";", "-- ping", " /* nothing */ ;"} {
		if results, err := ask(conn, text); err != nil || len(results) > 0 && len(results[0].Rows) > 0 {
			t.Errorf("%q: %v, error %v", text, results, err)
		}
	}
}

func TestDriversSettingsAreHumoured(t *testing.T) {
	t.Parallel()
	server := startConsole(t, &admin.Console{})
	cfg, err := pgconn.ParseConfig("sslmode=disable host=127.0.0.1 user=watcher dbname=pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Port = uint16(server.addr.Port)
	var notices []*pgconn.Notice
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n) }
	conn, err := pgconn.ConnectConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for name, want := range map[string]string{
		"client_encoding": "UTF-8", "default_transaction_isolation": "read committed",
		"standard_conforming_strings": "on", "datestyle": "ISO", "timezone": "GMT",
	} {
		if got := rows(t, conn, "SHOW "+name); len(got) != 1 || got[0][0] != want {
			t.Errorf("SHOW %s: %q", name, got)
		}
		notices = nil
		results, err := ask(conn, "SET "+strings.ToUpper(name)+" TO 'x'")
		if err != nil || results[0].CommandTag.String() != "SET" || len(notices) != 1 || notices[0].Message != "SET ignored" {
			t.Errorf("SET %s: %v, notices %v, error %v", name, results, notices, err)
		}
	}
	notices = nil
	results, err := ask(conn, "SHOW HELP")
	if err != nil || len(results) != 1 || results[0].CommandTag.String() != "SHOW" || len(notices) != 1 {
		t.Fatalf("SHOW HELP: %v, notices %v, error %v", results, notices, err)
	}
	help := notices[0]
	if help.Message != "Console usage" || !strings.Contains(help.Detail, "SHOW STATS_TOTALS") || !strings.Contains(help.Detail, "KILL_CLIENT id") ||
		strings.Contains(help.Detail, "ENCODING") {
		t.Errorf("help is %+v", help)
	}
}

func TestExtendedProtocolIsRefusedAndTheSessionGoesOn(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{}).connect(t, "watcher", "howdah")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for range 2 {
		_, err := conn.ExecParams(ctx, "SHOW VERSION", nil, nil, nil, nil).Close()
		wantCode(t, err, "0A000")
		_, err = conn.Prepare(ctx, "s", "SHOW VERSION", nil)
		if e := wantCode(t, err, "0A000"); !strings.Contains(e.Hint, "simple") {
			t.Errorf("hint %q", e.Hint)
		}
		rows(t, conn, "SHOW VERSION")
	}
}

// rawClient logs in and returns the connection behind ReadyForQuery.
func rawClient(t *testing.T, server *consoleServer) (net.Conn, *pgproto3.Frontend) {
	t.Helper()
	conn, err := net.Dial("tcp", server.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	conn.Write(wire.AppendStartup(nil, wire.Protocol30, []wire.Parameter{{Name: "user", Value: "watcher"}, {Name: "database", Value: "howdah"}}))
	f := pgproto3.NewFrontend(conn, conn)
	receiveUntilReady(t, f)
	return conn, f
}

// receiveUntilReady returns the letters of the messages up to ReadyForQuery.
func receiveUntilReady(t *testing.T, f *pgproto3.Frontend) string {
	t.Helper()
	var got strings.Builder
	for {
		m, err := f.Receive()
		if err != nil {
			t.Fatalf("after %s: %v", got.String(), err)
		}
		b, err := m.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteByte(b[0])
		if b[0] == wire.ReadyForQuery {
			return got.String()
		}
	}
}

func TestMessagesOutOfPlace(t *testing.T) {
	t.Parallel()
	server := startConsole(t, &admin.Console{})
	query := wire.AppendString(nil, wire.Query, "SHOW VERSION")
	sync := wire.AppendEmpty(nil, wire.Sync)
	parse := wire.AppendParse(nil, "", "x", nil)
	call := wire.AppendMessage(nil, wire.FunctionCall, make([]byte, 10))
	for name, c := range map[string]struct {
		send []byte
		want []string // per ReadyForQuery
	}{
		"sync alone":                 {sync, []string{"Z"}},
		"query behind refused parse": {cat(parse, query, sync, query), []string{"EZ", "TDCZ"}},
		"pipeline of refusals":       {cat(parse, parse, wire.AppendExecute(nil), sync, parse, sync), []string{"EZ", "EZ"}},
		"flush":                      {cat(wire.AppendEmpty(nil, wire.Flush), query), []string{"TDCZ"}},
		"copy leftovers":             {cat(wire.AppendMessage(nil, wire.CopyData, []byte("x")), wire.AppendEmpty(nil, wire.CopyDone), query), []string{"TDCZ"}},
		"function call":              {cat(call, query), []string{"EZ", "TDCZ"}},
		"two queries at once":        {cat(query, query), []string{"TDCZ", "TDCZ"}},
	} {
		conn, f := rawClient(t, server)
		if _, err := conn.Write(c.send); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if got := receiveUntilReady(t, f); got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
		conn.Close()
	}
}

func cat(messages ...[]byte) []byte {
	var all []byte
	for _, m := range messages {
		all = append(all, m...)
	}
	return all
}

func TestMalformedMessagesEndTheSession(t *testing.T) {
	t.Parallel()
	server := startConsole(t, &admin.Console{})
	for name, send := range map[string][]byte{
		"query without its end":   {'Q', 0, 0, 0, 6, 'a', 'b'},
		"zero inside a query":     {'Q', 0, 0, 0, 8, 'a', 0, 'b', 0},
		"unknown type":            {'!', 0, 0, 0, 4},
		"length below its own":    {'Q', 0, 0, 0, 3},
		"huge length":             {'Q', 0x7f, 0xff, 0xff, 0xff},
		"negative length":         {'Q', 0xff, 0xff, 0xff, 0xff},
		"password out of nowhere": wire.AppendString(nil, wire.Password, "secret"),
	} {
		conn, f := rawClient(t, server)
		if _, err := conn.Write(send); err != nil {
			t.Fatal(err)
		}
		m, err := f.Receive()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e, ok := m.(*pgproto3.ErrorResponse); !ok || e.Severity != "FATAL" || e.Code != "08P01" {
			t.Errorf("%s: got %+v", name, m)
		}
		if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
			t.Errorf("%s: %d bytes behind the error, %v", name, len(rest), err)
		}
	}
}

// TestClientsThatVanishLeaveNothing passes when the sessions end: the server's
// clean-up waits for them.
func TestClientsThatVanishLeaveNothing(t *testing.T) {
	t.Parallel()
	server := startConsole(t, &admin.Console{})
	for range 20 {
		conn, _ := rawClient(t, server)
		conn.Write([]byte{'Q', 0, 0})
		conn.Close()
	}
	watcher := server.connect(t, "watcher", "howdah")
	for len(rows(t, watcher, "SHOW CLIENTS")) > 1 {
		if t.Context().Err() != nil {
			t.Fatal("sessions of vanished clients are still there")
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, text := range []string{"SHOW POOLS;", "SET a = 'b''c'", `PAUSE "x""y"`, "/*", "--", "KILL_CLIENT -1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) || len(text) > 60_000 {
			return
		}
		client, conn := net.Pipe()
		console := &admin.Console{Pooler: &fakePooler{}, Roles: testRoles}
		go console.Serve(context.Background(), conn, virtualLogin("watcher"))
		defer client.Close()
		client.SetDeadline(time.Now().Add(20 * time.Second))
		fe := pgproto3.NewFrontend(client, client)
		receiveUntilReady(t, fe)
		go client.Write(wire.AppendString(nil, wire.Query, text))
		receiveUntilReady(t, fe)
		if calls := console.Pooler.(*fakePooler).history(); len(calls) > 0 {
			t.Errorf("a stats user changed something with %q: %q", text, calls)
		}
	})
}
