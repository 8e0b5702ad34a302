package main_test

import (
	"strings"
	"testing"
	"time"
)

// restoresTenant has a tenant be restored beside itself; its cluster was backed up.
func (p *upPlace) restoresTenant(t *testing.T, name string) {
	t.Helper()
	p.refused(2, "--to when", "tenant", "restore", name)
	p.refused(1, "time zone", "tenant", "restore", name, "--to", "2026-01-31 10:42")
	p.refused(1, "in the future", "tenant", "restore", name, "--to", "2999-01-01T00:00:00Z")
	p.refused(1, "oldest base backup", "tenant", "restore", name, "--to", time.Now().Add(-24*time.Hour).Format(time.RFC3339), "--dry-run")
	p.refused(4, "not found", "tenant", "restore", "nobody", "--to", "latest")
	p.refused(2, "--yes", "tenant", "restore", name, "--to", "latest", "--no-neutralise")
	if got := p.done("tenant", "restore", name, "--to", "latest", "--dry-run"); !strings.Contains(got, "estimate") || !strings.Contains(got, "base backup") {
		t.Errorf("the plan is %s", got)
	}
	got := p.done("tenant", "restore", name, "--to", "latest", "--json")
	for _, want := range []string{
		name + "_restored", "the database refers to 3 files, of which 1 are stored; 1 are kept by another program than Odoo; 1 are missing: aa/", `"missing": 1`,
		"howdah filestore restore --cluster main --database " + name + " --from-database postgres://" + name + "_restored@/" + name + "_restored --into",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the restored tenant is %s, want %q", got, want)
		}
	}
	p.admin(name, "drop table ir_attachment")
	p.done("tenant", "drop", name+"_restored", "--yes", "--no-export")
	p.refused(2, "--yes", "tenant", "restore", name, "--to", "latest", "--swap")
	p.refused(4, "not found", "tenant", "restore", name, "--undo", "--yes")
	p.pageRestores(t, name)
}

// swapUnderLoad swaps a tenant, and back, whose clients do not stop.
func (p *upPlace) swapUnderLoad(t *testing.T, name string, goesOn func()) {
	t.Helper()
	if got := p.done("tenant", "restore", name, "--to", "latest", "--swap", "--yes"); !strings.Contains(got, "--undo") {
		t.Errorf("the swapped tenant is %s", got)
	}
	if got := p.done("tenant", "list", "--dropped"); !strings.Contains(got, name) {
		t.Errorf("what it had is not in the list: %s", got)
	}
	goesOn()
	p.done("tenant", "restore", name, "--undo", "--yes")
	goesOn()
	p.done("tenant", "purge", name, "--yes")
}
