package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"howdah/admin/jobs"
	"howdah/backup/export"
	"howdah/backup/store"
	"howdah/provision"
	"howdah/provision/dump"
	"howdah/provision/odoo"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// StoreError is of what cannot be stored or read, since the store cannot be used.
type StoreError struct{ Reason error }

func (e *StoreError) Error() string { return "the store cannot be used: " + e.Reason.Error() }
func (e *StoreError) Unwrap() error { return e.Reason }

var errNoStore = errors.New("exports need a store to be kept in: give [backup] store and recipients")

// HasStore reports whether exports are kept here, though their store may be away.
func (f *Fleet) HasStore() bool {
	if f.Exports == nil {
		return false
	}
	places, err := f.Exports("", "")
	return len(places) > 0 || err != nil
}

// exports returns where exports are put that are to go to a store, or are of a tenant of a
// cluster.
func (f *Fleet) exports(store, cluster string) (*export.Place, error) {
	places, err := f.allExports(store, cluster)
	if len(places) > 0 {
		return places[0], nil // the others may be away
	}
	return nil, err
}

// allExports returns where exports are kept, first as exports does. The error tells of those
// that cannot be used.
func (f *Fleet) allExports(store, cluster string) (places []*export.Place, err error) {
	if f.Exports != nil {
		places, err = f.Exports(store, cluster)
	}
	switch {
	case err != nil:
		return places, &StoreError{err}
	case len(places) == 0:
		return nil, &InvalidError{Reason: errNoStore}
	}
	return places, nil
}

// exportAt returns where an export is kept, and what it is; store.ErrNotFound is that it is
// nowhere. Another place that is away does not matter.
func (f *Fleet) exportAt(ctx context.Context, id string) (*export.Place, *export.Manifest, error) {
	places, away := f.allExports("", "")
	if len(places) == 0 {
		return nil, nil, away
	}
	if t, ok := f.Registry.Snapshot().Tenant(export.TenantOf(id)); ok { // whoever writes another place may have put it there
		if own, err := f.exports(t.Backup.Exports, t.Cluster); err == nil {
			places = slices.Insert(places, 0, own)
		}
	}
	var missing, failed error
	for _, place := range places {
		m, err := place.Manifest(ctx, id)
		switch {
		case err == nil:
			return place, m, nil
		case errors.Is(err, store.ErrNotFound):
			missing = err
		default:
			failed = cmp.Or(failed, err)
		}
	}
	return nil, nil, cmp.Or(failed, away, missing) // in one that cannot be read it may be
}

// Exporting is a tenant that is being exported.
type Exporting struct {
	Operation *catalog.Operation `json:"operation,omitempty"` // nil for a dry run
	Name      string             `json:"name"`
	Export    string             `json:"export" doc:"the id under which it will be"`
	Size      int64              `json:"size" doc:"about how many bytes there are to be read"`
	Steps     []string           `json:"steps,omitempty"` // of a dry run
}

// exporting are the parameters of the operation.
type exporting struct {
	onTenant
	Database string `json:"database"`
	User     string `json:"user"`
	Export   string `json:"export"`
	Store    string `json:"store,omitempty"`
	Closed   bool   `json:"closed,omitempty"` // the tenant is suspended
}

// exportingOf says what is exported of a tenant; into which store is exportStore's.
func exportingOf(e *catalog.Entry, id string) exporting {
	s := e.Settings
	return exporting{onTenant: onTenant{e.ID, s.Text("cluster")}, Database: s.Text("database"), User: s.Text("user"), Export: id, Closed: stateOf(e) == suspended}
}

// exportStore is the store that exports of a tenant go to; "" is its cluster's. What its
// entry says counts at once, what a tier or [defaults] say as this node's registry has it,
// which comes after the catalog.
func (f *Fleet) exportStore(e *catalog.Entry) (string, error) {
	if _, own := e.Settings["export_store"]; own {
		return e.Settings.Text("export_store"), nil
	}
	now := f.Registry.Snapshot()
	if tier, ok := now.Tier(e.Settings.Text("tier")); ok {
		return tier.Backup.Exports, nil
	}
	t, ok := now.Tenant(e.Name)
	if !ok {
		return "", invalid("", "this node's registry does not have tenant %q yet, and with it in which store its exports are kept: try again", e.Name)
	}
	return t.Backup.Exports, nil
}

// awaitExportStore is exportStore that gives the registry time to hear of the tenant.
func (f *Fleet) awaitExportStore(ctx context.Context, e *catalog.Entry) (string, error) {
	store, err := f.exportStore(e)
	if err != nil {
		f.settle(ctx, func(s *tenants.Snapshot) bool { _, ok := s.Tenant(e.Name); return ok })
		store, err = f.exportStore(e)
	}
	return store, err
}

// ExportTenant begins to export a tenant, or with dry says what it would do. Its clients
// work on: what is exported is what there is at one moment.
func (f *Fleet) ExportTenant(ctx context.Context, by catalog.Actor, name string, dry bool) (*Exporting, error) {
	if _, err := f.exports("", ""); errors.Is(err, errNoStore) {
		return nil, err
	}
	e, err := f.exportable(ctx, name)
	if err != nil {
		return nil, err
	}
	id, err := export.NewID(name, time.Now())
	if err != nil {
		return nil, &InvalidError{Field: "name", Reason: err}
	}
	p := exportingOf(e, id)
	if p.Store, err = f.awaitExportStore(ctx, e); err != nil {
		return nil, err
	}
	if _, err := f.exports(p.Store, p.Cluster); err != nil {
		return nil, err
	}
	made := &Exporting{Name: name, Export: id}
	if made.Size, err = f.sizeToExport(ctx, &p); err != nil {
		return nil, err
	}
	if dry {
		made.Steps = p.says(f.scratch(), made.Size)
		return made, nil
	}
	err = f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		now, err := f.tenant(tx, name)
		if err != nil {
			return err
		}
		p := exportingOf(now, id)
		if p.Store, err = f.exportStore(now); err != nil {
			return err
		}
		made.Operation, err = f.runner.Begin(ctx, tx, "export", name, p)
		return err
	})
	return made, err
}

// sizeToExport says about how many bytes there are to be read, if there is room for them.
// Of a database that nobody can look into yet that is not known so well.
func (f *Fleet) sizeToExport(ctx context.Context, p *exporting) (size int64, err error) {
	if p.Closed {
		return f.sizeOutside(ctx, p)
	}
	facts, err := f.look(ctx, p.Cluster, p.Database, p.User)
	if err != nil {
		return 0, err
	}
	if err := f.hasRoom(facts.size); err != nil {
		return 0, &InvalidError{Reason: err}
	}
	return facts.size, nil
}

// sizeOutside says how large a database is, its indexes included.
func (f *Fleet) sizeOutside(ctx context.Context, p *exporting) (size int64, err error) {
	conn, err := f.connect(ctx, p.Cluster)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, "select pg_catalog.pg_database_size($1::name)", p.Database).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("look at database %q: %w", p.Database, err)
	}
	return size, nil
}

// says are the steps of a dry run.
func (p *exporting) says(scratch string, size int64) (steps []string) {
	meanwhile := "its clients work on"
	if p.Closed {
		meanwhile = "its clients are refused as before"
		steps = append(steps, fmt.Sprintf("let superusers, and nobody else, into database %q", p.Database))
	}
	steps = append(steps,
		fmt.Sprintf("dump database %q, about %s, into a folder below %q; %s", p.Database, dump.Size(size), scratch, meanwhile),
		fmt.Sprintf("compress, encrypt and store it as export %q", p.Export))
	if p.Closed {
		steps = append(steps, fmt.Sprintf("let nobody into database %q", p.Database))
	}
	return steps
}

// exportable returns the entry of a tenant that can be exported.
func (f *Fleet) exportable(ctx context.Context, name string) (*catalog.Entry, error) {
	e, err := f.Catalog.Entry(ctx, catalog.Tenant, name)
	switch {
	case errors.Is(err, catalog.ErrNotFound) && f.inRegistry(name):
		return nil, fmt.Errorf("tenant %q: %w", name, ErrFile)
	case err != nil:
		return nil, err
	}
	return e, nil
}

// export exports a tenant. What an earlier attempt has dumped is gone with it.
func (f *Fleet) export(ctx context.Context, r *jobs.Run) error {
	var p exporting
	if err := r.Decode(&p); err != nil {
		return err
	}
	m, err := f.exportOpen(ctx, r, &p)
	if err != nil {
		return exportRefusal(err)
	}
	return r.Finish(ctx, exportResult(m), nil)
}

func (f *Fleet) exportOpen(ctx context.Context, r *jobs.Run, p *exporting) (*export.Manifest, error) {
	if p.Closed {
		return f.exportReached(ctx, r, p, p.Database, provision.Reach{ID: p.ID}, 0)
	}
	return f.exportFrom(ctx, r, p, p.Database, 0)
}

func exportResult(m *export.Manifest) map[string]any {
	return map[string]any{"export": m.ID, "size": m.Size, "stored": m.Stored, "files": m.Files}
}

// exportRefusal makes an error that time does not mend one that ends the operation.
func exportRefusal(err error) error {
	for _, hopeless := range []error{
		syscall.ENOSPC, fs.ErrPermission, errNoStore, export.ErrNoPlace, export.ErrAbandoned, export.ErrNewer,
		store.ErrDamaged, store.ErrNoIdentity, store.ErrNotFound, dump.ErrContents, odoo.ErrFailed,
	} {
		if errors.Is(err, hopeless) {
			return jobs.Refuse(err)
		}
	}
	if isFull(err) {
		return jobs.Refuse(err)
	}
	return refusal(err)
}

// unexport leaves nothing of an export that is not to be. One that is there stays.
func (f *Fleet) unexport(ctx context.Context, r *jobs.Run) error {
	var p exporting
	if err := r.Decode(&p); err != nil {
		return err
	}
	if p.Closed {
		_, err := f.change(ctx, &changing{run: r, cluster: p.Cluster, op: provision.Reach{ID: p.ID}}, provision.Plan)
		if err != nil && !errors.Is(err, provision.ErrNotFound) {
			return err
		}
	}
	m, err := f.abandonExport(ctx, r, &p)
	if err != nil || m == nil {
		return err
	}
	return r.Finish(ctx, exportResult(m), nil)
}

// abandonExport leaves nothing of an export, unless it is there, and then returns it.
func (f *Fleet) abandonExport(ctx context.Context, r *jobs.Run, p *exporting) (*export.Manifest, error) {
	place, err := f.exports(p.Store, p.Cluster)
	if r.Operation.Step == "" || errors.Is(err, errNoStore) || errors.Is(err, export.ErrNoPlace) { // nothing was stored, or nobody can get at it
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = place.Abandon(ctx, p.Export)
	if errors.Is(err, store.ErrExists) {
		return place.Manifest(ctx, p.Export)
	}
	return nil, err
}

// ListExports returns the exports of a tenant, or of all (""), the newest first; none
// where there is no store. Those that cannot be read are told of in the log.
func (f *Fleet) ListExports(ctx context.Context, tenant string) ([]export.Listed, error) {
	if !f.HasStore() {
		return nil, nil
	}
	places, err := f.allExports("", "")
	all, unread := export.ListAll(ctx, places, tenant)
	if unread != nil {
		unread = &StoreError{unread}
	}
	if err = errors.Join(err, unread); err != nil && len(all) == 0 {
		return nil, err
	} else if err != nil {
		f.Log.Error("some exports cannot be read", "error", err)
	}
	return all, nil
}

// sweepExports removes from the store what crashes have left.
func (f *Fleet) sweepExports(ctx context.Context) error {
	if !f.HasStore() {
		return nil
	}
	places, away := f.allExports("", "")
	underway, err := f.Catalog.Underway(ctx)
	if err != nil {
		return err
	}
	all := []error{away}
	for _, place := range places {
		all = append(all, place.Sweep(ctx, func(id string) bool { return underway[export.TenantOf(id)] != "" }))
	}
	return errors.Join(all...)
}
