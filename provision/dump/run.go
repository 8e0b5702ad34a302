package dump

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"howdah/wire/postgres"
)

// quitWithin is how long a program has to end when it is told to: it cancels what
// its server connections do.
const quitWithin = 10 * time.Second

// program is one run of pg_dump or pg_restore.
type program struct {
	tools   postgres.Binaries
	name    string
	args    []string
	login   Login
	scratch *Scratch // where its output goes
}

// run runs the program to its end and returns what it printed. It ends with ctx, and
// with this process however that ends. Its messages become the error's text.
func (p *program) run(ctx context.Context) (output string, err error) {
	stdout, err := os.Create(p.scratch.file(p.name + ".out"))
	if err != nil {
		return "", fmt.Errorf("run %s: %w", p.name, err)
	}
	defer stdout.Close()
	stderr, err := os.Create(p.scratch.file(p.name + ".err"))
	if err != nil {
		return "", fmt.Errorf("run %s: %w", p.name, err)
	}
	defer stderr.Close()
	cmd := exec.Command(p.tools.Path(p.name), append(p.args, "--no-password")...) //nolint:noctx // it is told to end, and cancels its queries
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Dir = p.scratch.Dir
	cmd.Env = append(postgres.CleanEnviron(os.Environ()), p.login.environ()...)
	child, err := postgres.StartChild(cmd, syscall.SIGTERM)
	if err != nil {
		return "", fmt.Errorf("run %s: %w", p.name, err)
	}
	if err := ended(ctx, child); err != nil {
		return "", fmt.Errorf("run %s: %w", p.name, err)
	}
	if err := child.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", p.name, complaint(stderr, err))
	}
	text, err := os.ReadFile(stdout.Name())
	return string(text), err
}

// ended waits until a program has ended; it returns an error when ctx was first.
func ended(ctx context.Context, child *postgres.Child) error {
	select {
	case <-child.Done():
		return nil
	case <-ctx.Done():
	}
	// Its workers are in its process group.
	_ = syscall.Kill(-child.PID(), syscall.SIGTERM) // it may have ended just now
	select {
	case <-child.Done():
	case <-time.After(quitWithin):
		_ = syscall.Kill(-child.PID(), syscall.SIGKILL)
		<-child.Done()
	}
	return context.Cause(ctx)
}

// maxErrors bounds how many error lines are told.
const maxErrors = 10

// ErrNoSpace is of a disk that is full.
var ErrNoSpace = errors.New("no space left on the disk")

// ErrServerFull is of a server whose disk is full: no other dump could be restored either.
var ErrServerFull = errors.New("the server's disk is full")

// ErrContents is of a dump that does not fit where it goes: trying again is of no use.
var ErrContents = errors.New("the dump cannot be restored")

// complaint makes an error of what a program has written. What stands in a line of
// data, and the statement that failed, are left out: they are the tenant's.
func complaint(stderr *os.File, exit error) error {
	var all []string
	if _, err := stderr.Seek(0, io.SeekStart); err != nil {
		return errors.Join(exit, err)
	}
	for lines := bufio.NewScanner(stderr); lines.Scan() && len(all) < maxErrors; {
		text := strings.TrimSpace(lines.Text())
		if _, message, ok := strings.Cut(text, "error: "); ok {
			all = append(all, strings.TrimPrefix(message, "could not execute query: ERROR:  "))
		} else if _, entry, ok := strings.Cut(text, "from TOC entry "); ok {
			all = append(all, "at "+entry)
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("it ended with %w", exit)
	}
	text := strings.Join(all, "; ")
	if strings.Contains(text, "No space left on device") {
		return fmt.Errorf("%w: %s", ErrNoSpace, text)
	}
	return errors.New(text)
}

// file is the path of one of the programs' own files.
func (s *Scratch) file(name string) string { return filepath.Join(s.Dir, name) }
