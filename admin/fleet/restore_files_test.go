package fleet_test

import (
	"crypto/sha1" //nolint:gosec // Odoo names files by it
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/backup/filestore"
	"howdah/tenants/catalog"
)

// withFilestore has the folder be where Odoo has its files.
func withFilestore(dir string) func(*fleet.Config) {
	return func(c *fleet.Config) { c.FilestoreDir = func() string { return dir } }
}

// files are those of Odoo's that are kept beside databases.
type files struct {
	*vault
	dir   string
	known atomic.Value // what the vault's fleet takes for it
	after atomic.Bool  // tenant beside was there when somebody asked for that
}

// filesOf has there be a folder of files, of which the vault's fleet can know.
func (v *vault) filesOf() *files {
	v.t.Helper()
	f := &files{vault: v, dir: v.odoo}
	f.known.Store("")
	v.fleet.FilestoreDir = func() string {
		if _, err := v.fleet.Catalog.Entry(v.t.Context(), catalog.Tenant, "beside"); err == nil {
			f.after.Store(true)
		}
		return f.known.Load().(string)
	}
	return f
}

// attach has a tenant's database refer to a file of these contents, which Odoo writes, and
// returns its name.
func (f *files) attach(tenant, contents string) string {
	f.t.Helper()
	sum := sha1.Sum([]byte(contents)) //nolint:gosec // as above
	name := hex.EncodeToString(sum[:])
	name = name[:2] + "/" + name
	path := filepath.Join(f.dir, tenant, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(contents), 0o644)); err != nil {
		f.t.Fatal(err)
	}
	as(f.t, f.server, "acme", f.password, fmt.Sprintf("create table if not exists public.ir_attachment (store_fname varchar); insert into public.ir_attachment values ('%s')", name))
	return name
}

// collect has Odoo collect a file.
func (f *files) collect(tenant, name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, tenant, name)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *files) sync(tenant string) {
	f.t.Helper()
	from := filestore.Filestore{Repo: f.repo, Database: tenant}
	if _, err := from.Sync(f.t.Context(), filepath.Join(f.dir, tenant), nil); err != nil {
		f.t.Fatal(err)
	}
}

// has says which of some files a tenant's folder has.
func (f *files) has(tenant string, names ...string) (have []bool) {
	for _, name := range names {
		_, err := os.Stat(filepath.Join(f.dir, tenant, name))
		have = append(have, err == nil)
	}
	return have
}

// told is what an operation says of files.
type told struct {
	Files     string
	Filestore struct {
		Files, Stored, Missing int
		Into, Trouble, Command string
		New                    int      `json:"new_files"`
		Lacking                []string `json:"missing_names"`
		Late                   bool     `json:"synced_before_target"`
	}
}

func (f *files) told(o *catalog.Operation) (all told) {
	f.t.Helper()
	if err := json.Unmarshal(o.Result, &all); err != nil {
		f.t.Fatal(err)
	}
	return all
}

// What is restored has the files that it referred to then, beside or in the tenant's place,
// and which are missing is told; nothing of what is there is lost, and no folder is left.
func (f *files) testFiles(t *testing.T) {
	v := f.vault
	f.known.Store(f.dir)
	defer f.known.Store("")
	then, both := f.attach("acme", "then"), f.attach("acme", "then and now")
	f.sync("acme")
	time.Sleep(time.Millisecond)
	unstored := f.attach("acme", "not stored")
	f.collect("acme", unstored)
	at := v.now()
	as(t, v.server, "acme", v.password, fmt.Sprintf("delete from public.ir_attachment where store_fname in ('%s', '%s')", then, unstored))
	f.collect("acme", then)
	now := f.attach("acme", "now")

	v.renames("acme", "umbrella") // and so does Odoo with the folder
	if err := os.Rename(filepath.Join(f.dir, "acme"), filepath.Join(f.dir, "umbrella")); err != nil {
		t.Fatal(err)
	}
	_, o := v.restores("umbrella", fleet.NewRestore{To: at, As: "beside"})
	if !f.after.Load() {
		t.Error("the tenant has waited for its files")
	}
	got := f.told(o)
	if b := got.Filestore; b.Files != 3 || b.Stored != 2 || b.New != 2 || b.Missing != 1 || !slices.Equal(b.Lacking, []string{unstored}) || !b.Late || b.Trouble != "" ||
		b.Into != filepath.Join(f.dir, "beside") || b.Command != "howdah filestore restore --cluster main --database acme --database umbrella --from-database postgres://beside@/beside --into DATA_DIR/filestore/beside" {
		t.Errorf("it tells %s", o.Result)
	}
	if !strings.Contains(got.Files, "1 are missing: "+unstored) || !strings.Contains(got.Files, "it on Odoo's host, which may have them still") {
		t.Errorf("it says %s", got.Files)
	}
	if have := f.has("beside", then, both, unstored, now); !slices.Equal(have, []bool{true, true, false, false}) {
		t.Errorf("beside has %v", have)
	}
	v.gone("beside")
	if _, err := os.Stat(filepath.Join(f.dir, "beside")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of what is gone is left: %v", err)
	}
	if _, err := filestore.MakeCopy(f.dir, "acme", "an id"); err != nil {
		t.Fatal(err)
	}
	v.renames("umbrella", "acme")
	if removed, err := filestore.RemoveCopy(f.dir, "acme", "an id"); removed || err != nil {
		t.Errorf("the folder of a copy that has gone by another name since is removed: %t, %v", removed, err)
	}
	if err := os.RemoveAll(filepath.Join(f.dir, "acme")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(f.dir, "umbrella"), filepath.Join(f.dir, "acme")); err != nil {
		t.Fatal(err)
	}

	f.sync("acme")
	_, o = v.restores("acme", fleet.NewRestore{To: at, Swap: true})
	if b := f.told(o).Filestore; b.Files != 3 || b.New != 1 || b.Missing != 1 || b.Late {
		t.Errorf("swapped, it tells %s", o.Result)
	}
	if have := f.has("acme", then, both, now); slices.Contains(have, false) {
		t.Errorf("swapped, it has %v", have)
	}
	f.collect("acme", now) // which the database that is there does not refer to
	v.unswaps("acme")
	if have := f.has("acme", then, both, now); slices.Contains(have, false) {
		t.Errorf("swapped back, it has %v", have)
	}
	purged, err := v.fleet.PurgeTenant(t.Context(), anna, "acme")
	if err != nil {
		t.Fatal(err)
	}
	v.await(purged, catalog.Done)
	if have := f.has("acme", both); !have[0] {
		t.Error("the tenant's folder went with a database that was kept")
	}

	as(t, v.server, "acme", v.password, "drop table public.ir_attachment")
}
