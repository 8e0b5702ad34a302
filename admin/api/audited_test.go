package api_test

import (
	"strings"
	"testing"
	"time"

	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// unseen are changing endpoints that are not asked here, with the reason.
func unseen() map[string]string {
	return map[string]string{
		"POST /api/v1/tenants/{name}/move":                 "it takes two clusters, and begins its job as the others do",
		"POST /api/v1/tenants/{name}/exports":              "it takes a store, and begins its job as the others do",
		"POST /api/v1/tenants/{name}/restore":              "it takes a store, and begins its job as the others do",
		"POST /api/v1/tenants/{name}/restore/undo":         "it takes a tenant that was restored, and begins its job as the others do",
		"POST /api/v1/imports":                             "it takes an export, and begins its job as the others do",
		"PUT /api/v1/exports/{id}/hold":                    "it takes an export: package fleet's tests look",
		"DELETE /api/v1/exports/{id}/hold":                 "it takes an export: package fleet's tests look",
		"PUT /api/v1/clusters/{name}/backups/{id}/hold":    "it takes a base backup: package fleet's tests look",
		"DELETE /api/v1/clusters/{name}/backups/{id}/hold": "it takes a base backup: package fleet's tests look",
		"POST /api/v1/master-key/reseal":                   "it takes a sealed secret, and changes users' entries as others do",
	}
}

// changing are the endpoints that change something: what is asked of each. NAME is a tenant
// of the catalog that has a database.
func changing(toCancel, toResume string) map[string]struct{ path, body string } {
	type p = struct{ path, body string }
	return map[string]p{
		"POST /api/v1/tenants":                 {"/api/v1/tenants", `{"name":"fresh"}`},
		"PATCH /api/v1/tenants/{name}":         {"/api/v1/tenants/NAME", `{"pool_size":3}`},
		"DELETE /api/v1/tenants/{name}":        {"/api/v1/tenants/NAME", ""},
		"POST /api/v1/tenants/{name}/suspend":  {"/api/v1/tenants/NAME/suspend", ""},
		"POST /api/v1/tenants/{name}/clone":    {"/api/v1/tenants/NAME/clone", `{"name":"copy"}`},
		"POST /api/v1/tenants/{name}/resume":   {"/api/v1/tenants/NAME/resume", ""},
		"POST /api/v1/tenants/{name}/grace":    {"/api/v1/tenants/NAME/grace", `{}`},
		"POST /api/v1/tenants/{name}/rename":   {"/api/v1/tenants/NAME/rename", `{"name":"renamed"}`},
		"POST /api/v1/tenants/{name}/rotate":   {"/api/v1/tenants/NAME/rotate", `{"overlap":0}`},
		"DELETE /api/v1/dropped/{name}":        {"/api/v1/dropped/purged", ""},
		"POST /api/v1/dropped/{name}/undrop":   {"/api/v1/dropped/undropped/undrop", ""},
		"POST /api/v1/clusters/{name}/backups": {"/api/v1/clusters/main/backups", ""},
		"PUT /api/v1/clusters/{name}":          {"/api/v1/clusters/put", `{"budget":3}`},
		"PATCH /api/v1/clusters/{name}":        {"/api/v1/clusters/patched", `{"budget":3}`},
		"DELETE /api/v1/clusters/{name}":       {"/api/v1/clusters/deleted", ""},
		"PUT /api/v1/tiers/{name}":             {"/api/v1/tiers/put", `{"weight":3}`},
		"PATCH /api/v1/tiers/{name}":           {"/api/v1/tiers/patched", `{"weight":3}`},
		"DELETE /api/v1/tiers/{name}":          {"/api/v1/tiers/deleted", ""},
		"POST /api/v1/jobs/{id}/cancel":        {"/api/v1/jobs/" + toCancel + "/cancel", ""},
		"POST /api/v1/jobs/{id}/resume":        {"/api/v1/jobs/" + toResume + "/resume", ""},
		"POST /api/v1/tokens":                  {"/api/v1/tokens", `{"name":"fresh","role":"viewer"}`},
		"POST /api/v1/tokens/{name}/rotate":    {"/api/v1/tokens/operator/rotate", `{}`},
		"DELETE /api/v1/tokens/{name}":         {"/api/v1/tokens/tenant", ""},
		"POST /api/v1/review/end":              {"/api/v1/review/end", ""},
	}
}

// TestEveryChangeIsAudited asks for every endpoint that changes something, and looks into
// the audit log. One that is in no table fails.
func TestEveryChangeIsAudited(t *testing.T) {
	d := newDesk(t)
	asked := changing(d.setUp())
	n := 0
	for endpoint := range permissions() {
		method, _, _ := strings.Cut(endpoint, " ")
		if method == "GET" || unseen()[endpoint] != "" {
			continue
		}
		a, ok := asked[endpoint]
		if !ok {
			t.Errorf("%s: no table says how it changes something, and whether that is in the audit log", endpoint)
			continue
		}
		if strings.Contains(a.path, "NAME") {
			n++
			name := "tenant" + string(rune('a'+n))
			d.addTenant(name)
			a.path = strings.Replace(a.path, "NAME", name, 1)
		}
		before := d.lastLine()
		status, text, _ := d.ask(method, a.path, d.tokens["admin"], a.body)
		switch last := d.lastLine(); {
		case last.Seq <= before.Seq:
			t.Errorf("%s: %d %s, and no line of the audit log", endpoint, status, text)
		case last.Actor != "admin" || last.Door != "http" || last.From != "127.0.0.1":
			t.Errorf("%s: the audit log has %+v", endpoint, last)
		}
	}
}

func (d *desk) lastLine() catalog.Record {
	d.t.Helper()
	last, err := d.fleet.Catalog.LastRecords(d.t.Context(), "", 1)
	if err != nil {
		d.t.Fatal(err)
	}
	return last[0]
}

// must stops the test for an error.
func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) change(f func(*catalog.Tx) error) {
	d.t.Helper()
	d.must(d.fleet.Catalog.Change(d.t.Context(), catalog.Actor{Name: "test"}, f))
}

// addTenant makes a tenant that has a database.
func (d *desk) addTenant(name string) {
	d.t.Helper()
	d.must(d.postgres.Exec(d.t.Context(), postgres.Superuser, "create role "+name, "create database "+name+" owner "+name))
	d.change(func(tx *catalog.Tx) error {
		if err := tx.Create(catalog.User, name, "", catalog.Settings{"verifier": "SCRAM-SHA-256$marked"}); err != nil {
			return err
		}
		return tx.Create(catalog.Tenant, name, "", catalog.Settings{"cluster": "main", "database": name, "user": name})
	})
}

// setUp has what the changes need: jobs to be cancelled and resumed, and so on.
func (d *desk) setUp() (toCancel, toResume string) {
	d.t.Helper()
	d.change(func(tx *catalog.Tx) error {
		for i, name := range []string{"purged", "undropped"} {
			id := anID[:len(anID)-1] + string(rune('1'+i))
			settings := catalog.Settings{"cluster": "main", "database": name, "user": name}
			if err := tx.AddDropped(&catalog.Dropped{Operation: id, ID: id, Name: name, Settings: settings, User: catalog.Settings{}, Purge: time.Now()}); err != nil {
				return err
			}
		}
		for _, kind := range []catalog.Kind{catalog.Cluster, catalog.Tier} {
			for _, name := range []string{"patched", "deleted"} {
				if err := tx.Create(kind, name, "", nil); err != nil {
					return err
				}
			}
		}
		for id, name := range map[*string]string{&toCancel: "cancelled", &toResume: "resumed"} {
			o, err := tx.Begin("suspend", name, nil)
			if err != nil {
				return err
			}
			*id = o.ID
		}
		return tx.Exec("update howdah.operation set state = 'attention' where tenant = 'resumed'")
	})
	return toCancel, toResume
}
