package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"howdah/wire/postgres"
)

func TestServerScratch(t *testing.T) {
	top, err := os.MkdirTemp("", "howdah-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(top, "scratch")
	left := filepath.Join(root, "howdah-scratch-1") // of who was killed
	if err := os.MkdirAll(filepath.Join(left, "data"), 0o711); err != nil {
		t.Fatal(err)
	}
	held, err := postgres.MakeServerScratch(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left is there: %v", err)
	}
	if info, err := os.Stat(held.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	full := errors.New("it is full")
	if _, err := postgres.MakeServerScratch(root, func(string) error { return full }); !errors.Is(err, full) {
		t.Errorf("without room: %v", err)
	}
	if err := postgres.SweepScratch(root); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(held.Dir); err != nil {
		t.Errorf("what is in use was swept: %v", err)
	}
	if err := held.Remove(); err != nil {
		t.Fatal(err)
	}
	if !postgres.IsOther() {
		return
	}
	if err := os.Chmod(top, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.MakeServerScratch(root, nil); err == nil || !strings.Contains(err.Error(), `"nobody", who may not enter `+`"`+top) {
		t.Errorf("where they cannot come: %v", err)
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
