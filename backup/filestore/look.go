package filestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"howdah/backup/store"
)

// Filestores are those in which the files of one database are looked for, in this order: it
// was called otherwise, or was on another cluster.
type Filestores []*Filestore

// Referred says what is stored of the files that a database refers to.
type Referred struct {
	Files   int       `json:"files"` // that it refers to
	Stored  int       `json:"stored"`
	Missing []string  `json:"missing,omitempty"` // that are not
	Foreign []string  `json:"foreign,omitempty"` // that no filestore has: another program keeps those
	Synced  time.Time `json:"synced"`            // when the last Sync began that came to its end; the zero: none did
}

// Look says what is stored of the files of these names. It reads none of them.
func (all Filestores) Look(ctx context.Context, names []string) (*Referred, error) {
	r := &Referred{Files: len(names)}
	wanted := map[sum]struct{}{}
	for _, name := range names {
		if file, ok := parseName(name); ok {
			wanted[file] = struct{}{}
		} else {
			r.Foreign = append(r.Foreign, name)
		}
	}
	for _, f := range all {
		if err := f.each(ctx, func(file sum) {
			if _, is := wanted[file]; is {
				delete(wanted, file)
				r.Stored++
			}
		}); err != nil {
			return nil, err
		}
	}
	for _, name := range names { // in their order
		if file, ok := parseName(name); ok {
			if _, is := wanted[file]; is {
				r.Missing = append(r.Missing, name)
			}
		}
	}
	var err error
	r.Synced, err = all.Synced(ctx)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
		err = nil // nobody knows
	}
	return r, err
}

// Some reports whether there is a file that is stored.
func (all Filestores) Some(ctx context.Context) (bool, error) {
	for _, f := range all {
		for _, err := range f.Repo.Store.List(ctx, f.key("files")+"/") {
			if err != nil {
				return false, fmt.Errorf("list the filestore of database %q: %w", f.Database, err)
			}
			return true, nil
		}
	}
	return false, nil
}

// Synced returns when the last Sync of one of them began that came to its end;
// store.ErrNotFound says that none did.
func (all Filestores) Synced(ctx context.Context) (last time.Time, err error) {
	var none error
	for _, f := range all {
		synced, err := f.Synced(ctx)
		switch {
		case err == nil && synced.Started.After(last):
			last = synced.Started
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrDamaged):
			none = err
		case err != nil:
			return time.Time{}, err
		}
	}
	if last.IsZero() {
		return last, none
	}
	return last, nil
}
