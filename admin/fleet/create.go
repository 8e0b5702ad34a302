package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"howdah/admin/jobs"
	"howdah/provision"
	"howdah/provision/odoo"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire"
)

// NewTenant is a tenant to be made. Only the name must be given.
type NewTenant struct {
	Name     string
	Cluster  string // "" = where there is room
	Database string // "" = the name; the user's too
	User     string
	Tier     string
	Password string           // "" = a new one
	Settings catalog.Settings // of its own, by their names in howdah.toml
	Template string           // a database to copy; "" = an empty one
	Export   string           `json:",omitempty"` // to be imported
	// Neutralise is for what is imported; "" = None. Otherwise it is a copy, and gets another
	// uuid and secret too.
	Neutralise odoo.Way `json:",omitempty"`
	// AnotherStore is that what is imported may come to a cluster that is backed up to a store
	// that has none of it.
	AnotherStore bool  `json:",omitempty"`
	Once         *Once // nil = it is another tenant each time
}

// Creation is a tenant that is being made.
type Creation struct {
	Operation *catalog.Operation `json:"operation,omitempty"` // nil for a dry run
	Name      string             `json:"name"`
	Cluster   string             `json:"cluster"`
	Why       string             `json:"why"` // that cluster
	Database  string             `json:"database"`
	User      string             `json:"user"`
	Password  string             `json:"password,omitempty"` // told once
	Steps     []string           `json:"steps,omitempty"`    // of a dry run
}

// creation are the parameters of the operation.
type creation struct {
	ID             string           `json:"id"` // of the tenant
	Cluster        string           `json:"cluster"`
	User           string           `json:"user"`
	UserSettings   catalog.Settings `json:"user_settings"`   // of the user's entry
	ServerVerifier string           `json:"server_verifier"` // of the role
	Template       string           `json:"template,omitempty"`
	Settings       catalog.Settings `json:"settings"` // of the entry
}

// extensions are what Odoo wants in its databases.
var extensions = []string{"unaccent", "pg_trgm"}

func (c *creation) operation(name, job string) provision.Create {
	content := content()
	content.Template = c.Template
	return provision.Create{
		ID: c.ID, JobID: job, Name: name, Database: c.Settings.Text("database"), Role: c.User, Verifier: c.ServerVerifier,
		Content: content,
	}
}

// CreateTenant begins to make a tenant, or with dry says what it would do.
func (f *Fleet) CreateTenant(ctx context.Context, by catalog.Actor, n NewTenant, dry bool) (*Creation, error) {
	request := n.hash()
	if first, err := answered[Creation](ctx, f, by, n.Once, request); first != nil || err != nil {
		return first, err
	}
	n, why, err := f.complete(ctx, n, f.reach)
	if err != nil {
		return nil, err
	}
	user, serverVerifier, err := f.newUser(wire.MakeVerifier(n.Password, 0, nil))
	if err != nil {
		return nil, err
	}
	made := &Creation{Name: n.Name, Cluster: n.Cluster, Why: why, Database: n.Database, User: n.User, Password: n.Password}
	p := creation{ID: newID(), Cluster: n.Cluster, User: n.User, UserSettings: user, ServerVerifier: serverVerifier, Template: n.Template, Settings: n.entry()}
	if dry {
		made.Password = ""
		made.Steps, err = f.preview(ctx, n.Cluster, p.operation(n.Name, "dry-run"))
		return made, asInvalid(err)
	}
	return made, f.beginNew(ctx, by, "create", &n, request, made, &p, p)
}

// beginNew begins an operation that makes a tenant. The request is answered by made.
func (f *Fleet) beginNew(ctx context.Context, by catalog.Actor, kind string, n *NewTenant, request []byte, made *Creation, p *creation, parameters any) error {
	// Whether the registry can have it takes a look at all of it, for which no other change
	// is to wait: once the database is made it is looked at again, in the change itself.
	contents, err := f.Catalog.Contents(ctx)
	if err == nil {
		err = f.fitsAmong(contents.Entries, n.Name, p.Settings, p.UserSettings, "")
	}
	if err != nil && (n.Once == nil || !errors.Is(err, catalog.ErrExists)) { // else it may be of this very request
		return err
	}
	return f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		if n.Once != nil { // the same request may have come at the same time
			var first Creation
			if again, err := n.Once.again(tx, request, &first); again || err != nil {
				*made = first
				return err
			}
		}
		if _, err := tx.Entry(catalog.Tenant, n.Name); !errors.Is(err, catalog.ErrNotFound) {
			return cmp.Or(err, fmt.Errorf("tenant %q: %w", n.Name, catalog.ErrExists))
		}
		var err error
		if made.Operation, err = f.runner.Begin(ctx, tx, kind, n.Name, parameters); err != nil || n.Once == nil {
			return err
		}
		return n.Once.keep(tx, request, made)
	})
}

// hash is the same for the same request of the same client: of one that only the client
// can make, a password that was chosen cannot be guessed.
func (n *NewTenant) hash() []byte {
	request := *n
	request.Once = nil
	text, _ := json.Marshal(request) // names, and settings that came as JSON
	if n.Once != nil {
		text = append(text, n.Once.Secret...)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// complete fills in what was not given, and looks whether it can be. can is as for place.
func (f *Fleet) complete(ctx context.Context, n NewTenant, can func(ctx context.Context, cluster string) error) (_ NewTenant, why string, err error) {
	if n.Database == "" {
		n.Database = n.Name
	}
	if n.User == "" {
		n.User = n.Name
	}
	for _, name := range []struct{ field, name string }{{"name", n.Name}, {"database", n.Database}, {"user", n.User}} {
		if err := provision.ValidName(name.name); err != nil {
			return n, "", &InvalidError{Field: name.field, Reason: err}
		}
	}
	s := f.Registry.Snapshot()
	if f.inRegistry(n.Name) {
		return n, "", fmt.Errorf("tenant %q: %w", n.Name, catalog.ErrExists)
	}
	if _, ok := s.User(n.User); ok {
		return n, "", fmt.Errorf("user %q: %w", n.User, catalog.ErrExists)
	}
	for _, name := range []string{"name", "cluster", "database", "user", "tier", "state", "loops"} {
		if _, ok := n.Settings[name]; ok {
			return n, "", invalid("settings", "%q is not a setting that is given here", name)
		}
	}
	if err := checkPassword(n.Password); err != nil {
		return n, "", err
	}
	if n.Password == "" {
		n.Password = rand.Text()
	}
	why = "it was asked for"
	if n.Cluster == "" {
		n.Cluster, why, err = f.place(ctx, s, can)
	} else {
		_, err = f.cluster(n.Cluster)
		if errors.Is(err, catalog.ErrNotFound) {
			err = &InvalidError{Field: "cluster", Reason: err}
		}
	}
	if err == nil {
		err = checkTemplate(s, n.Cluster, n.Template)
	}
	if err == nil {
		err = f.free(ctx, claim{tenant: n.Name, cluster: n.Cluster, database: n.Database, user: n.User})
	}
	return n, why, err
}

// checkPassword is an error for one that no client could send.
func checkPassword(password string) error {
	if strings.ContainsRune(password, 0) {
		return invalid("password", "it has a NUL character, which no client can send")
	}
	return nil
}

// checkTemplate is an error for what is a tenant's or Howdah's own: a copy would have its
// data in another's hands. Tenants of howdah.toml have no mark on their databases by which
// package provision could know them.
func checkTemplate(s *tenants.Snapshot, cluster, template string) error {
	if template == "" || template == "template1" {
		return nil
	}
	if err := provision.ValidName(template); err != nil {
		return &InvalidError{Field: "template", Reason: err}
	}
	for t := range s.Tenants() {
		if t.Cluster == cluster && t.Database == template {
			return invalid("template", "database %q is tenant %q's", template, t.Name)
		}
	}
	return nil
}

// entry is what the catalog will say of the tenant.
func (n *NewTenant) entry() catalog.Settings {
	s := catalog.Settings{"cluster": n.Cluster, "database": n.Database, "user": n.User}
	if n.Tier != "" {
		s["tier"] = n.Tier
	}
	maps.Copy(s, n.Settings)
	return s
}

// newID returns a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// asInvalid makes a refusal of the plan what is wrong with the request.
func asInvalid(err error) error {
	var refused *jobs.RefusedError
	if errors.As(err, &refused) {
		return &InvalidError{Reason: refused.Reason}
	}
	return err
}

// create makes the database, then has the registry know it.
func (f *Fleet) create(ctx context.Context, r *jobs.Run) error {
	var p creation
	if err := r.Decode(&p); err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: p.operation(r.Tenant, r.ID), after: 1}
	if _, err := f.change(ctx, c, provision.Plan); err != nil {
		return err
	}
	err := r.Step(ctx, "enter into the registry", c.done, c.done+1, func(ctx context.Context) error {
		return f.register(ctx, r, p.ID, r.Tenant, p.Settings, p.UserSettings, "")
	})
	if err != nil {
		return err
	}
	return r.Finish(ctx, map[string]string{"cluster": p.Cluster, "database": p.Settings.Text("database"), "user": p.User}, nil)
}

// register enters a tenant with its user into the catalog, unless that is done, waits
// until clients find it, and has its role have the settings that the registry gives it.
func (f *Fleet) register(ctx context.Context, r *jobs.Run, id, name string, settings, userSettings catalog.Settings, userID string) error {
	err := r.Change(ctx, func(tx *catalog.Tx) error {
		entries, err := tx.Entries()
		if err != nil {
			return err
		}
		if e := entry(entries, catalog.Tenant, name); e != nil && e.ID == id {
			return nil
		}
		if err := f.fitsAmong(entries, name, settings, userSettings, userID); err != nil {
			return err
		}
		user := settings.Text("user")
		if entry(entries, catalog.User, user) == nil && len(userSettings) > 0 {
			if err := tx.Create(catalog.User, user, "", userSettings); err != nil {
				return err
			}
		}
		return tx.Create(catalog.Tenant, name, id, settings)
	})
	if errors.Is(err, catalog.ErrExists) {
		return jobs.Refuse(err)
	}
	if err != nil {
		return err
	}
	f.settle(ctx, func(s *tenants.Snapshot) bool { _, ok := s.Lookup(name, settings.Text("user")); return ok })
	return f.configureTenant(ctx, name)
}

// fits is an error where the registry cannot have such a tenant: it would be refused
// with all that the catalog holds, on every node. A user that is there already must be
// this one, by its entry's UUID or its verifier: else whoever knows its password would be let in.
func (f *Fleet) fits(tx *catalog.Tx, name string, settings, userSettings catalog.Settings, userID string) error {
	entries, err := tx.Entries()
	if err != nil {
		return err
	}
	return f.fitsAmong(entries, name, settings, userSettings, userID)
}

func (f *Fleet) fitsAmong(entries []catalog.Entry, name string, settings, userSettings catalog.Settings, userID string) error {
	if entry(entries, catalog.Tenant, name) != nil {
		return fmt.Errorf("tenant %q: %w", name, catalog.ErrExists)
	}
	user := settings.Text("user")
	entries = slices.Clip(entries)
	switch u := entry(entries, catalog.User, user); {
	case u == nil && len(userSettings) == 0: // not of the catalog
	case u == nil:
		entries = append(entries, catalog.Entry{Kind: catalog.User, Name: user, Settings: userSettings})
	case u.ID == userID: // with another password by now
	case u.Settings.Text("verifier") != userSettings.Text("verifier"):
		return fmt.Errorf("user %q: %w", user, catalog.ErrExists)
	}
	entries = append(entries, catalog.Entry{Kind: catalog.Tenant, Name: name, Settings: settings})
	if err := f.Check(entries); err != nil {
		return &InvalidError{Reason: err}
	}
	return nil
}

// entry returns the one of that name, nil for none.
func entry(entries []catalog.Entry, kind catalog.Kind, name string) *catalog.Entry {
	for i := range entries {
		if entries[i].Kind == kind && entries[i].Name == name {
			return &entries[i]
		}
	}
	return nil
}

// uncreate leaves nothing of a tenant that is not to be. One whose database is there
// under its name may have been used: it is dropped, and can be brought back.
func (f *Fleet) uncreate(ctx context.Context, r *jobs.Run) error {
	var p creation
	if err := r.Decode(&p); err != nil {
		return err
	}
	err := f.putAway(ctx, r, &p)
	if !errors.Is(err, provision.ErrNotFound) {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: p.operation(r.Tenant, r.ID)}
	_, err = f.change(ctx, c, provision.Undo) // it was not there yet
	var refused *jobs.RefusedError
	if errors.As(err, &refused) && errors.Is(err, provision.ErrInvalid) {
		return nil // nothing was begun
	}
	return err
}

// putAway drops a tenant that was made, but is not to be. It is ErrNotFound of package
// provision where there is none.
func (f *Fleet) putAway(ctx context.Context, r *jobs.Run, p *creation) error {
	c := &changing{run: r, cluster: p.Cluster, op: provision.Drop{ID: p.ID, JobID: r.ID}}
	release, err := f.change(ctx, c, provision.Plan)
	defer release()
	if err != nil {
		return err
	}
	oid, err := f.heldOID(ctx, p.Cluster, r.ID)
	if err != nil {
		return err
	}
	return r.Change(ctx, func(tx *catalog.Tx) error {
		purge := time.Now().Add(KeepFor)
		if err := tx.EndHold(r.ID); err != nil {
			return err
		}
		if e, err := tx.Entry(catalog.Tenant, r.Tenant); err == nil && e.ID == p.ID {
			return tx.Drop(e, r.ID, oid, purge)
		} else if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		if _, err := tx.DroppedBy(r.ID); !errors.Is(err, catalog.ErrNotFound) {
			return err // nil: it is done
		}
		return tx.AddDropped(&catalog.Dropped{
			Operation: r.ID, ID: p.ID, Name: r.Tenant, Settings: p.Settings, User: p.UserSettings, OID: oid, Purge: purge,
		})
	})
}
