package keep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/wal"
)

// Run deletes what the plan says. What the store refuses to delete, and what has turned out
// to be needed since, stays with all that belongs to it; the error tells of it.
func (p *Plan) Run(ctx context.Context) error {
	err := p.renew(ctx)
	if p.Idle != "" && errors.Is(err, errPromise) {
		return nil
	}
	if err != nil || p.Idle != "" {
		return err
	}
	var failed failures
	p.expire(ctx, &failed)
	if err := p.holdsNow(ctx); err != nil {
		failed.add(err)
	} else {
		p.expireWAL(ctx, &failed)
		p.expireRecords(ctx, &failed)
		p.expireLineage(ctx, &failed)
	}
	if ctx.Err() == nil {
		failed.add(base.Sweep(ctx, p.repo, func(string) bool { return false }))
		failed.add(p.letGo(ctx))
	}
	failed.add(context.Cause(ctx))
	if err := failed.all(); err != nil {
		return fmt.Errorf("expire what is not kept of cluster %q: %w", p.Cluster, err)
	}
	return nil
}

// expire deletes base backups. One that stays needs its WAL.
func (p *Plan) expire(ctx context.Context, failed *failures) {
	for i := range p.Expire {
		m := &p.Expire[i]
		err := context.Cause(ctx)
		if err == nil {
			err = base.Delete(ctx, p.repo, m.ID)
		}
		if err != nil {
			failed.add(err)
			p.needs = append(p.needs, need{from: replication.Position(m.Start)})
		}
	}
}

// deleting is how many objects are deleted at a time.
const deleting = 8

// holdsNow has what is held needed: a hold may have been put or extended since the plan was
// made.
func (p *Plan) holdsNow(ctx context.Context) error {
	holds, err := base.Holds(ctx, p.repo)
	if holds == nil { // else what cannot be read holds all
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(holds)) {
		m := p.byID(id)
		if m == nil { // taken since, or one that cannot be read
			if m, err = base.Read(ctx, p.repo, id); err != nil {
				return fmt.Errorf("what is held is needed: %w", err)
			}
		}
		p.needs = append(p.needs, p.needOf(m, holds[id]))
	}
	return nil
}

// expireWAL deletes WAL, the oldest first.
func (p *Plan) expireWAL(ctx context.Context, failed *failures) {
	keys := make(chan string)
	var all sync.WaitGroup
	for range deleting {
		all.Go(func() {
			for key := range keys {
				failed.add(p.repo.Store.Delete(ctx, key))
			}
		})
	}
	for o, err := range wal.Objects(ctx, p.repo, p.contents.Identity.Segment) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			failed.add(err)
			break
		}
		if o.Odd == nil && !o.History && !p.needed(&o) {
			keys <- o.Key
		}
	}
	close(keys)
	all.Wait()
}

// expireRecords deletes the records of gaps, and of copied databases, that tell of nothing that
// is left.
func (p *Plan) expireRecords(ctx context.Context, failed *failures) {
	for i := range p.Gaps {
		if p.gapNeeded(p.Gaps[i]) || ctx.Err() != nil {
			continue
		}
		failed.add(p.repo.Store.Delete(ctx, p.Gaps[i].Key(p.repo)))
	}
	for i := range p.copies {
		if p.copyNeeded(p.copies[i]) || ctx.Err() != nil {
			continue
		}
		failed.add(p.repo.Store.Delete(ctx, p.copies[i].Key(p.repo)))
	}
}

// failures collects what went wrong, of which the first few are told.
type failures struct {
	mu    sync.Mutex
	told  []error
	count int
}

const mostTold = 5

func (f *failures) add(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count++; len(f.told) < mostTold {
		f.told = append(f.told, err)
	}
}

func (f *failures) all() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if more := f.count - len(f.told); more > 0 {
		f.told = append(f.told, fmt.Errorf("and %d more", more))
	}
	return errors.Join(f.told...)
}
