package wal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"howdah/backup/replication"
)

// Leg is a stretch of the way that leads to a timeline: the WAL of one timeline from
// where the way comes to it until the way leaves it.
type Leg struct {
	Timeline uint32
	Begin    replication.LSN // 0 on the first
	End      replication.LSN // 0 on the last: it goes on
}

// ParseHistory reads a timeline's history file: a line for each timeline before it, with
// the position where the way leaves that. What it returns ends with the timeline's own leg.
func ParseHistory(timeline uint32, text []byte) ([]Leg, error) {
	var legs []Leg
	begin := replication.LSN(0)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		leg, err := parseHistoryLine(line)
		if err != nil {
			return nil, fmt.Errorf("history of timeline %d: %w", timeline, err)
		}
		if leg.Timeline >= timeline || leg.End < begin || len(legs) > 0 && leg.Timeline <= legs[len(legs)-1].Timeline {
			return nil, fmt.Errorf("history of timeline %d: %.80q is out of order", timeline, line)
		}
		leg.Begin, begin = begin, leg.End
		legs = append(legs, leg)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("history of timeline %d: %w", timeline, err)
	}
	if len(legs) == 0 {
		return nil, fmt.Errorf("history of timeline %d: it says nothing", timeline)
	}
	return append(legs, Leg{Timeline: timeline, Begin: begin}), nil
}

func parseHistoryLine(line string) (leg Leg, err error) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return leg, fmt.Errorf("%.80q has no position", line)
	}
	n, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil || n == 0 {
		return leg, fmt.Errorf("%.80q has no timeline", line)
	}
	leg.Timeline = uint32(n)
	if leg.End, err = replication.ParseLSN(fields[1]); err == nil && leg.End == 0 {
		err = errors.New("a timeline cannot end at 0/0")
	}
	return leg, err
}
