package base

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// Lister lists base backups again and again, for one goroutine. A manifest never changes:
// each is read once.
type Lister struct {
	known map[string]known // by id
}

type known struct {
	version  string
	manifest *Manifest // nil: it was given up, or cannot be read
	sizes    map[uint32]int64
	err      error
}

// List is the function List, but for the objects of manifests, which it leaves out.
func (l *Lister) List(ctx context.Context, r *repository.Repository) (all []Manifest, err error) {
	before, now := l.known, map[string]known{}
	var bad []error
	for info, err := range r.Store.List(ctx, manifestKey(r, "")) {
		if err != nil {
			return nil, fmt.Errorf("list base backups: %w", err)
		}
		id := strings.TrimPrefix(info.Key, manifestKey(r, ""))
		k, ok := before[id]
		if !ok || k.version != info.Version || k.err != nil {
			m, err := Read(ctx, r, id)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if k = (known{version: info.Version, manifest: m, err: err}); err == nil {
				k.sizes = m.sizes()
				k.manifest.Objects = nil
			} else if k.manifest = nil; errors.Is(err, store.ErrNotFound) {
				k.err = nil
			}
		}
		now[id] = k
		if k.err != nil {
			bad = append(bad, k.err)
		} else if k.manifest != nil {
			all = append(all, *k.manifest)
		}
	}
	l.known = now
	slices.SortFunc(all, newestFirst)
	return all, errors.Join(bad...)
}

// Sizes returns how many bytes of files each database has in a base backup that was listed, by
// OID. Nobody may change it.
func (l *Lister) Sizes(id string) map[uint32]int64 { return l.known[id].sizes }

func (m *Manifest) sizes() map[uint32]int64 {
	sizes := map[uint32]int64{}
	for i := range m.Objects {
		if o := &m.Objects[i]; o.Database != 0 {
			sizes[o.Database] += o.Size
		}
	}
	return sizes
}

// Missing says of base backups, by their ids, which object of theirs is not there, or is not
// as long as it was: what lists show, without reading any.
func Missing(ctx context.Context, r *repository.Repository, all []Manifest) (map[string]string, error) {
	sizes, err := sizesBelow(ctx, r, dataPrefix(r, ""), indexPrefix(r, ""))
	if err != nil {
		return nil, err
	}
	missing := map[string]string{}
	for i := range all {
		if key := all[i].missing(r, sizes); key != "" {
			missing[all[i].ID] = key
		}
	}
	return missing, nil
}

// whole is an error if an object of a base backup is missing or cut off.
func (m *Manifest) whole(ctx context.Context, r *repository.Repository) error {
	sizes, err := sizesBelow(ctx, r, dataPrefix(r, m.ID)+"/", indexPrefix(r, m.ID)+"/")
	if err != nil {
		return err
	}
	if key := m.missing(r, sizes); key != "" {
		return fmt.Errorf("%w: %q is missing or cut off", store.ErrDamaged, key)
	}
	return nil
}

// sizesBelow lists objects.
func sizesBelow(ctx context.Context, r *repository.Repository, prefixes ...string) (map[string]int64, error) {
	sizes := map[string]int64{}
	for _, prefix := range prefixes {
		for info, err := range r.Store.List(ctx, prefix) {
			if err != nil {
				return nil, fmt.Errorf("list the objects of base backups: %w", err)
			}
			sizes[info.Key] = info.Size
		}
	}
	return sizes, nil
}

// missing returns the key of an object that is not there, or not of the size that it must
// have; "" if all are right.
func (m *Manifest) missing(r *repository.Repository, sizes map[string]int64) (missing string) {
	look := func(key string, want Sums) {
		if size, ok := sizes[key]; !ok || size != want.Stored {
			missing = key
		}
	}
	for key, want := range m.lists(r) {
		look(key, want)
	}
	for i := range m.Objects {
		look(m.Objects[i].key(r, m), m.Objects[i].Sums)
	}
	return missing
}
