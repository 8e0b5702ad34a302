package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/wire/postgres"
)

// loaded is what pgbench's own script does to a tenant for a while, which begins behind a
// checkpoint as that of a base backup: the first change of each page costs more then.
func (p *backupPlane) loaded(ctx context.Context) (tps float64, err error) {
	if err := p.server.Exec(ctx, postgres.Superuser, "checkpoint"); err != nil {
		return 0, err
	}
	text, err := output(exec.CommandContext(ctx, p.programs.pgbench, "-n", "-c", "4", "-j", "2", "-T", strconv.Itoa(3*p.seconds), p.url(tenantNumber(0))))
	if err != nil {
		return 0, err
	}
	o, err := parsePgbench(text)
	return o.tps, err
}

// runSlow measures how much slower writes are while WAL is stored, and while a base backup
// is taken.
func (b *bench) runSlow(ctx context.Context, p *backupPlane) error {
	config, err := p.begun(ctx, "slow")
	if err != nil {
		return err
	}
	defer p.dropSlot(ctx, howdahSlot)
	streaming := b.report.add("pgbench, 4 clients, transactions/s: nothing stored (left), WAL stored", ratioAtLeast(0.97))
	during := b.report.add("– and while a base backup of 32 MB/s is copied", ratioAtLeast(0.9))
	unbound := b.report.add("– and one as fast as it goes", target{})
	if _, err := p.loaded(ctx); err != nil { // to warm up
		return err
	}
	for i := range b.pairs {
		alone, err := p.loaded(ctx)
		if err != nil {
			return err
		}
		streaming.sample(bouncer, alone)
		during.sample(bouncer, alone)
		unbound.sample(bouncer, alone)
		if err := p.loadedWhileStored(ctx, config, streaming, during, unbound); err != nil {
			return err
		}
		b.say("load %d of %d: %.0f alone, %.0f, %.0f, %.0f", i+1, b.pairs, alone,
			streaming.samples[howdah][i], during.samples[howdah][i], unbound.samples[howdah][i])
	}
	return nil
}

func (p *backupPlane) loadedWhileStored(ctx context.Context, config string, streaming, during, unbound *row) error {
	serve, err := p.caughtUp(ctx, config)
	if err != nil {
		return err
	}
	defer serve.stop()
	tps, err := p.loaded(ctx)
	if err != nil {
		return err
	}
	streaming.sample(howdah, tps)
	for _, one := range []struct {
		row  *row
		rate []string
	}{{during, []string{"--max-rate", "32768"}}, {unbound, nil}} {
		tps, err := p.loadedDuring(ctx, append([]string{p.binary, "backup", "now", "-c", config}, one.rate...))
		if err != nil {
			return serve.explain(err)
		}
		one.row.sample(howdah, tps)
	}
	return nil
}

// loadedDuring is loaded while a program runs, again and again if it ends before.
func (p *backupPlane) loadedDuring(ctx context.Context, argv []string) (tps float64, err error) {
	during, stop := context.WithCancel(ctx)
	var ended error
	var running sync.WaitGroup
	running.Go(func() {
		for during.Err() == nil && ended == nil {
			_, _, ended = p.measure(during, argv...)
		}
		if during.Err() != nil {
			ended = nil
		}
	})
	err = p.copying(during)
	if err == nil {
		tps, err = p.loaded(ctx)
	}
	stop()
	running.Wait()
	return tps, errors.Join(err, ended)
}

// copying waits until a base backup has made its checkpoint and copies.
func (p *backupPlane) copying(ctx context.Context) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		var n int
		err := p.server.QueryRow(ctx, postgres.Superuser, "select count(*) from pg_stat_progress_basebackup where phase = 'streaming database files'", nil, &n)
		if err != nil || n > 0 {
			return err
		}
	}
	return errors.New("no base backup has begun to copy")
}

// runAge measures how old the newest commit is that is in the store, under a steady load.
func (b *bench) runAge(ctx context.Context, p *backupPlane) error {
	config, err := p.begun(ctx, "age")
	if err != nil {
		return err
	}
	defer p.dropSlot(ctx, howdahSlot)
	serve, err := p.caughtUp(ctx, config)
	if err != nil {
		return err
	}
	defer serve.stop()
	loading, stop := context.WithCancel(ctx)
	var load sync.WaitGroup
	var loadErr error
	load.Go(func() {
		for loading.Err() == nil && loadErr == nil {
			_, loadErr = p.loaded(loading)
		}
	})
	ages, err := p.ages(ctx, time.Duration(4*b.seconds)*time.Second)
	stop()
	load.Wait()
	if err != nil {
		return serve.explain(err)
	}
	age := b.report.add(fmt.Sprintf("age of the newest commit in the store under load, %d looks, s, median", len(ages)), target{})
	age.sample(howdah, ages.median())
	b.report.add("– p99", aloneAtMost(1.5)).sample(howdah, ages.quantile(0.99))
	b.report.add("– most", target{}).sample(howdah, ages.most())
	return nil
}

// commit is when a commit was done, and where it is in the WAL.
type commit struct {
	at  time.Time
	lsn int64
}

// ages commits often, and looks as often which of the commits is the newest in the store.
func (p *backupPlane) ages(ctx context.Context, howLong time.Duration) (ages series, err error) {
	conn, err := pgx.Connect(ctx, p.url(postgres.Superuser))
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "create table aged (n int)"); err != nil {
		return nil, err
	}
	defer conn.Exec(context.WithoutCancel(ctx), "drop table aged") //nolint:errcheck // the server goes away
	var waiting []commit
	var newest time.Time
	settled := time.Now().Add(5 * time.Second) // before which the receiver has caught up
	for end := settled.Add(howLong); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var c commit
		var durable int64
		if _, err := conn.Exec(ctx, "insert into aged values (1)"); err != nil {
			return nil, err
		}
		c.at = time.Now()
		err := conn.QueryRow(ctx, "select pg_current_wal_flush_lsn() - '0/0'::pg_lsn, (select restart_lsn - '0/0'::pg_lsn from pg_replication_slots where slot_name = $1)", howdahSlot).Scan(&c.lsn, &durable)
		if err != nil {
			return nil, err
		}
		waiting = append(waiting, c)
		for len(waiting) > 0 && waiting[0].lsn <= durable {
			newest, waiting = waiting[0].at, waiting[1:]
		}
		if !newest.IsZero() && time.Now().After(settled) {
			ages = append(ages, time.Since(newest).Seconds())
		}
	}
	if len(ages) == 0 {
		return nil, errors.New("no commit got into the store")
	}
	return ages, nil
}
