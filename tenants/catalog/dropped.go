package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
)

// Dropped is a tenant that was dropped and whose database is kept.
type Dropped struct {
	Operation string    `json:"operation"` // that has dropped it
	ID        string    `json:"id"`        // of the tenant
	Name      string    `json:"name"`
	Settings  Settings  `json:"settings"`
	User      Settings  `json:"-"`                  // of its user's entry
	UserID    string    `json:"-"`                  // of that entry, which another tenant may have kept; "" = it is not known
	OID       uint32    `json:"oid" format:"int64"` // of the database
	At        time.Time `json:"dropped"`
	Purge     time.Time `json:"purge"` // when it will be gone for good
}

const droppedColumns = "operation::text, id::text, name, settings, user_settings, coalesce(user_id::text, ''), oid, dropped_at, purge_at"

func scanDropped(row pgx.CollectableRow) (d Dropped, err error) {
	err = row.Scan(&d.Operation, &d.ID, &d.Name, &d.Settings, &d.User, &d.UserID, &d.OID, &d.At, &d.Purge)
	return d, err
}

// Drop moves a tenant's entry, with its user's where no other tenant has that, to those
// that were dropped. operation has put its database away, which has that OID.
func (t *Tx) Drop(e *Entry, operation string, oid uint32, purge time.Time) error {
	user := e.Settings.Text("user")
	own, id := Settings{}, ""
	u, err := t.Entry(User, user)
	if err == nil {
		own, id = u.Settings, u.ID
	} else if !errors.Is(err, ErrNotFound) { // one of howdah.toml, or whom the cluster knows
		return err
	}
	err = t.AddDropped(&Dropped{Operation: operation, ID: e.ID, Name: e.Name, Settings: e.Settings, User: own, UserID: id, OID: oid, Purge: purge})
	if err != nil {
		return err
	}
	last, err := t.forget(e)
	if err != nil || !last || u == nil {
		return err
	}
	return t.Delete(User, user, AnyRevision)
}

// forget removes a tenant's entry, and reports whether its user has no other tenant.
func (t *Tx) forget(e *Entry) (last bool, err error) {
	if err := t.Delete(Tenant, e.Name, AnyRevision); err != nil {
		return false, err
	}
	// A token that is bound to the name must not be one for the next tenant of that name.
	if _, err := t.tx.Exec(t.ctx, "delete from howdah.token where tenant = $1", e.Name); err != nil {
		return false, fmt.Errorf("end the tokens of tenant %q: %w", e.Name, err)
	}
	err = t.tx.QueryRow(t.ctx, "select count(*) = 0 from howdah.entry where kind = 'tenant' and settings ->> 'user' = $1", e.Settings.Text("user")).Scan(&last)
	return last, err
}

// Strike removes the entry of a tenant whose user has dropped the database. The user
// stays: it may make another, and comes to the cluster's database postgres for that.
func (t *Tx) Strike(e *Entry) error {
	last, err := t.forget(e)
	if err != nil || !last {
		return err
	}
	u, err := t.Entry(User, e.Settings.Text("user"))
	if errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	s := maps.Clone(u.Settings)
	s["cluster"] = e.Settings.Text("cluster")
	if tier := e.Settings.Text("tier"); tier != "" {
		s["tier"] = tier
	}
	return t.Update(User, u.Name, AnyRevision, s)
}

// AddDropped is Drop for a tenant that has no entry.
func (t *Tx) AddDropped(d *Dropped) error {
	_, err := t.tx.Exec(t.ctx, "insert into howdah.dropped (operation, id, name, settings, user_settings, oid, purge_at, user_id) values ($1, $2, $3, $4, $5, $6, $7, nullif($8, '')::uuid)",
		d.Operation, d.ID, d.Name, d.Settings, d.User, d.OID, d.Purge, d.UserID)
	if err != nil {
		return fmt.Errorf("drop tenant %q: %w", d.Name, err)
	}
	return nil
}

// Dropped returns the tenant of that name that was dropped last, or ErrNotFound.
func (t *Tx) Dropped(name string) (*Dropped, error) {
	return oneDropped(t.ctx, t.tx, "name = $1 order by dropped_at desc limit 1", name)
}

// DroppedBy returns the tenant that an operation has dropped, or ErrNotFound.
func (t *Tx) DroppedBy(operation string) (*Dropped, error) {
	return oneDropped(t.ctx, t.tx, "operation::text = $1", operation)
}

// DroppedTenant returns the tenant that an operation has dropped, or ErrNotFound.
func (c *Catalog) DroppedTenant(ctx context.Context, operation string) (*Dropped, error) {
	return oneDropped(ctx, c.pool, "operation::text = $1", operation)
}

// DroppedWithUser returns the tenant on a cluster that was dropped, and whose user that was,
// of several the one that is kept for longest; or ErrNotFound.
func (c *Catalog) DroppedWithUser(ctx context.Context, cluster, user string) (*Dropped, error) {
	return oneDropped(ctx, c.pool, "settings ->> 'user' = $1 and settings ->> 'cluster' = $2 order by purge_at desc limit 1", user, cluster)
}

func oneDropped(ctx context.Context, q querier, where string, args ...any) (*Dropped, error) {
	rows, err := q.Query(ctx, "select "+droppedColumns+" from howdah.dropped where "+where, args...)
	if err != nil {
		return nil, err
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDropped)
	if err != nil {
		return nil, fmt.Errorf("dropped tenant %q: %w", args[0], found(err))
	}
	return &d, nil
}

// DroppedTenants returns those that were dropped, the last one first.
func (c *Catalog) DroppedTenants(ctx context.Context) ([]Dropped, error) {
	return allDropped(ctx, c.pool)
}

// DroppedTenants is the catalog's, as they are in this change.
func (t *Tx) DroppedTenants() ([]Dropped, error) { return allDropped(t.ctx, t.tx) }

// UpdateDropped changes what is kept of a dropped tenant's user.
func (t *Tx) UpdateDropped(operation string, user Settings) error {
	return t.Exec("update howdah.dropped set user_settings = $2 where operation = $1", operation, user)
}

func allDropped(ctx context.Context, q querier) ([]Dropped, error) {
	rows, err := q.Query(ctx, "select "+droppedColumns+" from howdah.dropped order by dropped_at desc")
	if err != nil {
		return nil, fmt.Errorf("list dropped tenants: %w", err)
	}
	return pgx.CollectRows(rows, scanDropped)
}

// ForgetDropped ends what is known of a tenant that was dropped: it is back, or gone.
func (t *Tx) ForgetDropped(operation string) error {
	_, err := t.tx.Exec(t.ctx, "delete from howdah.dropped where operation = $1", operation)
	return err
}
