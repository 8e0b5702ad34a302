package hba

import (
	"fmt"
	"regexp"
	"strings"
)

// Maps say which users a name from elsewhere may log in as. The zero Maps, and
// nil, have none: a name may be the user of the same name.
type Maps struct{ byName map[string][]mapping }

// mapping is one line: a name, or a pattern of names, and a user.
type mapping struct {
	system  string
	pattern *regexp.Regexp // in place of system
	user    string
	all     bool           // every user
	users   *regexp.Regexp // in place of user
}

// firstGroup stands in a user's name for what the pattern's first group matched.
const firstGroup = `\1`

// ReadMaps reads the maps in the file at path. With mistakes there are none.
func ReadMaps(path string) (*Maps, []Mistake) {
	text, err := readFile(path)
	if err != nil {
		return nil, []Mistake{{path, 0, fmt.Sprintf("cannot be read: %v", err), "write the path of a file that can be read"}}
	}
	return ParseMaps(path, text)
}

// ParseMaps is ReadMaps for a text that stands in the file at path.
func ParseMaps(path, text string) (*Maps, []Mistake) {
	r := &reader{file: path, open: readFile}
	m := &Maps{byName: make(map[string][]mapping)}
	for _, l := range r.lines(text) {
		if len(l.fields) != 3 || len(l.fields[0]) != 1 || len(l.fields[1]) != 1 || len(l.fields[2]) != 1 {
			r.wrong(l.number, "write: map system-name user", "a line of a map has three words, this has %d", len(l.fields))
			continue
		}
		name := l.fields[0][0].text
		if strings.HasPrefix(name, "include") && !l.fields[0][0].quoted {
			r.wrong(l.number, "put the lines into this file", "%s is not supported", name)
			continue
		}
		m.byName[name] = append(m.byName[name], r.mapping(l.number, l.fields[1][0], l.fields[2][0]))
	}
	if len(r.mistakes) > 0 {
		return nil, r.mistakes
	}
	return m, nil
}

func (r *reader) mapping(number int, system, user token) mapping {
	e := mapping{system: system.text, user: user.text, all: user.is("all")}
	if strings.HasPrefix(system.text, "/") {
		e.pattern = r.pattern(number, system.text[1:])
	}
	switch {
	case !user.quoted && strings.HasPrefix(user.text, "+"):
		r.wrong(number, "write the name of a user", "user %q: Howdah does not know who is a member of a role", user.text)
	case strings.HasPrefix(user.text, "/"):
		e.users = r.pattern(number, user.text[1:])
	}
	if e.pattern != nil && e.users == nil && strings.Contains(user.text, firstGroup) && e.pattern.NumSubexp() == 0 {
		r.wrong(number, "put a part of it in brackets", "user %q needs a group in the regular expression %q", user.text, system.text)
	}
	return e
}

// Allows reports whether who proved to be system may log in as user, by the map
// called name.
func (m *Maps) Allows(name, system, user string) bool {
	if name == "" {
		return system != "" && system == user
	}
	if m == nil {
		return false
	}
	for _, e := range m.byName[name] {
		if e.allows(system, user) {
			return true
		}
	}
	return false
}

func (e *mapping) allows(system, user string) bool {
	want := e.user
	if e.pattern == nil {
		if e.system != system {
			return false
		}
	} else {
		groups := e.pattern.FindStringSubmatch(system)
		if groups == nil {
			return false
		}
		if len(groups) > 1 {
			want = strings.Replace(want, firstGroup, groups[1], 1)
		}
	}
	if e.users != nil {
		return e.users.MatchString(user)
	}
	return e.all || want == user
}

// CheckMaps lists the rules that name a map which m does not have.
func (r *Rules) CheckMaps(m *Maps) (mistakes []Mistake) {
	for _, rule := range r.list {
		if rule.Map != "" && (m == nil || m.byName[rule.Map] == nil) {
			mistakes = append(mistakes, Mistake{
				rule.File, rule.Line, fmt.Sprintf("there is no map %q", rule.Map),
				"write it into the file that hba_ident_file names",
			})
		}
	}
	return mistakes
}
