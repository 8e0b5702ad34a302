package provision

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Found is a database of a cluster, as far as it matters to who compares the cluster with
// the registry.
type Found struct {
	Name  string
	Owner string
	ID    string // of the tenant whose mark it bears; "" = none
	Live  bool   // it is that tenant's own, open or suspended
	Fresh bool   // as CREATE DATABASE leaves it: open, and without a mark or a right of anybody's
}

const surveyQuery = `SELECT datname::text, pg_get_userbyid(datdba)::text, coalesce(shobj_description(oid, 'pg_database'), ''),
	datallowconn AND datconnlimit <> -2 AND datacl IS NULL
FROM pg_database WHERE NOT datistemplate ORDER BY oid`

// Survey returns all databases of a cluster but templates. conn is as for Observe.
func Survey(ctx context.Context, conn *pgx.Conn) (found []Found, err error) {
	err = inTransaction(ctx, conn, func(tx pgx.Tx) error {
		if err := new(State).readServer(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, surveyQuery)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Found, err error) {
			var comment string
			err = row.Scan(&f.Name, &f.Owner, &comment, &f.Fresh)
			m := parseMark(comment)
			f.ID, f.Live, f.Fresh = m.id, m.of(m.id), f.Fresh && comment == ""
			return f, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look at the cluster's databases: %w", err)
	}
	return found, nil
}
