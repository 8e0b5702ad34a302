package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"howdah/admin"
	"howdah/backup/overview"
)

// backupsAgain is how often what the store has of clusters is read again.
const backupsAgain = time.Minute

// backupsWatch remembers what the store has of clusters, and which of them are received
// here, for whoever wants it told: nobody waits for the store.
type backupsWatch struct {
	mu        sync.Mutex
	readers   map[string]*watched // by cluster
	receiving map[string]*receiving
}

type watched struct {
	overview.Reader
	by     string // the settings that its repository is opened by
	err    error  // why it cannot be opened; then there is no Repo
	wanted bool   // its WAL is to be received
}

// receives has the receiver of a cluster be told of; nil is that there is none any more.
func (w *backupsWatch) receives(cluster string, r *receiving) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r == nil {
		delete(w.receiving, cluster)
		return
	}
	if w.receiving == nil {
		w.receiving = map[string]*receiving{}
	}
	w.receiving[cluster] = r
}

// receiverOf returns the receiver of a cluster; nil if there is none here.
func (w *backupsWatch) receiverOf(cluster string) *receiving {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.receiving[cluster]
}

// watchBackups reads what the store has until ctx ends.
func (d *daemon) watchBackups(ctx context.Context) {
	for ctx.Err() == nil {
		for _, r := range d.backups.match(d) {
			if r.err != nil {
				continue
			}
			before := r.Last().Error
			reading, cancel := context.WithTimeout(ctx, backupsAgain)
			if err := r.Read(reading); err != nil && ctx.Err() == nil && err.Error() != before {
				d.log.Warn("cannot read which backups there are", "cluster", r.Repo.Cluster, "error", err)
			}
			cancel()
		}
		select {
		case <-time.After(backupsAgain):
		case <-ctx.Done():
		}
	}
}

// match returns a reader for each cluster of the registry.
func (w *backupsWatch) match(d *daemon) (all []*watched) {
	config, now := d.current(), map[string]*watched{}
	w.mu.Lock()
	before := w.readers
	w.mu.Unlock()
	for c := range d.registry.Snapshot().Clusters() {
		if config.Backup.Store == "" {
			break
		}
		r := before[c.Name]
		if by := config.receivedBy(c); r == nil || r.by != by || r.err != nil {
			r = &watched{by: by, wanted: c.ReplicationURL != ""}
			r.Repo, r.err = config.repositoryOf(c.Name, config.storeToRead)
		}
		now[c.Name] = r
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readers = now
	return slices.Collect(maps.Values(now))
}

// all tells how the backups stand of each cluster that has some, or is to have some.
func (w *backupsWatch) all() (all []admin.ClusterBackups) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, r := range w.readers {
		b := admin.ClusterBackups{Overview: r.Last()}
		if one := w.receiving[name]; one != nil {
			stats := one.Stats()
			b.Receiving = &stats
		}
		if r.err != nil {
			b.Error = r.err.Error()
		}
		b.Cluster, b.Wanted = name, r.wanted
		if !b.Wanted && b.Until.IsZero() && len(b.Bases) == 0 {
			continue
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b admin.ClusterBackups) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return all
}
