package admin_test

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"howdah/admin"
)

// TestPsql talks to the console with the client that operators use.
func TestPsql(t *testing.T) {
	t.Parallel()
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Fatal("psql is not installed: apt-get install postgresql-client")
	}
	server := startConsole(t, &admin.Console{Pooler: busyPooler()})
	run := func(user, database, text string) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, psql, "-X", "-A", "-h", "127.0.0.1", "-p", strconv.Itoa(server.addr.Port),
			"-U", user, "-d", database, "-c", text)
		cmd.Env = append(cmd.Environ(), "PGCONNECT_TIMEOUT=20", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, database := range []string{"pgbouncer", "howdah"} {
		out, err := run("watcher", database, "SHOW VERSION;")
		if err != nil || out != "version\nPgBouncer 1.25.2\n(1 row)\n" {
			t.Errorf("%s: %q, %v", database, out, err)
		}
		out, err = run("watcher", database, "SHOW POOLS")
		lines := strings.Split(out, "\n")
		if err != nil || strings.Count(lines[0], "|") != 16 || !strings.HasPrefix(lines[1], "acme|acme|5|4|") {
			t.Errorf("%s: %q, %v", database, out, err)
		}
	}
	if out, err := run("boss", "howdah", "PAUSE acme;"); err != nil || out != "PAUSE\n" {
		t.Errorf("PAUSE: %q, %v", out, err)
	}
	if out, err := run("watcher", "howdah", "PAUSE acme;"); err == nil || out != "ERROR:  admin access needed\n" {
		t.Errorf("PAUSE by a stats user: %q, %v", out, err)
	}
	if out, err := run("acme", "howdah", "SHOW POOLS"); err == nil || !strings.Contains(out, `user "acme" may not use the console`) {
		t.Errorf("a tenant's user: %q, %v", out, err)
	}
	if out, _ := run("watcher", "howdah", "SHOW HELP"); !strings.Contains(out, "NOTICE:  Console usage") {
		t.Errorf("SHOW HELP: %q", out)
	}
}
