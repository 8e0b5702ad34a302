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

// Gap is a record that WAL was lost: the server had it no more when somebody came to
// receive it. What lies between cannot be restored, nor can anything be restored across it.
type Gap struct {
	Format int                  `json:"format"`
	From   replication.Position `json:"from"` // the end of what was stored before
	To     replication.Position `json:"to"`   // the start of what is stored after
	Found  time.Time            `json:"found"`
	Why    string               `json:"why"`
}

const (
	gapFormat = 1
	gapMost   = 64 << 10 // more than a gap record has bytes
)

func (g *Gap) String() string {
	return fmt.Sprintf("WAL from %s on timeline %d to %s on timeline %d was lost (%s: %s)",
		g.From.LSN, g.From.Timeline, g.To.LSN, g.To.Timeline, g.Found.Format(time.RFC3339), g.Why)
}

func (g *Gap) key() string {
	return fmt.Sprintf("gaps/%08X-%016X-%08X-%016X", g.To.Timeline, uint64(g.To.LSN), g.From.Timeline, uint64(g.From.LSN))
}

// Key is where the record is in a repository.
func (g *Gap) Key(r *repository.Repository) string { return r.Key(g.key()) }

// putGap stores the record of a gap, once: who is killed behind it finds the gap again. One
// that is damaged is replaced.
func putGap(ctx context.Context, r *repository.Repository, g *Gap) error {
	g.Format, g.Found = gapFormat, g.Found.UTC().Truncate(time.Second)
	text, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return err
	}
	err = putOnce(ctx, r, g.key(), text, func() error {
		_, err := readGap(ctx, r, g.key())
		return err
	})
	if err != nil {
		return fmt.Errorf("record a gap: %w", err)
	}
	return nil
}

// Gaps reads the gap records of a repository, in the order of where they end. Of those that
// are damaged it returns the keys.
func Gaps(ctx context.Context, r *repository.Repository) (gaps []Gap, damaged []string, err error) {
	base := r.Key("gaps") + "/"
	for info, err := range r.Store.List(ctx, base) {
		if err != nil {
			return nil, nil, fmt.Errorf("list the gaps in the WAL of cluster %q: %w", r.Cluster, err)
		}
		g, err := readGap(ctx, r, "gaps/"+strings.TrimPrefix(info.Key, base))
		if errors.Is(err, store.ErrNotFound) {
			continue // deleted since
		}
		if errors.Is(err, store.ErrDamaged) {
			damaged = append(damaged, info.Key)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read the gap record %q: %w", info.Key, err)
		}
		gaps = append(gaps, *g)
	}
	return gaps, damaged, nil
}

// LastFound is when the last of some gaps was found; the zero is that there are none.
func LastFound(gaps []Gap) (last time.Time) {
	for i := range gaps {
		if gaps[i].Found.After(last) {
			last = gaps[i].Found
		}
	}
	return last
}

func readGap(ctx context.Context, r *repository.Repository, key string) (*Gap, error) {
	text, err := readPlain(ctx, r, key, gapMost)
	if err != nil {
		return nil, err
	}
	g := &Gap{}
	if err := json.Unmarshal(text, g); err != nil || g.key() != key {
		return nil, fmt.Errorf("%w: it does not say which WAL was lost", store.ErrDamaged)
	}
	if g.Format > gapFormat {
		return nil, fmt.Errorf("it has format %d; this Howdah reads up to %d: use a newer one", g.Format, gapFormat)
	}
	return g, nil
}
