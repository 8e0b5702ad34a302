package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cpuTime is what a process has used so far, over all its threads, ended ones
// too.
type cpuTime struct{ user, system time.Duration }

func (c cpuTime) sub(d cpuTime) cpuTime { return cpuTime{c.user - d.user, c.system - d.system} }

func (c cpuTime) total() time.Duration { return c.user + c.system }

// clockTick is USER_HZ, fixed in Linux's interface to user space. The sum of
// user and system is exact to a tick; the split between them is the kernel's
// estimate.
const clockTick = 10 * time.Millisecond

// readCPU reads /proc/PID/stat (proc(5)): fields 14 and 15.
func readCPU(pid int) (cpuTime, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return cpuTime{}, fmt.Errorf("read CPU time: %w", err)
	}
	return parseStat(string(text))
}

func parseStat(text string) (cpuTime, error) {
	_, rest, ok := strings.Cut(text[strings.LastIndexByte(text, ')')+1:], " ") // the name may hold spaces
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return cpuTime{}, fmt.Errorf("read CPU time: unexpected %q", text)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return cpuTime{time.Duration(user) * clockTick, time.Duration(system) * clockTick}, errors.Join(err1, err2)
}

// readRuntime returns for how long the threads that a process has now have run, to the
// nanosecond (/proc/PID/task/TID/schedstat). Between two readings no thread may end.
func readRuntime(pid int) (total time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("read the threads' run time of process %d: %w", pid, errors.Join(err, os.ErrNotExist))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, fmt.Errorf("read a thread's run time: %w", err)
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read a thread's run time: %w", err)
		}
		total += time.Duration(n)
	}
	return total, nil
}

// machineTime is what all processors together have done so far.
type machineTime struct{ busy, idle time.Duration }

func (m machineTime) sub(n machineTime) machineTime {
	return machineTime{m.busy - n.busy, m.idle - n.idle}
}

// readMachine reads the first line of /proc/stat (proc(5)).
func readMachine() (machineTime, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}, fmt.Errorf("read the machine's CPU time: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return parseMachine(line)
}

// parseMachine adds up user nice system idle iowait irq softirq steal; guests
// are in user already, and stolen time is lost to us like busy time.
func parseMachine(line string) (m machineTime, err error) {
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return m, fmt.Errorf("read the machine's CPU time: unexpected %q", line)
	}
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return m, fmt.Errorf("read the machine's CPU time: %w", err)
		}
		if i == 3 || i == 4 {
			m.idle += time.Duration(n) * clockTick
		} else {
			m.busy += time.Duration(n) * clockTick
		}
	}
	return m, nil
}

// readRSS returns resident bytes as the kernel counts them page by page;
// /proc/PID/status may lag behind.
func readRSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("read resident memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "Rss:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("read resident memory: no Rss in %q", text)
}

// readPeak returns the most resident memory that a process has had, in MB.
func readPeak(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read peak memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kb / 1e3, err
		}
	}
	return 0, fmt.Errorf("read peak memory: no VmHWM in %q", text)
}
