package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"howdah/tenants/catalog"
)

// TakenError is of a name that a tenant cannot get, since something else on the cluster has
// it. It is catalog.ErrExists.
type TakenError struct{ Reason string }

func (e *TakenError) Error() string { return e.Reason }

// Is makes it catalog.ErrExists.
func (e *TakenError) Is(target error) bool { return target == catalog.ErrExists }

func taken(format string, args ...any) error { return &TakenError{fmt.Sprintf(format, args...)} }

// claim is what a tenant is to have on a cluster that it has not yet.
type claim struct {
	tenant, id string // id is "" for one that is new
	cluster    string
	database   string // "" = none is new
	user       string // "" = none is new
}

// free is a TakenError for a claim on what something else has: another tenant, one that was
// dropped and is kept, or what the cluster alone knows. A cluster that does not answer soon
// is not waited for: the operation finds out. Who asks a second time for the same is told of
// the operation, and not of what that has made so far.
func (f *Fleet) free(ctx context.Context, c claim) error {
	err := f.freeHere(ctx, &c)
	if err == nil {
		err = f.freeThere(ctx, &c)
	}
	if errors.Is(err, catalog.ErrExists) {
		busy := f.Catalog.Change(ctx, itself, func(tx *catalog.Tx) error { return tx.Free(c.tenant) })
		if busy != nil {
			return busy
		}
	}
	return err
}

// freeHere goes by what the registry and the catalog know.
func (f *Fleet) freeHere(ctx context.Context, c *claim) error {
	for t := range f.Registry.Snapshot().Tenants() {
		if c.database != "" && t.Cluster == c.cluster && t.Database == c.database && t.Name != c.tenant {
			return taken("database %q on cluster %q is tenant %q's: give another name", c.database, c.cluster, t.Name)
		}
	}
	if c.user == "" {
		return nil
	}
	d, err := f.Catalog.DroppedWithUser(ctx, c.cluster, c.user)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	return taken("user %q on cluster %q is kept for the dropped tenant %q until %s: purge or undrop that one, or give another name for the user",
		c.user, c.cluster, d.Name, d.Purge.UTC().Format(time.RFC3339))
}

const claimed = `select 'database', datname::text, coalesce(pg_catalog.shobj_description(oid, 'pg_database'), '')
		from pg_catalog.pg_database where datname = $1
	union all select 'role', rolname::text, coalesce(pg_catalog.shobj_description(oid, 'pg_authid'), '')
		from pg_catalog.pg_roles where rolname = $2`

// freeThere goes by what is on the cluster.
func (f *Fleet) freeThere(ctx context.Context, c *claim) error {
	looking, done := context.WithTimeout(ctx, reachWithin)
	defer done()
	conn, back, err := f.borrow(looking, c.cluster)
	if err != nil {
		return nil //nolint:nilerr // so does the operation find out
	}
	defer back(nil) // one that an error came of is broken, and known to be
	rows, err := conn.Query(looking, claimed, c.database, c.user)
	if err != nil {
		return nil //nolint:nilerr // so does the operation find out
	}
	defer rows.Close()
	for rows.Next() {
		var what, name, comment string
		if err := rows.Scan(&what, &name, &comment); err != nil {
			return err
		}
		if err := f.takenBy(c, fmt.Sprintf("%s %q", what, name), comment); err != nil {
			return err
		}
	}
	return nil
}

// takenBy says whose it is that a cluster has, by its comment: nil if the claim's own.
func (f *Fleet) takenBy(c *claim, what, comment string) error {
	mark, marked := strings.CutPrefix(comment, "howdah:")
	id, _, _ := strings.Cut(mark, " ")
	switch {
	case !marked:
		return taken("%s is on cluster %q, though no tenant's: give another name, or drop it there if nobody needs it", what, c.cluster)
	case id == c.id:
		return nil
	}
	for t := range f.Registry.Snapshot().Tenants() {
		if t.ID == id {
			return taken("%s on cluster %q is tenant %q's: give another name", what, c.cluster, t.Name)
		}
	}
	return taken("%s on cluster %q is marked as that of tenant %s, which is not in the catalog, or not yet: give another name, or drop it there if nobody needs it", what, c.cluster, id)
}
