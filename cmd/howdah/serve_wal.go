package main

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/backup/repository"
	"howdah/backup/schedule"
	"howdah/backup/wal"
	"howdah/tenants"
	"howdah/tenants/catalog"
)

// walSlot is the replication slot that Howdah receives by: all nodes the same one, of which
// one has it at a time.
const walSlot = "howdah"

// receivers store the WAL of the clusters that have a replication_url, if there is a store,
// and take their base backups.
type receivers struct {
	d       *daemon
	running map[string]*receiving // by cluster
	seats   chan struct{}         // for those who take a base backup

	drillSeats chan struct{}
}

// receiversPause is the longest between two looks at which receivers there are to be.
const receiversPause = 30 * time.Second

type receiving struct {
	*wal.Receiver
	backups *schedule.Scheduler
	by      string // the settings it was started with
	started time.Time
	stop    context.CancelFunc
	asked   chan string // base backups that somebody has asked for, and why
	done    chan struct{}
}

// receiveWAL has receivers run for the clusters that the registry has, until ctx ends.
func (d *daemon) receiveWAL(ctx context.Context) {
	changes, stop := d.registry.Watch()
	defer stop()
	r := &receivers{d: d, running: map[string]*receiving{}, seats: make(chan struct{}, 1), drillSeats: make(chan struct{}, 1)}
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
		if config.receives(c) {
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

// receives reports whether a cluster's WAL is to be stored.
func (c *Config) receives(cluster *tenants.Cluster) bool {
	return cluster.ReplicationURL != "" && c.Backup.Store != ""
}

// receivedBy has the settings that a receiver is started with anew when they change.
func (c *Config) receivedBy(cluster *tenants.Cluster) string {
	s := c.storeNamed(cluster.Store)
	if s == nil {
		s = &Store{}
	}
	return fmt.Sprintf("%q %q %q %d %d %q %q %s %q", s.URL, s.Recipients, s.CredentialsFile, s.ReadRate, s.WriteRate, cluster.ReplicationURL, cluster.AdminURL, c.Backup.WALInterval, c.Backup.StateDir)
}

func (r *receivers) start(ctx context.Context, config *Config, cluster, by string) {
	log := r.d.log.With("cluster", cluster)
	repo, err := config.repositoryOf(cluster, (*Store).open)
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
	receiver := &wal.Receiver{
		Repo: repo, Slot: walSlot, Interval: config.Backup.WALInterval, Log: log,
		URL:       url(func(c *tenants.Cluster) string { return c.ReplicationURL }),
		SampleURL: url(func(c *tenants.Cluster) string { return cmp.Or(c.AdminURL, c.ReplicationURL) }),
		Standbys:  func() []wal.Member { return r.d.membersOf(cluster) },
	}
	backups := &schedule.Scheduler{
		Repo: repo, URL: receiver.URL, AdminURL: receiver.SampleURL, BaseURL: url(func(c *tenants.Cluster) string { return c.BaseURL }), Receiver: receiver, Seats: r.seats, StateDir: config.Backup.StateDir, Log: log,
		Settings: func() schedule.Settings { return r.d.backupSchedule(cluster) },
		Keep:     func(ctx context.Context) error { return r.d.expire(ctx, repo) },
	}
	drills := r.drillsOf(repo, func() bool { return receiver.Stats().Connected })
	one := &receiving{Receiver: receiver, backups: backups, by: by, started: time.Now(), stop: stop, asked: make(chan string, 1), done: make(chan struct{})}
	r.running[cluster] = one
	r.d.backups.receives(cluster, one)
	go func() {
		defer close(one.done)
		defer stop()
		var scheduling sync.WaitGroup
		scheduling.Go(func() { backups.Run(ctx) })
		scheduling.Go(func() { one.takeAsked(ctx, log) })
		scheduling.Go(func() { drills.Run(ctx) })
		defer scheduling.Wait()
		if err := one.Run(ctx); err != nil && ctx.Err() == nil {
			log.Error("WAL is not stored any more", "error", err)
			stop()
		}
	}()
}

// backupSchedule is how base backups of a cluster are taken.
func (d *daemon) backupSchedule(cluster string) schedule.Settings {
	config, s := d.current(), d.registry.Snapshot()
	_, interval := config.policyOf(s, cluster)
	stored := d.backups.overviewOf(cluster)
	most, whole := mayReplay(&stored, promisedOf(s)[cluster])
	return schedule.Settings{
		Interval: interval, Changes: config.Backup.BaseChangesInterval, MaxRate: int(config.Backup.BaseMaxRate >> 10),
		Replay: most, ReplayWhole: whole,
	}
}

// expire deletes what is not to be kept any more of a cluster.
func (d *daemon) expire(ctx context.Context, repo *repository.Repository) error {
	config, audit, err := d.current().withCatalog(ctx, catalog.Actor{Name: "howdah serve", Door: "schedule", From: d.node()})
	if err != nil {
		return err
	}
	e, err := config.planExpiry(ctx, repo, false)
	if err != nil {
		return err
	}
	log := d.log.With("cluster", repo.Cluster)
	if e.Idle != "" {
		log.Warn("no base backups and no WAL are deleted", "why", e.Idle)
	}
	if len(e.Expire)+len(e.ExpireExports) > 0 {
		if err := audit("expire", repo.Cluster, e.told()); err != nil {
			return err
		}
		log.Info("what is not to be kept any more is deleted", "base_backups", e.Expire, "wal_bytes", e.WAL.Bytes, "exports", e.ExpireExports)
	}
	return e.run(ctx)
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
