package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"howdah/tenants"
	"howdah/tenants/catalog"
)

// source is what a Config was read from, and what SET in the console has put in
// the place of the file's settings.
type source struct {
	dir, text string
	set       map[section]map[string]any // values as the TOML decoder would give them
	entries   []catalog.Entry            // of the catalog
}

// With returns the configuration with one of the settings that SHOW CONFIG
// lists changed, as if the file said so. It must be one that may change while
// running; what the change makes a mistake is an error.
func (c *Config) With(key, value string) (*Config, error) {
	s, err := settingOf(key)
	if err != nil {
		return nil, err
	}
	if !s.reload {
		return nil, fmt.Errorf("%s cannot change while running; restart Howdah", s.key())
	}
	decoded, ok := s.decode(value)
	if !ok || s.set(newPlace(), decoded) != "" {
		return nil, fmt.Errorf("%s cannot be %q; write %s", s.key(), value, s.want())
	}
	set := make(map[section]map[string]any, len(c.source.set)+1)
	for in, values := range c.source.set {
		set[in] = maps.Clone(values)
	}
	if set[s.section] == nil {
		set[s.section] = make(map[string]any)
	}
	set[s.section][s.name] = decoded
	from := c.source
	from.set = set
	return parseSource(c.Path, from)
}

// WithEntries returns the configuration with the catalog's entries beside those of the
// file, in the place of what was there of the catalog before.
func (c *Config) WithEntries(entries []catalog.Entry) (*Config, error) {
	from := c.source
	from.entries = entries
	return parseSource(c.Path, from)
}

// settingOf returns the row that SHOW CONFIG has under that key, or that the
// file has under that name.
func settingOf(key string) (*setting, error) {
	rows := slices.DeleteFunc(settings(), func(s setting) bool { return !s.section.once() })
	i := slices.IndexFunc(rows, func(s setting) bool { return s.key() == key })
	if i < 0 {
		i = slices.IndexFunc(rows, func(s setting) bool { return s.name == key })
	}
	if i >= 0 {
		return &rows[i], nil
	}
	var keys []string
	for _, s := range rows {
		keys = append(keys, s.key())
	}
	if near := nearest(key, keys); near != "" {
		return nil, fmt.Errorf("there is no setting %q; did you mean %q?", key, near)
	}
	return nil, fmt.Errorf("there is no setting %q; SHOW CONFIG lists them", key)
}

// decode turns a value as SHOW CONFIG prints it, or as the file has it, into
// what the TOML decoder would give.
func (s *setting) decode(text string) (value any, ok bool) {
	switch s.at(newPlace()).(type) {
	case *[]string, *[]tenants.Member:
		list := []any{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list, true
	case *bool:
		b, err := strconv.ParseBool(text)
		return b, err == nil
	case *int:
		n, err := strconv.ParseInt(text, 10, 64)
		return n, err == nil
	case *int64:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, true
		}
	case *time.Duration:
		if seconds, err := strconv.ParseFloat(text, 64); err == nil {
			return seconds, true
		}
	}
	return text, true
}

// overlay puts what was set over what the file says.
func (s *source) overlay(file *map[string]any) {
	if *file == nil {
		*file = make(map[string]any)
	}
	for in, values := range s.set {
		keys, ok := (*file)[string(in)].(map[string]any)
		if !ok {
			keys = make(map[string]any)
			(*file)[string(in)] = keys
		}
		maps.Copy(keys, values)
	}
	for _, e := range s.entries {
		keys := map[string]any(maps.Clone(e.Settings))
		if keys == nil {
			keys = make(map[string]any)
		}
		keys["name"] = e.Name
		appendTable(*file, string(e.Kind), keys)
	}
}

// identify gives tenants and users of the catalog the UUIDs that they have there.
func (c *Config) identify(entries []catalog.Entry) {
	ids := map[catalog.Kind]map[string]string{catalog.Tenant: {}, catalog.User: {}}
	for _, e := range entries {
		if of := ids[e.Kind]; of != nil {
			of[e.Name] = e.ID
		}
	}
	for i := range c.Tenants {
		c.Tenants[i].ID = ids[catalog.Tenant][c.Tenants[i].Name]
	}
	for i := range c.Users {
		c.Users[i].ID = ids[catalog.User][c.Users[i].Name]
	}
}

// appendTable adds a table to an array of tables, which may be there in either notation.
// What is none is left for the reader to complain of.
func appendTable(file map[string]any, name string, keys map[string]any) {
	switch all := file[name].(type) {
	case nil:
		file[name] = []map[string]any{keys}
	case []map[string]any:
		file[name] = append(all, keys)
	case []any:
		file[name] = append(all, keys)
	}
}
