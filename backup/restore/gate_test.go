package restore

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestGate reads what servers of PostgreSQL 15 to 18 write of pages that are not there.
func TestGate(t *testing.T) {
	const (
		kept  = "WARNING:  page 62 of relation base/16384/16385 does not exist\n"
		other = "WARNING:  page 7 of relation base/16390/16385 does not exist\n"
	)
	for name, c := range map[string]struct {
		logs  []string // of one pass after the other
		lines int
		first string
	}{
		"nothing":                       {[]string{"LOG:  redo done at 0/3000100\n"}, 0, ""},
		"the database's":                {[]string{kept}, 1, "base/16384/16385"},
		"another one's":                 {[]string{other + other}, 0, ""},
		"both":                          {[]string{other + kept + other + kept}, 2, "base/16384/16385"},
		"another form":                  {[]string{"2026-01-31 10:42:00 UTC [71] WARNING:  page 0 of relation base/16384/2619_vm is uninitialized\n"}, 1, "base/16384/2619_vm"},
		"what all share":                {[]string{"WARNING:  page 3 of relation global/1262 does not exist\n"}, 1, "global/1262"},
		"a shared database's":           {[]string{"WARNING:  page 3 of relation base/1/1259 does not exist\n"}, 1, "base/1/1259"},
		"in a tablespace":               {[]string{"WARNING:  page 3 of relation pg_tblspc/16999/PG_15_202209061/16384/5 does not exist\n"}, 1, "pg_tblspc/16999/PG_15_202209061/16384/5"},
		"another one's in a tablespace": {[]string{"WARNING:  page 3 of relation pg_tblspc/16384/PG_15_202209061/16390/5 does not exist\n"}, 0, ""},
		"of nobody knows which":         {[]string{"WARNING:  page 3 of relation base/elsewhere/5 does not exist\n"}, 1, "base/elsewhere/5"},
		"in the first pass":             {[]string{kept, other}, 1, "base/16384/16385"},
		"in the second pass":            {[]string{other, kept}, 1, "base/16384/16385"},
		"in both passes":                {[]string{kept, kept + kept}, 3, "base/16384/16385"},
	} {
		r := &recovery{beside: t.TempDir()}
		for _, text := range c.logs {
			r.passes++
			if err := os.WriteFile(r.log(), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := r.gate(func(oid uint32) bool { return oid == 1 || oid == 16384 })
		pages := &InvalidPages{}
		switch {
		case c.lines == 0 && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.lines > 0 && (!errors.As(err, &pages) || !errors.Is(err, ErrInvalidPage) || *pages != InvalidPages{c.lines, c.first} || !strings.Contains(err.Error(), c.first)):
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&recovery{beside: t.TempDir(), passes: 1}).gate(everything); err == nil {
		t.Error("without a log nothing is known to be whole")
	}
}
