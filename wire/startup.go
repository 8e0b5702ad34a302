package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Protocol versions: the major in the high half, the minor in the low.
const (
	Protocol30 = 3 << 16
	Protocol32 = 3<<16 | 2
)

// Codes that stand where a version would.
const (
	cancelCode = 1234<<16 | 5678
	sslCode    = 1234<<16 | 5679
	gssCode    = 1234<<16 | 5680
)

// MaxStartupLen is the largest first packet a client may send, in bytes, as
// PostgreSQL has it (MAX_STARTUP_PACKET_LENGTH).
const MaxStartupLen = 10000

// StartupKind says what a client's untyped packet asks for.
type StartupKind uint8

// The kinds of untyped packets.
const (
	StartSession StartupKind = iota // a StartupMessage
	StartTLS                        // an SSLRequest
	StartGSS                        // a GSSENCRequest
	StartCancel                     // a CancelRequest
)

// Parameter is one name and value of a StartupMessage, in the client's order.
type Parameter struct{ Name, Value string }

// Startup is a client's untyped packet.
type Startup struct {
	Kind       StartupKind
	Version    uint32      // StartSession: what the client speaks
	Parameters []Parameter // StartSession: without the _pq_ ones
	Unknown    []string    // StartSession: names of the _pq_ protocol options
	Key        Key         // StartCancel
}

// Parameter returns the value of the parameter called name, "" where absent.
func (s *Startup) Parameter(name string) string {
	for _, p := range s.Parameters {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// ReadStartup reads one untyped packet. It never reads past it, and believes
// no length above MaxStartupLen.
func ReadStartup(r io.Reader) (*Startup, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read startup packet: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 8 || n > MaxStartupLen {
		return nil, fmt.Errorf("read startup packet: %w: %d", ErrLength, n)
	}
	body := make([]byte, n-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("read startup packet: %w", err)
	}
	return ParseStartup(body)
}

// ParseStartup decodes an untyped packet behind its length.
func ParseStartup(body []byte) (*Startup, error) {
	if len(body) < 4 {
		return nil, ErrMalformed
	}
	code, rest := binary.BigEndian.Uint32(body), body[4:]
	switch code {
	case sslCode, gssCode:
		if len(rest) != 0 {
			return nil, ErrMalformed
		}
		if code == sslCode {
			return &Startup{Kind: StartTLS}, nil
		}
		return &Startup{Kind: StartGSS}, nil
	case cancelCode:
		key, err := ParseBackendKeyData(rest)
		return &Startup{Kind: StartCancel, Key: key}, err
	}
	if code>>16 != 3 {
		return nil, &Error{
			Severity: "FATAL", Code: CodeFeatureNotSupported,
			Message: fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.2", code>>16, code&0xffff),
		}
	}
	s := &Startup{Kind: StartSession, Version: code}
	return s, s.parseParameters(rest)
}

func (s *Startup) parseParameters(b []byte) error {
	for len(b) > 0 && b[0] != 0 {
		name, rest, ok := cstring(b)
		if !ok {
			return ErrMalformed
		}
		value, rest, ok := cstring(rest)
		if !ok {
			return ErrMalformed
		}
		if len(name) >= 5 && string(name[:5]) == "_pq_." {
			s.Unknown = append(s.Unknown, string(name))
		} else {
			s.Parameters = append(s.Parameters, Parameter{string(name), string(value)})
		}
		b = rest
	}
	if len(b) != 1 {
		return ErrMalformed
	}
	return nil
}

// AppendStartup adds a StartupMessage.
func AppendStartup(dst []byte, version uint32, params []Parameter) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, version)
	for _, p := range params {
		dst = append(dst, p.Name...)
		dst = append(dst, 0)
		dst = append(dst, p.Value...)
		dst = append(dst, 0)
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}

// AppendSSLRequest adds an SSLRequest.
func AppendSSLRequest(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 8)
	return binary.BigEndian.AppendUint32(dst, sslCode)
}

// AppendCancelRequest adds a CancelRequest that shows k.
func AppendCancelRequest(dst []byte, k Key) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(12+len(k.Secret)))
	dst = binary.BigEndian.AppendUint32(dst, cancelCode)
	dst = binary.BigEndian.AppendUint32(dst, k.PID)
	return append(dst, k.Secret...)
}

// NegotiateVersion returns the version to speak with a client that asked for
// version, and whether a NegotiateProtocolVersion must say so: for a minor
// newer than ours, 3.1 (which never existed and is answered as such a client
// is by PostgreSQL 18), or protocol options we do not know.
func NegotiateVersion(s *Startup) (version uint32, tell bool) {
	version = s.Version
	if version > Protocol32 {
		return Protocol32, true
	}
	return version, len(s.Unknown) > 0
}

// AppendNegotiateVersion adds a NegotiateProtocolVersion naming the version
// that NegotiateVersion returned (libpq ends the connection over one newer than
// it asked for) and the options we do not know.
func AppendNegotiateVersion(dst []byte, version uint32, unknown []string) []byte {
	start := len(dst)
	dst = append(dst, NegotiateProtocolVersion, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, version)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(unknown)))
	for _, u := range unknown {
		dst = append(dst, u...)
		dst = append(dst, 0)
	}
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}
