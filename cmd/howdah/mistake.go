package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Mistake is one thing wrong in the configuration file.
type Mistake struct {
	File    string // "" = the configuration file; else one that it names
	Line    int    // from 1; 0 = the file as a whole
	Problem string
	Remedy  string // what to write instead
}

// ConfigError lists all mistakes of a file and of those it names, sorted by
// file and line.
type ConfigError struct {
	Path     string
	Mistakes []Mistake
}

// Error returns one line per mistake: path:line: problem; remedy.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.describe(e.Path)
	}
	return strings.Join(lines, "\n")
}

func (m Mistake) describe(path string) string {
	if m.File != "" {
		path = m.File
	}
	if m.Line == 0 {
		return fmt.Sprintf("%s: %s; %s", path, m.Problem, m.Remedy)
	}
	return fmt.Sprintf("%s:%d: %s; %s", path, m.Line, m.Problem, m.Remedy)
}

// sortMistakes orders by file and line and drops what was said twice.
func sortMistakes(all []Mistake) []Mistake {
	slices.SortStableFunc(all, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return slices.Compact(all)
}

// unwrapPath returns the reason of a file error without the path, which the
// reader is told anyway.
func unwrapPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// nearest returns the name most like the given one, or "" if none is like it.
func nearest(name string, names []string) string {
	best, distance := "", 1+(len(name)+2)/3
	for _, candidate := range names {
		if d := editDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// editDistance counts the single-byte edits between a and b (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// oneOf lists quoted names as English wants them.
func oneOf(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}
