package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	v2 "github.com/jackc/pgproto3/v2"
	v5 "github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire"
)

// other is a decoder that is not ours: pgproto3's, v5's or the old v2's.
type other interface {
	Decode([]byte) error
	Encode([]byte) ([]byte, error)
}

// agreement compares one decoder of ours with others. Contents are compared as
// text.
type agreement struct {
	seeds  [][]byte
	ours   func(body []byte) (string, error)
	others func() []other
	read   func(other) string // what an other decoded

	// stricter excuses bodies that only we refuse, looser those that only we
	// accept; each says why in the code that sets it. A body that an other
	// accepts without looking at all of it may always be refused: PostgreSQL
	// refuses it too (pq_getmsgend).
	stricter, looser func(body []byte, o other) bool
}

func (a agreement) fuzz(f *testing.F) {
	for _, s := range a.seeds {
		f.Add(s)
		f.Add(append(bytes.Clone(s), 0)) // something behind it
		f.Add(s[:len(s)/2])
	}
	f.Add([]byte{})
	f.Fuzz(a.check)
}

func (a agreement) check(t *testing.T, body []byte) {
	before := bytes.Clone(body)
	content, err := a.ours(body)
	if !bytes.Equal(body, before) {
		t.Fatal("the decoder changed the message")
	}
	if err != nil && !errors.Is(err, wire.ErrMalformed) {
		t.Fatalf("error %v is not ErrMalformed", err)
	}
	for _, o := range a.others() {
		otherErr := decode(o, body)
		switch {
		case err != nil && otherErr == nil:
			if !leftOver(o, body) && (a.stricter == nil || !a.stricter(body, o)) {
				t.Errorf("only we refuse %q; %T read %s", body, o, a.read(o))
			}
		case err == nil && otherErr != nil:
			if a.looser == nil || !a.looser(body, o) {
				t.Errorf("we read %s from %q; %T: %v", content, body, o, otherErr)
			}
		case err == nil && a.read(o) != content:
			t.Errorf("we read %s from %q; %T read %s", content, body, o, a.read(o))
		}
	}
}

// decode survives v2, which panics on some bytes and is no longer mended.
func decode(o other, body []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return o.Decode(bytes.Clone(body))
}

func leftOver(o other, body []byte) bool {
	whole, err := o.Encode(nil)
	return err == nil && len(whole) < wire.HeaderLen+len(body)
}

// body cuts the header off a message.
func body(message []byte) []byte { return message[wire.HeaderLen:] }

func FuzzParseQuery(f *testing.F) {
	agreement{
		seeds:  [][]byte{body(wire.AppendString(nil, wire.Query, "select 1"))},
		ours:   func(b []byte) (string, error) { text, err := wire.ParseQuery(b); return fmt.Sprintf("%q", text), err },
		others: func() []other { return []other{&v5.Query{}, &v2.Query{}} },
		read: func(o other) string {
			if q, ok := o.(*v5.Query); ok {
				return fmt.Sprintf("%q", q.String)
			}
			return fmt.Sprintf("%q", o.(*v2.Query).String)
		},
	}.fuzz(f)
}

func FuzzParseCommandComplete(f *testing.F) {
	agreement{
		seeds: [][]byte{body(wire.AppendString(nil, wire.CommandComplete, "INSERT 0 1"))},
		ours: func(b []byte) (string, error) {
			tag, err := wire.ParseCommandComplete(b)
			return fmt.Sprintf("%q", tag), err
		},
		others: func() []other { return []other{&v5.CommandComplete{}, &v2.CommandComplete{}} },
		read: func(o other) string {
			if c, ok := o.(*v5.CommandComplete); ok {
				return fmt.Sprintf("%q", c.CommandTag)
			}
			return fmt.Sprintf("%q", o.(*v2.CommandComplete).CommandTag)
		},
	}.fuzz(f)
}

func FuzzParseParse(f *testing.F) {
	agreement{
		seeds: [][]byte{
			body(wire.AppendParse(nil, "s1", "select $1", []byte{0, 0, 0, 25})),
			body(wire.AppendParse(nil, "", "", nil)),
		},
		ours: func(b []byte) (string, error) {
			m, err := wire.ParseParse(b)
			oids := []uint32{}
			for rest := m.ParamOIDs; err == nil && len(rest) > 0; rest = rest[4:] {
				oids = append(oids, binary.BigEndian.Uint32(rest))
			}
			return fmt.Sprintf("%q %q %v", m.Name, m.Text, oids), err
		},
		others: func() []other { return []other{&v5.Parse{}, &v2.Parse{}} },
		read: func(o other) string {
			if p, ok := o.(*v5.Parse); ok {
				return fmt.Sprintf("%q %q %v", p.Name, p.Query, p.ParameterOIDs)
			}
			p := o.(*v2.Parse)
			return fmt.Sprintf("%q %q %v", p.Name, p.Query, p.ParameterOIDs)
		},
	}.fuzz(f)
}

func FuzzParseBind(f *testing.F) {
	agreement{
		seeds: [][]byte{
			body(wire.AppendBindText(nil, "s1", "a", "")),
			body(wire.AppendBindText(nil, "")),
		},
		ours: func(b []byte) (string, error) {
			m, err := wire.ParseBind(b)
			if err == nil && len(m.Portal)+1+len(m.Statement)+1+len(m.Rest) != len(b) {
				return "", fmt.Errorf("lost bytes of %q", b)
			}
			return fmt.Sprintf("%q %q", m.Portal, m.Statement), err
		},
		others: func() []other { return []other{&v5.Bind{}, &v2.Bind{}} },
		read: func(o other) string {
			if p, ok := o.(*v5.Bind); ok {
				return fmt.Sprintf("%q %q", p.DestinationPortal, p.PreparedStatement)
			}
			p := o.(*v2.Bind)
			return fmt.Sprintf("%q %q", p.DestinationPortal, p.PreparedStatement)
		},
		// ParseBind looks at no byte behind the names: they are streamed.
		looser: func([]byte, other) bool { return true },
	}.fuzz(f)
}

func FuzzParseTarget(f *testing.F) {
	agreement{
		seeds: [][]byte{
			body(wire.AppendTarget(nil, wire.Describe, wire.KindStatement, "s1")),
			body(wire.AppendTarget(nil, wire.Close, wire.KindPortal, "")),
		},
		ours: func(b []byte) (string, error) {
			kind, name, err := wire.ParseTarget(b)
			return fmt.Sprintf("%q %q", kind, name), err
		},
		others: func() []other { return []other{&v5.Describe{}, &v5.Close{}, &v2.Describe{}, &v2.Close{}} },
		read: func(o other) string {
			switch d := o.(type) {
			case *v5.Describe:
				return fmt.Sprintf("%q %q", d.ObjectType, d.Name)
			case *v5.Close:
				return fmt.Sprintf("%q %q", d.ObjectType, d.Name)
			case *v2.Describe:
				return fmt.Sprintf("%q %q", d.ObjectType, d.Name)
			}
			d := o.(*v2.Close)
			return fmt.Sprintf("%q %q", d.ObjectType, d.Name)
		},
		// Others do not look at the kind; PostgreSQL does.
		stricter: func(b []byte, _ other) bool {
			return len(b) > 0 && b[0] != wire.KindStatement && b[0] != wire.KindPortal
		},
	}.fuzz(f)
}

func FuzzParseReadyForQuery(f *testing.F) {
	agreement{
		seeds:  [][]byte{{'I'}, {'T'}, {'E'}, {'x'}},
		ours:   func(b []byte) (string, error) { s, err := wire.ParseReadyForQuery(b); return string(s), err },
		others: func() []other { return []other{&v5.ReadyForQuery{}, &v2.ReadyForQuery{}} },
		read: func(o other) string {
			if r, ok := o.(*v5.ReadyForQuery); ok {
				return string(r.TxStatus)
			}
			return string(o.(*v2.ReadyForQuery).TxStatus)
		},
		// Others take any status.
		stricter: func(b []byte, _ other) bool { return len(b) == 1 && !bytes.Contains([]byte("ITE"), b) },
	}.fuzz(f)
}

func FuzzParseParameterStatus(f *testing.F) {
	agreement{
		seeds: [][]byte{body(wire.AppendParameterStatus(nil, "TimeZone", "UTC")), body(wire.AppendParameterStatus(nil, "", ""))},
		ours: func(b []byte) (string, error) {
			name, value, err := wire.ParseParameterStatus(b)
			return fmt.Sprintf("%q %q", name, value), err
		},
		others: func() []other { return []other{&v5.ParameterStatus{}, &v2.ParameterStatus{}} },
		read: func(o other) string {
			if p, ok := o.(*v5.ParameterStatus); ok {
				return fmt.Sprintf("%q %q", p.Name, p.Value)
			}
			p := o.(*v2.ParameterStatus)
			return fmt.Sprintf("%q %q", p.Name, p.Value)
		},
	}.fuzz(f)
}

func FuzzParseNotification(f *testing.F) {
	agreement{
		seeds: [][]byte{append([]byte{0, 0, 0, 7}, "imbus\x00{}\x00"...)},
		ours: func(b []byte) (string, error) {
			n, err := wire.ParseNotification(b)
			return fmt.Sprintf("%d %q %q", n.PID, n.Channel, n.Payload), err
		},
		others: func() []other { return []other{&v5.NotificationResponse{}, &v2.NotificationResponse{}} },
		read: func(o other) string {
			if n, ok := o.(*v5.NotificationResponse); ok {
				return fmt.Sprintf("%d %q %q", n.PID, n.Channel, n.Payload)
			}
			n := o.(*v2.NotificationResponse)
			return fmt.Sprintf("%d %q %q", n.PID, n.Channel, n.Payload)
		},
	}.fuzz(f)
}

func FuzzParseBackendKeyData(f *testing.F) {
	agreement{
		seeds: [][]byte{
			body(wire.AppendBackendKeyData(nil, wire.Key{PID: 7, Secret: []byte("abcd")})),
			body(wire.AppendBackendKeyData(nil, wire.Key{PID: 7, Secret: make([]byte, 32)})),
			make([]byte, 4+wire.MaxCancelKeyLen), make([]byte, 5+wire.MaxCancelKeyLen),
		},
		ours: func(b []byte) (string, error) {
			k, err := wire.ParseBackendKeyData(b)
			return fmt.Sprintf("%d %x", k.PID, k.Secret), err
		},
		others: func() []other { return []other{&v5.BackendKeyData{}, &v2.BackendKeyData{}} },
		read: func(o other) string {
			if k, ok := o.(*v5.BackendKeyData); ok {
				return fmt.Sprintf("%d %x", k.ProcessID, k.SecretKey)
			}
			k := o.(*v2.BackendKeyData)
			return fmt.Sprintf("%d %08x", k.ProcessID, k.SecretKey)
		},
		// v5 bounds the key only when it sends it.
		stricter: func(b []byte, _ other) bool { return len(b) > 4+wire.MaxCancelKeyLen },
		// v2 knows nothing of protocol 3.2's long keys.
		looser: func(b []byte, o other) bool { _, old := o.(*v2.BackendKeyData); return old && len(b) > 8 },
	}.fuzz(f)
}

func FuzzParseError(f *testing.F) {
	agreement{
		seeds: [][]byte{
			body(wire.AppendError(nil, wire.Fatal("3D000", "no such database", "create it"))),
			[]byte("SFEHLER\x00VERROR\x00C42601\x00Mm\x00Dd\x00P7\x00Fparse.c\x00L12\x00Rr\x00\x00"),
			[]byte("SFATAL\x00Mno code\x00\x00"),
			{0},
		},
		ours: func(b []byte) (string, error) {
			e, err := wire.ParseError(b)
			if err != nil {
				return "", err
			}
			if code := wire.ErrorCode(b); len(code) == 0 && e.Code != "" && bytes.Count(b, []byte{'C'}) == 1 {
				return "", fmt.Errorf("ErrorCode %q, ParseError %q", code, e.Code)
			}
			return fmt.Sprintf("%q %q %q %q", e.Code, e.Message, e.Detail, e.Hint), nil
		},
		others: func() []other { return []other{&v5.ErrorResponse{}, &v2.ErrorResponse{}} },
		read: func(o other) string {
			if e, ok := o.(*v5.ErrorResponse); ok {
				return fmt.Sprintf("%q %q %q %q", e.Code, e.Message, e.Detail, e.Hint)
			}
			e := o.(*v2.ErrorResponse)
			return fmt.Sprintf("%q %q %q %q", e.Code, e.Message, e.Detail, e.Hint)
		},
		// Others do not look behind the closing zero byte.
		stricter: func(b []byte, _ other) bool {
			for len(b) > 0 && b[0] != 0 {
				_, b, _ = bytes.Cut(b[1:], []byte{0})
			}
			return len(b) > 1
		},
	}.fuzz(f)
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte("Q\x00\x00\x00\x0dselect 1\x00"))
	f.Add([]byte{'Z', 0, 0, 0, 3})
	f.Add([]byte{'d', 0x3f, 0xff, 0xff, 0xff})
	f.Add([]byte{'d', 0x40, 0, 0, 0})
	f.Add([]byte{'d', 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok, err := wire.ParseHeader(b)
		if ok != (len(b) >= wire.HeaderLen && err == nil) {
			t.Fatalf("ok %v, error %v with %d bytes", ok, err, len(b))
		}
		if len(b) < wire.HeaderLen {
			return
		}
		n := int64(binary.BigEndian.Uint32(b[1:]))
		if sane := n >= 4 && n <= wire.MaxMessageLen; sane != (err == nil) || err != nil && !errors.Is(err, wire.ErrLength) {
			t.Fatalf("length %d: %v", n, err)
		}
		if ok && (h.Type != b[0] || int64(h.Len) != n+1) {
			t.Fatalf("%+v from %x", h, b[:5])
		}
	})
}
