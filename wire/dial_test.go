package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/wire"
	"howdah/wire/wiretest"
)

var anna = []wire.Parameter{{Name: "user", Value: "anna"}, {Name: "database", Value: "acme"}}

func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), wiretest.Patience)
	t.Cleanup(stop)
	return ctx
}

func auth(kind uint32, data string) []byte {
	return wire.AppendAuthentication(nil, kind, []byte(data))
}

func ready(b ...[]byte) []byte {
	return wire.AppendReadyForQuery(slices.Concat(b...), wire.TxIdle)
}

func TestDialReportsWhatTheServerSaid(t *testing.T) {
	notice := wire.AppendNotice(nil, &wire.Error{Severity: "WARNING", Message: "collation version mismatch"})
	long := strings.Repeat("x", 20000) // above the login's first buffer
	key := wire.Key{PID: 7, Secret: []byte("abcd")}
	hello := slices.Concat(auth(wire.AuthOK, ""), notice,
		wire.AppendParameterStatus(nil, "server_version", "15.1"),
		wire.AppendParameterStatus(nil, "search_path", long),
		wire.AppendParameterStatus(nil, "application_name", ""),
		ready(wire.AppendBackendKeyData(nil, key)))
	want := []wire.Parameter{{Name: "server_version", Value: "15.1"}, {Name: "search_path", Value: long}, {Name: "application_name", Value: ""}}
	scripts := map[string]wiretest.Script{
		"at once":     {wiretest.Send(hello)},
		"and more":    {wiretest.Send(hello, []byte("behind"))},
		"in two":      {wiretest.SendHalf(hello, 13), wiretest.Send(hello[13:])},
		"byte by one": {wiretest.Do(func(c *wiretest.Conn) error { return trickle(c, hello[:200], hello[200:]) })},
	}
	for name, s := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := wiretest.StartRawFake(t, append(s, wiretest.ExpectClosed()))
			e, err := wire.Dial(patient(t), wire.DialConfig{Address: f.Addr(), Parameters: anna})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Conn.Close()
			if !slices.Equal(e.Parameters, want) {
				t.Errorf("parameters %v", e.Parameters)
			}
			if e.Key.PID != 7 || string(e.Key.Secret) != "abcd" || e.Version != wire.Protocol30 || e.Keys != nil {
				t.Errorf("got %+v", e)
			}
			rest := make([]byte, 6)
			if name == "and more" {
				n := copy(rest, e.ReadAhead)
				if _, err := io.ReadFull(e.Conn, rest[n:]); err != nil || string(rest) != "behind" {
					t.Errorf("behind ReadyForQuery: %q, %v", rest, err)
				}
			} else if len(e.ReadAhead) != 0 {
				t.Errorf("read ahead %q", e.ReadAhead)
			}
		})
	}
}

func trickle(c *wiretest.Conn, slow, rest []byte) error {
	for _, b := range slow {
		if err := c.Send([]byte{b}); err != nil {
			return err
		}
	}
	return c.Send(rest)
}

func TestDialRefusesServersThatBreakTheProtocol(t *testing.T) {
	scram := wire.Secret{Password: "secret"}
	ok := auth(wire.AuthOK, "")
	for _, c := range []struct {
		name   string
		secret wire.Secret
		script wiretest.Script
		want   error
	}{
		{"closes", scram, nil, io.ErrUnexpectedEOF},
		{"closes in a message", scram, wiretest.Script{wiretest.SendHalf(ok, 6)}, io.ErrUnexpectedEOF},
		{"ready without authentication", scram, send(ready()), wire.ErrMalformed},
		{"parameters before authentication", scram, send(wire.AppendParameterStatus(nil, "a", "b"), ok, ready()), wire.ErrMalformed},
		{"rows", scram, send(ok, wire.AppendMessage(nil, wire.DataRow, []byte{0, 0})), wire.ErrMalformed},
		{"authenticates twice", scram, send(ok, ok, ready()), wire.ErrMalformed},
		{"ready in a transaction", scram, send(ok, wire.AppendReadyForQuery(nil, wire.TxOpen)), wire.ErrMalformed},
		{"endless message", scram, send([]byte{'S', 0x3f, 0, 0, 0}), wire.ErrLength},
		{"negative length", scram, send([]byte{'R', 0xff, 0xff, 0xff, 0xff}), wire.ErrLength},
		{"malformed error", scram, send(wire.AppendMessage(nil, wire.ErrorResponse, []byte("Sabc"))), wire.ErrMalformed},
		{"short key", scram, send(ok, wire.AppendMessage(nil, wire.BackendKeyData, []byte("1234567"))), wire.ErrMalformed},
		{"long key", scram, send(ok, wire.AppendMessage(nil, wire.BackendKeyData, make([]byte, 300))), wire.ErrMalformed},
		{"unknown method", scram, send(auth(7, "")), wire.ErrNoSecret},
		{"clear text without TLS", scram, send(auth(wire.AuthCleartext, "")), wire.ErrNoSecret},
		{"md5 without secret", wire.Secret{}, send(auth(wire.AuthMD5, "salt")), wire.ErrNoSecret},
		{"SCRAM without secret", wire.Secret{}, send(auth(wire.AuthSASL, "SCRAM-SHA-256\x00\x00")), wire.ErrNoSecret},
		{"md5 with half a salt", scram, send(auth(wire.AuthMD5, "sa")), wire.ErrMalformed},
		{"SASL without end", scram, send(auth(wire.AuthSASL, "SCRAM-SHA-256")), wire.ErrMalformed},
		{"SASL goes on before it began", scram, send(auth(wire.AuthSASLContinue, "r=x,s=eA==,i=1")), wire.ErrMalformed},
		{"SASL skipped", scram, send(auth(wire.AuthSASL, "SCRAM-SHA-256\x00\x00"), ok, ready()), wire.ErrAuthentication},
		{"SASL then md5", scram, send(auth(wire.AuthSASL, "SCRAM-SHA-256\x00\x00"), auth(wire.AuthMD5, "salt")), wire.ErrMalformed},
		{"version of its own", scram, send(wire.AppendNegotiateVersion(nil, 4<<16, nil)), wire.ErrMalformed},
		{"half a negotiation", scram, send(wire.AppendMessage(nil, wire.NegotiateProtocolVersion, []byte{0, 3, 0, 0})), wire.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := wiretest.StartRawFake(t, c.script)
			e, err := wire.Dial(patient(t), wire.DialConfig{Address: f.Addr(), Parameters: anna, Secret: c.secret})
			if !errors.Is(err, c.want) {
				t.Errorf("got %+v, %v; want %v", e, err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), f.Addr()) {
				t.Errorf("%v does not name the server", err)
			}
		})
	}
}

// send sends and then reads until the client goes, so that no reset swallows
// what was sent.
func send(messages ...[]byte) wiretest.Script {
	return wiretest.Script{wiretest.Send(messages...), wiretest.Do(func(c *wiretest.Conn) error {
		io.Copy(io.Discard, c)
		return nil
	})}
}

func TestDialReturnsTheServersError(t *testing.T) {
	noDatabase := &wire.Error{Severity: "FATAL", Code: wire.CodeInvalidCatalogName, Message: "no such database", Detail: "d", Hint: "h"}
	noCode := &wire.Error{Severity: "FATAL", Message: "out of memory"}
	for _, want := range []*wire.Error{noDatabase, noCode} {
		f := wiretest.StartRawFake(t, send(wire.AppendError(nil, want)))
		_, err := wire.Dial(patient(t), wire.DialConfig{Address: f.Addr(), Parameters: anna})
		var got *wire.Error
		if !errors.As(err, &got) || *got != *want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestDialSendsParametersInOrder(t *testing.T) {
	asked := append(slices.Clone(anna), wire.Parameter{Name: "options", Value: "-c x=y"}, wire.Parameter{Name: "application_name", Value: ""})
	seen := make(chan *wire.Startup, 1)
	f := wiretest.StartFake(t, wiretest.Script{wiretest.Do(func(c *wiretest.Conn) error { seen <- c.Startup; return nil })})
	e, err := wire.Dial(patient(t), wire.DialConfig{Address: f.Addr(), Parameters: asked})
	if err != nil {
		t.Fatal(err)
	}
	e.Conn.Close()
	if s := <-seen; !slices.Equal(s.Parameters, asked) || s.Version != wire.Protocol30 {
		t.Errorf("server saw %+v", s)
	}
	for _, p := range []wire.Parameter{{Name: "a\x00b", Value: "c"}, {Name: "a", Value: "c\x00user"}, {Name: "", Value: "c"}} {
		if _, err := wire.Dial(patient(t), wire.DialConfig{Address: f.Addr(), Parameters: []wire.Parameter{p}}); err == nil {
			t.Errorf("sent %q", p)
		}
	}
}

func TestDialNegotiatesProtocol(t *testing.T) {
	long := bytes.Repeat([]byte("k"), 32)
	for _, c := range []struct {
		name        string
		ask, answer uint32 // answer 0: none
		want        uint32
	}{
		{"3.2 agreed", wire.Protocol32, 0, wire.Protocol32},
		{"3.2 refused", wire.Protocol32, wire.Protocol30, wire.Protocol30},
		{"3.0", 0, 0, wire.Protocol30},
		{"3.0, server is proud of 3.2", 0, wire.Protocol32, wire.Protocol30},
	} {
		var hello []byte
		if c.answer != 0 {
			hello = wire.AppendNegotiateVersion(nil, c.answer, []string{"_pq_.x"})
		}
		hello = wire.AppendAuthentication(hello, wire.AuthOK, nil)
		hello = wire.AppendBackendKeyData(hello, wire.Key{PID: 1, Secret: long})
		f := wiretest.StartRawFake(t, wiretest.Script{wiretest.Do(func(got *wiretest.Conn) error {
			if want := max(c.ask, wire.Protocol30); got.Startup.Version != want {
				return fmt.Errorf("asked for %x, want %x", got.Startup.Version, want)
			}
			return got.Send(ready(hello))
		})})
		e, err := wire.Dial(patient(t), wire.DialConfig{Address: f.Addr(), Parameters: anna, Version: c.ask})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		e.Conn.Close()
		if e.Version != c.want || !bytes.Equal(e.Key.Secret, long) {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	before := runtime.NumGoroutine()
	halves := map[string]wiretest.Script{
		"silent server": {wiretest.Hang()},
		"half a login":  {wiretest.Send(auth(wire.AuthOK, "")), wiretest.Hang()},
	}
	for name, s := range halves {
		f := wiretest.StartRawFake(t, s)
		ctx, stop := context.WithTimeout(context.Background(), 30*time.Millisecond)
		_, err := wire.Dial(ctx, wire.DialConfig{Address: f.Addr(), Parameters: anna})
		stop()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		ctx, stop = context.WithCancel(context.Background())
		time.AfterFunc(10*time.Millisecond, stop)
		if _, err = wire.Dial(ctx, wire.DialConfig{Address: f.Addr(), Parameters: anna}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
	}
	for deadline := time.Now().Add(wiretest.Patience); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

// What the context does after Dial has returned is nothing to the connection.
func TestDialedConnectionOutlivesItsContext(t *testing.T) {
	f := wiretest.StartFake(t, wiretest.Script{wiretest.ExpectQuery("select 1"), wiretest.Complete("SELECT 0", wire.TxIdle)})
	ctx, stop := context.WithCancel(context.Background())
	e, err := wire.Dial(ctx, wire.DialConfig{Address: f.Addr(), Parameters: anna})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Conn.Close()
	stop()
	if _, err := e.Conn.Write(wire.AppendString(nil, wire.Query, "select 1")); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(e.Conn); err != nil || len(b) == 0 {
		t.Errorf("answer %q, %v", b, err)
	}
}

func TestSendCancelWaitsForTheEnd(t *testing.T) {
	f := wiretest.StartFake(t, wiretest.Script{})
	release := f.HoldCancels()
	key := wire.Key{PID: 42, Secret: []byte("four")}
	done := make(chan error, 1)
	go func() { done <- wire.SendCancel(patient(t), wire.DialConfig{Address: f.Addr()}, key) }()
	if k := <-f.Cancels(); k.PID != key.PID || !bytes.Equal(k.Secret, key.Secret) {
		t.Errorf("server saw %+v", k)
	}
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSendCancelDoesNotClaimWhatIsNotProven(t *testing.T) {
	serve := func(use func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			if c, err := l.Accept(); err == nil {
				io.ReadFull(c, make([]byte, 16))
				use(c)
			}
		}()
		return l.Addr().String()
	}
	for name, addr := range map[string]string{
		"reset":   serve(func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }),
		"answer":  serve(func(c net.Conn) { c.Write([]byte("E")); c.Close() }),
		"silence": serve(func(c net.Conn) { io.Copy(io.Discard, c); c.Close() }),
		"nobody":  "127.0.0.1:1",
	} {
		ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
		if err := wire.SendCancel(ctx, wire.DialConfig{Address: addr}, wire.Key{PID: 1, Secret: make([]byte, 4)}); err == nil {
			t.Errorf("%s: reported as done", name)
		}
		stop()
	}
}

// A server's login costs a bounded number of allocations: logins per second
// are benchmarked.
func TestDialAllocatesLittle(t *testing.T) {
	var hello []byte
	hello = wire.AppendAuthentication(hello, wire.AuthOK, nil)
	for i := range 14 {
		hello = wire.AppendParameterStatus(hello, fmt.Sprint("parameter", i), "value")
	}
	hello = ready(wire.AppendBackendKeyData(hello, wire.Key{PID: 1, Secret: make([]byte, 4)}))
	transport := func(context.Context, string, string) (net.Conn, error) {
		return &canned{in: bytes.NewReader(hello)}, nil
	}
	config := wire.DialConfig{Address: "127.0.0.1:5432", Parameters: anna, Transport: transport}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := wire.Dial(ctx, config); err != nil {
			t.Fatal(err)
		}
	}); n > 20 {
		t.Errorf("%v allocations for a login", n)
	}
}

// canned is a connection that reads from in and forgets what is written.
type canned struct {
	net.Conn
	in *bytes.Reader
}

func (c *canned) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *canned) Write(p []byte) (int, error) { return len(p), nil }
func (c *canned) Close() error                { return nil }
func (c *canned) SetDeadline(time.Time) error { return nil }
