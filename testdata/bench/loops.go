package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// The load of the section: two tenants at once. Batches are as long as it takes
// to make clients and backend cheap beside the pooler.
const (
	pipelineClients = 32   // of each tenant
	queryDepth      = 2000 // transactions in a batch of Query messages
	preparedDepth   = 500  // and of Bind, Execute, Sync, which cost a pooler more
)

// loopRuns are the runs of one pooler under one pipeline.
type loopRuns struct {
	contender
	loops int // Howdah's

	tps    series
	cores  series // that the pooler kept busy
	around series // CPU of clients and backend together, as a share of the pooler's
	alien  series // cores that other programs kept busy
	idle   series // cores with nothing to do
}

func (r *loopRuns) String() string {
	if r.contender == bouncer {
		return "PgBouncer"
	}
	return "Howdah with " + loopCount(r.loops)
}

func loopCount(n int) string {
	if n == 1 {
		return "1 loop"
	}
	return fmt.Sprintf("%d loops", n)
}

// runLoops compares one thread with two under a load that costs the pooler far
// more than those around it. On two cores a real PostgreSQL and pgbench would
// take the second core themselves, and nothing would be left to scale onto.
func (b *bench) runLoops(ctx context.Context) error {
	backend, err := startFakeBackend()
	if err != nil {
		return err
	}
	defer backend.stop()
	pipelines, err := b.pipelines(backend.answers)
	if err != nil {
		return err
	}
	for _, l := range pipelines {
		runs, err := b.runPipeline(ctx, backend.port, l)
		if err != nil {
			return fmt.Errorf("pipelined %s: %w", l.name, err)
		}
		b.reportLoops(l, runs)
	}
	return nil
}

func (b *bench) pipelines(a answers) ([]pipeline, error) {
	simple, err := simplePipeline(a, queryDepth)
	if err != nil {
		return nil, err
	}
	if b.measures(bouncer) && !b.programs.pgbouncer.knowsPrepared() {
		return []pipeline{simple}, nil
	}
	prepared, err := preparedPipeline(a, preparedDepth)
	return []pipeline{simple, prepared}, err
}

// runPipeline starts the poolers afresh and interleaves their runs.
func (b *bench) runPipeline(ctx context.Context, backend int, l pipeline) ([]*loopRuns, error) {
	var runs []*loopRuns
	var poolers []*pooler
	for _, r := range []*loopRuns{{contender: bouncer}, {contender: howdah, loops: 1}, {contender: howdah, loops: 2}} {
		if !b.measures(r.contender) {
			continue
		}
		p, err := b.startPooler(ctx, r.contender, poolerSettings{
			backend: backend, tenants: []string{tenant, tenant + "2"}, loops: r.loops,
			servers: poolSize, statements: maxPrepared,
		})
		if err != nil {
			return nil, err
		}
		defer p.stop()
		runs, poolers = append(runs, r), append(poolers, p)
	}
	for range b.pairs {
		for i, r := range runs {
			if err := r.take(ctx, poolers[i], l, time.Duration(b.seconds)*time.Second); err != nil {
				return nil, poolers[i].explain(fmt.Errorf("%v: %w", r, err))
			}
			b.say("two tenants, pipelined %s, %v: %.0f tps", l.name, r, r.tps[len(r.tps)-1])
		}
	}
	return runs, nil
}

// take does one run.
func (r *loopRuns) take(ctx context.Context, p *pooler, l pipeline, length time.Duration) error {
	urls := []string{p.url(tenant), p.url(tenant + "2")}
	before, err := readUsage(p.child.PID())
	if err != nil {
		return err
	}
	tps, err := l.run(ctx, urls, pipelineClients, length)
	if err != nil {
		return err
	}
	after, err := readUsage(p.child.PID())
	if err != nil {
		return err
	}
	elapsed := after.at.Sub(before.at).Seconds()
	machine := after.machine.sub(before.machine)
	own := after.own.sub(before.own).total()
	pooler := after.pooler.sub(before.pooler).total()
	r.tps = append(r.tps, tps)
	r.cores = append(r.cores, pooler.Seconds()/elapsed)
	r.around = append(r.around, own.Seconds()/pooler.Seconds())
	r.alien = append(r.alien, max(0, (machine.busy-own-pooler).Seconds()/elapsed))
	r.idle = append(r.idle, machine.idle.Seconds()/elapsed)
	return nil
}

// usage is who has used how much CPU at a moment.
type usage struct {
	at          time.Time
	own, pooler cpuTime
	machine     machineTime
}

func readUsage(pooler int) (u usage, err error) {
	u.at = time.Now()
	if u.own, err = readCPU(os.Getpid()); err != nil {
		return u, err
	}
	if u.pooler, err = readCPU(pooler); err != nil {
		return u, err
	}
	u.machine, err = readMachine()
	return u, err
}

// reportLoops sets PgBouncer beside Howdah with one loop and with two.
func (b *bench) reportLoops(l pipeline, runs []*loopRuns) {
	figure := "two tenants, thousand transactions/s, pipelined " + l.name
	rows := []*row{
		b.report.add(figure+", Howdah with "+loopCount(1), target{}),
		b.report.add(figure+", Howdah with "+loopCount(2), target{}),
	}
	var medians [3]float64
	for _, r := range runs {
		into := rows
		if r.contender == howdah {
			into = rows[r.loops-1 : r.loops]
			medians[r.loops] = r.tps.median()
		}
		for _, w := range into {
			for _, tps := range r.tps {
				w.sample(r.contender, tps/1000)
			}
		}
		b.report.note("Pipelined %s, %v: the pooler kept %.2f cores busy, other programs %.2f, %.2f were idle; clients and backend together took %.0f %% of the pooler's CPU time, so two cores could do %.2f times the work of one.",
			l.name, r, r.cores.median(), r.alien.median(), r.idle.median(), 100*r.around.median(), min(2, 2/(1+r.around.median())))
	}
	if medians[1] > 0 {
		b.report.note("Pipelined %s: Howdah's second loop brought %.2f times the throughput of one.", l.name, medians[2]/medians[1])
	}
	b.report.note("Pipelined %s: %d clients of each tenant send %d transactions at a time to a backend inside this program that answers with ready-made bytes; every answer is compared. It shows how a pooler scales, not how fast ordinary clients are.",
		l.name, pipelineClients, l.depth)
}
