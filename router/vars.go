package router

import (
	"sort"
	"strings"

	"howdah/wire"
)

// vars is an immutable list of settings in force, for a session or a server:
// those PostgreSQL reports and those a client gave at startup. They are
// interned per worker, so that equal lists are the same pointer and the
// question "does this server suit this session" costs one comparison.
type vars struct {
	list  []wire.Parameter // sorted by name
	parse string           // identity of those that Parse looks at, for literals and names

	conforming bool // standard_conforming_strings
	readable   bool // texts can be taken apart

	serializable bool // default_transaction_isolation
	readsOnly    bool // default_transaction_read_only
	dumps        bool // application_name is a pg_dump's

	confined *vars // the same with default_transaction_read_only; nil until it was needed
}

// parseVars are the settings that PostgreSQL looks at when it parses a
// statement, so that a prepared one keeps their effect.
var parseVars = map[string]bool{
	"client_encoding": true, "standard_conforming_strings": true, "backslash_quote": true,
	"transform_null_equals": true, "array_nulls": true, "DateStyle": true, "IntervalStyle": true,
	"TimeZone": true, "timezone_abbreviations": true, "lc_monetary": true, "xmloption": true,
}

// fixedVars are reported but cannot be set, or follow from the login.
var fixedVars = map[string]bool{
	"server_version": true, "server_encoding": true, "integer_datetimes": true, "is_superuser": true,
	"session_authorization": true, "in_hot_standby": true,
}

// value returns the value of the setting called name.
func (v *vars) value(name string) (string, bool) {
	i := sort.Search(len(v.list), func(i int) bool { return v.list[i].Name >= name })
	if i < len(v.list) && v.list[i].Name == name {
		return v.list[i].Value, true
	}
	return "", false
}

// has reports whether a setting has a value.
func (v *vars) has(name, value string) bool {
	now, ok := v.value(name)
	return ok && now == value
}

// isDump reports whether a pg_dump has the settings, or a pg_dumpall.
func (v *vars) isDump() bool {
	name, _ := v.value("application_name")
	return strings.HasPrefix(name, "pg_dump")
}

// scanning returns standard_conforming_strings, and whether texts can be taken
// apart at all: in some encodings a backslash or a quote can be the second byte
// of a character.
func (v *vars) scanning() (conforming, readable bool) {
	c, _ := v.value("standard_conforming_strings")
	encoding, _ := v.value("client_encoding")
	switch encoding {
	case "SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004":
		return false, false
	}
	return c != "off", true
}

// escaped returns value as a string behind E takes it. In the encodings in
// which the byte of a backslash may be the second one of a character it is left
// alone there.
func (v *vars) escaped(value string) string {
	encoding, _ := v.value("client_encoding")
	pairs := !v.readable && encoding != "JOHAB"                // whose second bytes are none of ASCII's
	kana := encoding == "SJIS" || encoding == "SHIFT_JIS_2004" // half-width, of one byte
	escaped := make([]byte, 0, len(value)+8)
	for i := 0; i < len(value); i++ {
		b := value[i]
		escaped = append(escaped, b)
		switch {
		case b == '\\', b == '\'':
			escaped = append(escaped, b)
		case b >= 0x80 && pairs && i+1 < len(value) && (!kana || b < 0xA1 || b > 0xDF):
			i++
			escaped = append(escaped, value[i])
		}
	}
	return string(escaped)
}

// read takes a text apart as the server will.
func (v *vars) read(text []byte) reading {
	if !v.readable && !ascii(text) {
		return reading{effects: anything}
	}
	r := read(text, v.conforming)
	v.heardAs(&r)
	return r
}

// noticed reports whether PostgreSQL may tell the client something whenever it
// parses the text: of a backslash, or a name that is too long.
func (v *vars) noticed(text []byte) bool {
	long := 0
	for _, b := range text {
		switch {
		case b == '\\' && !v.conforming:
			return true
		case b >= 0x80, b == '_', b == '$', isDigit(b), 'a' <= b|0x20 && b|0x20 <= 'z':
			if long++; long > maxName {
				return true
			}
		default:
			long = 0
		}
	}
	return false
}

// ascii reports whether every byte is a character of its own in every encoding.
func ascii(text []byte) bool {
	for _, b := range text {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

// varsTable interns lists of settings.
type varsTable struct {
	known map[string]*vars
}

// maxVars bounds the table: beyond it lists are still right, only no longer
// shared. A client can make up any number of values.
const maxVars = 10000

// maxSharedVars bounds the lists that are remembered, in bytes.
const maxSharedVars = 2048

func (t *varsTable) intern(list []wire.Parameter) *vars {
	var key, parse strings.Builder
	for _, p := range list {
		key.WriteString(p.Name)
		key.WriteByte(0)
		key.WriteString(p.Value)
		key.WriteByte(0)
		if parseVars[p.Name] || p.Name == "search_path" {
			parse.WriteString(p.Name)
			parse.WriteByte(0)
			parse.WriteString(p.Value)
			parse.WriteByte(0)
		}
	}
	if v := t.known[key.String()]; v != nil {
		return v
	}
	v := &vars{list: list, parse: parse.String()}
	v.conforming, v.readable = v.scanning()
	v.serializable, v.readsOnly, v.dumps = v.has("default_transaction_isolation", "serializable"), v.has("default_transaction_read_only", "on"), v.isDump()
	if t.known == nil {
		t.known = map[string]*vars{}
	}
	if len(t.known) < maxVars && key.Len() <= maxSharedVars {
		t.known[key.String()] = v
	}
	return v
}

// with returns v with one setting changed or added.
func (t *varsTable) with(v *vars, name, value string) *vars {
	if old, ok := v.value(name); ok && old == value {
		return v
	}
	list := append(v.others(name), wire.Parameter{Name: name, Value: value})
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return t.intern(list)
}

// without returns v without one setting.
func (t *varsTable) without(v *vars, name string) *vars {
	if _, ok := v.value(name); !ok {
		return v
	}
	return t.intern(v.others(name))
}

// others returns a copy of the list without one setting, with room for one.
func (v *vars) others(name string) []wire.Parameter {
	list := make([]wire.Parameter, 0, len(v.list)+1)
	for _, p := range v.list {
		if p.Name != name {
			list = append(list, p)
		}
	}
	return list
}

// of interns a server's ParameterStatus messages.
func (t *varsTable) of(params []wire.Parameter) *vars {
	list := append([]wire.Parameter(nil), params...)
	sort.SliceStable(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return t.intern(list)
}

// difference returns what must be set on a server where have is in force to
// get want. What want does not name goes back to its value in base, or is
// reset where base does not name it either.
func difference(have, want, base *vars) (set []wire.Parameter, reset []string) {
	for _, p := range want.list {
		old, ok := have.value(p.Name)
		if (!ok || old != p.Value) && !fixedVars[p.Name] {
			set = append(set, p)
		}
	}
	for _, p := range have.list {
		if _, ok := want.value(p.Name); ok || fixedVars[p.Name] {
			continue
		}
		if value, ok := base.value(p.Name); ok {
			set = append(set, wire.Parameter{Name: p.Name, Value: value})
		} else {
			reset = append(reset, p.Name)
		}
	}
	return set, reset
}
