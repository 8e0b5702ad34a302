package router_test

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// python is where Debian's own packages are found.
const python = "/usr/bin/python3"

// TestPythonClients runs the scenarios of testdata/python/clients.py: psycopg2
// and psql, through three servers. The heap must stay flat throughout.
func TestPythonClients(t *testing.T) {
	if out, err := exec.Command(python, "-c", "import psycopg2").CombinedOutput(); err != nil {
		t.Fatalf("psycopg2 is missing; install it with: apt-get install python3-psycopg2 (%v: %s)", err, out)
	}
	h := startHouse(t)
	h.sql(t, "grant create on schema public to acme")
	d := h.open(t, poolSize(3))
	host, port, _ := net.SplitHostPort(d.address)
	dsn := fmt.Sprintf("host=%s port=%s user=acme dbname=acme sslmode=disable password='%s'",
		host, port, strings.ReplaceAll(secret, "'", `\'`))
	for _, scenario := range []string{
		"transactions", "autocommit", "errors", "copy", "named_cursor", "big_result", "cancel", "ctrl_c", "borrowed", "vanish",
	} {
		t.Run(scenario, func(t *testing.T) {
			w := watchHeap(t)
			ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, python, "../testdata/python/clients.py", dsn, scenario)
			out, err := cmd.CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "ok" {
				t.Fatalf("%v\n%s", err, out)
			}
			w.wantFlat(t, few)
			d.atRest(t)
		})
	}
}
