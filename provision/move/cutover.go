package move

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/provision"
)

// CutOver is the end of a move, on connections that are there before clients are held:
// behind its Run the source lets nobody in.
type CutOver struct {
	move            *Move
	admin, from, to *pgx.Conn // admin: at the source, in another database
	database        uint32    // the source's
}

// Times that a cut-over may take, while clients are held.
const (
	endWithin   = 20 * time.Second // sessions that are cut off: one may be writing a large file
	catchUpFor  = 10 * time.Second
	catchUpPoll = 3 * time.Millisecond
)

// ErrBehind is of a target that does not catch up in time: clients must not wait for
// longer.
var ErrBehind = errors.New("the target has not caught up within " + catchUpFor.String())

// CutOver connects for a cut-over.
func (m *Move) CutOver(ctx context.Context) (c *CutOver, err error) {
	c = &CutOver{move: m}
	if c.admin, err = connect(ctx, m.From, ""); err == nil {
		if c.from, err = connect(ctx, m.From, m.Database); err == nil {
			c.to, err = connect(ctx, m.To, m.filled())
		}
	}
	if err != nil {
		c.Close(ctx)
		return nil, err
	}
	return c, nil
}

// Close closes its connections.
func (c *CutOver) Close(ctx context.Context) {
	for _, conn := range []*pgx.Conn{c.admin, c.from, c.to} {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx)) // it may have been ended
		}
	}
}

// Run closes the source's database, and has the target's be the same. After an error the
// caller opens the source again.
func (c *CutOver) Run(ctx context.Context) error {
	if err := c.shut(ctx); err != nil {
		return err
	}
	if err := c.quiet(ctx); err != nil {
		return err
	}
	if err := c.catchUp(ctx); err != nil {
		return err
	}
	if err := carrySequences(ctx, c.from, c.to); err != nil {
		return err
	}
	if err := carryLarge(ctx, c.from, c.to, c.move.Role); err != nil {
		return err
	}
	if err := compare(ctx, c.from, c.to); err != nil {
		return err
	}
	return c.stopFollowing(ctx)
}

// shut lets nobody into the source's database, superusers neither, and ends who is in
// but the sender of changes.
func (c *CutOver) shut(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, c.admin, func(tx pgx.Tx) error {
		var comment string
		err := tx.QueryRow(ctx, "SELECT oid, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = $1 FOR UPDATE", c.move.Database).
			Scan(&c.database, &comment)
		if err != nil {
			return err
		}
		if comment != "howdah:"+c.move.ID {
			return fmt.Errorf("%w: database %q is not the tenant's any more", provision.ErrChanged, c.move.Database)
		}
		_, err = tx.Exec(ctx, "ALTER DATABASE "+quote(c.move.Database)+" ALLOW_CONNECTIONS false")
		return err
	})
	if err != nil {
		return fmt.Errorf("close the source: %w", err)
	}
	// Who has been let in and is not seen among the sessions yet has the database locked
	// until it is, so that those who come in are looked for first.
	const comingIn = `SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND objid = $1
		AND pid NOT IN (SELECT pid FROM pg_stat_activity WHERE datid IS NOT NULL)`
	const sessions = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datid = $1 AND pid <> $2 AND backend_type <> 'walsender'`
	pause := time.Millisecond
	for end := time.Now().Add(endWithin); ; pause = min(2*pause, 50*time.Millisecond) {
		var coming, left int
		err := c.admin.QueryRow(ctx, comingIn, c.database).Scan(&coming)
		if err == nil {
			err = c.admin.QueryRow(ctx, sessions, c.database, c.from.PgConn().PID()).Scan(&left)
		}
		if left += coming; err != nil || left == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d sessions at the source do not end", left)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// quiet looks whether the source is what was replicated.
func (c *CutOver) quiet(ctx context.Context) error {
	prepared, err := texts(ctx, c.admin, "SELECT gid FROM pg_prepared_xacts WHERE database = $1", c.move.Database)
	if err != nil {
		return fmt.Errorf("look for prepared transactions: %w", err)
	}
	if len(prepared) > 0 {
		return refused("%d prepared transactions are open, %q the first: commit or roll them back", len(prepared), prepared[0])
	}
	return c.move.unchanged(ctx, c.from)
}

// emit commits something that is written out before it is answered, and with it commits
// before it that nobody waited for. A transaction that changes nothing would not be.
const emit = "SELECT pg_logical_emit_message(true, 'howdah', 'moved')"

// catchUp waits until the target has applied all that was committed at the source.
func (c *CutOver) catchUp(ctx context.Context) error {
	if _, err := c.admin.Exec(ctx, emit); err != nil {
		return fmt.Errorf("end the source's changes: %w", err)
	}
	var last string
	if err := c.admin.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&last); err != nil {
		return fmt.Errorf("end the source's changes: %w", err)
	}
	const applied = "SELECT coalesce((SELECT replay_lsn >= $2::text::pg_lsn FROM pg_stat_replication WHERE application_name = $1), false)"
	for end := time.Now().Add(catchUpFor); ; {
		var done bool
		if err := c.admin.QueryRow(ctx, applied, c.move.name(), last).Scan(&done); err != nil || done {
			return err
		}
		if time.Now().After(end) {
			return ErrBehind
		}
		if err := c.hurry(ctx); err != nil {
			return err
		}
		if err := sleep(ctx, catchUpPoll); err != nil {
			return err
		}
	}
}

// hurry has the target say at once how far it is. By itself it does so when the server's
// WAL writer has written what it applied, and then when it next looks, as it does for
// whether its subscription is still to be followed: up to a second later. So what is
// applied is written out now, and more at the source makes it look.
func (c *CutOver) hurry(ctx context.Context) error {
	if _, err := c.to.Exec(ctx, emit); err != nil {
		return fmt.Errorf("write out what the target has applied: %w", err)
	}
	if _, err := c.admin.Exec(ctx, emit); err != nil {
		return fmt.Errorf("have the target look: %w", err)
	}
	return nil
}

// Facts are what the source's database has become by now.
func (c *CutOver) Facts(ctx context.Context) (f Facts, err error) {
	err = f.Read(ctx, c.from, c.move.Role)
	return f, err
}

// stopFollowing ends the target's workers, so that its database can be renamed.
func (c *CutOver) stopFollowing(ctx context.Context) error {
	if _, err := c.to.Exec(ctx, "ALTER SUBSCRIPTION "+quote(c.move.name())+" DISABLE"); err != nil {
		return fmt.Errorf("end the subscription: %w", err)
	}
	const working = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE 'logical replication%'"
	for end := time.Now().Add(endWithin); ; {
		var left int
		if err := c.to.QueryRow(ctx, working).Scan(&left); err != nil || left == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d workers at the target do not end", left)
		}
		if err := c.hurry(ctx); err != nil {
			return err
		}
		if err := sleep(ctx, catchUpPoll); err != nil {
			return err
		}
	}
}
