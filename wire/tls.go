package wire

import (
	"context"
	"crypto"
	_ "crypto/sha256" // linked for EndPointBinding
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// ALPN is the name by which TLS peers agree to speak this protocol.
const ALPN = "postgresql"

// ErrNoALPN reports a client that began TLS at once, without SSLRequest, but
// did not name the protocol. Refusing it keeps other protocols' clients from
// being talked into speaking to us (the ALPACA attack).
var ErrNoALPN = errors.New("wire: direct TLS without ALPN " + ALPN)

// recordHandshake is the first byte of a TLS handshake. No untyped packet
// begins with it: as a length it would be above MaxStartupLen.
const recordHandshake = 0x16

// Accepted is a client connection whose first packets were answered.
type Accepted struct {
	Conn    net.Conn // TLS where that is not nil, else the one given
	TLS     *tls.Conn
	Binding []byte   // for AuthenticateSCRAM; nil without TLS or where undefined
	Startup *Startup // of kind StartSession or StartCancel
}

// Accept reads and answers what a client sends first, through SSLRequest,
// GSSENCRequest (always refused) or TLS without asking, up to its
// StartupMessage or CancelRequest, and reads not a byte past that. Config nil
// means that TLS is refused; it should come from ServerTLS. Ctx bounds the TLS
// handshake only; a deadline for all of it is conn's.
//
// Accepted is never nil. With an error its Conn is where an *Error can still
// be told to the client; closing it is the caller's.
func Accept(ctx context.Context, conn net.Conn, config *tls.Config) (*Accepted, error) {
	a := &Accepted{Conn: conn}
	if config != nil {
		var first [1]byte
		if _, err := io.ReadFull(conn, first[:]); err != nil {
			return a, fmt.Errorf("read startup packet: %w", err)
		}
		a.Conn = &unread{Conn: conn, head: first[:]}
		if first[0] == recordHandshake {
			if err := a.handshake(ctx, config); err != nil {
				return a, err
			}
			if a.TLS.ConnectionState().NegotiatedProtocol != ALPN {
				return a, ErrNoALPN
			}
		}
	}
	// Each request may come once, as in PostgreSQL.
	for askedTLS, askedGSS := a.TLS != nil, false; ; {
		s, err := ReadStartup(a.Conn)
		if u, ok := a.Conn.(*unread); ok {
			a.Conn = u.Conn
		}
		if err != nil {
			return a, err
		}
		a.Startup = s
		switch {
		case s.Kind == StartTLS && !askedTLS:
			askedTLS = true
			err = a.answerTLS(ctx, config)
		case s.Kind == StartGSS && !askedGSS:
			askedGSS = true
			err = a.answer('N')
		case s.Kind == StartTLS, s.Kind == StartGSS:
			err = fmt.Errorf("%w: encryption asked for twice", ErrMalformed)
		default:
			return a, nil
		}
		if err != nil {
			return a, err
		}
	}
}

func (a *Accepted) answer(b byte) error {
	if _, err := a.Conn.Write([]byte{b}); err != nil {
		return fmt.Errorf("answer encryption request: %w", err)
	}
	return nil
}

func (a *Accepted) answerTLS(ctx context.Context, config *tls.Config) error {
	if config == nil {
		return a.answer('N')
	}
	if err := a.answer('S'); err != nil {
		return err
	}
	return a.handshake(ctx, config)
}

// handshake takes the connection into TLS. Whatever came behind the SSLRequest
// is still unread, so bytes that someone slipped in there in clear text reach
// the handshake and break it (CVE-2021-3935).
func (a *Accepted) handshake(ctx context.Context, config *tls.Config) error {
	var shown shownCertificate
	t := tls.Server(a.Conn, config)
	if err := t.HandshakeContext(context.WithValue(ctx, shownKey{}, &shown)); err != nil {
		return fmt.Errorf("accept TLS: %w", err)
	}
	a.Conn, a.TLS, a.Binding = t, t, shown.binding
	return nil
}

// shownCertificate learns which certificate a handshake used: a reload may
// come between the handshake and the login.
type shownCertificate struct{ binding []byte }

type shownKey struct{}

// unread is a connection in front of which bytes were put back.
type unread struct {
	net.Conn
	head []byte
}

func (u *unread) Read(p []byte) (int, error) {
	if len(u.head) == 0 {
		return u.Conn.Read(p)
	}
	n := copy(p, u.head)
	u.head = u.head[n:]
	return n, nil
}

// ServerTLS returns the configuration for Accept that shows certificate c. It
// takes TLS 1.2 and up and no session tickets, as PostgreSQL does. ClientCAs,
// where not nil, are asked for client certificates; one that is shown must be
// signed by them.
func ServerTLS(c *Certificate, clientCAs *x509.CertPool) *tls.Config {
	config := &tls.Config{
		GetCertificate:         c.GetCertificate,
		NextProtos:             []string{ALPN},
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true,
	}
	if clientCAs != nil {
		config.ClientCAs, config.ClientAuth = clientCAs, tls.VerifyClientCertIfGiven
	}
	return config
}

// Certificate is a server certificate that can be read again from its files
// while connections use it. It is safe for concurrent use.
type Certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[loadedCertificate]
}

type loadedCertificate struct {
	pair    tls.Certificate
	binding []byte
}

// LoadCertificate reads a certificate chain and its key from PEM files.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	return c, c.Reload()
}

// Reload reads the files again. On an error the certificate in use stays.
func (c *Certificate) Reload() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load certificate %q: %w", c.certFile, err)
	}
	c.current.Store(&loadedCertificate{pair, EndPointBinding(pair.Leaf)})
	return nil
}

// GetCertificate is a tls.Config's GetCertificate.
func (c *Certificate) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	l := c.current.Load()
	if shown, ok := hello.Context().Value(shownKey{}).(*shownCertificate); ok {
		shown.binding = l.binding
	}
	return &l.pair, nil
}

// EndPointBinding returns the tls-server-end-point channel binding of a server
// certificate (RFC 5929, section 4.1): its digest by the hash of its own
// signature, SHA-256 in place of MD5 and SHA-1. It is nil where the signature
// has no single hash, as Ed25519.
func EndPointBinding(cert *x509.Certificate) []byte {
	var h crypto.Hash
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.DSAWithSHA256, x509.ECDSAWithSHA256:
		h = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = crypto.SHA512
	default:
		return nil
	}
	d := h.New()
	d.Write(cert.Raw)
	return d.Sum(nil)
}

// TLSName returns version and cipher of a connection, as reports show them.
func TLSName(s tls.ConnectionState) string {
	return tls.VersionName(s.Version) + "/" + tls.CipherSuiteName(s.CipherSuite)
}
