package api

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"howdah/admin/fleet"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// Tenant is one customer: a database on a cluster and what it may use.
type Tenant struct {
	Name     string         `json:"name" doc:"what clients connect to as database"`
	ID       string         `json:"id,omitempty" doc:"a UUID that stays when the name changes; none for a tenant of howdah.toml"`
	Source   string         `json:"source" enum:"catalog,file"`
	State    string         `json:"state" enum:"active,suspended"`
	Cluster  string         `json:"cluster"`
	Database string         `json:"database"`
	User     string         `json:"user"`
	Tier     string         `json:"tier,omitempty"`
	Settings map[string]any `json:"settings,omitempty" doc:"its own, by their names in howdah.toml"`
	Revision int64          `json:"revision,omitempty" doc:"what ETag says"`
	Created  *time.Time     `json:"created,omitempty"`
	Quota    *Quota         `json:"quota,omitempty" doc:"how it stands to its quota, if it has one"`
	Backups  *TenantBackups `json:"backups,omitempty" doc:"how its backups stand, as far as this node knows; not in lists"`
}

// Quota is how a tenant's database stands to its quota.
type Quota struct {
	Bytes      int64      `json:"bytes" doc:"that the database may have"`
	Size       int64      `json:"size" doc:"that it has; 0 while the state is unknown"`
	State      string     `json:"state" enum:"unknown,within,near,over,grace" doc:"over: its transactions are READ ONLY; grace: it is over, and may write for a while"`
	GraceUntil *time.Time `json:"grace_until,omitempty"`
}

// tenantOf is a tenant of the registry, with what the catalog knows of it, if e is not nil.
func tenantOf(t *tenants.Tenant, e *catalog.Entry, usage map[string]tenants.Usage) Tenant {
	found := Tenant{Name: t.Name, Source: "file", State: t.State.String(), Cluster: t.Cluster, Database: t.Database, User: t.User, Tier: t.Tier}
	if e != nil {
		found.ofEntry(e)
	}
	if quota := t.Limits.Quota; quota > 0 {
		u := usage[t.Name]
		found.Quota = &Quota{Bytes: quota, Size: u.Size, State: u.State.String()}
		if u.State == tenants.QuotaGrace {
			found.Quota.GraceUntil = &u.GraceUntil
		}
	}
	return found
}

// usage is how tenants stand to their quotas, by name.
func (s *server) usage() map[string]tenants.Usage {
	if s.Console == nil {
		return nil
	}
	return s.Console.Usage()
}

// ofEntry adds what the catalog knows of a tenant.
func (t *Tenant) ofEntry(e *catalog.Entry) {
	t.ID, t.Source, t.Revision, t.Created = e.ID, "catalog", e.Revision, &e.Created
	t.Settings = map[string]any{}
	for name, value := range e.Settings {
		switch name {
		case "cluster", "database", "user", "tier", "state":
		default:
			t.Settings[name] = value
		}
	}
}

// ByName is a path with a name in it.
type ByName struct {
	Name string `path:"name" maxLength:"63"`
}

type tenantAnswer struct {
	ETag string `header:"ETag"`
	Body Tenant
}

func answerTenant(t Tenant) *tenantAnswer { return &tenantAnswer{ETag: etag(t.Revision), Body: t} }

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// Edit is a path with the name of what is to be changed, and of which revision it must be.
type Edit struct {
	ByName
	IfMatch string `header:"If-Match" doc:"what ETag has said; it is not changed if it says something else now"`
}

// edit returns who makes the change, and the revision that is expected.
func (s *server) edit(e *Edit) (*fleet.Fleet, int64, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, 0, err
	}
	revision, err := expected(e.IfMatch)
	return f, revision, err
}

// expected reads If-Match: the revision that is to be changed, whatever it is where
// nothing is said.
func expected(ifMatch string) (int64, error) {
	if ifMatch == "" || ifMatch == "*" {
		return catalog.AnyRevision, nil
	}
	n, err := strconv.ParseInt(strings.Trim(ifMatch, `"`), 10, 64)
	if err != nil || n < 0 {
		return 0, huma.Error412PreconditionFailed(fmt.Sprintf("If-Match is %s, which is no ETag of here", ifMatch))
	}
	return n, nil
}

// operationAnswer tells of an operation that has begun.
type operationAnswer struct {
	Location string `header:"Location"`
	Body     *catalog.Operation
}

func answerOperation(o *catalog.Operation) *operationAnswer {
	return &operationAnswer{location(o), o}
}

func (s *server) tenants(api huma.API) {
	huma.Register(api, operation("list-tenants", "GET", "/tenants", "List tenants", viewer), s.listTenants)
	huma.Register(api, operation("create-tenant", "POST", "/tenants", "Create a tenant", operator, accepted), s.createTenant)
	huma.Register(api, operation("get-tenant", "GET", "/tenants/{name}", "Show a tenant", viewer, own), s.getTenant)
	huma.Register(api, operation("set-tenant", "PATCH", "/tenants/{name}", "Change a tenant's settings", operator), s.setTenant)
	huma.Register(api, operation("drop-tenant", "DELETE", "/tenants/{name}", "Drop a tenant; its database is kept for a while", admin, accepted), s.dropTenant)
	huma.Register(api, operation("suspend-tenant", "POST", "/tenants/{name}/suspend", "Close a tenant", operator, accepted), s.begin((*fleet.Fleet).SuspendTenant))
	huma.Register(api, operation("resume-tenant", "POST", "/tenants/{name}/resume", "Open a suspended tenant", operator, accepted), s.begin((*fleet.Fleet).ResumeTenant))
	huma.Register(api, operation("grace-tenant", "POST", "/tenants/{name}/grace", "Have a tenant write for a while though it is over its quota", operator), s.graceTenant)
	huma.Register(api, operation("plan-tenant", "GET", "/tenants/{name}/plan", "Say what an operation on a tenant, or on a dropped one, would do", operator), s.planTenant)
	huma.Register(api, operation("rename-tenant", "POST", "/tenants/{name}/rename", "Give a tenant another name; its clients go on", operator, accepted), s.renameTenant)
	huma.Register(api, operation("clone-tenant", "POST", "/tenants/{name}/clone", "Make a tenant as a copy of another", admin, accepted), s.cloneTenant)
	huma.Register(api, operation("move-tenant", "POST", "/tenants/{name}/move", "Move a tenant to another cluster while its clients work", operator, accepted), s.moveTenant)
	huma.Register(api, operation("restore-tenant", "POST", "/tenants/{name}/restore", "Restore a tenant to a moment, from the backups of its cluster", admin, accepted), s.restoreTenant)
	huma.Register(api, operation("undo-restore", "POST", "/tenants/{name}/restore/undo", "Give a tenant that was swapped the database back that it had before", admin, accepted), s.undoRestore)
	s.exports(api)
	huma.Register(api, operation("rotate-tenant", "POST", "/tenants/{name}/rotate", "Give a tenant's user another password; the old one goes on for a while", admin, accepted), s.rotateTenant)
	huma.Register(api, operation("reseal", "POST", "/master-key/reseal", "Seal what the catalog keeps sealed with the first identity of the master key", admin), s.reseal)
	huma.Register(api, operation("list-dropped", "GET", "/dropped", "List dropped tenants whose databases are kept", viewer), s.listDropped)
	huma.Register(api, operation("undrop-tenant", "POST", "/dropped/{name}/undrop", "Bring back a dropped tenant", admin, accepted), s.begin((*fleet.Fleet).UndropTenant))
	huma.Register(api, operation("purge-tenant", "DELETE", "/dropped/{name}", "Drop a dropped tenant's database for good", admin, accepted), s.begin((*fleet.Fleet).PurgeTenant))
}

// listTenants tells those of howdah.toml too.
func (s *server) listTenants(ctx context.Context, in *struct {
	Search  string `query:"search" doc:"part of a name"`
	Cluster string `query:"cluster"`
	After   string `query:"after" doc:"a name: only those behind it"`
	Limit   int    `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
},
) (*struct{ Body []Tenant }, error) {
	entries, err := s.entriesOf(ctx, catalog.Tenant)
	if err != nil {
		return nil, err
	}
	var wanted []*tenants.Tenant
	for t := range s.Registry.Snapshot().Tenants() {
		if strings.Contains(t.Name, in.Search) && (in.Cluster == "" || t.Cluster == in.Cluster) && t.Name > in.After {
			wanted = append(wanted, t)
		}
	}
	slices.SortFunc(wanted, func(a, b *tenants.Tenant) int { return cmp.Compare(a.Name, b.Name) })
	all, usage := []Tenant{}, s.usage()
	for _, t := range wanted[:min(len(wanted), in.Limit)] {
		all = append(all, tenantOf(t, entries[t.Name], usage))
	}
	return &struct{ Body []Tenant }{all}, nil
}

func (s *server) entriesOf(ctx context.Context, kind catalog.Kind) (map[string]*catalog.Entry, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	contents, err := f.Catalog.Contents(ctx)
	if err != nil {
		return nil, s.problem(err)
	}
	entries := map[string]*catalog.Entry{}
	for i := range contents.Entries {
		if e := &contents.Entries[i]; e.Kind == kind {
			entries[e.Name] = e
		}
	}
	return entries, nil
}

// fleet returns the Fleet, or the answer that there is none.
func (s *server) fleet() (*fleet.Fleet, error) {
	f, err := s.Fleet()
	if err != nil {
		return nil, huma.Error503ServiceUnavailable(err.Error())
	}
	return f, nil
}

func (s *server) getTenant(ctx context.Context, in *ByName) (*tenantAnswer, error) {
	found, err := s.oneTenant(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return answerTenant(*found), nil
}

func (s *server) oneTenant(ctx context.Context, name string) (*Tenant, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	e, err := f.Catalog.Entry(ctx, catalog.Tenant, name)
	if t, ok := s.Registry.Snapshot().Tenant(name); ok {
		found := tenantOf(t, e, s.usage())
		found.Backups = s.backupsOfTenant(name)
		return &found, nil
	}
	if err == nil {
		err = fmt.Errorf("tenant %q: %w", name, catalog.ErrNotFound) // this node has not heard of it yet, or no more
	}
	return nil, s.problem(err)
}

// NewTenant is what a tenant is to be, whatever it is made of.
type NewTenant struct {
	Name     string           `json:"name" maxLength:"63" doc:"what clients connect to as database: a to z, 0 to 9, _ . and -"`
	Cluster  string           `json:"cluster,omitempty" doc:"where there is room, if not given"`
	Database string           `json:"database,omitempty" maxLength:"63" doc:"the name, if not given"`
	User     string           `json:"user,omitempty" maxLength:"63" doc:"the name, if not given"`
	Tier     string           `json:"tier,omitempty"`
	Password string           `json:"password,omitempty" doc:"a new one, if not given"`
	Settings catalog.Settings `json:"settings,omitempty" doc:"its own, by their names in howdah.toml"`
}

func (n *NewTenant) asked() fleet.NewTenant {
	return fleet.NewTenant{
		Name: n.Name, Cluster: n.Cluster, Database: n.Database, User: n.User, Tier: n.Tier, Password: n.Password, Settings: n.Settings,
	}
}

type newTenant struct {
	NewTenant
	Template string `json:"template,omitempty" doc:"a database to copy"`
}

type creationAnswer struct {
	Location string `header:"Location"`
	Body     *fleet.Creation
}

func (s *server) createTenant(ctx context.Context, in *struct {
	Asking
	Body newTenant
},
) (*creationAnswer, error) {
	if _, own := in.Body.Settings[exportStore]; own {
		if err := mayChooseStore(ctx); err != nil {
			return nil, err
		}
	}
	n := in.Body.asked()
	n.Template = in.Body.Template
	return s.make(ctx, &in.Asking, n, (*fleet.Fleet).CreateTenant)
}

// make has a tenant be made.
func (s *server) make(ctx context.Context, in *Asking, n fleet.NewTenant, by func(*fleet.Fleet, context.Context, catalog.Actor, fleet.NewTenant, bool) (*fleet.Creation, error)) (*creationAnswer, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	if n.Once, err = in.once(ctx, true); err != nil {
		return nil, err
	}
	made, err := by(f, ctx, actor(ctx), n, in.DryRun)
	if err != nil {
		return nil, s.problem(err)
	}
	return &creationAnswer{location(made.Operation), made}, nil
}

func (s *server) setTenant(ctx context.Context, in *struct {
	Edit
	Body catalog.Settings `doc:"settings by their names in howdah.toml; null takes one away" contentType:"application/merge-patch+json"`
},
) (*tenantAnswer, error) {
	if s.choosesStore(in.Name, in.Body) {
		if err := mayChooseStore(ctx); err != nil {
			return nil, err
		}
	}
	f, expect, err := s.edit(&in.Edit)
	if err != nil {
		return nil, err
	}
	e, err := f.SetTenant(ctx, actor(ctx), in.Name, expect, in.Body)
	if err != nil {
		return nil, s.problem(err)
	}
	return s.changedTenant(ctx, e)
}

// exportStore is the setting that says where exports go.
const exportStore = "export_store"

// choosesStore reports whether a patch of a tenant has its exports go elsewhere, as the
// registry knows them. What a tenant without a tier has is not known here: it is as good as
// the cluster's store.
func (s *server) choosesStore(name string, patch catalog.Settings) bool {
	if _, own := patch[exportStore]; own {
		return true
	}
	if _, changes := patch["tier"]; !changes {
		return false
	}
	before, after, now := "", "", s.Registry.Snapshot()
	if t, ok := now.Tenant(name); ok {
		before = t.Backup.Exports
	}
	if to, ok := now.Tier(patch.Text("tier")); ok {
		after = to.Backup.Exports
	}
	return after != before
}

// changedTenant tells of a tenant that was changed here, though the registry may not have
// it yet.
func (s *server) changedTenant(ctx context.Context, e *catalog.Entry) (*tenantAnswer, error) {
	found, err := s.oneTenant(ctx, e.Name)
	if err != nil {
		return nil, err
	}
	found.Tier = e.Settings.Text("tier")
	found.ofEntry(e)
	return answerTenant(*found), nil
}

func (s *server) graceTenant(ctx context.Context, in *struct {
	ByName
	Body struct {
		For *float64 `json:"for,omitempty" minimum:"0" maximum:"2678400" doc:"for how many seconds, an hour if not given; 0 ends it"`
	}
},
) (*tenantAnswer, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	lasts := fleet.GraceFor
	if in.Body.For != nil {
		lasts = time.Duration(*in.Body.For * float64(time.Second))
	}
	e, err := f.GraceTenant(ctx, actor(ctx), in.Name, lasts)
	if err != nil {
		return nil, s.problem(err)
	}
	return s.changedTenant(ctx, e)
}

// Dropping is how a tenant is dropped.
type Dropping struct {
	Keep     float64 `query:"keep" minimum:"0" maximum:"3153600000" default:"604800" doc:"of a drop: for how many seconds its database is kept"`
	NoExport bool    `query:"no_export" doc:"of a drop: do not export it, though there is a store"`
}

func (d *Dropping) keep() (time.Duration, error) {
	if math.IsNaN(d.Keep) { // which no bound keeps out
		return 0, huma.Error422UnprocessableEntity("keep is not a number")
	}
	return time.Duration(d.Keep * float64(time.Second)), nil
}

func (s *server) dropTenant(ctx context.Context, in *struct {
	Edit
	Dropping
},
) (*operationAnswer, error) {
	f, expect, err := s.edit(&in.Edit)
	if err != nil {
		return nil, err
	}
	keep, err := in.keep()
	if err != nil {
		return nil, err
	}
	o, err := f.DropTenantOf(ctx, actor(ctx), in.Name, expect, keep, !in.NoExport)
	if err != nil {
		return nil, s.problem(err)
	}
	return answerOperation(o), nil
}

type planned struct {
	Steps []string `json:"steps" doc:"what would be done, in order"`
}

func (s *server) planTenant(ctx context.Context, in *struct {
	ByName
	Operation string `query:"operation" required:"true" enum:"suspend,resume,drop,undrop,purge"`
	Dropping
},
) (*struct{ Body planned }, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	keep, err := in.keep()
	if err != nil {
		return nil, err
	}
	var steps []string
	if in.Operation == "drop" {
		steps, err = f.PlanDrop(ctx, in.Name, keep, !in.NoExport)
	} else {
		steps, err = f.PlanTenant(ctx, in.Operation, in.Name)
	}
	if err != nil {
		return nil, s.problem(err)
	}
	return &struct{ Body planned }{planned{steps}}, nil
}

type renamingAnswer struct {
	Location string `header:"Location"`
	Body     *fleet.Renaming
}

func (s *server) renameTenant(ctx context.Context, in *struct {
	ByName
	Asking
	Body struct {
		Name string `json:"name" maxLength:"63" doc:"the new name, of the database too"`
		User string `json:"user,omitempty" maxLength:"63" doc:"the user's new name; if not given, that is the tenant's where it was before and the user is no other tenant's"`
	}
},
) (*renamingAnswer, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	key, err := in.once(ctx, false)
	if err != nil {
		return nil, err
	}
	made, err := f.RenameTenantOnce(ctx, actor(ctx), in.Name, in.Body.Name, in.Body.User, in.DryRun, key)
	if err != nil {
		return nil, s.problem(err)
	}
	return &renamingAnswer{location(made.Operation), made}, nil
}

// begin is of operations that need to know no more than a tenant's name.
func (s *server) begin(f func(*fleet.Fleet, context.Context, catalog.Actor, string) (*catalog.Operation, error)) func(context.Context, *ByName) (*operationAnswer, error) {
	return func(ctx context.Context, in *ByName) (*operationAnswer, error) {
		who, err := s.fleet()
		if err != nil {
			return nil, err
		}
		o, err := f(who, ctx, actor(ctx), in.Name)
		if err != nil {
			return nil, s.problem(err)
		}
		return answerOperation(o), nil
	}
}

type newPassword struct {
	Password string   `json:"password,omitempty" doc:"a new one, if not given"`
	Overlap  *float64 `json:"overlap,omitempty" minimum:"0" maximum:"31622400" doc:"for how many seconds the old password goes on, a day if not given; 0 ends it at once, but not the sessions that logged in with it"`
	Server   bool     `json:"server,omitempty" doc:"change the secret with which Howdah logs in to the server too"`
}

type rotationAnswer struct {
	Location string `header:"Location"`
	Body     *fleet.Rotation
}

func (s *server) rotateTenant(ctx context.Context, in *struct {
	ByName
	Asking
	Body newPassword
},
) (*rotationAnswer, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	n := fleet.NewPassword{Password: in.Body.Password, Overlap: fleet.Overlap, Server: in.Body.Server, Dry: in.DryRun}
	if o := in.Body.Overlap; o != nil {
		n.Overlap = time.Duration(*o * float64(time.Second))
	}
	if n.Once, err = in.once(ctx, true); err != nil {
		return nil, err
	}
	made, err := f.RotateTenant(ctx, actor(ctx), in.Name, n)
	if err != nil {
		return nil, s.problem(err)
	}
	return &rotationAnswer{location(made.Operation), made}, nil
}

type resealing struct {
	Resealed int `json:"resealed" doc:"users whose secret was sealed with another identity"`
}

func (s *server) reseal(ctx context.Context, _ *struct{}) (*struct{ Body resealing }, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	n, err := f.Reseal(ctx, actor(ctx))
	if err != nil {
		return nil, s.problem(err)
	}
	return &struct{ Body resealing }{resealing{n}}, nil
}

func (s *server) listDropped(ctx context.Context, _ *struct{}) (*struct{ Body []catalog.Dropped }, error) {
	f, err := s.fleet()
	if err != nil {
		return nil, err
	}
	all, err := f.Catalog.DroppedTenants(ctx)
	if err != nil {
		return nil, s.problem(err)
	}
	return &struct{ Body []catalog.Dropped }{append([]catalog.Dropped{}, all...)}, nil
}
