package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"howdah/admin/jobs"
	"howdah/provision"
	"howdah/router"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// Clients make, drop and rename databases by SQL: Odoo's database manager does. The
// catalog follows what PostgreSQL has done, in an operation that only looks at what is
// there: whatever has happened, the outcome is the same. A node that dies between
// PostgreSQL's command and the operation's beginning has not answered its client; when
// the command is tried again PostgreSQL says that there is such a database, or none, and
// the catalog follows then.

// following are the parameters of follow.
type following struct {
	onTenant
	Database string `json:"database"` // as it was called before
	Tier     string `json:"tier,omitempty"`
}

// MayChange returns why a client must not make a database of a name, or give it that.
func (f *Fleet) MayChange(d router.DatabaseChange) error {
	s, name := f.Registry.Snapshot(), d.Database
	if d.Command == router.RenameDatabase {
		name = d.Other
	}
	if t, ok := s.Tenant(name); ok {
		if t.Cluster == d.Cluster && t.Database == name {
			return nil // PostgreSQL knows better
		}
		return fmt.Errorf("the name %q is another tenant's", name)
	}
	if _, ok := s.Lookup(name, ""); ok { // by the tenant *: it need not be in the catalog
		return nil
	}
	return provision.ValidName(name)
}

// FollowDatabase has the catalog follow what a client has done to a database, and
// returns when this node's registry knows.
func (f *Fleet) FollowDatabase(ctx context.Context, d router.DatabaseChange) error {
	known := f.knows(d.Cluster, d.Database)
	creates := d.Command == router.CreateDatabase
	if d.Command == router.MoveDatabase || creates && !d.Done && known || !creates && !known {
		return nil
	}
	o, err := f.BeginFollowing(ctx, d)
	if err != nil || o == nil {
		return err
	}
	if err := f.await(ctx, o.ID); err != nil {
		return err
	}
	f.settle(ctx, func(*tenants.Snapshot) bool { return f.knows(d.Cluster, d.Database) == creates })
	return nil
}

// VacateDatabase has nothing of any node's be in a database, until ctx ends: a client does
// to it what PostgreSQL does only then.
func (f *Fleet) VacateDatabase(ctx context.Context, d router.DatabaseChange) error {
	_, release, err := f.beginHold(ctx, newID(), f.leadingTo(d.Cluster, d.Vacant()))
	if err != nil {
		return err
	}
	defer release()
	<-ctx.Done()
	return nil
}

// leadingTo returns the names by which clients come to a database.
func (f *Fleet) leadingTo(cluster, database string) (names []string) {
	s := f.Registry.Snapshot()
	for t := range s.Tenants() {
		if t.Cluster == cluster && t.Database == database {
			names = append(names, t.Name)
		}
	}
	if t, ok := s.Lookup(database, ""); !ok || t.Cluster == cluster && t.Database == database && !slices.Contains(names, t.Name) {
		names = append(names, database) // by the tenant *, or nobody's but PostgreSQL's own
	}
	return names
}

// knows reports whether a database is one of the registry's tenants'.
func (f *Fleet) knows(cluster, database string) bool {
	for t := range f.Registry.Snapshot().Tenants() {
		if t.Cluster == cluster && t.Database == database {
			return true
		}
	}
	return false
}

// BeginFollowing begins to follow what a client has done to a database; nil where there
// is nothing to follow. It waits for an operation on the tenant that is under way.
func (f *Fleet) BeginFollowing(ctx context.Context, d router.DatabaseChange) (*catalog.Operation, error) {
	for {
		o, err := f.tryFollowing(ctx, catalog.Actor{Name: d.User, Door: "sql", From: d.Address}, d)
		var busy *catalog.BusyError
		if !errors.As(err, &busy) {
			return o, err
		}
		select {
		case <-time.After(awaitPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// tryFollowing is BeginFollowing that does not wait.
func (f *Fleet) tryFollowing(ctx context.Context, by catalog.Actor, d router.DatabaseChange) (o *catalog.Operation, err error) {
	if _, err := f.cluster(d.Cluster); err != nil {
		return nil, nil // nothing is made there, or marked
	}
	err = f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		p := following{onTenant{newID(), d.Cluster}, d.Database, d.Tier}
		name := d.Database
		entries, err := tx.Entries()
		if err != nil {
			return err
		}
		if e := tenantWith(entries, d.Cluster, d.Database); e != nil {
			name, p.ID = e.Name, e.ID
		} else if d.Command != router.CreateDatabase || d.Superuser || f.inRegistry(name) || provision.ValidName(name) != nil {
			return nil // an operator's, one of howdah.toml, or one that only the tenant * leads to
		}
		o, err = f.runner.Begin(ctx, tx, "follow", name, p)
		return err
	})
	return o, err
}

// awaitPause is between two looks at an operation.
const awaitPause = 20 * time.Millisecond

// await returns when an operation has been done, or why it will not be.
func (f *Fleet) await(ctx context.Context, id string) error {
	for {
		o, err := f.Catalog.Operation(ctx, id)
		switch {
		case err != nil:
			return err
		case o.State == catalog.Done:
			return nil
		case o.State.Ended(), o.State == catalog.Attention:
			return fmt.Errorf("operation %s is %s: %s", id, o.State, o.Error)
		}
		select {
		case <-time.After(awaitPause):
		case <-ctx.Done():
			return fmt.Errorf("operation %s is %s: %w", id, o.State, ctx.Err())
		}
	}
}

// follow makes the catalog agree with what the cluster has.
func (f *Fleet) follow(ctx context.Context, r *jobs.Run) error {
	var p following
	if err := r.Decode(&p); err != nil {
		return err
	}
	e, err := f.entryByID(ctx, p.ID)
	if err != nil {
		return err
	}
	conn, err := f.connect(ctx, p.Cluster)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	at, err := provision.Locate(ctx, conn, p.ID, p.Database)
	if err != nil {
		return refusal(err)
	}
	switch {
	case at.Name == "" && at.Free:
		err = f.adopt(ctx, r, &p, at.Owner)
	case at.Name == "" && !at.Exists && e != nil:
		err = r.Step(ctx, "strike from the registry", 0, 1, func(ctx context.Context) error { return f.strikeGone(ctx, r, &p) })
	case at.Name != "" && e == nil:
		err = f.adopt(ctx, r, &p, at.Owner)
	case at.Name != "" && e.Settings.Text("database") != at.Name:
		err = r.Step(ctx, "rename in the registry", 0, 1, func(ctx context.Context) error { return f.renameEntry(ctx, r, &p, at.Name) })
	}
	if err != nil {
		return err
	}
	return r.Finish(ctx, nil, nil)
}

// entryByID returns a tenant's entry; nil for none.
func (f *Fleet) entryByID(ctx context.Context, id string) (*catalog.Entry, error) {
	contents, err := f.Catalog.Load(ctx)
	if err != nil {
		return nil, err
	}
	return tenantByID(contents.Entries, id), nil
}

func tenantWith(entries []catalog.Entry, cluster, database string) *catalog.Entry {
	for i := range entries {
		e := &entries[i]
		if e.Kind == catalog.Tenant && e.Settings.Text("cluster") == cluster && e.Settings.Text("database") == database {
			return e
		}
	}
	return nil
}

func tenantByID(entries []catalog.Entry, id string) *catalog.Entry {
	for i := range entries {
		if e := &entries[i]; e.Kind == catalog.Tenant && e.ID == id {
			return e
		}
	}
	return nil
}

// adopt makes a tenant of a database that a client has made.
func (f *Fleet) adopt(ctx context.Context, r *jobs.Run, p *following, owner string) error {
	settings := catalog.Settings{"cluster": p.Cluster, "database": p.Database, "user": owner}
	if p.Tier != "" {
		settings["tier"] = p.Tier
	}
	enter := func(tx *catalog.Tx) error {
		switch e, err := tx.Entry(catalog.Tenant, r.Tenant); {
		case err == nil && e.ID == p.ID:
			return nil
		case err == nil:
			return fmt.Errorf("tenant %q: %w", r.Tenant, catalog.ErrExists)
		case !errors.Is(err, catalog.ErrNotFound):
			return err
		}
		return tx.Create(catalog.Tenant, r.Tenant, p.ID, settings)
	}
	if err := f.wouldFit(ctx, r.Tenant, settings); err != nil {
		return jobs.Refuse(err)
	}
	c := &changing{run: r, cluster: p.Cluster, op: provision.Adopt{ID: p.ID, Database: p.Database, Owner: owner}, after: 1}
	if _, err := f.change(ctx, c, provision.Plan); err != nil {
		return err
	}
	return r.Step(ctx, "enter into the registry", c.done, c.done+1, func(ctx context.Context) error {
		err := r.Change(ctx, f.checking(enter))
		var invalid *InvalidError
		if errors.Is(err, catalog.ErrExists) || errors.As(err, &invalid) {
			return jobs.Refuse(err)
		}
		if err == nil {
			f.settle(ctx, func(s *tenants.Snapshot) bool { _, ok := s.Tenant(r.Tenant); return ok })
		}
		return err
	})
}

// wouldFit looks whether the registry would take an entry.
func (f *Fleet) wouldFit(ctx context.Context, name string, settings catalog.Settings) error {
	contents, err := f.Catalog.Load(ctx)
	if err != nil {
		return err
	}
	var entries []catalog.Entry
	for _, e := range contents.Entries {
		if e.Kind != catalog.Tenant || e.Name != name {
			entries = append(entries, e)
		}
	}
	return f.Check(append(entries, catalog.Entry{Kind: catalog.Tenant, Name: name, Settings: settings}))
}

// unfollow leaves alone what could not be adopted.
func (f *Fleet) unfollow(ctx context.Context, r *jobs.Run) error {
	var p following
	if err := r.Decode(&p); err != nil {
		return err
	}
	if e, err := f.entryByID(ctx, p.ID); e != nil || err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: provision.Adopt{ID: p.ID, Database: p.Database, Owner: "whoever"}}
	_, err := f.change(ctx, c, provision.Undo)
	return err
}

// strikeGone strikes a tenant whose database its owner has dropped: there is nothing to
// bring back.
func (f *Fleet) strikeGone(ctx context.Context, r *jobs.Run, p *following) error {
	err := r.Change(ctx, func(tx *catalog.Tx) error {
		e, err := tx.Entry(catalog.Tenant, r.Tenant)
		if errors.Is(err, catalog.ErrNotFound) || err == nil && e.ID != p.ID {
			return nil
		} else if err != nil {
			return err
		}
		return tx.Strike(e)
	})
	if err == nil {
		f.settle(ctx, func(*tenants.Snapshot) bool { return !f.inRegistry(r.Tenant) })
	}
	return err
}

// renameEntry has a tenant have the name that its database has now, if it had its name
// before.
func (f *Fleet) renameEntry(ctx context.Context, r *jobs.Run, p *following, to string) error {
	name := ""
	err := r.Change(ctx, f.checking(func(tx *catalog.Tx) error {
		entries, err := tx.Entries()
		if err != nil {
			return err
		}
		e := tenantByID(entries, p.ID)
		if e == nil || e.Settings.Text("database") == to {
			return nil
		}
		name = e.Name
		settings := maps.Clone(e.Settings)
		settings["database"] = to
		if err := tx.Update(catalog.Tenant, e.Name, catalog.AnyRevision, settings); err != nil || e.Name != p.Database {
			return err
		}
		name = to
		return tx.Rename(catalog.Tenant, e.Name, to)
	}))
	var invalid *InvalidError
	if errors.Is(err, catalog.ErrExists) || errors.As(err, &invalid) {
		return jobs.Refuse(err)
	}
	if err == nil && name == to {
		f.keepCopyFiles(p.Database)
	}
	if err == nil && name != "" {
		f.settle(ctx, func(s *tenants.Snapshot) bool { t, ok := s.Tenant(name); return ok && t.Database == to })
	}
	return err
}
