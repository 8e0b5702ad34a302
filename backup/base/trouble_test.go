package base

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// countingStore notes what is read.
type countingStore struct {
	store.Store
	mu   sync.Mutex
	keys map[string]bool
}

func (s *countingStore) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, store.Info, error) {
	s.mu.Lock()
	if s.keys == nil {
		s.keys = map[string]bool{}
	}
	s.keys[key] = true
	s.mu.Unlock()
	return s.Store.Get(ctx, key, offset, length)
}

func (s *countingStore) read(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[key]
}

// changedStore gives something else for one of its objects.
type changedStore struct {
	store.Store
	key    string
	change func([]byte) []byte // nil: there is none
}

func (s *changedStore) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, store.Info, error) {
	if key != s.key {
		return s.Store.Get(ctx, key, offset, length)
	}
	if s.change == nil {
		return nil, store.Info{}, store.ErrNotFound
	}
	r, info, err := s.Store.Get(ctx, key, offset, length)
	if err != nil {
		return nil, info, err
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	return io.NopCloser(bytes.NewReader(s.change(all))), info, err
}

// TestDamage changes every object in several ways: each must be found.
func TestDamage(t *testing.T) {
	r, _ := newRepository(t)
	file := func(name string, size int64) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600}
	}
	m := received(t, r, file("backup_label", 100), tar.Header{Typeflag: tar.TypeDir, Name: "base/", Mode: 0o700}, file("base/1/1", 1000),
		file("base/1/2", 5000), file("base/5/1", 0), file("PG_VERSION", 3), file("global/1", 700), file(controlFile, 8192))
	if len(m.Objects) != 6 {
		t.Fatalf("there are %d objects: %+v", len(m.Objects), m.Objects)
	}
	keys := []string{filesKey(r, m.ID), backupManifestKey(r, m.ID)}
	for i := range m.Objects {
		keys = append(keys, m.Objects[i].key(r, m))
	}
	var other []byte
	{
		// Another object that was sealed for us, and is whole.
		if _, err := r.Sealer.Put(t.Context(), r.Store, r.Key("other"), []byte("other"), nil); err != nil {
			t.Fatal(err)
		}
		body, _, err := r.Store.Get(t.Context(), r.Key("other"), 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if other, err = io.ReadAll(body); err != nil {
			t.Fatal(err)
		}
	}
	changes := map[string]func([]byte) []byte{
		"a bit is another": func(b []byte) []byte { b[rand.IntN(len(b))] ^= 1 << rand.IntN(8); return b },
		"it is cut off":    func(b []byte) []byte { return b[:rand.IntN(len(b))] },
		"it has more":      func(b []byte) []byte { return append(b, 0) },
		"it is another":    func([]byte) []byte { return other },
		"it is missing":    nil,
	}
	for _, key := range keys {
		for what, change := range changes {
			changed := *r
			changed.Store = &changedStore{Store: r.Store, key: key, change: change}
			for _, withKey := range []bool{false, true} {
				if err := Verify(t.Context(), &changed, m, withKey, nil); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), key) {
					t.Errorf("%s: %s: with key %t it is verified: %v", key, what, withKey, err)
				}
			}
			if key == filesKey(r, m.ID) {
				continue // nothing is unpacked by it
			}
			dir := filepath.Join(t.TempDir(), "data")
			if err := Unpack(t.Context(), &changed, m, dir, UnpackOptions{}); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), key) {
				t.Errorf("%s: %s: it is unpacked: %v", key, what, err)
			}
			if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s: something is left: %v", key, what, err)
			}
		}
	}
}

// testRefusals asks for what cannot be, which must change nothing.
func testRefusals(t *testing.T, r *repository.Repository, m *Manifest) {
	otherIdentity, otherRecipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	place := t.TempDir()
	dir := filepath.Join(place, "data")
	full := filepath.Join(place, "full")
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(full, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	space := m.Tablespaces[0].OID
	huge := *m
	huge.Objects = slices.Clone(m.Objects)
	huge.Objects[0].Size = 1 << 60
	foreign := *m
	foreign.Cluster = "other"
	for name, x := range map[string]struct {
		sealer  *store.Sealer
		m       *Manifest
		dir     string
		options UnpackOptions
		want    string
	}{
		"a folder with something in it": {r.Sealer, m, full, UnpackOptions{}, "it is not empty"},
		"a file":                        {r.Sealer, m, filepath.Join(full, "PG_VERSION"), UnpackOptions{}, "not a directory"},
		"a parent that is not there":    {r.Sealer, m, filepath.Join(place, "none", "data"), UnpackOptions{}, "no such file"},
		"no key":                        {newSealer(t, "", otherRecipient), m, dir, UnpackOptions{}, "identity_file"},
		"a wrong key":                   {newSealer(t, otherIdentity, otherRecipient), m, dir, UnpackOptions{}, "sealed for others"},
		"a tablespace with something in it": {r.Sealer, m, dir, UnpackOptions{
			Tablespaces: map[uint32]string{space: full},
		}, "it is not empty"},
		"a tablespace in the data directory": {r.Sealer, m, dir, UnpackOptions{
			Tablespaces: map[uint32]string{space: filepath.Join(place, "data")},
		}, "is for something else"},
		"the data directory in a tablespace": {r.Sealer, m, dir, UnpackOptions{
			Tablespaces: map[uint32]string{space: place},
		}, "is for something else"},
		"a tablespace that it does not have": {r.Sealer, m, dir, UnpackOptions{
			Tablespaces: map[uint32]string{1: full},
		}, "has no tablespace 1"},
		"no space":          {r.Sealer, &huge, dir, UnpackOptions{}, "are free"},
		"another cluster's": {r.Sealer, &foreign, dir, UnpackOptions{}, `it is of cluster "other"`},
	} {
		t.Run(name, func(t *testing.T) {
			other := *r
			other.Sealer = x.sealer
			if err := Unpack(t.Context(), &other, x.m, x.dir, x.options); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("it says %v, and not %q", err, x.want)
			}
			if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something is left: %v", err)
			}
			if names, err := os.ReadDir(full); err != nil || len(names) != 1 {
				t.Errorf("what was there is changed: %v, %v", names, err)
			}
		})
	}
	other := *r
	other.Sealer = newSealer(t, "", otherRecipient)
	if err := Verify(t.Context(), &other, m, true, nil); !errors.Is(err, store.ErrNoIdentity) {
		t.Errorf("verify with a key that is not there: %v", err)
	}
	if err := Verify(t.Context(), &other, m, false, nil); err != nil {
		t.Errorf("verify without a key: %v", err)
	}
}
