package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// describeMachine is the line that a figure means nothing without.
func describeMachine(ctx context.Context, b *bench) string {
	parts := []string{
		fmt.Sprintf("%d cores (%s)", runtime.NumCPU(), processorName()),
		"PostgreSQL " + b.database.version,
	}
	if b.measures(bouncer) {
		parts = append(parts, b.programs.pgbouncer.String())
	}
	if b.measures(howdah) {
		parts = append(parts, howdahVersion(ctx, b.programs.howdah))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		parts = append(parts, "load at the start "+strings.Fields(string(load))[0])
	}
	parts = append(parts, time.Now().Format("2006-01-02"))
	return strings.Join(parts, ", ")
}

// processorName is the first "model name" of /proc/cpuinfo; ARM has none.
func processorName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func howdahVersion(ctx context.Context, path string) string {
	text, err := output(exec.CommandContext(ctx, path, "version"))
	if err != nil {
		return "Howdah of unknown version"
	}
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return "Howdah " + strings.TrimPrefix(strings.TrimPrefix(first, "howdah "), "Howdah ")
}
