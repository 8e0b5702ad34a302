package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Secret is what we know to log in with. Each field may be empty; the server
// says which one it wants. A Secret with none is enough for servers that trust
// us or read our certificate.
type Secret struct {
	Password string
	Scram    *ScramKeys // used before Password, as it costs no hashing
	MD5      string     // "md5" and 32 hex digits; used before Password
}

// DialConfig says how to open a connection to a server.
type DialConfig struct {
	Address    string // "host:port", or a socket's path beginning with "/"
	TLSMode    TLSMode
	TLS        *tls.Config // nil: no client certificate, the system's authorities
	Version    uint32      // to ask for; 0 is Protocol30
	Parameters []Parameter // of the StartupMessage: user, database and more
	Secret     Secret
	KeepAlive  net.KeepAliveConfig // zero: the system does as Go's net decides

	// Transport opens the connection under all of this; nil is a net.Dialer.
	// TLS is put on top of what it returns.
	Transport func(ctx context.Context, network, address string) (net.Conn, error)
}

// Established is a server connection that said it is ready.
type Established struct {
	Conn       net.Conn    // a *tls.Conn where the server does TLS
	Parameters []Parameter // every ParameterStatus, in the server's order
	Key        Key         // zero where the server gave none
	Version    uint32      // what the server agreed to speak
	Keys       *ScramKeys  // what logged in, nil where it was not SCRAM
	ReadAhead  []byte      // bytes behind the first ReadyForQuery, normally none
}

// ErrNoSecret reports that the Secret holds nothing for the method the server
// asks for.
var ErrNoSecret = errors.New("wire: no secret for the method the server asks for")

// Dial opens a server connection and logs in. The server's own refusal is an
// *Error (use errors.As). When ctx ends the connection is closed and the error
// is ctx's. Dial leaves no goroutine behind.
func Dial(ctx context.Context, c DialConfig) (*Established, error) {
	for _, p := range c.Parameters {
		if p.Name == "" || strings.Contains(p.Name, "\x00") || strings.Contains(p.Value, "\x00") {
			return nil, fmt.Errorf("dial %q: parameter %q cannot be sent: empty name or zero byte", c.Address, p.Name)
		}
	}
	e, err := c.dial(ctx, c.TLSMode, c.login)
	if c.TLSMode == TLSPrefer && errors.Is(err, errHandshake) && ctx.Err() == nil {
		e, err = c.dial(ctx, TLSDisable, c.login)
	}
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", c.Address, err)
	}
	return e, nil
}

// SendCancel opens a connection, sends a CancelRequest that shows k and waits
// until the server closes it: from then on the cancel can hit nothing any more.
// An error means that this is not proven, and the connection whose key k is
// must be destroyed.
func SendCancel(ctx context.Context, c DialConfig, k Key) error {
	_, err := c.dial(ctx, c.TLSMode, func(s *session) (*Established, error) {
		return nil, cancel(s, k)
	})
	if err != nil {
		return fmt.Errorf("cancel at %q: %w", c.Address, err)
	}
	return nil
}

func cancel(s *session, k Key) error {
	if _, err := s.conn.Write(AppendCancelRequest(nil, k)); err != nil {
		return fmt.Errorf("send CancelRequest: %w", err)
	}
	var b [1]byte
	_, err := io.ReadFull(s.conn, b[:])
	switch {
	case err == nil:
		return fmt.Errorf("%w: server answered %q to a CancelRequest", ErrMalformed, b[0])
	case err == io.EOF:
		return nil
	case s.tls != nil && err == io.ErrUnexpectedEOF:
		return nil // PostgreSQL closes the socket without TLS's goodbye
	}
	return fmt.Errorf("wait for the end of the cancel connection: %w", err)
}

// session is a connection on its way to be established.
type session struct {
	conn net.Conn // tls where that is not nil
	tls  *tls.Conn
	unix bool
}

// dial opens the transport, takes it into TLS and runs use on it, all bounded
// by ctx. The connection is closed unless use returns it.
func (c *DialConfig) dial(ctx context.Context, mode TLSMode, use func(*session) (*Established, error)) (*Established, error) {
	network, host := "tcp", ""
	if strings.HasPrefix(c.Address, "/") {
		network, mode = "unix", TLSDisable
	} else if mode != TLSDisable {
		var err error
		if host, _, err = net.SplitHostPort(c.Address); err != nil {
			return nil, err
		}
	}
	conn, err := c.open(ctx, network)
	if err != nil {
		return nil, err
	}
	// The end of ctx wakes every read and write with a deadline long past.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	s := &session{conn: conn, unix: network == "unix"}
	e, err := s.start(ctx, c, mode, host, use)
	if !stop() && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil || e == nil {
		conn.Close()
		return nil, err
	}
	return e, nil
}

func (s *session) start(ctx context.Context, c *DialConfig, mode TLSMode, host string, use func(*session) (*Established, error)) (*Established, error) {
	if mode != TLSDisable {
		t, err := requestTLS(ctx, s.conn, clientTLS(c.TLS, mode, host), mode)
		if err != nil {
			return nil, err
		}
		if t != nil {
			s.conn, s.tls = t, t
		}
	}
	return use(s)
}

func (c *DialConfig) open(ctx context.Context, network string) (net.Conn, error) {
	if c.Transport != nil {
		return c.Transport(ctx, network, c.Address)
	}
	d := net.Dialer{KeepAliveConfig: c.KeepAlive}
	return d.DialContext(ctx, network, c.Address)
}
