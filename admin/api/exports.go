package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"howdah/admin/fleet"
	"howdah/backup/export"
	"howdah/tenants/catalog"
)

func (s *server) exports(api huma.API) {
	huma.Register(api, operation("export-tenant", "POST", "/tenants/{name}/exports", "Export a tenant into the store; its clients work on", operator, accepted), s.exportTenant)
	huma.Register(api, operation("list-exports-of-tenant", "GET", "/tenants/{name}/exports", "List exports of a tenant, the newest first; of one that was dropped too", viewer), s.exportsOfTenant)
	huma.Register(api, operation("import-tenant", "POST", "/imports", "Make a tenant of an export", admin, accepted), s.importTenant)
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

type newImport struct {
	Export   string           `json:"export" maxLength:"200" doc:"the id of an export"`
	Name     string           `json:"name" maxLength:"63" doc:"of the tenant that is made: a to z, 0 to 9, _ . and -"`
	Cluster  string           `json:"cluster,omitempty" doc:"where there is room, if not given; its PostgreSQL must not be older than the exported one"`
	Database string           `json:"database,omitempty" maxLength:"63" doc:"the name, if not given"`
	User     string           `json:"user,omitempty" maxLength:"63" doc:"the name, if not given"`
	Tier     string           `json:"tier,omitempty"`
	Password string           `json:"password,omitempty" doc:"a new one, if not given"`
	Settings catalog.Settings `json:"settings,omitempty" doc:"its own, by their names in howdah.toml"`
}

func (s *server) importTenant(ctx context.Context, in *struct {
	DryRun         bool   `query:"dry_run" doc:"say what would be done"`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"asked a second time with the same key, it is not done a second time"`
	Authorization  string `header:"Authorization" hidden:"true"`
	Body           newImport
},
) (*creationAnswer, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	b := &in.Body
	n := fleet.NewTenant{
		Name: b.Name, Cluster: b.Cluster, Database: b.Database, User: b.User, Tier: b.Tier, Password: b.Password,
		Settings: b.Settings, Export: b.Export,
	}
	if n.Once, err = once(ctx, in.IdempotencyKey, in.Authorization, true); err != nil {
		return nil, err
	}
	made, err := f.ImportTenant(ctx, actor(ctx), n, in.DryRun)
	if err != nil {
		return nil, s.problem(err)
	}
	answer := &creationAnswer{Body: made}
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
