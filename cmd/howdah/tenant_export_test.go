package main_test

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// exports has a tenant that has a table "kept" be exported, and another be made of it.
func (p *upPlace) exports(t *testing.T, name string) {
	t.Helper()
	if got := p.done("tenant", "export", name, "--dry-run"); !strings.Contains(got, "its clients work on") {
		t.Errorf("the plan is %s", got)
	}
	id := strings.TrimSpace(p.done("tenant", "export", name))
	if got := p.done("tenant", "exports", name); !strings.Contains(got, id) {
		t.Errorf("exports are %s", got)
	}
	config := filepath.Join(p.dir, "howdah.toml")
	if got := p.done("export", "verify", id, "-c", config); !strings.Contains(got, "as it was stored") {
		t.Errorf("verify: %s", got)
	}
	p.refused(4, "not found", "tenant", "export", "nobody")
	p.refused(5, "howdah.toml", "tenant", "export", "acme")
	p.refused(2, "--from", "tenant", "import", "copy")
	p.refused(1, "no export's id", "tenant", "import", "copy", "--from", "nonsense")
	p.refused(4, "not found", "tenant", "import", "copy", "--from", name+".20260131T120000Z.abcdef")
	p.refused(5, "exists", "tenant", "import", name, "--from", id)
	p.refused(1, "neutralise", "tenant", "import", "copy", "--from", id, "--neutralise", "never")
	if got := p.done("tenant", "import", "copy", "--from", id, "--neutralise", "auto", "--dry-run"); !strings.Contains(got, `neutralise it as role "copy"`) {
		t.Errorf("an import of a copy: %s", got)
	}
	var made struct{ User, Password string }
	if err := json.Unmarshal([]byte(p.done("tenant", "import", "copy", "--from", id, "--json")), &made); err != nil {
		t.Fatal(err)
	}
	copied, err := pgx.ParseConfig("postgres://127.0.0.1:" + strconv.Itoa(p.pooler) + "/copy")
	if err != nil {
		t.Fatal(err)
	}
	copied.User, copied.Password = made.User, made.Password
	if err := p.try(copied, "select * from kept"); err != nil {
		t.Errorf("an imported tenant: %v", err)
	}
	p.done("tenant", "drop", "copy", "--yes")
	into := filepath.Join(t.TempDir(), "fetched")
	p.done("export", "fetch", id, "--into", into, "-c", config)
	p.refused(2, "--tenant", "export", "add", into, "-c", config)
	p.refused(1, "none of pg_dump's", "export", "add", config, "--tenant", "elsewhere", "-c", config)
	added := strings.TrimSpace(p.done("export", "add", into, "--tenant", "elsewhere", "-c", config))
	if got := p.done("audit", "list"); !strings.Contains(got, added) {
		t.Errorf("that it was added is not in the audit log: %s", got)
	}
	p.done("tenant", "import", "elsewhere", "--from", added, "--no-wait")
	if got := p.done("export", "list", "--tenant", "copy", "-c", config); !strings.Contains(got, "copy.") {
		t.Errorf("of a dropped tenant there is %s", got)
	}
}
