package replication

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a position in the WAL, in bytes, as pg_lsn has it.
type LSN uint64

// String writes it as PostgreSQL does: 16/B374D848.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// ParseLSN reads what String writes.
func ParseLSN(s string) (LSN, error) {
	high, low, ok := strings.Cut(s, "/")
	h, err := strconv.ParseUint(high, 16, 32)
	l, errLow := strconv.ParseUint(low, 16, 32)
	if !ok || err != nil || errLow != nil {
		return 0, fmt.Errorf("%.40q is no LSN: it has the form 16/B374D848", s)
	}
	return LSN(h<<32 | l), nil
}

// SegmentStart is where the segment begins that a position is in. size is that of segments.
func (l LSN) SegmentStart(size LSN) LSN { return l - l%size }

// SegmentName returns the name of the file that has the position on a timeline:
// 000000010000001600000016, of the timeline, and the segment's number in two parts.
func SegmentName(timeline uint32, l, size LSN) string {
	perID := (1 << 32) / size
	number := l / size
	return fmt.Sprintf("%08X%08X%08X", timeline, uint32(number/perID), uint32(number%perID))
}

// ParseSegment reads what SegmentName returns, and says where the segment starts.
func ParseSegment(name string, size LSN) (timeline uint32, start LSN, err error) {
	var parts [3]uint64
	for i := range parts {
		if len(name) == 24 && err == nil {
			parts[i], err = strconv.ParseUint(name[i*8:i*8+8], 16, 32)
		}
	}
	perID := uint64((1 << 32) / size)
	if len(name) != 24 || err != nil || strings.ToUpper(name) != name || parts[2] >= perID {
		return 0, 0, fmt.Errorf("%.40q is not the name of a segment of %d bytes", name, size)
	}
	return uint32(parts[0]), LSN(parts[1]*perID+parts[2]) * size, nil
}

// HistoryName returns the name of the file that tells where a timeline comes from.
func HistoryName(timeline uint32) string { return fmt.Sprintf("%08X.history", timeline) }
