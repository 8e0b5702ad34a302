package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds on %include: the depth is PgBouncer's, the number is ours.
const (
	maxIncludeDepth = 10
	maxIncludes     = 1000
)

// iniEntry is one key = value of a pgbouncer.ini.
type iniEntry struct {
	file       string
	line       int
	key, value string
}

// at names the entry's place in a comment of the output.
func (e iniEntry) at() string { return fmt.Sprintf("%s:%d", filepath.Base(e.file), e.line) }

// bouncerFiles is what a PgBouncer reads of its files, before anything is
// translated.
type bouncerFiles struct {
	settings  map[string]iniEntry // of [pgbouncer]
	databases []iniEntry          // one per name, as the next two
	users     []iniEntry
	peers     []iniEntry

	remarks  []string // on what PgBouncer passes over: repeated keys and sections
	mistakes []Mistake
}

// wrong notes what PgBouncer would not start with, and some that it would.
func (b *bouncerFiles) wrong(file string, line int, remedy, problem string, args ...any) {
	b.mistakes = append(b.mistakes, Mistake{
		File: file, Line: line, Problem: fmt.Sprintf(problem, args...), Remedy: remedy,
	})
}

// remark notes what stands in the file without having an effect.
func (b *bouncerFiles) remark(e iniEntry, format string, args ...any) {
	b.remarks = append(b.remarks, e.at()+": "+fmt.Sprintf(format, args...))
}

// iniReader reads a file and those that it includes.
type iniReader struct {
	*bouncerFiles
	top      string // the file of the command line
	section  string // goes on behind an included file, as in PgBouncer
	open     []string
	includes int
	read     func(path string) ([]byte, error)
}

// readBouncerFiles reads the file and what it includes. Mistakes are collected.
func readBouncerFiles(path string, read func(string) ([]byte, error)) *bouncerFiles {
	r := &iniReader{bouncerFiles: &bouncerFiles{settings: make(map[string]iniEntry)}, top: path, read: read}
	text, err := read(path)
	if err != nil {
		r.wrong(path, 0, "name the pgbouncer.ini to import", "cannot be read: %v", unwrapPath(err))
		return r.bouncerFiles
	}
	r.file(path, text)
	return r.bouncerFiles
}

func (r *iniReader) file(path string, text []byte) {
	if !utf8.Valid(text) || slices.Contains(text, 0) {
		r.wrong(path, 0, "save it as UTF-8", "is no text in UTF-8, which a howdah.toml must be")
		return
	}
	r.open = append(r.open, identity(path))
	defer func() { r.open = r.open[:len(r.open)-1] }()
	for i, line := range strings.Split(string(text), "\n") {
		r.line(iniEntry{file: path, line: i + 1}, strings.TrimSpace(line))
	}
}

// identity is what two ways to write one file's path have in common.
func identity(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path
}

// line reads one line. A section's header may have a setting behind it.
func (r *iniReader) line(e iniEntry, text string) {
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		r.wrong(e.file, e.line, "remove them", "there are control characters in the line")
		return
	}
	for strings.HasPrefix(text, "[") {
		name, rest, ok := strings.Cut(text[1:], "]")
		if !ok {
			r.wrong(e.file, e.line, "write [pgbouncer], [databases], [users] or [peers]", "the section's name has no closing bracket")
			return
		}
		r.header(e, name)
		text = strings.TrimSpace(rest)
	}
	switch {
	case text == "" || text[0] == '#' || text[0] == ';':
	case text[0] == '%':
		r.directive(e, text)
	default:
		r.entry(e, text)
	}
}

// header begins a section. PgBouncer forgets all settings where [pgbouncer]
// begins again.
func (r *iniReader) header(e iniEntry, name string) {
	r.section = name
	switch name {
	case "databases", "users", "peers":
	case "pgbouncer":
		for _, key := range sortedKeys(r.settings) {
			r.remark(r.settings[key], "%s is forgotten, as by PgBouncer, because [pgbouncer] begins again at %s", key, e.at())
		}
		clear(r.settings)
	default:
		r.wrong(e.file, e.line, "write [pgbouncer], [databases], [users] or [peers]", "PgBouncer has no section %q", name)
	}
}

func (r *iniReader) directive(e iniEntry, text string) {
	path, ok := strings.CutPrefix(text, "%include")
	if !ok || path == "" || path[0] != ' ' && path[0] != '\t' {
		r.wrong(e.file, e.line, "write %include and the path of a file", "%.80q is no directive that PgBouncer knows", text)
		return
	}
	path = strings.TrimSpace(path)
	r.includes++
	switch {
	case len(r.open) > maxIncludeDepth:
		r.wrong(e.file, e.line, "include fewer files from within each other", "%q is included more than %d files deep", path, maxIncludeDepth)
		return
	case r.includes > maxIncludes:
		if r.includes == maxIncludes+1 {
			r.wrong(e.file, e.line, "join some of them", "more than %d files are included", maxIncludes)
		}
		return
	}
	found, text2, err := r.find(path)
	switch {
	case err != nil:
		r.wrong(e.file, e.line, "name a file that can be read; PgBouncer looks in its working folder", "the included file %q: %v", path, unwrapPath(err))
	case slices.Contains(r.open, identity(found)):
		r.wrong(e.file, e.line, "remove this line", "%q includes itself", path)
	default:
		r.file(found, text2)
	}
}

// find reads a file that PgBouncer's files name. PgBouncer starts relative paths
// at its working folder; whoever imports may be elsewhere, so the main file's
// folder is tried too.
func (r *iniReader) find(path string) (found string, text []byte, err error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	text, err = r.read(path)
	if err == nil || filepath.IsAbs(path) || !os.IsNotExist(err) {
		return path, text, err
	}
	beside := filepath.Join(filepath.Dir(r.top), path)
	if text, again := r.read(beside); again == nil {
		return beside, text, nil
	}
	return path, nil, err
}

func (r *iniReader) entry(e iniEntry, text string) {
	var ok bool
	if e.key, e.value, ok = cutEntry(text); !ok {
		head, _, _ := strings.Cut(text, "=") // a password may stand behind
		r.wrong(e.file, e.line, "write name = value; names are of letters, digits and _ . - *, others stand in double quotes", "%.40q is no name of a setting", head)
		return
	}
	switch r.section {
	case "":
		r.wrong(e.file, e.line, "write [pgbouncer] or [databases] before it", "%s stands in no section", e.key)
	case "pgbouncer":
		if bouncerSettingOf(bouncerSettings(), e.key) == nil {
			r.unknown(e)
			return
		}
		if before, ok := r.settings[e.key]; ok {
			r.remark(before, "%s is given again at %s; PgBouncer goes by that one, and so does this file", e.key, e.at())
		}
		r.settings[e.key] = e
	case "databases":
		r.databases = r.replace(r.databases, e)
	case "users":
		r.users = r.replace(r.users, e)
	case "peers":
		r.peers = r.replace(r.peers, e)
	}
}

func (r *iniReader) unknown(e iniEntry) {
	var names []string
	for _, s := range bouncerSettings() {
		names = append(names, s.name)
	}
	remedy := "remove it"
	if like := nearest(e.key, names); like != "" {
		remedy = fmt.Sprintf("write %q", like)
	}
	r.wrong(e.file, e.line, remedy, "PgBouncer has no setting %q", e.key)
}

// replace puts the entry in the place of one with its name, or at the end.
func (r *iniReader) replace(all []iniEntry, e iniEntry) []iniEntry {
	for i := range all {
		if all[i].key == e.key {
			r.remark(all[i], "%q is given again at %s; PgBouncer goes by that one, and so does this file", e.key, e.at())
			all[i] = e
			return all
		}
	}
	return append(all, e)
}

// cutEntry splits name = value. PgBouncer's manual lets names stand in double
// quotes, which its 1.26 refuses; they are read here.
func cutEntry(text string) (key, value string, ok bool) {
	rest := text
	if strings.HasPrefix(text, `"`) {
		if key, rest, ok = cutQuoted(text, '"'); !ok || key == "" {
			return "", "", false
		}
	} else {
		n := 0
		for n < len(text) && isNameByte(text[n]) {
			n++
		}
		key, rest = text[:n], text[n:]
	}
	rest = strings.TrimLeft(rest, " \t")
	if key == "" || !strings.HasPrefix(rest, "=") {
		return "", "", false
	}
	return key, strings.TrimSpace(rest[1:]), true
}

// isNameByte: the letters of the C locale.
func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_.-*", c) >= 0
}

// cutQuoted returns what stands between text's first byte, a quote, and the next
// single one; two of them stand for one.
func cutQuoted(text string, quote byte) (inside, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != quote {
			b.WriteByte(text[i])
			continue
		}
		if i+1 == len(text) || text[i+1] != quote {
			return b.String(), text[i+1:], true
		}
		b.WriteByte(quote)
		i++
	}
	return "", "", false
}

func sortedKeys(settings map[string]iniEntry) []string {
	keys := make([]string, 0, len(settings))
	for key := range settings {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
