package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// importRule says which of our packages a package may import, and why no more.
// Who may import wire may import wire/loop too, and so on. Tests may also import
// what is below wire, its fakes and its local servers, and what is below their own
// package.
type importRule struct {
	path   string
	may    []string
	reason string
}

// importRules is the table of DESIGN.md 1 with the packages there are.
func importRules() []importRule {
	return []importRule{
		{"wire", nil, "the protocol knows nobody's business: anything may stand on it"},
		{"wire/loop", []string{"wire"}, "an event loop knows connections, not who is on them"},
		{"wire/postgres", nil, "starting local servers is no part of the protocol"},
		{"wire/wiretest", []string{"wire"}, "tests of every package use it"},
		{"tenants", []string{"wire"}, "who the tenants are is read by the pooler, never the other way round"},
		{"tenants/catalog", []string{"wire"}, "the catalog keeps settings: what they mean is their reader's business"},
		{"pool", []string{"wire"}, "a pool's key is opaque: it must not learn what a tenant is"},
		{"router", []string{"wire", "pool", "tenants", "router/hba", "router/members", "router/classify"}, "sessions must not know who administers them"},
		{"router/members", nil, "who is primary is found by asking PostgreSQL: how to log in is the caller's business"},
		{"router/hba", nil, "rules judge names and addresses: whose they are is the caller's business"},
		{"router/classify", nil, "it judges texts: whose they are and where they go is the caller's business"},
		{"provision", []string{"wire", "tenants", "backup/store"}, "draining comes in as a func, so that changing clusters needs no pooler"},
		{"provision/dump", []string{"wire"}, "copying a database needs two logins and a folder: whose it is is the caller's business"},
		{"provision/quota", []string{"tenants"}, "measuring needs a login and names: what follows from it is the caller's business"},
		{"provision/move", []string{"wire", "provision"}, "carrying contents needs two logins and names: who is held meanwhile is the caller's business"},
		{"provision/odoo", nil, "what is done to a copy needs a login to it: whose it is is the caller's business"},
		{"backup", []string{"wire", "backup/store"}, "recovery must work when everything else is down"},
		{"backup/replication", nil, "the replication protocol knows nobody's business: where WAL goes is the caller's"},
		{"backup/repository", []string{"backup/store", "backup/replication"}, "where a cluster's objects are, and whose: what is in them is the caller's business"},
		{"backup/lineage", []string{"backup/store", "backup/replication", "backup/repository"}, "which database a tenant had is kept beside the backups: who it is, and when it changes, is the caller's business"},
		{"backup/wal", []string{"wire", "backup/store", "backup/replication", "backup/repository"}, "WAL goes from a server to a store and back: who asks for it is the caller's business"},
		{"backup/base", []string{"wire", "backup/store", "backup/replication", "backup/repository"}, "a base backup is files and a place in the WAL: keeping the WAL is the caller's business"},
		{"backup/overview", []string{"backup/drill", "backup/restore", "backup/store", "backup/replication", "backup/repository", "backup/base", "backup/wal"}, "how backups stand is read from the store: whom it is told is the caller's business"},
		{"backup/schedule", []string{"backup/store", "backup/replication", "backup/repository", "backup/base", "backup/wal"}, "when a base backup is due shows by the cluster and by what is stored: what else is done then is the caller's business"},
		{"backup/restore", []string{"wire", "backup/store", "backup/replication", "backup/repository", "backup/base", "backup/wal"}, "what was stored is enough to restore: no server, daemon or registry need be there"},
		{"backup/verify", []string{"wire", "backup/store", "backup/replication", "backup/repository", "backup/base", "backup/wal", "backup/export"}, "what is stored is compared with what it says of itself: who asks is the caller's business"},
		{"backup/drill", []string{"wire", "backup/store", "backup/replication", "backup/repository", "backup/base", "backup/wal", "backup/restore"}, "a drill is a restore that nobody wants to keep: when there is to be one is the caller's business"},
		{"backup/keep", []string{"backup/store", "backup/replication", "backup/repository", "backup/base", "backup/wal", "backup/export", "backup/lineage"}, "what is kept is said by what there is and a policy: whose policy it is is the caller's business"},
		{"backup/filestore", []string{"backup/store", "backup/replication", "backup/repository"}, "files under their sums: which database refers to them is read from a dump"},
		{"backup/store", nil, "objects are bytes under keys: what they mean is the caller's business"},
		{"backup/export", []string{"backup/store"}, "an export is files under an id: what is in them is the caller's business"},
		{"backup/store/storetest", []string{"backup/store"}, "it tests drivers, and nothing else of ours"},
		{"admin", []string{"wire", "tenants", "pool", "router", "provision", "backup", "admin/fleet"}, "operations on all below, behind two doors"},
		{"admin/api", []string{"tenants", "provision", "router", "admin", "admin/fleet", "backup/export", "backup/overview", "backup/drill", "backup/base", "backup/wal"}, "a door decides nothing but who may pass, and tells what the console tells"},
		{"admin/page", nil, "a page's files ask the API, as everybody does"},
		{"admin/page/browsertest", nil, "it shows pages in tests: what is in them is the caller's business"},
		{"admin/fleet", []string{"wire", "tenants", "router", "provision", "backup", "admin/jobs"}, "an operation is the same whatever door it came through"},
		{"admin/jobs", []string{"tenants"}, "running an operation needs its row: what it does is the caller's business"},
		{"cmd/howdah", []string{"wire", "tenants", "pool", "router", "provision", "backup", "admin"}, "commands, configuration, wiring"},
	}
}

// keepers are dependencies that only one of our packages knows, or two, by prefix.
func keepers() map[string]string {
	return map[string]string{
		"github.com/prometheus/common":  "parses a scrape in tests; tests only",
		"github.com/spf13/cobra":        "cmd/howdah",
		"github.com/BurntSushi/toml":    "cmd/howdah",
		"github.com/jackc/pgproto3/v2":  "none: tests only",
		"github.com/pganalyze":          "router/classify",
		"github.com/danielgtaylor/huma": "admin/api",
		"golang.org/x/time":             "admin/api, backup/store",
		"github.com/riverqueue":         "admin/jobs",
		"github.com/klauspost/compress": "backup/store",
		"github.com/DataDog/zstd":       "backup/store",
		"github.com/minio/minio-go":     "backup/store",
		"filippo.io/age":                "backup/store, tenants/catalog",
	}
}

// dependencies are the modules go.mod requires directly, each with what it
// saves us from writing. A new one is a decision.
func dependencies() map[string]string {
	return map[string]string{
		"github.com/BurntSushi/toml":                         "reads howdah.toml: a parser of TOML",
		"github.com/jackc/pgproto3/v2":                       "an independent second decoder to test ours against; tests only, see TestUnfixedDecoderIsNotLinked",
		"github.com/jackc/pgx/v5":                            "protocol messages off the hot path and the driver for our own SQL: a client",
		"github.com/pganalyze/pg_query_go/v5":                "PostgreSQL's own parser: a home-made one, and its mistakes",
		"github.com/prometheus/client_golang":                "metrics: an exposition format and its corner cases",
		"github.com/prometheus/client_model":                 "the form in which tests read a scrape back; tests only",
		"github.com/prometheus/common":                       "parses a scrape in tests; tests only",
		"github.com/spf13/cobra":                             "commands, flags, help and completion",
		"github.com/danielgtaylor/huma/v2":                   "OpenAPI, and the checks of requests that it describes",
		"github.com/riverqueue/river":                        "a queue of jobs with retries, schedules and an elected leader",
		"github.com/riverqueue/river/riverdriver/riverpgxv5": "lets River use the catalog's connections",
		"golang.org/x/time":                                  "rate limits of the HTTP API and of stores: token buckets",
		"golang.org/x/sys":                                   "epoll, eventfd and socket options: raw system calls",
		"golang.org/x/text":                                  "the Unicode tables of SASLprep and of encodings",
		"google.golang.org/protobuf":                         "walks the parser's trees: a list of every field of every node",
		"filippo.io/age":                                     "encryption for public keys, in a format that other programs read",
		"github.com/klauspost/compress":                      "reads zstd, in Go: what comes from a store is not trusted",
		"github.com/DataDog/zstd":                            "writes zstd, by its authors' code in C where there is a C compiler: twice as fast",
		"github.com/minio/minio-go/v7":                       "S3: signing requests, their XML and their errors",
	}
}

const module = "howdah"

// listedPackage is what `go list -json` says of a package.
type listedPackage struct {
	ImportPath, Doc string
	Imports         []string
	TestImports     []string
	XTestImports    []string
	GoFiles         []string
}

// ours lists the module's packages.
func ours(t *testing.T) []listedPackage {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(goTool(t, "list", "-json=ImportPath,Doc,Imports,TestImports,XTestImports,GoFiles", module+"/...")))
	var all []listedPackage
	for {
		var p listedPackage
		if err := decoder.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 5 {
		t.Fatalf("go list finds only %d packages", len(all))
	}
	return all
}

func goTool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", exit, exit.Stderr)
		}
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

func TestImportsPointDownwards(t *testing.T) {
	rules := make(map[string]importRule)
	for _, r := range importRules() {
		rules[module+"/"+r.path] = r
	}
	for _, p := range ours(t) {
		r, ok := rules[p.ImportPath]
		if !ok {
			t.Errorf("package %s is in no rule: add it to importRules with a reason", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if path, ok := strings.CutPrefix(imported, module+"/"); ok && !r.allows(path) {
				t.Errorf("%s imports %s; it may not: %s", p.ImportPath, imported, r.reason)
			}
			if strings.HasSuffix(imported, "/wiretest") || strings.HasSuffix(imported, "/storetest") || strings.HasSuffix(imported, "/browsertest") {
				t.Errorf("%s imports %s outside its tests", p.ImportPath, imported)
			}
			for prefix, only := range keepers() {
				if strings.HasPrefix(imported, prefix) && !slices.Contains(strings.Split(only, ", "), r.path) {
					t.Errorf("%s imports %s, which only %s may", p.ImportPath, imported, only)
				}
			}
		}
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			path, ok := strings.CutPrefix(imported, module+"/")
			if ok && path != r.path && !strings.HasPrefix(path, "wire/") && !strings.HasPrefix(path, r.path+"/") && !r.allows(path) {
				t.Errorf("a test of %s imports %s; it may not: %s", p.ImportPath, imported, r.reason)
			}
		}
	}
}

func (r importRule) allows(path string) bool {
	return slices.ContainsFunc(r.may, func(may string) bool {
		return path == may || strings.HasPrefix(path, may+"/")
	})
}

func TestEveryPackageHasADoc(t *testing.T) {
	for _, p := range ours(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("package %s has no package comment", p.ImportPath)
		}
	}
}

func TestEveryDependencyHasAReason(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal([]byte(goTool(t, "mod", "edit", "-json", "../../go.mod")), &mod); err != nil {
		t.Fatal(err)
	}
	reasons, used := dependencies(), map[string]bool{}
	for _, r := range mod.Require {
		if r.Indirect {
			continue
		}
		used[r.Path] = true
		if reasons[r.Path] == "" {
			t.Errorf("go.mod requires %s: say in dependencies which code of ours it saves", r.Path)
		}
	}
	for path := range reasons {
		if !used[path] {
			t.Errorf("dependencies names %s, which go.mod does not require", path)
		}
	}
}

// pgproto3 v2 has CVE-2026-32286 and nobody mends it. Our tests decode with it;
// the binary must not.
func TestUnfixedDecoderIsNotLinked(t *testing.T) {
	linked := strings.Fields(goTool(t, "list", "-deps", module+"/cmd/howdah"))
	if !slices.Contains(linked, module+"/tenants") {
		t.Fatalf("go list -deps lists %d packages and not even tenants", len(linked))
	}
	for _, path := range linked {
		if strings.HasPrefix(path, "github.com/jackc/pgproto3/v2") || strings.HasSuffix(path, "/wiretest") || strings.HasSuffix(path, "/storetest") || strings.HasSuffix(path, "/browsertest") {
			t.Errorf("%s is linked into the binary", path)
		}
	}
}
