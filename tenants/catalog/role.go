package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Role is what a tenant's role has set in the tenant's database, as far as Howdah has
// done it.
type Role struct {
	Wanted map[string]string
	Given  map[string][]string // values that may be there: others are somebody else's
	Done   bool                // all is as it was wanted
}

// Roles returns what is known of tenants' roles, by the tenants' UUIDs.
func (c *Catalog) Roles(ctx context.Context) (map[string]Role, error) {
	rows, err := c.pool.Query(ctx, "select tenant::text, wanted, given, done from howdah.role")
	if err != nil {
		return nil, fmt.Errorf("list the settings of roles: %w", err)
	}
	all := map[string]Role{}
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (none struct{}, err error) {
		var id string
		var r Role
		err = row.Scan(&id, &r.Wanted, &r.Given, &r.Done)
		all[id] = r
		return none, err
	})
	return all, err
}

// WantRole notes what a tenant's role is about to get. What it may have had before stays
// noted until RoleDone.
func (t *Tx) WantRole(tenant string, r Role) error {
	_, err := t.tx.Exec(t.ctx, `insert into howdah.role (tenant, wanted, given, done) values ($1, $2, $3, false)
		on conflict (tenant) do update set wanted = excluded.wanted, given = excluded.given, done = false`, tenant, r.Wanted, r.Given)
	if err != nil {
		return fmt.Errorf("note what the role of tenant %s is to get: %w", tenant, err)
	}
	return nil
}

const roleDone = `with one as (update howdah.role set given = $3, done = true, turn = nextval('howdah.role_turn') where tenant = $1 and wanted = $2 returning 1)
	select pg_notify('` + channel + `', '') from one`

// RoleDone notes that a tenant's role has got what was wanted, unless something else is
// wanted by now, and has all nodes know (see Follower).
func (t *Tx) RoleDone(tenant string, r Role) error {
	if _, err := t.tx.Exec(t.ctx, roleDone, tenant, r.Wanted, r.Given); err != nil {
		return fmt.Errorf("note what the role of tenant %s has got: %w", tenant, err)
	}
	return nil
}

// ForgetRoles forgets those of tenants that are gone for good.
func (c *Catalog) ForgetRoles(ctx context.Context) error {
	_, err := c.pool.Exec(ctx, `delete from howdah.role r where not exists (select from howdah.entry e where e.id = r.tenant)
		and not exists (select from howdah.dropped d where d.id = r.tenant)`)
	if err != nil {
		return fmt.Errorf("forget the settings of roles: %w", err)
	}
	return nil
}
