package fleet

import (
	"context"
	"errors"
	"maps"

	"howdah/admin/jobs"
	"howdah/provision"
	"howdah/router"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// onTenant are the parameters of an operation on a tenant that there is.
type onTenant struct {
	ID      string `json:"id"`
	Cluster string `json:"cluster"`
}

// begin begins an operation on a tenant of the catalog.
func (f *Fleet) begin(ctx context.Context, by catalog.Actor, kind, name string, parameters func(*catalog.Entry) any) (o *catalog.Operation, err error) {
	err = f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		e, err := f.tenant(tx, name)
		if err != nil {
			return err
		}
		o, err = f.runner.Begin(ctx, tx, kind, name, parameters(e))
		return err
	})
	return o, err
}

func idAndCluster(e *catalog.Entry) any { return onTenant{e.ID, e.Settings.Text("cluster")} }

// SuspendTenant begins to close a tenant: its clients are refused, its data stays.
func (f *Fleet) SuspendTenant(ctx context.Context, by catalog.Actor, name string) (*catalog.Operation, error) {
	return f.begin(ctx, by, "suspend", name, idAndCluster)
}

// ResumeTenant begins to open a suspended tenant.
func (f *Fleet) ResumeTenant(ctx context.Context, by catalog.Actor, name string) (*catalog.Operation, error) {
	return f.begin(ctx, by, "resume", name, idAndCluster)
}

// suspend lets running transactions finish, closes the database, and has clients
// refused from then on.
func (f *Fleet) suspend(ctx context.Context, r *jobs.Run) error {
	var p onTenant
	if err := r.Decode(&p); err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: provision.Suspend{ID: p.ID}, tenant: r.Tenant, after: 1}
	release, err := f.change(ctx, c, provision.Plan)
	defer release()
	if err != nil {
		return err
	}
	err = r.Step(ctx, "refuse clients", c.done, c.done+1, func(ctx context.Context) error {
		if err := f.setState(ctx, r, "suspended"); err != nil {
			return err
		}
		f.closeClients(r.Tenant)
		return nil
	})
	if err != nil {
		return err
	}
	return r.Finish(ctx, nil, nil)
}

// closeClients closes a tenant's clients. New ones are taken, or refused, as its state
// says.
func (f *Fleet) closeClients(tenant string) {
	if err := f.Pooler.Kill(tenant); err != nil && !errors.Is(err, router.ErrNotFound) && !errors.Is(err, router.ErrPaused) {
		f.Log.Warn("cannot close a tenant's clients", "tenant", tenant, "error", err)
	}
	_ = f.Pooler.Resume(tenant) // Kill has paused it
}

// resume opens the database and has clients taken again.
func (f *Fleet) resume(ctx context.Context, r *jobs.Run) error {
	var p onTenant
	if err := r.Decode(&p); err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: provision.Resume{ID: p.ID}, tenant: r.Tenant, after: 1}
	if _, err := f.change(ctx, c, provision.Plan); err != nil {
		return err
	}
	err := r.Step(ctx, "take clients", c.done, c.done+1, func(ctx context.Context) error { return f.setState(ctx, r, "active") })
	if err != nil {
		return err
	}
	return r.Finish(ctx, nil, nil)
}

// setState changes the tenant's state, unless it is that, and waits until this node goes
// by it.
func (f *Fleet) setState(ctx context.Context, r *jobs.Run, state string) error {
	err := f.Catalog.Change(ctx, r.By(), func(tx *catalog.Tx) error {
		e, err := tx.Entry(catalog.Tenant, r.Tenant)
		if err != nil || e.Settings.Text("state") == state {
			return err
		}
		s := maps.Clone(e.Settings)
		s["state"] = state
		return tx.Update(catalog.Tenant, r.Tenant, e.Revision, s)
	})
	if err == nil {
		f.settle(ctx, func(s *tenants.Snapshot) bool {
			t, ok := s.Lookup(r.Tenant, "")
			return ok && t.State.String() == state
		})
	}
	return err
}
