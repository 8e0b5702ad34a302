package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/tenants"
)

// ready says what is missing before the tenants can be served: those of the catalog are
// known, the master key opens their secrets, every cluster answers, has its tenants'
// databases, its standbys stream, and its WAL is being stored if it is to be.
func (d *daemon) ready(ctx context.Context) error {
	if d.current().Catalog.URL != "" && d.fleet.Load() == nil && !d.cached {
		return errCatalogAway
	}
	if err := d.unopened(); err != nil {
		return err
	}
	s := d.registry.Snapshot()
	databases := map[string][]string{}
	for t := range s.Tenants() {
		if t.State == tenants.Active {
			databases[t.Cluster] = append(databases[t.Cluster], t.Database)
		}
	}
	for name, all := range databases {
		slices.Sort(all)
		databases[name] = slices.Compact(all) // two tenants may share one
	}
	for c := range s.Clusters() {
		if err := clusterReady(ctx, c, databases[c.Name]); err != nil {
			return fmt.Errorf("cluster %q is not ready: %w", c.Name, err)
		}
		if err := d.walReady(c); err != nil {
			return fmt.Errorf("the WAL of cluster %q is not being stored: %w", c.Name, err)
		}
		if one := d.backups.receiverOf(c.Name); one != nil && one.Stats().Slot.Waits.AllHang() {
			return fmt.Errorf("commits in cluster %q wait for ever: synchronous_standby_names has them wait for Howdah, which applies nothing, and synchronous_commit is remote_apply", c.Name)
		}
	}
	return nil
}

const (
	// walAway is for how long WAL may not be stored before that is told: as long as
	// another server takes to become the primary.
	walAway = time.Minute
	// firstBackupWait is for how long the first base backup is waited for.
	firstBackupWait = 10 * time.Second
)

// walReady is an error where a cluster's WAL is not being stored that is to be.
func (d *daemon) walReady(c *tenants.Cluster) error {
	if !d.current().receives(c) {
		return nil
	}
	one := d.backups.receiverOf(c.Name)
	if one == nil {
		return errors.New("its store cannot be opened, or it has just been asked for")
	}
	s, b := one.Stats(), one.backups.Stats()
	long := func(since time.Time) bool { return time.Since(since) > walAway } // the zero time too
	switch {
	case s.Elsewhere:
		return nil
	case !s.Connected && long(s.LastConnected):
		return fmt.Errorf("nobody is connected to its primary: %s", cmp.Or(s.LastError, "it has just begun"))
	case s.Durable < s.Received && s.LastError != "" && long(s.Sampled):
		return errors.New(s.LastError)
	case !b.There && b.LastError == "" && time.Since(one.started) < firstBackupWait:
		return errors.New("its first base backup is being taken")
	}
	return nil
}

func clusterReady(ctx context.Context, c *tenants.Cluster, databases []string) error {
	if c.AdminURL == "" {
		var dialer net.Dialer
		nc, err := dialer.DialContext(ctx, c.Members[0].Network(), c.Members[0].Address)
		if err != nil {
			return err
		}
		return nc.Close()
	}
	conn, err := pgx.Connect(ctx, c.AdminURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var open, streaming int
	err = conn.QueryRow(ctx, `select
		(select count(distinct datname) from pg_database where datallowconn and datname = any($1)),
		(select count(*) from pg_stat_replication where state = 'streaming' and application_name <> 'pg_basebackup')`,
		databases).Scan(&open, &streaming)
	switch {
	case err != nil:
		return err
	case open < len(databases):
		return fmt.Errorf("%d of %d tenant databases answer", open, len(databases))
	case streaming < len(c.Members)-1:
		return fmt.Errorf("%d of %d standbys stream", streaming, len(c.Members)-1)
	}
	return nil
}
