package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"howdah/admin/fleet"
	"howdah/backup/export"
	"howdah/provision/odoo"
)

func (s *server) exports(api huma.API) {
	huma.Register(api, operation("export-tenant", "POST", "/tenants/{name}/exports", "Export a tenant into the store; its clients work on", operator, accepted), s.exportTenant)
	huma.Register(api, operation("list-exports-of-tenant", "GET", "/tenants/{name}/exports", "List exports of a tenant, the newest first; of one that was dropped too", viewer), s.exportsOfTenant)
	huma.Register(api, operation("import-tenant", "POST", "/imports", "Make a tenant of an export", admin, accepted), s.importTenant)
	huma.Register(api, operation("list-exports", "GET", "/exports", "List exports of all tenants, the newest first", viewer), s.listExports)
	huma.Register(api, operation("hold-export", "PUT", "/exports/{id}/hold", "Have an export never be deleted", operator), s.holdExport)
	huma.Register(api, operation("release-export", "DELETE", "/exports/{id}/hold", "Have an export be deleted again when it is not to be kept any more", admin), s.releaseExport)
}

type exportAnswer struct {
	Location string `header:"Location"`
	Body     *fleet.Exporting
}

func (s *server) exportTenant(ctx context.Context, in *struct {
	ByName
	DryRun bool `query:"dry_run" doc:"say what would be done"`
},
) (*exportAnswer, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	made, err := f.ExportTenant(ctx, actor(ctx), in.Name, in.DryRun)
	if err != nil {
		return nil, s.problem(err)
	}
	return &exportAnswer{location(made.Operation), made}, nil
}

type newImport struct {
	NewTenant
	Export string `json:"export" maxLength:"200" doc:"the id of an export; the cluster's PostgreSQL must not be older than the exported one"`
	// AnotherStore is as for a move.
	AnotherStore bool `json:"another_store,omitempty" doc:"go on though the cluster is backed up to another store than the export is in, or its tenant was in"`
	// An import is of a live database that comes from elsewhere, if nobody says otherwise.
	Neutralise odoo.Way `json:"neutralise,omitempty" enum:"auto,builtin,none" default:"none" doc:"none: an Odoo database goes on as what it was, with its uuid, crons and mail servers; auto, builtin: it is a copy for staging, neutralised as a clone is, and gets another uuid and secret"`
}

func (s *server) importTenant(ctx context.Context, in *struct {
	Asking
	Body newImport
},
) (*creationAnswer, error) {
	n := in.Body.asked()
	n.Export, n.Neutralise, n.AnotherStore = in.Body.Export, in.Body.Neutralise, in.Body.AnotherStore
	return s.make(ctx, &in.Asking, n, (*fleet.Fleet).ImportTenant)
}

func (s *server) exportsOfTenant(ctx context.Context, in *ByName) (*struct{ Body []export.Listed }, error) {
	return s.exportsOf(ctx, in.Name)
}

func (s *server) listExports(ctx context.Context, _ *struct{}) (*struct{ Body []export.Listed }, error) {
	return s.exportsOf(ctx, "")
}

// exportsOf tells what exports are. Of which parts they are made is the store's business.
func (s *server) exportsOf(ctx context.Context, tenant string) (*struct{ Body []export.Listed }, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	all, err := f.ListExports(ctx, tenant)
	if err != nil {
		return nil, s.problem(err)
	}
	for i := range all {
		all[i].Parts = nil
	}
	return &struct{ Body []export.Listed }{append([]export.Listed{}, all...)}, nil
}

// ByExport is a path with an export in it.
type ByExport struct {
	ID string `path:"id" maxLength:"200"`
}

func (s *server) holdExport(ctx context.Context, in *struct {
	ByExport
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"1000" doc:"why: it is kept with it"`
	}
},
) (*struct{}, error) {
	return nil, s.ofExport(func(f *fleet.Fleet) error { return f.HoldExport(ctx, actor(ctx), in.ID, in.Body.Reason) })
}

func (s *server) releaseExport(ctx context.Context, in *ByExport) (*struct{}, error) {
	return nil, s.ofExport(func(f *fleet.Fleet) error { return f.ReleaseExport(ctx, actor(ctx), in.ID) })
}

func (s *server) ofExport(do func(*fleet.Fleet) error) error {
	f, err := s.fleet()
	if err != nil {
		return err
	}
	return s.problem(do(f))
}
