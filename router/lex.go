package router

import "bytes"

// tokenKind is what a token is.
type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // a key word or unquoted name
	tokenQuoted           // a "quoted name", quotes included
	tokenString           // a literal in whatever quotes
	tokenNumber
	tokenParam  // $1
	tokenSymbol // one byte that is none of the others
	tokenBroken // an unterminated literal, name or comment: nothing behind it can be trusted
)

// token is a piece of a statement. Its text points into the statement.
type token struct {
	kind tokenKind
	text []byte
}

// is reports whether t is the key word w, which is in lower case.
func (t token) is(w string) bool {
	return t.kind == tokenWord && len(t.text) == len(w) && equalFold(t.text, w)
}

// symbol reports whether t is the one byte b.
func (t token) symbol(b byte) bool { return t.kind == tokenSymbol && t.text[0] == b }

// equalFold compares ASCII text of equal length with lower-case w.
func equalFold(text []byte, w string) bool {
	for i := range len(w) {
		b := text[i]
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		if b != w[i] {
			return false
		}
	}
	return true
}

// lexer splits SQL into tokens as PostgreSQL's scanner does (manual, "Lexical
// Structure"), as far as telling code from literals and comments goes. It must
// not be used for client encodings in which a byte of ASCII can be the second
// of a character.
type lexer struct {
	text []byte
	at   int

	// conforming says that backslashes are ordinary in plain literals
	// (standard_conforming_strings).
	conforming bool
}

// next returns the next token, skipping white space and comments.
func (l *lexer) next() token {
	if l.at+1 < len(l.text) && l.text[l.at] == ' ' && classes[l.text[l.at+1]]&inName != 0 { // mostly
		l.at++
	} else if !l.skipBlank() {
		return l.broken()
	}
	if l.at == len(l.text) {
		return token{}
	}
	start, b := l.at, l.text[l.at]
	switch {
	case isLetter(b):
		return l.word(start)
	case b == '\'':
		return l.literal(start, start, !l.conforming)
	case b == '"':
		return l.quotedName(start, start)
	case isDigit(b), b == '.' && l.peek(1) != 0 && isDigit(l.peek(1)):
		return l.number(start)
	case b == '$':
		return l.dollar(start)
	}
	l.at++
	return token{tokenSymbol, l.text[start:l.at]}
}

func (l *lexer) peek(n int) byte {
	if l.at+n < len(l.text) {
		return l.text[l.at+n]
	}
	return 0
}

func (l *lexer) broken() token {
	l.at = len(l.text)
	return token{kind: tokenBroken}
}

// skipBlank moves to the next token and reports false inside a comment that
// never ends.
func (l *lexer) skipBlank() bool {
	for l.at < len(l.text) {
		switch b := l.text[l.at]; {
		case b == ' ' || '\t' <= b && b <= '\r':
			l.at++
		case b == '-' && l.peek(1) == '-':
			end := bytes.IndexAny(l.text[l.at:], "\r\n")
			if end < 0 {
				l.at = len(l.text)
				return true
			}
			l.at += end
		case b == '/' && l.peek(1) == '*':
			if !l.skipComment() {
				return false
			}
		default:
			return true
		}
	}
	return true
}

// skipComment skips a comment, in which others may be nested.
func (l *lexer) skipComment() bool {
	depth := 0
	for l.at < len(l.text) {
		switch {
		case l.text[l.at] == '/' && l.peek(1) == '*':
			depth++
			l.at += 2
		case l.text[l.at] == '*' && l.peek(1) == '/':
			l.at += 2
			if depth--; depth == 0 {
				return true
			}
		default:
			l.at++
		}
	}
	return false
}

// literal reads a literal whose opening quote is at quote; escapes says that
// backslashes escape.
func (l *lexer) literal(start, quote int, escapes bool) token {
	for l.at = quote + 1; l.at < len(l.text); l.at++ {
		switch l.text[l.at] {
		case '\\':
			if escapes {
				l.at++
			}
		case '\'':
			if l.peek(1) == '\'' {
				l.at++
			} else if next := l.continued(); next > 0 {
				l.at = next
			} else {
				l.at++
				return token{tokenString, l.text[start:l.at]}
			}
		}
	}
	return l.broken()
}

// continued returns where a literal that ends here goes on: at a quote on
// another line, with nothing but space and comments to the line's end between.
func (l *lexer) continued() int {
	lines := false
	for i := l.at + 1; i < len(l.text); i++ {
		switch b := l.text[i]; {
		case b == '\n' || b == '\r':
			lines = true
		case b == ' ' || '\t' <= b && b <= '\r':
		case b == '-' && i+1 < len(l.text) && l.text[i+1] == '-':
			end := bytes.IndexAny(l.text[i:], "\r\n")
			if end < 0 {
				return 0
			}
			i += end - 1
		case b == '\'' && lines:
			return i
		default:
			return 0
		}
	}
	return 0
}

func (l *lexer) quotedName(start, quote int) token {
	for l.at = quote + 1; l.at < len(l.text); l.at++ {
		if l.text[l.at] != '"' {
			continue
		}
		if l.peek(1) != '"' {
			l.at++
			return token{tokenQuoted, l.text[start:l.at]}
		}
		l.at++
	}
	return l.broken()
}

// word reads a name or key word, or the literal that it introduces: E”, B”,
// X”, N”, U&” and U&"".
func (l *lexer) word(start int) token {
	at := start + 1
	for at < len(l.text) && classes[l.text[at]]&inName != 0 {
		at++
	}
	l.at = at
	text := l.text[start:at]
	if len(text) != 1 {
		return token{tokenWord, text}
	}
	switch b := text[0] | 0x20; {
	case l.peek(0) == '\'' && (b == 'e' || b == 'b' || b == 'x' || b == 'n'):
		return l.literal(start, l.at, b == 'e' || b == 'n' && !l.conforming)
	case b == 'u' && l.peek(0) == '&' && l.peek(1) == '\'':
		return l.literal(start, l.at+1, false)
	case b == 'u' && l.peek(0) == '&' && l.peek(1) == '"':
		return l.quotedName(start, l.at+1)
	}
	return token{tokenWord, text}
}

// number reads a number. What PostgreSQL calls trailing junk becomes part of
// it, which is an error there.
func (l *lexer) number(start int) token {
	for l.at < len(l.text) {
		b := l.text[l.at]
		sign := (b == '+' || b == '-') && l.at > start && l.text[l.at-1]|0x20 == 'e' && l.text[start] != '0'
		if !isDigit(b) && !isLetter(b) && b != '.' && !sign {
			break
		}
		l.at++
	}
	return token{tokenNumber, l.text[start:l.at]}
}

// dollar reads a parameter or a dollar-quoted literal.
func (l *lexer) dollar(start int) token {
	l.at++
	if isDigit(l.peek(0)) {
		for isDigit(l.peek(0)) {
			l.at++
		}
		return token{tokenParam, l.text[start:l.at]}
	}
	end := l.at
	for end < len(l.text) && (isLetter(l.text[end]) || end > l.at && isDigit(l.text[end])) {
		end++
	}
	if end == len(l.text) || l.text[end] != '$' {
		return token{tokenSymbol, l.text[start:l.at]}
	}
	tag := l.text[start : end+1]
	close := bytes.Index(l.text[end+1:], tag)
	if close < 0 {
		return l.broken()
	}
	l.at = end + 1 + close + len(tag)
	return token{tokenString, l.text[start:l.at]}
}

// What a byte may be part of.
const (
	beginsName = 1 << iota
	inName
)

// classes says it of each byte: PostgreSQL takes all above ASCII for letters.
var classes = func() (all [256]uint8) {
	for i := range all {
		b := byte(i)
		switch {
		case 'a' <= b|0x20 && b|0x20 <= 'z', b == '_', b >= 0x80:
			all[i] = beginsName | inName
		case isDigit(b), b == '$':
			all[i] = inName
		}
	}
	return all
}()

// isLetter reports whether b may begin a name.
func isLetter(b byte) bool { return classes[b]&beginsName != 0 }

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
