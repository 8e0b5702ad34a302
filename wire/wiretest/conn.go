package wiretest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"time"

	"howdah/wire"
)

// Patience is how long a step waits for the other side before it fails.
const Patience = 10 * time.Second

// Conn is one end of a connection that a script drives.
type Conn struct {
	net.Conn
	Startup *wire.Startup // a fake server's: what the client began with
	Number  int           // a fake server's: 1 for its first connection

	in     *bufio.Reader
	closed <-chan struct{} // closed with the fake or client that owns the Conn
}

// newConn returns c with the bytes in readAhead in front of what c delivers.
func newConn(c net.Conn, readAhead []byte, closed <-chan struct{}) *Conn {
	var r io.Reader = c
	if len(readAhead) > 0 {
		r = io.MultiReader(bytes.NewReader(readAhead), c)
	}
	return &Conn{Conn: c, in: bufio.NewReaderSize(r, 1024), closed: closed}
}

// Read reads what Receive would read next.
func (c *Conn) Read(p []byte) (int, error) { return c.in.Read(p) }

// Receive reads the next message. It waits at most Patience.
func (c *Conn) Receive() (typ byte, body []byte, err error) {
	c.SetReadDeadline(time.Now().Add(Patience))
	return c.receive()
}

func (c *Conn) receive() (typ byte, body []byte, err error) {
	var head [wire.HeaderLen]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, nil, err
	}
	h, _, err := wire.ParseHeader(head[:])
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, h.Len-wire.HeaderLen)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return 0, nil, fmt.Errorf("body of a message of type %q: %w", h.Type, err)
	}
	return h.Type, body, nil
}

// Send writes whole messages, or any other bytes, in one write.
func (c *Conn) Send(messages ...[]byte) error {
	var b []byte
	for _, m := range messages {
		b = append(b, m...)
	}
	c.SetWriteDeadline(time.Now().Add(Patience))
	_, err := c.Write(b)
	return err
}

// Step is one thing that a script does on a connection.
type Step struct {
	Name string // for the failure's text
	Run  func(*Conn) error
}

// Script is what a connection does after startup, step by step. Behind the
// last step the connection is closed.
type Script []Step

func (s Script) run(c *Conn) error {
	for i, step := range s {
		if err := step.Run(c); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, step.Name, err)
		}
	}
	return nil
}

// Expect wants the next message to be of type typ and checks its body, where
// checks are given.
func Expect(typ byte, checks ...func(body []byte) error) Step {
	return Step{fmt.Sprintf("expect %q", typ), func(c *Conn) error {
		got, body, err := c.Receive()
		if err != nil {
			return err
		}
		if got != typ {
			return fmt.Errorf("got a message of type %q: %q", got, body)
		}
		for _, check := range checks {
			if err := check(body); err != nil {
				return err
			}
		}
		return nil
	}}
}

// ExpectMessage wants the next message to be these very bytes, header included.
func ExpectMessage(message []byte) Step {
	step := Expect(message[0], func(body []byte) error {
		if want := message[wire.HeaderLen:]; string(body) != string(want) {
			return fmt.Errorf("got body %q, want %q", body, want)
		}
		return nil
	})
	step.Name = fmt.Sprintf("expect %q", message)
	return step
}

// ExpectQuery wants a Query of this text.
func ExpectQuery(text string) Step {
	return ExpectMessage(wire.AppendString(nil, wire.Query, text))
}

// ExpectClosed wants the other side to close without sending any more.
func ExpectClosed() Step {
	return Step{"expect the connection's end", func(c *Conn) error {
		typ, body, err := c.Receive()
		switch {
		case err == nil:
			return fmt.Errorf("got a message of type %q: %q", typ, body)
		case err == io.EOF || isReset(err):
			return nil
		}
		return err
	}}
}

// Send sends messages, or any other bytes, in one write.
func Send(messages ...[]byte) Step {
	return Step{"send", func(c *Conn) error { return c.Send(messages...) }}
}

// Complete sends a CommandComplete with tag and a ReadyForQuery.
func Complete(tag string, status wire.TxStatus) Step {
	b := wire.AppendString(nil, wire.CommandComplete, tag)
	return Send(wire.AppendReadyForQuery(b, status))
}

// Fail sends an ErrorResponse and a ReadyForQuery.
func Fail(e *wire.Error, status wire.TxStatus) Step {
	return Send(wire.AppendReadyForQuery(wire.AppendError(nil, e), status))
}

// SendHalf sends the first n bytes of a message.
func SendHalf(message []byte, n int) Step {
	return Step{fmt.Sprintf("send %d of %d bytes", n, len(message)), Send(message[:n]).Run}
}

// Sleep lets time pass, for timeouts under test.
func Sleep(d time.Duration) Step {
	return Step{"sleep", func(c *Conn) error {
		select {
		case <-time.After(d):
		case <-c.closed:
		}
		return nil
	}}
}

// Await waits until a test closes (or sends on) ch, at most Patience.
func Await(ch <-chan struct{}) Step {
	return Step{"await the test", func(c *Conn) error {
		select {
		case <-ch:
			return nil
		case <-c.closed:
			return nil
		case <-time.After(Patience):
			return fmt.Errorf("waited %v in vain", Patience)
		}
	}}
}

// Signal tells a test that the script came this far, by closing ch.
func Signal(ch chan<- struct{}) Step {
	return Step{"signal", func(*Conn) error { close(ch); return nil }}
}

// Do runs f.
func Do(f func(c *Conn) error) Step { return Step{"do", f} }

// CloseNow closes the connection in order (FIN).
func CloseNow() Step {
	return Step{"close", func(c *Conn) error { return c.Close() }}
}

// Reset breaks the connection (RST), as a crashed machine or a firewall would.
func Reset() Step {
	return Step{"reset", func(c *Conn) error {
		if t, ok := c.Conn.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		return c.Close()
	}}
}

// Hang neither reads nor writes nor closes until the test ends.
func Hang() Step {
	return Step{"hang", func(c *Conn) error { <-c.closed; return nil }}
}
