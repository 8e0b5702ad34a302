package router

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"howdah/wire"
)

// Messages in the notation of testdata/session: a name, then words, those that
// are not plain in Go's quotes.

var clientNames = map[byte]string{
	wire.Query: "Query", wire.Parse: "Parse", wire.Bind: "Bind", wire.Describe: "Describe", wire.Execute: "Execute",
	wire.Close: "Close", wire.Sync: "Sync", wire.Flush: "Flush", wire.CopyData: "CopyData", wire.CopyDone: "CopyDone",
	wire.CopyFail: "CopyFail", wire.FunctionCall: "FunctionCall", wire.Terminate: "Terminate",
}

var serverNames = map[byte]string{
	wire.ParseComplete: "ParseComplete", wire.BindComplete: "BindComplete", wire.CloseComplete: "CloseComplete",
	wire.CommandComplete: "CommandComplete", wire.DataRow: "DataRow", wire.RowDescription: "RowDescription",
	wire.NoData: "NoData", wire.ParameterDescription: "ParameterDescription", wire.EmptyQueryResponse: "EmptyQueryResponse",
	wire.PortalSuspended: "PortalSuspended", wire.CopyInResponse: "CopyInResponse", wire.CopyOutResponse: "CopyOutResponse",
	wire.CopyBothResponse: "CopyBothResponse", wire.CopyData: "CopyData", wire.CopyDone: "CopyDone",
	wire.ErrorResponse: "ErrorResponse", wire.NoticeResponse: "NoticeResponse", wire.NotificationResponse: "NotificationResponse",
	wire.ParameterStatus: "ParameterStatus", wire.ReadyForQuery: "ReadyForQuery", wire.FunctionCallResponse: "FunctionCallResponse",
}

func typeCalled(names map[byte]string, name string) (byte, bool) {
	for typ, n := range names {
		if n == name {
			return typ, true
		}
	}
	return 0, false
}

// message makes a message of a name in names and its words.
func message(names map[byte]string, words []string) ([]byte, error) {
	typ, ok := typeCalled(names, words[0])
	if !ok {
		return nil, fmt.Errorf("no message is called %q", words[0])
	}
	args := append(words[1:len(words):len(words)], "", "", "")
	fromServer := names[wire.ReadyForQuery] != ""
	switch {
	case !fromServer && typ == wire.Parse:
		var oids []byte
		for _, w := range words[min(3, len(words)):] {
			n, err := strconv.Atoi(w)
			if err != nil {
				return nil, err
			}
			oids = binary.BigEndian.AppendUint32(oids, uint32(n))
		}
		return wire.AppendParse(nil, args[0], args[1], oids), nil
	case !fromServer && typ == wire.Bind:
		return bindMessage(args[0], args[1], words[min(3, len(words)):]...), nil
	case !fromServer && (typ == wire.Describe || typ == wire.Close):
		return wire.AppendTarget(nil, typ, args[0][0], args[1]), nil
	case !fromServer && typ == wire.Execute:
		max, _ := strconv.Atoi(args[1])
		return executeMessage(args[0], max), nil
	case typ == wire.ReadyForQuery && fromServer:
		return wire.AppendReadyForQuery(nil, wire.TxStatus(args[0][0])), nil
	case typ == wire.ParameterStatus && fromServer:
		return wire.AppendParameterStatus(nil, args[0], args[1]), nil
	case typ == wire.ErrorResponse && fromServer:
		return wire.AppendError(nil, &wire.Error{Severity: "ERROR", Code: args[0], Message: args[1]}), nil
	case typ == wire.NoticeResponse && fromServer:
		return wire.AppendNotice(nil, &wire.Error{Severity: "WARNING", Code: args[0], Message: args[1]}), nil
	case typ == wire.NotificationResponse && fromServer:
		return wire.AppendMessage(nil, typ, []byte{0, 0, 0, 1}, []byte(args[0]+"\x00"+args[1]+"\x00")), nil
	case !fromServer && (typ == wire.Query || typ == wire.CopyFail), fromServer && typ == wire.CommandComplete:
		return wire.AppendString(nil, typ, args[0]), nil
	}
	return wire.AppendMessage(nil, typ, []byte(args[0])), nil
}

func bindMessage(portal, statement string, params ...string) []byte {
	b := wire.AppendBindText(nil, statement, params...)
	m, err := wire.ParseBind(b[wire.HeaderLen:])
	if err != nil {
		panic(err)
	}
	return append(wire.AppendBindHeader(nil, []byte(portal), statement, len(m.Rest)), m.Rest...)
}

func executeMessage(portal string, max int) []byte {
	return wire.AppendMessage(nil, wire.Execute, []byte(portal+"\x00"), binary.BigEndian.AppendUint32(nil, uint32(max)))
}

// describe is the notation of all messages in b.
func describe(names map[byte]string, b []byte) (lines []string) {
	for len(b) > 0 {
		h, ok, err := wire.ParseHeader(b)
		if err != nil || !ok {
			return append(lines, "broken "+strconv.Quote(shorten(string(b))))
		}
		n := min(h.Len, len(b))
		line := describeOne(names, h.Type, b[wire.HeaderLen:n])
		if n < h.Len {
			line += fmt.Sprintf(" ... %d more bytes", h.Len-n)
		}
		lines = append(lines, line)
		b = b[n:]
	}
	return lines
}

func describeOne(names map[byte]string, typ byte, body []byte) string {
	name := names[typ]
	if name == "" {
		name = fmt.Sprintf("%q", typ)
	}
	var words []string
	if names[wire.ReadyForQuery] != "" {
		words = serverWords(typ, body)
	} else {
		words = clientWords(typ, body)
	}
	for _, w := range words {
		name += " " + quoteWord(w)
	}
	return name
}

func clientWords(typ byte, body []byte) []string {
	parts := strings.Split(string(body), "\x00")
	switch typ {
	case wire.Parse:
		m, err := wire.ParseParse(body)
		if err != nil {
			return []string{"malformed"}
		}
		words := []string{string(m.Name), shorten(string(m.Text))}
		for o := m.ParamOIDs; len(o) > 0; o = o[4:] {
			words = append(words, strconv.Itoa(int(binary.BigEndian.Uint32(o))))
		}
		return words
	case wire.Bind:
		m, err := wire.ParseBind(body)
		if err != nil {
			return []string{"malformed"}
		}
		return append([]string{string(m.Portal), string(m.Statement)}, bindParams(m.Rest)...)
	case wire.Describe, wire.Close:
		kind, name, err := wire.ParseTarget(body)
		if err != nil {
			return []string{"malformed"}
		}
		return []string{string(kind), string(name)}
	case wire.Execute:
		if max := binary.BigEndian.Uint32(body[len(parts[0])+1:]); max > 0 {
			return []string{parts[0], strconv.Itoa(int(max))}
		}
		return parts[:1]
	case wire.Query, wire.CopyFail:
		return parts[:1]
	case wire.CopyData:
		return []string{string(body)}
	}
	return nil
}

// bindParams reads the parameters of a Bind whose formats and values are all
// text, behind its names.
func bindParams(rest []byte) (params []string) {
	if len(rest) < 4 || !bytes.HasPrefix(rest, []byte{0, 0}) {
		return nil
	}
	n := int(binary.BigEndian.Uint16(rest[2:]))
	for rest = rest[4:]; n > 0; n-- {
		size := int(binary.BigEndian.Uint32(rest))
		params = append(params, string(rest[4:4+size]))
		rest = rest[4+size:]
	}
	return params
}

func serverWords(typ byte, body []byte) []string {
	parts := strings.Split(string(body), "\x00")
	switch typ {
	case wire.ErrorResponse, wire.NoticeResponse:
		var code, text string
		for _, p := range parts {
			if strings.HasPrefix(p, "C") {
				code = p[1:]
			} else if strings.HasPrefix(p, "M") {
				text = p[1:]
			}
		}
		return []string{code, text}
	case wire.ParameterStatus:
		return parts[:2]
	case wire.NotificationResponse:
		return strings.Split(string(body[4:]), "\x00")[:2]
	case wire.CommandComplete:
		return parts[:1]
	case wire.DataRow, wire.ReadyForQuery, wire.CopyData:
		return []string{string(body)}
	}
	return nil
}

func shorten(s string) string {
	if len(s) > 200 {
		return s[:20] + fmt.Sprintf("... of %d bytes", len(s))
	}
	return s
}

func quoteWord(w string) string {
	for _, r := range w {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-') {
			return strconv.Quote(w)
		}
	}
	if w == "" {
		return `""`
	}
	return w
}

// splitLine takes a line of the notation apart.
func splitLine(line string) (words []string, err error) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			words, line = append(words, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, fmt.Errorf("%w in %s", err, line)
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("%w in %s", err, line)
		}
		words, line = append(words, word), line[len(quoted):]
	}
	return words, nil
}
