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

// newestOf returns the newest of base backups that have all, nil if there is none: one that
// has begun in the future tells nothing but that a clock was set back.
func newestOf(all []base.Manifest, now time.Time) *base.Manifest {
	for i := range all {
		if all[i].Since == "" && all[i].Started.Before(now.Add(ahead)) {
			return &all[i]
		}
	}
	return nil
}

// facts are what decides whether a base backup is due.
type facts struct {
	newest      *base.Manifest // nil: there is none
	broken      error          // why what is stored cannot be reached from it; nil if it can, or nobody has looked
	copied      *wal.Copy      // a database that was made of another's files, which it does not have; nil: none is known, or nobody has looked
	tablespaces []uint32       // that the cluster has
	interval    time.Duration  // between two; 0 is that none is taken because of its age
}

// due says why a base backup is to be taken at once; "" is that none is. One that is only
// old is waited for: aged says that it is no more than that.
func (f *facts) due(now time.Time) (why string, aged bool) {
	switch {
	case f.newest == nil:
		return "there is none", false
	case f.broken != nil:
		return fmt.Sprintf("from %s on not all can be reached that is stored: %v", f.newest.ID, f.broken), false
	case f.copied != nil:
		return fmt.Sprintf("database %d was made of the files of database %d since %s began, and WAL does not have them", f.copied.Database, f.copied.Source, f.newest.ID), false
	}
	for _, oid := range f.tablespaces {
		if !slices.ContainsFunc(f.newest.Tablespaces, func(t base.Tablespace) bool { return t.OID == oid }) {
			return fmt.Sprintf("tablespace %d is newer than %s, and no recovery makes it again", oid, f.newest.ID), false
		}
	}
	if age := now.Sub(f.newest.Started); f.interval > 0 && age >= f.interval {
		return fmt.Sprintf("%s is %s old", f.newest.ID, age.Round(time.Second)), true
	}
	return "", false
}
