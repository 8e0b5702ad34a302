package loop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"howdah/wire/loop"
)

// certificate is the one that every TLS server of these tests shows.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"loop.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// secureCase is a TLS connection's version, and which end of it is a loop's.
type secureCase struct {
	version uint16
	server  bool // the loop's end
}

func (c secureCase) String() string {
	if c.server {
		return tls.VersionName(c.version) + " server"
	}
	return tls.VersionName(c.version) + " client"
}

func secureCases() []secureCase {
	return []secureCase{
		{tls.VersionTLS12, true},
		{tls.VersionTLS12, false},
		{tls.VersionTLS13, true},
		{tls.VersionTLS13, false},
	}
}

// handshake returns a loop's end of a TLS connection, not adopted yet, and its
// peer. wrap, where not nil, comes between the peer and its socket.
func handshake(t testing.TB, test secureCase, config *tls.Config, wrap func(net.Conn) net.Conn) (ours *tls.Conn, under *loop.Transport, peer *tls.Conn) {
	t.Helper()
	if config == nil {
		config = &tls.Config{}
	}
	config.MinVersion, config.MaxVersion = test.version, test.version
	config.Certificates = []tls.Certificate{certificate()}
	config.InsecureSkipVerify = true
	nc, socket := tcpPair(t)
	under = &loop.Transport{Conn: nc}
	var theirs net.Conn = socket
	if wrap != nil {
		theirs = wrap(socket)
	}
	if test.server {
		ours, peer = tls.Server(under, config), tls.Client(theirs, config)
	} else {
		ours, peer = tls.Client(under, config), tls.Server(theirs, config)
	}
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	if err := ours.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := await(t, done, "the peer's handshake"); err != nil {
		t.Fatal(err)
	}
	return ours, under, peer
}

// adoptTLS has l serve a TLS connection, on its thread.
func adoptTLS(t testing.TB, l *loop.Loop, nc *tls.Conn, under *loop.Transport, h loop.Handler) (c *loop.Conn) {
	t.Helper()
	var err error
	on(t, l, func() { c, err = l.AdoptTLS(nc, under, h, nil) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cutter sends seven bytes at a time and calls between behind each.
type cutter struct {
	net.Conn
	between func()
}

func (c *cutter) Write(b []byte) (n int, err error) {
	for n < len(b) {
		m, err := c.Conn.Write(b[n:min(n+7, len(b))])
		if n += m; err != nil {
			return n, err
		}
		if c.between != nil {
			c.between()
		}
	}
	return n, nil
}

// holder lets its first write through and keeps the others until release.
type holder struct {
	net.Conn
	writes int
	held   []byte
}

func (h *holder) Write(b []byte) (int, error) {
	if h.writes++; h.writes == 1 {
		return h.Conn.Write(b)
	}
	h.held = append(h.held, b...)
	return len(b), nil
}

func (h *holder) release() error {
	_, err := h.Conn.Write(h.held)
	return err
}

// recorder keeps what it reads.
type recorder struct {
	net.Conn
	read []byte
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.read = append(r.read, b[:n]...)
	return n, err
}
