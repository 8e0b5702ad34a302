package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/jobs"
	"howdah/backup/export"
	"howdah/provision"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// KeepFor is for how long a dropped tenant's database is kept if nobody says otherwise.
const KeepFor = 7 * 24 * time.Hour

// dropping are the parameters of drop.
type dropping struct {
	onTenant
	Keep     time.Duration `json:"keep"`
	Database string        `json:"database,omitempty"`
	User     string        `json:"user,omitempty"`
	Export   string        `json:"export,omitempty"` // the id of the last export; "" is none
	Store    string        `json:"store,omitempty"`  // that it goes to; "" is the cluster's
}

// export is what the last export is told.
func (p *dropping) export() exporting {
	return exporting{onTenant: p.onTenant, Database: p.Database, User: p.User, Export: p.Export, Store: p.Store}
}

// DropTenant begins to drop a tenant. Its database is kept, closed, until it is purged,
// which is asked for or comes after keep. Where there is a store it is exported, as it is
// when nobody can write any more.
func (f *Fleet) DropTenant(ctx context.Context, by catalog.Actor, name string, keep time.Duration) (*catalog.Operation, error) {
	return f.DropTenantOf(ctx, by, name, catalog.AnyRevision, keep, true)
}

// DropUnexported is DropTenant without an export.
func (f *Fleet) DropUnexported(ctx context.Context, by catalog.Actor, name string, keep time.Duration) (*catalog.Operation, error) {
	return f.DropTenantOf(ctx, by, name, catalog.AnyRevision, keep, false)
}

// maxKeep bounds for how long a dropped tenant's database is kept.
const maxKeep = 100 * 366 * 24 * time.Hour

// DropTenantOf is DropTenant for a tenant that must be of the revision that is expected, or
// DropUnexported.
func (f *Fleet) DropTenantOf(ctx context.Context, by catalog.Actor, name string, expect int64, keep time.Duration, exported bool) (o *catalog.Operation, err error) {
	id, err := f.droppable(ctx, name, keep, exported)
	if err != nil {
		return nil, err
	}
	err = f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		e, err := f.tenant(tx, name)
		if err != nil {
			return err
		}
		if expect != catalog.AnyRevision && e.Revision != expect {
			return fmt.Errorf("tenant %q is of revision %d, not %d: %w", name, e.Revision, expect, catalog.ErrChanged)
		}
		p := exportingOf(e, id)
		if id != "" {
			if p.Store, err = f.exportStore(e); err != nil {
				return err
			}
		}
		o, err = f.runner.Begin(ctx, tx, "drop", name, dropping{p.onTenant, keep, p.Database, p.User, p.Export, p.Store})
		return err
	})
	return o, err
}

// droppable says what is wrong with how a tenant is to be dropped, as far as that is known
// now, and the id of its last export, "" where none is made.
func (f *Fleet) droppable(ctx context.Context, name string, keep time.Duration, exported bool) (id string, err error) {
	if keep < 0 || keep > maxKeep {
		return "", invalid("keep", "%v is no time to keep a database for: 0 to %v", keep, maxKeep)
	}
	if !exported || !f.HasStore() {
		return "", nil
	}
	if err := f.canExport(ctx, name); err != nil {
		return "", err
	}
	if id, err = export.NewID(name, time.Now()); err != nil {
		return "", &InvalidError{Field: "name", Reason: err}
	}
	return id, nil
}

// canExport says why a tenant that is to be dropped could not be exported, as far as that
// can be known before anything is done.
func (f *Fleet) canExport(ctx context.Context, name string) error {
	why := func(err error) error {
		return invalid("", "tenant %q cannot be exported first: %w; mend that, or have it dropped without an export", name, err)
	}
	e, err := f.Catalog.Entry(ctx, catalog.Tenant, name)
	if err != nil {
		return nil //nolint:nilerr // whoever begins the drop finds out
	}
	p := exportingOf(e, "")
	if p.Store, err = f.awaitExportStore(ctx, e); err != nil {
		return why(err)
	}
	if _, err := f.exports(p.Store, p.Cluster); err != nil {
		return why(err)
	}
	if p.Closed { // that is known when superusers can look into it
		return nil
	}
	facts, err := f.look(ctx, p.Cluster, p.Database, p.User)
	if err != nil {
		return nil //nolint:nilerr // so does the drop
	}
	if err := f.hasRoom(facts.size); err != nil {
		return why(err)
	}
	return nil
}

// drop puts the database away and forgets the tenant.
func (f *Fleet) drop(ctx context.Context, r *jobs.Run) error {
	var p dropping
	if err := r.Decode(&p); err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: provision.Drop{ID: p.ID, JobID: r.ID}, after: 1}
	release, err := f.change(ctx, c, provision.Plan)
	defer release()
	if err != nil {
		return err
	}
	err = r.Step(ctx, "strike from the registry", c.done, c.done+1, func(ctx context.Context) error {
		return f.strike(ctx, r, &p)
	})
	if err != nil {
		return err
	}
	f.settle(ctx, func(*tenants.Snapshot) bool { return !f.inRegistry(r.Tenant) })
	release() // nobody waits for the export
	if p.Export == "" {
		return r.Finish(ctx, nil, nil)
	}
	out := p.export()
	m, err := f.exportReached(ctx, r, &out, provision.HeldName(r.ID), provision.Reach{ID: p.ID, JobID: r.ID}, c.done+1)
	if err != nil {
		return exportRefusal(err)
	}
	return r.Finish(ctx, exportResult(m), nil)
}

// strike moves a tenant's entry to those that were dropped, unless that is done.
func (f *Fleet) strike(ctx context.Context, r *jobs.Run, p *dropping) error {
	oid, err := f.heldOID(ctx, p.Cluster, r.ID)
	if err != nil {
		return err
	}
	return r.Change(ctx, func(tx *catalog.Tx) error {
		if err := tx.EndHold(r.ID); err != nil {
			return err
		}
		e, err := tx.Entry(catalog.Tenant, r.Tenant)
		if errors.Is(err, catalog.ErrNotFound) || err == nil && e.ID != p.ID { // another one, of the same name
			return nil
		} else if err != nil {
			return err
		}
		return tx.Drop(e, r.ID, oid, time.Now().Add(p.Keep))
	})
}

// takeBack leaves a tenant as it was that was to be dropped. That does not depend on the
// store: what is left there is swept.
func (f *Fleet) takeBack(ctx context.Context, r *jobs.Run) error {
	var p dropping
	if err := r.Decode(&p); err != nil {
		return err
	}
	if err := f.reopen(ctx, r, &p); err != nil || p.Export == "" {
		return err
	}
	out := p.export()
	if _, err := f.abandonExport(ctx, r, &out); err != nil {
		f.Log.Warn("an export is not removed yet that is not to be", "tenant", r.Tenant, "export", p.Export, "error", err)
	}
	return nil
}

// reopen has a tenant have the database again that was put away, if it was.
func (f *Fleet) reopen(ctx context.Context, r *jobs.Run, p *dropping) error {
	oid, err := f.heldOID(ctx, p.Cluster, r.ID)
	if errors.Is(err, pgx.ErrNoRows) { // it has not come to that
		if _, err := f.change(ctx, &changing{run: r, cluster: p.Cluster, op: provision.Drop{ID: p.ID, JobID: r.ID}}, provision.Undo); err != nil {
			return err
		}
		return r.Change(ctx, func(tx *catalog.Tx) error { return tx.EndHold(r.ID) })
	} else if err != nil {
		return err
	}
	d, err := f.toTakeBack(ctx, r)
	if err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: bringBack(p.ID, oid, d.Settings)}
	if _, err := f.change(ctx, c, provision.Plan); err != nil {
		return err
	}
	if d.Settings.Text("state") == suspended {
		c.op = provision.Suspend{ID: p.ID}
		release, err := f.change(ctx, c, provision.Plan)
		if release(); err != nil {
			return err
		}
	}
	if err := f.register(ctx, r, p.ID, r.Tenant, d.Settings, d.User, d.UserID); err != nil {
		return err
	}
	return r.Change(ctx, func(tx *catalog.Tx) error {
		return errors.Join(tx.EndHold(r.ID), tx.ForgetDropped(r.ID))
	})
}

// toTakeBack returns what an operation has dropped, or was about to.
func (f *Fleet) toTakeBack(ctx context.Context, r *jobs.Run) (*catalog.Dropped, error) {
	d, err := f.Catalog.DroppedTenant(ctx, r.ID)
	if !errors.Is(err, catalog.ErrNotFound) {
		return d, err
	}
	e, err := f.Catalog.Entry(ctx, catalog.Tenant, r.Tenant)
	if err != nil {
		return nil, err
	}
	return &catalog.Dropped{Settings: e.Settings}, nil
}

func bringBack(id string, oid uint32, was catalog.Settings) provision.Operation {
	return provision.Undrop{ID: id, OID: oid, Database: was.Text("database"), Role: was.Text("user")}
}

// undropping are the parameters of undrop and purge.
type undropping struct {
	onTenant
	Operation string `json:"operation"` // that has dropped it
	OID       uint32 `json:"oid"`       // of the database
}

// UndropTenant begins to bring back the tenant of that name that was dropped last.
func (f *Fleet) UndropTenant(ctx context.Context, by catalog.Actor, name string) (*catalog.Operation, error) {
	return f.beginDropped(ctx, by, "undrop", name)
}

// PurgeTenant begins to really drop the tenant of that name that was dropped last.
func (f *Fleet) PurgeTenant(ctx context.Context, by catalog.Actor, name string) (*catalog.Operation, error) {
	return f.beginDropped(ctx, by, "purge", name)
}

func (f *Fleet) beginDropped(ctx context.Context, by catalog.Actor, kind, name string) (o *catalog.Operation, err error) {
	err = f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		d, err := tx.Dropped(name)
		if err != nil {
			return err
		}
		if _, err := f.cluster(d.Settings.Text("cluster")); err != nil {
			return &InvalidError{Reason: fmt.Errorf("the database of dropped tenant %q is kept where nobody can reach it: %w", name, err)}
		}
		if kind == "undrop" {
			if err := f.fits(tx, name, d.Settings, d.User, d.UserID); err != nil {
				return err
			}
		}
		o, err = f.runner.Begin(ctx, tx, kind, name, undropping{onTenant{d.ID, d.Settings.Text("cluster")}, d.Operation, d.OID})
		return err
	})
	return o, err
}

// PurgeOld begins to purge the tenants that have been kept for long enough.
func (f *Fleet) PurgeOld(ctx context.Context) error {
	all, err := f.Catalog.DroppedTenants(ctx)
	if err != nil {
		return err
	}
	for _, d := range all {
		if time.Until(d.Purge) > 0 {
			continue
		}
		if _, err := f.cluster(d.Settings.Text("cluster")); err != nil { // it would fail, and keep other operations on the name out
			continue
		}
		err := f.Catalog.Change(ctx, itself, func(tx *catalog.Tx) error {
			if _, err := tx.DroppedBy(d.Operation); err != nil {
				return err
			}
			_, err := f.runner.Begin(ctx, tx, "purge", d.Name, undropping{onTenant{d.ID, d.Settings.Text("cluster")}, d.Operation, d.OID})
			return err
		})
		var busy *catalog.BusyError
		if err != nil && !errors.As(err, &busy) && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
	}
	return nil
}

// undrop opens the database under its name again, and has the registry know it.
func (f *Fleet) undrop(ctx context.Context, r *jobs.Run) error {
	var p undropping
	if err := r.Decode(&p); err != nil {
		return err
	}
	d, err := f.Catalog.DroppedTenant(ctx, p.Operation)
	if errors.Is(err, catalog.ErrNotFound) { // it is back
		return r.Finish(ctx, nil, nil)
	} else if err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: bringBack(p.ID, p.OID, d.Settings), after: 1}
	if _, err := f.change(ctx, c, provision.Plan); err != nil {
		return err
	}
	settings := d.Settings
	delete(settings, "state") // a tenant that was suspended is open again
	err = r.Step(ctx, "enter into the registry", c.done, c.done+1, func(ctx context.Context) error {
		return f.register(ctx, r, p.ID, r.Tenant, settings, d.User, d.UserID)
	})
	if err != nil {
		return err
	}
	return r.Finish(ctx, nil, func(tx *catalog.Tx) error { return tx.ForgetDropped(p.Operation) })
}

// dropAgain puts a tenant away again that was to be brought back.
func (f *Fleet) dropAgain(ctx context.Context, r *jobs.Run) error {
	var p undropping
	if err := r.Decode(&p); err != nil {
		return err
	}
	d, err := f.Catalog.DroppedTenant(ctx, p.Operation)
	if err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: provision.Drop{ID: p.ID, JobID: p.Operation}}
	release, err := f.change(ctx, c, provision.Plan)
	defer release()
	if err != nil {
		return err
	}
	return r.Change(ctx, func(tx *catalog.Tx) error {
		if err := tx.EndHold(r.ID); err != nil {
			return err
		}
		e, err := tx.Entry(catalog.Tenant, r.Tenant)
		if errors.Is(err, catalog.ErrNotFound) || err == nil && e.ID != p.ID {
			return nil // it had not come to that
		} else if err != nil {
			return err
		}
		if err := tx.ForgetDropped(p.Operation); err != nil {
			return err
		}
		return tx.Drop(e, p.Operation, p.OID, d.Purge)
	})
}

// purge drops the database for good.
func (f *Fleet) purge(ctx context.Context, r *jobs.Run) error {
	var p undropping
	if err := r.Decode(&p); err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: provision.Purge{ID: p.ID, OID: p.OID}}
	if _, err := f.change(ctx, c, provision.Plan); err != nil {
		return err
	}
	f.removeCopyFiles(ctx, r.Tenant, p.ID, p.Operation)
	return r.Finish(ctx, nil, func(tx *catalog.Tx) error { return tx.ForgetDropped(p.Operation) })
}

// heldOID returns the OID of the database that an operation has put away.
func (f *Fleet) heldOID(ctx context.Context, cluster, operation string) (oid uint32, err error) {
	conn, err := f.connect(ctx, cluster)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	name := provision.HeldName(operation)
	if err := conn.QueryRow(ctx, "select oid from pg_catalog.pg_database where datname = $1", name).Scan(&oid); err != nil {
		return 0, fmt.Errorf("find database %q: %w", name, err)
	}
	return oid, nil
}
