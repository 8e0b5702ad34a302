package catalog

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Lineage is a record of which database a tenant has that is to be stored beside the backups
// of a cluster. What is in it is the caller's business.
type Lineage struct {
	Seq     int64
	Cluster string
	Record  json.RawMessage
}

// KeepLineage keeps a record until it can be stored.
func (c *Catalog) KeepLineage(ctx context.Context, cluster string, record any) error {
	text, err := json.Marshal(record)
	if err == nil {
		_, err = c.pool.Exec(ctx, "insert into howdah.lineage (cluster, record) values ($1, $2)", cluster, text)
	}
	if err != nil {
		return fmt.Errorf("keep a record of a tenant's database: %w", err)
	}
	return nil
}

// KeptLineage returns what is to be stored of a cluster, or of all (""), in order.
func (c *Catalog) KeptLineage(ctx context.Context, cluster string) ([]Lineage, error) {
	rows, err := c.pool.Query(ctx, "select seq, cluster, record from howdah.lineage where cluster = $1 or $1 = '' order by seq limit 1000", cluster)
	if err != nil {
		return nil, fmt.Errorf("list records of tenants' databases: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Lineage])
}

// ForgetLineage is for what is stored by now, or never can be.
func (c *Catalog) ForgetLineage(ctx context.Context, seq int64) error {
	_, err := c.pool.Exec(ctx, "delete from howdah.lineage where seq = $1", seq)
	return err
}
