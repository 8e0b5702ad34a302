package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tomlTable is one table of the output.
type tomlTable struct {
	in    section
	notes []string // comments before it
	keys  []tomlKey

	// leftOut prints the table as a comment: what it says cannot be had.
	leftOut bool
}

// tomlKey is one line: a value and where it comes from.
type tomlKey struct {
	name  string
	value any // string, []string, bool, int64 or time.Duration
	from  string
}

// add appends a line, or changes the one of that name.
func (t *tomlTable) add(name string, value any, from string) {
	for i := range t.keys {
		if t.keys[i].name == name {
			t.keys[i] = tomlKey{name, value, from}
			return
		}
	}
	t.keys = append(t.keys, tomlKey{name, value, from})
}

// value returns what the table gives the name; nil if nothing.
func (t *tomlTable) value(name string) any {
	for _, k := range t.keys {
		if k.name == name {
			return k.value
		}
	}
	return nil
}

// remove takes the lines of these names out.
func (t *tomlTable) remove(names ...string) {
	t.keys = slices.DeleteFunc(t.keys, func(k tomlKey) bool { return slices.Contains(names, k.name) })
}

// note appends a comment, which stands before the table.
func (t *tomlTable) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// print writes the table, its comments first.
func (t *tomlTable) print(b *strings.Builder) {
	b.WriteByte('\n')
	for _, n := range t.notes {
		b.WriteString(comment(n))
	}
	line := func(text string) {
		if t.leftOut {
			text = "# " + text
		}
		b.WriteString(text + "\n")
	}
	line(t.in.header())
	for _, k := range t.keys {
		text := k.name + " = " + tomlValue(k.value)
		if k.from != "" {
			text += " # " + printable(k.from)
		}
		line(text)
	}
}

// leftOver collects what has no equivalent, by the reason.
type leftOver struct {
	whys  []string
	items [][]string // beside whys
}

func (l *leftOver) add(item, why string) {
	at := slices.Index(l.whys, why)
	if at < 0 {
		at = len(l.whys)
		l.whys, l.items = append(l.whys, why), append(l.items, nil)
	}
	l.items[at] = append(l.items[at], item)
}

// lines says them, a line for each reason.
func (l *leftOver) lines() []string {
	var lines []string
	for i, why := range l.whys {
		lines = append(lines, strings.Join(l.items[i], ", ")+": "+why+".")
	}
	return lines
}

// printList writes lines of comments under a title.
func printList(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	b.WriteString("\n" + comment(title))
	for _, line := range lines {
		b.WriteString("#\n" + comment(line))
	}
}

// comment breaks text into lines of a comment.
func comment(text string) string { return wrap(printable(text), "# ") }

// printable replaces what must not stand in a comment.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
}

// tomlValue writes a value as TOML.
func tomlValue(value any) string {
	switch v := value.(type) {
	case string:
		return tomlString(v)
	case []string:
		quoted := make([]string, len(v))
		for i := range v {
			quoted[i] = tomlString(v[i])
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case time.Duration:
		if v > 0 && v < time.Second {
			return tomlString(v.String())
		}
		return tomlString(strconv.FormatFloat(v.Seconds(), 'f', -1, 64) + "s")
	}
	panic(fmt.Sprintf("write TOML: no way to write a %T", value))
}

// tomlString quotes text, which is UTF-8, as a basic string of TOML.
func tomlString(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
