package wire_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"howdah/wire"
	"howdah/wire/wiretest"
)

// pair returns both ends of a TCP connection, with a deadline on each.
func pair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{client, server} {
		c.SetDeadline(time.Now().Add(wiretest.Patience))
		t.Cleanup(func() { c.Close() })
	}
	return client, server
}

func loadCertificate(t testing.TB, c wiretest.Certificate) *wire.Certificate {
	t.Helper()
	loaded, err := wire.LoadCertificate(c.CertFile, c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

var startup = wire.AppendStartup(nil, wire.Protocol30, []wire.Parameter{{Name: "user", Value: "anna"}})

// speak writes to c, or reads what it must answer, step by step.
func speak(c net.Conn, steps ...any) error {
	for _, s := range steps {
		switch s := s.(type) {
		case []byte:
			if _, err := c.Write(s); err != nil {
				return err
			}
		case string:
			got := make([]byte, len(s))
			if _, err := io.ReadFull(c, got); err != nil {
				return err
			}
			if string(got) != s {
				return errors.New("server answered " + string(got) + ", want " + s)
			}
		case *tls.Config:
			t := tls.Client(c, s)
			if err := t.Handshake(); err != nil {
				return err
			}
			c = t
		}
	}
	return nil
}

var (
	sslRequest = wire.AppendSSLRequest(nil)
	gssRequest = binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, 1234<<16|5680)
)

func TestAcceptAnswersEncryptionRequests(t *testing.T) {
	cert := wiretest.MakeCertificate(t, t.TempDir(), "localhost")
	server := wire.ServerTLS(loadCertificate(t, cert), nil)
	alpn := &tls.Config{RootCAs: cert.Pool, ServerName: "localhost", NextProtos: []string{"postgresql"}}
	noALPN := &tls.Config{RootCAs: cert.Pool, ServerName: "localhost"}
	for _, c := range []struct {
		name   string
		config *tls.Config // of the server
		steps  []any
		tls    bool
		fail   error // errors.Is; io.EOF for any
	}{
		{"session at once", server, []any{startup}, false, nil},
		{"session at once, TLS off", nil, []any{startup}, false, nil},
		{"SSLRequest", server, []any{sslRequest, "S", alpn, startup}, true, nil},
		{"SSLRequest without ALPN", server, []any{sslRequest, "S", noALPN, startup}, true, nil},
		{"SSLRequest, TLS off", nil, []any{sslRequest, "N", startup}, false, nil},
		{"GSSENCRequest", server, []any{gssRequest, "N", startup}, false, nil},
		{"GSSENCRequest, then SSLRequest", server, []any{gssRequest, "N", sslRequest, "S", alpn, startup}, true, nil},
		{"direct TLS", server, []any{alpn, startup}, true, nil},
		{"direct TLS without ALPN", server, []any{noALPN}, true, wire.ErrNoALPN},
		{"direct TLS, TLS off", nil, []any{alpn}, false, wire.ErrLength},
		{"SSLRequest twice", nil, []any{sslRequest, "N", sslRequest}, false, wire.ErrMalformed},
		{"GSSENCRequest twice", server, []any{gssRequest, "N", gssRequest}, false, wire.ErrMalformed},
		{"SSLRequest inside TLS", server, []any{sslRequest, "S", alpn, sslRequest}, true, wire.ErrMalformed},
		{"SSLRequest inside direct TLS", server, []any{alpn, sslRequest}, true, wire.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, conn := pair(t)
			spoken := make(chan error, 1)
			go func() { spoken <- speak(client, c.steps...) }()
			a, err := wire.Accept(context.Background(), conn, c.config)
			conn.Close()
			spokenErr := <-spoken
			if c.fail != nil {
				if !errors.Is(err, c.fail) {
					t.Errorf("error %v, want %v", err, c.fail)
				}
				return
			}
			if err != nil || spokenErr != nil {
				t.Fatalf("server: %v; client: %v", err, spokenErr)
			}
			if (a.TLS != nil) != c.tls || (a.Binding != nil) != c.tls {
				t.Errorf("TLS %v, binding %x, want TLS %v", a.TLS != nil, a.Binding, c.tls)
			}
			if a.Startup.Kind != wire.StartSession || a.Startup.Parameter("user") != "anna" {
				t.Errorf("startup %+v", a.Startup)
			}
			if !c.tls && a.Conn != conn {
				t.Errorf("Conn is a %T, not the one given", a.Conn)
			}
		})
	}
}

// CVE-2021-3935: what someone slips in between SSLRequest and handshake must
// not be taken for what the client said inside TLS.
func TestAcceptRefusesClearTextBehindSSLRequest(t *testing.T) {
	cert := wiretest.MakeCertificate(t, t.TempDir(), "localhost")
	client, conn := pair(t)
	if _, err := client.Write(append(bytes.Clone(sslRequest), startup...)); err != nil {
		t.Fatal(err)
	}
	a, err := wire.Accept(context.Background(), conn, wire.ServerTLS(loadCertificate(t, cert), nil))
	if err == nil {
		t.Fatalf("accepted %+v", a.Startup)
	}
	if a.Startup.Kind != wire.StartTLS {
		t.Errorf("went on to %+v", a.Startup)
	}
}

func TestAcceptReadsNothingPastStartup(t *testing.T) {
	cert := wiretest.MakeCertificate(t, t.TempDir(), "localhost")
	for name, config := range map[string]*tls.Config{"TLS off": nil, "TLS on": wire.ServerTLS(loadCertificate(t, cert), nil)} {
		client, conn := pair(t)
		behind := wire.AppendString(nil, wire.Query, "select 1")
		if _, err := client.Write(append(bytes.Clone(startup), behind...)); err != nil {
			t.Fatal(err)
		}
		a, err := wire.Accept(context.Background(), conn, config)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(behind))
		if _, err := io.ReadFull(a.Conn, got); err != nil || !bytes.Equal(got, behind) {
			t.Errorf("%s: read %q, %v behind the startup packet", name, got, err)
		}
	}
}

func TestCertificateReloads(t *testing.T) {
	dir := t.TempDir()
	first := wiretest.MakeCertificate(t, dir, "localhost")
	cert := loadCertificate(t, first)
	config := wire.ServerTLS(cert, nil)
	check := func(shown wiretest.Certificate) {
		t.Helper()
		client, conn := pair(t)
		spoken := make(chan error, 1)
		go func() {
			spoken <- speak(client, sslRequest, "S", &tls.Config{RootCAs: shown.Pool, ServerName: "localhost"}, startup)
		}()
		a, err := wire.Accept(context.Background(), conn, config)
		if spokenErr := <-spoken; err != nil || spokenErr != nil {
			t.Fatalf("server: %v; client: %v", err, spokenErr)
		}
		if !bytes.Equal(a.Binding, wire.EndPointBinding(shown.Leaf)) {
			t.Error("binding is another certificate's")
		}
	}
	check(first)
	second := wiretest.MakeCertificate(t, dir, "localhost") // in the same files
	check(first)
	if err := cert.Reload(); err != nil {
		t.Fatal(err)
	}
	check(second)
	wiretest.MakeCertificate(t, t.TempDir(), "localhost")
	if err := writeFile(second.KeyFile, "garbage"); err != nil {
		t.Fatal(err)
	}
	if err := cert.Reload(); err == nil || !strings.Contains(err.Error(), second.CertFile) {
		t.Errorf("reload of garbage: %v", err)
	}
	check(second)
}

func TestEndPointBinding(t *testing.T) {
	if b := wire.EndPointBinding(wiretest.MakeCertificate(t, t.TempDir(), "localhost").Leaf); len(b) != 32 {
		t.Errorf("ECDSA with SHA-256: %d bytes, want 32", len(b))
	}
	if b := wire.EndPointBinding(wiretest.MakeEd25519Certificate(t, t.TempDir(), "localhost").Leaf); b != nil {
		t.Errorf("Ed25519: %x, want nil", b)
	}
}

func TestParseTLSMode(t *testing.T) {
	for m := wire.TLSDisable; m <= wire.TLSVerifyFull; m++ {
		if got, err := wire.ParseTLSMode(m.String()); err != nil || got != m {
			t.Errorf("%v: got %v, %v", m, got, err)
		}
	}
	if _, err := wire.ParseTLSMode("allow"); err == nil {
		t.Error("accepted a mode we do not have")
	}
}

// serverAnswering serves connections: it reads an SSLRequest and answers with
// the first answer, the next connection with the next. What begins without an
// SSLRequest is let in.
func serverAnswering(t *testing.T, answers ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := wire.ReadStartup(c)
			if err == nil && s.Kind == wire.StartTLS && len(answers) > 0 {
				c.Write([]byte(answers[0]))
				answers = answers[1:]
				s, err = wire.ReadStartup(c)
			}
			if err == nil && s.Kind == wire.StartSession {
				c.Write(ready(auth(wire.AuthOK, "")))
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestDialTLSModes(t *testing.T) {
	lie := string(wire.AppendError(nil, wire.Fatal("28000", "pay 1 BTC", "")))
	for _, c := range []struct {
		name   string
		mode   wire.TLSMode
		answer string
		ok     bool
	}{
		{"disable", wire.TLSDisable, "", true},
		{"prefer, refused", wire.TLSPrefer, "N", true},
		{"prefer, broken handshake", wire.TLSPrefer, "Sgarbage that is no handshake", true},
		{"prefer, error", wire.TLSPrefer, lie, false},
		{"require, refused", wire.TLSRequire, "N", false},
		{"verify-ca, refused", wire.TLSVerifyCA, "N", false},
		{"verify-full, refused", wire.TLSVerifyFull, "N", false},
		{"require, error", wire.TLSRequire, lie, false},
		{"require, broken handshake", wire.TLSRequire, "Sgarbage that is no handshake", false},
	} {
		e, err := wire.Dial(patient(t), wire.DialConfig{Address: serverAnswering(t, c.answer), TLSMode: c.mode, Parameters: anna})
		if err == nil {
			e.Conn.Close()
		}
		if c.ok != (err == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "BTC") {
			t.Errorf("%s: repeats what came in the clear: %v", c.name, err)
		}
		if !c.ok && (c.answer == "N" || c.answer == lie) && !errors.Is(err, wire.ErrNoTLS) {
			t.Errorf("%s: %v is not ErrNoTLS", c.name, err)
		}
	}
}
