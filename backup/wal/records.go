package wal

import (
	"encoding/binary"

	"howdah/backup/replication"
)

// What is on pages of WAL and in the heads of records, since PostgreSQL 15: xlog_internal.h,
// xlogrecord.h and dbcommands_xlog.h say it.
const (
	pageSize    = 8192
	shortHeader = 24 // of a page; a segment's first has longHeader

	oldestMagic = 0xD110 // of PostgreSQL 15; each version has a higher one
	newestMagic = 0xD1FF

	pageContinues = 1 << 0 // a record goes on that began on a page before
	pageOverwrote = 1 << 3 // none goes on, though one began: the server crashed before it was whole

	recordHeader = 24
	recordMost   = 1 << 30 // no record is larger

	lastBlockID = 32  // what has a higher one is no block
	idTopXID    = 252 // the transaction of a subtransaction
	idOrigin    = 253
	idDataLong  = 254
	idDataShort = 255

	blockHasImage = 0x10
	blockSameRel  = 0x80
	imageHasHole  = 0x01
	imageSqueezed = 0x04 | 0x08 | 0x10 // by one of the methods

	rmXLOG         = 0
	rmDatabase     = 4
	rmTablespace   = 5
	switchRecord   = 0x40 // of rmXLOG: nothing more comes in the segment
	copyRecord     = 0x00 // of rmDatabase: a directory was copied, file by file
	copyRecordData = 16
	spaceRecord    = 0x00 // of rmTablespace: one was made, OID and path
	recordCRC      = 20   // where a record's is
)

// headMost is how much of a record is looked at: its header, and that of its first block with
// an image, a hole and a relation; or what precedes the data of a copyRecord, and these.
const headMost = 64

// fileCopy is that a database's directory was made by copying another's: of what is in it WAL
// tells nothing.
type fileCopy struct {
	lsn         replication.LSN // where the record begins
	oid, source uint32
}

// scanner follows the records of WAL as it comes. Of each it reads the head, and passes over
// the rest. What it cannot read it passes over too, up to a page that says where a record
// begins. That is no error: nothing that is stored depends on it, and a recovery (InPlace) ends
// where PostgreSQL cannot read WAL either.
type scanner struct {
	size  replication.LSN // of segments
	at    replication.LSN // of the next byte
	count replication.LSN // records that begin before it are not counted

	page    [longHeader]byte // a page's header, as far as it has come
	paged   int
	head    [headMost]byte // a record's, likewise
	headed  int
	start   replication.LSN // of that record
	left    uint32          // bytes of it that have not come; or of what is passed over
	lost    bool            // where the next record begins is not known before the next page
	ends    bool            // the record is the last in its segment
	passing replication.LSN // up to where there are no records

	bytes   tally
	copies  []fileCopy
	skipped int64 // times that something could not be read

	// space, if not nil, is called with the head of each spaceRecord, and how long all of it is.
	space func(head []byte, length uint32)
}

// newScanner returns one for WAL that begins at a page's start, of which the first may go on
// with a record that began before.
func newScanner(at, count, size replication.LSN) *scanner {
	return &scanner{size: size, at: at, count: count, lost: true}
}

// scan takes what comes next.
func (s *scanner) scan(b []byte) {
	for len(b) > 0 {
		if s.at < s.passing {
			b = s.pass(b, s.passing-s.at)
			continue
		}
		if in := s.at % pageSize; in == 0 || s.paged > 0 {
			b = s.pageHeader(b)
			continue
		}
		n := min(len(b), pageSize-int(s.at%pageSize))
		s.records(b[:n])
		b = b[n:]
	}
}

// pass passes over bytes, as far as they have come.
func (s *scanner) pass(b []byte, n replication.LSN) []byte {
	n = min(n, replication.LSN(len(b)))
	s.at += n
	return b[n:]
}

// pageHeader takes a page's header, and returns what is behind it.
func (s *scanner) pageHeader(b []byte) []byte {
	begin := s.at - replication.LSN(s.paged)
	want := shortHeader
	if begin%s.size == 0 {
		want = longHeader
	}
	n := copy(s.page[s.paged:want], b)
	s.paged += n
	s.at += replication.LSN(n)
	if s.paged == want {
		s.paged = 0
		s.turn(begin)
	}
	return b[n:]
}

// turn turns to a page whose header is there.
func (s *scanner) turn(begin replication.LSN) {
	magic, flags := binary.LittleEndian.Uint16(s.page[:]), binary.LittleEndian.Uint16(s.page[2:])
	if magic < oldestMagic || magic > newestMagic || replication.LSN(binary.LittleEndian.Uint64(s.page[8:])) != begin {
		s.lose()
		return
	}
	rest := binary.LittleEndian.Uint32(s.page[16:])
	within := s.left > 0 || s.headed > 0
	switch {
	case flags&pageContinues != 0 && within && rest == s.left && !s.lost:
		return
	case flags&pageContinues != 0:
		if within {
			s.skipped++
		}
		s.headed, s.left, s.ends = 0, rest, false // its beginning is not known
	default:
		if within && flags&pageOverwrote == 0 {
			s.skipped++
		}
		s.headed, s.left, s.ends = 0, 0, false
	}
	s.lost = false
}

// lose passes over what comes, up to the next page.
func (s *scanner) lose() {
	if !s.lost {
		s.skipped++
	}
	s.headed, s.left, s.ends, s.lost = 0, 0, false, true
}

// records takes what is on a page behind its header.
func (s *scanner) records(b []byte) {
	for len(b) > 0 {
		switch {
		case s.lost || s.at < s.passing:
			s.pass(b, replication.LSN(len(b)))
			return
		case s.left > 0 && s.headed == 0:
			before := len(b)
			b = s.pass(b, replication.LSN(s.left))
			if s.left -= uint32(before - len(b)); s.left == 0 {
				s.finish()
			}
		case s.headed == 0 && s.at%8 != 0:
			b = s.pass(b, 8-s.at%8)
		default:
			b = s.recordHead(b)
		}
	}
}

// finish ends a record. Nothing more comes in the segment in which the last one of a segment
// ends.
func (s *scanner) finish() {
	if s.ends {
		s.passing = (s.at + s.size - 1).SegmentStart(s.size)
	}
	s.ends = false
}

// recordHead takes a record's head, as far as it has come; or all of a record that is at hand.
func (s *scanner) recordHead(b []byte) []byte {
	if s.headed == 0 {
		s.start = s.at
		if len(b) >= headMost { // nearly always
			return s.wholeHead(b)
		}
	}
	if s.headed < 4 {
		n := copy(s.head[s.headed:4], b)
		s.headed += n
		s.at += replication.LSN(n)
		if s.headed < 4 {
			return b[n:]
		}
		s.left = binary.LittleEndian.Uint32(s.head[:]) - 4
		if s.left < recordHeader-4 || s.left > recordMost-4 {
			s.lose()
			return b[n:]
		}
		b = b[n:]
	}
	want := min(int(s.left)+s.headed, headMost)
	n := copy(s.head[s.headed:want], b)
	s.headed += n
	s.left -= uint32(n)
	s.at += replication.LSN(n)
	if s.headed == want {
		s.headed = 0
		s.record(s.head[:want], s.left+uint32(want))
		if s.left == 0 {
			s.finish()
		}
	}
	return b[n:]
}

// wholeHead takes a record's head where it is, and the rest of the record if that is there too.
func (s *scanner) wholeHead(b []byte) []byte {
	length := binary.LittleEndian.Uint32(b)
	if length < recordHeader || length > recordMost {
		s.lose()
		return b
	}
	s.record(b[:min(length, headMost)], length)
	padded := int(length+7) &^ 7
	if padded > len(b) {
		s.left = length
		return b
	}
	s.at += replication.LSN(padded)
	if s.ends {
		s.finish()
	}
	return b[padded:]
}

// record reads the head of a record of so many bytes.
func (s *scanner) record(head []byte, length uint32) {
	kind, manager := head[16]&0xF0, head[17]
	s.ends = manager == rmXLOG && kind == switchRecord
	switch {
	case manager == rmDatabase && kind == copyRecord:
		s.copied(head)
	case manager == rmTablespace && kind == spaceRecord && s.space != nil:
		s.space(head, length)
	}
	if s.start >= s.count {
		s.bytes.add(firstDatabase(head), int64(length))
	}
}

// firstDatabase returns the database of a record's first block; 0 if it has none, or that
// belongs to all.
func firstDatabase(head []byte) uint32 {
	const (
		block    = 4 // its header: id, flags, length
		image    = 5 // length, hole, flags
		hole     = 2
		relation = 12 // tablespace, database, file
	)
	at := recordHeader
	if len(head) < at+block+relation || head[at] > lastBlockID || head[at+1]&blockSameRel != 0 {
		return 0
	}
	hasImage := head[at+1]&blockHasImage != 0
	at += block
	if hasImage {
		flags := head[at+4]
		at += image
		if flags&imageHasHole != 0 && flags&imageSqueezed != 0 {
			at += hole
		}
	}
	if len(head) < at+relation {
		return 0
	}
	return binary.LittleEndian.Uint32(head[at+4:])
}

// copied notes what a copyRecord tells. One that has a database move to another tablespace is
// of no interest: its own files are what was copied.
func (s *scanner) copied(head []byte) {
	at := dataIn(head)
	if at < 0 || len(head) < at+copyRecordData {
		return
	}
	c := fileCopy{s.start, binary.LittleEndian.Uint32(head[at:]), binary.LittleEndian.Uint32(head[at+8:])}
	if c.oid != c.source {
		s.copies = append(s.copies, c)
	}
}

// dataIn returns where the data begins of a record that has no block; -1 if it has one, or
// none of it is in the head.
func dataIn(head []byte) int {
	for at := recordHeader; at < len(head); {
		switch head[at] {
		case idOrigin:
			at += 1 + 2
		case idTopXID:
			at += 1 + 4
		case idDataShort:
			return at + 1 + 1
		case idDataLong:
			return at + 1 + 4
		default:
			return -1
		}
	}
	return -1
}

// place returns where the n-th byte is of a record that begins somewhere: headers of pages
// are between them.
func (s *scanner) place(start replication.LSN, n int) replication.LSN {
	for at := start; ; {
		left := pageSize - int(at%pageSize)
		if n < left {
			return at + replication.LSN(n)
		}
		n -= left
		if at += replication.LSN(left); at%s.size == 0 {
			at += longHeader
		} else {
			at += shortHeader
		}
	}
}
