package main_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// clones makes copies of a tenant that has a table "kept".
func (p *upPlace) clones(t *testing.T, tenant *pgx.ConnConfig) {
	t.Helper()
	name := tenant.Database
	p.refused(2, "its clone's", "tenant", "clone", name)
	p.refused(2, "--yes", "tenant", "clone", name, "staging", "--no-neutralise")
	p.refused(5, "exists", "tenant", "clone", name, "globex")
	p.refused(4, "not found", "tenant", "clone", "nobody", "staging")
	p.refused(1, "reserved", "tenant", "clone", name, "postgres")
	p.refused(1, "nowhere", "tenant", "clone", name, "staging", "--cluster", "nowhere")
	p.refused(5, "howdah.toml", "tenant", "clone", "acme", "staging")
	if got := p.done("tenant", "clone", name, "staging", "--dry-run", "--how", "dump"); !strings.Contains(got, "by dump (it was asked for); its clients are not held") || !strings.Contains(got, "neutralise it as role \"staging\"") {
		t.Errorf("the plan is %s", got)
	}
	for _, how := range []string{"template", "dump"} {
		var made struct{ Name, Source, User, Password, URL, How string }
		if err := json.Unmarshal([]byte(p.done("tenant", "clone", name, "by-"+how, "--how", how, "--json")), &made); err != nil {
			t.Fatal(err)
		}
		if made.Name != "by-"+how || made.Source != name || made.How != how || !strings.Contains(made.URL, made.Password) {
			t.Errorf("made %+v", made)
		}
		clone := tenant.Copy()
		clone.Database, clone.User, clone.Password = made.Name, made.User, made.Password
		if err := p.try(clone, "insert into kept select 2"); err != nil {
			t.Errorf("the clone by %s: %v", how, err)
		}
		if err := p.try(tenant, "insert into kept select 1 / (2 - count(*)) from kept"); err != nil {
			t.Errorf("the source: %v", err)
		}
		if err := p.try(tenant, "delete from kept where ctid <> (select min(ctid) from kept)"); err != nil {
			t.Error(err)
		}
		clone.User, clone.Password = tenant.User, tenant.Password
		if err := p.try(clone, "select 1"); err == nil {
			t.Errorf("the source's user gets into the clone by %s", how)
		}
		p.done("tenant", "drop", made.Name, "--yes")
		p.done("tenant", "purge", made.Name, "--yes")
	}
}
