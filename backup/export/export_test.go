package export_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/backup/export"
	"howdah/backup/store"
)

// house is a place for exports, and a folder of files to be exported.
type house struct {
	*testing.T
	*export.Place
	dir    *store.Dir
	folder string
	files  map[string]string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	if err := store.MakeDir(path); err != nil {
		t.Fatal(err)
	}
	dir, err := store.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	h := &house{T: t, dir: dir, folder: t.TempDir(), files: map[string]string{
		"howdah.json": "{}", "3000.dat": strings.Repeat("rows\n", 1000), "empty.dat": "", "toc.dat": "contents",
	}}
	h.Place = &export.Place{Store: dir, Sealer: h.sealer(identity, recipient)}
	for name, text := range h.files {
		if err := os.WriteFile(filepath.Join(h.folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *house) sealer(identity string, recipients ...string) *store.Sealer {
	h.Helper()
	s, err := store.NewSealer(recipients, identity)
	if err != nil {
		h.Fatal(err)
	}
	return s
}

// about describes an export of a tenant.
func (h *house) about(tenant string, at time.Time) export.Manifest {
	h.Helper()
	id, err := export.NewID(tenant, at)
	if err != nil {
		h.Fatal(err)
	}
	return export.Manifest{ID: id, Tenant: tenant, TenantID: "u", Cluster: "main", Server: 15, Taken: at, Encoding: "UTF8", Extensions: []string{"unaccent"}}
}

var names = []string{"howdah.json", "3000.dat", "empty.dat", "toc.dat"}

// make stores an export in parts of that size.
func (h *house) make(m export.Manifest, size int64) *export.Manifest {
	h.Helper()
	made, err := h.PutInParts(h.Context(), m, h.folder, names, size)
	if err != nil {
		h.Fatal(err)
	}
	return made
}

// keys lists what is in the store below a prefix.
func (h *house) keys(prefix string) (keys []string) {
	h.Helper()
	for info, err := range h.Store.List(h.Context(), prefix) {
		if err != nil {
			h.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// ids lists exports.
func (h *house) ids(tenant string) (ids []string) {
	h.Helper()
	all, err := h.List(h.Context(), tenant)
	if err != nil {
		h.Fatal(err)
	}
	for _, m := range all {
		ids = append(ids, m.ID)
	}
	return ids
}

// read reads the files of a folder.
func (h *house) read(folder string) map[string]string {
	h.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		h.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			h.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// What goes in comes out, whatever the size of the parts.
func TestPutAndFetch(t *testing.T) {
	h := newHouse(t)
	for _, size := range []int64{1000, 4096, 1 << 20} {
		m := h.make(h.about("acme", noon), size)
		const archive = 10240 // bytes: 5 headers, what is in the files, and the end
		if m.Files != len(h.files) || m.Size != 5010 || len(m.Parts) != int((archive+size-1)/size) {
			t.Errorf("parts of %d bytes: %+v", size, m)
		}
		for _, p := range m.Parts[:len(m.Parts)-1] {
			if p.Size != size {
				t.Errorf("a part of %d bytes, not %d", p.Size, size)
			}
		}
		verified, err := h.Verify(t.Context(), m.ID, nil)
		if err != nil || verified.Stored != m.Stored {
			t.Errorf("verify: %+v, %v", verified, err)
		}
		into, told := t.TempDir(), int64(0)
		if err := h.Fetch(t.Context(), verified, into, func(n int64) { told = n }); err != nil {
			t.Fatal(err)
		}
		got := h.read(into)
		if sums := got[export.SumsFile]; strings.Count(sums, "\n") != len(h.files) || !strings.Contains(sums, "  toc.dat\n") {
			t.Errorf("sums:\n%s", sums)
		}
		delete(got, export.SumsFile)
		if !maps.Equal(got, h.files) || told != m.Size {
			t.Errorf("parts of %d bytes: got %d files, told of %d bytes", size, len(got), told)
		}
	}
}

// The newest come first, and a tenant's are not those of one whose name begins the same.
func TestList(t *testing.T) {
	h := newHouse(t)
	var want []string
	for i, tenant := range []string{"acme", "acme.eu", "acme", "globex"} {
		want = append(want, h.make(h.about(tenant, noon.Add(time.Duration(i)*time.Hour)), 1<<20).ID)
	}
	slices.Reverse(want)
	if got := h.ids(""); !slices.Equal(got, want) {
		t.Errorf("all are %v", got)
	}
	if got := h.ids("acme"); !slices.Equal(got, []string{want[1], want[3]}) {
		t.Errorf("acme's are %v", got)
	}
	if got := h.ids("ac"); got != nil {
		t.Errorf("ac's are %v", got)
	}
	if err := h.Store.Put(t.Context(), "exports/manifests/"+want[0], []byte("{"), nil); err != nil {
		t.Fatal(err)
	}
	all, err := h.List(t.Context(), "")
	if len(all) != 3 || !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), want[0]) {
		t.Errorf("with a damaged one: %d, %v", len(all), err)
	}
}

// Of two attempts at one export, one is there, and the other leaves nothing.
func TestOneOfTwoAttempts(t *testing.T) {
	h := newHouse(t)
	about := h.about("acme", noon)
	first, second := h.make(about, 1000), h.make(about, 2000)
	if first.Attempt != second.Attempt || len(h.keys("exports/data/")) != len(first.Parts) {
		t.Errorf("first %+v, second %+v; there is %v", first, second, h.keys(""))
	}
	if _, err := h.Verify(t.Context(), about.ID, nil); err != nil {
		t.Error(err)
	}
}

// An attempt that fails, or is cancelled, leaves nothing; one that was killed leaves what
// the next deletes.
func TestFailedAttempts(t *testing.T) {
	h := newHouse(t)
	about := h.about("acme", noon)
	if _, err := h.PutInParts(t.Context(), about, h.folder, append(slices.Clone(names), "missing.dat"), 1000); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	for _, bad := range []string{"../up", "a/b", ".hidden", "SHA256SUMS", "two words"} {
		if _, err := h.PutInParts(t.Context(), about, h.folder, []string{bad}, 1000); err == nil {
			t.Errorf("a file %q is exported", bad)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("nobody wants it")
	h.Store = stopping{h.dir, func() { cancel(why) }}
	if _, err := h.PutInParts(ctx, about, h.folder, names, 1000); err == nil {
		t.Error("a cancelled export is there")
	}
	h.Store = h.dir
	if left := h.keys(""); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if err := h.Store.Put(t.Context(), "exports/data/"+about.ID+"/killed/000000", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	m := h.make(about, 1000)
	if left := h.keys("exports/data/"); len(left) != len(m.Parts) {
		t.Errorf("left behind: %v", left)
	}
}

// stopping is a store that calls stop when the second part has been stored.
type stopping struct {
	*store.Dir
	stop func()
}

func (s stopping) Stat(ctx context.Context, key string) (store.Info, error) {
	if strings.HasSuffix(key, "1") {
		s.stop()
	}
	return s.Dir.Stat(ctx, key)
}

// Who is still at an export that was given up cannot end it.
func TestAbandon(t *testing.T) {
	h := newHouse(t)
	about := h.about("acme", noon)
	for range 2 {
		if err := h.Abandon(t.Context(), about.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.PutInParts(t.Context(), about, h.folder, names, 1000); !errors.Is(err, export.ErrAbandoned) {
		t.Errorf("it is stored: %v", err)
	}
	if _, err := h.Manifest(t.Context(), about.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it is there: %v", err)
	}
	if left := h.keys("exports/data/"); left != nil || h.ids("") != nil {
		t.Errorf("left behind: %v, %v", left, h.ids(""))
	}
	m := h.make(h.about("acme", noon), 1000)
	if err := h.Abandon(t.Context(), m.ID); !errors.Is(err, store.ErrExists) {
		t.Errorf("an export that is there is abandoned: %v", err)
	}
	if _, err := h.Verify(t.Context(), m.ID, nil); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := h.Remove(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
	}
	if left := h.keys("exports/data/"); left != nil || h.ids("") != nil {
		t.Errorf("removed, there is %v, %v", left, h.ids(""))
	}
}

// The sweep deletes what belongs to nobody, when it is old.
func TestSweep(t *testing.T) {
	h := newHouse(t)
	there := h.make(h.about("acme", noon), 1000)
	given := h.about("acme", noon)
	if err := h.Abandon(t.Context(), given.ID); err != nil {
		t.Fatal(err)
	}
	running, left := h.about("busy", noon), h.about("left", noon)
	for _, key := range []string{running.ID + "/a/000000", left.ID + "/a/000000", there.ID + "/a/000000"} {
		if err := h.Store.Put(t.Context(), "exports/data/"+key, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	all := h.keys("")
	underway := func(id string) bool { return id == running.ID }
	if err := h.Sweep(t.Context(), underway); err != nil || !slices.Equal(h.keys(""), all) {
		t.Errorf("what is young is swept: %v, %v", h.keys(""), err)
	}
	later := time.Now().Add(time.Hour)
	for range 2 {
		if err := h.SweepBefore(t.Context(), underway, later); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(h.keys("exports/data/")); got != len(there.Parts)+1 {
		t.Errorf("there is %v", h.keys(""))
	}
	if got := h.keys("exports/manifests/"); !slices.Equal(got, []string{"exports/manifests/" + there.ID}) {
		t.Errorf("manifests are %v", got)
	}
	if _, err := h.Verify(t.Context(), there.ID, nil); err != nil {
		t.Error(err)
	}
}

// What is not what was stored is found: by who has no key, and before anybody believes
// what was fetched.
func TestDamage(t *testing.T) {
	h := newHouse(t)
	m := h.make(h.about("acme", noon), 3000)
	other := h.make(h.about("acme", noon), 3000)
	key := func(m *export.Manifest, n int) string {
		return fmt.Sprintf("exports/data/%s/%s/%06d", m.ID, m.Attempt, n)
	}
	for what, change := range map[string]func(whole []byte) []byte{
		"missing":   func([]byte) []byte { return nil },
		"cut off":   func(b []byte) []byte { return b[:len(b)-1] },
		"empty":     func([]byte) []byte { return []byte{} },
		"changed":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"exchanged": func([]byte) []byte { return h.object(key(other, 2)) },
	} {
		whole := h.object(key(m, 1))
		var err error
		if changed := change(bytes.Clone(whole)); changed == nil {
			err = h.Store.Delete(t.Context(), key(m, 1))
		} else {
			err = h.Store.Put(t.Context(), key(m, 1), changed, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Verify(t.Context(), m.ID, nil); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: verified: %v", what, err)
		}
		if err := h.Fetch(t.Context(), m, t.TempDir(), nil); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: fetched: %v", what, err)
		}
		if err := h.Store.Put(t.Context(), key(m, 1), whole, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Verify(t.Context(), m.ID, nil); err != nil {
		t.Error(err)
	}
}

func (h *house) object(key string) []byte {
	h.Helper()
	r, _, err := h.Store.Get(h.Context(), key, 0, -1)
	if err != nil {
		h.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		h.Fatal(err)
	}
	return b.Bytes()
}

// Without the private key an export can be verified, and not opened.
func TestIdentity(t *testing.T) {
	h := newHouse(t)
	m := h.make(h.about("acme", noon), 3000)
	if err := h.CanOpen(t.Context(), m); err != nil {
		t.Error(err)
	}
	another, _, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for what, identity := range map[string]string{"none": "", "another": another} {
		h.Sealer = h.sealer(identity)
		if err := h.CanOpen(t.Context(), m); !errors.Is(err, store.ErrNoIdentity) {
			t.Errorf("%s: it can be opened: %v", what, err)
		}
		if err := h.Fetch(t.Context(), m, t.TempDir(), nil); !errors.Is(err, store.ErrNoIdentity) {
			t.Errorf("%s: it is fetched: %v", what, err)
		}
		if _, err := h.Verify(t.Context(), m.ID, nil); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestBadIDs(t *testing.T) {
	h := newHouse(t)
	for _, id := range []string{"", "acme", "../x.20260131T120000Z.abcdef", "a/b.20260131T120000Z.abcdef", "acme.20260131T120000Z.ABCDEF", strings.Repeat("a", 101) + ".20260131T120000Z.abcdef", "a\n.20260131T120000Z.abcdef"} {
		if _, err := h.Manifest(t.Context(), id); !errors.Is(err, export.ErrID) {
			t.Errorf("%q: %v", id, err)
		}
		if err := h.Remove(t.Context(), id); !errors.Is(err, export.ErrID) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := h.Manifest(t.Context(), "acme.20260131T120000Z.abcdef"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}
