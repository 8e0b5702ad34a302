package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"howdah/wire/postgres"
)

// Case (b): of many databases a few are active, each for a while. One goes when
// another comes; those that are there at the beginning and at the end, when fewer
// are, do not count. Clients rest between two transactions, as people do: a seat
// that is taken from them as soon as it idles is wanted back in a moment.
const (
	movingDatabases = 500
	movingActive    = 20
	movingClients   = 8                     // of each active one
	movingRest      = 10 * time.Millisecond // of a client between two transactions, in the mean
	movingStay      = 3 * time.Second
	movingPause     = movingStay / movingActive // between two that come
	makingTime      = time.Minute

	// movingQuery holds its server while it waits, so that seats are what is
	// scarce: how the kernel shares two processors among 50 busy backends is not
	// what is measured.
	movingQuery = "select count(*), pg_sleep(0.005) from pg_class where oid < 1300"
)

// movingRows are what case (b) measures; hasty is without a quantum.
type movingRows struct{ backends, fairness, throughput, moved, hasty, hastyMoved, gain *row }

func (b *bench) runMoving(ctx context.Context) error {
	names, err := b.makeDatabases(ctx)
	if err != nil {
		return err
	}
	of := fmt.Sprintf("%d databases, %d active for %v each, %d backends", len(names), movingActive, movingStay, seatBudget)
	rows := movingRows{
		backends:   b.report.add("most backends at one time, "+of, aloneAtMost(seatBudget)),
		fairness:   b.report.add("Jain's index, "+of, aloneAtLeast(0.95)),
		throughput: b.report.add("transactions/s, "+of, target{}),
		moved:      b.report.add("seats moved per second, the quantum as it is", target{}),
		hasty:      b.report.add("transactions/s, without a quantum", target{}),
		hastyMoved: b.report.add("seats moved per second, without a quantum", target{}),
		gain:       b.report.add("throughput with the quantum by that without", aloneAtLeast(2)),
	}
	b.report.note("%s: %d clients of each, logged in beforehand, whose queries wait 5 ms in the server and who rest %v between two, in the mean of an exponential distribution; one role owns all, PgBouncer has max_user_connections = %d. Every %v one database's clients begin and another's, which are there for the longest time, stop.", of, movingClients, movingRest, seatBudget, movingPause)
	if len(names) < movingDatabases {
		b.report.note("There are %d databases instead of %d: so many could be made within %v.", len(names), movingDatabases, makingTime)
	}
	for pair := range b.pairs {
		if err := b.takeMovingPair(ctx, rotated(names, pair*b.comers()), rows); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) takeMovingPair(ctx context.Context, names []string, rows movingRows) error {
	s := seatSettings{names: names, poolSize: poolSize}
	var steady float64
	for _, c := range b.poolers {
		o, err := b.takeMoving(ctx, c, s)
		if err != nil {
			return err
		}
		rows.backends.sample(c, float64(o.backends))
		rows.fairness.sample(c, o.jain)
		rows.throughput.sample(c, o.tps)
		if c == howdah {
			steady = o.tps
			rows.moved.sample(c, o.moved)
		}
	}
	if steady == 0 {
		return nil // only PgBouncer is measured
	}
	s.quantum = time.Nanosecond // none: 0 is the default
	o, err := b.takeMoving(ctx, howdah, s)
	if err != nil {
		return err
	}
	rows.hasty.sample(howdah, o.tps)
	rows.hastyMoved.sample(howdah, o.moved)
	rows.gain.sample(howdah, steady/max(o.tps, 1))
	return nil
}

// movingOutcome is one run of case (b).
type movingOutcome struct {
	tps, jain, moved float64 // moved is per second
	backends         int
}

func (b *bench) takeMoving(ctx context.Context, c contender, s seatSettings) (o movingOutcome, err error) {
	p, err := b.startSeats(ctx, c, s)
	if err != nil {
		return o, err
	}
	defer p.stop()
	comers := s.names[:min(b.comers(), len(s.names))]
	riders, err := board(ctx, p, comers, movingClients)
	if err != nil {
		return o, p.explain(err)
	}
	defer leave(riders)
	before, err := p.movedSoFar(ctx)
	if err != nil {
		return o, p.explain(err)
	}
	watch, err := b.watchBackends(ctx)
	if err != nil {
		return o, err
	}
	begun := time.Now()
	served, err := comeAndGo(ctx, riders, len(comers), begun)
	took := time.Since(begun).Seconds()
	if err != nil {
		_, _ = watch.stop() // the load's error is the one to tell
		return o, p.explain(err)
	}
	counted := served[movingActive : len(served)-movingActive]
	o.tps, o.jain = counted.sum()/(float64(len(counted))*movingPause.Seconds()), counted.jain()
	after, err := p.movedSoFar(ctx)
	if err != nil {
		return o, p.explain(err)
	}
	o.moved = float64(after-before) / took
	o.backends, err = watch.stop()
	b.say("moving tenants, quantum %v, %v: %d backends, Jain %.3f, %.0f per second, %.0f seats moved per second", s.quantum, c, o.backends, o.jain, o.tps, o.moved)
	return o, err
}

// comers is how many databases come in one run.
func (b *bench) comers() int {
	return 2*movingActive + int(time.Duration(b.seconds)*time.Second/movingPause)
}

// comeAndGo has each database's clients ride for their time, and returns how many
// transactions each database was served.
func comeAndGo(ctx context.Context, riders []*rider, comers int, begun time.Time) (series, error) {
	served, errs := make(series, comers), make([]error, comers)
	var all sync.WaitGroup
	for i := range comers {
		from := begun.Add(time.Duration(i) * movingPause)
		own := riders[i*movingClients : (i+1)*movingClients]
		all.Go(func() {
			time.Sleep(time.Until(from))
			each, err := ride(ctx, own, comers, from, from.Add(movingStay), resting(movingRest, always(movingQuery)))
			served[i], errs[i] = each[i], err
		})
	}
	all.Wait()
	return served, firstOf(errs)
}

// movedSoFar is 0 for PgBouncer, which has no such count.
func (p *pooler) movedSoFar(ctx context.Context) (int, error) {
	if p.contender == bouncer {
		return 0, nil
	}
	return p.seatsMoved(ctx)
}

// rotated begins n further on, around the end.
func rotated(names []string, n int) []string {
	n %= len(names)
	return append(names[n:len(names):len(names)], names[:n]...)
}

// makeDatabases makes as many as it can within makingTime.
func (b *bench) makeDatabases(ctx context.Context) ([]string, error) {
	names := tenantNames("d", movingDatabases)
	begun := time.Now()
	for i, name := range names {
		if time.Since(begun) > makingTime && i >= 3*movingActive { // those that count, and as many before and behind
			return names[:i], nil
		}
		if err := b.database.server.Exec(ctx, postgres.Superuser, fmt.Sprintf("create database %s owner %s", name, tenant)); err != nil {
			return nil, err
		}
		if i%100 == 99 {
			b.say("%d databases made in %v", i+1, time.Since(begun).Round(time.Second))
		}
	}
	return names, nil
}
