package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// maxAskedRows bounds what Ask keeps.
const maxAskedRows = 16

// Ask runs one statement with text parameters on a connection nobody else uses,
// for the few things we ask ourselves, and returns its rows: values as text, nil
// for NULL. The server's refusal is an *Error, after which the connection can be
// asked again; after any other error, and when ctx ends, it must be closed.
// Answers of more than 16 rows or 64 kB a row are an error.
func (e *Established) Ask(ctx context.Context, text string, params ...string) (rows [][]*string, err error) {
	stop := context.AfterFunc(ctx, func() { e.Conn.SetDeadline(time.Unix(1, 0)) })
	rows, err = e.ask(text, params)
	if !stop() && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return rows, err
}

func (e *Established) ask(text string, params []string) (rows [][]*string, err error) {
	out := AppendParse(nil, "", text, nil)
	out = AppendBindText(out, "", params...)
	out = AppendEmpty(AppendExecute(out), Sync)
	if _, err := e.Conn.Write(out); err != nil {
		return nil, fmt.Errorf("ask server: %w", err)
	}
	var refusal *Error
	in := messageReader{r: e.Conn, buf: make([]byte, max(loginBuffer, len(e.ReadAhead)))}
	in.n = copy(in.buf, e.ReadAhead)
	for {
		typ, body, err := in.next()
		if err != nil {
			return nil, fmt.Errorf("ask server: %w", err)
		}
		switch typ {
		case ErrorResponse:
			if refusal, err = ParseError(body); err != nil {
				return nil, err
			}
			if refusal.Severity == "FATAL" || refusal.Severity == "PANIC" {
				return nil, fmt.Errorf("ask server: it closes the connection: %w", refusal)
			}
		case DataRow:
			row, err := parseRow(body)
			if err != nil || len(rows) == maxAskedRows {
				return nil, fmt.Errorf("ask server: %w: row %d", ErrMalformed, len(rows)+1)
			}
			rows = append(rows, row)
		case ReadyForQuery:
			if status, err := ParseReadyForQuery(body); err != nil || status != TxIdle {
				return nil, fmt.Errorf("ask server: %w: it is in a transaction", ErrMalformed)
			}
			e.ReadAhead = in.rest() // what the server says unasked
			if refusal != nil {
				return nil, refusal
			}
			return rows, nil
		}
	}
}

// parseRow decodes a DataRow's body.
func parseRow(b []byte) ([]*string, error) {
	if len(b) < 2 {
		return nil, ErrMalformed
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if n*4 > len(b) {
		return nil, ErrMalformed
	}
	row := make([]*string, n)
	for i := range row {
		if len(b) < 4 {
			return nil, ErrMalformed
		}
		size := int32(binary.BigEndian.Uint32(b))
		if b = b[4:]; size == -1 {
			continue
		}
		if size < 0 || int(size) > len(b) {
			return nil, ErrMalformed
		}
		value := string(b[:size])
		row[i], b = &value, b[size:]
	}
	if len(b) != 0 {
		return nil, ErrMalformed
	}
	return row, nil
}
