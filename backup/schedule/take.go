package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/backup/base"
	"howdah/backup/replication"
	"howdah/backup/repository"
	"howdah/backup/wal"
)

// storedWithin is for how long no more of the WAL of a base backup may be stored, while that
// is waited for.
const storedWithin = 5 * time.Minute

// storedFirst is the first pause between two looks at it: the server has just switched to
// another segment, and the last one is on its way.
const storedFirst = 50 * time.Millisecond

// Source is where a base backup is taken.
type Source struct {
	URL      string // replication_url
	BaseURL  string // base_url, of a standby; "" is URL
	AdminURL string // of who may read the server's configuration; "" is that URL will have to do
}

// Take takes a base backup of a cluster, with the configuration that is not in its data
// directory, and has it be one when its WAL is stored, by whoever receives it. stored, if not
// nil, says whether that can be so already: the store is not asked before.
func Take(ctx context.Context, r *repository.Repository, from Source, o base.Options, stored func(upTo replication.Position) bool) (*base.Manifest, error) {
	url := cmp.Or(from.BaseURL, from.URL)
	conn, err := replication.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if from.BaseURL == "" {
		_, err = r.Claim(ctx, conn.Server())
	} else { // whose the repository is says who sends the WAL
		o.Begun = func(ctx context.Context, start base.Position) error { return canBeStored(ctx, r, start, lookAgain) }
		_, err = r.Identity(ctx)
	}
	if err != nil {
		return nil, err
	}
	o.Configuration = base.ConfigurationOf(ctx, func(ctx context.Context) (*pgx.Conn, error) { return connect(ctx, cmp.Or(from.AdminURL, from.URL)) }, conn.Server().System)
	m, err := base.Take(ctx, r, conn, func(ctx context.Context) (map[uint32]string, error) { return databasesOf(ctx, url) }, o)
	if err != nil {
		return nil, err
	}
	if err := waitStored(ctx, r, m, stored, storedWithin); err != nil {
		return nil, errors.Join(fmt.Errorf("base backup %s is none: %w", m.ID, err), base.Delete(context.WithoutCancel(ctx), r, m.ID))
	}
	return m, base.Commit(ctx, r, m)
}

// lookAgain is after how long it is looked again for WAL that is missing: while it is listed
// what is stored changes.
const lookAgain = 3 * time.Second

// canBeStored is an error if WAL from a position on is missing in front of what is stored, or
// may be about to expire: a standby begins where it has a restart point, be it long ago. What
// the newest base backup needs never expires.
func canBeStored(ctx context.Context, r *repository.Repository, start base.Position, again time.Duration) error {
	all, err := base.List(ctx, r)
	if err := base.Serious(err); err != nil {
		return err
	}
	if len(all) > 0 && start.LSN < all[0].Start.LSN {
		return fmt.Errorf("the standby's last restart point, %s, is before base backup %s began, at %s: it is behind", start.LSN, all[0].ID, all[0].Start.LSN)
	}
	look := func() error {
		contents, err := wal.List(ctx, r)
		if err == nil {
			_, err = contents.Reaches(replication.Position(start), 0, 0)
		}
		return err
	}
	if look() == nil {
		return nil
	}
	sleep(ctx, again)
	if err = look(); err == nil {
		return nil
	}
	return fmt.Errorf("from %s on timeline %d, where the standby has its last restart point, not all WAL is stored, and it will not be: %w", start.LSN, start.Timeline, err)
}

// waitStored waits until all WAL that a base backup needs is stored, unless for some time
// nothing comes where it is missing: what is stored behind that is of no use.
func waitStored(ctx context.Context, r *repository.Repository, m *base.Manifest, stored func(replication.Position) bool, within time.Duration) error {
	var missing replication.Position
	stop, pause := replication.Position(m.Stop), storedFirst
	for begun, last := time.Now(), time.Now(); ; pause = min(2*pause, time.Second) {
		var err error
		// Who says that it is not stored yet may be wrong for ever.
		if stored == nil || stored(stop) || time.Since(begun) > within {
			var contents *wal.Contents
			if contents, err = wal.List(ctx, r); err == nil {
				if _, err = contents.Reaches(replication.Position(m.Start), stop.LSN, stop.Timeline); err == nil {
					return nil
				}
			}
			var hole *wal.Hole
			if errors.As(err, &hole) && hole.At != missing {
				missing, last = hole.At, time.Now()
			}
			if time.Since(last) > within {
				return fmt.Errorf("its WAL, from %s to %s, is not stored: is a Howdah running that receives it? %w", m.Start.LSN, m.Stop.LSN, err)
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// connectTime is how long a server may take to let us in.
const connectTime = 30 * time.Second

// connect logs in to the server as a role that may replicate: it may log in to no database
// but one that everybody may.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the URL is none of PostgreSQL's")
	}
	if config.Database == "" {
		config.Database = "postgres"
	}
	config.ConnectTimeout = connectTime
	return pgx.ConnectConfig(ctx, config)
}

// databasesOf returns the names of a server's databases, by OID.
func databasesOf(ctx context.Context, url string) (map[uint32]string, error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("read the names of databases: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, "select oid, datname::text from pg_catalog.pg_database")
	if err != nil {
		return nil, fmt.Errorf("read the names of databases: %w", err)
	}
	all := map[uint32]string{}
	var oid uint32
	var name string
	_, err = pgx.ForEachRow(rows, []any{&oid, &name}, func() error {
		all[oid] = name
		return nil
	})
	return all, err
}

// tablespacesOf returns the OIDs of the tablespaces that a server has beside its data
// directory.
func tablespacesOf(ctx context.Context, url string) ([]uint32, error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("read the tablespaces: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `select oid from pg_catalog.pg_tablespace where pg_catalog.pg_tablespace_location(oid) like '/%' order by 1`)
	if err != nil {
		return nil, fmt.Errorf("read the tablespaces: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uint32])
}
