package router_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// TestRealTLS tests clients that use TLS, in front of one PostgreSQL.
func TestRealTLS(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"ClientsOverTLS", testClientsOverTLS},
		{"TLSIsRequired", testTLSIsRequired},
		{"ChannelBindingIsUsed", testChannelBindingIsUsed},
		{"ManyClientsOverTLS", testManyClientsOverTLS},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// withTLS has a door offer TLS with a certificate of its own.
func withTLS(t *testing.T, s *setup) wiretest.Certificate {
	t.Helper()
	c := wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1")
	certificate, err := wire.LoadCertificate(c.CertFile, c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s.config.TLS = wire.ServerTLS(certificate, nil)
	return c
}

// openTLS opens a door that requires TLS.
func (h *house) openTLS(t *testing.T, changes ...func(*setup)) (*door, *tls.Config) {
	t.Helper()
	var c wiretest.Certificate
	d := h.open(t, append(changes, func(s *setup) {
		c = withTLS(t, s)
		s.config.RequireTLS = true
	})...)
	return d, &tls.Config{RootCAs: c.Pool}
}

// tryTLS logs in to acme over TLS. A password must be proved with channel
// binding where the server offers it, as wire.Dial does.
func (d *door) tryTLS(c *tls.Config) (*raw, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dc := d.dialConfig("acme")
	dc.TLSMode, dc.TLS = wire.TLSVerifyFull, c
	e, err := wire.Dial(ctx, dc)
	if err != nil {
		return nil, err
	}
	if _, ok := e.Conn.(*tls.Conn); !ok {
		return nil, fmt.Errorf("no TLS: %T", e.Conn)
	}
	return newRaw(e), nil
}

func testClientsOverTLS(t *testing.T, h *house) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			d, c := h.openTLS(t, poolSize(1))
			c.MinVersion, c.MaxVersion = version, version
			r, err := d.tryTLS(c)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
			r.expect(t, "parsed; bound; row 2; SELECT 1; ready I", parse("s", "select 2"), bind("s"), execute, syncMsg)
			if _, rows, err := func() (int64, int, error) {
				if err := r.send(query("select repeat('x', 1000) from generate_series(1, 20000)")); err != nil {
					return 0, 0, err
				}
				return drain(r.Conn, 1, 0, nil)
			}(); err != nil || rows != 20_000 {
				t.Errorf("%d rows of 20000, %v", rows, err)
			}
			if name := d.Clients()[0].TLS; name == "" {
				t.Error("the client is not shown as one with TLS")
			}
		})
	}
}

func testTLSIsRequired(t *testing.T, h *house) {
	d, c := h.openTLS(t)
	_, err := d.tryRaw("acme")
	wantState(t, err, "28000")
	wrong := d.dialConfig("acme")
	wrong.Secret = wire.Secret{Password: "wrong"}
	wrong.TLSMode, wrong.TLS = wire.TLSVerifyFull, c
	_, err = wire.Dial(context.Background(), wrong)
	wantState(t, err, "28P01")
}

// testChannelBindingIsUsed logs in with a driver that insists on it.
func testChannelBindingIsUsed(t *testing.T, h *house) {
	d, c := h.openTLS(t)
	config := d.config(t, "acme")
	config.ChannelBinding = "require"
	config.TLSConfig = c.Clone()
	config.TLSConfig.ServerName = "127.0.0.1"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if n := get[int](t, conn, "select 1"); n != 1 {
		t.Errorf("select 1 gave %d", n)
	}
}

// testManyClientsOverTLS has 1,000 of them query at once.
func testManyClientsOverTLS(t *testing.T, h *house) {
	d, c := h.openTLS(t, poolSize(5), limits(func(l *tenants.Limits) { l.QueryWaitTimeout = 0 }))
	const clients = 1000
	raws := make([]*raw, clients)
	var wg sync.WaitGroup
	tickets := make(chan int, clients)
	for i := range clients {
		tickets <- i
	}
	close(tickets)
	for range 16 { // handshakes at a time
		wg.Go(func() {
			for i := range tickets {
				r, err := d.tryTLS(c)
				if err != nil {
					t.Error(err)
					continue
				}
				raws[i] = r
			}
		})
	}
	wg.Wait()
	for i, r := range raws {
		if r == nil {
			t.FailNow()
		}
		wg.Go(func() {
			defer r.Close()
			for k := range 5 {
				want := fmt.Sprintf("%d-%d", i, k)
				got, err := r.talk(query("select '" + want + "'"))
				if err != nil || got[0] != "row "+want {
					t.Errorf("wanted %s and got %q, %v", want, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	d.atRest(t)
}

// TestServersOverTLS has the router verify the server's certificate.
func TestServersOverTLS(t *testing.T) {
	dir := wiretest.ServerDir(t)
	c := wiretest.MakeCertificate(t, dir, "127.0.0.1")
	giveToPostgres(t, c.CertFile, c.KeyFile)
	h := startHouse(t, wiretest.WithSetting("ssl", "on"), wiretest.WithSetting("ssl_cert_file", c.CertFile),
		wiretest.WithSetting("ssl_key_file", c.KeyFile))
	other := wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1")
	for _, mode := range []string{"disable", "prefer", "require", "verify-ca", "verify-full"} {
		t.Run(mode, func(t *testing.T) {
			d := h.open(t, poolSize(1), func(s *setup) {
				s.cluster.TLSMode, s.cluster.TLSCAFile = mode, c.CertFile
			})
			r := d.raw(t)
			want := "row t; SELECT 1; ready I"
			if mode == "disable" {
				want = "row f; SELECT 1; ready I"
			}
			r.expect(t, want, query("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
			if err := r.send(query("select pg_sleep(60)")); err != nil {
				t.Fatal(err)
			}
			if !poll(func() bool {
				return ask[int](t, h, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == 1
			}) {
				t.Fatal("the query does not run")
			}
			if err := d.cancel(r.key); err != nil {
				t.Fatal(err)
			}
			if got, err := r.answers(); err != nil || got[0] != "error 57014" {
				t.Fatalf("%q, %v", got, err)
			}
			if shown := d.Servers()[0].TLS; (shown == "") != (mode == "disable") {
				t.Errorf("the server is shown with TLS %q", shown)
			}
		})
	}
	t.Run("verify-full, of somebody else", func(t *testing.T) {
		d := h.open(t, limits(func(l *tenants.Limits) { l.QueryWaitTimeout = 1e9 }), func(s *setup) {
			s.cluster.TLSMode, s.cluster.TLSCAFile = "verify-full", other.CertFile
		})
		_, err := d.tryRaw("acme")
		wantState(t, err, "57014")
	})
}

// giveToPostgres makes files those of the account that servers run as.
func giveToPostgres(t *testing.T, files ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		return // servers run as ourselves
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, file := range files {
		if err := os.Chown(file, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
}
