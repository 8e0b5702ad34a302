package verify_test

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // Odoo's names
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/export"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/store/storetest"
	"howdah/backup/verify"
	"howdah/backup/wal"
	"howdah/wire/wiretest"
)

// house is what is stored of a real server.
type house struct {
	*testing.T
	repo   *repository.Repository
	folder string
	m      *base.Manifest
	export string
}

func newHouse(t *testing.T) *house {
	h := &house{T: t, folder: t.TempDir()}
	if err := store.MakeDir(h.folder); err != nil {
		t.Fatal(err)
	}
	dir, err := store.OpenDir(h.folder)
	if err != nil {
		t.Fatal(err)
	}
	h.repo = &repository.Repository{Store: dir, Sealer: storetest.NewSealer(t), Cluster: "main"}
	s := wiretest.StartPostgres(t, wiretest.WithTrust(), wiretest.WithSetting("wal_level", "replica"))
	url := func() string { return s.AdminURL("postgres") }
	ctx, stop := context.WithCancel(t.Context())
	r := &wal.Receiver{Repo: h.repo, URL: url, SampleURL: url, Interval: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx) // until it is told to end
	}()
	defer func() { stop(); <-done }()
	conn, err := replication.Connect(t.Context(), url())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	configuration := &base.Configuration{Files: []base.ConfigurationFile{{Path: "/etc/postgresql/postgresql.conf", Text: []byte("port = 5432")}}}
	names := func(context.Context) (map[uint32]string, error) { return map[uint32]string{}, nil }
	if h.m, err = base.Take(t.Context(), h.repo, conn, names, base.Options{Configuration: configuration}); err != nil {
		t.Fatal(err)
	}
	h.stored(h.m.Stop.LSN)
	if err := base.Commit(t.Context(), h.repo, h.m); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Exec(t.Context(), "postgres", "create table t (n int)", "insert into t select generate_series(1, 1000)", "drop table t", "select pg_switch_wal()"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Exec(t.Context(), "postgres", "create table t (n int)", "insert into t select generate_series(1, 1000)"); err != nil {
		t.Fatal(err)
	}
	var end string
	if err := s.QueryRow(t.Context(), "postgres", "select pg_current_wal_insert_lsn()::text", nil, &end); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(t.Context(), "postgres", "insert into t values (1)"); err != nil { // so that it is behind that
		t.Fatal(err)
	}
	l, err := replication.ParseLSN(end)
	if err != nil {
		t.Fatal(err)
	}
	h.stored(l)
	h.beside(l)
	return h
}

const tenant = "6f1c2f0e-1111-4222-8333-123456789abc"

// beside stores what else there is in a store.
func (h *house) beside(end replication.LSN) {
	h.put("wal/00000002.history", fmt.Sprintf("1\t%s\tit was put back\n", end))
	gap := `{"format":1,"from":{"LSN":1,"Timeline":1},"to":{"LSN":2,"Timeline":1},"found":"2026-01-01T00:00:00Z","why":"test"}`
	h.put("gaps/00000001-0000000000000002-00000001-0000000000000001", gap)
	for key, text := range map[string]string{
		"copies/00000001-0000000000000001":        `{"format":1,"at":{"LSN":1,"Timeline":1},"oid":5,"source_oid":4,"found":"2026-01-01T00:00:00Z"}`,
		"policies/20260101T000000Z.aaaaaa":        `{"format":1,"since":"2026-01-01T00:00:00Z","keep_base":2,"keep_window":3600}`,
		"lineage/" + tenant + "/1-" + tenant:      `{"format":1,"oid":5}`,
		"drills/20260101T000000Z.aaaaaa":          `{"format":1,"id":"20260101T000000Z.aaaaaa"}`,
		"archive/000000010000000000000001.backup": "START WAL LOCATION: 0/1",
		"base/running/" + h.m.ID:                  `{"format":1}`,
	} {
		h.put(key, text)
	}
	if err := base.PutHold(h.Context(), h.repo, base.Hold{ID: h.m.ID, Reason: "case 4711"}); err != nil {
		h.Fatal(err)
	}
	attachment := []byte("an attachment")
	if _, err := h.repo.Sealer.PutIfAbsent(h.Context(), h.repo.Store, h.repo.Key(fileKey(attachment)), attachment, nil); err != nil {
		h.Fatal(err)
	}
	h.put("filestore/acme/synced", `{"format":1,"started":"2026-01-01T00:00:00Z"}`)
	files := h.TempDir()
	if err := os.WriteFile(filepath.Join(files, "toc.dat"), bytes.Repeat([]byte("contents"), 1000), 0o600); err != nil {
		h.Fatal(err)
	}
	id, err := export.NewID("acme", time.Now())
	if err != nil {
		h.Fatal(err)
	}
	h.export = id
	if _, err := h.place().Put(h.Context(), export.Manifest{ID: id, Tenant: "acme", Cluster: "main", Taken: time.Now()}, files, []string{"toc.dat"}, nil); err != nil {
		h.Fatal(err)
	}
	if err := h.place().PutHold(h.Context(), export.Hold{ID: id, Reason: "case 4711"}); err != nil {
		h.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if sample, _, err := wal.StoredUntil(h.Context(), h.repo); err == nil && !sample.Time.IsZero() {
			break
		}
		if time.Now().After(end) {
			h.Fatal("there is no heartbeat")
		}
	}
}

// fileKey is where a file of a filestore is.
func fileKey(contents []byte) string {
	name := fmt.Sprintf("%x", sha1.Sum(contents))
	return "filestore/acme/files/" + name[:2] + "/" + name
}

func (h *house) place() *export.Place {
	return &export.Place{Store: h.repo.Store, Sealer: h.repo.Sealer}
}

func (h *house) put(key, text string) {
	h.Helper()
	sum := sha256.Sum256([]byte(text))
	if err := h.repo.Store.Put(h.Context(), h.repo.Key(key), []byte(text), map[string]string{"sha-256": hex.EncodeToString(sum[:])}); err != nil {
		h.Fatal(err)
	}
}

// stored waits until WAL is stored.
func (h *house) stored(until replication.LSN) {
	h.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		contents, err := wal.List(h.Context(), h.repo)
		if err == nil {
			if _, err = contents.Reaches(replication.Position(h.m.Start), until, 1); err == nil {
				return
			}
		}
		if time.Now().After(end) {
			h.Fatal(err)
		}
	}
}

func (h *house) verify(v verify.Verification) *verify.Report {
	h.Helper()
	v.Repo = h.repo
	r, err := v.Run(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	return r
}

// restore reads all that a restore reads, the longest at last, and does all but start a
// server.
func (h *house) restore() error {
	contents, err := wal.List(h.Context(), h.repo)
	if err != nil {
		return err
	}
	m, err := base.Read(h.Context(), h.repo, h.m.ID)
	if err != nil {
		return err
	}
	if _, err := base.ReadConfiguration(h.Context(), h.repo, m); err != nil {
		return err
	}
	if _, _, err := wal.StoredUntil(h.Context(), h.repo); err != nil {
		return err
	}
	end, err := contents.Reaches(replication.Position(m.Start), 0, 1)
	if err != nil {
		return err
	}
	for at := m.Start.LSN.SegmentStart(m.Segment); at < end.LSN; at += m.Segment {
		if err := contents.Fetch(h.Context(), h.repo, replication.SegmentName(1, at, m.Segment), io.Discard); err != nil {
			return err
		}
	}
	into := filepath.Join(h.TempDir(), "restored")
	return errors.Join(base.Unpack(h.Context(), h.repo, m, into, base.UnpackOptions{}), os.RemoveAll(into))
}

// kinds are the kinds of objects, by what is in their keys, and whether every restore needs
// each of that kind.
func (h *house) kinds() map[string]bool {
	first := replication.SegmentName(1, h.m.Start.LSN, h.m.Segment)
	return map[string]bool{
		"identity": true, "heartbeat": true, "gaps/": false, "wal/00000002.history": false, "wal/00000001/" + first: true,
		".parts/": false, "base/data/": true, "base/index/" + h.m.ID + "/files": false, "base/index/" + h.m.ID + "/backup_manifest": true,
		"base/manifests/": true, "base/index/" + h.m.ID + "/configuration": true, "base/holds/": false, "base/running/": false,
		"copies/": false, "policies/": false, "lineage/": false, "drills/": false, "archive/": false, "exports/holds/": false,
		"filestore/acme/files/": false, "filestore/acme/synced": false, "exports/data/": false, "exports/manifests/": false,
	}
}

// isSealed says whether objects of a kind are encrypted.
func isSealed(kind string) bool {
	return slices.ContainsFunc([]string{"wal/00000001/", ".parts/", "/data/", "/index/", "/files/"}, func(part string) bool { return strings.Contains(kind, part) })
}

func (h *house) objects() (keys []string) {
	h.Helper()
	for info, err := range h.repo.Store.List(h.Context(), "") {
		if err != nil {
			h.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// Whatever is damaged of whatever object, verify finds it, with the key and without it, and a
// restore that needs it refuses it. HOWDAH_SEED damages what that seed did, again.
func TestDamageIsFound(t *testing.T) {
	h := newHouse(t)
	for _, open := range []bool{false, true} {
		var done, total int64
		r := h.verify(verify.Verification{Open: open, Progress: func(d, t int64) { done, total = d, t }})
		if len(r.Damage) > 0 || len(r.Notes) > 0 || len(r.Bases) != 1 || r.Bases[0].Hole != "" || r.Bases[0].Before == nil || r.Exports != 1 || r.Objects < 5 {
			t.Fatalf("open %t: %+v", open, r)
		}
		if done == 0 || done != total && !open { // open, what is between files is not counted
			t.Errorf("open %t: %d of %d bytes were read", open, done, total)
		}
	}
	if err := h.restore(); err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("HOWDAH_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	all, rounds := h.objects(), 4
	if os.Getenv("HOWDAH_SOAK") != "" {
		rounds = 30
	}
	kinds := h.kinds()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		keys := slices.DeleteFunc(slices.Clone(all), func(key string) bool { return !strings.Contains(key, kind) })
		if len(keys) == 0 {
			t.Errorf("there is no object of kind %s", kind)
			continue
		}
		for n := range rounds {
			open := n%2 == 1
			if open && !isSealed(kind) { // a key is of no use there
				continue
			}
			key := keys[random.IntN(len(keys))]
			path := filepath.Join(h.folder, "objects", filepath.FromSlash(key))
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at, what, damaged := random.IntN(len(whole)), "cut off", whole
			if damaged = whole[:at]; n%4 == 1 || n%4 == 2 {
				damaged = bytes.Clone(whole)
				damaged[at] ^= 1 << random.IntN(8)
				what = "flipped"
			}
			h.write(path, damaged)
			name := fmt.Sprintf("%s, %s at %d of %d", key, what, at, len(whole))
			if r := h.verify(verify.Verification{Open: open}); !tells(r, key) {
				t.Errorf("%s: with key %t it says %+v", name, open, r)
			}
			if kinds[kind] {
				if err := h.restore(); err == nil {
					t.Errorf("%s: it was restored", name)
				}
			}
			h.write(path, whole)
		}
		h.missing(keys[0])
	}
	if r := h.verify(verify.Verification{}); len(r.Damage) > 0 {
		t.Errorf("the test has left damage: %+v", r.Damage)
	}
}

// tells says whether there is a finding about an object.
func tells(r *verify.Report, key string) bool {
	id := filepath.Base(key)
	if strings.Contains(key, "/data/") || strings.Contains(key, "/index/") {
		id = key
	}
	return slices.ContainsFunc(r.Damage, func(f verify.Finding) bool {
		return strings.Contains(f.What, key) || strings.Contains(f.Problem, key) || strings.Contains(f.What+f.Problem, id)
	})
}

// missing takes an object away whose being there something else says.
func (h *house) missing(key string) {
	h.Helper()
	for _, told := range []string{"/identity", "base/data/", "base/index/", "exports/data/"} {
		if !strings.Contains(key, told) {
			continue
		}
		path := filepath.Join(h.folder, "objects", filepath.FromSlash(key))
		if err := os.Rename(path, path+".away"); err != nil {
			h.Fatal(err)
		}
		if r := h.verify(verify.Verification{}); !tells(r, key) {
			h.Errorf("%s is missing: %+v", key, r.Damage)
		}
		if err := os.Rename(path+".away", path); err != nil {
			h.Fatal(err)
		}
	}
}

func (h *house) write(path string, data []byte) {
	h.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		h.Fatal(err)
	}
}
