package router_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"howdah/wire/wiretest"
)

// pgbench is a run of PostgreSQL's own load through a door. It gives up a
// client at its first error, and the others go on; its log has every transaction
// that ended well.
type pgbench struct {
	cmd    *exec.Cmd
	out    bytes.Buffer
	prefix string // of its logs' names
}

// pgbenchProgram is where pgbench is.
func pgbenchProgram(t *testing.T) string {
	t.Helper()
	path := wiretest.FindPostgres(t).Path("pgbench")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	path, err := exec.LookPath("pgbench")
	if err != nil {
		t.Fatalf("%v: install it with: apt-get install postgresql-contrib", err)
	}
	return path
}

// pgbench starts a load of a tenant's for some time: TPC-B, or with -f a
// script, which is read only.
func (d *door) pgbench(t *testing.T, tenant string, clients int, howLong time.Duration, args ...string) *pgbench {
	t.Helper()
	host, port, _ := net.SplitHostPort(d.address)
	p := &pgbench{prefix: filepath.Join(t.TempDir(), "log")}
	ctx, cancel := context.WithTimeout(context.Background(), howLong+patience)
	t.Cleanup(cancel)
	args = append([]string{
		"-n", "-c", strconv.Itoa(clients), "-T", strconv.Itoa(int(howLong.Seconds())), "-l", "--log-prefix=" + p.prefix,
		"-h", host, "-p", port, "-U", tenant,
	}, append(args, tenant)...)
	p.cmd = exec.CommandContext(ctx, pgbenchProgram(t), args...)
	p.cmd.Env = append(os.Environ(), "PGPASSWORD="+secret, "PGSSLMODE=disable", "LC_ALL=C.UTF-8")
	if slices.Contains(args, "-f") {
		p.cmd.Env = append(p.cmd.Env, "PGOPTIONS=-c default_transaction_read_only=on")
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// fillPgbench makes pgbench's tables in a tenant's database.
func (h *house) fillPgbench(t *testing.T, tenant string) {
	t.Helper()
	runTool(t, exec.CommandContext(t.Context(), pgbenchProgram(t), "-i", "-q", "-n", h.URL(tenant, secret, tenant)))
}

// outcome is what became of one client of pgbench.
type outcome struct {
	transactions int
	last         time.Time // end of the last one that ended well
	aborted      bool
}

var (
	abortedClient = regexp.MustCompile(`client (\d+) (?:script \d+ )?aborted`)
	loggedLine    = regexp.MustCompile(`^(\d+) \d+ \d+ \d+ (\d+) (\d+)`)
)

// wait waits for its end and returns what became of each client.
func (p *pgbench) wait(t *testing.T, clients int) []outcome {
	t.Helper()
	_ = p.cmd.Wait() // it fails where clients were given up
	all := make([]outcome, clients)
	for _, m := range abortedClient.FindAllStringSubmatch(p.out.String(), -1) {
		client, _ := strconv.Atoi(m[1])
		all[client].aborted = true
	}
	logs, err := filepath.Glob(p.prefix + "*")
	if err != nil || len(logs) == 0 {
		t.Fatalf("pgbench logged nothing (%v):\n%s", err, p.out.String())
	}
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			m := loggedLine.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("pgbench's log has %q", line)
			}
			var client int
			var seconds, micros int64
			if _, err := fmt.Sscan(m[1]+" "+m[2]+" "+m[3], &client, &seconds, &micros); err != nil {
				t.Fatal(err)
			}
			o := &all[client]
			o.transactions++
			if end := time.Unix(seconds, micros*1000); end.After(o.last) {
				o.last = end
			}
		}
	}
	return all
}
