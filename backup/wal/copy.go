package wal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/store"
)

// Copy is the record that a database was made by copying the files of another, as CREATE
// DATABASE with STRATEGY file_copy does. WAL does not have what is in it: a restore of it from
// a base backup of before needs the files of the other one.
type Copy struct {
	Format   int                  `json:"format"`
	At       replication.Position `json:"at"` // where WAL says so
	Database uint32               `json:"oid"`
	Source   uint32               `json:"source_oid"` // 0, like the former: the record is damaged
	Found    time.Time            `json:"found"`
}

const (
	copyFormat = 1
	copyMost   = 4 << 10 // more than such a record has bytes
	copiesKey  = "copies/"
)

func copyKey(at replication.Position) string {
	return fmt.Sprintf("%s%08X-%016X", copiesKey, at.Timeline, uint64(at.LSN))
}

// Key is where the record is in a repository.
func (c *Copy) Key(r *repository.Repository) string { return r.Key(copyKey(c.At)) }

// putCopy stores a record, once. It is stored before the WAL that it is about: who is killed
// behind it finds both.
func putCopy(ctx context.Context, r *repository.Repository, timeline uint32, f fileCopy) error {
	c := &Copy{
		Format: copyFormat, At: replication.Position{LSN: f.lsn, Timeline: timeline},
		Database: f.oid, Source: f.source, Found: time.Now().UTC().Truncate(time.Second),
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	err = putOnce(ctx, r, copyKey(c.At), text, func() error {
		_, err := readPlain(ctx, r, copyKey(c.At), copyMost) // of whatever format: WAL does not wait for a newer Howdah
		return err
	})
	if err != nil {
		return fmt.Errorf("record that a database was copied: %w", err)
	}
	return nil
}

// putOnce stores an object that is not sealed, unless one is there that can be read. One that
// is damaged is replaced.
func putOnce(ctx context.Context, r *repository.Repository, key string, text []byte, read func() error) error {
	err := r.Store.PutIfAbsent(ctx, r.Key(key), text, store.WithSum(text))
	if errors.Is(err, store.ErrExists) {
		if err = read(); errors.Is(err, store.ErrDamaged) {
			err = r.Store.Put(ctx, r.Key(key), text, store.WithSum(text))
		}
	}
	return err
}

// Copies reads the records of copied databases in a repository, by timeline and position.
func Copies(ctx context.Context, r *repository.Repository) (all []Copy, err error) {
	for info, err := range r.Store.List(ctx, r.Key(copiesKey)) {
		if err != nil {
			return nil, fmt.Errorf("list the copied databases of cluster %q: %w", r.Cluster, err)
		}
		key := copiesKey + strings.TrimPrefix(info.Key, r.Key(copiesKey))
		c := &Copy{}
		if c.At, err = parseCopyKey(key); err != nil {
			continue // nobody of us has written it
		}
		switch read, err := readCopy(ctx, r, key); {
		case errors.Is(err, store.ErrNotFound): // deleted since
			continue
		case err == nil:
			c = read
		case !errors.Is(err, store.ErrDamaged): // else its key says what matters
			return nil, fmt.Errorf("read the record of a copied database %q: %w", info.Key, err)
		}
		all = append(all, *c)
	}
	return all, nil
}

// parseCopyKey reads what copyKey returns.
func parseCopyKey(key string) (at replication.Position, err error) {
	var lsn uint64
	if _, err = fmt.Sscanf(key, copiesKey+"%08X-%016X", &at.Timeline, &lsn); err != nil {
		return at, err
	}
	if at.LSN = replication.LSN(lsn); copyKey(at) != key {
		return at, fmt.Errorf("%.80q has another form", key)
	}
	return at, nil
}

func readCopy(ctx context.Context, r *repository.Repository, key string) (*Copy, error) {
	text, err := readPlain(ctx, r, key, copyMost)
	if err != nil {
		return nil, err
	}
	c := &Copy{}
	if err := json.Unmarshal(text, c); err != nil || copyKey(c.At) != key {
		return nil, fmt.Errorf("%w: it does not say which database was copied", store.ErrDamaged)
	}
	if c.Format > copyFormat {
		return nil, fmt.Errorf("it has format %d; this Howdah reads up to %d: use a newer one", c.Format, copyFormat)
	}
	return c, nil
}

// CopiedSince returns the first of records that is not in front of a position, on the way to a
// timeline; nil if none is. A base backup that begins at the position lacks what it tells of.
func (c *Contents) CopiedSince(copies []Copy, from replication.LSN, timeline uint32) (*Copy, error) {
	legs, err := c.Path(timeline)
	if err != nil {
		return nil, err
	}
	for i := range copies {
		at := copies[i].At
		for _, l := range legs {
			if l.Timeline == at.Timeline && at.LSN >= from && (l.End == 0 || at.LSN < l.End) {
				return &copies[i], nil
			}
		}
	}
	return nil, nil
}
