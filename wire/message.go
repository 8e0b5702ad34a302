package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// ErrMalformed reports a message whose body does not have the form that its
// type requires.
var ErrMalformed = errors.New("wire: malformed message")

// cstring splits b at its first zero byte. The text points into b.
func cstring(b []byte) (text, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return nil, nil, false
	}
	return b[:i], b[i+1:], true
}

// ParseQuery returns the text of a Query body, pointing into it.
func ParseQuery(body []byte) (text []byte, err error) {
	text, rest, ok := cstring(body)
	if !ok || len(rest) != 0 {
		return nil, ErrMalformed
	}
	return text, nil
}

// ParseMessage is the body of a Parse message. Its slices point into the body.
type ParseMessage struct {
	Name      []byte // of the prepared statement; empty is the unnamed one
	Text      []byte
	ParamOIDs []byte // 4 bytes each, as on the wire
}

// ParseParse decodes a Parse body.
func ParseParse(body []byte) (m ParseMessage, err error) {
	var ok bool
	rest := body
	if m.Name, rest, ok = cstring(rest); !ok {
		return m, ErrMalformed
	}
	if m.Text, rest, ok = cstring(rest); !ok || len(rest) < 2 {
		return m, ErrMalformed
	}
	n := int(binary.BigEndian.Uint16(rest))
	if m.ParamOIDs = rest[2:]; len(m.ParamOIDs) != 4*n {
		return m, ErrMalformed
	}
	return m, nil
}

// BindMessage is the part of a Bind body that a pooler cares for. Its slices
// point into the body.
type BindMessage struct {
	Portal    []byte
	Statement []byte
	Rest      []byte // formats and values, as on the wire
}

// ParseBind decodes the two names at the start of a Bind body; body may end
// anywhere behind them. It returns ErrMalformed where they are not complete.
func ParseBind(body []byte) (m BindMessage, err error) {
	var ok bool
	if m.Portal, m.Rest, ok = cstring(body); !ok {
		return m, ErrMalformed
	}
	if m.Statement, m.Rest, ok = cstring(m.Rest); !ok {
		return m, ErrMalformed
	}
	return m, nil
}

// Kinds of what Describe and Close name.
const (
	KindStatement = 'S'
	KindPortal    = 'P'
)

// ParseTarget decodes the body of a Describe or Close message: its kind
// (KindStatement or KindPortal) and the name, which points into the body.
func ParseTarget(body []byte) (kind byte, name []byte, err error) {
	if len(body) < 2 || body[0] != KindStatement && body[0] != KindPortal {
		return 0, nil, ErrMalformed
	}
	name, rest, ok := cstring(body[1:])
	if !ok || len(rest) != 0 {
		return 0, nil, ErrMalformed
	}
	return body[0], name, nil
}

// ParseReadyForQuery returns the transaction status of a ReadyForQuery body.
func ParseReadyForQuery(body []byte) (TxStatus, error) {
	if len(body) != 1 {
		return 0, ErrMalformed
	}
	switch s := TxStatus(body[0]); s {
	case TxIdle, TxOpen, TxFailed:
		return s, nil
	}
	return 0, ErrMalformed
}

// ParseCommandComplete returns the command tag, pointing into body.
func ParseCommandComplete(body []byte) (tag []byte, err error) {
	return ParseQuery(body)
}

// ParseParameterStatus returns the name and value, pointing into body.
func ParseParameterStatus(body []byte) (name, value []byte, err error) {
	name, rest, ok := cstring(body)
	if !ok {
		return nil, nil, ErrMalformed
	}
	value, rest, ok = cstring(rest)
	if !ok || len(rest) != 0 {
		return nil, nil, ErrMalformed
	}
	return name, value, nil
}

// Notification is a NotificationResponse body. Its slices point into the body.
type Notification struct {
	PID     uint32 // of the backend that notified
	Channel []byte
	Payload []byte
}

// ParseNotification decodes a NotificationResponse body.
func ParseNotification(body []byte) (n Notification, err error) {
	if len(body) < 4 {
		return n, ErrMalformed
	}
	n.PID = binary.BigEndian.Uint32(body)
	n.Channel, n.Payload, err = ParseParameterStatus(body[4:])
	return n, err
}

// Key is what a CancelRequest must show: the process id and secret that
// BackendKeyData gave. The secret has 4 bytes in protocol 3.0, up to
// MaxCancelKeyLen in 3.2.
type Key struct {
	PID    uint32
	Secret []byte
}

// MaxCancelKeyLen is the longest cancel secret that protocol 3.2 allows.
const MaxCancelKeyLen = 256

// ParseBackendKeyData decodes a BackendKeyData body, or the part of a
// CancelRequest behind its code. The secret points into body.
func ParseBackendKeyData(body []byte) (Key, error) {
	if len(body) < 8 || len(body) > 4+MaxCancelKeyLen {
		return Key{}, ErrMalformed
	}
	return Key{PID: binary.BigEndian.Uint32(body), Secret: body[4:]}, nil
}

// Authentication requests, the first word of an Authentication body.
const (
	AuthOK           = 0
	AuthCleartext    = 3
	AuthMD5          = 5
	AuthSASL         = 10
	AuthSASLContinue = 11
	AuthSASLFinal    = 12
)

// ParseAuthentication returns the kind of an Authentication body and the data
// behind it, pointing into body.
func ParseAuthentication(body []byte) (kind uint32, data []byte, err error) {
	if len(body) < 4 {
		return 0, nil, ErrMalformed
	}
	return binary.BigEndian.Uint32(body), body[4:], nil
}
