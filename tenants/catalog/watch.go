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

// Follow calls use with what the catalog holds, at once and after every change, until
// ctx ends. While the catalog cannot be reached it goes on trying; use is called again
// when something has changed since.
func (c *Catalog) Follow(ctx context.Context, log *slog.Logger, use func(*Contents)) {
	f := follower{catalog: c, use: use}
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

type follower struct {
	catalog *Catalog
	use     func(*Contents)
	stamp   string // of what use was called with last
}

// follow follows over one connection until that breaks. well is called when all is.
func (f *follower) follow(ctx context.Context, well func()) error {
	cfg := f.catalog.pool.Config().ConnConfig
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "listen "+channel); err != nil {
		return err
	}
	for {
		var stamp string
		if err := conn.QueryRow(ctx, "select stamp::text || coalesce(review, '') from howdah.catalog").Scan(&stamp); err != nil {
			return err
		}
		if stamp != f.stamp {
			contents, err := f.catalog.Load(ctx)
			if err != nil {
				return err
			}
			f.use(contents)
			f.stamp = contents.Stamp + contents.Review
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
