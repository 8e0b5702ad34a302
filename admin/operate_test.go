package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/admin"
	"howdah/admin/fleet"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// house is a Fleet over a catalog of its own, which runs nothing: what is begun stays
// queued.
type house struct {
	fleet    *fleet.Fleet
	registry *tenants.Registry
}

func newHouse(t *testing.T) *house {
	t.Helper()
	url := wiretest.StartPostgres(t).AdminURL(postgres.Superuser)
	c, err := catalog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s, err := tenants.NewSnapshot(
		[]tenants.Cluster{{Name: "main", AdminURL: url, Members: []tenants.Member{{Address: "127.0.0.1:1"}, {Address: "127.0.0.1:2"}}, Budget: 50}},
		[]tenants.Tier{{Name: "gold", Limits: tenants.Limits{PoolSize: 3, Weight: 2}}},
		[]tenants.Tenant{{Name: "acme", Cluster: "main", Database: "acme", User: "acme", Tier: "gold"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{registry: tenants.NewRegistry(s)}
	h.fleet, err = fleet.New(t.Context(), "node", fleet.Config{
		Catalog: c, Registry: h.registry, Log: slog.New(slog.DiscardHandler),
		Check: func(entries []catalog.Entry) error {
			for _, e := range entries {
				if _, ok := e.Settings["nonsense"]; ok {
					return errors.New("there is no setting nonsense")
				}
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) console(p admin.Pooler) *admin.Console {
	return &admin.Console{Pooler: p, Registry: h.registry, Fleet: func() (*fleet.Fleet, error) { return h.fleet, nil }}
}

// add makes a tenant of the catalog that has no database.
func (h *house) add(t *testing.T, name string) {
	t.Helper()
	err := h.fleet.Catalog.Change(t.Context(), catalog.Actor{Name: "test"}, func(tx *catalog.Tx) error {
		if err := tx.Create(catalog.User, name, "", catalog.Settings{"verifier": "SCRAM-SHA-256$marked"}); err != nil {
			return err
		}
		return tx.Create(catalog.Tenant, name, "", catalog.Settings{"cluster": "main", "database": name, "user": name})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// records returns what the audit log has of one actor, the first line first.
func (h *house) records(t *testing.T, actor string) (all []catalog.Record) {
	t.Helper()
	last, err := h.fleet.Catalog.LastRecords(t.Context(), "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range last {
		if r.Actor == actor {
			all = append([]catalog.Record{r}, all...)
		}
	}
	return all
}

func TestOperations(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add(t, "initech")
	conn := startConsole(t, h.console(&fakePooler{})).connect(t, "boss", "howdah")
	one := func(text string, columns int) []string {
		t.Helper()
		got := rows(t, conn, text)
		if len(got) != 1 || len(got[0]) != columns {
			t.Fatalf("%s: %q", text, got)
		}
		return got[0]
	}

	made := one("create tenant hooli ON CLUSTER main TIER gold database hooli_db OWNER hooli_owner PASSWORD 'correct horse' SET pool_size = 4, query_timeout = '5s'", 6)
	if got := strings.Join(made[:5], "|"); got != "hooli|main|hooli_db|hooli_owner|correct horse" {
		t.Errorf("made %s", got)
	}
	if random := one(`CREATE TENANT "pied-piper";`, 6); random[2] != "pied-piper" || len(random[4]) < 20 {
		t.Errorf("made %q", random)
	}
	job := one("SUSPEND TENANT initech", 4)
	if job[1] != "suspend" || job[2] != "initech" || job[3] != "queued" {
		t.Errorf("suspend: %q", job)
	}
	expectRows(t, "SHOW JOBS initech", cut(rows(t, conn, "SHOW JOBS initech"), 1, 4), "suspend|initech|queued")
	if n := len(rows(t, conn, "SHOW JOBS")); n != 3 {
		t.Errorf("%d jobs, want 3", n)
	}
	one("CANCEL JOB '"+job[0]+"'", 4)

	if got := one("ALTER TENANT initech SET pool_size = 7, max_lag = 1.5, pool_mode = 'session'", 3); got[1] != `{"cluster":"main","database":"initech","max_lag":1.5,"pool_mode":"session","pool_size":7,"user":"initech"}` {
		t.Errorf("set: %q", got)
	}
	if got := one("ALTER TENANT initech RESET pool_size, max_lag", 3); got[1] != `{"cluster":"main","database":"initech","pool_mode":"session","user":"initech"}` {
		t.Errorf("reset: %q", got)
	}
	graced := one("GRACE TENANT initech FOR '90 minutes'", 3)
	var settings struct {
		Until time.Time `json:"quota_grace_until"`
	}
	if err := json.Unmarshal([]byte(graced[1]), &settings); err != nil || time.Until(settings.Until) < 80*time.Minute || time.Until(settings.Until) > 90*time.Minute {
		t.Errorf("grace: %q, %v", graced, err)
	}
	if got := one("GRACE TENANT initech FOR '0s'", 3); strings.Contains(got[1], "grace") {
		t.Errorf("no grace: %q", got)
	}
	h.add(t, "umbrella")
	rotated := one("ROTATE TENANT umbrella OVERLAP '0s' PASSWORD 'battery staple'", 4)
	if got := strings.Join(rotated[:3], "|"); got != "umbrella|umbrella|battery staple" {
		t.Errorf("rotated: %q", rotated)
	}
	one("CREATE TIER silver SET weight = 2", 3)
	if got := one("ALTER TIER silver SET pool_size = 1", 3); got[1] != `{"pool_size":1,"weight":2}` {
		t.Errorf("alter tier: %q", got)
	}
	if got := one("CREATE CLUSTER second SET members = 'db2:5432', admin_url = 'postgres://postgres:marked@db2/postgres'", 3); strings.Contains(got[1], "marked") {
		t.Errorf("the cluster is told as %q", got)
	}
	for _, text := range []string{"DROP TIER silver", "DROP CLUSTER second"} {
		if result, err := ask(conn, text); err != nil || result[0].CommandTag.String() != text[:strings.LastIndex(text, " ")] {
			t.Errorf("%s: %v", text, err)
		}
	}
	token := one("CREATE TOKEN ci ROLE tenant TENANT initech FOR '24h'", 5)
	if found, err := h.fleet.Catalog.TokenOf(t.Context(), token[4]); err != nil || found.Tenant != "initech" {
		t.Errorf("%+v, %v", found, err)
	}
	expectRows(t, "SHOW TOKENS", cut(rows(t, conn, "SHOW TOKENS"), 0, 3), "ci|tenant|initech")
	again := one("ROTATE TOKEN ci OVERLAP '1 hour'", 5)
	for _, text := range []string{token[4], again[4]} {
		if found, err := h.fleet.Catalog.TokenOf(t.Context(), text); err != nil || found.Name != "ci" {
			t.Errorf("%+v, %v", found, err)
		}
	}
	one("CREATE TOKEN first ROLE admin", 5)
	if _, err := ask(conn, "DROP TOKEN ci"); err != nil {
		t.Error(err)
	}
	expectRows(t, "SHOW CLUSTERS", rows(t, conn, "SHOW CLUSTERS"), "main|127.0.0.1:1, 127.0.0.1:2|50|12|2|1|yes")
	expectRows(t, "SHOW TIERS", cut(rows(t, conn, "SHOW TIERS"), 0, 4), "gold|1|transaction|3")

	var said []string
	for _, r := range h.records(t, "boss") {
		if r.Door != "console" || r.From != "127.0.0.1" {
			t.Errorf("the audit log has %+v", r)
		}
		said = append(said, r.Action+" "+r.Name)
	}
	const want = "begin create hooli, begin create pied-piper, begin suspend initech, cancel initech, change initech, change initech, " +
		"change initech, grace initech, change initech, grace initech, begin rotate umbrella, " +
		"create silver, change silver, create second, delete silver, delete second, create ci, rotate ci, create first, delete ci"
	if got := strings.Join(said, ", "); got != want {
		t.Errorf("the audit log says\n%s\nwant\n%s", got, want)
	}
	if got := rows(t, conn, "SHOW AUDIT LIKE 'ho%'"); len(got) != 1 || got[0][5] != "begin create" {
		t.Errorf("SHOW AUDIT: %q", got)
	}
	for _, r := range rows(t, conn, "SHOW AUDIT") {
		for _, secret := range []string{"correct horse", "battery staple", "marked", token[4], again[4]} {
			if strings.Contains(strings.Join(r, " "), secret) {
				t.Errorf("the audit log has a secret: %q", r)
			}
		}
	}
}

// cut returns some columns of rows.
func cut(all [][]string, from, to int) [][]string {
	for i := range all {
		all[i] = all[i][from:to]
	}
	return all
}

func TestOperationsThatCannotBe(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add(t, "initech")
	conn := startConsole(t, h.console(&fakePooler{})).connect(t, "boss", "howdah")
	if _, err := ask(conn, "SUSPEND TENANT initech"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ text, code, says string }{
		{"SUSPEND TENANT initech", "55006", "under way"},
		{"SUSPEND TENANT nobody", "42704", "nobody"},
		{"SUSPEND TENANT acme", "55000", "howdah.toml"},
		{"DROP TENANT initech KEEP 'forever'", "22023", "forever"},
		{"DROP TENANT initech KEEP '-1h'", "22023", "-1h"},
		{"GRACE TENANT initech FOR 'soon'", "22023", "soon"},
		{"GRACE TENANT initech FOR '9999h'", "22023", "up to"},
		{"GRACE TENANT initech FOR '32 days'", "22023", "up to"},
		{"GRACE TENANT initech FOR '1 week'", "22023", "2 days"},
		{"GRACE TENANT initech FOR '-1 hour'", "22023", "-1 hour"},
		{"GRACE TENANT initech FOR ' 70000 days'", "22023", "70000"},
		{"GRACE TENANT initech UNTIL '1h'", "42601", "Write GRACE TENANT name"},
		{"GRACE TENANT nobody", "42704", "nobody"},
		{"GRACE TENANT acme", "55000", "howdah.toml"},
		{"ROTATE TENANT initech OVERLAP '1h'", "22023", "overlap"},
		{"ROTATE TENANT initech OVERLAP '0s'", "55006", "under way"},
		{"ROTATE TENANT nobody", "42704", "nobody"},
		{"ROTATE TENANT acme", "55000", "howdah.toml"},
		{"ROTATE TENANT initech PASSWORD 'hidden' NOW", "42601", "Write ROTATE TENANT name"},
		{"ROTATE TENANT initech SERVER OVERLAP '0s'", "22023", "master_key_file"},
		{"RENAME TENANT initech TO gavin OWNER belson", "55006", "under way"},
		{"RENAME TENANT initech TO postgres", "22023", "reserved"},
		{"RENAME TENANT initech", "42601", "RENAME TENANT name TO"},
		{"UNDROP TENANT nobody", "42704", "nobody"},
		{"CREATE TENANT acme", "42710", "acme"},
		{"CREATE TENANT x DATABASE acme", "42710", "give another name"},
		{`CREATE TENANT "a""; drop database acme; --"`, "22023", "character"},
		{"CREATE TENANT postgres", "22023", "reserved"},
		{"CREATE TENANT x ON CLUSTER nowhere", "22023", "nowhere"},
		{"CREATE TENANT x SET nonsense = 1", "22023", "nonsense"},
		{"ALTER TENANT initech SET database = other", "22023", "rename"},
		{"ALTER TIER gold SET weight = 1", "55000", "howdah.toml"},
		{"ALTER TIER copper SET weight = 1", "42704", "copper"},
		{"CREATE TOKEN x ROLE root", "22023", "root"},
		{"CREATE TOKEN x ROLE tenant", "22023", "names its tenant"},
		{"CREATE TOKEN x ROLE viewer FOR 'soon'", "22023", "soon"},
		{"ROTATE TOKEN nobody", "42704", "nobody"},
		{"ROTATE TOKEN x OVERLAP '9999 days'", "22023", "go on"},
		{"ROTATE TOKEN x FOR '1h'", "42601", "Write ROTATE TOKEN name"},
		{"DROP TOKEN nobody", "42704", "nobody"},
		{"CANCEL JOB 'x'", "42704", "x"},
		{"RESUME JOB '00000000-0000-4000-8000-000000000000'", "42704", "not found"},
		{"CREATE TENANT", "42601", "Write CREATE TENANT name"},
		{"CREATE TENANT ''", "42601", "Write"},
		{"CREATE TENANT x ON", "42601", "Write"},
		{"CREATE TENANT x PASSWORD", "42601", "Write"},
		{"CREATE TENANT x y PASSWORD 'hidden'", "42601", "Write"},
		{"CREATE TENANT x PASSWORD 'hidden", "42601", "Write"},
		{"CREATE TENANT x PASSWORD 'hidden'; SHOW POOLS", "42601", "Write"},
		{"ALTER TENANT x SET a", "42601", "Write"},
		{"ALTER TENANT x SET a = 1,", "42601", "Write"},
		{"ALTER TENANT x SET a = 1 RESET b", "42601", "Write"},
		{"ALTER TENANT x RESET", "42601", "Write"},
		{"DROP TENANT a b", "42601", "Write"},
		{"MOVE TENANT a TO b", "42601", "Write"},
		{"MOVE TENANT initech TO CLUSTER nowhere", "22023", "nowhere"},
		{"CLONE TENANT a", "42601", "Write"},
		{"RESTORE TENANT a", "42601", "Write"},
		{"RESTORE TENANT a TO", "42601", "Write"},
		{"RESTORE TENANT a TO 'latest' IN b", "42601", "Write"},
		{"RESTORE TENANT a TO '2026-01-31 10:42'", "22023", "time zone"},
		{"RESTORE TENANT nobody TO 'latest' SWAP", "42704", "nobody"},
		{"RESTORE TENANT nobody TO 'latest' SWAP AS b", "22023", "keeps the tenant's name"},
		{"UNRESTORE TENANT", "42601", "Write"},
		{"UNRESTORE TENANT nobody", "42704", "nobody"},
		{"CLONE TENANT a AS b ON c", "42601", "Write"},
		{"CLONE TENANT a AS b PASSWORD 'hidden' x", "42601", "Write"},
		{"CLONE TENANT nobody AS x", "42704", "nobody"},
		{"CLONE TENANT initech AS x", "55006", "under way"},
		{"CLONE TENANT initech AS x NEUTRALISE never", "22023", "none of auto"},
		{"CREATE TENANT x NEUTRALISE auto", "42601", "CREATE TENANT name"},
		{"IMPORT TENANT x FROM 'y' NEUTRALISE", "42601", "Write"},
		{"IMPORT TENANT x FROM 'y' NEUTRALISE auto", "22023", "[backup] store"},
		{"CANCEL JOB", "42601", "Write"},
		{"END REVIEW now", "42601", "Write"},
	} {
		_, err := ask(conn, test.text)
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != test.code || !strings.Contains(e.Message+e.Detail+e.Hint, test.says) {
			t.Errorf("%s: %v, want %s with %q", test.text, err, test.code, test.says)
		} else if strings.Contains(e.Message+e.Detail+e.Hint, "hidden") {
			t.Errorf("%s: the error has the password: %+v", test.text, e)
		}
	}
	if got := len(h.records(t, "boss")); got != 1 {
		t.Errorf("%d changes were noted, want 1", got)
	}
}

// Every statement that changes the catalog leaves a line in the audit log.
func TestEveryStatementIsAudited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	conn := startConsole(t, h.console(&fakePooler{})).connect(t, "boss", "howdah")
	// What needs more than this house has begins its job as the others do.
	lacking := strings.Fields("EXPORT RESTORE UNRESTORE CLONE IMPORT MOVE UNDROP PURGE CANCEL RESUME-JOB")
	for i, text := range operations() {
		verb, _, _ := strings.Cut(strings.Replace(text, "RESUME JOB", "RESUME-JOB", 1), " ")
		if verb == "SHOW" || slices.Contains(lacking, verb) {
			continue
		}
		name := fmt.Sprintf("tenant%d", i)
		h.add(t, name)
		before := len(h.records(t, "boss"))
		if _, err := ask(conn, strings.ReplaceAll(text, "initech", name)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if after := len(h.records(t, "boss")); after <= before {
			t.Errorf("%s: no line of the audit log", text)
		}
	}
}

// What an operator does to the pooler is in the audit log too, and waits for no catalog.
func TestPoolersCommandsAreAudited(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	pooler, away := &fakePooler{}, false
	c := h.console(pooler)
	c.Fleet = func() (*fleet.Fleet, error) {
		if away {
			return nil, io.ErrClosedPipe
		}
		return h.fleet, nil
	}
	c.SetSetting = func(key, _ string) error {
		if key == "catalog_url" {
			return errors.New("it cannot change while running")
		}
		return nil
	}
	conn := startConsole(t, c).connect(t, "boss", "howdah")
	for _, text := range []string{"PAUSE acme", "SET pool_size = 3", "RESUME tenant"} { // a database of that name
		if _, err := ask(conn, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"KILL nosuch", "SET catalog_url = 'postgres://howdah:marked@db/catalog'"} {
		if _, err := ask(conn, text); err == nil {
			t.Errorf("%s: it went well", text)
		}
	}
	var said []string
	for _, r := range h.records(t, "boss") {
		said = append(said, r.Action+" "+r.Name)
	}
	if got, want := strings.Join(said, ", "), "pause acme, set pool_size=3, resume tenant, kill nosuch, set catalog_url"; got != want {
		t.Errorf("the audit log says %s, want %s", got, want)
	}
	away = true
	if _, err := ask(conn, "PAUSE globex"); err != nil {
		t.Error(err)
	}
	_, err := ask(conn, "SUSPEND TENANT initech")
	wantCode(t, err, "55000")
	if got := pooler.history(); got[len(got)-1] != "pause globex" {
		t.Errorf("the pooler was told %q", got)
	}
}

func TestWithoutACatalog(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{}).connect(t, "boss", "howdah")
	for _, text := range []string{"CREATE TENANT x", "SHOW JOBS", "SHOW AUDIT"} {
		_, err := ask(conn, text)
		if e := wantCode(t, err, "55000"); !strings.Contains(e.Message, "[catalog] url") {
			t.Errorf("%s: %+v", text, e)
		}
	}
	expectRows(t, "SHOW CLUSTERS", rows(t, conn, "SHOW CLUSTERS"))
}
