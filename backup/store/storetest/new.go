package storetest

import (
	"testing"

	"howdah/backup/store"
)

// NewDir returns an empty store in a folder of the test's own.
func NewDir(t testing.TB) *store.Dir {
	t.Helper()
	path := t.TempDir()
	if err := store.MakeDir(path); err != nil {
		t.Fatal(err)
	}
	d, err := store.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// NewSealer returns one that seals for a key of its own, and opens what it has sealed.
func NewSealer(t testing.TB) *store.Sealer {
	t.Helper()
	identity, recipient, err := store.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.NewSealer([]string{recipient}, identity)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
