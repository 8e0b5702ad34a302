package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"howdah/admin"
	"howdah/admin/api"
	"howdah/backup/keep"
	"howdah/backup/overview"
	"howdah/backup/repository"
)

// backupsAgain is how often what the store has of clusters is read again.
const backupsAgain = time.Minute

// backupsWatch remembers what the store has of clusters, and which of them are received
// here, for whoever wants it told: nobody waits for the store.
type backupsWatch struct {
	mu        sync.Mutex
	readers   map[string]*watched // by cluster
	receiving map[string]*receiving
	changes   int // that were made here to what the store has

	broken map[string]map[string]bool // promises that are, by cluster and setting; watchBackups' own
}

type watched struct {
	overview.Reader
	by     string // the settings that its repository is opened by
	err    error  // why it cannot be opened; then there is no Repo
	wanted bool   // its WAL is to be received

	// watchBackups' own.
	noted    keep.Policy // that was noted last; its Count is 0: none was
	notNoted string      // why the last try has failed
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

// overviewOf returns what was read last of a cluster's repository.
func (w *backupsWatch) overviewOf(cluster string) overview.Overview {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.readers[cluster]; r != nil {
		return r.Last()
	}
	return overview.Overview{}
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
			r.note(ctx, d)
		}
		d.tellPromises()
		d.backups.wait(ctx)
	}
}

// note has it be remembered beside a cluster's backups what its tenants are promised: they
// may be gone when something is to expire. Only what has changed since it was read here is
// noted, so that nodes that have not heard of a change yet do not take it back. What takes
// longer than a minute is told, and tried again. Where WAL is to be received nothing is noted
// before the receiver has found that what is stored there is the cluster's, not another's.
func (w *watched) note(ctx context.Context, d *daemon) {
	if one := d.backups.receiverOf(w.Repo.Cluster); w.wanted && (one == nil || !one.knows()) {
		return
	}
	policy, _ := d.current().policyOf(d.registry.Snapshot(), w.Repo.Cluster)
	if w.noted == policy {
		return
	}
	noting, cancel := context.WithTimeout(ctx, backupsAgain)
	defer cancel()
	before, err := keep.Noted(noting, w.Repo)
	if err == nil {
		err = keep.Note(noting, w.Repo, policy, time.Now())
	}
	switch {
	case err == nil:
		w.noted, w.notNoted = policy, ""
		if before.Count > 0 && before.Wider(policy) != before {
			d.log.Warn("more of the backups is promised to be kept than before, and it is kept for so long though less is set again; `howdah backup expire --as-set` takes that back",
				"cluster", w.Repo.Cluster, "keep_base", policy.Count, "keep_window", policy.Window)
		}
	case ctx.Err() != nil, errors.Is(err, repository.ErrEmpty), err.Error() == w.notNoted:
	default:
		w.notNoted = err.Error()
		d.log.Warn("it cannot be noted what tenants are promised of their backups: who leaves before it can may lose some", "cluster", w.Repo.Cluster, "error", err)
	}
}

// wait returns when it is time to read again, or what the store has was changed here.
func (w *backupsWatch) wait(ctx context.Context) {
	seen := w.changed()
	for end := time.Now().Add(backupsAgain); time.Now().Before(end) && w.changed() == seen; {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
	}
}

// knows says whether it has compared what is stored with the cluster.
func (r *receiving) knows() bool {
	stats := r.Stats()
	return stats.Connected || stats.Elsewhere || !stats.LastConnected.IsZero()
}

// changed counts the base backups that were taken here, the receivers that know their
// clusters, and what else was changed.
func (w *backupsWatch) changed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.changes
	for _, one := range w.receiving {
		n += one.backups.Stats().Taken
		if one.knows() {
			n++
		}
	}
	return n
}

// readSoon has what the store has be read within a second or two.
func (w *backupsWatch) readSoon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes++
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
			r.Repo, r.err = config.repositoryOf(c.Name, (*Store).openToRead)
		}
		now[c.Name] = r
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readers = now
	return slices.Collect(maps.Values(now))
}

// all tells how the backups stand of each cluster that has some, or is to have some.
func (d *daemon) clusterBackups() (all []admin.ClusterBackups) {
	w, config, s := &d.backups, d.current(), d.registry.Snapshot()
	promised := promisedOf(s)
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, r := range w.readers {
		b := admin.ClusterBackups{Overview: r.Last()}
		if one := w.receiving[name]; one != nil {
			stats, scheduling := one.Stats(), one.backups.Stats()
			b.Receiving, b.Scheduling = &stats, &scheduling
			b.Written, b.Shared = one.Written, one.WrittenByNone().Total
		}
		if r.err != nil {
			b.Error = r.err.Error()
		}
		b.Cluster, b.Wanted, b.DrillInterval = name, r.wanted, config.Backup.DrillInterval
		_, b.Interval = config.policyOf(s, name)
		b.RPOPromised, b.RTO = standing(&b, promised[name])
		if !b.Wanted && b.Until.IsZero() && len(b.Bases) == 0 {
			continue
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b admin.ClusterBackups) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return all
}

// takeBackup has a base backup of a cluster be taken now, and does not wait for it.
func (d *daemon) takeBackup(cluster, why string) error {
	one := d.backups.receiverOf(cluster)
	if one == nil || !one.Stats().Connected {
		return fmt.Errorf("%w: the WAL of cluster %q is not received on this node, and without it a base backup is none; ask the node that receives it", api.ErrNotHere, cluster)
	}
	taking := one.backups.Stats().Why
	if taking == "" {
		select {
		case one.asked <- why:
			return nil
		default:
			taking = "somebody has asked for it"
		}
	}
	return fmt.Errorf("%w: a base backup of cluster %q is being taken: %s", api.ErrNotHere, cluster, taking)
}

// takeAsked takes the base backups that are asked for, until ctx ends.
func (r *receiving) takeAsked(ctx context.Context, log *slog.Logger) {
	for {
		select {
		case why := <-r.asked:
			if _, err := r.backups.Now(ctx, why); err != nil && ctx.Err() == nil {
				log.Error("no base backup was taken", "why", why, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}
