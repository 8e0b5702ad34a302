package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"howdah/provision"
	"howdah/tenants/catalog"
)

// CreateToken makes a token for the HTTP API and returns its text, which nobody is told
// again.
func (f *Fleet) CreateToken(ctx context.Context, by catalog.Actor, t catalog.Token) (made *catalog.Token, text string, err error) {
	if err := provision.ValidName(t.Name); err != nil {
		return nil, "", &InvalidError{Field: "name", Reason: err}
	}
	switch {
	case !slices.Contains([]string{"viewer", "operator", "admin", "tenant"}, t.Role):
		return nil, "", invalid("role", "%q is no role: write viewer, operator, admin or tenant", t.Role)
	case (t.Role == "tenant") != (t.Tenant != ""):
		return nil, "", invalid("tenant", "a token of role tenant names its tenant, and no other does")
	case t.Expires != nil && t.Expires.Before(time.Now()):
		return nil, "", invalid("expires", "the token would have expired already")
	}
	text = catalog.NewTokenText()
	err = f.Catalog.Change(ctx, by, func(tx *catalog.Tx) (err error) {
		if err := f.knownTenant(tx, t.Tenant); err != nil {
			return err
		}
		made, err = tx.AddToken(t, text)
		return err
	})
	return made, text, err
}

// RotateToken gives a token another text, which nobody is told again. The one before goes on
// for overlap; 0 ends it.
func (f *Fleet) RotateToken(ctx context.Context, by catalog.Actor, name string, overlap time.Duration) (made *catalog.Token, text string, err error) {
	if overlap < 0 || overlap > maxOverlap {
		return nil, "", invalid("overlap", "%v is no time for which the old token may go on: 0 to %v", overlap, maxOverlap)
	}
	text = catalog.NewTokenText()
	err = f.Catalog.Change(ctx, by, func(tx *catalog.Tx) (err error) {
		if made, err = tx.RotateToken(name, text, overlap); err == nil && made.Expires != nil && made.Expires.Before(time.Now()) {
			err = invalid("", "token %q has expired: remove it, and make another", name)
		}
		return err
	})
	return made, text, err
}

// knownTenant is an error for a name that no tenant has: who had a token for it could see
// whoever gets the name later.
func (f *Fleet) knownTenant(tx *catalog.Tx, name string) error {
	if name == "" || f.inRegistry(name) {
		return nil
	}
	_, err := tx.Entry(catalog.Tenant, name)
	if errors.Is(err, catalog.ErrNotFound) {
		return &InvalidError{Field: "tenant", Reason: err}
	}
	return err
}

// DeleteToken ends a token.
func (f *Fleet) DeleteToken(ctx context.Context, by catalog.Actor, name string) error {
	return f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error { return tx.DeleteToken(name) })
}
