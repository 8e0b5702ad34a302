package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// NeedReview has nothing be done by this catalog until an operator has looked: it has
// been put back to an earlier time, and what it says of databases and operations may
// long be otherwise.
func (c *Catalog) NeedReview(ctx context.Context, why string) error {
	err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error { // both: what stayed queued would be run when the review ends
		_, err := tx.Exec(ctx, "update howdah.catalog set review = coalesce(review, $1), stamp = gen_random_uuid()", why)
		if err == nil {
			_, err = tx.Exec(ctx, "update howdah.operation set state = 'attention', error = 'restored, please review', lease_until = null where state in ('queued', 'running')")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("mark the catalog as to be reviewed: %w", err)
	}
	return nil
}

// EndReview is an operator's word that the catalog may be gone by again.
func (c *Catalog) EndReview(ctx context.Context, by Actor) error {
	err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		t := &Tx{tx: tx, ctx: ctx, actor: by, changed: true}
		if err := tx.QueryRow(ctx, "update howdah.catalog set review = null returning revision + 1").Scan(&t.revision); err != nil {
			return err
		}
		if err := t.Audit(endReview, "catalog", "catalog", nil); err != nil {
			return err
		}
		return t.finish()
	})
	if err != nil {
		return fmt.Errorf("end the catalog's review: %w", err)
	}
	return nil
}
