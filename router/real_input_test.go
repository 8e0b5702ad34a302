package router_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// TestRealInput tests clients that break the protocol or may not enter, in front of one PostgreSQL.
func TestRealInput(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"BadInputBeforeLogin", testBadInputBeforeLogin},
		{"BadInputAfterLogin", testBadInputAfterLogin},
		{"MalformedMessagesAreAnsweredByPostgreSQL", testMalformedMessagesAreAnsweredByPostgreSQL},
		{"HalfOpenClients", testHalfOpenClients},
		{"RefusedLoginsLookAlike", testRefusedLoginsLookAlike},
		{"SaltsDoNotTellWhoExists", testSaltsDoNotTellWhoExists},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// startupPacket is a packet of any length field and body.
func startupPacket(length uint32, body string) string {
	return string(binary.BigEndian.AppendUint32(nil, length)) + body
}

func protocol(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// testBadInputBeforeLogin sends what no client would. The connection must end,
// at once or with the login's timeout, and others must not notice.
func testBadInputBeforeLogin(t *testing.T, h *house) {
	d := h.open(t, func(s *setup) { s.config.LoginTimeout = time.Second })
	bystander := d.raw(t)
	plain := protocol(196608)
	for _, c := range []struct {
		name, bytes string
		code        string // SQLSTATE told, "" for none
		keepsQuiet  bool   // the client must wait for the login timeout
	}{
		{"nothing", "", "", true},
		{"one byte", "\x00", "", true},
		{"a length and nothing more", startupPacket(40, ""), "", true},
		{"half a startup packet", startupPacket(40, plain+"user\x00ac"), "", true},
		{"HTTP", "GET / HTTP/1.1\r\nHost: example\r\n\r\n", "08P01", false},
		{"TLS without SSLRequest", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x55", 512), "08P01", false},
		{"zeroes", strings.Repeat("\x00", 4096), "08P01", false},
		{"0xff", strings.Repeat("\xff", 4096), "08P01", false},
		{"a length of 0", startupPacket(0, plain), "08P01", false},
		{"a length of 7", startupPacket(7, plain), "08P01", false},
		{"a startup packet of 1 GB", startupPacket(1<<30, plain+strings.Repeat("user\x00acme\x00", 1000)), "08P01", false},
		{"a startup packet of 4 GB", startupPacket(1<<32-1, plain), "08P01", false},
		{"a packet that ends inside a name", startupPacket(12, plain+"user"), "08P01", false},
		{"no user", startupPacket(9, plain+"\x00"), "28000", false},
		{"a CancelRequest without a key", startupPacket(8, protocol(80877102)), "", false},
		{"a CancelRequest of a stranger", startupPacket(16, protocol(80877102)+"\x7f\xff\xff\xff\x01\x02\x03\x04"), "", false},
		{"a second SSLRequest", startupPacket(8, protocol(80877103)) + startupPacket(8, protocol(80877103)), "", false},
		{"a protocol of the past", startupPacket(8, protocol(131072)), "", false},
		{"garbage for a password", startupPacket(9+10, plain+"user\x00acme\x00\x00") + "\xde\xad\xbe\xef\xff\xff\xff\xff", "08P01", false},
		{"a password of 1 GB", startupPacket(9+10, plain+"user\x00acme\x00\x00") + "p\x40\x00\x00\x00SCRAM-SHA-256\x00", "08P01", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			answer := throw(t, d.address, c.bytes)
			took := time.Since(began)
			if c.keepsQuiet && took < 800*time.Millisecond {
				t.Errorf("closed after %v, before login_timeout", took)
			}
			if c.code != "" && !bytes.Contains(answer, []byte("C"+c.code+"\x00")) {
				t.Errorf("got %q, want SQLSTATE %s", answer, c.code)
			}
			bystander.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		})
	}
	if !poll(func() bool { return d.Stats().Logins == 0 }) {
		t.Errorf("%d logins are still in progress", d.Stats().Logins)
	}
}

// throw sends bytes to an address and reads until the other side closes.
func throw(t *testing.T, address, text string) (answer []byte) {
	t.Helper()
	nc, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, text); err != nil && !isReset(err) {
		t.Fatal(err)
	}
	answer, err = io.ReadAll(nc)
	if err != nil && !isReset(err) {
		t.Fatalf("the connection stays open: %v, after %q", err, answer)
	}
	return answer
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// testBadInputAfterLogin has a logged-in client break the protocol. It is told
// so and closed, and the server goes to the next client.
func testBadInputAfterLogin(t *testing.T, h *house) {
	d := h.open(t, poolSize(1), func(s *setup) { s.config.MaxPacketSize = 1 << 20 })
	for _, c := range []struct {
		name  string
		first []pgproto3.FrontendMessage
		bytes string
		code  string
	}{
		{"a length of 3", nil, "Q\x00\x00\x00\x03", "08P01"},
		{"a length of 0", nil, "Q\x00\x00\x00\x00", "08P01"},
		{"a length below zero", nil, "Q\xff\xff\xff\xff", "08P01"},
		{"an unknown type", nil, "~\x00\x00\x00\x04", "08P01"},
		{"a server's message", nil, "Z\x00\x00\x00\x05I", "08P01"},
		{"a second password", nil, "p\x00\x00\x00\x05\x00", "08P01"},
		{"more than max_packet_size", nil, "Q\x00\x20\x00\x00select", "54000"},
		{"nonsense in a transaction", []pgproto3.FrontendMessage{query("begin")}, "\x01\x00\x00\x00\x05\x06", "08P01"},
		{"nonsense behind a pipeline", []pgproto3.FrontendMessage{parse("", "select 1"), bind(""), execute, syncMsg}, "~~~~~~", "08P01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := d.raw(t)
			if len(c.first) > 0 {
				r.say(t, c.first...)
			}
			if _, err := io.WriteString(r.Conn, c.bytes); err != nil {
				t.Fatal(err)
			}
			last, err := r.ended()
			if err != nil || last == nil || last.Code != c.code || last.Severity != "FATAL" {
				t.Fatalf("got %+v, %v; want FATAL %s", last, err, c.code)
			}
			d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		})
	}
}

// testMalformedMessagesAreAnsweredByPostgreSQL sends messages whose frames are
// right and whose bodies are not.
func testMalformedMessagesAreAnsweredByPostgreSQL(t *testing.T, h *house) {
	d := h.open(t, poolSize(1))
	for name, text := range map[string]string{
		"Query without an end":           "Q\x00\x00\x00\x0cselect 1",
		"Query with more behind its end": "Q\x00\x00\x00\x10select 1\x00abc",
		"Parse without a query":          "P\x00\x00\x00\x06s\x00S\x00\x00\x00\x04",
		"Parse with a lying count":       "P\x00\x00\x00\x0fs\x00select\x00\x7f\xffS\x00\x00\x00\x04",
		"Bind of nothing":                "B\x00\x00\x00\x04S\x00\x00\x00\x04",
		"Bind with a lying count":        "P\x00\x00\x00\x10\x00select 1\x00\x00\x00B\x00\x00\x00\x0a\x00\x00\x7f\xff\x00\x00S\x00\x00\x00\x04",
		"Describe of neither":            "D\x00\x00\x00\x06x\x00S\x00\x00\x00\x04",
		"Close of neither":               "C\x00\x00\x00\x06x\x00S\x00\x00\x00\x04",
		"Execute without a limit":        "E\x00\x00\x00\x05\x00S\x00\x00\x00\x04",
		"function call of nothing":       "F\x00\x00\x00\x04",
	} {
		t.Run(name, func(t *testing.T) {
			r := d.raw(t)
			if _, err := io.WriteString(r.Conn, text); err != nil {
				t.Fatal(err)
			}
			r.waits = 1
			got, err := r.answers()
			if joined := strings.Join(got, "; "); err != nil && err != io.ErrUnexpectedEOF || !strings.Contains(joined, "error 08P01") {
				t.Errorf("got %q, %v; want 08P01", joined, err)
			}
			r.Close()
			d.atRest(t)
			d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		})
	}
}

// testHalfOpenClients has many clients stop in the middle of their login. They
// hold no seat, and go with login_timeout.
func testHalfOpenClients(t *testing.T, h *house) {
	d := h.open(t, func(s *setup) { s.config.LoginTimeout = time.Second; s.config.MaxClientConn = 50 })
	bystander := d.raw(t)
	var half []*wiretest.Conn
	for range 200 {
		c := wiretest.DialRaw(t, d.address)
		if err := c.Send([]byte(startupPacket(40, protocol(196608)))); err != nil {
			t.Fatal(err)
		}
		half = append(half, c)
	}
	bystander.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	d.raw(t).expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	for _, c := range half {
		if _, err := io.ReadAll(c); err != nil && !isReset(err) {
			t.Fatalf("a half-open client is still there: %v", err)
		}
	}
}

// testRefusedLoginsLookAlike compares what a stranger, a user with a wrong
// password and one with no such database are told.
func testRefusedLoginsLookAlike(t *testing.T, h *house) {
	d := h.open(t)
	refusal := func(user, database, password string) (code, message string) {
		e, err := tryLogin(d.address, user, database, password)
		if err == nil {
			e.Conn.Close()
			t.Fatalf("user %q got in", user)
		}
		var w *wire.Error
		if !errors.As(err, &w) {
			t.Fatal(err)
		}
		return w.Code, strings.ReplaceAll(w.Message, user, "USER")
	}
	wrongCode, wrong := refusal("acme", "acme", "wrong")
	strangerCode, stranger := refusal("nobody", "acme", "wrong")
	lostCode, lost := refusal("nobody", "nowhere", "wrong")
	if wrongCode != "28P01" || strangerCode != "28P01" || lostCode != "28P01" || wrong != stranger || wrong != lost {
		t.Errorf("wrong password: %s %q; unknown user: %s %q; unknown database: %s %q",
			wrongCode, wrong, strangerCode, stranger, lostCode, lost)
	}
	if code, _ := refusal("acme", "nowhere", secret); code != "3D000" {
		t.Errorf("a user who proved himself is told %q of an unknown database, want 3D000", code)
	}
	if n := len(d.log.lines("login failed.*nobody")); n != 2 {
		t.Errorf("%d log lines name the stranger, want 2", n)
	}
	if refused := d.Stats().Refused; refused["28P01"] != 3 || refused["3D000"] != 1 {
		t.Errorf("refusals are counted as %v", refused)
	}
	d.await(t, "no server", func(p router.PoolStats) bool { return p.ServersIdle+p.ServersActive == 0 })
}

// testSaltsDoNotTellWhoExists looks at what SCRAM shows of a user before any
// proof: the same again for the same name, whether it exists or not.
func testSaltsDoNotTellWhoExists(t *testing.T, h *house) {
	d := h.open(t)
	for _, user := range []string{"acme", "nobody", "somebody"} {
		first, second := serverFirst(t, d.address, user), serverFirst(t, d.address, user)
		if first != second {
			t.Errorf("user %q: salt and iterations change: %q, then %q", user, first, second)
		}
		if !strings.HasSuffix(first, "i=4096") || len(first) != len(serverFirst(t, d.address, "acme")) {
			t.Errorf("user %q: %q does not look like the others", user, first)
		}
	}
}

// serverFirst returns the salt and the iterations of a SCRAM exchange.
func serverFirst(t *testing.T, address, user string) string {
	t.Helper()
	c := wiretest.DialRaw(t, address)
	body := protocol(196608) + "user\x00" + user + "\x00database\x00acme\x00\x00"
	if err := c.Send([]byte(startupPacket(uint32(4+len(body)), body))); err != nil {
		t.Fatal(err)
	}
	if typ, _, err := c.Receive(); err != nil || typ != 'R' {
		t.Fatalf("got %q, %v", typ, err)
	}
	first := "n,,n=,r=abcdefghijklmnopqrstuvwx"
	initial := "SCRAM-SHA-256\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(len(first)))) + first
	if err := c.Send(wire.AppendMessage(nil, 'p', []byte(initial))); err != nil {
		t.Fatal(err)
	}
	typ, answer, err := c.Receive()
	if err != nil || typ != 'R' {
		t.Fatalf("got %q %q, %v", typ, answer, err)
	}
	_, rest, _ := strings.Cut(string(answer[4:]), ",")
	return rest
}
