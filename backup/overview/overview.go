package overview

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"howdah/backup/base"
	"howdah/backup/drill"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
	"howdah/backup/wal"
)

// Overview is what a repository held when it was read.
type Overview struct {
	Cluster string
	Read    time.Time // the zero: it has never been read
	// Error is why it could not be read, or not all of it, when that was tried last; "" is
	// that it could.
	Error   string
	Bases   []Base         // the newest first
	Gaps    int            // that are recorded
	LastGap time.Time      // when the last of them was found; the zero is none
	Drills  []drill.Record // the last ones, the newest first
	// Databases are those of the newest base backup, by their names. Nobody may change it.
	Databases map[string]Database
	// Shared is how many bytes a restore of any one database unpacks besides its own, and
	// SharedWhole how many of these are of a base backup that has all.
	Shared, SharedWhole int64
	// Until is the newest time of which it is known that all is stored that was committed
	// before it, by the primary's clock; the zero is none.
	Until    time.Time
	LSN      replication.LSN // that it had reached then
	Timeline uint32
}

// Base is a base backup, without its objects, and what can be restored with it.
type Base struct {
	base.Manifest
	// Restores to times from Oldest to Newest can begin with it; the zero Newest is that
	// nobody knows up to when.
	Oldest, Newest time.Time
	Hold           *base.Hold // it is never deleted; nil if it is not held
}

// Database is what base backups have of one.
type Database struct {
	Size int64 // of its files, in the newest base backup that has all; 0: it is not in there
	// Unpack is how many bytes of its own a restore unpacks: those of its files in the newest
	// base backup and in all that this is made up of.
	Unpack int64
	// Oldest is the oldest time that it can be restored to, as far as is known: from the first
	// base backup on since which each has a database of the name.
	Oldest time.Time

	last int // of these base backups, the newest being 0
}

// Took is how long it took.
func (b *Base) Took() time.Duration { return b.Finished.Sub(b.Started) }

// Restorable is from when to when there is a base backup that leads to each moment, as far
// as nothing was lost in between; zeros if there is none.
func (o *Overview) Restorable() (oldest, newest time.Time) {
	for _, b := range o.Bases {
		if oldest.IsZero() || b.Oldest.Before(oldest) {
			oldest = b.Oldest
		}
		if b.Newest.After(newest) {
			newest = b.Newest
		}
	}
	return oldest, newest
}

// Reader reads a repository's overview.
type Reader struct {
	Repo *repository.Repository

	reading sync.Mutex
	bases   base.Lister
	drills  drill.Lister
	done    []drill.Record       // that were read
	drilled time.Time            // when that was
	ends    map[string]time.Time // the newest time before a gap, by what it says

	mu   sync.Mutex
	last Overview
}

// Last returns what was read last.
func (r *Reader) Last() Overview {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Read reads it. After an error what was read before stays, and says so.
func (r *Reader) Read(ctx context.Context) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	o, err := r.read(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if o != nil {
		r.last = *o
	}
	r.last.Cluster, r.last.Error = r.Repo.Cluster, ""
	if err != nil {
		r.last.Error = err.Error()
	}
	return err
}

// read returns nil if it cannot tell; and what there is besides what cannot be read.
func (r *Reader) read(ctx context.Context) (*Overview, error) {
	o := &Overview{Read: time.Now()}
	if _, err := r.Repo.Identity(ctx); errors.Is(err, repository.ErrEmpty) {
		return o, nil
	} else if err != nil {
		return nil, err
	}
	until, timeline, err := wal.StoredUntil(ctx, r.Repo)
	if err != nil {
		return nil, err
	}
	o.Until, o.LSN, o.Timeline = until.Time, until.LSN, timeline
	gaps, damaged, err := wal.Gaps(ctx, r.Repo)
	if err != nil {
		return nil, err
	}
	o.Gaps, o.LastGap = len(gaps), wal.LastFound(gaps)
	bases, unreadable := r.bases.List(ctx, r.Repo)
	if ctx.Err() != nil || unreadable != nil && bases == nil {
		return nil, errors.Join(ctx.Err(), unreadable)
	}
	holds, unreadableHolds := base.Holds(ctx, r.Repo)
	if holds == nil {
		return nil, unreadableHolds
	}
	var unreadableDrills error
	if o.Drills, unreadableDrills = r.readDrills(ctx); ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, m := range bases {
		b := Base{Manifest: m, Oldest: m.Finished, Newest: o.Until, Hold: holds[m.ID]}
		if g := behind(gaps, replication.Position(m.Stop)); g != nil {
			if b.Newest, err = r.endBefore(ctx, g); err != nil {
				return nil, err
			}
		}
		if b.Newest.Before(b.Oldest) { // all that is known is of before it
			b.Newest = time.Time{}
		}
		o.Bases = append(o.Bases, b)
	}
	o.Databases = r.databases(o.Bases)
	o.Shared, o.SharedWhole = r.weigh(o.Bases, o.Databases)
	for _, key := range damaged {
		unreadable = errors.Join(unreadable, fmt.Errorf("%w: the record of a gap %q", store.ErrDamaged, key))
	}
	return o, errors.Join(unreadable, unreadableHolds, unreadableDrills)
}

// databases returns what base backups, the newest first, have of those that the newest has.
func (r *Reader) databases(bases []Base) map[string]Database {
	all := map[string]Database{}
	var sizes map[uint32]int64 // of the newest that has all, when it has been met
	for i := range bases {
		b := &bases[i]
		whole := b.Since == "" && sizes == nil
		if whole {
			sizes = r.bases.Sizes(b.ID)
		}
		for oid, name := range b.DatabasesAtEnd {
			d, there := all[name]
			if i > 0 && (!there || d.last != i-1) {
				continue
			}
			d.Oldest, d.last = b.Oldest, i
			if whole {
				d.Size = sizes[oid]
			}
			all[name] = d
		}
	}
	return all
}

// drillsAgain is for how long what was read of drills is used.
const drillsAgain = 10 * time.Minute

// readDrills returns the drills, as they were a while ago.
func (r *Reader) readDrills(ctx context.Context) ([]drill.Record, error) {
	if time.Since(r.drilled) < drillsAgain {
		return r.done, nil
	}
	all, err := r.drills.List(ctx, r.Repo)
	if err == nil {
		r.done, r.drilled = all, time.Now()
	}
	return all, err
}

// behind returns the first gap that comes after a position, nil for none. Gaps come in
// their order.
func behind(gaps []wal.Gap, at replication.Position) *wal.Gap {
	for i := range gaps {
		if g := &gaps[i]; g.To.Timeline >= at.Timeline && g.To.LSN > at.LSN {
			return g
		}
	}
	return nil
}

// endBefore returns up to when all is stored in front of a gap.
func (r *Reader) endBefore(ctx context.Context, g *wal.Gap) (time.Time, error) {
	if t, ok := r.ends[g.String()]; ok {
		return t, nil
	}
	contents, err := wal.List(ctx, r.Repo)
	if err != nil {
		return time.Time{}, err
	}
	s, err := contents.SampledBefore(ctx, r.Repo, g.From)
	if err != nil {
		return time.Time{}, err
	}
	if r.ends == nil {
		r.ends = map[string]time.Time{}
	}
	r.ends[g.String()] = s.Time
	return s.Time, nil
}
