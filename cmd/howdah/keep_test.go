package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/export"
	"howdah/backup/keep"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

func TestPolicyIsTheWidestOfTheTenants(t *testing.T) {
	head := `
[backup]
store = "file:///x"
recipients = ["age1xmwwc06ly3ee5rytxm9mflaz2u56jjj36s0mypdrwsvlul66mv4q47ryef"]
base_interval = "24h"
keep_base = 3
keep_window = "48h"
[[cluster]]
name = "main"
members = ["127.0.0.1:5442"]
[[cluster]]
name = "other"
members = ["127.0.0.1:5443"]
[[tier]]
name = "gold"
base_interval = "6h"
keep_window = "720h"
[[tier]]
name = "small"
keep_base = 1
keep_window = "24h"
base_interval = "168h"
[[user]]
name = "acme"
verifier = "` + scramVerifier + `"
`
	tenant := func(name, more string) string {
		return "[[tenant]]\nname = \"" + name + "\"\nuser = \"acme\"\ncluster = \"main\"\n" + more + "\n"
	}
	small := tenant("a", "tier = \"small\"")
	for name, c := range map[string]struct {
		tenants  string
		want     keep.Policy
		interval time.Duration
	}{
		"no tenants":    {"", keep.Policy{Count: 3, Window: 48 * time.Hour}, 24 * time.Hour},
		"no tier":       {tenant("a", ""), keep.Policy{Count: 3, Window: 48 * time.Hour}, 24 * time.Hour},
		"all are small": {small, keep.Policy{Count: 1, Window: 24 * time.Hour}, 168 * time.Hour},
		"one is not":    {small + tenant("b", ""), keep.Policy{Count: 3, Window: 48 * time.Hour}, 24 * time.Hour},
		"one is gold":   {small + tenant("b", "tier = \"gold\""), keep.Policy{Count: 3, Window: 720 * time.Hour}, 6 * time.Hour},
		"for all":       {small + "[[tenant]]\nname = \"*\"\ncluster = \"main\"\ntier = \"gold\"\nbackup_retention = \"721h\"\n", keep.Policy{Count: 3, Window: 721 * time.Hour}, 6 * time.Hour},
		"small for all": {"[[tenant]]\nname = \"*\"\ncluster = \"main\"\ntier = \"small\"\n", keep.Policy{Count: 1, Window: 24 * time.Hour}, 168 * time.Hour},
		"a promise":     {small + tenant("b", "tier = \"small\"\nbackup_retention = \"30h\""), keep.Policy{Count: 1, Window: 30 * time.Hour}, 168 * time.Hour},
	} {
		config, err := parseConfig("x", t.TempDir(), head+c.tenants)
		if err != nil {
			t.Fatal(err)
		}
		s, err := config.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if policy, interval := config.policyOf(s, "main"); policy != c.want || interval != c.interval {
			t.Errorf("%s: %+v, %s", name, policy, interval)
		}
		if policy, interval := config.policyOf(s, "other"); policy.Count != 3 || interval != 24*time.Hour {
			t.Errorf("%s: the other cluster has %+v, %s", name, policy, interval)
		}
	}
}

// kept is a store with base backups of a cluster that has WAL for 40 hours.
type kept struct {
	path string
	repo *repository.Repository
	ids  []string // the oldest first
}

func newKept(t *testing.T, more string) *kept {
	t.Helper()
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	k := &kept{path: writeFile(t, "howdah.toml", fmt.Sprintf(backupSection, recipient)+more+good)}
	writeBeside(t, k.path, "key", identity)
	if err := os.Chmod(filepath.Join(filepath.Dir(k.path), "key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, said := runCommand(t, "backup", "init", "-c", k.path); code != exitDone {
		t.Fatal(said)
	}
	config, err := LoadConfig(k.path)
	if err != nil {
		t.Fatal(err)
	}
	if k.repo, err = config.repositoryOf("main", (*Store).open); err != nil {
		t.Fatal(err)
	}
	k.fill(t)
	return k
}

func (k *kept) fill(t *testing.T) {
	t.Helper()
	const segment, hours = 1 << 20, 40
	r := k.repo
	if _, err := r.Claim(t.Context(), replication.Server{System: "7", Major: 15, Segment: segment, Timeline: 1}); err != nil {
		t.Fatal(err)
	}
	for i := range replication.LSN(hours) {
		key := r.Key("wal", "00000001", replication.SegmentName(1, i*segment, segment))
		if _, err := r.Sealer.PutIfAbsent(t.Context(), r.Store, key, []byte("wal"), nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < hours; i += 10 {
		at := time.Now().UTC().Add(time.Duration(i-hours) * time.Hour)
		m := &base.Manifest{
			Format: 1, ID: at.Format("20060102T150405Z") + ".aaaaaa", Cluster: "main", System: "7", Major: 15, Segment: segment,
			Start: base.Position{LSN: replication.LSN(i)*segment + 40, Timeline: 1}, Stop: base.Position{LSN: replication.LSN(i)*segment + 400, Timeline: 1},
			Started: at, Finished: at.Add(time.Minute), Objects: []base.Object{{}},
		}
		for _, key := range []string{r.Key("base", "data", m.ID, "000000"), r.Key("base", "index", m.ID, "files"), r.Key("base", "index", m.ID, "backup_manifest")} {
			if err := r.Store.Put(t.Context(), key, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := base.Commit(t.Context(), r, m); err != nil {
			t.Fatal(err)
		}
		k.ids = append(k.ids, m.ID)
	}
}

func (k *kept) give(t *testing.T, want int, says string, args ...string) string {
	t.Helper()
	code, out, said := runCommand(t, append(args, "-c", k.path)...)
	out = strings.Join(strings.Fields(out), " ")
	if code != want || !strings.Contains(out+said, says) {
		t.Errorf("howdah %s: exit code %d, %q, %q", strings.Join(args, " "), code, out, said)
	}
	return out
}

func TestExpireAndHoldCommands(t *testing.T) {
	k := newKept(t, "keep_base = 1\nkeep_window = \"5h\"\nkeep_exports_window = \"1h\"\n")
	place := &export.Place{Store: k.repo.Store, Sealer: k.repo.Sealer}
	var exports []string
	for _, hours := range []int{30, 20, 10} {
		exports = append(exports, storeExportAt(t, place, time.Now().Add(-time.Duration(hours)*time.Hour)))
	}
	k.give(t, exitUsage, "time zone", "backup", "hold", k.ids[0], "--until", "2026-01-31 10:42")
	k.give(t, exitUsage, "--until: it takes", "backup", "hold", k.ids[0], "--until", "name:x")
	k.give(t, exitFailed, "not to", "backup", "hold", k.ids[0], "--until", "lsn:F/0")
	k.give(t, exitFailed, "after that", "backup", "hold", k.ids[1], "--until", "lsn:0/100")
	k.give(t, exitFailed, "it is not known", "backup", "hold", k.ids[1], "--until", "2026-01-31T10:42:00Z")
	k.give(t, exitNotFound, "no such object", "backup", "hold", "20260131T104200Z.abcdef")
	k.give(t, exitNotFound, "not held", "backup", "hold", k.ids[0], "--release")
	k.give(t, exitUsage, "neither", "backup", "hold", k.ids[0], "--release", "--reason", "x")
	k.give(t, exitDone, "is held, with its WAL until lsn:0/300000", "backup", "hold", k.ids[0], "--until", "lsn:0/300000", "--reason", "case 4711")
	if out := k.give(t, exitDone, "case 4711", "backup", "list", "--json"); !strings.Contains(out, `"lsn": "0/300000"`) {
		t.Errorf("the hold is not told: %s", out)
	}
	k.give(t, exitDone, "HELD", "backup", "list")

	k.give(t, exitUsage, "needs no WAL", "backup", "hold", exports[0], "--until", "latest")
	k.give(t, exitNotFound, "no such object", "backup", "hold", "globex.20260131T104200Z.abcdef")
	k.give(t, exitNotFound, "not held", "backup", "hold", exports[0], "--release")
	k.give(t, exitDone, "is held", "backup", "hold", exports[0], "--reason", "case 4712")
	k.give(t, exitDone, "case 4712", "export", "list")
	k.give(t, exitFailed, "it is held", "export", "remove", exports[0], "--yes")

	before := k.give(t, exitDone, k.ids[1]+" would expire", "backup", "expire", "--dry-run")
	if !strings.Contains(before, `it is held: "case 4711"`) || !strings.Contains(before, "WAL: 16 objects") || !strings.Contains(before, exports[1]+" would expire") ||
		!strings.Contains(before, exports[0]+` kept it is held: "case 4712"`) {
		t.Errorf("the dry run says %s", before)
	}
	if again := k.give(t, exitDone, "", "backup", "expire", "--dry-run"); again != before {
		t.Errorf("the dry run has changed something: %s", again)
	}
	var told struct {
		Keep          []struct{ ID string }
		Expire        []string
		ExpireExports []string `json:"expire_exports"`
		WAL           struct{ Objects int }
	}
	out := k.give(t, exitDone, "", "backup", "expire", "--json")
	if err := json.Unmarshal([]byte(out), &told); err != nil || len(told.Keep) != 3 || !slices.Equal(told.Expire, k.ids[1:2]) || told.WAL.Objects != 16 || !slices.Equal(told.ExpireExports, exports[1:2]) {
		t.Errorf("%+v, %v", told, err)
	}
	out = k.give(t, exitDone, "", "backup", "list", "--json")
	if strings.Contains(out, k.ids[1]) || !strings.Contains(out, k.ids[0]) || !strings.Contains(out, k.ids[2]) {
		t.Errorf("afterwards there are %s", out)
	}
	if all, err := place.List(t.Context(), ""); err != nil || len(all) != 2 || all[0].ID != exports[2] || all[1].ID != exports[0] {
		t.Errorf("afterwards there are %d exports, %v", len(all), err)
	}
	k.give(t, exitDone, "not held any more", "backup", "hold", exports[0], "--release")
	k.give(t, exitDone, exports[0]+" would expire", "backup", "expire", "--dry-run")
	k.give(t, exitDone, "not held any more", "backup", "hold", k.ids[0], "--release")
	k.give(t, exitDone, k.ids[0]+" would expire", "backup", "expire", "--dry-run")
	k.give(t, exitFailed, "nothing has ever been backed up", "backup", "expire", "--cluster", "other")
}

func TestVerifyCommand(t *testing.T) {
	k := newKept(t, "")
	id := storeExportAt(t, &export.Place{Store: k.repo.Store, Sealer: k.repo.Sealer}, time.Now())
	// The base backups' objects are empty, and the WAL is not as long as its segments.
	out := k.give(t, exitFailed, "is damaged", "backup", "verify")
	if !strings.Contains(out, "BACKUP LEADS_TO") || !strings.Contains(out, "its name says 1048576") || !strings.Contains(out, `/files": store: object is damaged: it does not end as a sealed one does`) || strings.Contains(out, id) {
		t.Errorf("it says %s", out)
	}
	k.give(t, exitFailed, "its name says", "backup", "verify", "--deep", "--backup", k.ids[3])
	k.give(t, exitNotFound, "no such object", "backup", "verify", "--backup", "20260131T104200Z.abcdef")
	var told struct {
		Damage []struct{ What, Problem string }
		Bases  []struct{ ID, Until string } `json:"base_backups"`
	}
	out = k.give(t, exitFailed, "", "backup", "verify", "--json")
	if err := json.Unmarshal([]byte(out), &told); err != nil || len(told.Damage) < 40 || len(told.Bases) != 4 || told.Bases[0].Until != "0/2800000" {
		t.Errorf("%d, %+v, %v", len(told.Damage), told.Bases, err)
	}
	text, err := os.ReadFile(k.path)
	if err != nil {
		t.Fatal(err)
	}
	writeBeside(t, k.path, "howdah.toml", strings.Replace(string(text), "identity_file = \"key\"\n", "", 1))
	k.give(t, exitUsage, "identity_file", "backup", "verify", "--deep")
}

// What the catalog's tenants need is kept too; and what is deleted is in its audit log.
func TestExpireAsksTheCatalog(t *testing.T) {
	k := newKept(t, "keep_base = 1\nkeep_window = \"5h\"\n")
	text, err := os.ReadFile(k.path)
	if err != nil {
		t.Fatal(err)
	}
	withCatalog := func(url string) {
		writeBeside(t, k.path, "howdah.toml", string(text)+fmt.Sprintf("\n[catalog]\nurl = %q\n", url))
	}
	withCatalog("postgres://howdah@127.0.0.1:1/catalog")
	k.give(t, exitFailed, "must be known", "backup", "expire")
	k.give(t, exitFailed, "must be known", "backup", "hold", k.ids[0])
	url := wiretest.StartPostgres(t).AdminURL(postgres.Superuser)
	c, err := catalog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Change(t.Context(), catalog.Actor{Name: "test"}, func(tx *catalog.Tx) error {
		if err := tx.Create(catalog.Tier, "gold", "", catalog.Settings{"keep_window": "15h"}); err != nil {
			return err
		}
		return tx.Create(catalog.Tenant, "globex", "", catalog.Settings{"cluster": "main", "tier": "gold", "user": "acme"})
	})
	if err != nil {
		t.Fatal(err)
	}
	withCatalog(url)
	k.give(t, exitDone, k.ids[2]+" kept", "backup", "expire")
	if all, err := base.List(t.Context(), k.repo); err != nil || len(all) != 3 {
		t.Errorf("%d are left, %v", len(all), err)
	}
	last, err := c.LastRecords(t.Context(), "", 1)
	if err != nil || len(last) != 1 || last[0].Action != "expire" || last[0].Name != "main" || last[0].After["base_backups"] != k.ids[0] {
		t.Errorf("the audit log says %+v, %v", last, err)
	}
	// What globex was promised is kept when it is gone, and by who does not know the catalog.
	err = c.Change(t.Context(), catalog.Actor{Name: "test"}, func(tx *catalog.Tx) error { return tx.Delete(catalog.Tenant, "globex", catalog.AnyRevision) })
	if err != nil {
		t.Fatal(err)
	}
	k.give(t, exitDone, "kept for longer than is set now: until", "backup", "expire")
	writeBeside(t, k.path, "howdah.toml", string(text))
	k.give(t, exitDone, "every moment of 15h0m0s", "backup", "expire")
	k.give(t, exitDone, k.ids[1]+" would expire", "backup", "expire", "--as-set", "--dry-run")
	withCatalog(url)
	if err := c.NeedReview(t.Context(), "it was put back"); err != nil {
		t.Fatal(err)
	}
	k.give(t, exitFailed, "it was put back", "backup", "expire")
}

// storeExportAt stores an export of a tenant acme.
func storeExportAt(t *testing.T, place *export.Place, at time.Time) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "toc.dat"), []byte("contents"), 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := export.NewID("acme", at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := place.Put(t.Context(), export.Manifest{ID: id, Tenant: "acme", Taken: at}, folder, []string{"toc.dat"}, nil); err != nil {
		t.Fatal(err)
	}
	return id
}
