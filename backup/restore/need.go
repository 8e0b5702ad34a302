package restore

import (
	"slices"
	"time"
)

// Need is what a restore takes, as far as the plan tells.
type Need struct {
	Objects  int   // of the base backup, and of those that it is made up of, that are fetched
	Fetch    int64 // their bytes in the store
	Unpack   int64 // and unpacked
	Database int64 // of that, the database's own, in the base backup that has all
	WAL      int64 // bytes that are read, at most, and before they were compressed
	Room     int64 // that all of it takes on disk, with the dump, which is not larger than the database
}

// Need says what getting the database takes.
func (d *Database) Need(p *Plan) (n Need) {
	want := d.fetched(p.Base)
	keep := d.kept(p.Base, want)
	n.WAL = p.WALBytes()
	for i, m := range p.Chain {
		for _, o := range m.Objects {
			if o.Database != 0 && !slices.Contains(keep, o.Database) {
				continue
			}
			n.Objects++
			n.Fetch += o.Stored
			n.Unpack += o.Size
			if want != 0 && o.Database == want && i == 0 {
				n.Database += o.Size
			}
		}
	}
	n.Room = p.room(n.Unpack) + n.Database
	return n
}

// Room is what the base backup of a whole cluster takes on disk.
func (p *Plan) Room() int64 { return p.room(p.BaseBytes()) }

// room is what unpacked bytes take: several base backups are there beside what is put together
// of them, for which base.UnpackChain looks whether there is room.
func (p *Plan) room(unpacked int64) int64 {
	if len(p.Chain) > 1 {
		return 2 * unpacked
	}
	return unpacked
}

// What a restore of a database takes: cautious guesses for two cores, until some have been
// measured.
const (
	anyTime       = 4 * time.Second
	unpackRate    = 80 << 20 // bytes in a second, as for the others
	replayRate    = 40 << 20
	checkRate     = 100 << 20
	fillAgainRate = 10 << 20 // dumped and restored
)

// Guess says how long the restore takes where nothing was measured.
func (n Need) Guess() time.Duration {
	seconds := float64(n.Unpack)/unpackRate + float64(n.WAL)/replayRate + float64(n.Database)/checkRate + float64(n.Database)/fillAgainRate
	return anyTime + time.Duration(seconds*float64(time.Second))
}

// WALWithin says how many bytes of WAL there may be, by that guess, for the restore to take no
// longer than so long. It is negative if it takes longer without any.
func (n Need) WALWithin(within time.Duration) int64 {
	n.WAL = 0
	return int64((within - n.Guess()).Seconds() * replayRate)
}
