package router_test

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// step is what a client sends before it waits for all answers.
type step struct {
	kind     string
	messages []pgproto3.FrontendMessage
}

// pause is no message: a client waits there for what it can already get.
type pause struct{ pgproto3.Flush }

func (*pause) Encode(dst []byte) ([]byte, error) { return dst, nil }

// parts returns the messages between the pauses.
func (s step) parts() (parts [][]pgproto3.FrontendMessage) {
	parts = append(parts, nil)
	for _, m := range s.messages {
		if _, ok := m.(*pause); ok {
			parts = append(parts, nil)
			continue
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], m)
	}
	return parts
}

// answered says whether the step ends with a message that makes the server
// answer all of it.
func (s step) answered() bool {
	if len(s.messages) == 0 {
		return false
	}
	switch s.messages[len(s.messages)-1].(type) {
	case *pgproto3.Query, *pgproto3.Sync, *pgproto3.FunctionCall:
		return true
	}
	return false
}

// String writes a step, one message per line.
func (s step) String() string {
	var b strings.Builder
	for i, m := range s.messages {
		if i > 0 {
			b.WriteString("     ")
		}
		fmt.Fprintf(&b, "%s\n", spell(m))
	}
	return b.String()
}

// spell writes a client's message.
func spell(m pgproto3.FrontendMessage) string {
	switch m := m.(type) {
	case *pause:
		return "(waits)"
	case *pgproto3.Query:
		return fmt.Sprintf("Query      %s", short(m.String))
	case *pgproto3.Parse:
		types := ""
		if len(m.ParameterOIDs) > 0 {
			types = fmt.Sprint(" types ", m.ParameterOIDs)
		}
		return fmt.Sprintf("Parse      %q %s%s", m.Name, short(m.Query), types)
	case *pgproto3.Bind:
		values := make([]string, len(m.Parameters))
		for i, v := range m.Parameters {
			values[i] = short(string(v))
		}
		formats := ""
		if len(m.ResultFormatCodes) > 0 {
			formats = fmt.Sprint(" results ", m.ResultFormatCodes)
		}
		return fmt.Sprintf("Bind       portal %q of %q (%s)%s", m.DestinationPortal, m.PreparedStatement, strings.Join(values, ", "), formats)
	case *pgproto3.Describe:
		return fmt.Sprintf("Describe   %c %q", m.ObjectType, m.Name)
	case *pgproto3.Execute:
		return fmt.Sprintf("Execute    portal %q, rows %d", m.Portal, m.MaxRows)
	case *pgproto3.Close:
		return fmt.Sprintf("Close      %c %q", m.ObjectType, m.Name)
	case *pgproto3.CopyData:
		return fmt.Sprintf("CopyData   %s", short(string(m.Data)))
	case *pgproto3.CopyFail:
		return fmt.Sprintf("CopyFail   %q", m.Message)
	case *pgproto3.FunctionCall:
		return fmt.Sprintf("Function   %d %q", m.Function, m.Arguments)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
}

// short quotes a text and keeps its beginning.
func short(s string) string {
	s = strings.ReplaceAll(s, currentSettings, "<all settings>")
	if len(s) > 1000 {
		return fmt.Sprintf("%q... %d bytes", s[:100], len(s))
	}
	return fmt.Sprintf("%q", s)
}

// String writes a server's message.
func (r reply) String() string {
	switch r.typ {
	case lost:
		return string(r.body)
	case 'E', 'N':
		var b strings.Builder
		for _, f := range strings.Split(strings.TrimRight(string(r.body), "\x00"), "\x00") {
			if f != "" && !strings.ContainsRune("VFLR", rune(f[0])) {
				fmt.Fprintf(&b, " %c=%s", f[0], short(f[1:]))
			}
		}
		return fmt.Sprintf("%c%s", r.typ, b.String())
	case 'Z':
		return "Z " + string(r.body)
	case 'A':
		return fmt.Sprintf("A %q", r.body[4:])
	case 'T':
		var names []string
		for _, c := range columns(r.body) {
			name, _, _ := strings.Cut(c, " ")
			names = append(names, name)
		}
		if len(names) > 9 {
			return fmt.Sprintf("T %d columns", len(names))
		}
		return "T " + strings.Join(names, ", ")
	case 'D':
		return "D " + strings.Join(values(r.body), ", ")
	}
	return fmt.Sprintf("%c %s", r.typ, short(string(r.body)))
}

// values returns the values of a DataRow, quoted.
func values(body []byte) (all []string) {
	for body = body[2:]; len(body) > 0; {
		n := int32(binary.BigEndian.Uint32(body))
		if body = body[4:]; n < 0 {
			all = append(all, "null")
			continue
		}
		all = append(all, short(string(body[:n])))
		body = body[n:]
	}
	return all
}

// The functions below make the messages that grammars need most.

func prepareMsg(name, sql string, types ...uint32) pgproto3.FrontendMessage {
	return &pgproto3.Parse{Name: name, Query: sql, ParameterOIDs: types}
}

func bindMsg(portal, name string, values ...string) *pgproto3.Bind {
	b := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: name}
	for _, v := range values {
		b.Parameters = append(b.Parameters, []byte(v))
	}
	return b
}

func describeMsg(object byte, name string) pgproto3.FrontendMessage {
	return &pgproto3.Describe{ObjectType: object, Name: name}
}

func executeMsg(portal string, rows uint32) pgproto3.FrontendMessage {
	return &pgproto3.Execute{Portal: portal, MaxRows: rows}
}

func closeMsg(object byte, name string) pgproto3.FrontendMessage {
	return &pgproto3.Close{ObjectType: object, Name: name}
}
