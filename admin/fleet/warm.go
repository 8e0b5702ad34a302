package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/provision"
	"howdah/tenants"
)

// content is what a tenant's database is made of if nobody says otherwise.
func content() provision.Content { return provision.Content{Extensions: extensions} }

const (
	warmPause = 5 * time.Second // between two looks at the shelves
	warmFor   = time.Minute     // a look may make databases for so long
)

// KeepWarm has clusters hold as many ready-made databases as they are to, one more on
// each in turn.
func (f *Fleet) KeepWarm(ctx context.Context) error {
	return f.tendShelves(ctx, func(c *tenants.Cluster) bool { return c.Warm > 0 })
}

// clearShelves is KeepWarm for clusters that are to hold none.
func (f *Fleet) clearShelves(ctx context.Context) error {
	return f.tendShelves(ctx, func(c *tenants.Cluster) bool { return c.Warm == 0 })
}

func (f *Fleet) tendShelves(ctx context.Context, which func(*tenants.Cluster) bool) (errs error) {
	var clusters []*tenants.Cluster
	for c := range f.Registry.Snapshot().Clusters() {
		if c.AdminURL != "" && which(c) {
			clusters = append(clusters, c)
		}
	}
	for end := time.Now().Add(warmFor); len(clusters) > 0 && time.Now().Before(end) && ctx.Err() == nil; {
		var more []*tenants.Cluster
		for _, c := range clusters {
			again, err := f.tendShelf(ctx, c)
			if err != nil {
				errs = errors.Join(errs, fmt.Errorf("ready-made databases of cluster %q: %w", c.Name, err))
			}
			if again && err == nil {
				more = append(more, c)
			}
		}
		clusters = more
	}
	return errs
}

// tendShelf makes or drops one database, and reports whether there may be more to do.
// Tenants that wait to be created go before.
func (f *Fleet) tendShelf(ctx context.Context, c *tenants.Cluster) (again bool, err error) {
	if busy, err := f.creating(ctx, c.Name); busy || err != nil {
		return false, err
	}
	conn, back, err := f.borrow(ctx, c.Name)
	if err != nil {
		return false, err
	}
	defer func() { back(err) }()
	shelf, err := provision.LookAtShelf(ctx, conn, content())
	if err != nil {
		return false, err
	}
	switch ready, wanted := len(shelf.Ready), c.Warm; {
	case len(shelf.Unfinished) > 0 && ready < wanted:
		return true, all(ctx, conn, shelf.Unfinished[0], provision.Plan)
	case len(shelf.Unfinished) > 0:
		return true, all(ctx, conn, shelf.Unfinished[0], provision.Undo)
	case len(shelf.Stale) > 0:
		return true, all(ctx, conn, shelf.Stale[0], provision.Undo)
	case ready > wanted:
		return true, all(ctx, conn, shelf.Ready[ready-1], provision.Undo)
	case ready < wanted:
		return true, all(ctx, conn, provision.NewWarm(newID(), content()), provision.Plan)
	}
	return false, nil
}

// creating reports whether tenants wait to be created on a cluster, or are being, or
// nothing is to be done at all.
func (f *Fleet) creating(ctx context.Context, cluster string) (busy bool, err error) {
	err = f.Catalog.Pool().QueryRow(ctx, `select exists (select from howdah.operation
		where kind = 'create' and state in ('queued', 'running') and parameters ->> 'cluster' = $1)
		or exists (select from howdah.catalog where review is not null)`, cluster).Scan(&busy)
	return busy, err
}

// all runs all steps of an operation that is no job: what it leaves when it is cut off is
// found in the cluster.
func all(ctx context.Context, conn *pgx.Conn, op provision.Operation, plan planner) error {
	for {
		steps, err := observed(ctx, conn, op, plan)
		if err != nil || len(steps) == 0 {
			return err
		}
		if err := provision.Run(ctx, conn, steps[0]); err != nil {
			return err
		}
	}
}
