package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"howdah/admin"
	"howdah/admin/api"
	"howdah/admin/fleet"
	"howdah/router"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// desk is an API over a catalog that has a token of each role.
type desk struct {
	t      *testing.T
	url    string
	tokens map[string]string // by role
	fleet  *fleet.Fleet
	away   bool
	taken  []string // base backups that were asked for
	taking error    // what they are refused with

	postgres *postgres.Server
	api      *api.API
	server   *httptest.Server
	limits   atomic.Pointer[api.Limits]
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	server := wiretest.StartPostgres(t)
	url := server.AdminURL(postgres.Superuser)
	c, err := catalog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	d := &desk{t: t, postgres: server, tokens: map[string]string{}}
	err = c.Change(t.Context(), catalog.Actor{Name: "test"}, func(tx *catalog.Tx) error {
		for _, role := range []string{"viewer", "operator", "admin", "tenant"} {
			token := catalog.Token{Name: role, Role: role}
			if role == "tenant" {
				token.Tenant = "acme"
			}
			d.tokens[role] = catalog.NewTokenText()
			if _, err := tx.AddToken(token, d.tokens[role]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	registry := tenants.NewRegistry(snapshot(t, url))
	d.fleet, err = fleet.New(t.Context(), "node", fleet.Config{
		Catalog: c, Registry: registry, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Check: func([]catalog.Entry) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.api = api.New(api.Config{
		Registry: registry, Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Console: &admin.Console{Pooler: figures{}, Backups: someBackups, TenantBackups: tenantBackups},
		Limits:  func() api.Limits { return *d.limits.Load() },
		TakeBackup: func(cluster, why string) error {
			d.taken = append(d.taken, cluster+": "+why)
			return d.taking
		},
		ClientRole: func(name string) string {
			return map[string]string{"deploy": "operator", "grafana": "viewer", "keeper": "admin"}[name]
		},
		Fleet: func() (*fleet.Fleet, error) {
			if d.away {
				return nil, io.ErrClosedPipe
			}
			return d.fleet, nil
		},
	})
	d.server = httptest.NewUnstartedServer(d.api)
	t.Cleanup(d.server.Close)
	d.limits.Store(&api.Limits{})
	d.server.Start()
	d.url = d.server.URL
	return d
}

// run has operations be run until the test ends.
func (d *desk) run() {
	ctx, cancel := context.WithCancel(d.t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = d.fleet.Run(ctx) })
	d.t.Cleanup(func() { cancel(); done.Wait() })
}

// figures is a pooler that has two pools.
type figures struct{ admin.Pooler }

func (figures) Stats() router.Stats {
	c := router.Counters{Transactions: 2, Queries: 3}
	return router.Stats{Started: time.Now(), Pools: []router.PoolStats{
		{Database: "acme", User: "acme", Mode: "transaction", ClientsActive: 1, ClientsIdle: 2, ServersIdle: 4, MaxWait: 1500 * time.Millisecond, Counters: c},
		{Database: "acme", User: "report", Mode: "transaction", Counters: c},
	}}
}

func (figures) Usage() map[string]tenants.Usage {
	return map[string]tenants.Usage{"globex": {Size: 2 << 30, Quota: 1 << 30, State: tenants.QuotaOver}}
}

func (figures) Budgets() []router.BudgetRow {
	row := router.BudgetRow{Cluster: "main"}
	row.Seats, row.Used, row.Waiting, row.Moved = 50, 12, 2, 7
	return []router.BudgetRow{row}
}

// snapshot has two tenants of the file.
func snapshot(t *testing.T, admin string) *tenants.Snapshot {
	t.Helper()
	s, err := tenants.NewSnapshot([]tenants.Cluster{{Name: "main", AdminURL: admin}}, []tenants.Tier{{Name: "gold"}, {Name: "own store", Backup: tenants.BackupPolicy{Exports: "own"}}},
		[]tenants.Tenant{{Name: "acme", Cluster: "main", Database: "acme", User: "acme", Tier: "gold"}, {Name: "globex", Cluster: "main", Database: "globex", User: "globex", Limits: tenants.Limits{Quota: 1 << 30}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask makes a request with a token, "" for none, and returns status and body.
func (d *desk) ask(method, path, token, body string) (int, string, http.Header) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

const anID = "00000000-0000-4000-8000-000000000000"

// permissions is who may use which endpoint: the least role, and whether a token may that
// is bound to the tenant in the path.
func permissions() map[string]struct {
	least string
	own   bool
} {
	type p = struct {
		least string
		own   bool
	}
	return map[string]p{
		"GET /api/v1/tenants":                      {"viewer", false},
		"POST /api/v1/tenants":                     {"operator", false},
		"GET /api/v1/tenants/{name}":               {"viewer", true},
		"PATCH /api/v1/tenants/{name}":             {"operator", false},
		"DELETE /api/v1/tenants/{name}":            {"admin", false},
		"POST /api/v1/tenants/{name}/suspend":      {"operator", false},
		"POST /api/v1/tenants/{name}/clone":        {"admin", false},
		"POST /api/v1/tenants/{name}/move":         {"operator", false},
		"POST /api/v1/tenants/{name}/restore":      {"admin", false},
		"POST /api/v1/tenants/{name}/restore/undo": {"admin", false},
		"POST /api/v1/tenants/{name}/resume":       {"operator", false},
		"POST /api/v1/tenants/{name}/grace":        {"operator", false},
		"POST /api/v1/tenants/{name}/rename":       {"operator", false},
		"POST /api/v1/tenants/{name}/rotate":       {"admin", false},
		"POST /api/v1/master-key/reseal":           {"admin", false},
		"POST /api/v1/imports":                     {"admin", false},
		"POST /api/v1/tenants/{name}/exports":      {"operator", false},
		"GET /api/v1/tenants/{name}/exports":       {"viewer", false},
		"GET /api/v1/exports":                      {"viewer", false},
		"PUT /api/v1/exports/{id}/hold":            {"operator", false},
		"DELETE /api/v1/exports/{id}/hold":         {"admin", false},
		"GET /api/v1/dropped":                      {"viewer", false},
		"DELETE /api/v1/dropped/{name}":            {"admin", false},
		"POST /api/v1/dropped/{name}/undrop":       {"admin", false},
		"GET /api/v1/clusters":                     {"viewer", false},
		"GET /api/v1/clusters/{name}":              {"viewer", false},
		"PUT /api/v1/clusters/{name}":              {"admin", false},
		"PATCH /api/v1/clusters/{name}":            {"admin", false},
		"DELETE /api/v1/clusters/{name}":           {"admin", false},
		"POST /api/v1/clusters/{name}/backups":     {"operator", false},
		"GET /api/v1/clusters/{name}/backups":      {"viewer", false},
		"GET /api/v1/clusters/{name}/drills":       {"viewer", false},
		"GET /api/v1/clusters/{name}/wal":          {"viewer", false},

		"PUT /api/v1/clusters/{name}/backups/{id}/hold":    {"operator", false},
		"DELETE /api/v1/clusters/{name}/backups/{id}/hold": {"admin", false},
		"GET /api/v1/tenants/{name}/plan":                  {"operator", false},
		"GET /api/v1/tiers":                                {"viewer", false},
		"GET /api/v1/tiers/{name}":                         {"viewer", false},
		"PUT /api/v1/tiers/{name}":                         {"admin", false},
		"PATCH /api/v1/tiers/{name}":                       {"admin", false},
		"DELETE /api/v1/tiers/{name}":                      {"admin", false},
		"GET /api/v1/pools":                                {"viewer", false},
		"GET /api/v1/stats":                                {"viewer", false},
		"GET /api/v1/jobs":                                 {"viewer", false},
		"GET /api/v1/jobs/{id}":                            {"viewer", false},
		"GET /api/v1/jobs/{id}/events":                     {"viewer", false},
		"POST /api/v1/jobs/{id}/cancel":                    {"operator", false},
		"POST /api/v1/jobs/{id}/resume":                    {"operator", false},
		"GET /api/v1/me":                                   {"viewer", false},
		"GET /api/v1/tokens":                               {"admin", false},
		"POST /api/v1/tokens":                              {"admin", false},
		"POST /api/v1/tokens/{name}/rotate":                {"admin", false},
		"DELETE /api/v1/tokens/{name}":                     {"admin", false},
		"GET /api/v1/audit":                                {"admin", false},
		"POST /api/v1/review/end":                          {"admin", false},
	}
}

// TestPermissions asks for every endpoint of the OpenAPI document with every role, and
// without a token. An endpoint that is in no row of the table fails.
func TestPermissions(t *testing.T) {
	d := newDesk(t)
	var document struct {
		OpenAPI string                                `json:"openapi"`
		Paths   map[string]map[string]json.RawMessage `json:"paths"`
	}
	_, text, _ := d.ask("GET", "/openapi.json", "", "")
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %q", document.OpenAPI)
	}
	if strings.Contains(text, `"null"`) {
		t.Error("the document says that something may be null: nothing is")
	}
	table, seen := permissions(), 0
	ranks := []string{"viewer", "operator", "admin"}
	for path, methods := range document.Paths {
		for method := range methods {
			endpoint := strings.ToUpper(method) + " " + path
			row, ok := table[endpoint]
			if !ok {
				t.Errorf("%s: the table does not say who may", endpoint)
				continue
			}
			seen++
			for _, name := range []string{"acme", "globex"} {
				at := strings.NewReplacer("{name}", name, "{id}", anID).Replace(path)
				for role, token := range d.tokens {
					want := slices.Index(ranks, role) >= slices.Index(ranks, row.least)
					if role == "tenant" {
						want = row.own && name == "acme"
					}
					body := "" // where one is needed, none is a bad request: who may not is told so first
					status, text, _ := d.ask(strings.ToUpper(method), at, token, body)
					if got := status != http.StatusForbidden; got != want || status == http.StatusUnauthorized {
						t.Errorf("%s on %s as %s: %d %s", endpoint, name, role, status, text)
					}
				}
				for _, token := range []string{"", "howdah_wrong", d.tokens["admin"] + "x"} {
					status, text, _ := d.ask(strings.ToUpper(method), at, token, "")
					if status != http.StatusUnauthorized {
						t.Errorf("%s with token %q: %d %s", endpoint, token, status, text)
					}
				}
			}
		}
	}
	if seen != len(table) {
		t.Errorf("%d endpoints, the table has %d", seen, len(table))
	}
	d.onlyAdminsChooseStores()
}

// onlyAdminsChooseStores asks for what has a tenant's data be stored elsewhere.
func (d *desk) onlyAdminsChooseStores() {
	d.t.Helper()
	for _, test := range []struct {
		method, path, body string
		adminsOnly         bool
	}{
		{"PATCH", "/tenants/acme", `{"export_store": "own"}`, true},
		{"PATCH", "/tenants/acme", `{"export_store": null}`, true},
		{"PATCH", "/tenants/acme", `{"tier": "own store"}`, true},
		{"PATCH", "/tenants/globex", `{"tier": "gold"}`, false},
		{"PATCH", "/tenants/acme", `{"tier": null}`, false},
		{"POST", "/tenants?dry_run=true", `{"name": "x", "settings": {"export_store": "own"}}`, true},
		{"POST", "/tenants?dry_run=true", `{"name": "x", "settings": {"pool_size": 3}}`, false},
		{"POST", "/tenants/acme/move?dry_run=true", `{"to": "main", "another_store": true}`, true},
		{"POST", "/tenants/acme/move?dry_run=true", `{"to": "main"}`, false},
	} {
		for role, allowed := range map[string]bool{"operator": !test.adminsOnly, "admin": true} {
			status, text, _ := d.ask(test.method, "/api/v1"+test.path, d.tokens[role], test.body)
			if status == http.StatusForbidden == allowed || status == http.StatusBadRequest {
				d.t.Errorf("%s %s with %s as %s: %d %s", test.method, test.path, test.body, role, status, text)
			}
		}
	}
}

func TestBadRequests(t *testing.T) {
	d := newDesk(t)
	admin := d.tokens["admin"]
	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/api/v1/tenants", `{"name":""}`, 422, "the name is empty"},
		{"POST", "/api/v1/tenants", `{"name":"postgres"}`, 422, "reserved"},
		{"POST", "/api/v1/tenants", `{"name":"a\"; drop database acme; --"}`, 422, "character"},
		{"POST", "/api/v1/tenants", `{"name":"` + strings.Repeat("x", 64) + `"}`, 422, "63"},
		{"POST", "/api/v1/tenants", `{"name":"ok","cluster":"nowhere"}`, 422, "nowhere"},
		{"POST", "/api/v1/tenants", `{"name":"acme"}`, 409, "exists"},
		{"POST", "/api/v1/tenants", `{"name":"ok","database":"acme"}`, 409, `is tenant \"acme\"'s`},
		{"POST", "/api/v1/tenants", `{"name":"ok","nmae":1}`, 422, "unexpected property"},
		{"POST", "/api/v1/tenants", `{"name":`, 400, ""},
		{"POST", "/api/v1/tenants", "", 400, ""},
		{"PATCH", "/api/v1/tenants/acme", `{"pool_size":1}`, 409, "howdah.toml"},
		{"PATCH", "/api/v1/tenants/nobody", `{"pool_size":1}`, 404, "nobody"},
		{"POST", "/api/v1/tenants/acme/grace", `{}`, 409, "howdah.toml"},
		{"POST", "/api/v1/tenants/acme/grace", `{"for":-1}`, 422, "for"},
		{"DELETE", "/api/v1/tenants/acme", "", 409, "howdah.toml"},
		{"DELETE", "/api/v1/tenants/acme?keep=-1", "", 422, "keep"},
		{"DELETE", "/api/v1/tenants/acme?keep=NaN", "", 422, "keep"},
		{"DELETE", "/api/v1/tenants/acme?keep=1e300", "", 422, "keep"},
		{"GET", "/api/v1/tenants/acme/plan?operation=explode", "", 422, "operation"},
		{"GET", "/api/v1/tenants/acme/plan?operation=drop", "", 409, "howdah.toml"},
		{"GET", "/api/v1/tenants/acme/plan?operation=drop&keep=NaN", "", 422, "keep"},
		{"GET", "/api/v1/tenants/nobody/plan?operation=undrop", "", 404, "nobody"},
		{"POST", "/api/v1/dropped/acme/undrop", "", 404, "acme"},
		{"PUT", "/api/v1/tiers/gold", `{}`, 409, "howdah.toml"},
		{"PUT", "/api/v1/tiers/Bad!", `{}`, 422, "Bad!"},
		{"GET", "/api/v1/jobs/" + anID, "", 404, anID},
		{"GET", "/api/v1/jobs/x", "", 422, "uuid"},
		{"POST", "/api/v1/tokens", `{"name":"x","role":"root"}`, 422, "role"},
		{"POST", "/api/v1/tokens", `{"name":"x","role":"tenant"}`, 422, "names its tenant"},
		{"POST", "/api/v1/tokens", `{"name":"admin","role":"viewer"}`, 409, "exists"},
		{"POST", "/api/v1/tokens", `{"name":"x","role":"viewer","expires":"2001-01-01T00:00:00Z"}`, 422, "expired"},
		{"POST", "/api/v1/tokens", `{"name":"x","role":"tenant","tenant":"nobody"}`, 422, `tenant \"nobody\"`},
		{"POST", "/api/v1/tokens/nobody/rotate", `{}`, 404, "nobody"},
		{"POST", "/api/v1/tokens/viewer/rotate", `{"overlap":-1}`, 422, "overlap"},
		{"POST", "/api/v1/tokens/viewer/rotate", `{"overlap":1e300}`, 422, "overlap"},
		{"POST", "/api/v1/tenants", `{"name":"ok","password":"a\u0000b"}`, 422, "NUL"},
		{"POST", "/api/v1/tenants", `{"name":"ok","password":"told-nobody","nmae":1}`, 422, "nmae"},
		{"POST", "/api/v1/tenants", `{"name":"ok","password":"told-nobody"`, 400, "JSON"},
		{"PUT", "/api/v1/tiers/x", `{"standby_users":["a\u0000b"]}`, 422, "NUL"},
		{"GET", "/api/v1/tenants/%00", "", 422, "NUL"},
		{"GET", "/api/v1/tenants/%ff", "", 422, "UTF-8"},
		{"GET", "/api/v1/jobs?tenant=%00", "", 422, "NUL"},
		{"GET", "/api/v1/audit?after=99999", "", 404, "99999"},
		{"GET", "/api/v1/nothing", "", 404, "/openapi.json"},
		{"POST", "/api/v2/tenants", `{"name":"told-nobody"}`, 404, "endpoint"},
		{"GET", "/api/", "", 404, "endpoint"},
		{"GET", "/api/v1/tenants/", "", 404, "endpoint"},
		{"GET", "/api/v1//nothing", "", 404, "endpoint"},
		{"PUT", "/api/v1/tenants/acme", `{}`, 405, "DELETE, GET, HEAD, PATCH"},
		{"BREW", "/api/v1/jobs", "", 405, "GET"},
	} {
		status, text, header := d.ask(test.method, test.path, admin, test.body)
		if status != test.status || !strings.Contains(text, test.says) {
			t.Errorf("%s %s %s: %d %s, want %d with %q", test.method, test.path, test.body, status, text, test.status, test.says)
		}
		if kind := header.Get("Content-Type"); status >= 400 && kind != "application/problem+json" {
			t.Errorf("%s %s: an error as %s", test.method, test.path, kind)
		}
		if allow := header.Get("Allow"); (status == http.StatusMethodNotAllowed) != (allow != "") || !strings.Contains(text, allow) {
			t.Errorf("%s %s: allowed is %q", test.method, test.path, allow)
		}
		if strings.Contains(text, "told-nobody") {
			t.Errorf("%s %s: a password is told: %s", test.method, test.path, text)
		}
	}
	status, text, header := d.ask("POST", "/api/v1/tenants", admin, `{"name":"`+strings.Repeat("x", 100<<20)+`"}`)
	if status != http.StatusRequestEntityTooLarge || header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a body of 100 MB: %d %s %.200s", status, header.Get("Content-Type"), text)
	}
}

func TestETags(t *testing.T) {
	d := newDesk(t)
	admin := d.tokens["admin"]
	put := func(header, value, body string) (int, string, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "PUT", d.url+"/api/v1/tiers/silver", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+admin)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(header, value)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, answer.Header.Get("ETag"), string(text)
	}
	status, first, text := put("If-None-Match", "*", `{"weight":2,"max_lag":1.5}`)
	if status != 200 || first == "" {
		t.Fatalf("made: %d %s", status, text)
	}
	if status, _, text := put("If-None-Match", "*", `{}`); status != http.StatusConflict {
		t.Errorf("made twice: %d %s", status, text)
	}
	status, second, text := put("If-Match", first, `{"weight":3}`)
	if status != 200 || second == first {
		t.Errorf("changed: %d %s", status, text)
	}
	if status, _, text := put("If-Match", first, `{"weight":4}`); status != http.StatusPreconditionFailed {
		t.Errorf("changed from an old revision: %d %s", status, text)
	}
	if status, _, text := put("If-Match", "nonsense", `{}`); status != http.StatusPreconditionFailed {
		t.Errorf("a strange ETag: %d %s", status, text)
	}
	e, err := d.fleet.Catalog.Entry(t.Context(), catalog.Tier, "silver")
	if err != nil || e.Settings["weight"] != int64(3) {
		t.Errorf("%+v, %v", e, err)
	}
}

// A token goes on with the text that it had for as long as was said, and its role stays.
func TestRotateToken(t *testing.T) {
	d := newDesk(t)
	rotate := func(body string) (made api.NewToken) {
		t.Helper()
		status, text, _ := d.ask("POST", "/api/v1/tokens/operator/rotate", d.tokens["admin"], body)
		if status != http.StatusOK || json.Unmarshal([]byte(text), &made) != nil || made.Role != "operator" {
			t.Fatal(status, text)
		}
		return made
	}
	first := d.tokens["operator"]
	second := rotate(`{"overlap":3600}`)
	if second.OldUntil == nil || time.Until(*second.OldUntil) > time.Hour {
		t.Errorf("%+v", second)
	}
	let := func(want int, tokens ...string) {
		t.Helper()
		for i, token := range tokens {
			if status, text, _ := d.ask("POST", "/api/v1/tenants/acme/suspend", token, ""); status != want {
				t.Errorf("token %d: %d %s, want %d", i, status, text, want)
			}
		}
	}
	let(http.StatusConflict, first, second.Text) // it may, but acme is howdah.toml's
	third := rotate(`{}`)
	let(http.StatusUnauthorized, first, second.Text)
	let(http.StatusConflict, third.Text)
	last, err := d.fleet.Catalog.LastRecords(t.Context(), "operator", 1)
	if err != nil || len(last) != 1 || last[0].Action != "rotate" || last[0].Actor != "admin" || last[0].After["overlap"] != "0s" {
		t.Errorf("the audit log says %+v, %v", last, err)
	}
	expired := time.Now().Add(-time.Hour)
	err = d.fleet.Catalog.Change(t.Context(), catalog.Actor{Name: "test"}, func(tx *catalog.Tx) error {
		_, err := tx.AddToken(catalog.Token{Name: "gone", Role: "viewer", Expires: &expired}, catalog.NewTokenText())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if status, text, _ := d.ask("POST", "/api/v1/tokens/gone/rotate", d.tokens["admin"], `{}`); status != 422 || !strings.Contains(text, "expired") {
		t.Errorf("a token that has expired: %d %s", status, text)
	}
}

// TestJobEvents follows a job that is cancelled.
func TestJobEvents(t *testing.T) {
	d := newDesk(t)
	status, text, header := d.ask("POST", "/api/v1/tenants", d.tokens["operator"], `{"name":"initech"}`)
	if status != http.StatusAccepted {
		t.Fatal(status, text)
	}
	if !strings.Contains(text, `"password"`) || header.Get("Location") == "" {
		t.Errorf("%s at %q", text, header.Get("Location"))
	}
	followed := make(chan string, 1)
	go func() {
		_, text, _ := d.ask("GET", header.Get("Location")+"/events", d.tokens["viewer"], "")
		followed <- text
	}()
	status, busy, _ := d.ask("POST", "/api/v1/tenants", d.tokens["operator"], `{"name":"initech"}`)
	if id := strings.TrimPrefix(header.Get("Location"), "/api/v1/jobs/"); status != http.StatusConflict || !strings.Contains(busy, id) {
		t.Errorf("a second job on the tenant: %d %s", status, busy)
	}
	if status, text, _ := d.ask("POST", header.Get("Location")+"/cancel", d.tokens["operator"], ""); status != 200 {
		t.Fatal(status, text)
	}
	d.run()
	select {
	case text := <-followed:
		if !strings.Contains(text, `"state":"queued"`) && !strings.Contains(text, `"state":"running"`) || !strings.Contains(text, `"state":"cancelled"`) {
			t.Errorf("events: %s", text)
		}
	case <-time.After(time.Minute):
		t.Fatal("the events do not end")
	}
}

func TestMe(t *testing.T) {
	d := newDesk(t)
	for _, role := range []string{"viewer", "operator", "admin"} {
		var me api.Me
		if status, text, _ := d.ask("GET", "/api/v1/me", d.tokens[role], ""); status != 200 || json.Unmarshal([]byte(text), &me) != nil || me != (api.Me{Name: role, Role: role}) {
			t.Errorf("%s: %d %s", role, status, text)
		}
	}
}

// The page of another site may read nothing, as no answer says that it may; and have nothing
// be done, even if the browser shows a certificate.
func TestOtherSites(t *testing.T) {
	d := newDesk(t)
	for _, test := range []struct {
		method, site, origin string
		status               int
	}{
		{"POST", "cross-site", "https://evil.example", http.StatusForbidden},
		{"POST", "same-site", "", http.StatusForbidden},
		{"POST", "", "https://evil.example", http.StatusForbidden}, // of an old browser
		{"POST", "same-origin", d.url, http.StatusAccepted},
		{"GET", "cross-site", "https://evil.example", http.StatusOK},
		{"POST", "", "", http.StatusAccepted}, // no browser
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, d.url+"/api/v1/clusters/main/backups", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+d.tokens["operator"])
		for name, value := range map[string]string{"Sec-Fetch-Site": test.site, "Origin": test.origin} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != test.status || answer.Header.Get("Access-Control-Allow-Origin") != "" || test.status == 403 && answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%+v: %d %v", test, answer.StatusCode, answer.Header)
		}
	}
}

// An operator may not have a drop undone, or go on, that only an admin may begin.
func TestOperatorsSteerWhatTheyMayBegin(t *testing.T) {
	d := newDesk(t)
	ids := map[string]string{}
	err := d.fleet.Catalog.Change(t.Context(), catalog.Actor{Name: "test"}, func(tx *catalog.Tx) error {
		for _, kind := range []string{"drop", "suspend"} {
			o, err := tx.Begin(kind, kind, nil)
			if err != nil {
				return err
			}
			ids[kind] = o.ID
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		role, kind string
		status     int
	}{{"operator", "drop", 403}, {"operator", "suspend", 200}, {"admin", "drop", 200}} {
		if status, text, _ := d.ask("POST", "/api/v1/jobs/"+ids[test.kind]+"/cancel", d.tokens[test.role], ""); status != test.status {
			t.Errorf("%s cancels a %s: %d %s", test.role, test.kind, status, text)
		}
	}
}

func TestCatalogIsAway(t *testing.T) {
	d := newDesk(t)
	d.away = true
	if status, text, _ := d.ask("GET", "/api/v1/tenants", d.tokens["admin"], ""); status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", status, text)
	}
}

func TestAuditIsExported(t *testing.T) {
	d := newDesk(t)
	status, text, header := d.ask("GET", "/api/v1/audit", d.tokens["admin"], "")
	if status != 200 || header.Get("Content-Type") != "application/jsonl" {
		t.Fatal(status, header, text)
	}
	lines := bytes.Split(bytes.TrimSpace([]byte(text)), []byte("\n"))
	if len(lines) != len(d.tokens) {
		t.Errorf("%d lines: %s", len(lines), text)
	}
	for _, line := range lines {
		var l struct {
			Record catalog.Record
			Hash   string
			Broken bool
		}
		if err := json.Unmarshal(line, &l); err != nil || l.Broken || len(l.Hash) != 64 || l.Record.Kind != "token" {
			t.Errorf("%s: %v", line, err)
		}
	}
	if v, err := catalog.Verify(strings.NewReader(text), func(int64, string) {}); err != nil || v.First != 1 || v.Last != int64(len(lines)) {
		t.Errorf("%+v, %v", v, err)
	}
	if _, last, _ := d.ask("GET", "/api/v1/audit?last=1", d.tokens["admin"], ""); last != string(lines[len(lines)-1])+"\n" {
		t.Errorf("the last line is %s", last)
	}
	for role, token := range d.tokens {
		if strings.Contains(text, token) {
			t.Errorf("the log has the token of %s", role)
		}
	}
}
