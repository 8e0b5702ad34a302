package hba

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Bounds on what is read, so that a wrong path costs an error and no memory.
const (
	maxFile  = 8 << 20 // bytes of one file
	maxDepth = 10      // of files that name files, as in PostgreSQL
	maxNames = 1 << 20 // of one file's fields
)

// Mistake is a line that cannot be honoured.
type Mistake struct {
	File    string
	Line    int // from 1; 0 is the file as a whole
	Problem string
	Remedy  string // what to write instead
}

// token is one word of a field. A quoted one is a name, whatever it spells.
type token struct {
	text   string
	quoted bool
}

// is reports whether the token is the keyword.
func (t token) is(keyword string) bool { return !t.quoted && t.text == keyword }

// line is a logical line that is not empty: fields of words.
type line struct {
	number int // of its first physical line
	fields [][]token
}

// reader cuts a file into lines and collects what is wrong.
type reader struct {
	file     string
	open     func(path string) (string, error)
	names    int
	mistakes []Mistake
}

func (r *reader) wrong(number int, remedy, problem string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{r.file, number, fmt.Sprintf(problem, args...), remedy})
}

// readFile is what reads files outside tests.
func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", reason(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", reason(err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("it is longer than %d bytes", maxFile)
	}
	return string(text), nil
}

// reason drops the path from a file error: the reader is told it anyway.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// lines returns the logical lines of text: a backslash at a line's end joins it
// with the next.
func (r *reader) lines(text string) []line {
	var all []line
	physical := strings.Split(text, "\n")
	for i := 0; i < len(physical); i++ {
		number := i + 1
		whole := strings.TrimSuffix(physical[i], "\r")
		for strings.HasSuffix(whole, `\`) && i+1 < len(physical) {
			i++
			whole = whole[:len(whole)-1] + strings.TrimSuffix(physical[i], "\r")
		}
		if fields := r.fields(number, whole, 0); len(fields) > 0 {
			all = append(all, line{number, fields})
		}
	}
	return all
}

// fields cuts a logical line. A line with a mistake has no fields.
func (r *reader) fields(number int, rest string, depth int) (fields [][]token) {
	before := len(r.mistakes)
	for {
		var field []token
		found := false // an empty file of names is an empty field, not the line's end
		for more := true; more; {
			var t token
			var ok bool
			t, ok, more, rest = r.next(number, rest)
			if !ok {
				break
			}
			found = true
			if !t.quoted && len(t.text) > 1 && t.text[0] == '@' {
				field = append(field, r.included(number, t.text[1:], depth)...)
				continue
			}
			if r.names++; r.names == maxNames {
				r.wrong(number, "use fewer, or regular expressions", "there are more than %d names", maxNames)
			}
			if r.names < maxNames {
				field = append(field, t)
			}
		}
		if len(r.mistakes) > before {
			return nil
		}
		if !found {
			return fields
		}
		fields = append(fields, field)
	}
}

// next cuts one word off the line's front; more is true behind a comma.
func (r *reader) next(number int, s string) (t token, ok, more bool, rest string) {
	s = strings.TrimLeft(s, " \t\r\v\f,")
	var word strings.Builder
	quoted, doubled := false, false
	i := 0
	for ; i < len(s); i++ {
		c := s[i]
		if !quoted {
			if c == '#' {
				i = len(s)
				break
			}
			if c == ',' || strings.IndexByte(" \t\r\v\f", c) >= 0 {
				more = c == ','
				break
			}
		}
		if c != '"' || doubled {
			word.WriteByte(c)
		}
		doubled = quoted && c == '"' && !doubled
		if c == '"' {
			quoted = !quoted
			t.quoted = t.quoted || i == 0
		}
	}
	if quoted {
		r.wrong(number, `close it with "`, "a quote is not closed")
		return t, false, false, ""
	}
	t.text = word.String()
	if more {
		i++ // the comma
	}
	return t, t.text != "" || t.quoted, more, s[min(i, len(s)):]
}

// included returns the names that stand in a file of their own, which is looked
// for beside the one that names it.
func (r *reader) included(number int, path string, depth int) []token {
	if depth == maxDepth {
		r.wrong(number, "write the names themselves", "files name files more than %d deep", maxDepth)
		return nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(r.file), path)
	}
	text, err := r.open(path)
	if err != nil {
		r.wrong(number, "write the path of a file that can be read", "names file %q: %v", path, err)
		return nil
	}
	inner := &reader{file: path, open: r.open, names: r.names}
	var all []token
	for i, l := range strings.Split(text, "\n") {
		for _, field := range inner.fields(i+1, l, depth+1) {
			all = append(all, field...)
		}
	}
	r.names = inner.names
	r.mistakes = append(r.mistakes, inner.mistakes...)
	return all
}
