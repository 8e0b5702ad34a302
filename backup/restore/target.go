package restore

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"howdah/backup/replication"
)

// Target is where a restore is to stop. The zero Target is the end of what is stored.
type Target struct {
	Time time.Time
	LSN  replication.LSN
	XID  uint64 // of a transaction, which is in
	Name string // of a restore point
}

// errZone is of a time that means something else in each place.
var errZone = errors.New(`say in which time zone: 2026-01-31T10:42:00Z, "2026-01-31 10:42:00+02" or "2026-01-31 10:42:00 Europe/Brussels"`)

// ParseTarget reads a target: latest; a time, as RFC 3339 or PostgreSQL write it, with its
// zone; lsn:16/B374D848, or that alone; xid:1234; name:LABEL, of a restore point.
func ParseTarget(s string) (Target, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case s == "latest":
		return Target{}, nil
	case kind == "lsn":
		l, err := parseLSN(rest)
		return Target{LSN: l}, err
	case kind == "xid":
		n, err := strconv.ParseUint(rest, 10, 64)
		if err != nil || n < firstXID {
			return Target{}, fmt.Errorf("%.40q is no transaction: xid:1234 names one", s)
		}
		return Target{XID: n}, nil
	case kind == "name":
		if rest == "" || len(rest) > 63 {
			return Target{}, errors.New("a restore point's name has 1 to 63 bytes: name:LABEL")
		}
		return Target{Name: rest}, nil
	case strings.Contains(s, "/") && !strings.Contains(s, " "):
		l, err := parseLSN(s)
		return Target{LSN: l}, err
	}
	t, err := parseTime(s)
	if err != nil {
		return Target{}, fmt.Errorf("restore to %.60q: %w", s, err)
	}
	return Target{Time: t}, nil
}

// firstXID is the first that a transaction of a user can have.
const firstXID = 3

func parseLSN(s string) (replication.LSN, error) {
	l, err := replication.ParseLSN(s)
	if err == nil && l == 0 {
		err = errors.New("0/0 is no position")
	}
	return l, err
}

// timeForm has a date, a time of 24 hours, and what is behind: the zone.
var timeForm = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?) ?(.*)$`)

// offsetForm is a zone as a difference from UTC: +02, -0330, +05:30.
var offsetForm = regexp.MustCompile(`^([+-])(\d{2})(?::?(\d{2}))?$`)

func parseTime(s string) (time.Time, error) {
	parts := timeForm.FindStringSubmatch(s)
	if parts == nil {
		return time.Time{}, errors.New("it is neither latest, nor an lsn:, xid: or name:, nor a time like 2026-01-31T10:42:00Z")
	}
	zone, err := parseZone(parts[3])
	if err != nil {
		return time.Time{}, err
	}
	clock := parts[2]
	if len(clock) == len("15:04") {
		clock += ":00"
	}
	t, err := time.ParseInLocation("2006-01-02 15:04:05.999999", parts[1]+" "+clock, zone)
	if err != nil {
		return time.Time{}, errors.New("there is no such time")
	}
	// Where clocks are put forward an hour is left out: what is asked for in it is none.
	if t.Format("2006-01-02 15:04:05") != parts[1]+" "+clock[:len("15:04:05")] {
		return time.Time{}, fmt.Errorf("there is no such time in %s: clocks were put forward", parts[3])
	}
	if again := t.Add(-time.Hour); again.Format("15:04") == t.Format("15:04") {
		return time.Time{}, fmt.Errorf("that time came twice in %s, when clocks were put back: give it with its difference from UTC, as %s or %s", parts[3], again.Format(time.RFC3339), t.Format(time.RFC3339))
	}
	if again := t.Add(time.Hour); again.Format("15:04") == t.Format("15:04") {
		return time.Time{}, fmt.Errorf("that time came twice in %s, when clocks were put back: give it with its difference from UTC, as %s or %s", parts[3], t.Format(time.RFC3339), again.Format(time.RFC3339))
	}
	return t.UTC(), nil
}

func parseZone(s string) (*time.Location, error) {
	if offset := offsetForm.FindStringSubmatch(s); offset != nil {
		hours, _ := strconv.Atoi(offset[2]) // two digits
		minutes := 0
		if offset[3] != "" {
			minutes, _ = strconv.Atoi(offset[3])
		}
		if hours > 15 || minutes > 59 {
			return nil, fmt.Errorf("there is no time zone %q", s)
		}
		seconds := hours*3600 + minutes*60
		if offset[1] == "-" {
			seconds = -seconds
		}
		return time.FixedZone(s, seconds), nil
	}
	switch strings.ToUpper(s) {
	case "":
		return nil, errZone
	case "Z", "UTC", "GMT":
		return time.UTC, nil
	case "AM", "PM":
		return nil, errors.New("hours are counted from 0 to 23")
	case "LOCAL":
		return nil, errZone
	}
	// Abbreviations mean different zones to different people, and PostgreSQL's own list
	// can be changed: only names of the time zone database are taken.
	if !strings.Contains(s, "/") {
		return nil, fmt.Errorf("the time zone %.40q is not clear: %w", s, errZone)
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %.40q", s)
	}
	return zone, nil
}

// String is what ParseTarget reads.
func (t Target) String() string {
	switch {
	case !t.Time.IsZero():
		return t.Time.Format(time.RFC3339Nano)
	case t.LSN != 0:
		return "lsn:" + t.LSN.String()
	case t.XID != 0:
		return fmt.Sprintf("xid:%d", t.XID)
	case t.Name != "":
		return "name:" + t.Name
	}
	return "latest"
}
