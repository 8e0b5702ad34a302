package keep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"howdah/backup/export"
	"howdah/backup/store"
)

// Exports says which exports of a cluster's tenants are kept.
type Exports struct {
	Cluster string
	From    time.Time // the zero: all are kept
	Idle    string    // if not "": why none is deleted
	Keep    []export.Manifest
	Held    []*export.Hold    // of those that are kept for no other reason, the newest first
	Expire  []export.Manifest // the newest first
	Alone   []string          // what cannot be read

	place *export.Place
}

// MakeExports says which exports of tenants of a cluster, or of none, are older than a
// window, which is counted back from the newest export in the store; 0 keeps all. The newest
// of each tenant stays, and what is held. It changes nothing.
func MakeExports(ctx context.Context, place *export.Place, cluster string, window time.Duration, now time.Time) (*Exports, error) {
	e := &Exports{Cluster: cluster, place: place}
	all, err := place.List(ctx, "") // the newest first
	for _, err := range several(err) {
		if !errors.Is(err, store.ErrDamaged) && !errors.Is(err, export.ErrNewer) && !errors.Is(err, export.ErrID) {
			return nil, err
		}
		e.Alone = append(e.Alone, err.Error())
	}
	holds, err := place.Holds(ctx)
	if holds == nil {
		return nil, err
	}
	for _, err := range several(err) {
		e.Alone = append(e.Alone, err.Error())
	}
	if len(all) > 0 && all[0].Taken.After(now.Add(skew)) {
		e.Idle = fmt.Sprintf("export %s was taken at %s, and it is %s now: the clock is wrong here, or was wrong there", all[0].ID, stamp(all[0].Taken), stamp(now))
	}
	if window > 0 && len(all) > 0 {
		e.From = all[0].Taken.Add(-window)
	}
	seen := map[string]bool{}
	for _, m := range all {
		tenant := cmp.Or(m.TenantID, m.Tenant)
		newest := !seen[tenant]
		seen[tenant] = true
		if m.Cluster != cluster && m.Cluster != "" {
			continue
		}
		if newest || e.Idle != "" || e.From.IsZero() || m.Taken.After(e.From) {
			e.Keep = append(e.Keep, m)
			continue
		}
		if h := holds[m.ID]; h != nil {
			e.Keep, e.Held = append(e.Keep, m), append(e.Held, h)
			continue
		}
		e.Expire = append(e.Expire, m)
	}
	return e, nil
}

// Run deletes those that are not kept, nor held by now. What the store refuses stays, and is
// told.
func (e *Exports) Run(ctx context.Context) error {
	var failed failures
	for i := range e.Expire {
		if err := context.Cause(ctx); err != nil {
			failed.add(err)
			break
		}
		if err := e.place.Remove(ctx, e.Expire[i].ID); !errors.Is(err, export.ErrHeld) {
			failed.add(err)
		}
	}
	if err := failed.all(); err != nil {
		return fmt.Errorf("expire exports of cluster %q: %w", e.Cluster, err)
	}
	return nil
}
