package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// ErrNotInstalled is what Find returns, wrapped, when no suitable PostgreSQL
// server is on this machine; its text names the package to install.
var ErrNotInstalled = errors.New("postgres: server not installed")

// debianPrefix is where Debian and Ubuntu keep one folder per major version.
const debianPrefix = "/usr/lib/postgresql"

// Binaries is one installed PostgreSQL: its programs and their version.
type Binaries struct {
	Dir   string // folder that holds initdb, postgres, pg_basebackup
	Major int    // 15, 16, …
}

// Path returns the full path of one of the programs, "psql" for example.
func (b Binaries) Path(program string) string { return filepath.Join(b.Dir, program) }

// Find returns the programs of the wanted major version, or of the newest one
// for major 0. $HOWDAH_PG_BINDIR, when set, is the only place looked at; else
// Debian's folders and the directories of $PATH are.
func Find(major int) (Binaries, error) {
	b, ok := find(major, "postgres", "initdb")
	if !ok {
		return Binaries{}, notInstalled("postgresql", major)
	}
	return b, nil
}

// FindClient is Find for a machine that needs no server: only pg_dump, pg_restore and
// their like are sure to be there.
func FindClient(major int) (Binaries, error) {
	b, ok := find(major, "pg_dump", "pg_restore")
	if !ok {
		return Binaries{}, notInstalled("postgresql-client", major)
	}
	return b, nil
}

// find returns the newest programs of that major version, of which program says its
// version and others must be there too.
func find(major int, program string, others ...string) (Binaries, bool) {
	var found []Binaries
	for _, dir := range candidateDirs() {
		if b, ok := inspect(dir, program, others...); ok && (major == 0 || b.Major == major) {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		return Binaries{}, false
	}
	return slices.MaxFunc(found, func(a, b Binaries) int { return a.Major - b.Major }), true
}

func candidateDirs() []string {
	if dir := os.Getenv("HOWDAH_PG_BINDIR"); dir != "" {
		return []string{dir}
	}
	dirs, _ := filepath.Glob(filepath.Join(debianPrefix, "*", "bin")) // the pattern is constant and valid
	return append(dirs, filepath.SplitList(os.Getenv("PATH"))...)
}

func notInstalled(name string, major int) error {
	if major != 0 {
		name = fmt.Sprintf("%s-%d", name, major)
	}
	if dir := os.Getenv("HOWDAH_PG_BINDIR"); dir != "" {
		return fmt.Errorf("find PostgreSQL in HOWDAH_PG_BINDIR=%q: %w there: unset it, or install with: apt-get install %s",
			dir, ErrNotInstalled, name)
	}
	return fmt.Errorf("find PostgreSQL: %w: install it with: apt-get install %s", ErrNotInstalled, name)
}

// inspect asks a program in dir for its version. A folder counts only if the
// others are there too: $PATH often holds the client programs alone.
func inspect(dir, program string, others ...string) (Binaries, bool) {
	b := Binaries{Dir: dir}
	for _, name := range append(others, program) {
		if _, err := exec.LookPath(b.Path(name)); err != nil {
			return Binaries{}, false
		}
	}
	out, err := exec.CommandContext(context.Background(), b.Path(program), "--version").Output()
	if err != nil {
		return Binaries{}, false
	}
	b.Major = parseMajor(string(out))
	return b, b.Major > 0
}

// parseMajor reads "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", also
// "17devel" and "18beta1". 0 means it is not such a line.
func parseMajor(version string) int {
	m := regexp.MustCompile(`^(?:postgres|pg_dump) \(PostgreSQL\) (\d+)`).FindStringSubmatch(version)
	if m == nil {
		return 0
	}
	major, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return major
}
