package wiretest

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"howdah/wire"
)

// AnsweringFake is a server that answers every query the same way. It follows
// BEGIN, COMMIT, END, ROLLBACK and ABORT at the start of a text, which is
// enough for load, not for truth: nothing ever fails in it.
type AnsweringFake struct {
	*Fake
	queries atomic.Int64
}

// Answer is what an AnsweringFake says to each query.
type Answer struct {
	Rows  [][]byte      // one text column each; none is an answer without rows
	Delay time.Duration // before each answer
}

// StartAnswering starts an AnsweringFake. It serves each connection until its
// client goes.
func StartAnswering(tb testing.TB, a Answer) *AnsweringFake {
	tb.Helper()
	f := &AnsweringFake{Fake: newFake(tb)}
	rows := appendRows(nil, a.Rows)
	f.Fake.serve = func(c *Conn) error {
		n := &answering{Conn: c, fake: f, answer: a, rows: rows, status: wire.TxIdle}
		return n.serve()
	}
	f.start()
	return f
}

// Queries returns how many Query and Execute messages were answered.
func (f *AnsweringFake) Queries() int64 { return f.queries.Load() }

func appendRows(dst []byte, rows [][]byte) []byte {
	for _, r := range rows {
		dst = wire.AppendMessage(dst, wire.DataRow, []byte{0, 1, byte(len(r) >> 24), byte(len(r) >> 16), byte(len(r) >> 8), byte(len(r))}, r)
	}
	return dst
}

// answering is one connection of an AnsweringFake.
type answering struct {
	*Conn
	fake   *AnsweringFake
	answer Answer
	rows   []byte // DataRows, ready to send

	status wire.TxStatus
	parsed map[string]string // statement to text
	bound  string            // text behind the last Bind
	out    []byte
}

func (n *answering) serve() error {
	n.SetReadDeadline(time.Time{})
	n.parsed = map[string]string{}
	for {
		typ, body, err := n.receive()
		if err != nil || typ == wire.Terminate {
			return nil // clients come and go as they like
		}
		flush, err := n.message(typ, body)
		if err != nil {
			return err
		}
		if flush || n.in.Buffered() == 0 && len(n.out) > 1<<15 {
			if n.answer.Delay > 0 {
				Sleep(n.answer.Delay).Run(n.Conn)
			}
			if err := n.Send(n.out); err != nil {
				return nil
			}
			n.out = n.out[:0]
		}
	}
}

// message answers one message into n.out and reports whether it is time to
// send that.
func (n *answering) message(typ byte, body []byte) (flush bool, err error) {
	switch typ {
	case wire.Query:
		text, err := wire.ParseQuery(body)
		if err != nil {
			return false, err
		}
		n.rowDescription(string(text))
		n.result(string(text))
		n.ready()
		return true, nil
	case wire.Parse:
		m, err := wire.ParseParse(body)
		n.parsed[string(m.Name)] = string(m.Text)
		n.out = wire.AppendEmpty(n.out, wire.ParseComplete)
		return false, err
	case wire.Bind:
		m, err := wire.ParseBind(body)
		n.bound = n.parsed[string(m.Statement)]
		n.out = wire.AppendEmpty(n.out, wire.BindComplete)
		return false, err
	case wire.Describe:
		return false, n.describe(body)
	case wire.Execute:
		n.result(n.bound)
	case wire.Close:
		n.out = wire.AppendEmpty(n.out, wire.CloseComplete)
	case wire.Sync:
		n.ready()
		return true, nil
	case wire.Flush:
		return true, nil
	}
	return false, nil
}

func (n *answering) describe(body []byte) error {
	kind, name, err := wire.ParseTarget(body)
	if err != nil {
		return err
	}
	text := n.bound
	if kind == wire.KindStatement {
		text = n.parsed[string(name)]
		n.out = wire.AppendMessage(n.out, wire.ParameterDescription, []byte{0, 0})
	}
	if !n.rowDescription(text) {
		n.out = wire.AppendEmpty(n.out, wire.NoData)
	}
	return nil
}

// rowDescription describes one column of type text, where text has rows.
func (n *answering) rowDescription(text string) bool {
	if verb(text) != "" || n.answer.Rows == nil {
		return false
	}
	n.out = wire.AppendMessage(n.out, wire.RowDescription, []byte{
		0, 1, // columns
		'c', 0, // name
		0, 0, 0, 0, 0, 0, // of no table
		0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, // type text
		0, 0, // in text
	})
	return true
}

func (n *answering) result(text string) {
	n.fake.queries.Add(1)
	tag := verb(text)
	switch {
	case tag == "BEGIN":
		n.status = wire.TxOpen
	case tag != "":
		n.status = wire.TxIdle
	case n.answer.Rows == nil:
		tag = "DO"
	default:
		tag = "SELECT"
		n.out = append(n.out, n.rows...)
	}
	n.out = wire.AppendString(n.out, wire.CommandComplete, tag)
}

func (n *answering) ready() { n.out = wire.AppendReadyForQuery(n.out, n.status) }

// verb returns the tag of a text that begins or ends a transaction, "" for any
// other.
func verb(text string) string {
	first, _, _ := bytes.Cut(bytes.TrimSpace([]byte(text)), []byte{' '})
	switch string(bytes.ToUpper(bytes.TrimRight(first, ";"))) {
	case "BEGIN", "START":
		return "BEGIN"
	case "COMMIT", "END":
		return "COMMIT"
	case "ROLLBACK", "ABORT":
		return "ROLLBACK"
	}
	return ""
}
