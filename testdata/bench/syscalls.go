package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// calls counts system calls by name.
type calls map[string]int

// total counts all of them.
func (c calls) total() (n int) {
	for _, count := range c {
		n += count
	}
	return n
}

// runSyscalls counts each pooler's system calls under strace, which slows it but
// does not change what it asks of the kernel much. pgbench's logins are counted
// by a run of one transaction per client and taken off.
func (b *bench) runSyscalls(ctx context.Context) error {
	l := load{mode: "simple", clients: 64}
	figure := b.report.add(fmt.Sprintf("system calls per transaction, %v", l), valueAtMost(4.5))
	for _, c := range b.poolers {
		p, err := b.startPooler(ctx, c, b.overDatabase())
		if err != nil {
			return err
		}
		defer p.stop()
		if _, err := b.pgbench(ctx, p.port, 0, l, "-T", "1"); err != nil { // so that all servers are there
			return p.explain(err)
		}
		perTransaction, err := b.countCalls(ctx, p, l)
		if err != nil {
			return p.explain(err)
		}
		var sum float64
		for _, n := range perTransaction {
			sum += n
		}
		figure.sample(c, sum)
		b.say("system calls, %v: %.2f", c, sum)
		b.report.note("System calls per transaction, %v: %s.", c, breakDown(perTransaction))
	}
	return nil
}

// countCalls returns calls per transaction by name.
func (b *bench) countCalls(ctx context.Context, p *pooler, l load) (map[string]float64, error) {
	few, fewDone, err := b.trace(ctx, p, l, "-t", "1")
	if err != nil {
		return nil, err
	}
	many, manyDone, err := b.trace(ctx, p, l, "-T", strconv.Itoa(b.seconds))
	if err != nil {
		return nil, err
	}
	if manyDone <= fewDone {
		return nil, fmt.Errorf("only %d transactions under strace", manyDone)
	}
	result := make(map[string]float64, len(many))
	for name, n := range many {
		result[name] = float64(n-few[name]) / float64(manyDone-fewDone)
	}
	return result, nil
}

// trace attaches strace, runs the load, detaches, and returns what was counted
// with the transactions done.
func (b *bench) trace(ctx context.Context, p *pooler, l load, howLong ...string) (calls, int, error) {
	table := filepath.Join(b.dir, "strace.txt")
	cmd := exec.CommandContext(ctx, b.programs.strace, "-c", "-f", "-o", table, "-p", strconv.Itoa(p.child.PID()))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // it detaches; KILL would hurt the pooler
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, 0, err
	}
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	lines := bufio.NewScanner(stderr)
	if !lines.Scan() || !strings.Contains(lines.Text(), "attached") {
		said := lines.Text()
		return nil, 0, fmt.Errorf("run %s: %s: %w", strings.Join(cmd.Args, " "), said, errors.Join(cmd.Cancel(), cmd.Wait()))
	}
	o, err := b.pgbench(ctx, p.port, 0, l, howLong...)
	stopErr := cmd.Process.Signal(syscall.SIGINT)
	for lines.Scan() { // its word on detaching, thread by thread
	}
	_ = cmd.Wait() // ends by the signal we sent
	if err := errors.Join(err, stopErr); err != nil {
		return nil, 0, err
	}
	text, err := os.ReadFile(table)
	if err != nil {
		return nil, 0, err
	}
	counted, err := parseStrace(string(text))
	return counted, o.transactions, err
}

// parseStrace reads the table of strace -c: the fourth column counts, the last
// one names.
func parseStrace(text string) (calls, error) {
	counted := calls{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[len(fields)-1] == "total" {
			continue
		}
		if n, err := strconv.Atoi(fields[3]); err == nil {
			counted[fields[len(fields)-1]] += n
		}
	}
	if counted.total() == 0 {
		return nil, fmt.Errorf("read strace's table: nothing counted in %q", text)
	}
	return counted, nil
}

// breakDown lists the calls that matter, most frequent first.
func breakDown(perTransaction map[string]float64) string {
	var names []string
	for name, n := range perTransaction {
		if n >= 0.005 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if perTransaction[a] > perTransaction[b] {
			return -1
		}
		return 1
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %.2f", name, perTransaction[name])
	}
	return strings.Join(names, ", ")
}
