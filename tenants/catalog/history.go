package catalog

import (
	"context"
	"fmt"
	"time"
)

// A catalog that is put back to an earlier time, under nodes that run, must not have them
// do what it says: its jobs have long been done, or were taken back. Its revision tells,
// but not of what raises none, such as an operation that was cancelled. So each node
// remembers a line of the audit log, by its hash: a catalog that has not got it is another
// than the node has known, and the node takes no operation from it and changes nothing,
// from the first moment on. An operator's end of the review makes it right for all nodes
// that had seen something else before.

// Point is how far somebody knows a catalog's history: a line of its audit log. The zero
// Point is in every history.
type Point struct {
	Seq  int64     `json:"seq"`
	Hash []byte    `json:"hash,omitempty"`
	At   time.Time `json:"at"`
}

// arguments are those of inHistory.
func (p Point) arguments() []any { return []any{p.Seq, p.Hash, p.At} }

// inHistory is a condition: the catalog's history has a point, whose arguments are
// parameters from first on, or an operator has said later that it may be gone by.
func inHistory(first int) string {
	return fmt.Sprintf(`($%[1]d::bigint = 0 or exists (select from howdah.audit where seq = $%[1]d and hash = $%[2]d::bytea)
		or exists (select from howdah.audit where at > $%[3]d::timestamptz and record ->> 'action' = '%[4]s'))`, first, first+1, first+2, endReview)
}

// endReview is the audit log's word for it.
const endReview = "end review"

// headQuery reads the newest point.
const headQuery = "select coalesce(max(seq), 0), coalesce((select hash from howdah.audit order by seq desc limit 1), ''), coalesce(max(at), 'epoch') from (select seq, at from howdah.audit order by seq desc limit 1) newest"

// Know has nothing be done by a catalog whose history has not got a point: ErrReview.
func (c *Catalog) Know(p Point) { c.known.Store(&p) }

// Known returns what Know was told, and what has come since.
func (c *Catalog) Known() Point {
	if p := c.known.Load(); p != nil {
		return *p
	}
	return Point{}
}

// advance has what is known be further on, where anything is.
func (c *Catalog) advance(to Point) {
	for {
		p := c.known.Load()
		if p == nil || to.Seq <= p.Seq || c.known.CompareAndSwap(p, &to) {
			return
		}
	}
}

// Holds reports whether the catalog's history has a point.
func (c *Catalog) Holds(ctx context.Context, p Point) (held bool, err error) {
	if err := c.pool.QueryRow(ctx, "select "+inHistory(1), p.arguments()...).Scan(&held); err != nil {
		return false, fmt.Errorf("look into the catalog's history: %w", err)
	}
	return held, nil
}

// Ready is ErrReview if nothing is to be done by the catalog.
func (c *Catalog) Ready(ctx context.Context) error {
	var review *string
	var held bool
	if err := c.pool.QueryRow(ctx, "select review, "+inHistory(1)+" from howdah.catalog", c.Known().arguments()...).Scan(&review, &held); err != nil {
		return fmt.Errorf("look whether the catalog is to be reviewed: %w", err)
	}
	return toReview(review, held)
}

// toReview is an error if a review is needed, or the catalog is another than it was.
func toReview(review *string, held bool) error {
	switch {
	case review != nil:
		return fmt.Errorf("%w: %s", ErrReview, *review)
	case !held:
		return fmt.Errorf("%w: it is not what this node has known: it has been restored to an earlier time", ErrReview)
	}
	return nil
}
