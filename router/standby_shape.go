package router

import "bytes"

// openers are the words that a statement can begin with that may run at a standby
// without saying so.
var openers = map[string]bool{
	"select": true, "with": true, "values": true, "table": true, "explain": true, "copy": true, "declare": true,
}

// appendSkeleton appends the shape of a text that package classify judges: SQL with the
// same names, operators and parameters, in which every literal is '?' or 1, lists of
// literals and parameters in brackets (but NULLIF's) have one element, words are in
// lower case, and a space stands for blanks and comments. It reports false for texts that the parser is
// not to be asked about: what begins with another word than openers, what is too long,
// and what PostgreSQL's versions may take apart in different ways.
//
// A literal is not an empty one, which the parser could not tell from COPY's STDOUT.
//
// The text must be of an encoding that lexer can read.
func appendSkeleton(dst, text []byte, conforming bool) (shape []byte, ok bool) {
	if len(text) > maxKept || bytes.IndexByte(text, '\v') >= 0 { // not blank before PostgreSQL 17
		return dst, false
	}
	start := len(dst)
	k := skeleton{dst: dst, lexer: lexer{text: text, conforming: conforming}}
	if !k.begin() {
		return dst, false
	}
	for !k.ended {
		if !k.next() || len(k.dst)-start > maxSkeleton {
			return dst, false
		}
	}
	return k.dst, true
}

// maxSkeleton bounds the shapes that are made, in bytes.
const maxSkeleton = 4 << 10

// What stands for literals.
var aString, aNumber = []byte("'?'"), []byte("1")

// skeleton is a shape in the making.
type skeleton struct {
	dst   []byte
	lexer lexer
	ended bool

	before  token
	values  int // how many of the last tokens make a value, or a value and a comma
	comma   int // where in dst that comma is
	bracket int // how many are open
	pair    int // what bracket was, if the last one opened is that of NULLIF, whose values are no list
}

// opens reports whether a text begins with one of openers.
func opens(text []byte, conforming bool) bool {
	k := skeleton{lexer: lexer{text: text, conforming: conforming}}
	return k.begin()
}

// begin reports whether the text begins with one of openers.
func (k *skeleton) begin() bool {
	look := k.lexer
	t := look.next()
	for t.symbol('(') {
		t = look.next()
	}
	var lower [len("declare")]byte
	return t.kind == tokenWord && len(t.text) <= len(lower) && openers[string(appendLower(lower[:0], t.text))]
}

// next takes a token and reports whether its meaning is beyond doubt.
func (k *skeleton) next() bool {
	end := k.lexer.at
	t := k.lexer.next()
	apart := k.lexer.at-len(t.text) > end && k.before.kind != tokenEnd
	before := k.before
	k.before = t
	switch t.kind {
	case tokenEnd:
		k.ended = true
	case tokenBroken:
		return false
	case tokenString:
		k.value(true, aString)
		return plainLiteral(t.text)
	case tokenNumber:
		k.value(true, aNumber)
		return plainNumber(t.text) && (apart || !before.symbol('.'))
	case tokenParam:
		k.value(apart, t.text)
	case tokenWord:
		k.space(apart || k.values == 1) // the value may be another than stood in front
		k.dst = appendLower(k.dst, t.text)
		k.values = 0
	case tokenQuoted:
		k.space(apart || k.values == 1)
		k.dst = append(k.dst, t.text...)
		k.values = 0
	default:
		return k.symbol(t.text[0], apart, before)
	}
	return true
}

func (k *skeleton) space(apart bool) {
	if apart {
		k.dst = append(k.dst, ' ')
	}
}

// value appends a literal or parameter, unless one is there that it follows in a list.
func (k *skeleton) value(apart bool, as []byte) {
	if k.values == 2 && k.bracket > 0 && k.bracket != k.pair {
		k.dst = k.dst[:k.comma]
	} else {
		k.space(apart || k.values == 1)
		k.dst = append(k.dst, as...)
	}
	k.values = 1
}

func (k *skeleton) symbol(b byte, apart bool, before token) bool {
	switch {
	case b < ' ':
		return false
	case b == '(' || b == '[':
		k.bracket++
		k.pair = 0
		if before.is("nullif") {
			k.pair = k.bracket
		}
	case b == ')' || b == ']':
		k.bracket--
	}
	apart = apart || b == '.' && k.values == 1
	if b == ',' && k.values == 1 {
		k.values, k.comma = 2, len(k.dst)
	} else {
		k.values = 0
	}
	k.space(apart)
	k.dst = append(k.dst, b)
	return true
}

// plainLiteral reports whether a literal is one: in those of bits, unlike in others,
// two quotes are an end and a beginning.
func plainLiteral(text []byte) bool {
	b := text[0] | 0x20
	return b != 'b' && b != 'x' || bytes.IndexByte(text[2:len(text)-1], '\'') < 0
}

// plainNumber reports whether all versions of PostgreSQL read a number as one: digits
// with at most a point and an exponent.
func plainNumber(text []byte) bool {
	digits := func() (n int) {
		for n < len(text) && isDigit(text[n]) {
			n++
		}
		text = text[n:]
		return n
	}
	n := digits()
	if len(text) > 0 && text[0] == '.' {
		text = text[1:]
		n += digits()
	}
	if n > 0 && len(text) > 0 && text[0]|0x20 == 'e' {
		if text = text[1:]; len(text) > 0 && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		n = digits()
	}
	return n > 0 && len(text) == 0
}
