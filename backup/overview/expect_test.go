package overview_test

import (
	"fmt"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/drill"
	"howdah/backup/overview"
)

// TestExpected has restores begin with an incremental base backup.
func TestExpected(t *testing.T) {
	repo, _ := newRepository(t)
	r := &overview.Reader{Repo: repo}
	o := read(t, r)
	if _, known := o.Expected("acme", 5*mib); known {
		t.Error("it is known how long a restore takes of what is not there")
	}
	claim(t, repo)
	day := moment("2026-01-31T01:00:00Z")
	of := func(sizes ...int64) (all []base.Object) { // in MB: of no database, and of each
		for i, database := range []uint32{0, 5, 16400, 16500} {
			o := base.Object{Number: i, Files: 1, Database: database, Sums: base.Sums{Size: sizes[i] << 20}}
			if database != 0 {
				o.Folder = fmt.Sprintf("base/%d", database)
			}
			all = append(all, o)
		}
		return all
	}
	names := map[uint32]string{5: "postgres", 16400: "acme", 16500: "globex"}
	commitAs(t, repo, &base.Manifest{
		ID: "20260131T010000Z.aaaaaa", Started: day, Size: 9000 << 20, DatabasesAtEnd: names,
		Objects: of(100, 60, 600, 8240), Start: base.Position{LSN: 10 * mib, Timeline: 1}, Stop: base.Position{LSN: 11 * mib, Timeline: 1},
	})
	commitAs(t, repo, &base.Manifest{
		ID: "20260131T020000Z.bbbbbb", Since: "20260131T010000Z.aaaaaa", Started: day.Add(time.Hour), Size: 160 << 20, DatabasesAtEnd: names,
		Objects: of(20, 20, 80, 40), Start: base.Position{LSN: 1000 * mib, Timeline: 1}, Stop: base.Position{LSN: 1001 * mib, Timeline: 1},
	})
	o = read(t, r)
	if o.Shared != 200<<20 || o.SharedWhole != 160<<20 || o.Databases["acme"].Unpack != 680<<20 || o.Databases["globex"].Unpack != 8280<<20 {
		t.Errorf("%d are for any, and %+v", o.Shared, o.Databases)
	}
	for database, want := range map[string]time.Duration{ // 4 at any time, 5 for 200 MB of WAL, 66 to check and fill 600 MB again
		"acme": 4*time.Second + 11*time.Second + 66*time.Second + 5*time.Second,
		"born": 4*time.Second + 2500*time.Millisecond + 5*time.Second,
	} {
		takes, known := o.Expected(database, 1200*mib)
		if !known || takes != want {
			t.Errorf("a restore of %s takes %s, want %s", database, takes, want)
		}
		whole := map[string]int64{"acme": 260 * mib, "born": 220 * mib} // of the first alone 120 and 40 MB less are unpacked
		if now, then := o.MayReplay(database, want); now != 200*mib || then != whole[database] {
			t.Errorf("%d bytes may be replayed for %s, and %d if the newest had all", now, database, then)
		}
	}
	largest, _ := o.Expected("", 1200*mib)
	if globex, _ := o.Expected("globex", 1200*mib); largest != globex {
		t.Errorf("a restore of the largest takes %s", largest)
	}
	o.Drills = []drill.Record{{RTO: 8}} // twice as long as guessed
	if takes, _ := o.Expected("acme", 1200*mib); takes != 172*time.Second {
		t.Errorf("on a slow machine a restore takes %s", takes)
	}
	if n, _ := o.MayReplay("acme", 162*time.Second); n != 0 {
		t.Errorf("on a slow machine %d bytes may be replayed", n)
	}
}
