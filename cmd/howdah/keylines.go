package main

import (
	"fmt"
	"strconv"
	"strings"
)

// keyLines knows on which line each key and each table header of a TOML text
// stands. The decoder checks the text but does not say where its keys were;
// this scanner says where but checks nothing: of a text the decoder refuses it
// finds some keys, never panics and never loops.
type keyLines map[string]int

// keyPath joins the parts of a key. An entry of an array of tables is a part of
// its own, see element.
func keyPath(parts ...string) string { return strings.Join(parts, "\x00") }

// element names entry i, from 0, of an array of tables.
func element(i int) string { return "#" + strconv.Itoa(i) }

// line returns the line of the key, or of the nearest table around it that has
// one (keys of inline tables have none of their own), or 1.
func (k keyLines) line(parts ...string) int {
	for n := len(parts); n > 0; n-- {
		if line, ok := k[keyPath(parts[:n]...)]; ok {
			return line
		}
	}
	return 1
}

// keyScanner is a position in the text. Its line counts from 1.
type keyScanner struct {
	text  string
	at    int
	line  int
	found keyLines
	sizes map[string]int // entries so far of each array of tables
}

// scanKeys finds the lines of the keys in a TOML text. Of a key written twice
// the first counts.
func scanKeys(text string) keyLines {
	s := &keyScanner{text: text, line: 1, found: keyLines{}, sizes: map[string]int{}}
	var table []string
	for {
		s.skipBlank()
		switch {
		case s.at >= len(s.text):
			return s.found
		case s.text[s.at] == '[':
			if path := s.header(); path != nil {
				table = path
			}
			s.skipLine()
		default:
			line := s.line
			key := s.key()
			if key == nil || !s.take('=') {
				s.skipLine()
				continue
			}
			s.note(append(table[:len(table):len(table)], key...), line)
			s.skipValue()
		}
	}
}

// note remembers the line of a key, and of the tables around it that exist only
// because of it.
func (s *keyScanner) note(parts []string, line int) {
	for n := range parts {
		path := keyPath(parts[:n+1]...)
		if _, ok := s.found[path]; !ok {
			s.found[path] = line
		}
	}
}

// header reads [a.b] or [[a.b]] and returns its path, nil if it is neither.
func (s *keyScanner) header() []string {
	line := s.line
	s.at++
	array := s.take('[')
	key := s.key()
	if key == nil || !s.take(']') {
		return nil
	}
	var path []string
	for i, part := range key {
		path = append(path, part)
		name := keyPath(path...)
		if array && i == len(key)-1 {
			s.note(path, line)
			s.sizes[name]++
		}
		if n := s.sizes[name]; n > 0 {
			path = append(path, element(n-1))
		}
	}
	s.note(path, line)
	return path
}

// maxKeyDepth bounds how much of a dotted key is kept: no setting is deeper, and
// a key of a million dots must not cost a million tables.
const maxKeyDepth = 4

// key reads a dotted key, nil if there is none.
func (s *keyScanner) key() []string {
	var parts []string
	for {
		part, ok := s.keyPart()
		if !ok {
			return nil
		}
		if len(parts) < maxKeyDepth {
			parts = append(parts, part)
		}
		if !s.take('.') {
			return parts
		}
	}
}

func (s *keyScanner) keyPart() (string, bool) {
	s.skipSpace()
	start := s.at
	if s.at < len(s.text) && (s.text[s.at] == '"' || s.text[s.at] == '\'') {
		quote := s.text[s.at]
		s.skipString()
		raw := s.text[start:s.at]
		if len(raw) < 2 || raw[len(raw)-1] != quote {
			return "", false
		}
		if unquoted, err := strconv.Unquote(raw); quote == '"' && err == nil {
			return unquoted, true
		}
		return raw[1 : len(raw)-1], true
	}
	for s.at < len(s.text) && isBare(s.text[s.at]) {
		s.at++
	}
	return s.text[start:s.at], s.at > start
}

func isBare(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// take skips spaces and then c, and reports whether c was there.
func (s *keyScanner) take(c byte) bool {
	s.skipSpace()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *keyScanner) skipSpace() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t') {
		s.at++
	}
}

// skipBlank skips to the next key or header.
func (s *keyScanner) skipBlank() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r':
			s.at++
		case '#', '\n':
			s.skipLine()
		default:
			return
		}
	}
}

// skipLine skips what is left of the line, its end included.
func (s *keyScanner) skipLine() {
	n := strings.IndexByte(s.text[s.at:], '\n')
	if n < 0 {
		s.at = len(s.text)
		return
	}
	s.at += n + 1
	s.line++
}

// skipValue skips a value to the end of its last line: brackets and multi-line
// strings may carry it over several.
func (s *keyScanner) skipValue() {
	depth := 0
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '"', '\'':
			s.skipString()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '#', '\n':
			s.skipLine()
			if depth <= 0 {
				return
			}
			continue
		}
		s.at++
	}
}

// skipString skips one string of any of TOML's four kinds. One that is not
// closed ends at its line's end, or at the text's if it may span lines.
func (s *keyScanner) skipString() {
	quote := s.text[s.at]
	long := strings.HasPrefix(s.text[s.at:], fmt.Sprintf("%c%c%c", quote, quote, quote))
	if s.at++; long {
		s.at += 2
	}
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '\n' && !long:
			return
		case c == '\n':
			s.line++
		case c == '\\' && quote == '"' && s.at+1 < len(s.text) && s.text[s.at+1] != '\n':
			s.at++
		case c == quote && !long:
			s.at++
			return
		case c == quote && strings.Count(s.text[s.at:min(s.at+3, len(s.text))], string(quote)) == 3:
			s.at += 3
			// Up to two quotes of the content may touch the closing ones.
			for range 2 {
				if s.at < len(s.text) && s.text[s.at] == quote {
					s.at++
				}
			}
			return
		}
		s.at++
	}
}
