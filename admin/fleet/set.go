package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"howdah/provision"
	"howdah/tenants/catalog"
)

// fixed are what a tenant is, which other operations change.
var fixed = map[string]string{
	"cluster": "move it", "database": "rename it", "user": "rename it", "state": "suspend or resume it", "name": "rename it",
	"loops": "only howdah.toml can say it",
}

// SetTenant changes settings of a tenant: null takes one away, so that its tier's is in
// force. expect is the revision that the entry must be of.
func (f *Fleet) SetTenant(ctx context.Context, by catalog.Actor, name string, expect int64, patch map[string]any) (*catalog.Entry, error) {
	for key := range patch {
		if instead, ok := fixed[key]; ok {
			return nil, invalid("settings", "%q is not changed here: %s", key, instead)
		}
	}
	var changed *catalog.Entry
	err := f.checked(ctx, by, func(tx *catalog.Tx) error {
		e, err := f.tenant(tx, name)
		if err != nil {
			return err
		}
		if err := tx.Update(catalog.Tenant, name, expect, patched(e.Settings, patch)); err != nil {
			return err
		}
		changed, err = tx.Entry(catalog.Tenant, name)
		return err
	})
	return changed, err
}

// patched is RFC 7396's merge patch of settings, which have no depth.
func patched(s catalog.Settings, patch map[string]any) catalog.Settings {
	s = maps.Clone(s)
	for key, value := range patch {
		if value == nil {
			delete(s, key)
		} else {
			s[key] = value
		}
	}
	return s
}

// PutEntry makes a cluster or a tier, or gives it other settings. expect is the revision
// that it must be of, 0 for one that must not be there.
func (f *Fleet) PutEntry(ctx context.Context, by catalog.Actor, kind catalog.Kind, name string, expect int64, settings catalog.Settings) (*catalog.Entry, error) {
	if err := provision.ValidName(name); err != nil {
		return nil, &InvalidError{Field: "name", Reason: err}
	}
	if _, ok := settings["name"]; ok {
		return nil, invalid("settings", `"name" is not a setting that is given here`)
	}
	var put *catalog.Entry
	err := f.checked(ctx, by, func(tx *catalog.Tx) error {
		_, err := f.entry(tx, kind, name)
		switch {
		case errors.Is(err, catalog.ErrNotFound) && expect > 0:
			return err
		case errors.Is(err, catalog.ErrNotFound):
			err = tx.Create(kind, name, "", settings)
		case err == nil && expect == 0:
			err = fmt.Errorf("%s %q: %w", kind, name, catalog.ErrExists)
		case err == nil:
			err = tx.Update(kind, name, expect, settings)
		}
		if err != nil {
			return err
		}
		put, err = tx.Entry(kind, name)
		return err
	})
	return put, err
}

// SetEntry changes settings of a cluster or a tier: null takes one away.
func (f *Fleet) SetEntry(ctx context.Context, by catalog.Actor, kind catalog.Kind, name string, expect int64, patch catalog.Settings) (*catalog.Entry, error) {
	if _, ok := patch["name"]; ok {
		return nil, invalid("settings", `"name" is not a setting that is given here`)
	}
	var changed *catalog.Entry
	err := f.checked(ctx, by, func(tx *catalog.Tx) error {
		e, err := f.entry(tx, kind, name)
		if err != nil {
			return err
		}
		if err := tx.Update(kind, name, expect, patched(e.Settings, patch)); err != nil {
			return err
		}
		changed, err = tx.Entry(kind, name)
		return err
	})
	return changed, err
}

// entry returns the catalog's cluster or tier of that name. One of the file is ErrFile.
func (f *Fleet) entry(tx *catalog.Tx, kind catalog.Kind, name string) (*catalog.Entry, error) {
	e, err := tx.Entry(kind, name)
	if errors.Is(err, catalog.ErrNotFound) && f.hasEntry(kind, name) {
		return nil, fmt.Errorf("%s %q: %w", kind, name, ErrFile)
	}
	return e, err
}

// DeleteEntry removes a cluster or a tier that no tenant refers to.
func (f *Fleet) DeleteEntry(ctx context.Context, by catalog.Actor, kind catalog.Kind, name string, expect int64) error {
	return f.checked(ctx, by, func(tx *catalog.Tx) error {
		if _, err := f.entry(tx, kind, name); err != nil {
			return err
		}
		if kind == catalog.Cluster {
			if err := keepsNothing(tx, name); err != nil {
				return err
			}
		}
		return tx.Delete(kind, name, expect)
	})
}

// keepsNothing is an error where databases of dropped or moved tenants are kept on a
// cluster: without it nobody could bring them back, or purge them.
func keepsNothing(tx *catalog.Tx, cluster string) error {
	var count int
	var name string
	err := tx.QueryRow("select count(*), coalesce(min(name), '') from howdah.dropped where settings ->> 'cluster' = $1", cluster).Scan(&count, &name)
	if err == nil && count > 0 {
		err = invalid("", "databases of %d dropped or moved tenants are kept on cluster %q, such as %q: purge them first", count, cluster, name)
	}
	return err
}

func (f *Fleet) hasEntry(kind catalog.Kind, name string) bool {
	s := f.Registry.Snapshot()
	if kind == catalog.Cluster {
		_, ok := s.Cluster(name)
		return ok
	}
	_, ok := s.Tier(name)
	return ok
}

// CancelOperation has an operation undone, as far as it can be.
func (f *Fleet) CancelOperation(ctx context.Context, by catalog.Actor, id string) error {
	return f.steer(ctx, by, id, (*catalog.Tx).WantCancel)
}

// ResumeOperation has an operation go on that waits for an operator.
func (f *Fleet) ResumeOperation(ctx context.Context, by catalog.Actor, id string) error {
	return f.steer(ctx, by, id, (*catalog.Tx).Resume)
}

func (f *Fleet) steer(ctx context.Context, by catalog.Actor, id string, change func(*catalog.Tx, string) error) error {
	return f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		if err := change(tx, id); err != nil {
			return err
		}
		return f.runner.Wake(ctx, tx, id)
	})
}
