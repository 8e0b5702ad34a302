package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// What keeps a change from being made.
var (
	ErrNotFound = errors.New("catalog: not found")
	ErrExists   = errors.New("catalog: exists already")
	// ErrChanged is of a change to what somebody else has changed meanwhile.
	ErrChanged = errors.New("catalog: changed meanwhile")
	// ErrReview is of a catalog that looks as if it had been put back to an earlier
	// time: nothing is done by it until an operator has looked.
	ErrReview = errors.New("catalog: to be reviewed")
)

// Catalog is a connection to the catalog's database.
type Catalog struct {
	pool   *pgxpool.Pool
	latest atomic.Pointer[Contents] // what Contents returned last
	known  atomic.Pointer[Point]    // of the catalog's history; nil = nothing
}

// connectTimeout bounds a log-in.
const connectTimeout = 10 * time.Second

// maxConns is how many connections a node has to the catalog: operations that run at
// once, those who ask over HTTP, and who follows.
const maxConns = 16

// Open logs in to the catalog's database and brings its tables up to date.
func Open(ctx context.Context, url string) (*Catalog, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	cfg.MaxConns = maxConns
	cfg.ConnConfig.RuntimeParams["application_name"] = "howdah catalog"
	cfg.ConnConfig.RuntimeParams["search_path"] = "pg_catalog"
	cfg.AfterConnect = durably
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	c := &Catalog{pool: pool}
	err = pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { return migrate(ctx, conn.Conn()) })
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	return c, nil
}

// durably has changes be written before they are answered, though the server's
// synchronous_commit is off: databases are opened and dropped by what was changed.
func durably(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "select set_config('synchronous_commit', 'local', false) where current_setting('synchronous_commit') = 'off'")
	return err
}

// Close waits until no connection is in use, and closes them.
func (c *Catalog) Close() { c.pool.Close() }

// Pool is for what keeps tables of its own beside the catalog's.
func (c *Catalog) Pool() *pgxpool.Pool { return c.pool }

// IsAway reports whether an error says that the catalog, and not another server, could not
// be reached.
func (c *Catalog) IsAway(err error) bool {
	var connect *pgconn.ConnectError
	if !errors.As(err, &connect) {
		return false
	}
	here, there := c.pool.Config().ConnConfig, connect.Config
	return here.Host == there.Host && here.Port == there.Port && here.Database == there.Database
}

// found turns the error of a query that finds one row into ErrNotFound.
func found(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
