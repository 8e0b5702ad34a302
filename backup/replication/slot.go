package replication

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrSlotInUse is of a slot from which somebody else receives: another node, for one.
var ErrSlotInUse = errors.New("replication: the slot is in use")

// Slot is a physical replication slot.
type Slot struct {
	Restart  LSN    // the oldest WAL that the server keeps for it; 0: none yet
	Timeline uint32 // of Restart, 0 for none
}

// Slot reads a slot; nil is that there is none of that name.
func (c *Conn) Slot(ctx context.Context, name string) (*Slot, error) {
	row, err := c.row(ctx, "READ_REPLICATION_SLOT "+quote(name), 3)
	if err != nil {
		return nil, err
	}
	if row[0] == "" {
		return nil, nil
	}
	if row[0] != "physical" {
		return nil, fmt.Errorf("replication slot %q is a %s one, not physical", name, row[0])
	}
	s := &Slot{}
	if row[1] != "" {
		if s.Restart, err = ParseLSN(row[1]); err != nil {
			return nil, err
		}
	}
	if row[2] != "" {
		if s.Timeline, err = timeline(row[2]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// CreateSlot makes a slot for which the server keeps WAL from now on: it is where the
// server begins to, not the first time that somebody receives.
func (c *Conn) CreateSlot(ctx context.Context, name string) error {
	_, err := c.row(ctx, "CREATE_REPLICATION_SLOT "+quote(name)+" PHYSICAL (RESERVE_WAL)", 1)
	return err
}

// inUse makes ErrSlotInUse of what the server says of it.
func inUse(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "55006" {
		return fmt.Errorf("%w: %s", ErrSlotInUse, pg.Message)
	}
	return err
}

// DropSlot removes a slot. It is for one that the server has given up, which is of no use
// any more.
func (c *Conn) DropSlot(ctx context.Context, name string) error {
	if _, err := c.pg.Exec(ctx, "DROP_REPLICATION_SLOT "+quote(name)).ReadAll(); err != nil {
		return fmt.Errorf("DROP_REPLICATION_SLOT: %w", inUse(err))
	}
	return nil
}
