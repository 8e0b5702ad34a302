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
	format, path := s.archive()
	if format == custom {
		return nil // all is in one file
	}
	c, err := openContents(filepath.Join(path, contentsFile), false)
	if err != nil {
		return err
	}
	names := c.files
	for _, list := range append(c.lists, "blobs.toc") {
		if !isOwn(list) {
			continue // told below, or not there
		}
		objects, err := readObjects(filepath.Join(path, list))
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

// contents are what a table of contents says.
type contents struct {
	custom          bool
	server, program int // major versions
	encoding        string
	extensions      []string
	files           []string // of data
	lists           []string // of large objects, among the files
}

// openContents reads the table of contents of a file, which is a dump in custom format or
// that of one in directory format.
func openContents(path string, custom bool) (*contents, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the dump's table of contents: %w", err)
	}
	defer f.Close()
	c, err := readContents(f)
	if err == nil && c.custom != custom {
		err = errors.New("it is of another format than it looks")
	}
	if err != nil {
		return nil, fmt.Errorf("read the dump's table of contents: %w: %w", ErrContents, err)
	}
	return c, nil
}

// toc reads a table of contents as PostgreSQL's pg_backup_archiver.c does, ReadHead and
// ReadToc.
type toc struct {
	r       *bufio.Reader
	version int // 1.14 is 114
	size    int // of an integer
	offset  int // size of one
	format  int // custom or directory, as formatCustom and formatDirectory have it
	err     error
}

// The formats, as a table of contents has them. That of a folder says that it is tar's.
const (
	formatCustom    = 1
	formatDirectory = 3
)

// The versions of the format, PostgreSQL 9.0 to 18. A newer one may have more in it.
const (
	oldestContents = 111
	newestContents = 116
	maxText        = 1 << 28 // bytes of one text: more is no definition
)

// readContents reads a table of contents to its end.
func readContents(from io.Reader) (*contents, error) {
	t, c := &toc{r: bufio.NewReader(from)}, &contents{}
	if err := t.head(c); err != nil {
		return nil, err
	}
	for range t.integer() {
		if t.entry(c); t.err != nil {
			break
		}
	}
	return c, t.err
}

func (t *toc) head(c *contents) error {
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
	t.offset = t.byte()
	t.format = t.byte()
	if c.custom = t.format == formatCustom; t.err == nil && t.format != formatCustom && t.format != formatDirectory {
		return errors.New("it is of another format than custom and directory")
	}
	if t.version >= 115 {
		t.byte() // compression
	} else {
		t.integer()
	}
	for range 7 { // when it was made
		t.integer()
	}
	t.text() // database
	c.server, c.program = majorOf(t.text()), majorOf(t.text())
	return t.err
}

// majorOf reads a version such as "15.18 (Debian 15.18-0+deb12u1)".
func majorOf(version string) (major int) {
	_, _ = fmt.Sscan(version, &major) // 0 is none
	return major
}

// entry reads one entry.
func (t *toc) entry(c *contents) {
	t.integer() // id
	t.integer() // it has data
	t.text()    // table's OID
	t.text()    // OID
	name, description := t.text(), t.text()
	t.integer() // section
	definition := t.text()
	t.text() // DROP
	t.text() // COPY
	t.text() // schema
	t.text() // tablespace
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
	switch description {
	case "EXTENSION":
		c.extensions = append(c.extensions, name)
	case "ENCODING":
		_, c.encoding, _ = strings.Cut(definition, "'")
		c.encoding, _, _ = strings.Cut(c.encoding, "'")
	}
	if t.format == formatCustom {
		for range 1 + t.offset { // where its data is
			t.byte()
		}
		return
	}
	if file := t.text(); file != "" {
		c.files = append(c.files, file)
		if description == "BLOBS" {
			c.lists = append(c.lists, file)
		}
	}
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
