package dump

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"howdah/wire/postgres"
)

// lockWait is how long a dump waits for a table that somebody changes the definition of.
const lockWait = 2 * time.Minute

// Out is a dump to be made.
type Out struct {
	// Tools are of the major version of the server that the dump is for, which is not
	// older than the source.
	Tools      postgres.Binaries
	From       Login // with the database; a superuser
	Jobs       int   // at once; 0 is 2
	SchemaOnly bool
	// Progress, if not nil, is told now and then how many bytes the dump has.
	Progress func(bytes int64)
}

// estimateWait is how long an estimate waits for a table that somebody has locked.
const estimateWait = "500ms"

// Estimate says about how many bytes a dump of the database takes that conn is in: what
// its tables have, without indexes; or, while one of them is locked, what it has in all.
func Estimate(ctx context.Context, conn *pgx.Conn) (bytes int64, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "set local lock_timeout = '"+estimateWait+"'"); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `select coalesce(sum(pg_catalog.pg_table_size(oid)), 0)::int8 from pg_catalog.pg_class
			where relkind in ('r', 'm', 'S') and (relnamespace <> 'pg_catalog'::regnamespace or relname = 'pg_largeobject')`).Scan(&bytes)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "55P03" { // lock_not_available
		bytes, err = databaseSize(ctx, conn)
	}
	if err != nil {
		return 0, fmt.Errorf("estimate the size of the dump: %w", err)
	}
	return bytes, nil
}

// Dump writes a dump to the scratch folder's Data and returns how many bytes it has. All
// of it is of one snapshot. It waits for nobody's transactions but those that change
// tables' definitions, and keeps nobody waiting but those.
func Dump(ctx context.Context, o Out, into *Scratch) (bytes int64, err error) {
	args := []string{
		"--format=directory", "--file=" + into.Data(), "--jobs=" + strconv.Itoa(jobs(o.Jobs)), "--compress=0", "--no-sync",
		"--no-tablespaces", "--no-publications", "--no-subscriptions", "--no-security-labels",
		"--lock-wait-timeout=" + strconv.Itoa(int(lockWait.Milliseconds())),
	}
	if o.SchemaOnly {
		args = append(args, "--schema-only")
	}
	stop := watch(o.Progress, func() int64 { return folderSize(into.Data()) })
	p := program{tools: o.Tools, name: "pg_dump", args: args, login: o.From, scratch: into}
	_, err = p.run(ctx)
	stop()
	if err != nil {
		return 0, fmt.Errorf("dump database %q: %w", o.From["dbname"], err)
	}
	return folderSize(into.Data()), nil
}

func jobs(n int) int {
	if n <= 0 {
		return 2
	}
	return n
}

// watchPause is between two looks at how far a program is.
const watchPause = 500 * time.Millisecond

// watch tells of progress until stop is called, which waits for the last word.
func watch(progress func(int64), look func() int64) (stop func()) {
	if progress == nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(watchPause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				progress(look())
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// folderSize adds up the files of a folder. What is not there counts nothing.
func folderSize(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // files come and go
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// Files lists the dump's files, the table of contents last: where that is, all is.
func Files(s *Scratch) ([]string, error) {
	entries, err := os.ReadDir(s.Data())
	if err != nil {
		return nil, fmt.Errorf("list the dump: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != contentsFile {
			names = append(names, e.Name())
		}
	}
	return append(names, contentsFile), nil
}

// contentsFile is the table of contents of a dump in directory format.
const contentsFile = "toc.dat"

// Size is how many bytes the dump has.
func (s *Scratch) Size() int64 { return folderSize(s.Data()) }
