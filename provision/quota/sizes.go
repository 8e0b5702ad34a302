package quota

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"howdah/tenants"
)

// Sizes asks a cluster how large databases are, in bytes. One that is not there is not
// in the answer.
func Sizes(ctx context.Context, cluster *tenants.Cluster, databases []string) (map[string]int64, error) {
	conn, err := pgx.Connect(ctx, cluster.AdminURL)
	if err != nil {
		return nil, fmt.Errorf("measure databases of cluster %q: %w", cluster.Name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `SELECT datname::text, pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database WHERE datname = ANY($1::text[])`, databases)
	if err != nil {
		return nil, fmt.Errorf("measure databases of cluster %q: %w", cluster.Name, err)
	}
	sizes := map[string]int64{}
	var name string
	var size *int64 // NULL where it was dropped meanwhile
	_, err = pgx.ForEachRow(rows, []any{&name, &size}, func() error {
		if size != nil {
			sizes[name] = *size
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("measure databases of cluster %q: %w", cluster.Name, err)
	}
	return sizes, nil
}
