package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"howdah/admin/jobs"
	"howdah/backup/export"
	"howdah/backup/store"
	"howdah/provision/dump"
	"howdah/provision/odoo"
	"howdah/tenants/catalog"
	"howdah/wire"
)

// importing are the parameters of the operation.
type importing struct {
	creation
	Export     string   `json:"export"`
	Neutralise odoo.Way `json:"neutralise,omitempty"` // "" is None
}

// copies reports whether a database that is brought becomes a copy: neutralised, and with an
// identity of its own. Otherwise it stays the database that it was.
func copies(neutralise odoo.Way) bool { return neutralise != "" && neutralise != odoo.None }

// ImportTenant begins to make a tenant of an export, or with dry says what it would do.
// What must be given of n is the name; its Export is meant.
func (f *Fleet) ImportTenant(ctx context.Context, by catalog.Actor, n NewTenant, dry bool) (*Creation, error) {
	request := n.hash()
	if first, err := answered[Creation](ctx, f, by, n.Once, request); first != nil || err != nil {
		return first, err
	}
	place, m, err := f.importable(ctx, n.Export)
	if err != nil {
		return nil, err
	}
	if n.Template != "" {
		return nil, invalid("template", "a tenant that is imported has no template")
	}
	if err := checkWay(cmp.Or(n.Neutralise, odoo.None)); err != nil {
		return nil, err
	}
	can := func(ctx context.Context, cluster string) error {
		if err := f.mayHave(cluster, place, m); err != nil && !n.AnotherStore {
			return err
		}
		return f.takes(ctx, cluster, m)
	}
	n, why, err := f.complete(ctx, n, can)
	if err != nil {
		return nil, err
	}
	if err := can(ctx, n.Cluster); err != nil {
		return nil, err
	}
	if err := f.hasRoom(m.Size); err != nil {
		return nil, &InvalidError{Reason: err}
	}
	user, serverVerifier, err := f.newUser(wire.MakeVerifier(n.Password, 0, nil))
	if err != nil {
		return nil, err
	}
	made := &Creation{Name: n.Name, Cluster: n.Cluster, Why: why, Database: n.Database, User: n.User, Password: n.Password}
	p := importing{creation{ID: newID(), Cluster: n.Cluster, User: n.User, UserSettings: user, ServerVerifier: serverVerifier, Settings: n.entry()}, n.Export, n.Neutralise}
	if dry {
		made.Password = ""
		made.Steps = p.says(m)
		return made, nil
	}
	return made, f.beginNew(ctx, by, "import", &n, request, made, &p.creation, p)
}

// importable returns where the export of that id is, and what it is, if it can be opened
// here.
func (f *Fleet) importable(ctx context.Context, id string) (*export.Place, *export.Manifest, error) {
	place, m, err := f.exportAt(ctx, id)
	var away *StoreError
	if errors.Is(err, errNoStore) || errors.As(err, &away) {
		return nil, nil, err
	}
	if err == nil {
		err = place.CanOpen(ctx, m)
	}
	switch {
	case errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrNoIdentity), errors.Is(err, export.ErrNewer), errors.Is(err, export.ErrID):
		return nil, nil, &InvalidError{Field: "export", Reason: err}
	case errors.Is(err, store.ErrNotFound):
		return nil, nil, fmt.Errorf("export %q: %w", id, catalog.ErrNotFound)
	case err != nil:
		return nil, nil, &StoreError{err}
	case m.Provider != "libc":
		return nil, nil, invalid("export", "export %q is of a database with a locale of %s: only those of the C library can be made here; `howdah export fetch` makes a folder for pg_restore", m.ID, m.Provider)
	}
	return place, m, nil
}

// mayHave is an error if an export must not come to a cluster because of where that is stored.
func (f *Fleet) mayHave(cluster string, place *export.Place, m *export.Manifest) error {
	target, err := f.cluster(cluster)
	if err != nil {
		return err
	}
	return storeStays("cluster", dumped(m), f.storesOfExport(place, m), target)
}

// takes is an error if a cluster cannot have a database that is like the exported one.
func (f *Fleet) takes(ctx context.Context, cluster string, m *export.Manifest) error {
	conn, err := f.connect(ctx, cluster)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var major int
	var missing []string
	err = conn.QueryRow(ctx, `select pg_catalog.current_setting('server_version_num')::int / 10000,
		array(select e from unnest($1::text[]) e where e not in (select name::text from pg_catalog.pg_available_extensions))`, m.Extensions).Scan(&major, &missing)
	switch {
	case err != nil:
		return fmt.Errorf("look at cluster %q: %w", cluster, err)
	case m.Server > major:
		return invalid("cluster", "cluster %q has PostgreSQL %d, and %s is of PostgreSQL %d: a dump goes to the same version or a newer one", cluster, major, dumped(m), m.Server)
	case len(missing) > 0:
		return invalid("cluster", "cluster %q has no extension %s, which %s needs: install its package there", cluster, strings.Join(missing, ", "), dumped(m))
	}
	return nil
}

// dumped says what a dump is: an export, or what was restored of a tenant.
func dumped(m *export.Manifest) string {
	if m.ID == "" {
		return fmt.Sprintf("the dump of tenant %q", m.Tenant)
	}
	return fmt.Sprintf("export %q", m.ID)
}

// says are the steps of a dry run.
func (p *importing) says(m *export.Manifest) []string {
	database := p.Settings.Text("database")
	steps := []string{
		fmt.Sprintf("fetch export %q of tenant %q, %s, and check its sums", m.ID, m.Tenant, dump.Size(m.Size)),
		fmt.Sprintf("make an empty database and role %q on cluster %q", p.User, p.Cluster),
		fmt.Sprintf("restore the dump as role %q, which can do no more there than the tenant will", p.User),
	}
	if copies(p.Neutralise) {
		steps = append(steps, fmt.Sprintf("if it is an Odoo database, neutralise it as role %q, and give it another uuid and secret", p.User))
	}
	return append(steps,
		fmt.Sprintf("rename it %q, give it to role %q and nobody else, and open it", database, p.User),
		"enter the tenant into the registry")
}

// importTenant makes a tenant of an export. What is half full of an earlier attempt is
// made anew.
func (f *Fleet) importTenant(ctx context.Context, r *jobs.Run) error {
	var p importing
	if err := r.Decode(&p); err != nil {
		return err
	}
	result := map[string]any{"cluster": p.Cluster, "database": p.Settings.Text("database"), "user": p.User, "export": p.Export}
	there, err := f.lives(ctx, p.Cluster, p.ID)
	if err == nil && !there {
		err = f.fillFromExport(ctx, r, &p, result)
	}
	if err != nil {
		return exportRefusal(needsSpace(p.Cluster, err))
	}
	err = r.Step(ctx, "enter into the registry", importParts-1, importParts, func(ctx context.Context) error {
		return f.register(ctx, r, p.ID, r.Tenant, p.Settings, p.UserSettings, "")
	})
	if err != nil {
		return err
	}
	return r.Finish(ctx, result, nil)
}

// lives reports whether a tenant's database is on a cluster, and its own.
func (f *Fleet) lives(ctx context.Context, cluster, id string) (there bool, err error) {
	there, _, err = f.marked(ctx, cluster, "howdah:"+id)
	return there, err
}

// marked reports whether a database with that mark is on a cluster, and whether it is open.
func (f *Fleet) marked(ctx context.Context, cluster, mark string) (there, open bool, err error) {
	conn, err := f.connect(ctx, cluster)
	if err != nil {
		return false, false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, `select count(*) > 0, coalesce(bool_or(datallowconn), false) from pg_catalog.pg_database
		where pg_catalog.shobj_description(oid, 'pg_database') = $1`, mark).Scan(&there, &open)
	return there, open, err
}
