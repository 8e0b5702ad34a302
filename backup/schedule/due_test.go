package schedule

import (
	"errors"
	"strings"
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/wal"
)

func TestDue(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	one := &base.Manifest{ID: "one", Started: now.Add(-time.Hour), Tablespaces: []base.Tablespace{{OID: 16400}}}
	for name, c := range map[string]struct {
		facts
		why  string
		aged bool
	}{
		"none":           {facts{interval: time.Hour}, "there is none", false},
		"none, no age":   {facts{}, "there is none", false},
		"young":          {facts{newest: one, interval: 2 * time.Hour}, "", false},
		"old":            {facts{newest: one, interval: time.Hour}, "one is 1h0m0s old", true},
		"never too old":  {facts{newest: one}, "", false},
		"broken":         {facts{newest: one, broken: errors.New("a hole"), interval: 2 * time.Hour}, "a hole", false},
		"broken and old": {facts{newest: one, broken: errors.New("a hole"), interval: time.Minute}, "a hole", false},
		"known space":    {facts{newest: one, tablespaces: []uint32{16400}}, "", false},
		"copied":         {facts{newest: one, copied: &wal.Copy{Database: 16700, Source: 16600}, interval: time.Minute}, "database 16700 was made of the files of database 16600 since one", false},
		"new space":      {facts{newest: one, tablespaces: []uint32{16400, 16500}}, "tablespace 16500 is newer", false},
	} {
		why, aged := c.due(now)
		if !strings.Contains(why, c.why) || (why == "") != (c.why == "") || aged != c.aged {
			t.Errorf("%s: %q, %v", name, why, aged)
		}
	}
}

func TestNewestIsNotOfTheFuture(t *testing.T) {
	now := time.Now()
	all := []base.Manifest{
		{ID: "future", Started: now.Add(24 * time.Hour)},
		{ID: "changes", Started: now.Add(-time.Minute), Since: "whole"},
		{ID: "whole", Started: now.Add(-time.Hour)},
		{ID: "old", Started: now.Add(-48 * time.Hour)},
	}
	if m := newestOf(all, now); m == nil || m.ID != "whole" {
		t.Errorf("%+v", m)
	}
	if m := newestOf(all[:2], now); m != nil {
		t.Errorf("%+v", m)
	}
}
