package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCommandLinesAndTheirExitCodes(t *testing.T) {
	fine := writeFile(t, "fine.toml", good)
	broken := writeFile(t, "broken.toml", "[server]\nloop = 1\n"+good)
	for name, c := range map[string]struct {
		args []string
		code int
		out  string // on stdout if the code is 0, else on stderr
	}{
		"nothing":                {nil, 0, "Usage:"},
		"help":                   {[]string{"help"}, 0, "Available Commands:"},
		"--help":                 {[]string{"--help"}, 0, "Available Commands:"},
		"help on a command":      {[]string{"help", "check"}, 0, "Every mistake is said at once"},
		"help on settings":       {[]string{"help", "settings"}, 0, "pool_size"},
		"help on nothing known":  {[]string{"help", "elephants"}, 2, "there is no help on"},
		"unknown command":        {[]string{"chek"}, 2, `did you mean "check"?`},
		"flags of no command":    {[]string{"chek", "-c", "x"}, 2, `unknown command "chek"`},
		"flag of the root":       {[]string{"--frob"}, 2, "unknown flag: --frob"},
		"command unlike any":     {[]string{"frobnicate"}, 2, "see `howdah --help`"},
		"unknown flag":           {[]string{"check", "--frob"}, 2, "unknown flag: --frob; see `howdah check --help`"},
		"flag without its value": {[]string{"check", "-c"}, 2, "see `howdah check --help`"},
		"argument too many":      {[]string{"version", "x"}, 2, `takes no arguments, not "x"`},
		"version":                {[]string{"version"}, 0, "howdah " + version + " (go"},
		"check of a good file":   {[]string{"check", "-c", fine}, 0, "fine.toml is fine: 1 clusters, 0 tiers, 1 tenants, 1 users"},
		"check of a bad file":    {[]string{"check", "--config", broken}, 3, broken + `:2: unknown setting "loop"`},
		"check of no file":       {[]string{"check", "-c", fine + "x"}, 3, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := runCommand(t, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			where, other := stdout, stderr
			if c.code != 0 {
				where, other = stderr, stdout
			}
			if !strings.Contains(where, c.out) {
				t.Errorf("no %q in\n%s", c.out, where)
			}
			if other != "" {
				t.Errorf("also printed on the other stream:\n%s", other)
			}
		})
	}
}

func TestVersionAsJSON(t *testing.T) {
	_, stdout, _ := runCommand(t, "version", "--json")
	var b buildInfo
	if err := json.Unmarshal([]byte(stdout), &b); err != nil || b.Version != version || !strings.HasPrefix(b.Go, "go") {
		t.Errorf("%s: %+v, %v", stdout, b, err)
	}
}

func TestExitCodes(t *testing.T) {
	for want, err := range []error{
		nil, errors.New("x"), usageError{errors.New("x")}, &ConfigError{}, errNotFound, errConflict,
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
		if err == nil {
			continue
		}
		if got := exitCode(fmt.Errorf("find tenant %q: %w", "x", err)); got != want {
			t.Errorf("%v, wrapped: exit code %d, want %d", err, got, want)
		}
	}
}

func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(context.Background(), args, &out, &errs)
	return exitCode(err), out.String(), errs.String()
}
