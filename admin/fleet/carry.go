package fleet

import (
	"context"
	"fmt"

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
