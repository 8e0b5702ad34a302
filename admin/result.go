package admin

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Object identifiers of the types that columns have (PostgreSQL's pg_type).
const (
	oidBytea   = 17
	oidInt8    = 20
	oidInt4    = 23
	oidText    = 25
	oidNumeric = 1700
)

// rowsPerFlush bounds how much of a long result is held in memory.
const rowsPerFlush = 500

// kind is a column's type, in the letters of PgBouncer's sources: s text,
// i int4, q int8, N numeric, b bytea, T text that holds a time.
type kind byte

type column struct {
	name string
	kind kind
}

// columns reads a list such as "database s, cl_active i".
func columns(list string) []column {
	var out []column
	for _, field := range strings.Split(list, ",") {
		name, k, ok := strings.Cut(strings.TrimSpace(field), " ")
		if !ok || len(k) != 1 {
			panic(fmt.Sprintf("admin: column %q is not a name and a letter", field))
		}
		out = append(out, column{name, kind(k[0])})
	}
	return out
}

func (c column) describe() pgproto3.FieldDescription {
	f := pgproto3.FieldDescription{Name: []byte(c.name), DataTypeSize: -1, TypeModifier: -1}
	switch c.kind {
	case 's', 'T':
		f.DataTypeOID = oidText
	case 'i':
		f.DataTypeOID, f.DataTypeSize = oidInt4, 4
	case 'q':
		f.DataTypeOID, f.DataTypeSize = oidInt8, 8
	case 'N':
		f.DataTypeOID = oidNumeric
	case 'b':
		f.DataTypeOID = oidBytea
	default:
		panic(fmt.Sprintf("admin: column %q has no type %q", c.name, c.kind))
	}
	return f
}

// rowWriter sends the rows of one result.
type rowWriter struct {
	session *session
	columns []column
	sent    int
}

// begin sends the RowDescription of a result.
func (s *session) begin(cols []column) *rowWriter {
	fields := make([]pgproto3.FieldDescription, len(cols))
	for i, c := range cols {
		fields[i] = c.describe()
	}
	s.backend.Send(&pgproto3.RowDescription{Fields: fields})
	return &rowWriter{session: s, columns: cols}
}

// row sends one row. Values are nil (NULL), strings, bools (1 and 0), integers
// and times. An int is bounded to its column, int64 and uint64 go out as they are.
func (w *rowWriter) row(values ...any) {
	if len(values) != len(w.columns) {
		panic(fmt.Sprintf("admin: %d values for %d columns", len(values), len(w.columns)))
	}
	texts := make([][]byte, len(values))
	for i, v := range values {
		texts[i] = encode(w.columns[i], v)
	}
	w.session.backend.Send(&pgproto3.DataRow{Values: texts})
	if w.sent++; w.sent%rowsPerFlush == 0 {
		// A client that is gone shows at the end of the command.
		_ = w.session.backend.Flush()
	}
}

// timeLayout is PgBouncer's; times are in UTC, whatever the server's zone.
const timeLayout = "2006-01-02 15:04:05 MST"

func encode(c column, v any) []byte {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return []byte(cleanText(v))
	case bool:
		if v {
			return []byte("1")
		}
		return []byte("0")
	case int:
		if c.kind == 'i' {
			// A client that reads int4 must not choke on a huge count.
			v = min(max(v, math.MinInt32), math.MaxInt32)
		}
		return strconv.AppendInt(nil, int64(v), 10)
	case int64:
		return strconv.AppendInt(nil, v, 10)
	case uint64:
		return strconv.AppendUint(nil, v, 10)
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return []byte(v.UTC().Format(timeLayout))
	}
	panic(fmt.Sprintf("admin: column %q cannot hold a %T", c.name, v))
}

// orNull returns nil for an empty text.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// cleanText makes a name that came from a client fit for others to read: valid
// UTF-8 without zero bytes.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
