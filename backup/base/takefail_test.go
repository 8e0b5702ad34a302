package base

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

const (
	childURL   = "HOWDAH_BASE_URL" // set in the child process: the server
	childStore = "HOWDAH_BASE_STORE"
	childReady = "base: some of it is stored"
)

// keys returns the keys of what is in the store but the identity.
func keys(t *testing.T, r *repository.Repository) (all []string) {
	t.Helper()
	for info, err := range r.Store.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if info.Key != r.Key("identity") {
			all = append(all, info.Key)
		}
	}
	return all
}

// TestMain is the child process, if it is one: it takes a base backup, slowly.
func TestMain(m *testing.M) {
	if os.Getenv(childURL) == "" {
		os.Exit(m.Run())
	}
	if err := takeSlowly(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1)
}

func takeSlowly(ctx context.Context) error {
	dir, err := store.OpenDir(os.Getenv(childStore))
	if err != nil {
		return err
	}
	_, recipient, err := store.NewIdentity()
	if err != nil {
		return err
	}
	sealer, err := store.NewSealer([]string{recipient}, "")
	if err != nil {
		return err
	}
	conn, err := replication.Connect(ctx, os.Getenv(childURL))
	if err != nil {
		return err
	}
	none := func(context.Context) (map[uint32]string, error) { return nil, nil }
	_, err = Take(ctx, &repository.Repository{Store: dir, Sealer: sealer, Cluster: "main"}, conn, none, Options{
		MaxRate: 4 << 10, objectSize: 256 << 10, Progress: func(p Progress) {
			if p.Done > 8<<20 {
				fmt.Println(childReady)
			}
		},
	})
	return err
}

// testKilled kills a process that takes a base backup: nobody sees anything of it, and what
// it has left is swept, but not while it may still be somebody's.
func testKilled(t *testing.T, c *cluster) {
	r, _ := newRepository(t)
	where := filepath.Join(t.TempDir(), "store")
	if err := store.MakeDir(where); err != nil {
		t.Fatal(err)
	}
	dir, err := store.OpenDir(where)
	if err != nil {
		t.Fatal(err)
	}
	r.Store = dir
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childURL+"="+c.AdminURL(""), childStore+"="+where)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	for lines := bufio.NewScanner(out); !ready && lines.Scan(); {
		ready = lines.Text() == childReady
	}
	child.Process.Kill()
	child.Wait()
	if !ready {
		t.Fatal("the child process has ended early")
	}
	if all, err := List(t.Context(), r); err != nil || len(all) > 0 {
		t.Errorf("listed are %+v, %v", all, err)
	}
	left := keys(t, r)
	if len(left) == 0 {
		t.Fatal("nothing was stored: the test tests nothing")
	}
	nobody := func(string) bool { return false }
	if err := Sweep(t.Context(), r, nobody); err != nil || len(keys(t, r)) != len(left) {
		t.Errorf("at once %q are swept, %v", left, err)
	}
	id := strings.Split(strings.TrimPrefix(left[0], dataPrefix(r, "")), "/")[0]
	later := time.Now().Add(time.Hour)
	if err := sweep(t.Context(), r, func(underway string) bool { return underway == id }, later); err != nil || len(keys(t, r)) != len(left) {
		t.Errorf("what is underway is swept: %v", err)
	}
	if err := sweep(t.Context(), r, nobody, later); err != nil {
		t.Error(err)
	}
	if left := keys(t, r); len(left) != 1 || left[0] != manifestKey(r, id) {
		t.Errorf("when it was swept there is %q", left)
	}
	if all, err := List(t.Context(), r); err != nil || len(all) > 0 {
		t.Errorf("then listed are %+v, %v", all, err)
	}
	if err := sweep(t.Context(), r, nobody, later); err != nil || len(keys(t, r)) > 0 {
		t.Errorf("when it was swept again there is %q, %v", keys(t, r), err)
	}
}

// failingStore fails to store from some object on.
type failingStore struct {
	store.Store
	left atomic.Int32
	then func() error
}

func (s *failingStore) Create(ctx context.Context, key string, meta map[string]string) (store.Writer, error) {
	if s.left.Add(-1) < 0 {
		if err := s.then(); err != nil {
			return nil, err
		}
	}
	return s.Store.Create(ctx, key, meta)
}

// testTrouble has the taking fail, which must leave nothing and tell why.
func testTrouble(t *testing.T, c *cluster) {
	errFull := errors.New("the bucket is full")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, x := range map[string]struct {
		ctx  context.Context
		then func() error
		want error
	}{
		"the store fails": {t.Context(), func() error { return errFull }, errFull},
		"it is cancelled": {ctx, func() error { cancel(); return nil }, context.Canceled},
	} {
		for _, objects := range []int32{0, 1, 5, 20} {
			r, dir := newRepository(t)
			failing := &failingStore{Store: dir, then: x.then}
			failing.left.Store(objects)
			r.Store = failing
			if m, err := c.begin(x.ctx, r, c.databases, Options{objectSize: 256 << 10}); m != nil || !errors.Is(err, x.want) {
				t.Errorf("%s after %d objects: %v, %v", name, objects, m, err)
			}
			if left := keys(t, r); len(left) > 0 {
				t.Errorf("%s after %d objects: left is %q", name, objects, left)
			}
		}
	}
	r, _ := newRepository(t)
	for _, rate := range []int{-1, 31, 1<<20 + 1} {
		if _, err := c.begin(t.Context(), r, c.databases, Options{MaxRate: rate}); err == nil || !strings.Contains(err.Error(), "32 to 1048576") {
			t.Errorf("at %d kB a second: %v", rate, err)
		}
	}
	errNames := errors.New("no names")
	for n := range 2 {
		names := func(ctx context.Context) (map[uint32]string, error) {
			if n--; n < 0 {
				return nil, errNames
			}
			return c.databases(ctx)
		}
		if _, err := c.begin(t.Context(), r, names, Options{}); !errors.Is(err, errNames) {
			t.Errorf("without the names of databases: %v", err)
		}
	}
	if left := keys(t, r); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
}

// testGivenUp has base backups be given up and deleted.
func testGivenUp(t *testing.T, c *cluster) {
	r, _ := newRepository(t)
	late, err := c.begin(t.Context(), r, c.databases, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := List(t.Context(), r); err != nil || len(all) > 0 {
		t.Errorf("before it is committed listed are %+v, %v", all, err)
	}
	m := c.take(r)
	if err := Commit(t.Context(), r, m); !errors.Is(err, store.ErrExists) {
		t.Errorf("committed twice: %v", err)
	}
	if err := sweep(t.Context(), r, func(string) bool { return false }, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := Commit(t.Context(), r, late); err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("what was swept is committed: %v", err)
	}
	// The mark that it was given up goes at last.
	if err := sweep(t.Context(), r, func(string) bool { return false }, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := Commit(t.Context(), r, late); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "missing or cut off") {
		t.Errorf("what was swept twice is committed: %v", err)
	}
	if err := Verify(t.Context(), r, m, false, nil); err != nil {
		t.Errorf("the sweep has hit another: %v", err)
	}
	newer := c.take(r)
	all, err := List(t.Context(), r)
	if err != nil || len(all) != 2 || all[0].ID != newer.ID || all[1].ID != m.ID {
		t.Errorf("listed are %+v, %v", all, err)
	}
	if err := r.Store.Put(t.Context(), manifestKey(r, newer.ID), []byte("{}"), nil); err != nil {
		t.Fatal(err)
	}
	if all, err := List(t.Context(), r); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), newer.ID) || len(all) != 1 || all[0].ID != m.ID {
		t.Errorf("with a damaged one listed are %+v, %v", all, err)
	}
	for _, id := range []string{newer.ID, m.ID, late.ID, m.ID} {
		if err := Delete(t.Context(), r, id); err != nil {
			t.Errorf("delete %s: %v", id, err)
		}
	}
	if left := keys(t, r); len(left) > 0 {
		t.Errorf("when all are deleted there is %q", left)
	}
	if _, err := Read(t.Context(), r, m.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("read what is deleted: %v", err)
	}
	if err := Delete(t.Context(), r, "../x"); !errors.Is(err, ErrID) {
		t.Errorf("delete what is no id: %v", err)
	}
}

// testBadPage has a page be bad, which the server tells when all has come.
func testBadPage(t *testing.T, c *cluster) {
	c.exec("acme", "create table doomed as select generate_series(1, 10000) n", "checkpoint")
	var path string
	c.row("acme", "select pg_relation_filepath('doomed')", &path)
	file, err := os.OpenFile(filepath.Join(c.Dir(), path), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("rotten"), 8192+4000); err != nil {
		t.Fatal(err)
	}
	file.Close()
	r, _ := newRepository(t)
	if m, err := c.begin(t.Context(), r, c.databases, Options{}); m != nil || err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("with a bad page: %v, %v", m, err)
	}
	if left := keys(t, r); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
}
