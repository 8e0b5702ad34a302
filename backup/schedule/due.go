package schedule

import (
	"fmt"
	"slices"
	"time"

	"howdah/backup/base"
	"howdah/backup/replication"
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
	unable      bool           // the server cannot tell what has changed, as far as is known

	durable replication.LSN // up to which all WAL is stored
	replay  int64           // bytes of it that a restore may have to replay since the last
	whole   int64           // the same, since one that has all; 0 or less is any number
	pause   time.Duration   // between two because of that, at least
}

// replayed is how much WAL a restore to the newest moment replays. One that begins with an
// incremental base backup replays what was written since that began.
func (f *facts) replayed() int64 {
	if f.durable < f.last.Start.LSN {
		return 0
	}
	return int64(f.durable - f.last.Start.LSN)
}

// most is how much that may be. What is told of the last base backup may be of the one before.
func (f *facts) most() int64 {
	if f.last.Since == "" {
		return f.whole
	}
	return f.replay
}

// replaysTooMuch reports whether a restore would replay more than it may before another base
// backup is there, if as much is written meanwhile as while the last one was taken. Where that
// is too much already no base backup is of any use. At most half of the time goes into them.
func (f *facts) replaysTooMuch(now time.Time) bool {
	meanwhile := int64(f.last.Stop.LSN - f.last.Start.LSN)
	pause := max(f.pause, f.last.Finished.Sub(f.last.Started))
	return f.whole > 0 && meanwhile <= f.whole && f.replayed()+meanwhile > f.most() && now.Sub(f.last.Finished) >= pause
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
	if f.replaysTooMuch(now) {
		why := fmt.Sprintf("a restore would soon replay more WAL than backup_rto leaves time for: %d of %d MB since %s began", f.replayed()>>20, max(f.most(), 0)>>20, f.last.ID)
		if f.changes > 0 && !f.unable && f.most() >= f.whole/2 { // else unpacking so many takes the time
			return why, changes
		}
		return why, aged
	}
	if age := now.Sub(f.last.Finished); f.changes > 0 && age >= f.changes {
		return fmt.Sprintf("%s ended %s ago, and what has changed since is to be there too", f.last.ID, age.Round(time.Second)), changes
	}
	return "", urgent
}
