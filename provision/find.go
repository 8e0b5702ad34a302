package provision

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Find returns the OID and the name of a tenant's own database, open or suspended, on the
// server of conn; ErrNotFound is none. As everywhere it goes by marks, and by whose role
// owns it, not by names.
func Find(ctx context.Context, conn *pgx.Conn, id string) (oid uint32, name string, err error) {
	op := Suspend{ID: id}
	s, err := Observe(ctx, conn, op)
	if err != nil {
		return 0, "", err
	}
	if err := s.unmistakable(op.interest().ids); err != nil {
		return 0, "", err
	}
	d := s.live(id)
	if d == nil {
		return 0, "", notFound("tenant %s has no database", id)
	}
	return d.OID, d.Name, nil
}
