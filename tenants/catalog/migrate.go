package catalog

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrateLock is held while the tables are changed: several nodes may start at once.
const migrateLock = 0x686f77646168

// migrate brings the tables up to date. Each step is a transaction.
func migrate(ctx context.Context, conn *pgx.Conn) error {
	steps, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return err
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), "select pg_advisory_unlock($1)", int64(migrateLock)) // else its session's end does it
	}()
	if _, err := conn.Exec(ctx, `create schema if not exists howdah;
		create table if not exists howdah.migration (version int primary key, at timestamptz not null default now())`); err != nil {
		return err
	}
	var have int
	if err := conn.QueryRow(ctx, "select coalesce(max(version), 0) from howdah.migration").Scan(&have); err != nil {
		return err
	}
	if have > len(steps) {
		return fmt.Errorf("the tables are of a newer Howdah (version %d, this one knows %d): start that one", have, len(steps))
	}
	for i, path := range steps[have:] {
		text, err := migrations.ReadFile(path)
		if err != nil {
			return err
		}
		version := have + i + 1
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, string(text)); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "insert into howdah.migration (version) values ("+strconv.Itoa(version)+")")
			return err
		})
		if err != nil {
			return fmt.Errorf("step %d: %w", version, err)
		}
	}
	return nil
}
