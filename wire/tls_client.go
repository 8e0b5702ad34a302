package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
)

// TLSMode says whether to use TLS towards a server and what its certificate
// must prove, in libpq's words (manual, "SSL Support", sslmode). Sockets of
// the Unix domain never use TLS.
type TLSMode uint8

// The modes.
const (
	TLSDisable    TLSMode = iota // never
	TLSPrefer                    // where the server can, else clear text; the certificate proves nothing
	TLSRequire                   // always; the certificate proves nothing
	TLSVerifyCA                  // always; signed by an authority we trust
	TLSVerifyFull                // as TLSVerifyCA, and made out to the host's name
)

var tlsModeNames = [...]string{"disable", "prefer", "require", "verify-ca", "verify-full"}

// ParseTLSMode decodes libpq's name of a mode.
func ParseTLSMode(name string) (TLSMode, error) {
	for i, n := range tlsModeNames {
		if n == name {
			return TLSMode(i), nil
		}
	}
	return 0, fmt.Errorf("parse TLS mode %q: want one of %q", name, tlsModeNames)
}

// String returns libpq's name of the mode.
func (m TLSMode) String() string { return tlsModeNames[m] }

// ErrNoTLS reports a server that refused TLS to a mode that requires it.
var ErrNoTLS = errors.New("wire: server does not do TLS")

// errHandshake marks failures that TLSPrefer answers by trying without TLS.
var errHandshake = errors.New("wire: TLS handshake failed")

// requestTLS asks the server on conn for TLS and takes the connection there.
// It returns nil where the server refused and mode lets it. Only the one byte
// of the answer is read before the handshake, so nothing that came in clear
// text can be taken for what came through TLS.
func requestTLS(ctx context.Context, conn net.Conn, config *tls.Config, mode TLSMode) (*tls.Conn, error) {
	if _, err := conn.Write(AppendSSLRequest(nil)); err != nil {
		return nil, fmt.Errorf("request TLS: %w", err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, fmt.Errorf("read answer to SSLRequest: %w", err)
	}
	switch answer[0] {
	case 'S':
	case 'N':
		if mode == TLSPrefer {
			return nil, nil
		}
		return nil, ErrNoTLS
	default:
		// An ErrorResponse at this point comes from nobody in particular;
		// its text is not to be believed or shown (CVE-2024-10977).
		return nil, fmt.Errorf("%w: it answered %q to SSLRequest", ErrNoTLS, answer[0])
	}
	t := tls.Client(conn, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	return t, nil
}

// clientTLS returns base made fit for mode and host. Base may be nil: the
// system's authorities.
func clientTLS(base *tls.Config, mode TLSMode, host string) *tls.Config {
	c := base.Clone()
	if c == nil {
		c = &tls.Config{}
	}
	if c.MinVersion == 0 {
		c.MinVersion = tls.VersionTLS12
	}
	c.NextProtos = []string{ALPN}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if mode == TLSVerifyFull {
		c.InsecureSkipVerify = false
		return c
	}
	c.InsecureSkipVerify = true // VerifyConnection does what the mode asks for
	if mode == TLSVerifyCA {
		roots := c.RootCAs
		c.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, roots) }
	}
	return c
}

// verifyChain checks all of a certificate but whom it is made out to.
func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, cert := range s.PeerCertificates[1:] {
		options.Intermediates.AddCert(cert)
	}
	_, err := s.PeerCertificates[0].Verify(options)
	return err
}
