package main

import (
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"howdah/tenants"
)

// maxDuration bounds durations: longer ones are mistyped, and 0 says "off".
const maxDuration = 10 * 365 * 24 * time.Hour

// set puts a value, as the TOML decoder gave it, into its home. If it does not
// fit, want says what would, and the home keeps what it had.
func (s *setting) set(p *place, value any) (want string) {
	ok := false
	switch home := s.at(p).(type) {
	case *string:
		ok = s.setString(home, value)
	case *[]string:
		*home, ok = stringList(value, *home)
	case *[]tenants.Member:
		var addresses []string
		if addresses, ok = stringList(value, nil); ok {
			*home = members(addresses)
		}
	case *bool:
		*home, ok = orKeep(value, *home)
	case *int:
		var n int64
		if n, ok = value.(int64); ok && n >= s.least && n <= s.most {
			*home = int(n)
		} else {
			ok = false
		}
	case *int64:
		var n int64
		if n, ok = parseSize(value); ok && n >= s.least && n <= s.most {
			*home = n
		} else {
			ok = false
		}
	case **int:
		var n int64
		if n, ok = value.(int64); ok && n >= s.least && n <= s.most {
			own := int(n)
			*home = &own
		} else {
			ok = false
		}
	case **int64:
		var n int64
		if n, ok = parseSize(value); ok && n >= s.least && n <= s.most {
			*home = &n
		} else {
			ok = false
		}
	case *time.Duration:
		var d time.Duration
		if d, ok = parseDuration(value); ok {
			*home = d
		}
	case **time.Duration:
		var d time.Duration
		if d, ok = parseDuration(value); ok {
			*home = &d
		}
	case *fs.FileMode:
		ok = setFileMode(home, value)
	case *time.Time:
		ok = setTime(home, value)
	default:
		ok = s.setChoice(home, value)
	}
	if ok {
		return ""
	}
	return s.want()
}

func (s *setting) setString(home *string, value any) bool {
	text, ok := value.(string)
	if !ok || s.choices != nil && !slices.Contains(s.choices, text) {
		return false
	}
	*home = text
	return true
}

// setChoice sets the types that have a word for each value.
func (s *setting) setChoice(home, value any) bool {
	text, ok := value.(string)
	if !ok || !slices.Contains(s.choices, text) {
		return false
	}
	var err error
	switch home := home.(type) {
	case *tenants.PoolMode:
		*home, err = tenants.ParsePoolMode(text)
	case *tenants.State:
		*home, err = tenants.ParseState(text)
	case *tenants.SessionAttrs:
		*home = tenants.SessionAttrs(text)
	case *slog.Level:
		err = home.UnmarshalText([]byte(text))
	default:
		panic(fmt.Sprintf("setting %s.%s: no way to set a %T", s.section, s.name, home))
	}
	return err == nil
}

// setDefault gives the home the setting's default, if it has one.
func (s *setting) setDefault(p *place) {
	if s.initial == nil {
		return
	}
	if want := s.set(p, s.initial); want != "" {
		panic(fmt.Sprintf("setting %s.%s: its default is not %s", s.section, s.name, want))
	}
}

// want says what the setting takes, to follow "write".
func (s *setting) want() string {
	if s.choices != nil {
		return oneOf(s.choices)
	}
	switch s.at(newPlace()).(type) {
	case *[]string, *[]tenants.Member:
		example := "127.0.0.1:5432"
		if list, ok := s.initial.([]any); ok {
			example = "a name"
			if len(list) > 0 {
				example = fmt.Sprint(list[0])
			}
		}
		if s.example != "" {
			example = s.example
		}
		return fmt.Sprintf("a list of strings such as [%q]", example)
	case *bool:
		return "true or false"
	case *int, **int:
		if s.most == maxInt {
			return fmt.Sprintf("a whole number, %d or more", s.least)
		}
		return fmt.Sprintf("a whole number from %d to %d", s.least, s.most)
	case *int64, **int64:
		if s.most == math.MaxInt64 {
			return fmt.Sprintf("a size such as \"64MB\" or a number of bytes, %d or more", s.least)
		}
		return fmt.Sprintf("a size such as \"64MB\" or a number of bytes, from %d to %d", s.least, s.most)
	case *time.Duration, **time.Duration:
		return `a duration such as "90s" or "1h30m", or a number of seconds, 0 to 10 years`
	case *fs.FileMode:
		return `permissions in octal such as "0770"`
	case *time.Time:
		return `a time such as "2026-01-31T12:00:00Z"`
	}
	if example, ok := s.initial.(string); ok && example != "" {
		return fmt.Sprintf("a string such as %q", example)
	}
	return "a string"
}

// kind is the setting's type in the manual.
func (s *setting) kind() string {
	if s.choices != nil {
		return strings.Join(s.choices, " | ")
	}
	switch s.at(newPlace()).(type) {
	case *[]string, *[]tenants.Member:
		return "list of strings"
	case *bool:
		return "true | false"
	case *int, **int:
		return "whole number"
	case *int64, **int64:
		return "size (bytes, or kB, MB, GB, TB)"
	case *time.Duration, **time.Duration:
		return "duration (seconds, or \"1m30s\")"
	case *fs.FileMode:
		return "octal permissions"
	case *time.Time:
		return "time (RFC 3339)"
	}
	if strings.HasSuffix(s.name, "_file") || strings.HasSuffix(s.name, "_dir") {
		return "path"
	}
	return "string"
}

// newPlace returns a place with every home, for looking at their types.
func newPlace() *place {
	return &place{
		listen: &Listen{}, admin: &Admin{}, server: &Server{}, catalog: &Catalog{}, backup: &Backup{}, store: &Store{}, limits: &tenants.Tier{},
		cluster: &tenants.Cluster{}, tier: &tenants.Tier{}, tenant: &tenants.Tenant{}, user: &tenants.User{},
	}
}

// show is the value of a setting for an operator's eyes.
func (s *setting) show(at *place) string {
	if value := show(s.at(at)); !s.secret || value == "" {
		return value
	}
	return "(secret)"
}

// show renders the value in a home as SHOW CONFIG has it: durations are seconds,
// lists are joined by commas.
func show(home any) string {
	switch v := home.(type) {
	case *string:
		return *v
	case *[]string:
		return strings.Join(*v, ",")
	case *tenants.SessionAttrs:
		return string(*v)
	case *bool:
		if *v {
			return "1"
		}
		return "0"
	case *int:
		return strconv.Itoa(*v)
	case *int64:
		return strconv.FormatInt(*v, 10)
	case *time.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64)
	case *fs.FileMode:
		return fmt.Sprintf("%04o", v.Perm())
	case *time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339)
	case *slog.Level:
		return strings.ToLower(v.String())
	case fmt.Stringer:
		return v.String()
	}
	panic(fmt.Sprintf("show a setting: no way to show a %T", home))
}

func orKeep[T any](value any, old T) (T, bool) {
	if v, ok := value.(T); ok {
		return v, true
	}
	return old, false
}

func stringList(value any, old []string) ([]string, bool) {
	list, ok := value.([]any)
	if !ok {
		return old, false
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return old, false
		}
		out = append(out, s)
	}
	return out, true
}

func members(addresses []string) []tenants.Member {
	out := make([]tenants.Member, len(addresses))
	for i, a := range addresses {
		out[i].Address = a
	}
	return out
}

// parseDuration reads "1m30s", or a bare number of seconds.
func parseDuration(value any) (time.Duration, bool) {
	var seconds float64
	switch v := value.(type) {
	case int64:
		seconds = float64(v)
	case float64:
		seconds = v
	case string:
		d, err := time.ParseDuration(v)
		return d, err == nil && d >= 0 && d <= maxDuration
	default:
		return 0, false
	}
	if math.IsNaN(seconds) || seconds < 0 || seconds > maxDuration.Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

// parseSize reads "64MB" in PostgreSQL's units, or a bare number of bytes.
func parseSize(value any) (int64, bool) {
	if n, ok := value.(int64); ok {
		return n, true
	}
	text, ok := value.(string)
	if !ok {
		return 0, false
	}
	unit := int64(1)
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", 1 << 40}, {"B", 1}} {
		if number, found := strings.CutSuffix(text, u.name); found {
			text, unit = strings.TrimSpace(number), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return n * unit, err == nil && n >= 0 && n <= math.MaxInt64/unit
}

// setFileMode reads "0770", or TOML's 0o770.
func setFileMode(home *fs.FileMode, value any) bool {
	n := uint64(math.MaxUint64)
	switch v := value.(type) {
	case int64:
		n = uint64(v)
	case string:
		parsed, err := strconv.ParseUint(v, 8, 32)
		if err != nil {
			return false
		}
		n = parsed
	}
	if n > uint64(fs.ModePerm) {
		return false
	}
	*home = fs.FileMode(n)
	return true
}

// setTime reads RFC 3339 in a string, or TOML's own way to write it.
func setTime(home *time.Time, value any) bool {
	switch v := value.(type) {
	case time.Time:
		*home = v
		return true
	case string:
		t, err := time.Parse(time.RFC3339, v)
		if err == nil {
			*home = t
		}
		return err == nil
	}
	return false
}
