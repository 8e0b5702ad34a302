package wire_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/wire"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// realServer is a PostgreSQL with TLS, where role scram logs in with SCRAM,
// md5 with md5, free without a secret, clear with a clear-text password; each
// password is "secret" and each role has a database of its name.
type realServer struct {
	*postgres.Server
	certificate wiretest.Certificate
	verifier    *wire.Verifier
}

func startReal(t *testing.T) *realServer {
	t.Helper()
	dir := wiretest.ServerDir(t)
	r := &realServer{certificate: wiretest.MakeCertificate(t, dir, "127.0.0.1")}
	if os.Geteuid() == 0 {
		giveTo(t, "postgres", r.certificate.CertFile, r.certificate.KeyFile)
	}
	r.Server = wiretest.StartPostgres(t,
		wiretest.WithSetting("ssl", "on"),
		wiretest.WithSetting("ssl_cert_file", r.certificate.CertFile),
		wiretest.WithSetting("ssl_key_file", r.certificate.KeyFile),
		wiretest.WithHBA("local scram scram scram-sha-256",
			"host md5 md5 all md5", "host free free all trust",
			"host clear clear all password", "hostnossl all tlsonly all reject"))
	for _, role := range []string{"scram", "free", "clear", "tlsonly"} {
		wiretest.CreateTenant(t, r.Server, role, "secret")
	}
	if err := r.Exec(patient(t), postgres.Superuser, "set password_encryption = 'md5'; create role md5 login password 'secret'"); err != nil {
		t.Fatal(err)
	}
	if err := r.Exec(patient(t), postgres.Superuser, "create database md5 owner md5"); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.verifier, err = wire.ParseVerifier(wiretest.Verifier(t, r.Server, "scram")); err != nil {
		t.Fatal(err)
	}
	return r
}

func giveTo(t *testing.T, account string, files ...string) {
	t.Helper()
	u, err := user.Lookup(account)
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Chown(f, id, -1); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *realServer) config(role string, secret wire.Secret, mode wire.TLSMode) wire.DialConfig {
	return wire.DialConfig{
		Address: r.Address(), TLSMode: mode, TLS: &tls.Config{RootCAs: r.certificate.Pool}, Secret: secret,
		Parameters: []wire.Parameter{{Name: "user", Value: role}, {Name: "database", Value: role}},
	}
}

// query runs a Query on a new connection and returns all bytes up to and with
// its ReadyForQuery.
func query(c io.ReadWriter, text string) ([]byte, error) {
	if _, err := c.Write(wire.AppendString(nil, wire.Query, text)); err != nil {
		return nil, err
	}
	var all []byte
	for {
		head := make([]byte, wire.HeaderLen)
		if _, err := io.ReadFull(c, head); err != nil {
			return all, err
		}
		h, _, err := wire.ParseHeader(head)
		if err != nil {
			return all, err
		}
		body := make([]byte, h.Len-wire.HeaderLen)
		if _, err := io.ReadFull(c, body); err != nil {
			return all, err
		}
		all = append(append(all, head...), body...)
		switch h.Type {
		case wire.ErrorResponse:
			e, err := wire.ParseError(body)
			if err != nil {
				return all, err
			}
			return all, e
		case wire.ReadyForQuery:
			return all, nil
		}
	}
}

func TestDialRealPostgres(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	password := wire.Secret{Password: "secret"}
	wrong := wire.Secret{Password: "Secret"}
	t.Run("logs in", func(t *testing.T) {
		for _, c := range []struct {
			role   string
			secret wire.Secret
			mode   wire.TLSMode
		}{
			{"scram", password, wire.TLSDisable},
			{"scram", password, wire.TLSPrefer},
			{"scram", password, wire.TLSRequire}, // with -PLUS, as the server offers it
			{"scram", password, wire.TLSVerifyCA},
			{"scram", password, wire.TLSVerifyFull},
			{"tlsonly", password, wire.TLSPrefer},
			{"md5", password, wire.TLSDisable},
			{"md5", wire.Secret{MD5: wire.MakeMD5("secret", "md5")}, wire.TLSRequire},
			{"free", wire.Secret{}, wire.TLSDisable},
			{"clear", password, wire.TLSVerifyFull},
		} {
			t.Run(fmt.Sprintf("%s %v", c.role, c.mode), func(t *testing.T) {
				t.Parallel()
				r.logIn(t, r.config(c.role, c.secret, c.mode))
			})
		}
	})
	t.Run("is refused", func(t *testing.T) {
		missing := r.config("scram", password, wire.TLSDisable)
		missing.Parameters = []wire.Parameter{{Name: "user", Value: "scram"}, {Name: "database", Value: "nowhere"}}
		for _, c := range []struct {
			name   string
			config wire.DialConfig
			code   string
		}{
			{"wrong password", r.config("scram", wrong, wire.TLSDisable), wire.CodeInvalidPassword},
			{"wrong password, -PLUS", r.config("scram", wrong, wire.TLSRequire), wire.CodeInvalidPassword},
			{"wrong md5 password", r.config("md5", wrong, wire.TLSDisable), wire.CodeInvalidPassword},
			{"no such database", missing, wire.CodeInvalidCatalogName},
			{"no TLS", r.config("tlsonly", password, wire.TLSDisable), wire.CodeInvalidAuthorization},
		} {
			_, err := wire.Dial(patient(t), c.config)
			var e *wire.Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Errorf("%s: %v, want SQLSTATE %s", c.name, err, c.code)
			}
		}
	})
	t.Run("does not trust", func(t *testing.T) { r.distrust(t, password) })
	t.Run("unix socket", func(t *testing.T) {
		c := r.config("scram", password, wire.TLSVerifyFull) // sockets have no TLS
		c.Address = filepath.Join(r.SocketDir(), fmt.Sprintf(".s.PGSQL.%d", r.Port()))
		r.logIn(t, c)
	})
	t.Run("cancel", func(t *testing.T) {
		r.cancel(t, wire.TLSDisable, wire.Protocol30)
		r.cancel(t, wire.TLSRequire, wire.Protocol30)
		r.cancel(t, wire.TLSDisable, wire.Protocol32)
	})
	t.Run("pass-through", r.passThrough)
	t.Run("verifier", r.compareVerifiers)
}

// logIn dials and runs a query.
func (r *realServer) logIn(t *testing.T, c wire.DialConfig) {
	t.Helper()
	e, err := wire.Dial(patient(t), c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Conn.Close()
	_, encrypted := e.Conn.(*tls.Conn)
	if encrypted != (c.TLSMode != wire.TLSDisable && c.Address[0] != '/') {
		t.Errorf("TLS %v in mode %v", encrypted, c.TLSMode)
	}
	reported := wire.Startup{Parameters: e.Parameters}
	if v := reported.Parameter("server_version"); v == "" || e.Key.PID == 0 || len(e.Key.Secret) != 4 {
		t.Errorf("established %+v", e)
	}
	if _, err := query(e.Conn, "select 1"); err != nil {
		t.Error(err)
	}
}

// distrust checks that certificates that prove nothing are refused.
func (r *realServer) distrust(t *testing.T, password wire.Secret) {
	other := wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1")
	for _, mode := range []wire.TLSMode{wire.TLSVerifyCA, wire.TLSVerifyFull} {
		c := r.config("scram", password, mode)
		c.TLS = &tls.Config{RootCAs: other.Pool}
		var unknown x509.UnknownAuthorityError
		if _, err := wire.Dial(patient(t), c); !errors.As(err, &unknown) {
			t.Errorf("%v with another authority: %v", mode, err)
		}
	}
	c := r.config("scram", password, wire.TLSVerifyFull)
	c.TLS = &tls.Config{RootCAs: r.certificate.Pool, ServerName: "db.example"}
	var name x509.HostnameError
	if _, err := wire.Dial(patient(t), c); !errors.As(err, &name) {
		t.Errorf("verify-full with another name: %v", err)
	}
	c.TLSMode = wire.TLSVerifyCA
	r.logIn(t, c)
}

// cancel breaks a query off. Servers before 18 bring 3.2 down to 3.0; from 18
// on its keys are long.
func (r *realServer) cancel(t *testing.T, mode wire.TLSMode, version uint32) {
	t.Helper()
	c := r.config("scram", wire.Secret{Password: "secret"}, mode)
	c.Version = version
	e, err := wire.Dial(patient(t), c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Conn.Close()
	if long := len(e.Key.Secret) > 4; e.Version > version || long != (e.Version == wire.Protocol32) {
		t.Errorf("asked for %x: protocol %x with a key of %d bytes", version, e.Version, len(e.Key.Secret))
	}
	slept := make(chan error, 1)
	go func() { _, err := query(e.Conn, "select pg_sleep(30)"); slept <- err }()
	r.waitForQuery(t, e.Key.PID)
	if err := wire.SendCancel(patient(t), c, e.Key); err != nil {
		t.Fatalf("%v: %v", mode, err)
	}
	var refused *wire.Error
	select {
	case err := <-slept:
		if !errors.As(err, &refused) || refused.Code != wire.CodeQueryCanceled {
			t.Errorf("%v: query ended with %v", mode, err)
		}
	case <-time.After(wiretest.Patience):
		t.Errorf("%v: the query goes on", mode)
	}
}

func (r *realServer) waitForQuery(t *testing.T, pid uint32) {
	t.Helper()
	ctx := patient(t)
	for running := false; !running; {
		err := r.QueryRow(ctx, postgres.Superuser,
			"select count(*) > 0 from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'", []any{int32(pid)}, &running)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// passThrough is rule B6: what pgx's client proved to us logs us in at the
// server, in the clear and with channel binding on both sides.
func (r *realServer) passThrough(t *testing.T) {
	cert := loadCertificate(t, wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1"))
	addr, done := listen(t, cert, func(a *wire.Accepted) ([]byte, wire.ScramKeys, error) {
		return wire.AuthenticateSCRAM(a.Conn, only(r.verifier), a.Binding)
	})
	if err := connect(t, addr, "secret", "sslmode=require channel_binding=require"); err != nil {
		t.Fatal(err)
	}
	o := <-done
	if o.err != nil {
		t.Fatal(o.err)
	}
	r.logIn(t, r.config("scram", wire.Secret{Scram: &o.keys}, wire.TLSDisable))
	r.logIn(t, r.config("scram", wire.Secret{Scram: &o.keys}, wire.TLSRequire))
}

// compareVerifiers has PostgreSQL hash passwords that SASLprep changes, or
// does not like, and compares. (pgx prepares by PRECIS instead, which hashes
// some of these differently; that is why ours goes its own way.)
func (r *realServer) compareVerifiers(t *testing.T) {
	for i, password := range []string{
		"pencil", "a b", "I\u00adX", "a\u00a0b", "\u00aa", "\u2168", "A\u030a", "\u00ad", "\u2168\u0007", "\u2168\u0221",
		"\u06271\u2168", "\u0627\u2460\u0628", "pässwörd", "пароль", "パスワード", "\U0001f418 howdah", "x\u200by", "\u2126\U0001f418",
	} {
		role := fmt.Sprintf("prep%d", i)
		if err := r.Exec(patient(t), postgres.Superuser, fmt.Sprintf("create role %s password '%s'", role, password)); err != nil {
			t.Fatal(err)
		}
		v, err := wire.ParseVerifier(wiretest.Verifier(t, r.Server, role))
		if err != nil {
			t.Fatal(err)
		}
		if !v.Matches(password) {
			t.Errorf("password %+q: PostgreSQL's verifier is not ours", password)
		}
		if ours := wire.MakeVerifier(password, v.Iterations, v.Salt).String(); ours != wiretest.Verifier(t, r.Server, role) {
			t.Errorf("password %+q: %q differs", password, ours)
		}
	}
	// And a verifier of ours lets pgx in at the server.
	v := wire.MakeVerifier("\u00f6ther", 0, nil)
	if err := r.Exec(patient(t), postgres.Superuser, fmt.Sprintf("create role ours login password '%s'", v)); err != nil {
		t.Fatal(err)
	}
	config, err := pgconn.ParseConfig(r.URL("ours", "\u00f6ther", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgconn.ConnectConfig(patient(t), config)
	if err != nil {
		t.Fatalf("log in with a verifier of ours: %v", err)
	}
	c.Close(context.Background())
}
