package restore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/wire/postgres"
)

// Exam looks a restored cluster through, for a drill: whether PostgreSQL's own programs find
// anything wrong with it. The directory is of no use afterwards.
type Exam struct {
	Superuser string // of the cluster; "" is postgres

	// What was found.
	Recovered time.Time // when the server had met the target and let people in
	Databases int       // whose indexes were all checked
	Dumped    string    // the largest database, which was dumped too
}

// unpacked has pg_verifybackup compare the files with PostgreSQL's manifest. There is no WAL
// yet.
func (e *Exam) unpacked(ctx context.Context, binaries postgres.Binaries, dir string) error {
	return program(ctx, binaries, "pg_verifybackup", []string{"--no-parse-wal", "--exit-on-error", dir})
}

// run checks the indexes of all databases, and dumps the largest.
func (e *Exam) run(ctx context.Context, binaries postgres.Binaries, s *postgres.Server) error {
	e.Recovered, e.Databases, e.Dumped = time.Now(), 0, ""
	names, err := e.databases(ctx, s)
	if err != nil {
		return err
	}
	for _, name := range names { // the largest first
		d := &Database{Superuser: e.Superuser, Binaries: binaries, name: name, Into: "/dev/null"}
		if e.Dumped == "" {
			if err := d.dumpAs(ctx, s, "plain"); err != nil {
				return fmt.Errorf("database %q: %w", name, err)
			}
			e.Dumped = name
		}
		if err := d.check(ctx, s); err != nil {
			return fmt.Errorf("database %q: %w", name, err)
		}
		e.Databases++
	}
	return nil
}

// databases returns those that let somebody in, the largest first.
func (e *Exam) databases(ctx context.Context, s *postgres.Server) ([]string, error) {
	d := &Database{Superuser: e.Superuser}
	conn, err := d.connect(ctx, s, "postgres")
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// Those that let nobody in are tenants' too, put by for a while.
	if _, err := conn.Exec(ctx, "update pg_catalog.pg_database set datallowconn = true where datname <> 'template0'"); err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, `select datname::text from pg_catalog.pg_database where datallowconn and datconnlimit <> -2
		order by pg_catalog.pg_database_size(oid) desc`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
