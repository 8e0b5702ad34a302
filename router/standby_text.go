package router

import (
	"strings"

	"howdah/router/classify"
)

// A statement that writes nothing can still be refused at a standby, or mean
// something else there: package classify knows the names that make it so.

// writingWords keep a statement at the primary, wherever they are in it: FOR UPDATE
// and its kin, what WITH can hide, and a cursor WITH HOLD, which keeps the server.
var writingWords = map[string]bool{"hold": true, "update": true, "share": true, "into": true, "insert": true, "delete": true, "merge": true}

// meansSame reports whether a text means at a standby what it means at the primary,
// as far as can be seen from its words. In doubt it does not.
func meansSame(text []byte, v *vars) bool {
	if len(text) > maxKept || !v.readable && !ascii(text) {
		return false
	}
	l := lexer{text: text, conforming: v.conforming}
	first := true
	for t := l.next(); t.kind != tokenEnd; t = l.next() {
		switch t.kind {
		case tokenBroken:
			return false
		case tokenSymbol:
			if t.symbol(';') && !first {
				return l.next().kind == tokenEnd // one statement
			}
			continue
		case tokenWord, tokenQuoted:
		default:
			continue
		}
		name := strings.ToLower(string(t.text))
		if t.kind == tokenQuoted {
			if t.text[0] != '"' {
				return false // U&"": who knows
			}
			name = strings.Trim(name, `"`)
		}
		if first && t.kind == tokenWord && !readWords[name] {
			return false
		}
		first = false
		if writingWords[name] || classify.AtPrimary(name) {
			return false
		}
	}
	return !first
}

// readWords are what a statement begins with that can read only.
var readWords = map[string]bool{"select": true, "with": true, "values": true, "table": true, "declare": true}

// maxKept bounds the texts that may run at a standby, in bytes.
const maxKept = 64 << 10
