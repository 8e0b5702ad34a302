package router_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"howdah/router"
	"howdah/router/hba"
	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// TestRealRules has clients log in by rules, in front of one PostgreSQL.
func TestRealRules(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"RulesDecide", testRulesDecide},
		{"RulesForTheConsolesOtherName", testRulesForTheConsolesOtherName},
		{"RulesAreReloaded", testRulesAreReloaded},
		{"RulesJudgeReplication", testRulesJudgeReplication},
		{"VerifierAndMethod", testVerifierAndMethod},
		{"PasswordNeedsTLS", testPasswordNeedsTLS},
		{"Certificates", testCertificates},
		{"CertificateBesideScram", testCertificateBesideScram},
		{"Peer", testPeer},
		{"TrustUsesTheServerSecret", testTrustUsesTheServerSecret},
		{"AWrongServerSecretIsSaid", testAWrongServerSecretIsSaid},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// byRules has a door judge clients by rules and maps.
func byRules(t *testing.T, rules, maps string) func(*setup) {
	t.Helper()
	list, mistakes := hba.Parse("hba", rules, nil)
	m, more := hba.ParseMaps("ident", maps)
	if len(mistakes)+len(more) > 0 {
		t.Fatal(mistakes, more)
	}
	return func(s *setup) { s.config.HBA, s.config.Maps = list, m }
}

// withSecret gives users what logs them in to servers.
func withSecret(s *setup) {
	users := s.users
	s.users = nil
	for _, u := range users {
		u.ServerSecret = secret
		s.users = append(s.users, u)
	}
}

// log in with c and answer as whom; the connection is closed.
func whoAmI(c wire.DialConfig) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := wire.Dial(ctx, c)
	if err != nil {
		return "", err
	}
	r := newRaw(e)
	defer r.Close()
	lines, err := r.talk(query("select current_user"))
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(lines[0], "row "), nil
}

// wantUser fails the test unless c logs in as user.
func wantUser(t *testing.T, c wire.DialConfig, user string) {
	t.Helper()
	if got, err := whoAmI(c); err != nil || got != user {
		t.Errorf("logged in as %q, %v; want %q", got, err, user)
	}
}

// wantRefusal fails the test unless c is refused with the code and words.
func wantRefusal(t *testing.T, c wire.DialConfig, code, words string) {
	t.Helper()
	_, err := whoAmI(c)
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code || e.Message != words {
		t.Errorf("got %v, want %s %s", err, code, words)
	}
}

func testRulesDecide(t *testing.T, h *house) {
	d := h.open(t, byRules(t, "host acme acme 127.0.0.0/8 scram-sha-256\nhost all globex all reject\n", ""))
	wantUser(t, d.dialConfig("acme"), "acme")
	wrong := d.dialConfig("acme")
	wrong.Secret = wire.Secret{Password: "wrong"}
	wantRefusal(t, wrong, "28P01", `password authentication failed for user "acme"`)
	wantRefusal(t, d.dialConfig("globex"), "28000",
		`pg_hba.conf rejects connection for host "127.0.0.1", user "globex", database "globex", no encryption`)
	other := d.dialConfig("acme")
	other.Parameters = []wire.Parameter{{Name: "user", Value: "acme"}, {Name: "database", Value: "globex"}}
	wantRefusal(t, other, "28000",
		`no pg_hba.conf entry for host "127.0.0.1", user "acme", database "globex", no encryption`)
	stranger := d.dialConfig("acme")
	stranger.Parameters = []wire.Parameter{{Name: "user", Value: "mallory"}}
	wantRefusal(t, stranger, "28000",
		`no pg_hba.conf entry for host "127.0.0.1", user "mallory", database "mallory", no encryption`)
}

func testRulesForTheConsolesOtherName(t *testing.T, h *house) {
	d := h.open(t, byRules(t, "host pgbouncer all all reject\nhost all all all scram-sha-256\n", ""))
	d.Handle(func(context.Context, net.Conn, router.VirtualLogin) { t.Error("the console is open") }, "howdah", "pgbouncer")
	d.address = d.serveOn(t, "tcp", "127.0.0.1:0") // Handle comes before Serve
	wantUser(t, d.dialConfig("acme"), "acme")
	for _, name := range []string{"pgbouncer", "howdah"} {
		c := d.dialConfig("acme")
		c.Parameters = []wire.Parameter{{Name: "user", Value: "acme"}, {Name: "database", Value: name}}
		wantRefusal(t, c, "28000",
			`pg_hba.conf rejects connection for host "127.0.0.1", user "acme", database "`+name+`", no encryption`)
	}
}

func testRulesAreReloaded(t *testing.T, h *house) {
	d := h.open(t)
	wantUser(t, d.dialConfig("acme"), "acme")
	d.reload(t, byRules(t, "host all all all reject", ""))
	wantRefusal(t, d.dialConfig("acme"), "28000",
		`pg_hba.conf rejects connection for host "127.0.0.1", user "acme", database "acme", no encryption`)
	d.reload(t, byRules(t, "host all all 127.0.0.1/32 scram-sha-256", ""))
	wantUser(t, d.dialConfig("acme"), "acme")
}

func testRulesJudgeReplication(t *testing.T, h *house) {
	d := h.open(t, byRules(t, "host all all all scram-sha-256", ""))
	c := d.dialConfig("acme", wire.Parameter{Name: "replication", Value: "true"})
	wantRefusal(t, c, "28000", `no pg_hba.conf entry for replication connection from host "127.0.0.1", user "acme", no encryption`)
	d.reload(t, byRules(t, "host replication acme all reject\nhost all all all scram-sha-256", ""))
	wantRefusal(t, c, "28000", `pg_hba.conf rejects replication connection for host "127.0.0.1", user "acme", no encryption`)
	d.reload(t, byRules(t, "host replication,all acme all scram-sha-256", ""))
	wantRefusal(t, c, "42501", `user "acme" may not open replication connections`)
}

// testVerifierAndMethod has the method md5 take either kind of verifier, and
// scram-sha-256 only its own.
func testVerifierAndMethod(t *testing.T, h *house) {
	withMD5 := func(s *setup) {
		s.users = []tenants.User{s.users[0], {Name: "globex", Verifier: wire.MakeMD5(secret, "globex"), ServerSecret: secret}}
	}
	d := h.open(t, withMD5, byRules(t, "host all all all md5", ""))
	wantUser(t, d.dialConfig("acme"), "acme")
	old := d.dialConfig("globex")
	old.Secret = wire.Secret{Password: secret}
	wantUser(t, old, "globex") // by its server secret: PostgreSQL itself wants SCRAM
	d.reload(t, byRules(t, "host all all all scram-sha-256", ""))
	wantRefusal(t, old, "28P01", `password authentication failed for user "globex"`)
	wantUser(t, d.dialConfig("acme"), "acme")
}

func testPasswordNeedsTLS(t *testing.T, h *house) {
	var c wiretest.Certificate
	d := h.open(t, byRules(t, "host all all all password", ""), func(s *setup) { c = withTLS(t, s) })
	plain := d.dialConfig("acme")
	plain.Secret = wire.Secret{Password: secret}
	wantRefusal(t, plain, "28000", "the password would go over the network in clear text")
	over := plain
	over.TLSMode, over.TLS = wire.TLSVerifyFull, &tls.Config{RootCAs: c.Pool}
	wantUser(t, over, "acme")
	over.Secret = wire.Secret{Password: "wrong"}
	wantRefusal(t, over, "28P01", `password authentication failed for user "acme"`)
	over.Parameters = []wire.Parameter{{Name: "user", Value: "mallory"}}
	wantRefusal(t, over, "28P01", `password authentication failed for user "mallory"`)
}

// withClientCertificates has a door offer TLS and take client certificates with
// the common name. It returns the configuration of a client that shows one.
func withClientCertificates(t *testing.T, s *setup, name string) *tls.Config {
	t.Helper()
	own := wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1")
	shown := wiretest.MakeCertificate(t, t.TempDir(), name)
	certificate, err := wire.LoadCertificate(own.CertFile, own.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s.config.TLS = wire.ServerTLS(certificate, shown.Pool)
	pair, err := tls.LoadX509KeyPair(shown.CertFile, shown.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{RootCAs: own.Pool, Certificates: []tls.Certificate{pair}}
}

func testCertificates(t *testing.T, h *house) {
	var c *tls.Config
	d := h.open(t, withSecret, byRules(t, "hostssl acme all all cert map=apps\nhostssl all all all cert", "apps app acme"), func(s *setup) {
		c = withClientCertificates(t, s, "app")
	})
	mapped := d.dialConfig("acme")
	mapped.Secret, mapped.TLSMode, mapped.TLS = wire.Secret{}, wire.TLSVerifyFull, c
	wantUser(t, mapped, "acme")
	other := mapped
	other.Parameters = []wire.Parameter{{Name: "user", Value: "globex"}}
	wantRefusal(t, other, "28000", `certificate authentication failed for user "globex"`)
	none := mapped
	none.TLS = &tls.Config{RootCAs: c.RootCAs}
	wantRefusal(t, none, "28000", `certificate authentication failed for user "acme"`)
	plain := mapped
	plain.TLSMode, plain.TLS = wire.TLSDisable, nil
	wantRefusal(t, plain, "28000", `no pg_hba.conf entry for host "127.0.0.1", user "acme", database "acme", no encryption`)
	forged := mapped
	strange := wiretest.MakeCertificate(t, t.TempDir(), "app")
	pair, err := tls.LoadX509KeyPair(strange.CertFile, strange.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	forged.TLS = &tls.Config{RootCAs: c.RootCAs, Certificates: []tls.Certificate{pair}}
	if who, err := whoAmI(forged); err == nil {
		t.Errorf("a certificate that nobody knows logs in as %q", who)
	}
	if row := d.Clients(); len(row) > 1 {
		t.Errorf("clients %+v", row)
	}
}

func testCertificateBesideScram(t *testing.T, h *house) {
	var c *tls.Config
	d := h.open(t, byRules(t, "hostssl acme all all scram-sha-256 clientcert=verify-full\nhostssl all all all scram-sha-256 clientcert=verify-ca", ""), func(s *setup) {
		c = withClientCertificates(t, s, "acme")
	})
	both := d.dialConfig("acme")
	both.TLSMode, both.TLS = wire.TLSVerifyFull, c
	wantUser(t, both, "acme")
	byAuthority := d.dialConfig("globex")
	byAuthority.TLSMode, byAuthority.TLS = wire.TLSVerifyFull, c
	wantUser(t, byAuthority, "globex")
	wrong := both
	wrong.Secret = wire.Secret{Password: "wrong"}
	wantRefusal(t, wrong, "28P01", `password authentication failed for user "acme"`)
	none := both
	none.TLS = &tls.Config{RootCAs: c.RootCAs}
	wantRefusal(t, none, "28000", "connection requires a valid client certificate")
	named := both
	named.Secret = wire.Secret{Scram: h.keys["globex"]}
	named.Parameters = []wire.Parameter{{Name: "user", Value: "globex"}, {Name: "database", Value: "acme"}}
	wantRefusal(t, named, "28000", `certificate authentication failed for user "globex"`)
}

// serveUnix has a door serve a Unix socket too and returns its path.
func (d *door) serveUnix(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".s.PGSQL.6432")
	d.serveOn(t, "unix", path)
	return path
}

// serveOn has a door serve one address more, until the test's end, and returns
// it.
func (d *door) serveOn(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve returned %v", err)
		}
	})
	return l.Addr().String()
}

func testPeer(t *testing.T, h *house) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	d := h.open(t, withSecret, byRules(t, "local acme all peer map=m\nlocal all all peer\nhost all all all scram-sha-256", "m "+me.Username+" acme"))
	c := d.dialConfig("acme")
	c.Secret, c.Address = wire.Secret{}, d.serveUnix(t)
	wantUser(t, c, "acme")
	c.Parameters = []wire.Parameter{{Name: "user", Value: "globex"}, {Name: "database", Value: "acme"}}
	wantRefusal(t, c, "28000", `Peer authentication failed for user "globex"`)
	c.Parameters = []wire.Parameter{{Name: "user", Value: "globex"}}
	wantRefusal(t, c, "28000", `Peer authentication failed for user "globex"`)
	d.reload(t, byRules(t, "host all all all scram-sha-256", ""))
	wantRefusal(t, c, "28000", `no pg_hba.conf entry for host "[local]", user "globex", database "globex", no encryption`)
}

func testTrustUsesTheServerSecret(t *testing.T, h *house) {
	d := h.open(t, withSecret, byRules(t, "host all acme 127.0.0.1/32 trust", ""))
	c := d.dialConfig("acme")
	c.Secret = wire.Secret{}
	wantUser(t, c, "acme")
}

// testAWrongServerSecretIsSaid: it is the operator's to mend.
func testAWrongServerSecretIsSaid(t *testing.T, h *house) {
	d := h.open(t, byRules(t, "host all acme 127.0.0.1/32 trust", ""), func(s *setup) {
		s.users = []tenants.User{{Name: "acme", ServerSecret: "wrong"}}
	})
	c := d.dialConfig("acme")
	c.Secret = wire.Secret{}
	if _, err := whoAmI(c); err == nil {
		t.Error("logged in with a wrong secret")
	}
}
