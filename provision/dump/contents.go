package dump

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// checkFiles looks whether the dump names no files but its own. pg_restore opens whatever
// file its table of contents names, "../../somebody/secret" too, and makes rows of it.
func checkFiles(s *Scratch) error {
	f, err := os.Open(filepath.Join(s.Data(), contentsFile))
	if err != nil {
		return fmt.Errorf("read the dump's table of contents: %w", err)
	}
	defer f.Close()
	names, lists, err := readContents(f)
	if err != nil {
		return fmt.Errorf("read the dump's table of contents: %w: %w", ErrContents, err)
	}
	for _, list := range append(lists, "blobs.toc") {
		if !isOwn(list) {
			continue // told below, or not there
		}
		objects, err := readObjects(filepath.Join(s.Data(), list))
		if err != nil {
			return fmt.Errorf("read the dump's list of large objects: %w", err)
		}
		names = append(names, objects...)
	}
	for _, name := range names {
		if !isOwn(name) {
			return fmt.Errorf("%w: its table of contents names the file %.100q, which is none of its own", ErrContents, name)
		}
	}
	return nil
}

// isOwn reports whether a name is one of a file in the folder itself.
func isOwn(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// readObjects returns the files that a list of large objects names.
func readObjects(path string) (names []string, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 1 {
			names = append(names, words[1:]...)
		}
	}
	return names, lines.Err()
}

// toc reads a table of contents as PostgreSQL's pg_backup_archiver.c does, ReadHead and
// ReadToc.
type toc struct {
	r       *bufio.Reader
	version int // 1.14 is 114
	size    int // of an integer
	err     error
}

// The versions of the format, PostgreSQL 9.0 to 18. A newer one may have more in it.
const (
	oldestContents = 111
	newestContents = 116
	maxText        = 1 << 28 // bytes of one text: more is no definition
)

// readContents returns the files of data that a table of contents names, and those of
// them that are lists of large objects.
func readContents(from io.Reader) (names, lists []string, err error) {
	t := &toc{r: bufio.NewReader(from)}
	if err := t.head(); err != nil {
		return nil, nil, err
	}
	for range t.integer() {
		description, file := t.entry()
		if t.err != nil {
			break
		}
		if file != "" {
			names = append(names, file)
			if description == "BLOBS" {
				lists = append(lists, file)
			}
		}
	}
	if t.err != nil {
		return nil, nil, t.err
	}
	return names, lists, nil
}

func (t *toc) head() error {
	mark := make([]byte, 5)
	if _, err := io.ReadFull(t.r, mark); err != nil || string(mark) != "PGDMP" {
		return errors.New("it is none of pg_dump's")
	}
	major, minor := t.byte(), t.byte()
	t.byte() // revision
	t.version = major*100 + minor
	if t.err == nil && (t.version < oldestContents || t.version > newestContents) {
		return fmt.Errorf("it is of version %d.%d, which is not known here", major, minor)
	}
	if t.size = t.byte(); t.err == nil && (t.size < 1 || t.size > 8) {
		return fmt.Errorf("its integers have %d bytes", t.size)
	}
	t.byte() // size of an offset
	t.byte() // format
	if t.version >= 115 {
		t.byte() // compression
	} else {
		t.integer()
	}
	for range 7 { // when it was made
		t.integer()
	}
	for range 3 { // database, versions of the server and of pg_dump
		t.text()
	}
	return t.err
}

// entry reads one entry, and returns what it is and the file of its data.
func (t *toc) entry() (description, file string) {
	t.integer() // id
	t.integer() // it has data
	t.text()    // table's OID
	t.text()    // OID
	t.text()    // name
	description = t.text()
	t.integer() // section
	t.text()    // definition
	t.text()    // DROP
	t.text()    // COPY
	t.text()    // schema
	t.text()    // tablespace
	if t.version >= 114 {
		t.text() // access method
	}
	if t.version >= 116 {
		t.integer() // kind of relation
	}
	t.text() // owner
	t.text() // with OIDs
	for t.err == nil {
		if _, there := t.maybeText(); !there { // what it depends on
			break
		}
	}
	return description, t.text()
}

func (t *toc) byte() int {
	b, err := t.r.ReadByte()
	if err != nil && t.err == nil {
		t.err = io.ErrUnexpectedEOF
	}
	return int(b)
}

func (t *toc) integer() int {
	negative := t.byte() != 0
	n := 0
	for i := range t.size {
		n |= t.byte() << (8 * i)
	}
	if negative {
		n = -n
	}
	if t.err != nil {
		return 0
	}
	return n
}

func (t *toc) text() string {
	text, _ := t.maybeText()
	return text
}

// maybeText reads a text that may be none.
func (t *toc) maybeText() (text string, there bool) {
	n := t.integer()
	if n < 0 || t.err != nil {
		return "", false
	}
	if n > maxText {
		t.err = fmt.Errorf("a text in it has %d bytes", n)
		return "", false
	}
	var b strings.Builder
	if _, err := io.CopyN(&b, t.r, int64(n)); err != nil {
		t.err = io.ErrUnexpectedEOF
	}
	return b.String(), true
}
