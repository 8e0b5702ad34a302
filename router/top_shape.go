package router

// maxShape bounds what is kept of a statement's shape, in bytes.
const maxShape = 500

// appendShape appends what a text has in common with others of its kind: its
// literals are question marks, lists of them are one, comments are gone and
// words are in lower case. No value of the text is in it.
func appendShape(dst, text []byte, conforming bool) []byte {
	start := len(dst)
	l := lexer{text: text, conforming: conforming}
	var before token
	for {
		end := l.at
		t := l.next()
		switch {
		case t.kind == tokenEnd:
			return dst
		case t.kind == tokenBroken, len(dst)-start+len(t.text) > maxShape && !t.literal(before):
			return append(dst, "..."...)
		}
		apart := l.at-len(t.text) > end
		value := t.literal(before)
		switch {
		case value && endsWith(dst[start:], "?, "), value && endsWith(dst[start:], "?,"):
			before = t
			dst = trimList(dst)
			continue
		case spaced(before, t, apart):
			dst = append(dst, ' ')
		}
		switch {
		case value:
			dst = append(dst, '?')
		case t.kind == tokenWord:
			dst = appendLower(dst, t.text)
		default:
			dst = append(dst, t.text...)
		}
		if t.symbol(')') && endsWith(dst[start:], "(?), (?)") {
			dst = dst[:len(dst)-len(", (?)")]
		}
		before = t
	}
}

// literal reports whether a token is a value, given the one before it.
func (t token) literal(before token) bool {
	switch t.kind {
	case tokenString, tokenNumber, tokenParam:
		return true
	case tokenWord:
		return (before.symbol(',') || before.symbol('(')) && (t.is("null") || t.is("true") || t.is("false") || t.is("default"))
	}
	return false
}

// spaced reports whether a space belongs between two tokens; apart says that
// something was between them.
func spaced(before, t token, apart bool) bool {
	switch {
	case before.kind == tokenEnd:
		return false
	case before.symbol('('), before.symbol('.'), before.symbol('['):
		return false
	case t.symbol(')'), t.symbol(','), t.symbol('.'), t.symbol(';'), t.symbol('['), t.symbol(']'):
		return false
	case before.symbol(','):
		return true
	case t.symbol('('):
		return apart
	case t.kind == tokenSymbol && before.kind == tokenSymbol:
		return apart
	case t.symbol(':'), before.symbol(':'):
		return false
	}
	return true
}

// trimList takes the comma off behind a value that stands for a list.
func trimList(dst []byte) []byte {
	for dst[len(dst)-1] != '?' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

func endsWith(b []byte, s string) bool {
	return len(b) >= len(s) && string(b[len(b)-len(s):]) == s
}

func appendLower(dst, word []byte) []byte {
	start := len(dst)
	dst = append(dst, word...)
	for i, b := range dst[start:] {
		if 'A' <= b && b <= 'Z' {
			dst[start+i] = b | 0x20
		}
	}
	return dst
}
