package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"howdah/backup/repository"
	"howdah/backup/restore"
	"howdah/backup/store"
)

// Record says what came of a drill.
type Record struct {
	Format   int    `json:"format"`
	ID       string `json:"id"`
	Cluster  string `json:"cluster"`
	Database string `json:"database,omitempty"` // "": all of the cluster
	Target   string `json:"target"`             // as restore.ParseTarget reads it; "" if none was chosen
	Base     string `json:"base_backup,omitempty"`

	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	// RPO is how many seconds before the drill's start the newest moment was to which all that
	// had been committed was stored.
	RPO float64 `json:"rpo_seconds"`
	// RTO is how many seconds it took until the cluster had recovered, or the database's dump
	// was there; 0 if it did not come to that.
	RTO float64 `json:"rto_seconds"`
	// Recovered is how many seconds of that it took until the database had recovered, and its
	// dump was begun; 0 if it did not come to that, or the record is of before there was this.
	Recovered float64 `json:"recovered_seconds,omitempty"`
	Bytes     int64   `json:"base_backup_bytes"` // that were fetched of the base backup, unpacked
	WAL       int64   `json:"wal_bytes"`         // that were replayed, at most
	Databases int     `json:"databases"`         // whose indexes were checked
	Dumped    string  `json:"dumped,omitempty"`  // the database of which pg_dump made a dump
	// InvalidPages is how many lines tell that WAL was about a page that was not restored.
	InvalidPages int    `json:"invalid_page_lines"`
	Error        string `json:"error,omitempty"` // why it failed; "": it has not
}

// Passed reports whether nothing was wrong.
func (r *Record) Passed() bool { return r.Error == "" }

// recovered is how many seconds it took until what was restored had recovered; 0 if that is not
// known.
func (r *Record) recovered() float64 {
	if r.Database == "" {
		return r.RTO
	}
	return r.Recovered
}

// Pace says how many times as long as guessed restores take, by the last drills that have
// passed, of which the newest is the first; 1 if there were none. It is that of unpacking and
// replaying, which all drills do: for a dump without filling a database again there is no guess.
func Pace(all []Record) float64 {
	const enough = 5
	var took, guessed float64
	n := 0
	for i := range all {
		if r := &all[i]; r.Passed() && r.recovered() > 0 && n < enough {
			took += r.recovered()
			guessed += restore.Need{Unpack: r.Bytes, WAL: r.WAL}.Guess().Seconds()
			n++
		}
	}
	if n == 0 {
		return 1
	}
	return min(max(took/guessed, 0.1), 10)
}

const (
	format     = 1
	recordMost = 64 << 10 // more than a record has bytes
	kept       = 100      // records of a cluster
)

func prefix(r *repository.Repository) string { return r.Key("drills") + "/" }

// put stores a record, and removes those for which there is no room.
func put(ctx context.Context, r *repository.Repository, rec *Record) error {
	text, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	err = r.Store.PutIfAbsent(ctx, prefix(r)+rec.ID, text, store.WithSum(text))
	if err != nil {
		return fmt.Errorf("store what came of the drill: %w", err)
	}
	ids, err := list(ctx, r)
	for ; err == nil && len(ids) > kept; ids = ids[1:] {
		err = r.Store.Delete(ctx, prefix(r)+ids[0])
	}
	return err
}

// list returns the ids of records, the oldest first.
func list(ctx context.Context, r *repository.Repository) (ids []string, err error) {
	for info, err := range r.Store.List(ctx, prefix(r)) {
		if err != nil {
			return nil, fmt.Errorf("list drills of cluster %q: %w", r.Cluster, err)
		}
		if id := strings.TrimPrefix(info.Key, prefix(r)); repository.IsID(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// List returns the records of the last drills, the newest first, as far as they can be read:
// the error tells of those that cannot. most bounds how many; 0 is all.
func List(ctx context.Context, r *repository.Repository, most int) (all []Record, err error) {
	return listWith(ctx, r, most, func(id string) (*Record, error) { return read(ctx, r, id) })
}

// Lister lists drills again and again, for one goroutine. A record never changes: each is read
// once.
type Lister struct {
	known map[string]*Record // by id
}

// List is the function List, of all that there are.
func (l *Lister) List(ctx context.Context, r *repository.Repository) ([]Record, error) {
	now := map[string]*Record{}
	all, err := listWith(ctx, r, 0, func(id string) (rec *Record, err error) {
		if rec = l.known[id]; rec == nil {
			rec, err = read(ctx, r, id)
		}
		if err == nil {
			now[id] = rec
		}
		return rec, err
	})
	if err == nil {
		l.known = now
	}
	return all, err
}

func listWith(ctx context.Context, r *repository.Repository, most int, read func(id string) (*Record, error)) (all []Record, err error) {
	ids, err := list(ctx, r)
	if err != nil {
		return nil, err
	}
	slices.Reverse(ids)
	var bad []error
	for _, id := range ids {
		if most > 0 && len(all) == most {
			break
		}
		rec, err := read(id)
		switch {
		case errors.Is(err, store.ErrNotFound): // gone since
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			bad = append(bad, fmt.Errorf("read drill %q: %w", id, err))
		default:
			all = append(all, *rec)
		}
	}
	return all, errors.Join(bad...)
}

func read(ctx context.Context, r *repository.Repository, id string) (*Record, error) {
	text, err := store.ReadPlain(ctx, r.Store, prefix(r)+id, recordMost)
	if err != nil {
		return nil, err
	}
	rec := &Record{}
	if json.Unmarshal(text, rec) != nil || rec.ID != id {
		return nil, store.ErrDamaged
	}
	if rec.Format > format {
		return nil, fmt.Errorf("it has format %d; this Howdah reads up to %d: use a newer one", rec.Format, format)
	}
	return rec, nil
}
