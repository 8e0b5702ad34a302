package fleet

import (
	"context"
	"fmt"
	"time"

	"howdah/provision"
	"howdah/tenants/catalog"
)

// PlanTenant says what an operation would do that needs to know no more than a tenant's
// name: suspend, resume, undrop or purge.
func (f *Fleet) PlanTenant(ctx context.Context, kind, name string) (steps []string, err error) {
	switch kind {
	case "suspend", "resume":
		return f.planLive(ctx, kind, name)
	case "undrop", "purge":
		return f.planDropped(ctx, kind, name)
	}
	return nil, invalid("operation", "%q is none of suspend, resume, undrop and purge", kind)
}

// planLive is PlanTenant for a tenant that is there.
func (f *Fleet) planLive(ctx context.Context, kind, name string) ([]string, error) {
	e, err := f.live(ctx, name)
	if err != nil {
		return nil, err
	}
	cluster := e.Settings.Text("cluster")
	if kind == "suspend" {
		return f.previewThen(ctx, cluster, provision.Suspend{ID: e.ID}, "refuse clients, and close those that are connected")
	}
	return f.previewThen(ctx, cluster, provision.Resume{ID: e.ID}, "take clients again")
}

// live returns the entry of a tenant that is there.
func (f *Fleet) live(ctx context.Context, name string) (e *catalog.Entry, err error) {
	err = f.Catalog.Change(ctx, itself, func(tx *catalog.Tx) (err error) {
		e, err = f.tenant(tx, name)
		return err
	})
	return e, err
}

// PlanDrop says what DropTenant would do, or DropUnexported.
func (f *Fleet) PlanDrop(ctx context.Context, name string, keep time.Duration, exported bool) (steps []string, err error) {
	e, err := f.live(ctx, name)
	if err != nil {
		return nil, err
	}
	id, err := f.droppable(ctx, name, keep, exported)
	if err != nil {
		return nil, err
	}
	last := []string{
		"strike it from the registry, and end the tokens that are bound to it",
		fmt.Sprintf("export it, as it is when nobody can write any more, into the store of exports: `howdah tenant exports %s` lists it", name),
		fmt.Sprintf("keep the database, closed, for %v: until then `howdah tenant undrop %s` brings it back; then it is dropped for good", keep, name),
	}
	switch {
	case id != "":
	case exported:
		last[1] = "make no export: there is no store of exports ([backup] store)"
	default:
		last[1] = "make no export, since none is wanted"
	}
	if keep == 0 {
		last[2] = "drop the database for good within a minute or so"
	}
	return f.previewThen(ctx, e.Settings.Text("cluster"), provision.Drop{ID: e.ID, JobID: "dry-run"}, last...)
}

// planDropped is PlanTenant for a tenant that was dropped.
func (f *Fleet) planDropped(ctx context.Context, kind, name string) ([]string, error) {
	var d *catalog.Dropped
	err := f.Catalog.Change(ctx, itself, func(tx *catalog.Tx) (err error) {
		if d, err = tx.Dropped(name); err != nil || kind == "purge" {
			return err
		}
		return f.fits(tx, name, d.Settings, d.User, d.UserID)
	})
	if err != nil {
		return nil, err
	}
	cluster := d.Settings.Text("cluster")
	if kind == "purge" {
		return f.previewThen(ctx, cluster, provision.Purge{ID: d.ID, OID: d.OID}, "forget it: only backups have it then")
	}
	return f.previewThen(ctx, cluster, bringBack(d.ID, d.OID, d.Settings), "enter it into the registry")
}

// previewThen is preview, with what is done last.
func (f *Fleet) previewThen(ctx context.Context, cluster string, op provision.Operation, last ...string) ([]string, error) {
	steps, err := f.preview(ctx, cluster, op)
	if err != nil {
		return nil, asInvalid(err)
	}
	return append(steps, last...), nil
}

// preview is what RotateTenant would do.
func (p *rotating) preview(ctx context.Context, f *Fleet) (steps []string, err error) {
	if p.ServerKey != "" {
		steps = append(steps, "keep a new secret, with which Howdah logs in to the server")
	}
	if p.ServerVerifier != "" {
		planned, err := f.preview(ctx, p.Cluster, p.operation(p.ServerVerifier))
		if err != nil {
			return nil, asInvalid(err)
		}
		if p.ServerKey == "" {
			steps = append(steps, "hold its clients: their password is the server's too")
		}
		steps = append(steps, planned...)
	}
	last := fmt.Sprintf("take the new password of user %q; the old one goes on for %v", p.User, p.Overlap)
	if p.Overlap == 0 {
		last = fmt.Sprintf("take the new password of user %q, and no old one", p.User)
	}
	return append(steps, last), nil
}
