package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"howdah/wire/wiretest"
)

// command runs a command of the program against the place's Howdah, and returns what it
// prints and its exit code.
func (p *upPlace) run(args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.program, args...)
	cmd.Env = append(os.Environ(), "HOWDAH_URL=http://127.0.0.1:"+strconv.Itoa(p.http), "HOWDAH_TOKEN="+strings.TrimSpace(p.read("token")))
	cmd.Env = append(cmd.Env, p.web...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// done runs a command that must succeed.
func (p *upPlace) done(args ...string) string {
	p.t.Helper()
	out, errs, code := p.run(args...)
	if code != 0 {
		p.t.Fatalf("howdah %s: exit code %d: %s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// refused runs a command that must fail with a code and say something.
func (p *upPlace) refused(code int, says string, args ...string) {
	p.t.Helper()
	out, errs, got := p.run(args...)
	if got != code || !strings.Contains(errs, says) {
		p.t.Errorf("howdah %s: exit code %d, want %d: %s%s, want %q", strings.Join(args, " "), got, code, out, errs, says)
	}
}

// makeTenant makes a tenant and returns how its user logs in.
func (p *upPlace) makeTenant(name string) *pgx.ConnConfig {
	p.t.Helper()
	var made struct{ Name, Cluster, Database, User, Password, URL string }
	if err := json.Unmarshal([]byte(p.done("tenant", "create", name, "--json")), &made); err != nil {
		p.t.Fatal(err)
	}
	if made.Name != name || made.Database != name || made.User != name || made.Cluster != "main" || made.Password == "" || !strings.Contains(made.URL, made.Password) {
		p.t.Errorf("made %+v", made)
	}
	cfg, err := pgx.ParseConfig("postgres://127.0.0.1:" + strconv.Itoa(p.pooler) + "/" + name)
	if err != nil {
		p.t.Fatal(err)
	}
	cfg.User, cfg.Password = made.User, made.Password
	return cfg
}

// try runs a statement through Howdah.
func (p *upPlace) try(cfg *pgx.ConnConfig, sql string) error {
	conn, err := pgx.ConnectConfig(p.t.Context(), cfg)
	if err != nil {
		return err
	}
	defer conn.Close(p.t.Context())
	_, err = conn.Exec(p.t.Context(), sql)
	return err
}

// TestTenants has the commands make and change tenants of a running `up`.
func TestTenants(t *testing.T) {
	t.Parallel()
	p := newUpPlace(t, buildProgram(t, "howdah", "."))
	up := p.start()

	initech := p.makeTenant("initech")
	if err := p.try(initech, "create table kept as select 1"); err != nil { // at once
		t.Fatal(err)
	}
	if got := p.done("tenant", "list", "--json"); !strings.Contains(got, `"initech"`) || !strings.Contains(got, `"acme"`) {
		t.Errorf("the tenants are %s", got)
	}
	p.refused(5, "exists", "tenant", "create", "initech")
	p.refused(5, "exists", "tenant", "create", "acme")
	p.refused(1, "reserved", "tenant", "create", "postgres")
	p.refused(4, "not found", "tenant", "show", "nobody")
	p.refused(2, "takes one name", "tenant", "create")
	p.refused(2, "unknown command", "tenant", "frobnicate")
	p.refused(2, "takes a name", "cluster", "add")
	p.refused(2, "--yes", "tenant", "drop", "initech")
	p.refused(1, `write "pool_size"`, "tenant", "set", "initech", "pool_sze=3")
	p.refused(5, "howdah.toml", "tenant", "drop", "acme", "--yes")
	if got := p.done("tenant", "set", "initech", "pool_size=3", "query_timeout=5s"); !strings.Contains(got, "5s") {
		t.Errorf("set: %s", got)
	}
	if got := p.done("tenant", "create", "dry", "--dry-run"); !strings.Contains(got, `create database`) && !strings.Contains(got, "ready-made database") {
		t.Errorf("the plan is %s", got)
	}
	for verb, want := range map[string]string{
		"suspend": "refuse clients", "drop": "keep the database, closed, for 168h0m0s", "rotate": `the new password of user "initech"`,
	} {
		if got := p.done("tenant", verb, "initech", "--dry-run"); !strings.Contains(got, want) {
			t.Errorf("the plan of %s is %s", verb, got)
		}
	}

	p.done("tenant", "suspend", "initech")
	if err := p.try(initech, "select 1"); err == nil || !strings.Contains(err.Error(), "suspended") {
		t.Errorf("a suspended tenant: %v", err)
	}
	var begun struct{ ID string }
	if err := json.Unmarshal([]byte(p.done("tenant", "resume", "initech", "--no-wait", "--json")), &begun); err != nil || begun.ID == "" {
		t.Errorf("what does not wait says as JSON %+v, %v", begun, err)
	}
	p.done("job", "wait", begun.ID)
	p.refused(4, `nothing is called ".."`, "tenant", "show", "..")
	if err := p.try(initech, "select * from kept"); err != nil {
		t.Errorf("a resumed tenant: %v", err)
	}
	p.exports(t, "initech")
	p.restores(t, "initech")
	p.done("tenant", "drop", "initech", "--yes", "--keep", "720h")
	if err := p.try(initech, "select 1"); err == nil {
		t.Error("a dropped tenant answers")
	}
	p.done("tenant", "undrop", "initech")
	if err := p.try(initech, "select * from kept"); err != nil {
		t.Errorf("a tenant that was brought back: %v", err)
	}
	p.clones(t, initech)

	p.overQuota(t, initech)
	p.databaseManager(t)
	p.retier(t, initech)
	p.done("tier", "add", "gold", "weight=4")
	if got := p.done("tier", "set", "gold", "query_timeout=9s", "--json"); !strings.Contains(got, `"weight": 4`) || !strings.Contains(got, `"9s"`) {
		t.Errorf("a tier with one more setting is %s", got)
	}
	p.refused(4, "not found", "tier", "set", "copper", "weight=1")
	p.refused(2, "takes a tier's name", "tier", "set", "--unset", "weight")
	p.done("tenant", "create", "rich", "--tier", "gold", "--set", "pool_size=7")
	p.refused(1, "gold", "tier", "remove", "gold", "--yes")
	token := strings.TrimSpace(p.done("token", "create", "ci", "--role", "tenant", "--tenant", "rich"))
	if got := p.done("token", "list"); strings.Contains(got, token) || !strings.Contains(got, "rich") {
		t.Errorf("the tokens are %s", got)
	}
	p.done("tenant", "drop", "rich", "--yes")
	if got := p.done("token", "list"); strings.Contains(got, "rich") {
		t.Errorf("a dropped tenant's token stays: %s", got)
	}
	if got := p.done("job", "list"); strings.Count(got, "done") < 5 {
		t.Errorf("the jobs are %s", got)
	}

	up.stop()
	up = p.start() // with the catalog's tenants
	if err := p.try(initech, "select * from kept"); err != nil {
		t.Errorf("a tenant after a restart: %v", err)
	}
	p.renameUnderLoad(t)
	p.sqlOnTwoNodes(t)
	p.rotateUnderLoad(t)
	p.overTLS(t)
	p.secretsStaySecret(t, up)
	p.auditHolds(t)
	p.crashInTheMiddle(t)
	p.restoredCatalog(t)
	p.catalogOfYesterday(t, initech)
	p.withoutItsCatalog(t, initech)
	up.stop()
}

// retier has a session that is there go by its tenant's new tier at once.
func (p *upPlace) retier(t *testing.T, tenant *pgx.ConnConfig) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	p.done("tier", "add", "hasty", "query_timeout=200ms")
	p.done("tenant", "set", "initech", "tier=hasty")
	if _, err := conn.Exec(t.Context(), "select pg_sleep(0.3)"); err != nil { // its own limit stands
		t.Errorf("within its own query_timeout: %v", err)
	}
	p.done("tenant", "set", "initech", "--unset", "query_timeout")
	if _, err := conn.Exec(t.Context(), "select pg_sleep(10)"); err == nil || !strings.Contains(err.Error(), "query_timeout") {
		t.Errorf("over the tier's query_timeout: %v", err)
	}
	p.roleSettings(t, tenant)
	p.done("tenant", "set", "initech", "--unset", "tier")
	p.done("tier", "remove", "hasty", "--yes")
}

// roleSettings has a session that is there get what its tier's roles have set from now on.
func (p *upPlace) roleSettings(t *testing.T, tenant *pgx.ConnConfig) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, s := range []struct{ set, want string }{{"work_mem=12MB", "12MB"}, {"work_mem=13MB", "13MB"}} {
		p.done("tier", "set", "hasty", s.set)
		got := ""
		waitUntil(t, func() bool {
			if err := conn.QueryRow(t.Context(), "show work_mem").Scan(&got); err != nil {
				t.Fatal(err)
			}
			return got == s.want
		})
	}
	p.refused(1, "64kB", "tier", "set", "hasty", "work_mem=1kB")
	p.refused(1, "statement_timeout", "tenant", "set", "initech", "statement_timeout=1000h")
}

// auditHolds verifies the audit log, and an export of it that somebody has changed.
func (p *upPlace) auditHolds(t *testing.T) {
	t.Helper()
	known := strings.Fields(p.done("audit", "verify"))
	p.done("tier", "add", "copper")
	p.done("audit", "verify", "--known", known[len(known)-1])
	p.refused(1, "made anew", "audit", "verify", "--known", "1:00")
	p.refused(1, "not there", "audit", "verify", "--known", "100000:00")
	p.refused(2, "NUMBER:HASH", "audit", "verify", "--known", "x")
	export := filepath.Join(t.TempDir(), "audit.jsonl")
	text := p.done("audit", "export")
	for content, code := range map[string]int{text: 0, strings.Replace(text, `"initech"`, `"initrode"`, 1): 1} {
		if err := os.WriteFile(export, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, errs, got := p.run("audit", "verify", export); got != code {
			t.Errorf("verify of an export: exit code %d, want %d: %s%s", got, code, out, errs)
		}
	}
	if got := p.done("audit", "list", "--last", "1"); !strings.Contains(got, "copper") || strings.Count(got, "\n") != 2 {
		t.Errorf("the last record is %s", got)
	}
}

// secretsStaySecret has marked passwords and tokens go in by every door, rightly and
// wrongly, and looks for them wherever somebody reads who should not know them.
func (p *upPlace) secretsStaySecret(t *testing.T, up *upRun) {
	t.Helper()
	const mark = "marked-secret"
	var told strings.Builder
	say := func(args ...string) {
		out, errs, _ := p.run(args...)
		told.WriteString(out + errs)
	}
	say("cluster", "add", "far", `members=["127.0.0.1:1"]`, "admin_url=postgres://postgres:"+mark+"@127.0.0.1:1/postgres")
	say("cluster", "add", "wrong", `members=["127.0.0.1:1"]`, "admin_url="+mark)
	say("cluster", "add", "other", `patroni=["http://admin:`+mark+`@127.0.0.1:1"]`, "admin_url=postgres://postgres:"+mark+"@127.0.0.1:1/postgres")
	say("cluster", "show", "far", "--json")
	say("tenant", "create", "faraway", "--cluster", "far", "--dry-run")
	p.refused(1, `cluster "far" cannot be reached`, "tenant", "create", "faraway", "--cluster", "far", "--dry-run")
	say("tenant", "set", "initech", "password="+mark)
	token := strings.TrimSpace(p.done("token", "create", "secret"))

	console, err := pgconn.Connect(t.Context(), p.url("howdah"))
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close(t.Context())
	ask := func(sql string) (failed error) {
		_, failed = console.Exec(t.Context(), sql).ReadAll()
		return failed
	}
	if err := ask("CREATE TENANT chosen ON CLUSTER main PASSWORD '" + mark + "'"); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"CREATE TENANT chosen ON CLUSTER main PASSWORD '" + mark + "'", "CREATE TENANT x y PASSWORD '" + mark + "'", "SET catalog_url = 'postgres://x:" + mark + "@x/x'",
		"ALTER CLUSTER far SET replication_url = '" + mark + "'", "ALTER CLUSTER far SET base_url = '" + mark + "'",
	} {
		if err := ask(sql); err == nil {
			t.Errorf("%s: it went well", sql)
		} else {
			told.WriteString(err.Error())
		}
	}
	chosen, err := pgx.ParseConfig("postgres://chosen:" + mark + "@127.0.0.1:" + strconv.Itoa(p.pooler) + "/chosen")
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return p.try(chosen, "select 1") == nil })

	for _, args := range [][]string{
		{"audit", "export"},
		{"audit", "list"},
		{"job", "list", "--json"},
		{"tenant", "list", "--json"},
		{"cluster", "list", "--json"},
		{"tier", "list", "--json"},
		{"token", "list", "--json"},
	} {
		told.WriteString(p.done(args...))
	}
	answer, err := http.Get("http://127.0.0.1:" + strconv.Itoa(p.http) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(&told, answer.Body); err != nil {
		t.Fatal(err)
	}
	told.WriteString(up.output())
	logs, err := filepath.Glob(filepath.Join(p.dir, "*", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("PostgreSQL's logs are not found: %v", err)
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		told.Write(text)
	}
	for line := range strings.Lines(told.String()) {
		if strings.Contains(line, mark) || strings.Contains(line, token) || strings.Contains(line, "SCRAM-SHA-256$") {
			t.Errorf("a secret is told: %s", line)
		}
	}
	for _, name := range []string{"far", "other"} {
		p.done("cluster", "remove", name, "--yes")
	}
}

// overTLS gives the HTTP side a certificate while it runs, and asks over TLS, by a client
// certificate.
func (p *upPlace) overTLS(t *testing.T) {
	t.Helper()
	own, deploy := wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1"), wiretest.MakeCertificate(t, t.TempDir(), "deploy")
	text := p.read("howdah.toml")
	tls := fmt.Sprintf("[admin]\ntls_cert_file = %q\ntls_key_file = %q\ntls_ca_file = %q\nclient_roles = [\"deploy: viewer\"]\n", own.CertFile, own.KeyFile, deploy.CertFile)
	p.write("howdah.toml", strings.Replace(text, "[admin]\n", tls, 1))
	p.reload(t)
	p.web = []string{
		"HOWDAH_URL=https://127.0.0.1:" + strconv.Itoa(p.http), "HOWDAH_TOKEN=", "HOWDAH_CA_FILE=" + own.CertFile,
		"HOWDAH_CERT_FILE=" + deploy.CertFile, "HOWDAH_KEY_FILE=" + deploy.KeyFile,
	}
	waitUntil(t, func() bool {
		out, _, code := p.run("tenant", "list")
		return code == 0 && strings.Contains(out, "acme")
	})
	p.refused(1, "does not allow", "tier", "add", "silver")
	p.web = nil
	p.write("howdah.toml", text)
	p.reload(t)
	waitUntil(t, func() bool { _, _, code := p.run("tenant", "list"); return code == 0 })
}

func (p *upPlace) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// reload has the serving process read its configuration again.
func (p *upPlace) reload(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(p.serving(t), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// serving is the serving process.
func (p *upPlace) serving(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("pgrep", "-f", "serve -c "+p.dir).Output()
	if err != nil {
		t.Fatalf("find the serving process: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatalf("find the serving process: %v", err)
	}
	return pid
}

// crashInTheMiddle kills the serving process while tenants are being made.
func (p *upPlace) crashInTheMiddle(t *testing.T) {
	t.Helper()
	var jobs []string
	for _, name := range []string{"one", "two", "three", "four"} {
		jobs = append(jobs, strings.TrimSpace(p.done("tenant", "create", name, "--no-wait", "--json")))
	}
	pid := p.serving(t)
	time.Sleep(100 * time.Millisecond)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, text := range jobs {
		var made struct{ Job, Name, User, Password string }
		if err := json.Unmarshal([]byte(text), &made); err != nil {
			t.Fatal(err, text)
		}
		waitUntil(t, func() bool { _, _, code := p.run("job", "wait", made.Job); return code == 0 })
		cfg, err := pgx.ParseConfig("postgres://127.0.0.1:" + strconv.Itoa(p.pooler) + "/" + made.Name)
		if err != nil {
			t.Fatal(err)
		}
		cfg.User, cfg.Password = made.User, made.Password
		if err := p.try(cfg, "select 1"); err != nil {
			t.Errorf("tenant %s: %v", made.Name, err)
		}
	}
}

// admin runs a statement at the primary.
func (p *upPlace) admin(database, sql string) {
	p.t.Helper()
	out, err := exec.Command("psql", "-h", p.dir+"/run", "-p", strconv.Itoa(p.primary), "-U", "postgres", "-d", database, "-c", sql).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v: %s", sql, err, out)
	}
}

// restoredCatalog puts the catalog back from a dump, under a node that runs, to when a
// tenant was about to be dropped. No entry has changed since, and its revision is the same.
// The tenant is not dropped.
func (p *upPlace) restoredCatalog(t *testing.T) {
	t.Helper()
	tenant := p.makeTenant("precious")
	p.done("tenant", "drop", "precious", "--yes")
	p.done("tenant", "undrop", "precious")
	p.admin("postgres", "create database yesterday owner howdah")
	if out, err := exec.Command("sh", "-ec", fmt.Sprintf(
		"pg_dump -h %[1]s -p %[2]d -U postgres howdah_catalog | psql -q -h %[1]s -p %[2]d -U postgres -v ON_ERROR_STOP=1 yesterday", p.dir+"/run", p.primary)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.admin("yesterday", "update howdah.operation set state = 'queued', step = '', attempts = 0, lease_until = null, finished_at = null where kind = 'drop' and tenant = 'precious'; "+
		"update river.river_job j set state = 'available', finalized_at = null from howdah.operation o where args ->> 'operation' = o.id::text and o.state = 'queued'")
	p.done("token", "create", "today")
	p.admin("postgres", "alter database howdah_catalog allow_connections false; select pg_terminate_backend(pid) from pg_stat_activity where datname = 'howdah_catalog'")
	waitUntil(t, func() bool {
		out, err := exec.Command("psql", "-h", p.dir+"/run", "-p", strconv.Itoa(p.primary), "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1",
			"-c", "alter database howdah_catalog rename to today", "-c", "alter database yesterday rename to howdah_catalog").CombinedOutput()
		return err == nil && strings.Count(string(out), "ALTER DATABASE") == 2
	})
	waitUntil(t, func() bool {
		_, errs, code := p.run("tier", "add", "probe")
		if code == 0 {
			t.Fatal("a catalog of yesterday is changed")
		}
		return code == 1 && strings.Contains(errs, "audit log was another")
	})
	if got := p.done("job", "list", "--tenant", "precious"); !strings.Contains(got, "restored, please review") {
		t.Errorf("the jobs are %s", got)
	}
	p.done("job", "end-review", "--yes")
	waitUntil(t, func() bool { _, _, code := p.run("tier", "add", "probed"); return code == 0 })
	if err := p.try(tenant, "select 1"); err != nil {
		t.Errorf("a tenant that was to be dropped yesterday: %v", err)
	}
}

// catalogOfYesterday puts the catalog back to an earlier time: a tenant that it does not
// know any more is served, and nothing is run, until an operator has looked.
func (p *upPlace) catalogOfYesterday(t *testing.T, tenant *pgx.ConnConfig) {
	t.Helper()
	p.admin("howdah_catalog", "create table kept as select * from howdah.entry where name = '"+tenant.Database+"'; "+
		"update howdah.catalog set revision = 1, stamp = gen_random_uuid(); delete from howdah.entry where name = '"+tenant.Database+"'; notify howdah_catalog")
	waitUntil(t, func() bool {
		_, errs, code := p.run("tier", "add", "probe") // which may come before the node has noticed
		return code == 1 && strings.Contains(errs, "restored")
	})
	if err := p.try(tenant, "select * from kept"); err != nil {
		t.Errorf("a tenant that the catalog does not know any more: %v", err)
	}
	p.done("job", "end-review", "--yes")
	waitUntil(t, func() bool { return p.try(tenant, "select * from kept") != nil }) // it is gone by now
	p.done("tenant", "create", "new")
	p.admin("howdah_catalog", "insert into howdah.entry select * from kept; update howdah.catalog set revision = revision + 1, stamp = gen_random_uuid(); notify howdah_catalog")
	waitUntil(t, func() bool { return p.try(tenant, "select * from kept") == nil })
}

// withoutItsCatalog has Howdah go on, and start, while the catalog is away.
func (p *upPlace) withoutItsCatalog(t *testing.T, tenant *pgx.ConnConfig) {
	t.Helper()
	p.admin("postgres", "alter database howdah_catalog allow_connections false")
	p.admin("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'howdah_catalog'")
	if err := p.try(tenant, "select * from kept"); err != nil {
		t.Errorf("without the catalog: %v", err)
	}
	if _, errs, code := p.run("tenant", "create", "later"); code != 1 || !strings.Contains(errs, "the catalog is away") {
		t.Errorf("a tenant was made without the catalog: %d %s", code, errs)
	}
	console, err := pgx.ParseConfig(p.url("howdah"))
	if err != nil {
		t.Fatal(err)
	}
	console.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	if err := p.try(console, "SHOW JOBS"); err == nil || !strings.Contains(err.Error(), "the catalog is away") {
		t.Errorf("SHOW JOBS without the catalog: %v", err)
	}
	if err := syscall.Kill(p.serving(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return p.try(tenant, "select * from kept") == nil }) // from what was kept on disk
	p.admin("postgres", "alter database howdah_catalog allow_connections true")
	waitUntil(t, func() bool { _, _, code := p.run("tenant", "create", "later"); return code == 0 || code == 5 })
}
