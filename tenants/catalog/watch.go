package catalog

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pauses of Follow.
const (
	poll       = 5 * time.Second // between two looks, though nothing was notified
	retryFirst = 200 * time.Millisecond
	retryMost  = 5 * time.Second
)

// lease is for how long a node counts as alive that has not said so again.
const lease = 3 * poll

// Follower is a node that goes by the catalog.
type Follower struct {
	Node    string // its name, the same after a restart; "" is no node, which nobody waits for
	Version string
	Use     func(*Contents) // what the catalog holds, at once and after every change
	// Held is told who is held, at once and at least every few seconds; nil for nobody to
	// be told. What Use was called with before is not older: who is held no more may be
	// answered by it.
	Held func([]Hold)
	// Renew is told of tenants, by their UUIDs, whose roles have other settings now: servers
	// that were open before do not have them. nil for nobody to be told.
	Renew func(tenants []string)
}

// Follow has a node go by the catalog until ctx ends. While the catalog cannot be reached
// it goes on trying.
func (c *Catalog) Follow(ctx context.Context, log *slog.Logger, node Follower) {
	f := following{catalog: c, Follower: node, turn: -1}
	pause, away := retryFirst, false
	for ctx.Err() == nil {
		err := f.follow(ctx, func() {
			if away {
				log.Info("the catalog is back")
			}
			pause, away = retryFirst, false
		})
		if ctx.Err() != nil {
			return
		}
		if !away {
			log.Warn("the catalog is away: the registry stays as it is, and changes are refused", "error", err)
			away = true
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, retryMost)
	}
}

type following struct {
	Follower
	catalog *Catalog
	stamp   string    // of what Use was called with last
	lost    bool      // the catalog was found another than it was known
	renewed time.Time // when the node has last said that it lives
	turn    int64     // of the last role that Renew was told of; negative before the first look
}

// follow follows over one connection until that breaks. well is called when all is.
func (f *following) follow(ctx context.Context, well func()) error {
	cfg := f.catalog.pool.Config().ConnConfig
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "listen "+channel); err != nil {
		return err
	}
	defer f.leave(ctx, conn)
	for {
		if err := f.look(ctx, conn); err != nil {
			return err
		}
		well()
		waiting, cancel := context.WithTimeout(ctx, poll)
		_, err := conn.WaitForNotification(waiting)
		timedOut := waiting.Err() != nil
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !timedOut {
			return err
		}
	}
}

// look tells what is new. The holds are read before the contents: who is held no more
// then finds what the operation has changed.
func (f *following) look(ctx context.Context, conn *pgx.Conn) error {
	if err := f.live(ctx, conn); err != nil {
		return err
	}
	held, err := holds(ctx, conn)
	if err != nil {
		return err
	}
	var stamp string
	var turn int64
	var head Point
	var known bool
	if err := conn.QueryRow(ctx, lookQuery(), f.catalog.Known().arguments()...).Scan(&stamp, &turn, &known, &head.Seq, &head.Hash, &head.At); err != nil {
		return err
	}
	if known {
		f.catalog.advance(head)
	}
	if stamp != f.stamp || !known && !f.lost {
		contents, err := f.catalog.Load(ctx)
		if err != nil {
			return err
		}
		f.Use(contents)
		f.stamp = contents.Stamp + contents.Review
	}
	f.lost = !known
	if f.Held != nil {
		f.Held(held)
	}
	return f.renew(ctx, conn, turn)
}

func lookQuery() string {
	return "select stamp::text || coalesce(review, ''), (select coalesce(max(turn), 0) from howdah.role), " + inHistory(1) + ", head.* from howdah.catalog, (" + headQuery + ") head"
}

// renew tells whose roles have got other settings up to a turn.
func (f *following) renew(ctx context.Context, conn *pgx.Conn, turn int64) error {
	if f.Renew != nil && f.turn >= 0 && turn > f.turn {
		rows, err := conn.Query(ctx, "select tenant::text from howdah.role where turn > $1 order by turn", f.turn)
		if err != nil {
			return err
		}
		tenants, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		f.Renew(tenants)
	}
	f.turn = turn
	return nil
}

// live says that the node lives, if it has not said so lately.
func (f *following) live(ctx context.Context, conn *pgx.Conn) error {
	if f.Node == "" || time.Since(f.renewed) < poll*4/5 {
		return nil
	}
	begun := time.Now()
	_, err := conn.Exec(ctx, `insert into howdah.node (name, version, lease_until) values ($1, $2, now() + $3)
		on conflict (name) do update set version = excluded.version, lease_until = excluded.lease_until,
			started_at = case when $4 then now() else howdah.node.started_at end`, f.Node, f.Version, lease, f.renewed.IsZero())
	if err == nil {
		f.renewed = begun
	}
	return err
}

// leave says that the node lives no more, when it stops in good order.
func (f *following) leave(ctx context.Context, conn *pgx.Conn) {
	if f.Node == "" || ctx.Err() == nil {
		return
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = conn.Exec(last, "delete from howdah.node where name = $1", f.Node) // else the lease runs out
}
