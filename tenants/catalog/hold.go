package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Hold says that an operation has clients of tenants wait, on every node.
type Hold struct {
	Operation string
	Epoch     int64    // another one each time that the operation begins to hold
	Tenants   []string // names, of which there need not be tenants
	Lasts     time.Duration
	// Ending says that the operation has done what it holds for: sessions that listen do
	// so again, on all nodes, and then clients go on.
	Ending bool
}

// A hold that is over is as good as none, and is swept away with the next one.
const beginHold = `with swept as (delete from howdah.hold where until < now() and operation <> $1)
	insert into howdah.hold (operation, tenants, until) values ($1, $2, now() + $3)
	on conflict (operation) do update set epoch = default, tenants = excluded.tenants, until = excluded.until, ending = false
	returning epoch, pg_notify('` + channel + `', '')::text`

// Hold has all nodes hold tenants for an operation. It ends with EndHold or ReleaseHold, or
// after so long if nobody has made it last longer.
func (c *Catalog) Hold(ctx context.Context, operation string, tenants []string, lasts time.Duration) (*Hold, error) {
	h := &Hold{Operation: operation, Tenants: tenants, Lasts: lasts}
	if err := c.pool.QueryRow(ctx, beginHold, operation, tenants, lasts).Scan(&h.Epoch, nil); err != nil {
		return nil, fmt.Errorf("hold tenants %q: %w", tenants, err)
	}
	return h, nil
}

// KeepHold makes a hold last so long from now on. ErrChanged says that it is over.
func (c *Catalog) KeepHold(ctx context.Context, h *Hold) error {
	err := c.pool.QueryRow(ctx, "update howdah.hold set until = now() + $3 where operation = $1 and epoch = $2 and not ending and until > now() returning pg_notify('"+channel+"', '')::text",
		h.Operation, h.Epoch, h.Lasts).Scan(nil)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrChanged
	}
	if err != nil {
		return fmt.Errorf("go on holding tenants %q: %w", h.Tenants, err)
	}
	return nil
}

// releaseHold tells the nodes only where there was something to release.
const releaseHold = "with gone as (delete from howdah.hold where operation = $1 and epoch = $2 and not ending returning 1) select pg_notify('" + channel + "', '') from gone"

// ReleaseHold lets clients go at once, unless the hold ends already, or is another's: who
// has taken the operation up since.
func (c *Catalog) ReleaseHold(ctx context.Context, h *Hold) error {
	if _, err := c.pool.Exec(ctx, releaseHold, h.Operation, h.Epoch); err != nil {
		return fmt.Errorf("release tenants %q: %w", h.Tenants, err)
	}
	return nil
}

// endingLasts is for how long nodes may see that a hold ends.
const endingLasts = 5 * time.Second

const endHold = `with ended as (update howdah.hold set ending = true, epoch = default, until = now() + $2 where operation = $1 and not ending returning 1)
	select pg_notify('` + channel + `', '') from ended`

// EndHold has clients go on whom the operation holds, with the change: a node knows what
// has changed before it lets them.
func (t *Tx) EndHold(operation string) error {
	if _, err := t.tx.Exec(t.ctx, endHold, operation, endingLasts); err != nil {
		return fmt.Errorf("let go whom operation %s holds: %w", operation, err)
	}
	return nil
}

// Held notes that nothing of a node is in the database any more that is held, or, where
// the hold is ending, that the node's sessions that listen do so again.
func (c *Catalog) Held(ctx context.Context, h *Hold, node string) error {
	_, err := c.pool.Exec(ctx, `insert into howdah.held select operation, epoch, $3 from howdah.hold where operation = $1 and epoch = $2
		on conflict (operation, node) do update set epoch = excluded.epoch`, h.Operation, h.Epoch, node)
	if err != nil {
		return fmt.Errorf("note that tenants %q are held: %w", h.Tenants, err)
	}
	return nil
}

// Unheld returns the nodes that live and have not said what Held is for.
func (c *Catalog) Unheld(ctx context.Context, h *Hold) ([]string, error) {
	rows, err := c.pool.Query(ctx, `select name from howdah.node n where lease_until > now()
		and not exists (select from howdah.held h where h.operation = $1 and h.epoch = $2 and h.node = n.name) order by name`, h.Operation, h.Epoch)
	if err != nil {
		return nil, fmt.Errorf("look who holds tenants %q: %w", h.Tenants, err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// holds returns the holds that are in force.
func holds(ctx context.Context, q querier) ([]Hold, error) {
	rows, err := q.Query(ctx, "select operation::text, epoch, tenants, until - now(), ending from howdah.hold where until > now()")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (h Hold, err error) {
		err = row.Scan(&h.Operation, &h.Epoch, &h.Tenants, &h.Lasts, &h.Ending)
		return h, err
	})
}
