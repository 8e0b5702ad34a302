package wal

import (
	"fmt"
	"strconv"
	"strings"

	"howdah/backup/replication"
)

// Span is a stretch of a segment, in bytes from its start.
type Span struct{ From, To replication.LSN }

// segmentKey is where a whole segment is, below the repository's own key.
func segmentKey(timeline uint32, start, size replication.LSN) string {
	return fmt.Sprintf("wal/%08X/%s", timeline, replication.SegmentName(timeline, start, size))
}

// partKey is where a part of a segment is.
func partKey(timeline uint32, start, size replication.LSN, s Span) string {
	return fmt.Sprintf("%s.parts/%08X-%08X", segmentKey(timeline, start, size), uint64(s.From), uint64(s.To))
}

// historyKey is where a timeline's history file is.
func historyKey(timeline uint32) string { return "wal/" + replication.HistoryName(timeline) }

// object is what a key below wal/ says.
type object struct {
	timeline uint32
	history  bool
	start    replication.LSN // of the segment
	part     Span            // To is 0: the whole segment
}

// parseKey reads a key without the repository's own and "wal/". Whoever writes to the
// store can choose keys: only what our own code would write is read.
func parseKey(key string, size replication.LSN) (o object, err error) {
	folder, file, ok := strings.Cut(key, "/")
	if !ok {
		name, isHistory := strings.CutSuffix(key, ".history")
		if o.timeline, err = parseTimeline(name); err != nil || !isHistory {
			return o, fmt.Errorf("%.80q is no name of a history file", key)
		}
		o.history = true
		return o, nil
	}
	if o.timeline, err = parseTimeline(folder); err != nil {
		return o, err
	}
	file, part, isPart := strings.Cut(file, ".parts/")
	timeline, start, err := replication.ParseSegment(file, size)
	if err != nil {
		return o, err
	}
	if timeline != o.timeline {
		return o, fmt.Errorf("segment %q is in the folder of timeline %08X", file, o.timeline)
	}
	o.start = start
	if isPart {
		o.part, err = parseSpan(part, size)
	}
	return o, err
}

func parseSpan(s string, size replication.LSN) (span Span, err error) {
	from, to, _ := strings.Cut(s, "-")
	f, err := parseHex(from)
	if err != nil {
		return span, err
	}
	t, err := parseHex(to)
	if err != nil {
		return span, err
	}
	span = Span{replication.LSN(f), replication.LSN(t)}
	if span.From >= span.To || span.To > size {
		return Span{}, fmt.Errorf("%.40q is no part of a segment of %d bytes", s, size)
	}
	return span, nil
}

func parseTimeline(s string) (uint32, error) {
	n, err := parseHex(s)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%.40q is no timeline", s)
	}
	return n, nil
}

// parseHex reads eight digits, none of them a small letter.
func parseHex(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || len(s) != 8 || s != strings.ToUpper(s) {
		return 0, fmt.Errorf("%.40q are not eight hexadecimal digits", s)
	}
	return uint32(n), nil
}
