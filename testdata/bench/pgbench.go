package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// load is what pgbench does: without a script -S, one SELECT by primary key.
type load struct {
	script    string // file
	mode      string // simple, extended, prepared
	clients   int
	tls       bool
	reconnect bool // a new connection for each transaction
}

// outcome is what came of a run.
type outcome struct {
	tps          float64
	transactions int
	cpu          cpuTime // of the pooler; zero where there is none
}

// micros is the CPU time per transaction.
func (o outcome) micros(d time.Duration) float64 {
	return float64(d) / float64(time.Microsecond) / float64(o.transactions)
}

// arguments of pgbench, apart from how long it runs and where it connects.
func (l load) arguments() []string {
	args := []string{"-n", "-M", l.mode, "-c", strconv.Itoa(l.clients), "-j", strconv.Itoa(min(2, l.clients))}
	if l.script == "" {
		args = append(args, "-S")
	} else {
		args = append(args, "-f", l.script)
	}
	if l.reconnect {
		args = append(args, "-C")
	}
	return args
}

// pgbench runs a load against a port of 127.0.0.1. pid is whose CPU time is
// wanted, 0 for nobody's. howLong is -T with seconds or -t with transactions.
func (b *bench) pgbench(ctx context.Context, port, pid int, l load, howLong ...string) (o outcome, err error) {
	cmd := b.pgbenchCommand(ctx, port, l, howLong...)
	var before, after cpuTime
	if pid != 0 {
		if before, err = readCPU(pid); err != nil {
			return o, err
		}
	}
	text, err := output(cmd)
	if err != nil {
		return o, err
	}
	if pid != 0 {
		if after, err = readCPU(pid); err != nil {
			return o, err
		}
	}
	o, err = parsePgbench(text)
	o.cpu = after.sub(before)
	return o, err
}

// pgbenchCommand is pgbench with a load against a port of 127.0.0.1.
func (b *bench) pgbenchCommand(ctx context.Context, port int, l load, howLong ...string) *exec.Cmd {
	args := append(l.arguments(), howLong...)
	cmd := exec.CommandContext(ctx, b.programs.pgbench, append(args, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", tenant, tenant)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	sslmode := "disable"
	if l.tls {
		sslmode = "require"
	}
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "PGSSLMODE="+sslmode, "LC_ALL=C.UTF-8")
	return cmd
}

// parsePgbench reads pgbench's summary.
func parsePgbench(text string) (o outcome, err error) {
	tps := regexp.MustCompile(`(?m)^tps = ([0-9.]+)`).FindStringSubmatch(text)
	done := regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`).FindStringSubmatch(text)
	if tps == nil || done == nil {
		return o, fmt.Errorf("read pgbench's summary: unexpected\n%s", lastLines(text))
	}
	var err1, err2 error
	o.tps, err1 = strconv.ParseFloat(tps[1], 64)
	o.transactions, err2 = strconv.Atoi(done[1])
	if err := errors.Join(err1, err2); err != nil {
		return o, fmt.Errorf("read pgbench's summary: %w", err)
	}
	if failed := regexp.MustCompile(`(?m)^number of failed transactions: (\d+)`).FindStringSubmatch(text); failed != nil && failed[1] != "0" {
		return o, fmt.Errorf("pgbench counts failed transactions:\n%s", lastLines(text))
	}
	if o.transactions == 0 {
		return o, errors.New("pgbench did no transaction")
	}
	return o, nil
}

func (l load) String() string {
	words := []string{"-M " + l.mode, fmt.Sprintf("%d clients", l.clients)}
	if l.clients == 1 {
		words[1] = "1 client"
	}
	if l.tls {
		words = append(words, "TLS")
	}
	if l.reconnect {
		words = append(words, "-C")
	}
	return strings.Join(words, ", ")
}
