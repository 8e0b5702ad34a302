package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"howdah/wire/postgres"
)

// programs are the ones a run needs, found before anything is started.
type programs struct {
	postgres  postgres.Binaries
	pgbench   string
	pgbouncer pgbouncerBinary
	howdah    string
	strace    string
}

func findPrograms(ctx context.Context, o options) (p programs, err error) {
	if o.pgBindir != "" {
		if err := os.Setenv("HOWDAH_PG_BINDIR", o.pgBindir); err != nil {
			return p, err
		}
	}
	if p.postgres, err = postgres.Find(0); err != nil {
		return p, err
	}
	p.pgbench = p.postgres.Path("pgbench")
	if _, err := os.Stat(p.pgbench); err != nil {
		if p.pgbench, err = exec.LookPath("pgbench"); err != nil {
			return p, fmt.Errorf("find pgbench: %w: install it with: apt-get install postgresql-contrib", err)
		}
	}
	if o.measures(bouncer) {
		if p.pgbouncer, err = findPgBouncer(ctx); err != nil {
			return p, err
		}
	}
	if o.measures(howdah) {
		if p.howdah, err = filepath.Abs(o.howdah); err != nil {
			return p, err
		}
		if _, err := os.Stat(p.howdah); err != nil {
			return p, fmt.Errorf("find Howdah: %w: build it with: make build", err)
		}
	}
	if o.wants("syscalls") {
		if p.strace, err = exec.LookPath("strace"); err != nil {
			return p, fmt.Errorf("find strace: %w: install it with: apt-get install strace", err)
		}
	}
	return p, nil
}

// pgbouncerBinary is one installed PgBouncer.
type pgbouncerBinary struct {
	path    string
	version [3]int
}

func (p pgbouncerBinary) String() string {
	return fmt.Sprintf("PgBouncer %d.%d.%d", p.version[0], p.version[1], p.version[2])
}

// atLeast tells settings that a version knows from those that it refuses.
func (p pgbouncerBinary) atLeast(major, minor int) bool {
	return slices.Compare(p.version[:2], []int{major, minor}) >= 0
}

// findPgBouncer takes $HOWDAH_PGBOUNCER, or else the newest it can find.
func findPgBouncer(ctx context.Context) (pgbouncerBinary, error) {
	paths := []string{os.Getenv("HOWDAH_PGBOUNCER")}
	if paths[0] == "" {
		paths = nil
		for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
			paths = append(paths, filepath.Join(dir, "pgbouncer"))
		}
	}
	var found []pgbouncerBinary
	var failed []error
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			failed = append(failed, err)
			continue
		}
		text, err := output(exec.CommandContext(ctx, path, "--version"))
		if err != nil {
			failed = append(failed, err)
			continue
		}
		found = append(found, pgbouncerBinary{path: path, version: parseVersion(text)})
	}
	if len(found) == 0 {
		return pgbouncerBinary{}, fmt.Errorf("find PgBouncer (apt-get install pgbouncer, or set HOWDAH_PGBOUNCER): %w", errors.Join(failed...))
	}
	return slices.MaxFunc(found, func(a, b pgbouncerBinary) int {
		return slices.Compare(a.version[:], b.version[:])
	}), nil
}

// parseVersion reads the first "1.26.1" of a text; zeros if there is none.
func parseVersion(text string) (v [3]int) {
	match := regexp.MustCompile(`\d+\.\d+(\.\d+)?`).FindString(text)
	_, _ = fmt.Sscanf(match, "%d.%d.%d", &v[0], &v[1], &v[2]) // what is missing stays 0
	return v
}

// output runs a command to its end. The error has the command and what it wrote
// to its standard error.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("run %s: %w\n%s", strings.Join(cmd.Args, " "), err, lastLines(stderr.String()))
	}
	return stdout.String(), nil
}

// lastLines returns as much of a log as an error should show.
func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-8):], "\n  ")
}
