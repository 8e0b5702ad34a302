package replication

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Gone reports whether an error of Receive is the server's that it has no more the WAL it
// was asked for.
func Gone(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "58P01"
}

// WAL is a piece of WAL as it comes.
type WAL struct {
	Start LSN
	Data  []byte    // valid until the next Receive
	End   LSN       // where the server's WAL ended when it was sent
	Sent  time.Time // by the server's clock
}

// End is where a timeline ends, and what comes then. A Next of 0 is that the server ended
// the stream for another reason: because it stops.
type End struct {
	Next  uint32
	Start LSN // of the next timeline
}

// Stream begins to receive a timeline's WAL from a position on, which must be a segment's
// start. The slot, if it is not "", keeps what was not reported to be safe.
func (c *Conn) Stream(ctx context.Context, slot string, from LSN, timeline uint32) error {
	command := "START_REPLICATION"
	if slot != "" {
		command += " SLOT " + quote(slot)
	}
	if err := c.send(fmt.Sprintf("%s PHYSICAL %s TIMELINE %d", command, from, timeline)); err != nil {
		return err
	}
	m, err := c.receive(ctx)
	if err != nil {
		return fmt.Errorf("START_REPLICATION: %w", inUse(err))
	}
	if _, ok := m.(*pgproto3.CopyBothResponse); !ok {
		return fmt.Errorf("START_REPLICATION: the answer is %T", m)
	}
	return nil
}

// Receive returns the next piece of WAL; or where the timeline ends, then nothing more
// comes; or neither, if the server has only asked whether somebody is there, which Report
// answers. When the context's time is up the stream goes on, and the error is Timeout's.
func (c *Conn) Receive(ctx context.Context) (*WAL, *End, error) {
	m, err := c.receive(ctx)
	if err != nil {
		return nil, nil, err
	}
	switch m := m.(type) {
	case *pgproto3.CopyData:
		w, err := parseWAL(m.Data)
		return w, nil, err
	case *pgproto3.CopyDone:
		end, err := c.endOfTimeline(context.WithoutCancel(ctx)) // half of the answer would be of no use
		return nil, end, err
	case *pgproto3.CommandComplete: // the server has been told to stop
		return nil, &End{}, nil
	}
	return nil, nil, fmt.Errorf("receive WAL: unexpected %T", m)
}

// Buffered says whether something of what comes next is here already.
func (c *Conn) Buffered() bool {
	return c.read.Buffered() > 0 || c.pg.Frontend().ReadBufferLen() > 0
}

// Timeout reports whether an error is that nothing came in the context's time.
func Timeout(err error) bool { return pgconn.Timeout(err) }

const (
	walHeader       = 1 + 8 + 8 + 8
	keepaliveLength = 1 + 8 + 8 + 1
)

// parseWAL reads a message of the stream; nil is a keepalive.
func parseWAL(b []byte) (*WAL, error) {
	switch {
	case len(b) >= walHeader && b[0] == 'w':
		return &WAL{
			Start: LSN(binary.BigEndian.Uint64(b[1:])), End: LSN(binary.BigEndian.Uint64(b[9:])),
			Sent: fromMicroseconds(int64(binary.BigEndian.Uint64(b[17:]))), Data: b[walHeader:],
		}, nil
	case len(b) == keepaliveLength && b[0] == 'k':
		return nil, nil
	}
	return nil, fmt.Errorf("receive WAL: a message of %d bytes has another form", len(b))
}

// epoch is from when PostgreSQL counts microseconds.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

func fromMicroseconds(n int64) time.Time { return time.UnixMicro(epoch + n).UTC() }

// endOfTimeline answers the server's CopyDone, and reads which timeline is the next.
func (c *Conn) endOfTimeline(ctx context.Context) (*End, error) {
	c.pg.Frontend().Send(&pgproto3.CopyDone{})
	if err := c.pg.Frontend().Flush(); err != nil {
		return nil, err
	}
	end := &End{}
	for {
		m, err := c.receive(ctx)
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			if len(m.Values) != 2 {
				return nil, errors.New("receive WAL: what is told of the next timeline has another form")
			}
			if end.Next, err = timeline(string(m.Values[0])); err != nil {
				return nil, err
			}
			if end.Start, err = ParseLSN(string(m.Values[1])); err != nil {
				return nil, err
			}
		case *pgproto3.ReadyForQuery:
			return end, nil
		}
	}
}

// Report tells the server up to where WAL has been received, and is safe: it need not
// keep what is in front of that. Nothing is ever reported to be applied, for a commit that
// waits for that would be let go on too early.
func (c *Conn) Report(received, safe LSN) error { return c.report(received, safe, 0) }

// Ask reports, and asks the server to answer that it is there.
func (c *Conn) Ask(received, safe LSN) error { return c.report(received, safe, 1) }

func (c *Conn) report(received, safe LSN, reply byte) error {
	b := make([]byte, 1+8+8+8+8+1)
	b[0] = 'r'
	binary.BigEndian.PutUint64(b[1:], uint64(received))
	binary.BigEndian.PutUint64(b[9:], uint64(safe))
	binary.BigEndian.PutUint64(b[25:], uint64(time.Now().UnixMicro()-epoch))
	b[33] = reply
	c.pg.Frontend().Send(&pgproto3.CopyData{Data: b})
	return c.pg.Frontend().Flush()
}
