package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// readPostmasterFile returns the process id and the state ("starting",
// "standby", "ready", "stopping") a server notes in its data directory; 0 and
// "" when the file is absent or not complete yet. Its lines are described in
// PostgreSQL's miscadmin.h and pidfile.h.
func readPostmasterFile(dir string) (pid int, state string) {
	text, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 8 {
		return 0, ""
	}
	pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return 0, ""
	}
	return pid, strings.TrimSpace(lines[7])
}

// StopLeftover ends the server processes in the data directory that an owner
// who was killed left behind, and says whether there were any. They are known
// by what they are, not by a number in a file: a program named postgres whose
// working directory is the data directory. A server is stopped fast; when ctx
// ends first everything left is killed.
func (s *Server) StopLeftover(ctx context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runningLocked() {
		return false, fmt.Errorf("stop leftover server in %q: it is our own", s.cfg.Dir)
	}
	pids := serverProcesses(s.cfg.Dir)
	if len(pids) == 0 {
		return false, nil
	}
	if pid, _ := readPostmasterFile(s.cfg.Dir); slices.Contains(pids, pid) {
		_ = syscall.Kill(pid, Fast.signal()) // it may have ended just now
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for len(pids) > 0 {
		select {
		case <-ctx.Done():
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return true, nil
		case <-tick.C:
			pids = serverProcesses(s.cfg.Dir)
		}
	}
	return true, nil
}

// serverProcesses lists the server's processes, the postmaster among them.
// Backends outlive a killed postmaster for a moment, and a new one refuses to
// start while a process of the old one is attached to its shared memory.
func serverProcesses(dir string) []int {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil || cwd != real {
			continue
		}
		// Its name, not /proc/PID/exe: that is gone as soon as an ending process
		// begins to give its memory back, and the shared memory with it.
		name, err := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
		if err == nil && strings.TrimSpace(string(name)) == "postgres" {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killServer ends a server of ours and its backends, which are in sessions of
// their own and would notice the postmaster's end only later.
func killServer(child *Child) {
	cwd, cwdErr := os.Readlink(fmt.Sprintf("/proc/%d/cwd", child.PID()))
	child.Signal(syscall.SIGKILL)
	<-child.Done()
	if cwdErr != nil || cwd == "/" { // it never got as far as its data directory
		return
	}
	for pids := serverProcesses(cwd); len(pids) > 0; pids = serverProcesses(cwd) {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(time.Millisecond)
	}
	removeMemory(cwd)
}
