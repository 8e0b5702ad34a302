package admin

import (
	"errors"
	"strings"
)

// errSyntax reports a text that is no console command.
var errSyntax = errors.New("admin: invalid command")

// statement is what one Query asks for: a verb with at most one argument, a SET,
// or an operation. A text with nothing in it has no verb.
type statement struct {
	verb     string  // upper case; an operation's has two words: "CREATE TENANT"
	argument string  // as written, without quotes; SET: the setting
	value    string  // SET's, or what a SHOW is narrowed down to
	words    []token // an operation's: all behind its verb
}

// parse reads a Query's text. As in PgBouncer a Query holds one command: what
// has more behind its semicolon is an error as a whole, and nothing of it runs.
func parse(text string) (statement, error) {
	sc := scanner{text: text}
	var st statement
	first := sc.next()
	switch {
	case first.kind == ';':
		return st, sc.end()
	case first.kind == 0:
		return st, nil
	case !first.isName():
		return st, errSyntax
	}
	st.verb = strings.ToUpper(first.text)
	if st.verb == "SET" {
		return st, sc.set(&st)
	}
	if sc.operation(&st) {
		return st, sc.words(&st)
	}
	t := sc.next()
	if t.isName() {
		st.argument = t.text
		t = sc.next()
	}
	if st.verb == "SHOW" && st.argument != "" {
		t = sc.pattern(&st, t)
	}
	return st, sc.endAt(t)
}

// token is a word, a quoted identifier, a string, or a sign, which is its own
// kind.
type token struct {
	kind byte
	text string
}

const (
	tokenWord   = 'w'
	tokenQuoted = 'q'
	tokenString = 's'
	tokenBad    = '?'
)

func (t token) isName() bool { return t.kind == tokenWord || t.kind == tokenQuoted }

func (t token) isOperand() bool { return t.isName() || t.kind == tokenString }

type scanner struct{ text string }

// operation reads the second word of an operation's verb, if this is one. RESUME
// tenant alone is PgBouncer's, of a database of that name.
func (sc *scanner) operation(st *statement) bool {
	behind := *sc
	second := behind.next()
	verb := st.verb + " " + strings.ToUpper(second.text)
	if second.kind != tokenWord || !isOperation(verb) {
		return false
	}
	if look := behind; st.verb == "RESUME" && !look.next().isOperand() {
		return false
	}
	*sc, st.verb = behind, verb
	return true
}

// words reads all that is left.
func (sc *scanner) words(st *statement) error {
	t := sc.next()
	for ; t.kind != 0 && t.kind != ';'; t = sc.next() {
		if t.kind == tokenBad {
			return errSyntax
		}
		st.words = append(st.words, t)
	}
	return sc.endAt(t)
}

// set reads what follows the word SET.
func (sc *scanner) set(st *statement) error {
	key := sc.next()
	if !key.isName() || key.text == "" {
		return errSyntax
	}
	if t := sc.next(); t.kind != '=' && !(t.kind == tokenWord && strings.EqualFold(t.text, "to")) {
		return errSyntax
	}
	value := sc.next()
	if !value.isOperand() {
		return errSyntax
	}
	st.argument, st.value = key.text, value.text
	return sc.endAt(sc.next())
}

// pattern reads what may follow the name of a SHOW, from t on: a name or string,
// with or without LIKE before it. It returns the token behind.
func (sc *scanner) pattern(st *statement, t token) token {
	if t.kind == tokenWord && strings.EqualFold(t.text, "like") {
		if t = sc.next(); t.kind == 0 {
			return token{kind: tokenBad}
		}
	}
	if t.isOperand() {
		st.value = t.text
		return sc.next()
	}
	return t
}

// endAt accepts the end of the text, or one semicolon before it.
func (sc *scanner) endAt(t token) error {
	switch t.kind {
	case 0:
		return nil
	case ';':
		return sc.end()
	}
	return errSyntax
}

func (sc *scanner) end() error {
	if sc.next().kind != 0 {
		return errSyntax
	}
	return nil
}

// next returns the next token; its kind is 0 at the end.
func (sc *scanner) next() token {
	if !sc.skipBlank() {
		return token{kind: tokenBad}
	}
	if sc.text == "" {
		return token{}
	}
	switch c := sc.text[0]; {
	case c == '"':
		return sc.quoted(tokenQuoted)
	case c == '\'':
		return sc.quoted(tokenString)
	case isWordByte(c):
		n := 1
		for n < len(sc.text) && isWordByte(sc.text[n]) && !strings.HasPrefix(sc.text[n:], "--") {
			n++
		}
		t := token{tokenWord, sc.text[:n]}
		sc.text = sc.text[n:]
		return t
	default:
		sc.text = sc.text[1:]
		return token{kind: c}
	}
}

// skipBlank drops white space and comments. It is false at a comment without an
// end.
func (sc *scanner) skipBlank() bool {
	for {
		sc.text = strings.TrimLeft(sc.text, " \t\r\n\f\v")
		switch {
		case strings.HasPrefix(sc.text, "--"):
			_, sc.text, _ = strings.Cut(sc.text, "\n")
		case strings.HasPrefix(sc.text, "/*"):
			_, rest, ok := strings.Cut(sc.text[2:], "*/")
			if !ok {
				return false
			}
			sc.text = rest
		default:
			return true
		}
	}
}

// quoted reads up to the closing quote; a doubled quote stands for itself.
func (sc *scanner) quoted(kind byte) token {
	quote := sc.text[:1]
	var out strings.Builder
	for rest := sc.text[1:]; ; {
		part, behind, ok := strings.Cut(rest, quote)
		if !ok {
			sc.text = ""
			return token{kind: tokenBad}
		}
		out.WriteString(part)
		if !strings.HasPrefix(behind, quote) {
			sc.text = behind
			return token{kind, out.String()}
		}
		out.WriteString(quote)
		rest = behind[1:]
	}
}

// isWordByte is more generous than PgBouncer, which wants quotes around a
// database called my-shop.
func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '-' || c == '.' || c == '$' || c >= 0x80
}
