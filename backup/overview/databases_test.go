package overview

import (
	"maps"
	"testing"
	"time"

	"howdah/backup/base"
)

// TestDatabasesOfBases has databases that were made and dropped between base backups.
func TestDatabasesOfBases(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }
	var bases []Base
	for i, b := range []struct {
		since string
		names map[uint32]string
	}{
		{"x", map[uint32]string{1: "old", 2: "again", 3: "young", 4: "newborn"}},
		{"", map[uint32]string{1: "old", 2: "again", 3: "young"}},
		{"", map[uint32]string{1: "old", 9: "gone"}},
		{"", map[uint32]string{1: "old", 8: "again", 9: "gone"}},
	} {
		bases = append(bases, Base{Manifest: base.Manifest{ID: string(rune('a' + i)), Since: b.since, DatabasesAtEnd: b.names}, Oldest: at(10 - i)})
	}
	want := map[string]time.Time{"old": at(7), "again": at(9), "young": at(9), "newborn": at(10)}
	got := map[string]time.Time{}
	for name, d := range (&Reader{}).databases(bases) {
		got[name] = d.Oldest
	}
	if !maps.Equal(got, want) {
		t.Errorf("they can be restored to %v on, want %v", got, want)
	}
}
