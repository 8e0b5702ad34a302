package router_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire"
)

// raw is a logged-in client that sends and receives messages one by one.
type raw struct {
	*pgproto3.Frontend
	net.Conn
	key    wire.Key
	told   map[string]string // ParameterStatus
	waits  int               // ReadyForQuery still to come
	status byte              // of the last ReadyForQuery
}

func dial(t *testing.T, c wire.DialConfig) *wire.Established {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := wire.Dial(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// dialConfig logs in to a tenant without hashing.
func (d *door) dialConfig(tenant string, parameters ...wire.Parameter) wire.DialConfig {
	return wire.DialConfig{
		Address: d.address, Secret: wire.Secret{Scram: d.house.keys[tenant]},
		Parameters: append([]wire.Parameter{{Name: "user", Value: tenant}, {Name: "database", Value: tenant}}, parameters...),
	}
}

// raw logs in to acme. The connection is closed with the test.
func (d *door) raw(t *testing.T, parameters ...wire.Parameter) *raw {
	t.Helper()
	r := newRaw(dial(t, d.dialConfig("acme", parameters...)))
	t.Cleanup(func() { r.Conn.Close() })
	return r
}

// tryRaw is raw for goroutines.
func (d *door) tryRaw(tenant string, parameters ...wire.Parameter) (*raw, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := wire.Dial(ctx, d.dialConfig(tenant, parameters...))
	if err != nil {
		return nil, err
	}
	return newRaw(e), nil
}

func newRaw(e *wire.Established) *raw {
	r := &raw{Conn: e.Conn, Frontend: pgproto3.NewFrontend(e.Conn, e.Conn), key: e.Key, told: map[string]string{}, status: 'I'}
	for _, p := range e.Parameters {
		r.told[p.Name] = p.Value
	}
	return r
}

// send sends messages in one write.
func (r *raw) send(messages ...pgproto3.FrontendMessage) error {
	for _, m := range messages {
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync, *pgproto3.FunctionCall:
			r.waits++
		}
		r.Send(m)
	}
	r.SetWriteDeadline(time.Now().Add(patience))
	return r.Flush()
}

// talk sends messages and returns the answers up to the last ReadyForQuery that
// they call for, one line each.
func (r *raw) talk(messages ...pgproto3.FrontendMessage) ([]string, error) {
	if err := r.send(messages...); err != nil {
		return nil, err
	}
	return r.answers()
}

// say is talk for the test's own goroutine.
func (r *raw) say(t *testing.T, messages ...pgproto3.FrontendMessage) []string {
	t.Helper()
	got, err := r.talk(messages...)
	if err != nil {
		t.Fatalf("%v, after %q", err, got)
	}
	return got
}

// expect is say with the answers that must come.
func (r *raw) expect(t *testing.T, want string, messages ...pgproto3.FrontendMessage) {
	t.Helper()
	if got := strings.Join(r.say(t, messages...), "; "); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func (r *raw) answers() (got []string, err error) {
	for r.waits > 0 {
		m, err := r.receive()
		if err != nil {
			return got, err
		}
		if line := describe(m); line != "" {
			got = append(got, line)
		}
	}
	return got, nil
}

// receive returns the next message, which lives until the next one.
func (r *raw) receive() (pgproto3.BackendMessage, error) {
	r.SetReadDeadline(time.Now().Add(patience))
	m, err := r.Receive()
	switch m := m.(type) {
	case *pgproto3.ReadyForQuery:
		r.waits--
		r.status = m.TxStatus
	case *pgproto3.ParameterStatus:
		r.told[m.Name] = m.Value
	}
	return m, err
}

// describe puts a message in a few words; a RowDescription in none.
func describe(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.DataRow:
		values := make([]string, len(m.Values))
		for i, v := range m.Values {
			values[i] = string(v)
		}
		return "row " + strings.Join(values, "|")
	case *pgproto3.CommandComplete:
		return string(m.CommandTag)
	case *pgproto3.ErrorResponse:
		return "error " + m.Code
	case *pgproto3.NoticeResponse:
		return "notice " + m.Code
	case *pgproto3.ReadyForQuery:
		return "ready " + string(m.TxStatus)
	case *pgproto3.ParameterStatus:
		return m.Name + "=" + m.Value
	case *pgproto3.FunctionCallResponse:
		return "result " + string(m.Result)
	case *pgproto3.CopyData:
		return "data " + strings.TrimSuffix(string(m.Data), "\n")
	case *pgproto3.NotificationResponse:
		return "note " + m.Channel + " " + m.Payload
	case *pgproto3.RowDescription:
		return ""
	case *pgproto3.ParseComplete:
		return "parsed"
	case *pgproto3.BindComplete:
		return "bound"
	case *pgproto3.CloseComplete:
		return "closed"
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
}

// ended reads to the end of the connection and returns the last error told.
func (r *raw) ended() (*pgproto3.ErrorResponse, error) {
	var last *pgproto3.ErrorResponse
	for {
		m, err := r.receive()
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
				return last, nil
			}
			return last, err
		}
		if e, ok := m.(*pgproto3.ErrorResponse); ok {
			c := *e
			last = &c
		}
	}
}

// reset breaks the connection as a crashed machine would.
func (r *raw) reset() {
	r.Conn.(*net.TCPConn).SetLinger(0)
	r.Conn.Close()
}

func query(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }

func parse(name, sql string) pgproto3.FrontendMessage {
	return &pgproto3.Parse{Name: name, Query: sql}
}

func bind(name string, values ...string) pgproto3.FrontendMessage {
	b := &pgproto3.Bind{PreparedStatement: name}
	for _, v := range values {
		b.Parameters = append(b.Parameters, []byte(v))
	}
	return b
}

var (
	execute   = &pgproto3.Execute{}
	syncMsg   = &pgproto3.Sync{}
	flush     = &pgproto3.Flush{}
	terminate = &pgproto3.Terminate{}
)

// state returns the SQLSTATE of an error, "" where PostgreSQL or Howdah did not
// say it.
func state(err error) string {
	var p *pgconn.PgError
	var w *wire.Error
	switch {
	case errors.As(err, &p):
		return p.Code
	case errors.As(err, &w):
		return w.Code
	}
	return ""
}

// wantState wants err to be of this SQLSTATE.
func wantState(t *testing.T, err error, code string) {
	t.Helper()
	if got := state(err); got != code {
		t.Fatalf("got SQLSTATE %q (%v), want %s", got, err, code)
	}
}

// tryLogin logs in with a password.
func tryLogin(address, user, database, password string) (*wire.Established, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return wire.Dial(ctx, wire.DialConfig{
		Address: address, Secret: wire.Secret{Password: password},
		Parameters: []wire.Parameter{{Name: "user", Value: user}, {Name: "database", Value: database}},
	})
}
