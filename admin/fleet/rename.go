package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"

	"howdah/admin/jobs"
	"howdah/provision"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// Renaming is a tenant that gets another name.
type Renaming struct {
	Operation *catalog.Operation `json:"operation,omitempty"` // nil for a dry run
	Names
	Steps []string `json:"steps,omitempty"` // of a dry run
}

// Names are those by which a tenant goes.
type Names struct {
	Name     string `json:"name"`
	Database string `json:"database"`
	User     string `json:"user"`
}

// renaming are the parameters of rename.
type renaming struct {
	onTenant
	From Names `json:"from"`
	To   Names `json:"to"`
}

func (p *renaming) operation(to Names) provision.Rename {
	return provision.Rename{ID: p.ID, Database: to.Database, Role: to.User}
}

// RenameTenant begins to give a tenant and its database another name, or with dry says
// what it would do. Its clients go on. Its user gets the name that is given; with "" it
// gets the tenant's new name if it had the old one, unless others have it too.
func (f *Fleet) RenameTenant(ctx context.Context, by catalog.Actor, name, to, user string, dry bool) (*Renaming, error) {
	return f.RenameTenantOnce(ctx, by, name, to, user, dry, nil)
}

// RenameTenantOnce is RenameTenant for a request that may come a second time; once may be
// nil.
func (f *Fleet) RenameTenantOnce(ctx context.Context, by catalog.Actor, name, to, user string, dry bool, once *Once) (*Renaming, error) {
	for _, n := range []struct{ field, name string }{{"name", to}, {"user", cmp.Or(user, to)}} {
		if err := provision.ValidName(n.name); err != nil {
			return nil, &InvalidError{Field: n.field, Reason: err}
		}
	}
	request := once.hash("rename", name, to, user)
	if !dry {
		if first, err := answered[Renaming](ctx, f, by, once, request); first != nil || err != nil {
			return first, err
		}
	}
	var p *renaming
	plan := func(tx *catalog.Tx) (err error) {
		p, err = f.planRename(tx, name, to, user)
		return err
	}
	if err := f.Catalog.Change(ctx, by, plan); err != nil {
		return nil, err
	}
	if err := f.free(ctx, p.claim()); err != nil {
		return nil, err
	}
	made := &Renaming{Names: p.To}
	if dry {
		var err error
		made.Steps, err = f.preview(ctx, p.Cluster, p.operation(p.To))
		return made, asInvalid(err)
	}
	return made, f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		if once != nil { // the same request may have come at the same time
			var first Renaming
			if again, err := once.again(tx, request, &first); again || err != nil {
				*made = first
				return err
			}
		}
		err := plan(tx)
		if err != nil {
			return err
		}
		made.Names = p.To
		if made.Operation, err = f.runner.Begin(ctx, tx, "rename", name, p); err != nil || once == nil {
			return err
		}
		return once.keep(tx, request, made)
	})
}

// claim is what the new names need.
func (p *renaming) claim() claim {
	c := claim{tenant: p.From.Name, id: p.ID, cluster: p.Cluster}
	if p.To.Database != p.From.Database {
		c.database = p.To.Database
	}
	if p.To.User != p.From.User {
		c.user = p.To.User
	}
	return c
}

// planRename says by what names a tenant is to go, if it can.
func (f *Fleet) planRename(tx *catalog.Tx, name, to, user string) (*renaming, error) {
	e, err := f.tenant(tx, name)
	if err != nil {
		return nil, err
	}
	p := &renaming{
		onTenant: onTenant{e.ID, e.Settings.Text("cluster")},
		From:     Names{name, e.Settings.Text("database"), e.Settings.Text("user")},
	}
	if p.To, err = f.newNames(tx, &p.From, to, user); err != nil {
		return nil, err
	}
	entries, err := tx.Entries()
	if err != nil {
		return nil, err
	}
	for i := range entries {
		p.apply(&entries[i])
	}
	if err := f.Check(entries); err != nil {
		return nil, &InvalidError{Reason: err}
	}
	return p, nil
}

// newNames says what the names are to be.
func (f *Fleet) newNames(tx *catalog.Tx, from *Names, to, user string) (Names, error) {
	n := Names{Name: to, Database: to, User: from.User}
	if to == from.Name && (user == "" || user == from.User) {
		return n, invalid("name", "the tenant's name is %q already", to)
	}
	if to != from.Name {
		if _, err := tx.Entry(catalog.Tenant, to); err == nil || f.inRegistry(to) {
			return n, fmt.Errorf("tenant %q: %w", to, catalog.ErrExists)
		} else if !errors.Is(err, catalog.ErrNotFound) {
			return n, err
		}
	}
	wanted := user
	if user == "" && from.User == from.Name {
		wanted = to
	}
	if wanted == "" || wanted == from.User {
		return n, nil
	}
	keeps, err := f.keepsUser(tx, from, wanted)
	if err == nil && keeps == nil {
		n.User = wanted
	}
	if user != "" && err == nil {
		err = keeps
	}
	return n, err
}

// keepsUser says why the user cannot get that name, nil where it can.
func (f *Fleet) keepsUser(tx *catalog.Tx, from *Names, wanted string) (why, err error) {
	if _, err := tx.Entry(catalog.User, from.User); errors.Is(err, catalog.ErrNotFound) {
		return invalid("user", "user %q stands in howdah.toml, and keeps its name", from.User), nil
	} else if err != nil {
		return nil, err
	}
	if _, taken := f.Registry.Snapshot().User(wanted); taken {
		return fmt.Errorf("user %q: %w", wanted, catalog.ErrExists), nil
	}
	entries, err := tx.Entries()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		switch {
		case e.Kind == catalog.User && e.Name == wanted:
			return fmt.Errorf("user %q: %w", wanted, catalog.ErrExists), nil
		case e.Kind == catalog.Tenant && e.Name != from.Name && e.Settings.Text("user") == from.User:
			return invalid("user", "user %q is tenant %q's too, and keeps its name", from.User, e.Name), nil
		}
	}
	var dropped string
	err = tx.QueryRow("select coalesce(min(name), '') from howdah.dropped where settings ->> 'user' = $1", from.User).Scan(&dropped)
	if err == nil && dropped != "" {
		why = invalid("user", "user %q is that of the dropped tenant %q too, and keeps its name", from.User, dropped)
	}
	return why, err
}

// apply gives an entry the new names, if it is the tenant's or its user's.
func (p *renaming) apply(e *catalog.Entry) {
	switch {
	case e.Kind == catalog.Tenant && e.ID == p.ID:
		e.Name, e.Settings = p.To.Name, p.To.in(e.Settings)
	case e.Kind == catalog.User && e.Name == p.From.User:
		e.Name = p.To.User
	}
}

// in returns a tenant's settings with the names in them.
func (n *Names) in(s catalog.Settings) catalog.Settings {
	s = maps.Clone(s)
	s["database"], s["user"] = n.Database, n.User
	return s
}

func (f *Fleet) rename(ctx context.Context, r *jobs.Run) error {
	var p renaming
	if err := r.Decode(&p); err != nil {
		return err
	}
	if err := f.renameTo(ctx, r, &p, &p.To); err != nil {
		return err
	}
	return r.Finish(ctx, p.To, nil)
}

// unrename has a tenant go by its old names again.
func (f *Fleet) unrename(ctx context.Context, r *jobs.Run) error {
	var p renaming
	if err := r.Decode(&p); err != nil {
		return err
	}
	return f.renameTo(ctx, r, &p, &p.From)
}

// renameTo has a tenant go by these names. Clients are held by the old name and by the
// new: they are carried from the one to the other meanwhile.
func (f *Fleet) renameTo(ctx context.Context, r *jobs.Run, p *renaming, to *Names) error {
	c := &changing{run: r, cluster: p.Cluster, op: p.operation(*to), holds: []string{p.From.Name, p.To.Name}, after: 1}
	release, err := f.change(ctx, c, provision.Plan)
	defer release()
	if err != nil {
		return err
	}
	return r.Step(ctx, "rename in the registry", c.done, c.done+1, func(ctx context.Context) error {
		if p.From.Name != p.To.Name {
			f.keepCopyFiles(p.From.Name)
			f.keepCopyFiles(p.To.Name)
		}
		err := r.Change(ctx, func(tx *catalog.Tx) error {
			if err := tx.EndHold(r.ID); err != nil {
				return err
			}
			return p.enter(tx, to)
		})
		if errors.Is(err, catalog.ErrExists) {
			return jobs.Refuse(err)
		}
		if err == nil {
			f.settle(ctx, func(s *tenants.Snapshot) bool {
				t, ok := s.Tenant(to.Name)
				return ok && t.ID == p.ID
			})
		}
		return err
	})
}

// enter has the catalog know a tenant by these names, unless it does.
func (p *renaming) enter(tx *catalog.Tx, to *Names) error {
	e, err := tx.Entry(catalog.Tenant, p.From.Name)
	if errors.Is(err, catalog.ErrNotFound) || err == nil && e.ID != p.ID {
		e, err = tx.Entry(catalog.Tenant, p.To.Name)
	}
	if err != nil {
		return err
	}
	if e.ID != p.ID {
		return fmt.Errorf("tenant %q: %w", p.From.Name, catalog.ErrNotFound)
	}
	if user := e.Settings.Text("user"); user != to.User {
		if err := tx.Rename(catalog.User, user, to.User); err != nil {
			return err
		}
	}
	if e.Name != to.Name {
		if err := tx.Rename(catalog.Tenant, e.Name, to.Name); err != nil {
			return err
		}
	}
	if e.Settings.Text("database") == to.Database && e.Settings.Text("user") == to.User {
		return nil
	}
	return tx.Update(catalog.Tenant, to.Name, catalog.AnyRevision, to.in(e.Settings))
}
