package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// splitLoad is a load of which no transaction may run at the standby, though each
// is looked at whether it could.
type splitLoad struct {
	load
	what   string
	maxLag time.Duration
}

// splits are what read_split may be.
func splits() []string { return []string{"off", "declared", "auto"} }

// runSplit measures what it costs to decide where a transaction runs: one Howdah for
// each read_split, in interleaved runs of loads that all stay at the primary. The
// row of each has throughput or CPU as a multiple of that of "off".
func (b *bench) runSplit(ctx context.Context, standby *database) error {
	if err := b.database.server.Exec(ctx, tenant, "alter system set synchronous_commit = off", "select pg_reload_conf()"); err != nil {
		return err
	}
	loads, err := b.splitLoads()
	if err != nil {
		return err
	}
	for _, l := range loads {
		if err := b.runSplitLoad(ctx, standby, l); err != nil {
			return fmt.Errorf("%s: %w", l.what, err)
		}
	}
	return nil
}

// splitLoads are reads, which never find a standby that is fresh enough, and reads
// among writes, behind which it never is.
func (b *bench) splitLoads() (loads []*splitLoad, err error) {
	mixed := filepath.Join(b.dir, "mixed.sql")
	text := fmt.Sprintf(`\set aid random(1, %d)
update pgbench_accounts set abalance = abalance + 1 where aid = :aid;
select abalance from pgbench_accounts where aid = :aid;
`, 100000*b.scale)
	if err := os.WriteFile(mixed, []byte(text), 0o644); err != nil {
		return nil, err
	}
	for _, mode := range []string{"simple", "extended"} {
		loads = append(loads,
			&splitLoad{load{mode: mode, clients: 64}, "pgbench -S", time.Microsecond},
			&splitLoad{load{mode: mode, clients: 64, script: mixed}, "UPDATE and SELECT", time.Microsecond})
	}
	return loads, nil
}

func (b *bench) runSplitLoad(ctx context.Context, standby *database, l *splitLoad) error {
	var poolers []*pooler
	var tps, cpu, user []series
	for _, split := range splits() {
		p, err := b.startSplit(ctx, standby, splitSettings{split: split, maxLag: l.maxLag})
		if err != nil {
			return err
		}
		defer p.stop()
		if _, err := b.pgbench(ctx, p.port, 0, l.load, "-T", strconv.Itoa(max(1, b.warmup))); err != nil {
			return p.explain(err)
		}
		poolers, tps, cpu, user = append(poolers, p), append(tps, nil), append(cpu, nil), append(user, nil)
	}
	for round := range b.pairs {
		for n := range poolers {
			i := (round + n) % len(poolers) // nobody always comes behind the same
			p := poolers[i]
			o, err := b.pgbench(ctx, p.port, p.child.PID(), l.load, "-T", strconv.Itoa(b.seconds))
			if err != nil {
				return p.explain(err)
			}
			tps[i], cpu[i], user[i] = append(tps[i], o.tps), append(cpu[i], o.micros(o.cpu.total())), append(user[i], o.micros(o.cpu.user))
			b.say("%s, %v, read_split = %s: %.0f tps, %.1f µs", l.what, l.load, splits()[i], o.tps, cpu[i][len(cpu[i])-1])
		}
	}
	for _, p := range poolers {
		found, err := p.standbys(ctx)
		if err != nil {
			return err
		}
		if found["started"] > 0 {
			return errors.New("transactions ran at the standby")
		}
	}
	b.reportSplit(fmt.Sprintf("tps, %s, %v", l.what, l.load), tps, aloneAtLeast(0.97))
	b.reportSplit(fmt.Sprintf("CPU µs per transaction, %s, %v", l.what, l.load), cpu, target{})
	b.reportSplit(fmt.Sprintf("– of that in Howdah's own code, %s, %v", l.what, l.load), user, target{})
	return nil
}

// reportSplit has a row of "off", and one of each other's multiple of it in the runs
// of one round.
func (b *bench) reportSplit(figure string, samples []series, t target) {
	off := b.report.add(figure+", read_split = off", target{})
	for _, x := range samples[0] {
		off.sample(howdah, x)
	}
	for i, split := range splits() {
		if i == 0 {
			continue
		}
		times := b.report.add(fmt.Sprintf("– %s, times that", split), t)
		for round, x := range samples[i] {
			times.sample(howdah, x/samples[0][round])
		}
	}
}
