package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/wire/postgres"
)

// How many are made in each run: one after the other, and asked for at once.
const (
	createsAlone    = 4
	createsTogether = 40
)

// runCreate measures how long it takes from the request for a tenant to its user's first
// login, with databases that are kept ready and without.
func (b *bench) runCreate(ctx context.Context, a *adminPlane) error {
	alone := b.report.add("create with a ready-made database, to the first login, median, ms", target{})
	slowest := b.report.add("– slowest, ms", aloneAtMost(1000))
	rate := b.report.add(fmt.Sprintf("creates a second, %d asked for at once, databases ready", createsTogether), aloneAtLeast(20))
	coldAlone := b.report.add("create without one, to the first login, median, ms", target{})
	coldRate := b.report.add(fmt.Sprintf("creates a second, %d asked for at once, none ready", createsTogether), target{})
	for run := range b.pairs {
		if err := a.keepReady(ctx, createsAlone+createsTogether); err != nil {
			return err
		}
		took, err := a.createEach(ctx, fmt.Sprintf("warm-%d", run), createsAlone)
		if err != nil {
			return err
		}
		alone.sample(howdah, took.median())
		slowest.sample(howdah, took.most())
		perSecond, err := a.createAll(ctx, fmt.Sprintf("rush-%d", run))
		if err != nil {
			return err
		}
		rate.sample(howdah, perSecond)
		b.say("create with databases ready: %v ms, %.1f a second", took, perSecond)

		if err := a.keepReady(ctx, 0); err != nil {
			return err
		}
		if took, err = a.createEach(ctx, fmt.Sprintf("cold-%d", run), createsAlone); err != nil {
			return err
		}
		coldAlone.sample(howdah, took.median())
		if perSecond, err = a.createAll(ctx, fmt.Sprintf("cold-rush-%d", run)); err != nil {
			return err
		}
		coldRate.sample(howdah, perSecond)
		b.say("create with none ready: %v ms, %.1f a second", took, perSecond)
	}
	b.report.note("Databases are created on a server with fsync; those of one request are made by at most 8 workers.")
	return nil
}

// keepReady has the cluster hold so many ready-made databases, and waits until it does.
func (a *adminPlane) keepReady(ctx context.Context, n int) error {
	if err := a.ask(ctx, "PATCH", "/clusters/main", map[string]any{"warm": n}, nil); err != nil {
		return err
	}
	for {
		var ready int
		err := a.main.QueryRow(ctx, postgres.Superuser, `select count(*) from pg_database where datname like 'howdah\_warm\_%' or datname like 'howdah\_new\_%'`, nil, &ready)
		if err != nil {
			return err
		}
		if ready == n {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// createEach makes tenants one after the other, and returns the milliseconds that each
// took.
func (a *adminPlane) createEach(ctx context.Context, prefix string, n int) (took series, err error) {
	for i := range n {
		begun := time.Now()
		if err := a.createAndEnter(ctx, fmt.Sprintf("%s-%d", prefix, i)); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun).Seconds()*1000)
	}
	return took, nil
}

// createAll has tenants made at once, and returns how many there are in a second.
func (a *adminPlane) createAll(ctx context.Context, prefix string) (perSecond float64, err error) {
	a.patience = patient
	defer func() { a.patience = impatient }()
	begun := time.Now()
	err = together(createsTogether, createsTogether, func(i int) error { return a.createAndEnter(ctx, fmt.Sprintf("%s-%d", prefix, i)) })
	return createsTogether / time.Since(begun).Seconds(), err
}

// createAndEnter makes a tenant, and logs in to it as soon as its job says that it is
// there.
func (a *adminPlane) createAndEnter(ctx context.Context, name string) error {
	made, err := a.makeTenant(ctx, name)
	if err != nil {
		return err
	}
	return a.enter(ctx, &made)
}

// enter logs in to a tenant, and makes a table there.
func (a *adminPlane) enter(ctx context.Context, t *aTenant) error {
	conn, err := pgconn.Connect(ctx, a.url(t))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "create table first (n int)").ReadAll()
	return errors.Join(err, conn.Close(ctx))
}

// together does n things, so many at once, and stops at the first error.
func together(workers, n int, do func(i int) error) error {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	errs := make([]error, workers)
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := range next {
				if errs[worker] = do(i); errs[worker] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return firstOf(errs)
}
