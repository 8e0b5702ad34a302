package fleet

import (
	"cmp"
	"context"
	"maps"

	"howdah/admin/jobs"
	"howdah/provision"
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

// stateChange are the parameters of suspend and resume.
type stateChange struct {
	onTenant
	Before string `json:"before"` // the state that it goes back to when it is cancelled
}

func changeState(e *catalog.Entry) any {
	return stateChange{onTenant{e.ID, e.Settings.Text("cluster")}, stateOf(e)}
}

func stateOf(e *catalog.Entry) string { return cmp.Or(e.Settings.Text("state"), active) }

// The states as an entry has them.
const (
	active    = "active"
	suspended = "suspended"
)

// SuspendTenant begins to close a tenant: its clients are refused, its data stays.
func (f *Fleet) SuspendTenant(ctx context.Context, by catalog.Actor, name string) (*catalog.Operation, error) {
	return f.begin(ctx, by, "suspend", name, changeState)
}

// ResumeTenant begins to open a suspended tenant.
func (f *Fleet) ResumeTenant(ctx context.Context, by catalog.Actor, name string) (*catalog.Operation, error) {
	return f.begin(ctx, by, "resume", name, changeState)
}

func (f *Fleet) suspend(ctx context.Context, r *jobs.Run) error { return f.toState(ctx, r, suspended) }
func (f *Fleet) resume(ctx context.Context, r *jobs.Run) error  { return f.toState(ctx, r, active) }

// toState has a tenant be suspended or active.
func (f *Fleet) toState(ctx context.Context, r *jobs.Run, state string) error {
	var p stateChange
	if err := r.Decode(&p); err != nil {
		return err
	}
	if err := f.putInto(ctx, r, &p.onTenant, state); err != nil {
		return err
	}
	return r.Finish(ctx, nil, nil)
}

// backToState has a tenant be what it was before it was to be suspended or resumed.
func (f *Fleet) backToState(ctx context.Context, r *jobs.Run) error {
	var p stateChange
	if err := r.Decode(&p); err != nil {
		return err
	}
	return f.putInto(ctx, r, &p.onTenant, p.Before)
}

// putInto opens or closes the database, and has clients taken or refused from then on.
// Running transactions may finish first.
func (f *Fleet) putInto(ctx context.Context, r *jobs.Run, p *onTenant, state string) error {
	var op provision.Operation = provision.Resume{ID: p.ID}
	step := "take clients"
	if state == suspended {
		op, step = provision.Suspend{ID: p.ID}, "refuse clients"
	}
	c := &changing{run: r, cluster: p.Cluster, op: op, after: 1}
	release, err := f.change(ctx, c, provision.Plan)
	defer release()
	if err != nil {
		return err
	}
	return r.Step(ctx, step, c.done, c.done+1, func(ctx context.Context) error { return f.setState(ctx, r, state) })
}

// setState changes the tenant's state, unless it is that, and waits until this node goes
// by it. A node closes the clients of a tenant that is suspended.
func (f *Fleet) setState(ctx context.Context, r *jobs.Run, state string) error {
	err := r.Change(ctx, func(tx *catalog.Tx) error {
		e, err := tx.Entry(catalog.Tenant, r.Tenant)
		if err != nil {
			return err
		}
		if err := tx.EndHold(r.ID); err != nil || stateOf(e) == state {
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
