package lineage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"howdah/backup/repository"
	"howdah/backup/store"
)

// Superseded returns the keys of records that no moment from before on needs, the oldest of a
// tenant first: another one of the tenant had come by then, that says what there was at it.
// Where one of a tenant's cannot be read all of his stay.
func Superseded(ctx context.Context, repo *repository.Repository, before time.Time) (keys []string, err error) {
	all := repo.Key("lineage") + "/"
	var tenant string
	var of []string // keys of the tenant's records
	end := func() error {
		old, err := superseded(ctx, repo, of, before)
		keys = append(keys, old...)
		return err
	}
	for info, err := range repo.Store.List(ctx, all) { // those of a tenant come in one run
		if err != nil {
			return nil, fmt.Errorf("list what is recorded of tenants: %w", err)
		}
		id, _, is := strings.Cut(strings.TrimPrefix(info.Key, all), "/")
		if !is || !ids.MatchString(id) { // nobody of us has written it
			continue
		}
		if id != tenant {
			if err := end(); err != nil {
				return nil, err
			}
			tenant, of = id, nil
		}
		of = append(of, info.Key)
	}
	if err := end(); err != nil {
		return nil, err
	}
	return keys, nil
}

func superseded(ctx context.Context, repo *repository.Repository, keys []string, before time.Time) (old []string, err error) {
	if len(keys) < 2 { // the last one stays, however old it is
		return nil, nil
	}
	type keyed struct {
		Record
		key string
	}
	var all []keyed
	for _, key := range keys {
		r, err := read(ctx, repo, key)
		if errors.Is(err, store.ErrDamaged) || errors.Is(err, errNewer) || errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read what is recorded of tenants: %w", err)
		}
		all = append(all, keyed{r, key})
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return a.Time.Compare(b.Time) })
	for i := 1; i < len(all) && all[i].Time.Before(before); i++ {
		old = append(old, all[i-1].key)
	}
	return old, nil
}
