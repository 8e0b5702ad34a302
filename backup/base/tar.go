package base

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// block is tar's unit: a header is one, and a file's bytes are filled up to whole ones.
const block = 512

// header is what an entry of PostgreSQL's archives says of itself.
type header struct {
	name   string // without the slash that ends a folder's
	folder bool
	mode   uint32
	size   int64 // bytes of a file
}

// padding is how many bytes fill up the file's last block.
func (h *header) padding() int64 { return (block - h.size%block) % block }

// The fields of a header that are read: where they begin and end.
const (
	nameEnd                      = 100
	modeAt, modeEnd              = 100, 108
	sizeAt, sizeEnd              = 124, 136
	checksumAt, checksumEnd      = 148, 156
	kindAt                       = 156
	magicAt                      = 257
	prefixAt, prefixEnd          = 345, 500
	longest                      = int64(1) << 50 // of a file, in bytes
	ustar                        = "ustar"
	kindFile, kindFolder    byte = '0', '5'
)

// errTar is of an archive that PostgreSQL does not write.
var errTar = errors.New("it is no archive as PostgreSQL writes them")

// parseHeader reads the header of an entry; nil is the archive's end. PostgreSQL writes
// plain ustar: links, and names in more than one field, it has no use for, and here they are
// refused.
func parseHeader(b []byte) (*header, error) {
	if len(bytes.Trim(b, "\x00")) == 0 {
		return nil, nil
	}
	sum := 8 * int64(' ')
	for i, c := range b {
		if i < checksumAt || i >= checksumEnd {
			sum += int64(c)
		}
	}
	if want, err := number(b[checksumAt:checksumEnd]); err != nil || want != sum || string(b[magicAt:magicAt+len(ustar)]) != ustar {
		return nil, fmt.Errorf("%w: an entry's header has another form", errTar)
	}
	name, _, _ := bytes.Cut(b[:nameEnd], []byte{0})
	// PostgreSQL calls one of the folders ./pg_wal/archive_status.
	h := &header{name: strings.TrimPrefix(string(name), "./"), folder: b[kindAt] == kindFolder}
	if h.folder {
		h.name = strings.TrimSuffix(h.name, "/")
	}
	if err := checkName(h.name); err != nil {
		return nil, fmt.Errorf("%w: %w", errTar, err)
	}
	mode, modeErr := number(b[modeAt:modeEnd])
	size, sizeErr := number(b[sizeAt:sizeEnd])
	switch {
	case b[kindAt] != kindFile && !h.folder, b[prefixAt] != 0:
		return nil, fmt.Errorf("%w: entry %q is of the kind %q", errTar, h.name, b[kindAt])
	case modeErr != nil, sizeErr != nil, size > longest, h.folder && size != 0:
		return nil, fmt.Errorf("%w: entry %q has no good mode or size", errTar, h.name)
	}
	h.mode, h.size = uint32(mode&0o7777), size
	return h, nil
}

// checkName says whether a file may have that name below a folder.
func checkName(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("an entry is called %.120q", name)
		}
	}
	return nil
}

// number reads a field: octal digits, or for large files 256-based ones behind a byte 128.
func number(field []byte) (int64, error) {
	if field[0] == 0x80 {
		var n int64
		for _, c := range field[1:] {
			if n >= longest {
				return 0, errTar
			}
			n = n<<8 | int64(c)
		}
		return n, nil
	}
	return strconv.ParseInt(string(bytes.Trim(field, " \x00")), 8, 64)
}

// cutter follows an archive that comes in pieces of any size, and tells its entries apart.
// Every byte in front of the archive's end is passed on, unchanged and in order.
type cutter struct {
	begin func(h *header, raw []byte) error
	data  func(p []byte) error // of the file
	fill  func(p []byte) error // behind the file
	done  func() error         // the entry has ended

	raw   []byte  // of a header that has come in part
	entry *header // the one that has begun
	left  int64   // bytes of its file
	pad   int64   // bytes behind that
	ended bool
}

// write follows the next piece.
func (c *cutter) write(p []byte) error {
	for len(p) > 0 {
		n, err := c.step(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// step follows as much of p as belongs together.
func (c *cutter) step(p []byte) (n int, err error) {
	switch {
	case c.ended:
		if len(bytes.Trim(p, "\x00")) > 0 {
			return 0, fmt.Errorf("%w: something comes behind its end", errTar)
		}
		return len(p), nil
	case c.entry == nil:
		n = min(len(p), block-len(c.raw))
		if c.raw = append(c.raw, p[:n]...); len(c.raw) == block {
			return n, c.header()
		}
		return n, nil
	case c.left > 0:
		n = int(min(int64(len(p)), c.left))
		c.left -= int64(n)
		err = c.data(p[:n])
	default:
		n = int(min(int64(len(p)), c.pad))
		c.pad -= int64(n)
		err = c.fill(p[:n])
	}
	if err != nil {
		return n, err
	}
	return n, c.end()
}

func (c *cutter) header() (err error) {
	if c.entry, err = parseHeader(c.raw); err != nil {
		return err
	}
	if c.entry == nil {
		c.ended = true
		return nil
	}
	c.left, c.pad = c.entry.size, c.entry.padding()
	if err := c.begin(c.entry, c.raw); err != nil {
		return err
	}
	c.raw = c.raw[:0]
	return c.end()
}

// end ends the entry if nothing of it is to come.
func (c *cutter) end() error {
	if c.left > 0 || c.pad > 0 {
		return nil
	}
	c.entry = nil
	return c.done()
}

// close is to be called behind the last piece.
func (c *cutter) close() error {
	if c.entry != nil || len(c.raw) > 0 && !c.ended {
		return fmt.Errorf("%w: it breaks off", errTar)
	}
	return nil
}

// nextEntry reads the header of the next entry of a run of entries; io.EOF is its end. The
// file's bytes and the padding come next.
func nextEntry(r io.Reader, raw []byte) (*header, error) {
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, err
	}
	h, err := parseHeader(raw)
	if err == nil && h == nil {
		err = fmt.Errorf("%w: an object has an archive's end", errTar)
	}
	return h, err
}
