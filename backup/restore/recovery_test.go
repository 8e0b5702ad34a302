package restore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/wal"
)

// TestReached looks at where recoveries have ended, which the history of the server's own
// timeline says.
func TestReached(t *testing.T) {
	const segment = 16 << 20
	at := time.Date(2026, 1, 31, 10, 42, 0, 0, time.UTC)
	before := wal.Sample{LSN: 0x3002000, Time: at.Add(-time.Minute)}
	for name, c := range map[string]struct {
		target Target
		before wal.Sample
		passes int
		given  replication.LSN // where the last segment begins that it was given
		ended  string
		says   string // "" is that all is well
	}{
		"a time":                                 {Target{Time: at}, before, 1, 0x3000000, "0/3002000", ""},
		"a time, of which nobody knows":          {Target{Time: at}, wal.Sample{}, 1, 0x3000000, "0/3000100", ""},
		"a time, when the clock was before it":   {Target{Time: at}, before, 1, 0x3000000, "0/3001FF8", "lsn:0/3002000"},
		"a time, at the end of a page":           {Target{Time: at}, wal.Sample{LSN: 0x3002018, Time: at}, 1, 0x3000000, "0/3002000", ""},
		"a time, at the end of a segment":        {Target{Time: at}, wal.Sample{LSN: 0x3000028, Time: at}, 1, 0x3000000, "0/3000000", ""},
		"a time, and a record is missing":        {Target{Time: at}, wal.Sample{LSN: 0x3000028, Time: at}, 1, 0x2000000, "0/2FFFFD8", "lsn:0/3000028"},
		"a time behind the last commit":          {Target{Time: at}, before, 2, 0x4000000, "0/4000100", ""},
		"and not all WAL was given":              {Target{Time: at}, before, 2, 0x3000000, "0/3002100", "before all WAL was read"},
		"a position":                             {Target{LSN: 0x3000200}, wal.Sample{}, 1, 0x3000000, "0/3000200", ""},
		"a position behind the last record":      {Target{LSN: 0x4000200}, wal.Sample{}, 2, 0x3000000, "0/3000200", "before all WAL was read"},
		"latest":                                 {Target{}, wal.Sample{}, 1, 0x4000000, "0/4000100", ""},
		"latest, and not all WAL was given":      {Target{}, wal.Sample{}, 1, 0x3000000, "0/3000100", "before all WAL was read"},
		"a transaction":                          {Target{XID: 800}, wal.Sample{}, 1, 0x3000000, "0/3000100", ""},
		"a name":                                 {Target{Name: "x"}, wal.Sample{}, 1, 0x3000000, "0/3000100", ""},
		"latest, and no timeline has been begun": {Target{}, wal.Sample{}, 1, 0x4000000, "", "no timeline of its own"},
	} {
		r := &recovery{dir: t.TempDir(), passes: c.passes, last: c.given}
		if err := os.Mkdir(filepath.Join(r.dir, "pg_wal"), 0o700); err != nil {
			t.Fatal(err)
		}
		if c.ended != "" {
			text := "1\t0/2000000\tbefore\n2\t" + c.ended + "\tno reason\n"
			if err := os.WriteFile(filepath.Join(r.dir, "pg_wal", "00000003.history"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := r.reached(&Plan{
			Identity: &repository.Identity{Segment: segment}, Target: c.target, Before: c.before, Until: replication.Position{LSN: 0x4000100, Timeline: 1},
		})
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
