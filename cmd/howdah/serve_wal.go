package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/backup/wal"
	"howdah/tenants"
)

// walSlot is the replication slot that Howdah receives by: all nodes the same one, of which
// one has it at a time.
const walSlot = "howdah"

// receivers store the WAL of the clusters that have a replication_url, if there is a store.
type receivers struct {
	d       *daemon
	running map[string]*receiving // by cluster
}

// receiversPause is the longest between two looks at which receivers there are to be.
const receiversPause = 30 * time.Second

type receiving struct {
	*wal.Receiver
	by   string // the settings it was started with
	stop context.CancelFunc
	done chan struct{}
}

// receiveWAL has receivers run for the clusters that the registry has, until ctx ends.
func (d *daemon) receiveWAL(ctx context.Context) {
	changes, stop := d.registry.Watch()
	defer stop()
	r := &receivers{d: d, running: map[string]*receiving{}}
	for {
		r.match(ctx)
		select {
		case <-changes:
		case <-time.After(receiversPause): // a store that could not be opened may be there now
		case <-ctx.Done():
			var all sync.WaitGroup
			for _, one := range r.running {
				all.Go(func() { <-one.done })
			}
			all.Wait()
			return
		}
	}
}

// match starts receivers that are missing, and stops those that are to be no more.
func (r *receivers) match(ctx context.Context) {
	config := r.d.current()
	wanted := map[string]*tenants.Cluster{}
	for c := range r.d.registry.Snapshot().Clusters() {
		if c.ReplicationURL != "" && config.Backup.Store != "" {
			wanted[c.Name] = c
		}
	}
	for name, one := range r.running {
		if wanted[name] == nil || one.by != config.receivedBy(wanted[name]) {
			one.stop()
			<-one.done
			delete(r.running, name)
			r.d.backups.receives(name, nil)
		}
	}
	for name, c := range wanted {
		if r.running[name] == nil {
			r.start(ctx, config, name, config.receivedBy(c))
		}
	}
}

// receivedBy has the settings that a receiver is started with anew when they change.
func (c *Config) receivedBy(cluster *tenants.Cluster) string {
	return fmt.Sprintf("%q %q %q %q %q", c.Backup.Store, c.Backup.Recipients, c.Backup.CredentialsFile, cluster.ReplicationURL, cluster.AdminURL)
}

func (r *receivers) start(ctx context.Context, config *Config, cluster, by string) {
	log := r.d.log.With("cluster", cluster)
	repo, err := config.repositoryOf(cluster, config.openStore)
	if err != nil {
		log.Error("cannot store WAL", "error", err)
		return
	}
	url := func(of func(*tenants.Cluster) string) func() string {
		return func() string {
			if c, ok := r.d.registry.Snapshot().Cluster(cluster); ok {
				return of(c)
			}
			return ""
		}
	}
	ctx, stop := context.WithCancel(ctx)
	one := &receiving{by: by, stop: stop, done: make(chan struct{}), Receiver: &wal.Receiver{
		Repo: repo, Slot: walSlot, Interval: time.Second, Log: log,
		URL:       url(func(c *tenants.Cluster) string { return c.ReplicationURL }),
		SampleURL: url(func(c *tenants.Cluster) string { return c.AdminURL }),
		Standbys:  func() []wal.Member { return r.d.membersOf(cluster) },
	}}
	r.running[cluster] = one
	r.d.backups.receives(cluster, one.Receiver)
	go func() {
		defer close(one.done)
		defer stop()
		if err := one.Run(ctx); err != nil && ctx.Err() == nil {
			log.Error("WAL is not stored any more", "error", err)
		}
	}()
}

// membersOf returns the members of a cluster that are known to the router, of which only
// standbys matter.
func (d *daemon) membersOf(cluster string) (all []wal.Member) {
	for _, row := range d.router.Standbys() {
		if row.Cluster == cluster {
			all = append(all, wal.Member{Address: row.Address, Connect: func(ctx context.Context) (*pgconn.PgConn, error) {
				return d.router.ConnectMember(ctx, cluster, row.Address)
			}})
		}
	}
	return all
}
