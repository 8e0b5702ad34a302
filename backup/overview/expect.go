package overview

import (
	"slices"
	"time"

	"howdah/backup/drill"
	"howdah/backup/replication"
	"howdah/backup/restore"
)

// weigh notes of each database how many bytes of its own a restore unpacks, and returns how
// many are unpacked besides, and how many of these are of that which has all. The newest base
// backup is the first.
func (r *Reader) weigh(bases []Base, all map[string]Database) (shared, whole int64) {
	for i, n := 0, len(bases); i >= 0 && n > 0; n-- { // so often at most, whatever they say
		b := &bases[i]
		before, rest := shared, b.Size
		for oid, size := range r.bases.Sizes(b.ID) {
			rest -= size
			switch name := bases[0].DatabasesAtEnd[oid]; name {
			case "template0", "template1", "postgres": // without which no server can do
				shared += size
			case "": // it is gone
			default:
				d := all[name]
				d.Unpack += size
				all[name] = d
			}
		}
		shared += rest
		if b.Since == "" {
			return shared, shared - before
		}
		i = slices.IndexFunc(bases, func(before Base) bool { return before.ID == b.Since })
	}
	return shared, 0
}

// need says what a restore of a database takes to the newest moment, which is upTo in the WAL;
// false: there is no base backup. "" is the database of which most is unpacked.
func (o *Overview) need(database string, upTo replication.LSN) (n restore.Need, known bool) {
	if len(o.Bases) == 0 {
		return n, false
	}
	d := o.Databases[database]
	if database == "" {
		for _, other := range o.Databases {
			if other.Unpack > d.Unpack {
				d = other
			}
		}
	}
	n = restore.Need{Unpack: o.Shared + d.Unpack, Database: d.Size}
	if start := o.Bases[0].Start.LSN; upTo > start {
		n.WAL = int64(upTo - start)
	}
	return n, true
}

// Expected says how long a restore of a database takes to the newest moment, which is upTo in
// the WAL: an estimate, as long as the last drills have shown. It is not known where there is
// no base backup. "" is the largest database.
func (o *Overview) Expected(database string, upTo replication.LSN) (takes time.Duration, known bool) {
	n, known := o.need(database, upTo)
	return time.Duration(drill.Pace(o.Drills) * float64(n.Guess())), known
}

// MayReplay says how many bytes of WAL there may be since the newest base backup for a restore
// of a database to take no longer than so long, by the same estimate; and how many if that
// had all. 0 or less is that none may be, or it is not known. "" is the largest database.
func (o *Overview) MayReplay(database string, within time.Duration) (most, whole int64) {
	n, known := o.need(database, 0)
	if !known {
		return 0, 0
	}
	within = time.Duration(float64(within) / drill.Pace(o.Drills))
	most = n.WALWithin(within)
	n.Unpack = o.SharedWhole + n.Database
	return most, n.WALWithin(within)
}
