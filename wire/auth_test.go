package wire_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/wire"
	"howdah/wire/wiretest"
)

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

// outcome is what the listener's side saw of a login.
type outcome struct {
	keys wire.ScramKeys
	err  error
}

// listen serves one client with authenticate and then says it is ready.
func listen(t *testing.T, cert *wire.Certificate, authenticate func(*wire.Accepted) ([]byte, wire.ScramKeys, error)) (addr string, done <-chan outcome) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ch := make(chan outcome, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			ch <- outcome{err: err}
			return
		}
		defer conn.Close()
		var o outcome
		config := wire.ServerTLS(cert, nil)
		if cert == nil {
			config = nil
		}
		a, err := wire.Accept(context.Background(), conn, config)
		if err != nil {
			ch <- outcome{err: err}
			return
		}
		var final []byte
		final, o.keys, o.err = authenticate(a)
		if o.err != nil {
			final = wire.AppendError(nil, wire.Fatal(wire.CodeInvalidPassword, "password authentication failed", ""))
		} else {
			final = wire.AppendReadyForQuery(final, wire.TxIdle)
		}
		a.Conn.Write(final)
		ch <- o
		io.Copy(io.Discard, a.Conn)
	}()
	return l.Addr().String(), ch
}

// connect logs in with pgx's client, which is not ours.
func connect(t *testing.T, addr, password, options string) error {
	t.Helper()
	host, port, _ := strings.Cut(addr, ":")
	config, err := pgconn.ParseConfig("host=" + host + " port=" + port + " user=anna database=anna password=" + password + " " + options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), wiretest.Patience)
	defer stop()
	c, err := pgconn.ConnectConfig(ctx, config)
	if err == nil {
		c.Close(ctx)
	}
	return err
}

func TestAuthenticateSCRAMWithOtherClient(t *testing.T) {
	certificate := wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1")
	cert := loadCertificate(t, certificate)
	noBinding := loadCertificate(t, wiretest.MakeEd25519Certificate(t, t.TempDir(), "127.0.0.1"))
	v := wire.MakeVerifier("se cret", 4096, nil)
	for _, c := range []struct {
		name, password, options string
		cert                    *wire.Certificate
		ok                      bool
	}{
		{"clear", "'se cret'", "sslmode=disable", nil, true},
		{"wrong password", "secret", "sslmode=disable", nil, false},
		{"TLS binds", "'se cret'", "sslmode=require channel_binding=require", cert, true},
		{"TLS without binding", "'se cret'", "sslmode=require channel_binding=disable", cert, true},
		{"TLS, wrong password", "secret", "sslmode=require channel_binding=require", cert, false},
		{"TLS, Ed25519", "'se cret'", "sslmode=require", noBinding, true},
		{"direct TLS", "'se cret'", "sslmode=require sslnegotiation=direct channel_binding=require", cert, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr, done := listen(t, c.cert, func(a *wire.Accepted) ([]byte, wire.ScramKeys, error) {
				return wire.AuthenticateSCRAM(a.Conn, only(v), a.Binding)
			})
			err := connect(t, addr, c.password, c.options)
			o := <-done
			if !c.ok {
				if !errors.Is(o.err, wire.ErrAuthentication) || err == nil {
					t.Errorf("server: %v; client: %v", o.err, err)
				}
				return
			}
			if o.err != nil || err != nil {
				t.Fatalf("server: %v; client: %v", o.err, err)
			}
			s := wire.NewScramServer(only(v), nil)
			if _, err := exchange(s, wire.NewScramClient("", &o.keys, nil, false), s.Mechanisms()); err != nil {
				t.Errorf("keys do not log in: %v", err)
			}
		})
	}
}

func TestAuthenticateMD5WithOtherClient(t *testing.T) {
	for password, ok := range map[string]bool{"secret": true, "wrong": false} {
		addr, done := listen(t, nil, func(a *wire.Accepted) ([]byte, wire.ScramKeys, error) {
			err := wire.AuthenticateMD5(a.Conn, "anna", wire.MakeMD5("secret", "anna"))
			return wire.AppendAuthentication(nil, wire.AuthOK, nil), wire.ScramKeys{}, err
		})
		err := connect(t, addr, password, "sslmode=disable")
		o := <-done
		if ok != (err == nil) || ok != (o.err == nil) || !ok && !errors.Is(o.err, wire.ErrAuthentication) {
			t.Errorf("password %q: server: %v; client: %v", password, o.err, err)
		}
	}
}

// script reads from text and forgets what is written.
type script struct{ io.Reader }

func (script) Write(p []byte) (int, error) { return len(p), nil }

func TestAuthenticateRefusesWhatIsNoPassword(t *testing.T) {
	v := wire.MakeVerifier("x", 1, nil)
	for name, c := range map[string]struct {
		sent []byte
		want error
	}{
		"nothing":        {nil, io.EOF},
		"other message":  {wire.AppendString(nil, wire.Query, "select 1"), wire.ErrMalformed},
		"endless":        {[]byte{wire.Password, 0x3f, 0, 0, 0}, wire.ErrLength},
		"too long":       {wire.AppendMessage(nil, wire.Password, make([]byte, 1<<16)), wire.ErrLength},
		"cut":            {wire.AppendString(nil, wire.Password, "abc")[:7], io.ErrUnexpectedEOF},
		"bad length":     {[]byte{wire.Password, 0, 0, 0, 3}, wire.ErrLength},
		"no zero":        {wire.AppendMessage(nil, wire.Password, []byte("abc")), wire.ErrMalformed},
		"empty":          {wire.AppendMessage(nil, wire.Password), wire.ErrMalformed},
		"SASL no length": {wire.AppendMessage(nil, wire.Password, []byte("SCRAM-SHA-256\x00")), wire.ErrMalformed},
		"SASL -1":        {wire.AppendMessage(nil, wire.Password, []byte("SCRAM-SHA-256\x00\xff\xff\xff\xff")), wire.ErrMalformed},
		"SASL short":     {wire.AppendMessage(nil, wire.Password, []byte("SCRAM-SHA-256\x00\x00\x00\x00\x09n,,n=,r=")), wire.ErrMalformed},
	} {
		if _, _, err := wire.AuthenticateSCRAM(script{strings.NewReader(string(c.sent))}, only(v), nil); !errors.Is(err, c.want) {
			t.Errorf("SCRAM, %s: %v, want %v", name, err, c.want)
		}
		if strings.HasPrefix(name, "SASL") {
			continue
		}
		if err := wire.AuthenticateMD5(script{strings.NewReader(string(c.sent))}, "anna", wire.MakeMD5("x", "anna")); !errors.Is(err, c.want) {
			t.Errorf("md5, %s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAuthenticateReadsNothingPastTheAnswer(t *testing.T) {
	answer := wire.AppendString(nil, wire.Password, "md5wrong")
	r := strings.NewReader(string(answer) + "behind")
	if err := wire.AuthenticateMD5(script{r}, "anna", wire.MakeMD5("x", "anna")); !errors.Is(err, wire.ErrAuthentication) {
		t.Fatal(err)
	}
	if r.Len() != len("behind") {
		t.Errorf("%d bytes are left", r.Len())
	}
}

func TestAskPassword(t *testing.T) {
	long := strings.Repeat("x", 70000)
	for name, c := range map[string]struct {
		answer []byte
		want   string
		err    error
	}{
		"a password":    {wire.AppendString(nil, wire.Password, "se cret"), "se cret", nil},
		"none":          {wire.AppendString(nil, wire.Password, ""), "", nil},
		"not closed":    {wire.AppendMessage(nil, wire.Password, []byte("se cret")), "", wire.ErrMalformed},
		"two":           {wire.AppendMessage(nil, wire.Password, []byte("a\x00b\x00")), "", wire.ErrMalformed},
		"another type":  {wire.AppendString(nil, wire.Query, "select 1"), "", wire.ErrMalformed},
		"far too long":  {wire.AppendString(nil, wire.Password, long), "", wire.ErrLength},
		"cut":           {wire.AppendString(nil, wire.Password, "se cret")[:8], "", io.ErrUnexpectedEOF},
		"no more to it": {append(wire.AppendString(nil, wire.Password, "x"), "behind"...), "x", nil},
	} {
		ours, theirs := net.Pipe()
		go func() {
			io.ReadFull(theirs, make([]byte, 9))
			theirs.Write(c.answer)
			theirs.Close()
		}()
		got, err := wire.AskPassword(ours)
		ours.Close()
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestKeysOfLogIn(t *testing.T) {
	v := wire.MakeVerifier("se cret", 0, nil)
	if _, ok := v.KeysOf("secret"); ok || v.Matches("") {
		t.Error("a wrong password has keys")
	}
	keys, ok := v.KeysOf("se cret")
	if stored := sha256.Sum256(keys.ClientKey); !ok || !bytes.Equal(stored[:], v.StoredKey) || !bytes.Equal(keys.ServerKey, v.ServerKey) {
		t.Error("the keys are not the verifier's")
	}
}
