package backup_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestThirtyWays looks for the tests that FORMAT.md names: each of the thirty has one.
func TestThirtyWays(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \|.*\| ([^|]+) \|$`).FindAllStringSubmatch(string(text), -1)
	if len(rows) != 30 {
		t.Errorf("there are %d rows", len(rows))
	}
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) {
			t.Errorf("row %d has number %s", i+1, row[1])
		}
		for _, name := range strings.Split(row[2], ", ") {
			if !isTest(t, strings.Trim(name, "`")) {
				t.Errorf("%s: there is no test %s", row[1], name)
			}
		}
	}
}

// isTest looks for a function in a folder's tests.
func isTest(t *testing.T, name string) bool {
	t.Helper()
	folder := "."
	if i := strings.LastIndex(name, "."); i > 0 {
		folder, name = name[:i], name[i+1:]
	}
	if strings.HasPrefix(folder, "cmd/") {
		folder = filepath.Join("..", folder)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no folder %s: %v", folder, err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") && (strings.HasSuffix(path, "_test.go") || strings.HasSuffix(folder, "storetest")) {
			return true
		}
	}
	return false
}
