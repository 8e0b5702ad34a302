package main_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"howdah/admin/page/browsertest"
)

// pageRestores has a browser show the page of a running `up`, and puts back there what one
// client has deleted: beside first, then in the tenant's place; and takes that back.
func (p *upPlace) pageRestores(t *testing.T, name string) {
	t.Helper()
	invoices := func(database string, n int) {
		t.Helper()
		p.admin(database, fmt.Sprintf("do $$ begin assert (select count(*) from invoices) = %d; end $$", n))
	}
	p.admin(name, "create table invoices as select n from generate_series(1, 100) n")
	p.admin(name, "alter table invoices owner to "+name)
	time.Sleep(1100 * time.Millisecond) // the moment is told to the second
	moment := time.Now().UTC().Truncate(time.Second)
	p.admin(name, "delete from invoices")

	tab := browsertest.Open(t, "http://127.0.0.1:"+strconv.Itoa(p.http)+"/")
	tab.Fill("Token", strings.TrimSpace(p.read("token")))
	tab.Press("Sign in")
	tab.Sees("WAL: receiving")
	tab.Sees("Base backups of main")
	tab.Screenshot("up clusters")
	tab.Press("Tenants")
	tab.Fill("Search", name)
	tab.Press(name)
	tab.Sees("Restorable: ")
	tab.Press("Restore to a moment…")
	tab.Fill("Exact moment", "2001-01-01T00:00:00Z")
	tab.Press("Dry run")
	tab.Sees("oldest base backup")
	tab.Fill("Exact moment", moment.Format(time.RFC3339))
	tab.Fill("Its name", "found")
	tab.Press("Dry run")
	tab.Sees("It can be done")
	tab.Screenshot("up plan")
	tab.Press("Restore beside")
	tab.Sees("The password is told once")
	tab.WaitFor(2*patience, "document.querySelector('dialog')?.innerText.includes('Tenant found is what "+name+" was at')")
	tab.Screenshot("up beside")
	invoices("found", 100)
	invoices(name, 0)

	tab.Press("Swap this moment in for " + name + "…")
	tab.Press("Dry run")
	tab.Fill("To confirm", name)
	tab.Press("Restore, and swap")
	tab.WaitFor(2*patience, "document.querySelector('dialog')?.innerText.includes('"+name+" goes on with what it was at')")
	invoices(name, 100)
	tab.Press("Undo the swap…")
	tab.Fill("To confirm", name)
	tab.Press("Swap back")
	tab.Sees(name + " has the database back")
	invoices(name, 0)
	tab.Press("Close")
	tab.Sees("Kept from a swap")
	tab.Screenshot("up tenant")
	p.done("tenant", "drop", "found", "--yes", "--no-export")
	p.done("tenant", "purge", "found", "--yes")
	p.done("tenant", "purge", name, "--yes")
	p.admin(name, "drop table invoices")
}
