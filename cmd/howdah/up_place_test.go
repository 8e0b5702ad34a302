package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/wire/wiretest"
)

// patience is how long one step of `up` may take on a busy machine; the
// contract's own times are asserted where they matter.
const patience = 60 * time.Second

// upPlace is where a test runs `up`.
type upPlace struct {
	t                              *testing.T
	program, dir                   string
	primary, standby, pooler, http int
	environ                        []string
	web                            []string // of the environment of commands: how they come in
}

func newUpPlace(t *testing.T, program string) *upPlace {
	return &upPlace{
		t: t, program: program, dir: filepath.Join(wiretest.ServerDir(t), "howdah"), environ: os.Environ(),
		primary: wiretest.FreePort(t), standby: wiretest.FreePort(t), pooler: wiretest.FreePort(t), http: wiretest.FreePort(t),
	}
}

func (p *upPlace) command() *exec.Cmd {
	flag := func(name string, port int) string { return fmt.Sprintf("--%s=%d", name, port) }
	cmd := exec.Command(p.program, "up", "--dir", p.dir, flag("port", p.pooler), flag("http-port", p.http),
		flag("primary-port", p.primary), flag("standby-port", p.standby))
	cmd.Env = p.environ
	return cmd
}

// fails runs `up` where it must refuse, and returns how it did.
func (p *upPlace) fails() (code int, text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := p.command()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		p.t.Fatalf("up did not fail: %v\n%s", err, out)
	}
	return exit.ExitCode(), string(out)
}

func (p *upPlace) read(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// url is the line of the credentials for a tenant.
func (p *upPlace) url(tenant string) string {
	p.t.Helper()
	for line := range strings.Lines(p.read("credentials")) {
		if line = strings.TrimSpace(line); strings.HasSuffix(line, "/"+tenant) {
			return line
		}
	}
	p.t.Fatalf("no credentials for %s", tenant)
	return ""
}

func (p *upPlace) password(tenant string) string {
	p.t.Helper()
	cfg, err := pgx.ParseConfig(p.url(tenant))
	if err != nil {
		p.t.Fatal(err)
	}
	return cfg.Password
}

func (p *upPlace) exec(tenant, sql string) {
	p.t.Helper()
	if err := p.tryExec(tenant, sql); err != nil {
		p.t.Fatal(err)
	}
}

func (p *upPlace) tryExec(tenant, sql string) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.url(tenant))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func (p *upPlace) queryInt(tenant, sql string) (n int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.url(tenant))
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, sql).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// postmaster is the process id a server notes in its data directory, 0 while it
// notes none.
func (p *upPlace) postmaster(name string) int {
	text, err := os.ReadFile(filepath.Join(p.dir, name, "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return 0
	}
	return pid
}

// upRun is one running `up`.
type upRun struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}

	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

// Write takes what `up` prints.
func (r *upRun) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *upRun) output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// start runs `up` and waits until it says it is ready.
func (p *upPlace) start() *upRun {
	p.t.Helper()
	r := p.launch()
	r.waitFor("ready in")
	r.waitFor("what Prometheus reads")
	return r
}

// launch runs `up`.
func (p *upPlace) launch() *upRun {
	p.t.Helper()
	r := &upRun{t: p.t, cmd: p.command(), done: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = r, r
	if err := r.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(r.done)
		_ = r.cmd.Wait() // its exit code is looked at in stop
	}()
	p.t.Cleanup(func() {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		<-r.done
		if p.t.Failed() {
			p.t.Logf("up printed:\n%s", r.output())
		}
	})
	return r
}

func (r *upRun) waitFor(text string) {
	r.t.Helper()
	waitUntil(r.t, func() bool {
		select {
		case <-r.done:
			r.t.Fatalf("up ended before it printed %q:\n%s", text, r.output())
		default:
		}
		return strings.Contains(r.output(), text)
	})
}

// stop asks `up` to end and holds it to its 8 seconds.
func (r *upRun) stop() {
	r.t.Helper()
	asked := time.Now()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	select {
	case <-r.done:
	case <-time.After(patience):
		r.t.Fatal("up does not stop")
	}
	if took := time.Since(asked); took > 8*time.Second {
		r.t.Errorf("up took %v to stop", took)
	}
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		r.t.Errorf("up ended with exit code %d:\n%s", code, r.output())
	}
}

func (r *upRun) kill() {
	r.t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	<-r.done
}

// waitUntil waits for something other processes do, which nothing signals.
func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("it did not happen within %v", patience)
}
