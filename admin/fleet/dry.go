package fleet

import (
	"context"
	"fmt"

	"howdah/provision"
	"howdah/tenants/catalog"
)

// PlanTenant says what an operation would do that needs to know no more than a tenant's
// name: suspend, resume, drop, undrop or purge.
func (f *Fleet) PlanTenant(ctx context.Context, kind, name string) (steps []string, err error) {
	switch kind {
	case "suspend", "resume", "drop":
		return f.planLive(ctx, kind, name)
	case "undrop", "purge":
		return f.planDropped(ctx, kind, name)
	}
	return nil, invalid("operation", "%q is none of suspend, resume, drop, undrop and purge", kind)
}

// planLive is PlanTenant for a tenant that is there.
func (f *Fleet) planLive(ctx context.Context, kind, name string) ([]string, error) {
	var e *catalog.Entry
	err := f.Catalog.Change(ctx, itself, func(tx *catalog.Tx) (err error) {
		e, err = f.tenant(tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	var op provision.Operation
	var last string
	switch kind {
	case "suspend":
		op, last = provision.Suspend{ID: e.ID}, "refuse clients, and close those that are connected"
	case "resume":
		op, last = provision.Resume{ID: e.ID}, "take clients again"
	default:
		op, last = provision.Drop{ID: e.ID, JobID: "dry-run"}, "strike it from the registry, and end the tokens that are bound to it"
		if f.HasStore() {
			last = "export it to the store; " + last
		}
	}
	return f.previewThen(ctx, e.Settings.Text("cluster"), op, last)
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
func (f *Fleet) previewThen(ctx context.Context, cluster string, op provision.Operation, last string) ([]string, error) {
	steps, err := f.preview(ctx, cluster, op)
	if err != nil {
		return nil, asInvalid(err)
	}
	return append(steps, last), nil
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
