package wiretest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/wire"
	"howdah/wire/wiretest"
)

// recorder is a testing.TB that remembers failures instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) finish() string {
	for _, f := range r.cleanups {
		f()
	}
	return strings.Join(r.failures, "\n")
}

func TestFakeFollowsItsScripts(t *testing.T) {
	f := wiretest.StartFake(t,
		wiretest.Script{wiretest.ExpectQuery("first"), wiretest.Complete("SELECT 0", wire.TxIdle), wiretest.Expect(wire.Terminate), wiretest.ExpectClosed()},
		wiretest.Script{wiretest.ExpectQuery("later"), wiretest.Fail(wire.Fatal("57P01", "bye", ""), wire.TxIdle)},
	)
	wiretest.RunClient(t, f.Addr(), "anna", "acme",
		wiretest.Send(wire.AppendString(nil, wire.Query, "first")),
		wiretest.Expect(wire.CommandComplete),
		wiretest.ExpectMessage(wire.AppendReadyForQuery(nil, wire.TxIdle)),
		wiretest.Send(wire.AppendEmpty(nil, wire.Terminate)))
	for range 2 {
		wiretest.RunClient(t, f.Addr(), "anna", "acme",
			wiretest.Send(wire.AppendString(nil, wire.Query, "later")),
			wiretest.Expect(wire.ErrorResponse), wiretest.Expect(wire.ReadyForQuery), wiretest.ExpectClosed())
	}
	if n := f.Connections(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// A fake that lets mistakes pass would let tests pass without testing.
func TestFakeIsStrict(t *testing.T) {
	query := wire.AppendString(nil, wire.Query, "select 1")
	for name, c := range map[string]struct {
		script wiretest.Script
		sent   []byte
		want   string
	}{
		"other type":  {wiretest.Script{wiretest.Expect(wire.Parse)}, query, "step 1, expect 'P': got a message of type 'Q'"},
		"other text":  {wiretest.Script{wiretest.ExpectQuery("select 2")}, query, "select 1"},
		"nothing":     {wiretest.Script{wiretest.Expect(wire.Query)}, nil, "EOF"},
		"half":        {wiretest.Script{wiretest.Expect(wire.Query)}, query[:8], "unexpected EOF"},
		"one more":    {wiretest.Script{wiretest.ExpectClosed()}, query, "got a message of type 'Q'"},
		"second step": {wiretest.Script{wiretest.Expect(wire.Query), wiretest.Expect(wire.Sync)}, query, "step 2"},
	} {
		r := &recorder{TB: t}
		f := wiretest.StartFake(r, c.script)
		e, err := wire.Dial(context.Background(), wire.DialConfig{Address: f.Addr(), Parameters: []wire.Parameter{{Name: "user", Value: "u"}}})
		if err != nil {
			t.Fatal(err)
		}
		e.Conn.Write(c.sent)
		e.Conn.(interface{ CloseWrite() error }).CloseWrite()
		io.Copy(io.Discard, e.Conn) // until the fake has seen it all
		e.Conn.Close()
		if got := r.finish(); !strings.Contains(got, c.want) {
			t.Errorf("%s: failures %q, want %q", name, got, c.want)
		}
	}
}

func TestFakeMisbehavesOnDemand(t *testing.T) {
	hello := wire.AppendString(nil, wire.CommandComplete, "SELECT 1")
	go1 := make(chan struct{})
	came := make(chan struct{})
	f := wiretest.StartFake(t,
		wiretest.Script{wiretest.SendHalf(hello, 7), wiretest.CloseNow()},
		wiretest.Script{wiretest.Reset()},
		wiretest.Script{wiretest.Signal(came), wiretest.Await(go1), wiretest.Send(hello), wiretest.Hang()},
	)
	dial := func() io.Reader {
		e, err := wire.Dial(context.Background(), wire.DialConfig{Address: f.Addr(), Parameters: []wire.Parameter{{Name: "user", Value: "u"}}})
		if err != nil {
			// The reset may overtake the welcome.
			return nil
		}
		t.Cleanup(func() { e.Conn.Close() })
		return io.MultiReader(bytes.NewReader(e.ReadAhead), e.Conn)
	}
	if b, err := io.ReadAll(dial()); err != nil || len(b) != 7 {
		t.Errorf("half a message: %q, %v", b, err)
	}
	if c := dial(); c != nil {
		if _, err := io.ReadAll(c); err == nil {
			t.Error("a reset looks like an end")
		}
	}
	c := dial()
	<-came
	close(go1)
	b := make([]byte, len(hello))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != string(hello) {
		t.Errorf("%q, %v", b, err)
	}
	f.Close() // ends Hang
	if _, err := c.Read(b); !errors.Is(err, io.EOF) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAnsweringFakeServesRealDriver(t *testing.T) {
	f := wiretest.StartAnswering(t, wiretest.Answer{Rows: [][]byte{[]byte("one"), []byte("two")}, Delay: time.Millisecond})
	ctx, stop := context.WithTimeout(context.Background(), wiretest.Patience)
	defer stop()
	for _, mode := range []string{"simple_protocol", "cache_statement", "exec"} {
		c, err := pgx.Connect(ctx, "postgres://anna@"+f.Addr()+"/acme?sslmode=prefer&default_query_exec_mode="+mode)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := c.Begin(ctx)
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		if s := c.PgConn().TxStatus(); s != 'T' {
			t.Errorf("%s: status %q in a transaction", mode, s)
		}
		for range 2 {
			rows, _ := tx.Query(ctx, "select anything")
			got, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil || len(got) != 2 || got[1] != "two" {
				t.Errorf("%s: %q, %v", mode, got, err)
			}
		}
		if err := tx.Commit(ctx); err != nil || c.PgConn().TxStatus() != 'I' {
			t.Errorf("%s: commit: %v", mode, err)
		}
		if err := c.Close(ctx); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
	if n := f.Queries(); n != 3*4 {
		t.Errorf("%d queries", n)
	}
}

func TestAnsweringFakeServesManyConnections(t *testing.T) {
	f := wiretest.StartAnswering(t, wiretest.Answer{})
	var done []<-chan error
	for range 500 {
		done = append(done, wiretest.RunClientAsync(f.Addr(), "u", "d",
			wiretest.Send(wire.AppendString(nil, wire.Query, "select 1")),
			wiretest.Expect(wire.CommandComplete), wiretest.Expect(wire.ReadyForQuery)))
	}
	for _, ch := range done {
		if err := <-ch; err != nil {
			t.Fatal(err)
		}
	}
	if n := f.Queries(); n != 500 {
		t.Errorf("%d queries", n)
	}
}
