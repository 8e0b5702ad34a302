package loop

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Transport is what crypto/tls works over. In the handshake it is the blocking
// connection itself; once AdoptTLS has run, it reads and writes through the
// loop. A Read that finds nothing says so with a temporary net.Error, after
// which crypto/tls keeps the partial record and can be called again. A Write
// takes everything: crypto/tls has no way back from one that did not.
type Transport struct {
	net.Conn // until adopted
	adopted  *Conn
	drained  bool // the socket gave less than was asked for
	corked   bool // records gather in the out-buffer until uncork
}

// wouldBlock is the error with which crypto/tls can go on.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return ErrWouldBlock.Error() }
func (wouldBlock) Timeout() bool   { return false }
func (wouldBlock) Temporary() bool { return true }

// Read implements net.Conn.
func (t *Transport) Read(b []byte) (int, error) {
	if t.adopted == nil {
		return t.Conn.Read(b)
	}
	if t.drained {
		return 0, wouldBlock{}
	}
	n, err := t.adopted.recv(b)
	if errors.Is(err, ErrWouldBlock) {
		return 0, wouldBlock{}
	}
	t.drained = err == nil && n < len(b)
	return n, err
}

// Write implements net.Conn.
func (t *Transport) Write(b []byte) (int, error) {
	if t.adopted == nil {
		return t.Conn.Write(b)
	}
	if c := t.adopted; t.corked {
		c.out = c.loop.buffers.Append(c.out, b)
	} else if !c.closed && c.err == nil {
		c.writeRaw(b)
	}
	return len(b), nil
}

// Close implements net.Conn. The loop closes what it has adopted itself.
func (t *Transport) Close() error {
	if t.adopted == nil {
		return t.Conn.Close()
	}
	return nil
}

// SetDeadline implements net.Conn.
func (t *Transport) SetDeadline(d time.Time) error {
	if t.adopted == nil {
		return t.Conn.SetDeadline(d)
	}
	return nil
}

// SetWriteDeadline implements net.Conn: crypto/tls sets one for close_notify.
func (t *Transport) SetWriteDeadline(d time.Time) error {
	if t.adopted == nil {
		return t.Conn.SetWriteDeadline(d)
	}
	return nil
}

// secure is the TLS half of a Conn.
type secure struct {
	*tls.Conn
	t *Transport
}

// read fills b with decrypted bytes, record by record, until b is full or the
// socket has no more: level-triggered readiness says nothing of bytes that
// crypto/tls has already taken in.
func (s *secure) read(b []byte) (n int, err error) {
	t := s.t
	t.drained = false
	for n < len(b) {
		m, err := s.Conn.Read(b[n:])
		n += m
		if err == nil {
			continue
		}
		var block wouldBlock
		switch {
		case n > 0:
			if !errors.As(err, &block) {
				t.adopted.queueReady() // let the next Read report it
			}
			return n, nil
		case errors.As(err, &block):
			return 0, ErrWouldBlock
		case errors.Is(err, io.ErrUnexpectedEOF):
			return 0, io.EOF
		}
		return 0, err
	}
	t.adopted.queueReady() // more may be inside crypto/tls
	return n, nil
}

// write encrypts b and sends its records together.
func (s *secure) write(c *Conn, b []byte) {
	t := s.t
	idle := len(c.out) == 0
	t.corked = true
	_, err := s.Conn.Write(b)
	t.corked = false
	if err != nil {
		c.fail(err)
		return
	}
	if idle {
		c.send()
	}
	if len(c.out) > 0 {
		c.watch(c.armed | unix.EPOLLOUT)
	}
}
