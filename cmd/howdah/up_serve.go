package main

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
	"time"

	"howdah/wire/postgres"
)

// serveProcess is the `howdah serve` child of `howdah up`.
type serveProcess struct {
	folder upFolder // static

	mu    sync.Mutex
	child *postgres.Child // nil before the first Start
}

func newServeProcess(folder upFolder) *serveProcess { return &serveProcess{folder: folder} }

// Start starts the process and does not wait until it serves.
func (s *serveProcess) Start(context.Context) error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find our own program: %w", err)
	}
	log, err := os.OpenFile(s.folder.log("howdah"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	cmd := exec.Command(executable, "serve", "-c", s.folder.config())
	cmd.Stdout, cmd.Stderr = log, log
	child, err := postgres.StartChild(cmd, syscall.SIGINT)
	if err := errors.Join(err, log.Close()); err != nil {
		return fmt.Errorf("start `howdah serve`: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child = child
	return nil
}

func (s *serveProcess) current() *postgres.Child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child
}

// Done is closed when the process has ended.
func (s *serveProcess) Done() <-chan struct{} { return s.current().Done() }

// Outcome says how it ended, after Done, with the last line of its log.
func (s *serveProcess) Outcome() string {
	outcome := s.current().Outcome()
	text, err := os.ReadFile(s.folder.log("howdah"))
	if err != nil {
		return outcome
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return outcome + ": " + lines[len(lines)-1]
}

// stop drains the process for a part of the time, then ends it.
func (s *serveProcess) stop(drain, rest time.Duration) {
	child := s.current()
	if child == nil {
		return
	}
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, drain}, {syscall.SIGINT, rest}} {
		child.Signal(step.signal)
		select {
		case <-child.Done():
			return
		case <-time.After(step.wait):
		}
	}
	child.Signal(syscall.SIGKILL)
	<-child.Done()
}

// stopLeftover ends serving processes of this folder that are not our child,
// and says whether there were any. When ctx ends first they are killed.
func (s *serveProcess) stopLeftover(ctx context.Context) bool {
	pids := s.processes()
	if len(pids) == 0 {
		return false
	}
	signal := syscall.SIGINT
	for ; len(pids) > 0; pids = s.processes() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, signal) // it may have ended just now
		}
		select {
		case <-ctx.Done():
			signal = syscall.SIGKILL
		case <-time.After(50 * time.Millisecond):
		}
	}
	return true
}

// processes lists the processes that serve this folder's configuration.
func (s *serveProcess) processes() []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is constant and valid
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !strings.HasSuffix(string(text), "\x00serve\x00-c\x00"+s.folder.config()+"\x00") {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
