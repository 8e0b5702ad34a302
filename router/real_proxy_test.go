package router_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"howdah/router"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// TestRealProxy has clients come through a proxy, in front of one PostgreSQL.
func TestRealProxy(t *testing.T) {
	h := startHouse(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"TheClientIsWhomTheProxyNames", testTheClientIsWhomTheProxyNames},
		{"ProxyInFrontOfTLS", testProxyInFrontOfTLS},
		{"ProxysOwnConnections", testProxysOwnConnections},
		{"ListedPeersMustSendAHeader", testListedPeersMustSendAHeader},
		{"OthersHeadersAreNotLookedFor", testOthersHeadersAreNotLookedFor},
		{"TrustEndsWithProxies", testTrustEndsWithProxies},
		{"TheConsoleIsToldTheClient", testTheConsoleIsToldTheClient},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// behindProxy has a door believe proxies in the networks.
func behindProxy(networks ...string) func(*setup) {
	return func(s *setup) {
		s.config.ProxyFrom = nil
		for _, n := range networks {
			s.config.ProxyFrom = append(s.config.ProxyFrom, netip.MustParsePrefix(n))
		}
	}
}

// from has c's connections begin with what a proxy sends for a client.
func from(c wire.DialConfig, source, destination string) wire.DialConfig {
	h := wire.ProxyHeader{Local: source == ""}
	if !h.Local {
		h.Source, h.Destination = netip.MustParseAddrPort(source), netip.MustParseAddrPort(destination)
	}
	return beginWith(c, wire.AppendProxyHeader(nil, h))
}

func beginWith(c wire.DialConfig, bytes []byte) wire.DialConfig {
	c.Transport = func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		if err == nil {
			_, err = conn.Write(bytes)
		}
		return conn, err
	}
	return c
}

func testTheClientIsWhomTheProxyNames(t *testing.T, h *house) {
	d := h.open(t, behindProxy("127.0.0.1/32"), byRules(t, "host all acme 203.0.113.0/24 scram-sha-256\nhost all acme 2001:db8::/32 scram-sha-256", ""))
	for _, source := range []string{"203.0.113.7:4711", "[2001:db8::7]:4711"} {
		local := "192.0.2.1:6432"
		if strings.HasPrefix(source, "[") {
			local = "[2001:db8::1]:6432"
		}
		r := newRaw(dial(t, from(d.dialConfig("acme"), source, local)))
		r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		c := d.Clients()[0]
		if want := netip.MustParseAddrPort(source); c.Addr != want.Addr().String() || c.Port != 4711 {
			t.Errorf("client %s:%d, want %s", c.Addr, c.Port, source)
		}
		if want := netip.MustParseAddrPort(local); c.LocalAddr != want.Addr().String() || c.LocalPort != 6432 {
			t.Errorf("local address %s:%d, want %s", c.LocalAddr, c.LocalPort, local)
		}
		r.Close()
		d.atRest(t)
	}
	wantRefusal(t, from(d.dialConfig("acme"), "198.51.100.7:5", "192.0.2.1:6432"), "28000",
		`no pg_hba.conf entry for host "198.51.100.7", user "acme", database "acme", no encryption`)
	if !poll(func() bool { return strings.Contains(d.log.tail(), `msg="login failed" address=198.51.100.7:5`) }) {
		t.Errorf("the log does not name the client:\n%s", d.log.tail())
	}
}

func testProxyInFrontOfTLS(t *testing.T, h *house) {
	var c wiretest.Certificate
	d := h.open(t, behindProxy("127.0.0.0/8"), func(s *setup) {
		c = withTLS(t, s)
		s.config.RequireTLS = true
	})
	over := from(d.dialConfig("acme"), "203.0.113.7:4711", "192.0.2.1:6432")
	over.TLSMode, over.TLS = wire.TLSVerifyFull, &tls.Config{RootCAs: c.Pool}
	wantUser(t, over, "acme")
}

// testProxysOwnConnections lets a proxy look whether there is anybody.
func testProxysOwnConnections(t *testing.T, h *house) {
	d := h.open(t, behindProxy("127.0.0.1/32"), byRules(t, "host all acme 127.0.0.1/32 scram-sha-256", ""))
	wantUser(t, from(d.dialConfig("acme"), "", ""), "acme")
}

func testListedPeersMustSendAHeader(t *testing.T, h *house) {
	d := h.open(t, behindProxy("10.0.0.0/8", "127.0.0.1/32"))
	const words = "a connection from 127.0.0.1 must begin with a header of the PROXY protocol, version 2"
	wantRefusal(t, d.dialConfig("acme"), "08P01", words)
	wantRefusal(t, beginWith(d.dialConfig("acme"), []byte("PROXY TCP4 203.0.113.7 192.0.2.1 5 6432\r\n")), "08P01", words)
	header := wire.AppendProxyHeader(nil, wire.ProxyHeader{Local: true})
	for name, begin := range map[string][]byte{
		"UDP":    append(bytes.Clone(header[:12]), 0x21, 0x12, 0, 0),
		"length": append(bytes.Clone(header[:12]), 0x21, 0x11, 0xff, 0xff),
	} {
		if who, err := whoAmI(beginWith(d.dialConfig("acme"), begin)); err == nil {
			t.Errorf("%s: logged in as %s", name, who)
		}
	}
	// Half a header is not waited for as long as a login.
	conn, err := net.Dial("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(header[:14])
	conn.SetReadDeadline(time.Now().Add(patience / 2))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("half a header: %v", err)
	}
}

func testOthersHeadersAreNotLookedFor(t *testing.T, h *house) {
	d := h.open(t, behindProxy("10.0.0.0/8", "::1/128"))
	wantUser(t, d.dialConfig("acme"), "acme")
	if who, err := whoAmI(from(d.dialConfig("acme"), "10.0.0.1:5", "10.0.0.2:6")); err == nil {
		t.Errorf("a header from a stranger logs in as %s", who)
	}
}

// testTrustEndsWithProxies: one on this machine would make everyone local.
func testTrustEndsWithProxies(t *testing.T, h *house) {
	d := h.open(t, withSecret, behindProxy("127.0.0.1/32"), func(s *setup) { s.config.AuthType = "trust" })
	bare := d.dialConfig("acme")
	bare.Secret = wire.Secret{}
	for _, source := range []string{"127.0.0.1:5", ""} {
		if who, err := whoAmI(from(bare, source, "127.0.0.1:6")); err == nil {
			t.Errorf("auth_type trust lets %q in as %s", source, who)
		}
		wantUser(t, from(d.dialConfig("acme"), source, "127.0.0.1:6"), "acme") // by password
	}
	local := bare
	local.Address = d.serveUnix(t)
	wantUser(t, local, "acme")
	d.reload(t, byRules(t, "host all all all trust\nlocal all all trust", ""))
	for _, source := range []string{"127.0.0.1:5", "203.0.113.7:5", ""} {
		wantRefusal(t, from(bare, source, "127.0.0.1:6"), "28000", "trust does not hold by TCP where proxies are believed")
	}
	wantUser(t, local, "acme")
	d.reload(t, behindProxy("10.0.0.0/8"))
	wantRefusal(t, bare, "28000", "trust does not hold by TCP where proxies are believed")
	d.reload(t, behindProxy())
	wantUser(t, bare, "acme")
}

func testTheConsoleIsToldTheClient(t *testing.T, h *house) {
	d := h.open(t, behindProxy("127.0.0.1/32"))
	told := make(chan string, 1)
	d.Handle(func(_ context.Context, conn net.Conn, login router.VirtualLogin) {
		told <- login.Address + " " + conn.RemoteAddr().String() + " " + conn.LocalAddr().String()
	}, "console")
	d.address = d.serveOn(t, "tcp", "127.0.0.1:0") // Handle comes before Serve
	whoAmI(func() wire.DialConfig {
		c := from(d.dialConfig("acme"), "203.0.113.7:4711", "192.0.2.1:6432")
		c.Parameters = []wire.Parameter{{Name: "user", Value: "acme"}, {Name: "database", Value: "console"}}
		return c
	}())
	select {
	case got := <-told:
		if want := "203.0.113.7:4711 203.0.113.7:4711 192.0.2.1:6432"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	case <-time.After(patience):
		t.Error("the console has not been reached")
	}
}
