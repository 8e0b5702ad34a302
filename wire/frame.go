package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderLen is the size of a message header: one type byte and a length that
// counts itself and the body, but not the type byte.
const HeaderLen = 5

// MaxMessageLen is the largest message PostgreSQL sends or accepts, in bytes,
// without the type byte: its buffers end just under 1 GiB.
const MaxMessageLen = 0x3fffffff

// Types of messages that clients send.
const (
	Bind         = 'B'
	Close        = 'C'
	CopyFail     = 'f'
	Describe     = 'D'
	Execute      = 'E'
	Flush        = 'H'
	FunctionCall = 'F'
	Parse        = 'P'
	Password     = 'p' // PasswordMessage, SASLInitialResponse and SASLResponse share it
	Query        = 'Q'
	Sync         = 'S'
	Terminate    = 'X'
)

// Types of messages that both sides send.
const (
	CopyData = 'd'
	CopyDone = 'c'
)

// Types of messages that servers send.
const (
	Authentication           = 'R'
	BackendKeyData           = 'K'
	BindComplete             = '2'
	CloseComplete            = '3'
	CommandComplete          = 'C'
	CopyInResponse           = 'G'
	CopyOutResponse          = 'H'
	CopyBothResponse         = 'W'
	DataRow                  = 'D'
	EmptyQueryResponse       = 'I'
	ErrorResponse            = 'E'
	FunctionCallResponse     = 'V'
	NegotiateProtocolVersion = 'v'
	NoData                   = 'n'
	NoticeResponse           = 'N'
	NotificationResponse     = 'A'
	ParameterDescription     = 't'
	ParameterStatus          = 'S'
	ParseComplete            = '1'
	PortalSuspended          = 's'
	ReadyForQuery            = 'Z'
	RowDescription           = 'T'
)

// TxStatus is the transaction status that ReadyForQuery reports.
type TxStatus byte

// The transaction statuses.
const (
	TxIdle   TxStatus = 'I' // not in a transaction block
	TxOpen   TxStatus = 'T' // in a transaction block
	TxFailed TxStatus = 'E' // in a failed transaction block, which only ROLLBACK ends
)

// Header is the decoded start of a message.
type Header struct {
	Type byte
	Len  int // of the whole message in bytes, header included
}

// ErrLength reports a message length that no sane peer sends. The stream
// cannot be followed any further.
var ErrLength = errors.New("wire: message length out of range")

// ParseHeader decodes the header at the start of b. It returns ok false while
// b holds less than HeaderLen bytes, and ErrLength when the length is below 4
// or above MaxMessageLen.
func ParseHeader(b []byte) (h Header, ok bool, err error) {
	if len(b) < HeaderLen {
		return Header{}, false, nil
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n < 4 || n > MaxMessageLen {
		return Header{}, false, fmt.Errorf("%w: %d in a message of type %q", ErrLength, n, b[0])
	}
	return Header{Type: b[0], Len: int(n) + 1}, true, nil
}

// IsClientMessage reports whether t is a type that a client may send after
// startup.
func IsClientMessage(t byte) bool {
	switch t {
	case Bind, Close, CopyData, CopyDone, CopyFail, Describe, Execute, Flush,
		FunctionCall, Parse, Password, Query, Sync, Terminate:
		return true
	}
	return false
}
