package schedule

import (
	"fmt"
	"slices"
	"time"

	"howdah/backup/base"
	"howdah/backup/wal"
)

// ahead is how far another node's clock may be ahead of ours.
const ahead = time.Minute

// newestOf returns the newest of base backups that have all, and the last one of any kind;
// nil if there is none. One that has begun in the future tells nothing but that a clock was
// set back.
func newestOf(all []base.Manifest, now time.Time) (newest, last *base.Manifest) {
	for i := range all {
		if all[i].Started.After(now.Add(ahead)) {
			continue
		}
		if last == nil {
			last = &all[i]
		}
		if all[i].Since == "" {
			return &all[i], last
		}
	}
	return nil, last
}

// facts are what decides whether a base backup is due.
type facts struct {
	newest      *base.Manifest // that has all; nil: there is none
	last        *base.Manifest // of any kind
	broken      error          // why what is stored cannot be reached from it; nil if it can, or nobody has looked
	copied      *wal.Copy      // a database that was made of another's files, which it does not have; nil: none is known, or nobody has looked
	tablespaces []uint32       // that the cluster has
	interval    time.Duration  // between two that have all; 0 is that none is taken because of its age
	changes     time.Duration  // between the last and one that has what has changed; 0 is that none is taken
}

// kind is how a base backup is taken.
type kind int

const (
	urgent  kind = iota // at once, all of it
	copied              // so too, but not again and again
	aged                // all of it, and nobody is in a hurry
	changes             // what has changed since the last one
)

// due says why a base backup is to be taken, and which; "" is that none is.
func (f *facts) due(now time.Time) (why string, k kind) {
	switch {
	case f.newest == nil:
		return "there is none", urgent
	case f.broken != nil:
		return fmt.Sprintf("from %s on not all can be reached that is stored: %v", f.newest.ID, f.broken), urgent
	case f.copied != nil:
		return fmt.Sprintf("database %d was made of the files of database %d since %s began, and WAL does not have them", f.copied.Database, f.copied.Source, f.newest.ID), copied
	}
	for _, oid := range f.tablespaces {
		if !slices.ContainsFunc(f.newest.Tablespaces, func(t base.Tablespace) bool { return t.OID == oid }) {
			return fmt.Sprintf("tablespace %d is newer than %s, and a recovery from there would not know where it belongs", oid, f.newest.ID), urgent
		}
	}
	if age := now.Sub(f.newest.Started); f.interval > 0 && age >= f.interval {
		return fmt.Sprintf("%s is %s old", f.newest.ID, age.Round(time.Second)), aged
	}
	if age := now.Sub(f.last.Finished); f.changes > 0 && age >= f.changes {
		return fmt.Sprintf("%s ended %s ago, and what has changed since is to be there too", f.last.ID, age.Round(time.Second)), changes
	}
	return "", urgent
}
