package router

import (
	"context"
	"fmt"
	"strings"

	"howdah/pool"
	"howdah/tenants"
	"howdah/wire"
)

// A tenant of the catalog is looked for by its database's name, and a name changes hands:
// by a rename, by a drop and another creation, at a standby that has not heard of it, on a
// node that was cut off or stood still meanwhile. Whose a database is stands in its comment,
// where package provision writes it. A server is used only where no other tenant's
// identity stands there. Once open it stays with the database, whatever that is called.

// ownerText asks for the comment, whatever the tenant's search_path. 1262 is pg_database's
// own OID.
const ownerText = `select s.description from pg_catalog.pg_database d join pg_catalog.pg_shdescription s
	on s.objoid operator(pg_catalog.=) d.oid and s.classoid operator(pg_catalog.=) 1262
	where d.datname operator(pg_catalog.=) pg_catalog.current_database()`

// ownerPrefix is in front of the identity.
const ownerPrefix = "howdah:"

// identify notes whose the route's databases are.
func (r *route) identify(t *tenants.Tenant) {
	id := t.ID
	if t.Database == tenants.Shared {
		id = ""
	}
	r.identity.Store(&id)
}

// checkOwner reports a server in a database that is another tenant's. The registry will
// say where the route's is.
func (r *route) checkOwner(ctx context.Context, e *wire.Established) error {
	id := *r.identity.Load()
	if id == "" {
		return nil
	}
	rows, err := e.Ask(ctx, ownerText)
	if err != nil || len(rows) != 1 || rows[0][0] == nil {
		return err
	}
	rest, ok := strings.CutPrefix(*rows[0][0], ownerPrefix)
	if owner := strings.Fields(rest); ok && len(owner) > 0 && owner[0] != id {
		return &pool.PassingError{Reason: fmt.Errorf("database %q is tenant %s's now, not %s's", r.databaseKey().database, owner[0], id)}
	}
	return nil
}
