package restore

import (
	"testing"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
)

// TestNeedOfAChain has a database restored from an incremental base backup.
func TestNeedOfAChain(t *testing.T) {
	object := func(database uint32, size int64) base.Object {
		return base.Object{Database: database, Sums: base.Sums{Size: size, Stored: size / 10}}
	}
	names := map[uint32]string{1: "template1", 4: "template0", 5: "postgres", 16400: "acme", 16500: "globex"}
	whole := &base.Manifest{DatabasesAtEnd: names, Size: 74200, Objects: []base.Object{object(0, 1000), object(1, 200), object(16400, 3000), object(16500, 70000)}}
	since := &base.Manifest{DatabasesAtEnd: names, Size: 820, Objects: []base.Object{object(0, 100), object(16400, 20), object(16500, 700)}, Start: base.Position{LSN: 500}}
	p := &Plan{Base: since, Chain: []*base.Manifest{whole, since}, Until: replication.Position{LSN: 900}}
	want := Need{Objects: 5, Fetch: 432, Unpack: 4320, Database: 3000, WAL: 400, Room: 2*4320 + 3000}
	if got := (&Database{Name: "acme"}).Need(p); got != want {
		t.Errorf("it takes %+v, want %+v", got, want)
	}
	if got := p.Room(); got != 2*75020 {
		t.Errorf("all of the cluster takes %d bytes", got)
	}
	p = &Plan{Base: whole, Chain: []*base.Manifest{whole}, Until: replication.Position{LSN: 900}}
	want = Need{Objects: 3, Fetch: 420, Unpack: 4200, Database: 3000, WAL: 900, Room: 4200 + 3000}
	if got := (&Database{Name: "acme"}).Need(p); got != want || p.Room() != 74200 {
		t.Errorf("of one base backup it takes %+v, want %+v; all of the cluster %d", got, want, p.Room())
	}
}

func TestWALThatTimeIsLeftFor(t *testing.T) {
	n := Need{Unpack: 800 << 20, Database: 100 << 20, WAL: 400 << 20}
	takes := n.Guess()
	if takes != 35*time.Second { // any time 4, unpack 10, replay 10, check 1, dump and restore 10
		t.Errorf("it takes %s", takes)
	}
	for within, want := range map[time.Duration]int64{takes: 400 << 20, 25 * time.Second: 0, 20 * time.Second: -200 << 20} {
		if got := n.WALWithin(within); got != want {
			t.Errorf("within %s %d bytes may be replayed, want %d", within, got, want)
		}
	}
}
