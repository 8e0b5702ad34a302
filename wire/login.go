package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Sizes of what a server may say during login, in bytes.
const (
	loginBuffer     = 4096    // holds a whole login's messages, as a rule
	maxLoginMessage = 1 << 16 // of one message; ErrorResponses are the long ones
)

// login sends the StartupMessage on s and follows the server until it is
// ready for a query.
func (c *DialConfig) login(s *session) (*Established, error) {
	version := c.Version
	if version == 0 {
		version = Protocol30
	}
	l := &login{
		session: s,
		config:  c,
		in:      messageReader{r: s.conn, buf: make([]byte, loginBuffer)},
		asked:   version,
		version: version,
	}
	l.out = AppendStartup(make([]byte, 0, 512), version, c.Parameters)
	if err := l.flush(); err != nil {
		return nil, err
	}
	for !l.ready {
		typ, body, err := l.in.next()
		if err != nil {
			return nil, fmt.Errorf("log in: %w", err)
		}
		if err := l.message(typ, body); err != nil {
			return nil, err
		}
	}
	e := &Established{
		Conn: s.conn, Parameters: splitParameters(string(l.parameters)),
		Key: l.key, Version: l.version, ReadAhead: l.in.rest(),
	}
	if l.scram != nil {
		keys := l.scram.Keys()
		e.Keys = &keys
	}
	return e, nil
}

// login is the state of one login.
type login struct {
	*session
	config *DialConfig
	in     messageReader
	out    []byte // the answer being built

	asked, version uint32
	scram          *ScramClient // nil before AuthenticationSASL
	proven         bool         // the server, too, knows the SCRAM secret
	authenticated  bool         // AuthenticationOk was seen
	ready          bool
	key            Key
	parameters     []byte // bodies of ParameterStatus, one behind the other
}

// message takes one message of the server's.
func (l *login) message(typ byte, body []byte) error {
	switch {
	case typ == ErrorResponse:
		e, err := ParseError(body)
		if err != nil {
			return err
		}
		return e
	case typ == NoticeResponse:
		return nil
	case typ == Authentication && !l.authenticated:
		return l.authentication(body)
	case typ == NegotiateProtocolVersion && !l.authenticated && l.scram == nil:
		return l.negotiate(body)
	case typ == ParameterStatus && l.authenticated:
		l.parameters = append(l.parameters, body...)
		_, _, err := ParseParameterStatus(body)
		return err
	case typ == BackendKeyData && l.authenticated:
		k, err := ParseBackendKeyData(body)
		l.key = Key{PID: k.PID, Secret: append([]byte(nil), k.Secret...)}
		return err
	case typ == ReadyForQuery && l.authenticated:
		status, err := ParseReadyForQuery(body)
		if err == nil && status != TxIdle {
			err = fmt.Errorf("%w: new server in transaction status %q", ErrMalformed, status)
		}
		l.ready = true
		return err
	}
	return fmt.Errorf("%w: type %q during login", ErrMalformed, typ)
}

// negotiate takes a NegotiateProtocolVersion. We send no _pq_ options, so the
// names behind the version are nothing to us.
func (l *login) negotiate(body []byte) error {
	if len(body) < 8 {
		return ErrMalformed
	}
	v := binary.BigEndian.Uint32(body)
	if v != Protocol30 && v != Protocol32 {
		return fmt.Errorf("%w: server negotiates protocol %d.%d", ErrMalformed, v>>16, v&0xffff)
	}
	l.version = min(v, l.asked)
	return nil
}

func (l *login) authentication(body []byte) error {
	kind, data, err := ParseAuthentication(body)
	if err != nil {
		return err
	}
	if l.scram != nil && kind != AuthSASLContinue && kind != AuthSASLFinal && kind != AuthOK {
		return fmt.Errorf("%w: server changes the method during SASL", ErrMalformed)
	}
	switch kind {
	case AuthOK:
		// A server that asked for SCRAM and then waves us through has not
		// proven that it knows the secret.
		if l.scram != nil && !l.proven {
			return fmt.Errorf("%w: the server did not finish SCRAM", ErrAuthentication)
		}
		l.authenticated = true
		return nil
	case AuthCleartext:
		return l.cleartext()
	case AuthMD5:
		return l.md5(data)
	case AuthSASL:
		return l.saslStart(data)
	case AuthSASLContinue, AuthSASLFinal:
		return l.saslGoOn(kind, data)
	}
	return fmt.Errorf("%w: authentication method %d", ErrNoSecret, kind)
}

// cleartext sends the password itself, but never over a network in the clear.
func (l *login) cleartext() error {
	if l.config.Secret.Password == "" {
		return fmt.Errorf("%w: password", ErrNoSecret)
	}
	if l.tls == nil && !l.unix {
		return fmt.Errorf("%w: the server wants the password in clear text without TLS", ErrNoSecret)
	}
	l.out = AppendString(l.out[:0], Password, l.config.Secret.Password)
	return l.flush()
}

func (l *login) md5(salt []byte) error {
	if len(salt) != 4 {
		return ErrMalformed
	}
	s := l.config.Secret
	verifier := s.MD5
	if verifier == "" {
		if s.Password == "" {
			return fmt.Errorf("%w: md5", ErrNoSecret)
		}
		verifier = MakeMD5(s.Password, l.config.parameter("user"))
	}
	l.out = AppendString(l.out[:0], Password, answerMD5(verifier, salt))
	return l.flush()
}

func (c *DialConfig) parameter(name string) string {
	s := Startup{Parameters: c.Parameters}
	return s.Parameter(name)
}

func (l *login) saslStart(data []byte) error {
	s := l.config.Secret
	if s.Scram == nil && s.Password == "" {
		return fmt.Errorf("%w: SCRAM", ErrNoSecret)
	}
	offered, err := saslMechanisms(data)
	if err != nil {
		return err
	}
	var binding []byte
	if l.tls != nil {
		binding = EndPointBinding(l.tls.ConnectionState().PeerCertificates[0])
	}
	l.scram = NewScramClient(s.Password, s.Scram, binding, l.tls != nil)
	mechanism, first, err := l.scram.First(offered)
	if err != nil {
		return err
	}
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(first)))
	l.out = AppendMessage(l.out[:0], Password, []byte(mechanism), []byte{0}, length[:], first)
	return l.flush()
}

func (l *login) saslGoOn(kind uint32, data []byte) error {
	switch {
	case l.scram == nil:
		return fmt.Errorf("%w: SASL goes on before it began", ErrMalformed)
	case kind == AuthSASLFinal:
		if err := l.scram.Verify(data); err != nil {
			return err
		}
		l.proven = true
		return nil
	}
	final, err := l.scram.Final(data)
	if err != nil {
		return err
	}
	l.out = AppendMessage(l.out[:0], Password, final)
	return l.flush()
}

func (l *login) flush() error {
	if _, err := l.conn.Write(l.out); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	return nil
}

// splitParameters cuts ParameterStatus bodies laid end to end, each checked
// before. One string serves them all.
func splitParameters(s string) []Parameter {
	if s == "" {
		return nil
	}
	list := make([]Parameter, 0, strings.Count(s, "\x00")/2)
	for s != "" {
		var p Parameter
		p.Name, s, _ = strings.Cut(s, "\x00")
		p.Value, s, _ = strings.Cut(s, "\x00")
		list = append(list, p)
	}
	return list
}

// messageReader reads whole messages of bounded length.
type messageReader struct {
	r    io.Reader
	buf  []byte
	i, n int // unread bytes are buf[i:n]
}

// next returns the next message; body lives until the next call.
func (m *messageReader) next() (typ byte, body []byte, err error) {
	for {
		h, ok, err := ParseHeader(m.buf[m.i:m.n])
		if err != nil {
			return 0, nil, err
		}
		if ok && h.Len > maxLoginMessage {
			return 0, nil, fmt.Errorf("%w: %d during login", ErrLength, h.Len)
		}
		if ok && m.n-m.i >= h.Len {
			body = m.buf[m.i+HeaderLen : m.i+h.Len]
			m.i += h.Len
			return h.Type, body, nil
		}
		if err := m.fill(max(h.Len, HeaderLen)); err != nil {
			return 0, nil, err
		}
	}
}

// fill reads once more, with room for a message of size bytes.
func (m *messageReader) fill(size int) error {
	if len(m.buf)-m.i < size {
		to := m.buf
		if len(to) < size {
			to = make([]byte, size)
		}
		m.n = copy(to, m.buf[m.i:m.n])
		m.buf, m.i = to, 0
	}
	n, err := m.r.Read(m.buf[m.n:])
	m.n += n
	if n > 0 {
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// rest returns a copy of what was read but not asked for, nil where nothing.
func (m *messageReader) rest() []byte {
	return append([]byte(nil), m.buf[m.i:m.n]...)
}
