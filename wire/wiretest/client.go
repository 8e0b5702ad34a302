package wiretest

import (
	"context"
	"net"
	"testing"
	"time"

	"howdah/wire"
)

// RunClient connects to address as user on database, without a secret, and
// runs the script. A step that fails ends the test, so call it on the test's
// own goroutine; RunClientAsync is for others. The connection is closed
// afterwards.
func RunClient(tb testing.TB, address, user, database string, script ...Step) {
	tb.Helper()
	if err := runClient(address, user, database, script); err != nil {
		tb.Fatalf("client %s of %s: %v", user, database, err)
	}
}

// RunClientAsync runs the script on a goroutine of its own. Done delivers its
// outcome.
func RunClientAsync(address, user, database string, script ...Step) (done <-chan error) {
	ch := make(chan error, 1)
	go func() { ch <- runClient(address, user, database, script) }()
	return ch
}

func runClient(address, user, database string, script Script) error {
	ctx, stop := context.WithTimeout(context.Background(), Patience)
	defer stop()
	e, err := wire.Dial(ctx, wire.DialConfig{
		Address:    address,
		Parameters: []wire.Parameter{{Name: "user", Value: user}, {Name: "database", Value: database}},
	})
	if err != nil {
		return err
	}
	defer e.Conn.Close()
	never := make(chan struct{})
	return script.run(newConn(e.Conn, e.ReadAhead, never))
}

// DialRaw connects to address and sends nothing: for clients that misbehave
// from the first byte on. The connection closes with the test.
func DialRaw(tb testing.TB, address string) *Conn {
	tb.Helper()
	nc, err := net.DialTimeout("tcp", address, Patience)
	if err != nil {
		tb.Fatalf("dial %q: %v", address, err)
	}
	nc.SetDeadline(time.Now().Add(Patience))
	closed := make(chan struct{})
	tb.Cleanup(func() { close(closed); nc.Close() })
	return newConn(nc, nil, closed)
}
