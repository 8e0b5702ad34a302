package wire

import (
	"encoding/binary"
	"strings"
)

// SQLSTATEs that Howdah itself reports (PostgreSQL manual, appendix
// "PostgreSQL Error Codes").
const (
	CodeProtocolViolation     = "08P01"
	CodeConnectionRefused     = "08004"
	CodeConnectionFailure     = "08006"
	CodeTransactionUnknown    = "08007" // the outcome of a COMMIT is unknown
	CodeFeatureNotSupported   = "0A000"
	CodeInvalidAuthorization  = "28000"
	CodeInvalidPassword       = "28P01"
	CodeInvalidStatementName  = "26000"
	CodeDuplicateStatement    = "42P05"
	CodeTooManyConnections    = "53300"
	CodeLimitExceeded         = "53400"
	CodeProgramLimit          = "54000"
	CodeObjectNotInState      = "55000"
	CodeQueryCanceled         = "57014"
	CodeReadOnly              = "25006"
	CodeSerializationFailure  = "40001"
	CodeDeadlock              = "40P01"
	CodeAdminShutdown         = "57P01"
	CodeCrashShutdown         = "57P02"
	CodeDatabaseDropped       = "57P04"
	CodeCannotConnectNow      = "57P03"
	CodeActiveTransaction     = "25001" // what cannot be done inside one
	CodeNoActiveTransaction   = "25P01" // what can only be done inside one
	CodeIdleInTransaction     = "25P03"
	CodeTransactionTimeout    = "25P04"
	CodeIdleSession           = "57P05"
	CodeInvalidCatalogName    = "3D000"
	CodeDuplicateDatabase     = "42P04"
	CodeInternalError         = "XX000"
	CodeInsufficientPrivilege = "42501"
	CodeSyntaxError           = "42601"
	CodeInvalidParameter      = "22023"
)

// Error is an ErrorResponse or NoticeResponse. It implements error.
type Error struct {
	Severity string // ERROR, FATAL, PANIC, WARNING, NOTICE; untranslated
	Code     string // SQLSTATE; servers that crash early may leave it out
	Message  string
	Detail   string
	Hint     string
	Routine  string // of PostgreSQL's source; some clients look for it
}

// Error returns severity, message and SQLSTATE in psql's order.
func (e *Error) Error() string {
	s := e.Severity + ": " + e.Message
	if e.Code != "" {
		s += " (SQLSTATE " + e.Code + ")"
	}
	return s
}

// Fatal returns the error that closes a session.
func Fatal(code, message, hint string) *Error {
	return &Error{Severity: "FATAL", Code: code, Message: message, Hint: hint}
}

// AppendError adds e as an ErrorResponse.
func AppendError(dst []byte, e *Error) []byte { return appendFields(dst, ErrorResponse, e) }

// AppendNotice adds e as a NoticeResponse.
func AppendNotice(dst []byte, e *Error) []byte { return appendFields(dst, NoticeResponse, e) }

func appendFields(dst []byte, typ byte, e *Error) []byte {
	start := len(dst)
	dst = append(dst, typ, 0, 0, 0, 0)
	for _, f := range []struct {
		code  byte
		value string
	}{{'S', e.Severity}, {'V', e.Severity}, {'C', e.Code}, {'M', e.Message}, {'D', e.Detail}, {'H', e.Hint}, {'R', e.Routine}} {
		if f.value == "" {
			continue
		}
		dst = append(dst, f.code)
		dst = append(dst, strings.ReplaceAll(f.value, "\x00", "")...)
		dst = append(dst, 0)
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// ParseError decodes the body of an ErrorResponse or NoticeResponse. Fields it
// does not know are passed over; a missing SQLSTATE is no mistake
// (CVE-2026-6666 was a pooler that crashed on one).
func ParseError(body []byte) (*Error, error) {
	e := &Error{}
	for len(body) > 0 && body[0] != 0 {
		code := body[0]
		value, rest, ok := cstring(body[1:])
		if !ok {
			return nil, ErrMalformed
		}
		e.setField(code, string(value))
		body = rest
	}
	if len(body) != 1 {
		return nil, ErrMalformed
	}
	return e, nil
}

func (e *Error) setField(code byte, value string) {
	switch code {
	case 'S':
		if e.Severity == "" {
			e.Severity = value
		}
	case 'V':
		e.Severity = value
	case 'C':
		e.Code = value
	case 'M':
		e.Message = value
	case 'D':
		e.Detail = value
	case 'H':
		e.Hint = value
	case 'R':
		e.Routine = value
	}
}

// ErrorCode returns the SQLSTATE of an ErrorResponse body without building an
// Error, pointing into body; nil where there is none.
func ErrorCode(body []byte) []byte {
	for len(body) > 0 && body[0] != 0 {
		code := body[0]
		value, rest, ok := cstring(body[1:])
		if !ok {
			return nil
		}
		if code == 'C' {
			return value
		}
		body = rest
	}
	return nil
}
