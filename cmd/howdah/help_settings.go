package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newSettingsTopic makes `howdah help settings`. It does nothing, so cobra lists
// it among the help topics.
func newSettingsTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "settings",
		Short: "Every setting of howdah.toml: what it does, its default, whether a reload changes it",
		Long:  settingsManual(),
	}
}

const manualHead = `Settings of howdah.toml, a TOML file.

Durations are strings such as "90s" or "1m30s", or numbers of seconds. Relative
paths start at the file's folder. SIGHUP or RELOAD in the console reads the file
again; a file with a mistake changes nothing. "needs a restart" marks what a
reload leaves as it was. "howdah check -c FILE" says every mistake of a file.
`

// settingsManual writes the settings table as a page of text.
func settingsManual() string {
	var b strings.Builder
	b.WriteString(manualHead)
	in := section("")
	for _, s := range settings() {
		if s.section != in {
			in = s.section
			fmt.Fprintf(&b, "\n%s\n%s", in.header(), wrap(in.about(), "  "))
		}
		fmt.Fprintf(&b, "\n  %s\n%s%s", s.name, wrap(s.doc, "      "), wrap(s.facts(), "      "))
	}
	return b.String()
}

// facts are the setting's type, default and whether it needs a restart.
func (s *setting) facts() string {
	facts := "Takes: " + s.kind() + ". Default: " + s.defaultText() + "."
	if !s.reload {
		facts += " Needs a restart."
	}
	return facts
}

// defaultText writes the default as the file would.
func (s *setting) defaultText() string {
	if s.initial == nil {
		return s.initialDoc
	}
	switch v := s.initial.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []any:
		quoted := make([]string, len(v))
		for i, e := range v {
			quoted[i] = fmt.Sprintf("%q", e)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return fmt.Sprint(s.initial)
}

// wrap breaks text into indented lines of at most 80 columns.
func wrap(text, indent string) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		switch {
		case column == 0:
			b.WriteString(indent)
			column = len(indent)
		case column+1+len(word) > 80:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	if column > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}
