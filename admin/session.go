package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router"
	"howdah/wire"
)

const (
	// maxQuery bounds a message of a console's client, in bytes.
	maxQuery = 64 << 10
	// writeTimeout is how long a client may take to accept a piece of a result
	// before it counts as gone.
	writeTimeout = 30 * time.Second
)

// errInterrupted is why a command's context ends when the client asks for it by
// a CancelRequest.
var errInterrupted = errors.New("admin: canceled by the client")

// session is one client of the console.
type session struct {
	console *Console
	login   router.VirtualLogin
	key     wire.Key
	role    Role
	started time.Time
	id      int64 // static after Console.add

	conn    net.Conn
	backend *pgproto3.Backend // owned by serve
	skip    bool              // until Sync, after an extended message was refused

	asked   atomic.Int64                            // when the last command came, in Unix microseconds
	running atomic.Pointer[context.CancelCauseFunc] // of the command that runs
}

func newSession(c *Console, conn net.Conn, login router.VirtualLogin) *session {
	s := &session{console: c, login: login, key: login.Key, conn: conn, started: time.Now()}
	switch {
	case login.Trusted:
		s.role = RoleAdmin
	case c.Roles != nil:
		s.role = c.Roles(login.User)
	}
	s.asked.Store(s.started.UnixMicro())
	counted := &countedConn{conn, c}
	s.backend = pgproto3.NewBackend(counted, counted)
	s.backend.SetMaxBodyLen(maxQuery)
	return s
}

// countedConn adds what passes to the console's counters and gives every write
// its time.
type countedConn struct {
	net.Conn
	console *Console
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.console.received.Add(uint64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(b)
	c.console.sent.Add(uint64(n))
	return n, err
}

// serve greets the client and answers until it leaves or ctx ends.
func (s *session) serve(ctx context.Context) {
	// The past as a deadline wakes the Read that waits for the next command.
	stop := context.AfterFunc(ctx, func() { s.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	s.greet()
	for s.backend.Flush() == nil {
		msg, err := s.backend.Receive()
		if err != nil {
			s.farewell(ctx, err)
			return
		}
		if !s.message(ctx, msg) {
			return
		}
	}
}

// greet sends what follows AuthenticationOk.
func (s *session) greet() {
	for _, p := range []wire.Parameter{
		{Name: "server_version", Value: compatibleVersion + "/bouncer"},
		{Name: "client_encoding", Value: "UTF8"},
		{Name: "server_encoding", Value: "UTF8"},
		{Name: "DateStyle", Value: "ISO"},
		{Name: "TimeZone", Value: "GMT"},
		{Name: "standard_conforming_strings", Value: "on"},
		{Name: "is_superuser", Value: "on"},
	} {
		s.backend.Send(&pgproto3.ParameterStatus{Name: p.Name, Value: p.Value})
	}
	if len(s.key.Secret) > 0 {
		s.backend.Send(&pgproto3.BackendKeyData{ProcessID: s.key.PID, SecretKey: s.key.Secret})
	}
	s.ready()
}

// message handles one message and reports whether the session goes on.
func (s *session) message(ctx context.Context, msg pgproto3.FrontendMessage) bool {
	switch m := msg.(type) {
	case *pgproto3.Terminate:
		return false
	case *pgproto3.Sync:
		s.skip = false
		s.ready()
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail, *pgproto3.Flush:
		// PostgreSQL, too, passes over the rest of a COPY that is none any more.
	case *pgproto3.Query:
		if !s.skip {
			s.query(ctx, m.String)
			s.ready()
		}
	case *pgproto3.Parse, *pgproto3.Bind, *pgproto3.Describe, *pgproto3.Execute, *pgproto3.Close:
		if !s.skip {
			s.skip = true
			s.fail(errExtended())
		}
	case *pgproto3.FunctionCall:
		if !s.skip {
			s.fail(errExtended())
			s.ready()
		}
	default:
		s.fatal(&wire.Error{Code: wire.CodeProtocolViolation, Message: "the console did not expect this message"})
		return false
	}
	return true
}

func errExtended() error {
	return &wire.Error{
		Code:    wire.CodeFeatureNotSupported,
		Message: "extended query protocol not supported by admin console",
		Hint:    "Use the driver's simple query mode (JDBC preferQueryMode=simple, pgx QueryExecModeSimpleProtocol).",
	}
}

// query runs one command and counts it.
func (s *session) query(ctx context.Context, text string) {
	start := time.Now()
	s.asked.Store(start.UnixMicro())
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.running.Store(&cancel)
	defer s.running.Store(nil)

	if err := s.run(ctx, text); err != nil {
		s.fail(err)
	}
	s.console.commands.Add(1)
	s.console.queryTime.Add(uint64(time.Since(start).Microseconds()))
}

// interrupt ends the context of the command that runs, if one does.
func (s *session) interrupt() {
	if cancel := s.running.Load(); cancel != nil {
		(*cancel)(errInterrupted)
	}
}

// farewell tells the client why the session ends, where it can still hear it.
func (s *session) farewell(ctx context.Context, err error) {
	var trouble net.Error
	switch {
	case ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
		s.fatal(&wire.Error{Code: wire.CodeAdminShutdown, Message: "terminating connection due to administrator command"})
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe), errors.As(err, &trouble):
	default:
		s.fatal(&wire.Error{Code: wire.CodeProtocolViolation, Message: "read a message: " + err.Error()})
	}
}

func (s *session) ready() {
	s.backend.Send(&pgproto3.ReadyForQuery{TxStatus: byte(wire.TxIdle)})
}

func (s *session) complete(tag string) {
	s.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
}

func (s *session) notice(message, detail string) {
	s.backend.Send(&pgproto3.NoticeResponse{
		Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000", Message: message, Detail: detail,
	})
}

// fail sends err as an ERROR.
func (s *session) fail(err error) { s.backend.Send(errorResponse("ERROR", err)) }

// fatal sends e as a FATAL error, after which the session is over.
func (s *session) fatal(e *wire.Error) {
	s.backend.Send(errorResponse("FATAL", e))
	// Nobody is left to tell when this fails.
	_ = s.backend.Flush()
}

func errorResponse(severity string, err error) *pgproto3.ErrorResponse {
	r := &pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity}
	var e *wire.Error
	if errors.As(err, &e) {
		r.Code, r.Message, r.Detail, r.Hint = e.Code, e.Message, e.Detail, e.Hint
	} else {
		r.Code, r.Message = wire.CodeObjectNotInState, err.Error()
	}
	for _, text := range []*string{&r.Message, &r.Detail, &r.Hint} {
		*text = cleanText(*text)
	}
	return r
}
