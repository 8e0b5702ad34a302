package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"howdah/admin/fleet"
	"howdah/backup/export"
)

func (s *server) exports(api huma.API) {
	huma.Register(api, operation("export-tenant", "POST", "/tenants/{name}/exports", "Export a tenant into the store; its clients work on", operator, accepted), s.exportTenant)
	huma.Register(api, operation("list-exports-of-tenant", "GET", "/tenants/{name}/exports", "List exports of a tenant, the newest first; of one that was dropped too", viewer), s.exportsOfTenant)
	huma.Register(api, operation("list-exports", "GET", "/exports", "List exports of all tenants, the newest first", viewer), s.listExports)
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
	answer := &exportAnswer{Body: made}
	if made.Operation != nil {
		answer.Location = prefix + "/jobs/" + made.Operation.ID
	}
	return answer, nil
}

func (s *server) exportsOfTenant(ctx context.Context, in *ByName) (*struct{ Body []export.Manifest }, error) {
	return s.exportsOf(ctx, in.Name)
}

func (s *server) listExports(ctx context.Context, _ *struct{}) (*struct{ Body []export.Manifest }, error) {
	return s.exportsOf(ctx, "")
}

// exportsOf tells what exports are. Of which parts they are made is the store's business.
func (s *server) exportsOf(ctx context.Context, tenant string) (*struct{ Body []export.Manifest }, error) {
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
	return &struct{ Body []export.Manifest }{append([]export.Manifest{}, all...)}, nil
}
