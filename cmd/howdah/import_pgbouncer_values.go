package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"howdah/tenants"
)

// briefly stands for PgBouncer's 0 where Howdah's 0 is no limit.
const briefly = time.Millisecond

// parseBouncerValue reads a value as PgBouncer does: int64, bool,
// time.Duration or string.
func parseBouncerValue(kind bouncerKind, text string) (any, error) {
	switch kind {
	case kindNumber:
		return parseBouncerNumber(text)
	case kindCount:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, errors.New("it is no whole number")
		}
		return n, nil
	case kindMillis:
		n, err := parseBouncerNumber(text)
		if err != nil || n < 0 {
			return nil, errors.New("it is no number of milliseconds")
		}
		return time.Duration(n) * time.Millisecond, nil
	case kindFlag:
		n, err := parseBouncerNumber(text)
		if err != nil {
			return nil, errors.New("it is neither 0 nor 1")
		}
		return n != 0, nil
	case kindSeconds:
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(seconds) || seconds < 0 {
			return nil, errors.New("it is no number of seconds, 0 or more")
		}
		if seconds > maxDuration.Seconds() {
			return maxDuration, nil
		}
		return time.Duration(seconds * float64(time.Second)), nil
	case kindWord:
		return strings.ToLower(text), nil
	}
	return text, nil
}

// parseBouncerNumber reads a whole number in C's notation: 0x10 is 16, 010 is 8.
func parseBouncerNumber(text string) (int64, error) {
	if strings.Contains(text, "_") || strings.ContainsAny(text, "bBoO") && !strings.HasPrefix(strings.ToLower(strings.TrimLeft(text, "+-")), "0x") {
		return 0, errors.New("it is no whole number")
	}
	n, err := strconv.ParseInt(text, 0, 32)
	if err != nil {
		return 0, errors.New("it is no whole number")
	}
	return n, nil
}

// settingRow returns our settings table's row; nil if this version has none.
func settingRow(in section, name string) *setting {
	if in == "" || name == "" {
		return nil
	}
	for _, s := range settings() {
		if s.section == in && s.name == name {
			return &s
		}
	}
	return nil
}

// translated is a value for the output, with a remark on how it differs from
// what the file says ("" = it does not).
type translated struct {
	value  any
	remark string
}

// translateValue turns a value of PgBouncer into one that our row takes.
func translateValue(s *bouncerSetting, row *setting, text string) (translated, error) {
	value, err := parseBouncerValue(s.kind, text)
	if err != nil {
		return translated{}, err
	}
	var remark string
	if s.zero != nil && (value == int64(0) || value == time.Duration(0)) {
		value, remark = s.zero, s.why
	}
	switch v := value.(type) {
	case int64:
		if fits := max(v, row.least); fits != v {
			value, remark = fits, fmt.Sprintf("%d is below what Howdah takes", v)
		} else if fits := min(v, row.most); fits != v {
			value, remark = fits, fmt.Sprintf("%d is above what Howdah takes", v)
		}
	case time.Duration:
		if v == maxDuration {
			remark = "the longest that Howdah takes"
		}
	case string:
		if row.choices != nil && row.set(newPlace(), v) != "" {
			return translated{}, fmt.Errorf("it is not %s", oneOf(row.choices))
		}
	}
	return translated{value, remark}, nil
}

// sameAsDefault reports whether our row has the value without being written.
func sameAsDefault(row *setting, value any) bool {
	var asFile any = value
	if d, ok := value.(time.Duration); ok {
		asFile = d.String()
	}
	a, b := newPlace(), newPlace()
	row.setDefault(a)
	if row.set(b, asFile) != "" {
		return false
	}
	return show(row.at(a)) == show(row.at(b))
}

// isVerifier reports whether a password of PgBouncer's files is what PostgreSQL
// stores instead of one.
func isVerifier(password string) bool { return tenants.CheckVerifier(password) == nil }
