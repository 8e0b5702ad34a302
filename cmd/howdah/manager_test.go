package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// databaseManager has a tenant's role do what Odoo's database manager does, and the
// catalog follow.
func (p *upPlace) databaseManager(t *testing.T) {
	t.Helper()
	cfg := p.makeTenant("odoo")
	p.admin("postgres", "alter role odoo createdb")
	dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=odoo dbname=postgres password='%s'", p.pooler, cfg.Password)
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "../../testdata/python/manager.py", dsn, t.TempDir())
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, _ := cmd.StdinPipe()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	there := strings.Fields(lines.Text())
	if want := []string{"manager", "odoo", "raw", "renamed", "twin"}; !slices.Equal(there, want) {
		t.Errorf("Odoo sees the databases %q, want %q", there, want)
	}
	if told := p.tenantsOf(t, "odoo"); !slices.Equal(told, there) {
		t.Errorf("the role has the databases %q, the catalog %q", there, told)
	}
	in.Close()
	lines.Scan()
	if err := cmd.Wait(); err != nil || lines.Text() != "ok" {
		t.Errorf("the database manager: %v, %s%s", err, lines.Text(), errs.String())
	}
	if told := p.tenantsOf(t, "odoo"); !slices.Equal(told, []string{"odoo"}) {
		t.Errorf("the catalog has %q of the role", told)
	}
}

// tenantsOf returns the databases of the tenants that are a user's.
func (p *upPlace) tenantsOf(t *testing.T, user string) (databases []string) {
	t.Helper()
	var all []struct{ Database, User string }
	if err := json.Unmarshal([]byte(p.done("tenant", "list", "--json")), &all); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range all {
		if tenant.User == user {
			databases = append(databases, tenant.Database)
		}
	}
	slices.Sort(databases)
	return databases
}
