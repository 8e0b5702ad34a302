package router_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire"
)

// line is one connection of the differential tester.
type line struct {
	conn     net.Conn
	in       *bufio.Reader
	pid      uint32
	told     map[string]string // ParameterStatus
	patience time.Duration     // for each message
}

func contextWithPatience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// dialLine logs acme in. A refusal is the *wire.Error.
func dialLine(h *house, address, database string, login [][2]string, patience time.Duration) (*line, error) {
	ctx, cancel := contextWithPatience()
	defer cancel()
	config := wire.DialConfig{
		Address: address, Secret: wire.Secret{Scram: h.keys["acme"]},
		Parameters: []wire.Parameter{{Name: "user", Value: "acme"}, {Name: "database", Value: database}},
	}
	for _, p := range login {
		config.Parameters = append(config.Parameters, wire.Parameter{Name: p[0], Value: p[1]})
	}
	e, err := wire.Dial(ctx, config)
	if err != nil {
		return nil, err
	}
	l := &line{conn: e.Conn, in: bufio.NewReader(e.Conn), pid: e.Key.PID, told: map[string]string{}, patience: patience}
	for _, p := range e.Parameters {
		l.told[p.Name] = p.Value
	}
	return l, nil
}

// leave ends the connection the polite way, and waits until a backend is gone.
func (l *line) leave() {
	l.conn.SetDeadline(time.Now().Add(l.patience))
	l.conn.Write([]byte{'X', 0, 0, 0, 4})
	io.Copy(io.Discard, l.in)
	l.conn.Close()
}

// lost is the type of the reply that stands for the connection's end, or for
// an answer that did not come.
const lost = '!'

// reply is one message of a server.
type reply struct {
	typ  byte
	body []byte
	told map[string]string // what the client has been told, with a ReadyForQuery
}

// exchange sends a step and returns the replies to it, without ParameterStatus.
func (l *line) exchange(s step) (got []reply) {
	var w awaited
	for _, part := range s.parts() {
		if err := l.write(part); err != nil {
			return append(got, reply{typ: lost, body: []byte(fmt.Sprintf("write: %v", err))})
		}
		w.sent(part)
		for !w.done() {
			r := l.read()
			if r.typ == 'S' {
				name, value, _ := strings.Cut(strings.TrimSuffix(string(r.body), "\x00"), "\x00")
				l.told[name] = value
				continue
			}
			if r.typ == 'Z' {
				r.told = maps.Clone(l.told)
			}
			got = append(got, r)
			if r.typ == lost {
				return got
			}
			w.saw(r.typ)
		}
	}
	return got
}

func (l *line) write(messages []pgproto3.FrontendMessage) error {
	var out []byte
	for _, m := range messages {
		var err error
		if out, err = m.Encode(out); err != nil {
			return err
		}
	}
	l.conn.SetWriteDeadline(time.Now().Add(l.patience))
	_, err := l.conn.Write(out)
	return err
}

func (l *line) read() reply {
	l.conn.SetReadDeadline(time.Now().Add(l.patience))
	head := make([]byte, 5)
	if _, err := io.ReadFull(l.in, head); err != nil {
		return reply{typ: lost, body: []byte(fmt.Sprintf("read: %v", err))}
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	if _, err := io.ReadFull(l.in, body); err != nil {
		return reply{typ: lost, body: []byte(fmt.Sprintf("read: %v", err))}
	}
	return reply{typ: head[0], body: body}
}

// awaited knows which of the messages sent is being answered, so that a client
// knows when nothing more will come.
type awaited struct {
	messages []pgproto3.FrontendMessage
	at       int
	skips    bool // an extended message failed: all is skipped up to a Sync
	copying  bool // the server waits for the client's rows
}

func (w *awaited) sent(messages []pgproto3.FrontendMessage) {
	w.messages, w.copying = append(w.messages, messages...), false
	w.settle()
}

// settle passes what gets no reply.
func (w *awaited) settle() {
	for ; w.at < len(w.messages); w.at++ {
		switch w.messages[w.at].(type) {
		case *pgproto3.Sync:
			return
		case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail, *pgproto3.Flush:
		default:
			if !w.skips {
				return
			}
		}
	}
}

func (w *awaited) done() bool {
	return w.at == len(w.messages) || w.copying && !w.endsCopy()
}

// endsCopy says whether the client has already sent the end of its rows.
func (w *awaited) endsCopy() bool {
	for _, m := range w.messages[w.at:] {
		switch m.(type) {
		case *pgproto3.CopyDone, *pgproto3.CopyFail:
			return true
		}
	}
	return false
}

// saw takes a reply into account.
func (w *awaited) saw(typ byte) {
	last := ""
	switch w.messages[w.at].(type) {
	case *pgproto3.Query, *pgproto3.FunctionCall, *pgproto3.Sync:
		last = "Z"
	case *pgproto3.Parse:
		last = "1E"
	case *pgproto3.Bind:
		last = "2E"
	case *pgproto3.Close:
		last = "3E"
	case *pgproto3.Describe:
		last = "TnE"
	case *pgproto3.Execute:
		last = "CIsE"
	}
	if typ == 'G' {
		w.copying = true
	}
	if strings.IndexByte(last, typ) < 0 {
		return
	}
	w.skips = typ == 'E'
	w.at++
	w.settle()
}
