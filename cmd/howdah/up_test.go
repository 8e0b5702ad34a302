package main_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"howdah/wire/wiretest"
)

// TestUp runs the real program, as a user would, on ports and in folders of its
// own.
func TestUp(t *testing.T) {
	t.Parallel()
	wiretest.FindPostgres(t)
	program := filepath.Join(t.TempDir(), "howdah")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for name, test := range map[string]func(*testing.T, *upPlace){
		"StopsInTimeAndComesBackWithItsData": testUpStopsAndComesBack,
		"SurvivesItsOwnKill":                 testUpSurvivesKill,
		"FinishesAFirstStartThatWasKilled":   testUpFinishesFirstStart,
		"StartsDeadChildrenAgain":            testUpStartsDeadChildrenAgain,
		"Folder":                             testUpFolder,
		"NamesWhoHoldsAPort":                 testUpNamesPortHolder,
		"NamesThePackageToInstall":           testUpNamesPackage,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newUpPlace(t, program))
		})
	}
}

func testUpStopsAndComesBack(t *testing.T, p *upPlace) {
	run := p.start()
	p.exec("acme", "create table kept as select 42 as n")
	before := p.read("credentials") + p.read("howdah.toml")
	run.stop()

	run = p.start()
	if n := p.queryInt("acme", "select n from kept"); n != 42 {
		t.Errorf("the table holds %d after a restart", n)
	}
	if after := p.read("credentials") + p.read("howdah.toml"); after != before {
		t.Error("credentials or howdah.toml changed at the second start")
	}
	if strings.Contains(run.output(), p.password("acme")) {
		t.Error("the second start printed a password")
	}
	run.stop()
}

func testUpSurvivesKill(t *testing.T, p *upPlace) {
	run := p.start()
	p.exec("globex", "create table kept as select 7 as n")
	run.kill()
	run = p.start() // at once, whatever still runs
	if n := p.queryInt("globex", "select n from kept"); n != 7 {
		t.Errorf("the table holds %d after a kill", n)
	}
	run.stop()
}

func testUpFinishesFirstStart(t *testing.T, p *upPlace) {
	run := p.launch()
	run.waitFor("copying it to a standby")
	run.kill()
	if _, err := os.Stat(filepath.Join(p.dir, "howdah.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the first start was not killed in its middle: %v", err)
	}
	run = p.start()
	p.exec("acme", "select 1")
	run.stop()
}

func testUpStartsDeadChildrenAgain(t *testing.T, p *upPlace) {
	run := p.start()
	for _, name := range []string{"primary", "standby"} {
		dead := p.postmaster(name)
		if err := syscall.Kill(dead, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		run.waitFor("the " + name + " ended (signal: killed)")
		waitUntil(t, func() bool { pid := p.postmaster(name); return pid != 0 && pid != dead })
	}
	waitUntil(t, func() bool { return p.tryExec("acme", "select 1") == nil })
	run.stop()
}

// testUpFolder looks at one folder while `up` runs in it and after.
func testUpFolder(t *testing.T, p *upPlace) {
	run := p.start()
	t.Run("HoldsSecretsForItsOwnerOnly", func(t *testing.T) { testUpSecrets(t, p, run) })
	t.Run("IsRefusedToASecondUp", func(t *testing.T) { testUpRefusesSecond(t, p, run) })
	run.stop()
	t.Run("IsRefusedToFlagsThatContradictItsConfig", func(t *testing.T) { testUpRefusesOtherPorts(t, p) })
	t.Run("HasMistakesOfItsConfigReportedByLine", func(t *testing.T) { testUpReportsConfigMistakes(t, p) })
}

func testUpSecrets(t *testing.T, p *upPlace, run *upRun) {
	for _, name := range []string{"credentials", "token", "howdah.toml"} {
		info, err := os.Stat(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode().Perm())
		}
	}
	var databases []string
	for line := range strings.Lines(p.read("credentials")) {
		cfg, err := pgx.ParseConfig(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("a line of credentials is no URL: %v", err)
		}
		if len(cfg.Password) < 24 || int(cfg.Port) != p.pooler {
			t.Errorf("%s: password of %d characters, port %d", cfg.User, len(cfg.Password), cfg.Port)
		}
		if strings.Contains(p.read("howdah.toml"), cfg.Password) {
			t.Errorf("howdah.toml holds the password of %s", cfg.User)
		}
		databases = append(databases, cfg.User+"@"+cfg.Database)
	}
	if got := fmt.Sprint(databases); got != "[acme@acme globex@globex admin@howdah]" {
		t.Errorf("credentials are for %s", got)
	}
	if !strings.Contains(run.output(), p.password("acme")) {
		t.Error("the first start did not print how to log in")
	}
	p.onlyItsTenantMayConnect(t)
}

// onlyItsTenantMayConnect tries, at the server itself, the other tenant's door.
func (p *upPlace) onlyItsTenantMayConnect(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	url := fmt.Sprintf("postgres://acme:%s@127.0.0.1:%d/globex", p.password("acme"), p.primary)
	conn, err := pgx.Connect(ctx, url)
	if err == nil {
		_ = conn.Close(ctx)
		t.Fatal("acme may connect to globex")
	}
	if !strings.Contains(err.Error(), "42501") {
		t.Errorf("acme at globex: %v", err)
	}
}

func testUpRefusesSecond(t *testing.T, p *upPlace, run *upRun) {
	code, text := p.fails()
	want := fmt.Sprintf("another `howdah up` (pid %d) runs in %s", run.cmd.Process.Pid, p.dir)
	if code != 1 || !strings.Contains(text, want) {
		t.Errorf("exit code %d, %q; want %q", code, text, want)
	}
}

func testUpNamesPortHolder(t *testing.T, p *upPlace) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.standby))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	code, text := p.fails()
	for _, want := range []string{strconv.Itoa(p.standby), "the standby", fmt.Sprintf("(pid %d)", os.Getpid()), "--standby-port"} {
		if code != 1 || !strings.Contains(text, want) {
			t.Errorf("exit code %d, %q lacks %q", code, text, want)
		}
	}
	if _, err := os.Stat(filepath.Join(p.dir, "primary")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made before the port was found taken: %v", err)
	}
}

func testUpNamesPackage(t *testing.T, p *upPlace) {
	p.environ = append(p.environ, "HOWDAH_PG_BINDIR="+t.TempDir())
	if code, text := p.fails(); code != 1 || !strings.Contains(text, "apt-get install postgresql") {
		t.Errorf("exit code %d, %q", code, text)
	}
}

func testUpRefusesOtherPorts(t *testing.T, p *upPlace) {
	other := *p
	other.primary = wiretest.FreePort(t)
	code, text := other.fails()
	if code != 2 || !strings.Contains(text, "--primary-port") || !strings.Contains(text, strconv.Itoa(p.primary)) {
		t.Errorf("exit code %d, %q", code, text)
	}
}

func testUpReportsConfigMistakes(t *testing.T, p *upPlace) {
	path := filepath.Join(p.dir, "howdah.toml")
	if err := os.WriteFile(path, []byte("\n\nnonsense = 1\n"+p.read("howdah.toml")), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, text := p.fails(); code != 3 || !strings.Contains(text, "howdah.toml:3:") {
		t.Errorf("exit code %d, %q", code, text)
	}
}
