package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"howdah/backup/replication"
)

// InPlace has a recovery write nowhere but into its data directory. The record of a
// tablespace that is made has the path that the primary was given, and whoever recovers
// links to it and writes there, be it a live server's. With an empty path the tablespace is
// a folder in pg_tblspc (allow_in_place_tablespaces, since PostgreSQL 15): so the path's
// first byte is made zero, and the record's CRC such that it fits. No byte changes its place.
type InPlace struct {
	size replication.LSN // of segments

	mu    sync.Mutex
	begun map[replication.LSN]cutHead // by the start of the segment where the rest is
}

// cutHead is of a record whose head the end of a segment has cut off.
type cutHead struct {
	start  replication.LSN
	head   [headMost]byte
	headed int
	left   uint32
}

// NewInPlace returns one for segments of a size.
func NewInPlace(size replication.LSN) *InPlace {
	return &InPlace{size: size, begun: map[replication.LSN]cutHead{}}
}

// Pass passes a segment on, which get writes.
func (p *InPlace) Pass(start replication.LSN, into io.Writer, get func(io.Writer) error) error {
	w := &inPlace{whole: p, start: start, first: start, into: into, scanner: newScanner(start, ^replication.LSN(0), p.size)}
	w.scanner.space = w.space
	p.mu.Lock()
	if c, ok := p.begun[start]; ok {
		s := w.scanner
		s.start, s.head, s.headed, s.left, s.lost = c.start, c.head, c.headed, c.left, false
	}
	p.mu.Unlock()
	if err := get(w); err != nil {
		return err
	}
	return w.end()
}

// inPlace is a segment on its way.
type inPlace struct {
	whole   *InPlace
	start   replication.LSN
	into    io.Writer
	scanner *scanner
	held    []byte          // scanned, and not passed on yet
	first   replication.LSN // where that begins
	err     error
}

// passMost is how much of a segment is looked at and passed on at a time.
const passMost = 256 << 10

func (w *inPlace) Write(b []byte) (n int, err error) {
	for err == nil && n < len(b) {
		most := passMost
		if header := w.start + longHeader; w.scanner.at < header {
			most = int(header - w.scanner.at)
		}
		part := b[n:min(n+most, len(b))]
		err = w.pass(part)
		n += len(part)
	}
	return n, err
}

// pass passes on what comes next, but for a head of a record that is not whole.
func (w *inPlace) pass(b []byte) error {
	w.held = append(w.held, b...)
	w.scanner.scan(b)
	if w.scanner.at == w.start+longHeader && w.scanner.lost {
		w.err = fmt.Errorf("the segment at %s is no WAL that this Howdah can read: of tablespaces that are made in it nobody would know", w.start)
	}
	if w.err != nil {
		return w.err
	}
	keep := 0 // of a record's head that has not come whole
	if w.scanner.headed > 0 {
		keep = min(len(w.held), int(w.scanner.at-w.scanner.start))
	}
	pass := len(w.held) - keep
	if _, err := w.into.Write(w.held[:pass]); err != nil {
		return err
	}
	w.held = append(w.held[:0], w.held[pass:]...)
	w.first += replication.LSN(pass)
	return nil
}

// spaceMost is more than a spaceRecord has bytes: a path has less than 1,024.
const spaceMost = 2048

// errCutOff is of a record of which one segment has the head, and the next one the path.
var errCutOff = errors.New("a tablespace is made by a record that crosses the end of a segment, and a recovery would write to where it is: restore to before that, or from a base backup taken after it")

// end passes on what is left.
func (w *inPlace) end() error {
	s, next := w.scanner, w.start+w.whole.size
	w.whole.mu.Lock()
	defer w.whole.mu.Unlock()
	delete(w.whole.begun, next)
	if s.headed > 0 {
		if s.headed > 17 && s.head[17] == rmTablespace && s.head[16]&0xF0 == spaceRecord {
			if path := dataIn(s.head[:s.headed]) + 4; path < 4 || path >= s.headed {
				return fmt.Errorf("at %s: %w", s.start, errCutOff)
			} else if w.space(s.head[:s.headed], s.left+uint32(s.headed)); w.err != nil {
				return w.err
			} else {
				s.head[path] = 0 // the next segment has no more to do
			}
		}
		w.whole.begun[next] = cutHead{s.start, s.head, s.headed, s.left}
	}
	_, err := w.into.Write(w.held)
	return err
}

// space takes the path out of the record that the scanner has found.
func (w *inPlace) space(head []byte, length uint32) {
	at, start := dataIn(head), w.scanner.start
	path := at + 4
	if at < 0 || path >= len(head) || length > spaceMost {
		if len(bytes.Trim(head[recordHeader:], "\x00")) > 0 { // else it is where what is stored ends
			w.err = fmt.Errorf("at %s: a tablespace is made by a record that this Howdah cannot read", start)
		}
		return
	}
	if head[path] == 0 {
		return
	}
	crc := binary.LittleEndian.Uint32(head[recordCRC:]) ^ changed(head[path], int(length)-path-1+recordCRC)
	for i, b := range binary.LittleEndian.AppendUint32(nil, crc) {
		w.put(recordCRC+i, b)
	}
	w.put(path, 0)
}

// put changes a byte of the record.
func (w *inPlace) put(n int, b byte) {
	at := w.scanner.place(w.scanner.start, n)
	if at < w.first {
		w.err = fmt.Errorf("at %s: %w", w.scanner.start, errCutOff)
		return
	}
	w.held[at-w.first] = b
}

// changed is by what a CRC-32C changes when so much is taken from a byte behind which so many
// come: PostgreSQL's is of a record's data first, and then of its header, up to the CRC.
func changed(by byte, behind int) uint32 {
	b := make([]byte, 1+behind)
	b[0] = by
	return ^crc32.Update(^uint32(0), crc32.MakeTable(crc32.Castagnoli), b)
}
