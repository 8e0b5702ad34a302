package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/admin/jobs"
	"howdah/provision"
	"howdah/provision/dump"
	"howdah/wire/postgres"
)

// carrying is an operation that brings contents into a database that is being made, and
// counts its steps.
type carrying struct {
	f     *Fleet
	run   *jobs.Run
	done  int // steps
	total int // about
}

func (x *carrying) step(ctx context.Context, name string, do func(context.Context) error) error {
	err := x.run.Step(ctx, name, x.done, max(x.total, x.done+1), do)
	x.done++
	return err
}

// change makes a cluster what an operation wants it to be. Nobody is held for it.
func (x *carrying) change(ctx context.Context, cluster string, op provision.Operation, plan planner) error {
	c := &changing{run: x.run, cluster: cluster, op: op, holds: []string{}, done: x.done, after: max(x.total-x.done, 1)}
	_, err := x.f.change(ctx, c, plan)
	x.done = c.done
	return err
}

// tools are the programs that read and write dumps for a cluster.
func (f *Fleet) tools(ctx context.Context, cluster string) (postgres.Binaries, error) {
	conn, err := f.connect(ctx, cluster)
	if err != nil {
		return postgres.Binaries{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var major int
	if err := conn.QueryRow(ctx, "select pg_catalog.current_setting('server_version_num')::int / 10000").Scan(&major); err != nil {
		return postgres.Binaries{}, err
	}
	tools, err := postgres.FindClient(major)
	return tools, jobs.Refuse(err)
}

// isFull reports whether an error is of a full disk, a server's or ours: who asked shall
// make space, and ask again. What is half made is not kept: while a server cannot write
// out its pages it has no checkpoint, whosever else it is.
func isFull(err error) bool {
	if errors.Is(err, dump.ErrNoSpace) {
		return true
	}
	var pg *pgconn.PgError
	// With the pages of a new database not written out, the first login finds the disk full.
	return errors.As(err, &pg) && (pg.Code == "53100" || pg.Message == "could not write init file")
}

// needsSpace says what to do about a full disk, where a cluster is being filled.
func needsSpace(cluster string, err error) error {
	switch {
	case errors.Is(err, dump.ErrServerFull):
		return fmt.Errorf("cluster %q needs more space, then do it again: %w", cluster, err)
	case isFull(err) && !errors.Is(err, dump.ErrNoSpace):
		return fmt.Errorf("a cluster has no space left on its disk, make some, then do it again: %w", err)
	}
	return err
}

// adminLogin is that of a cluster's admin.
func (f *Fleet) adminLogin(cluster string) (dump.Login, error) {
	c, err := f.cluster(cluster)
	if err != nil {
		return nil, err
	}
	login, err := dump.ParseLogin(c.AdminURL)
	if err != nil {
		return nil, fmt.Errorf("admin_url of cluster %q: %w", cluster, err)
	}
	return login, nil
}
