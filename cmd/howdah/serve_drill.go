package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"howdah/backup/base"
	"howdah/backup/drill"
	"howdah/backup/repository"
)

// drillsOf returns who does a cluster's drills when they are due.
func (r *receivers) drillsOf(repo *repository.Repository, receives func() bool) *drill.Scheduler {
	d := r.d
	return &drill.Scheduler{
		Repo: repo, Receives: receives, Seats: r.drillSeats, Log: d.log.With("cluster", repo.Cluster),
		Interval: func() time.Duration { return d.current().Backup.DrillInterval },
		Drill:    func(ctx context.Context) (*drill.Record, error) { return d.drill(ctx, repo) },
	}
}

// drill does one, to the newest moment or to one at random.
func (d *daemon) drill(ctx context.Context, repo *repository.Repository) (*drill.Record, error) {
	config := d.current()
	one, err := config.drill(repo)
	if err != nil {
		return nil, err
	}
	if c, ok := d.registry.Snapshot().Cluster(repo.Cluster); ok {
		one.Superuser = superuserOf(c.AdminURL)
	}
	if rand.N(2) == 0 {
		one.To = drill.Random
	}
	if config.Backup.DrillWhat == "database" {
		if one.Database, err = drilled(ctx, repo); err != nil {
			return nil, err
		}
		one.To = "" // at another moment it may not have been there
	}
	return one.Run(ctx)
}

// drilled chooses a database that the newest base backup has: the one whose last drill is the
// longest ago.
func drilled(ctx context.Context, repo *repository.Repository) (string, error) {
	all, err := base.List(ctx, repo)
	if len(all) == 0 {
		return "", errors.Join(errors.New("there is no base backup yet"), err)
	}
	var names []string
	for _, name := range all[0].DatabasesAtEnd {
		if name != "template0" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	before, err := drill.List(ctx, repo, 0)
	if err != nil && len(before) == 0 {
		return "", err
	}
	for _, r := range before { // the newest first
		if i := slices.Index(names, r.Database); i >= 0 && len(names) > 1 {
			names = slices.Delete(names, i, i+1)
		}
	}
	return names[rand.N(len(names))], nil
}
