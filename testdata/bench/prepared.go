package main

import (
	"context"
	"fmt"
	"time"
)

// The load of the section: each client has prepared all statements and runs one
// of them at a time, whichever.
const (
	preparedClients    = 64
	preparedStatements = 200
	preparedKept       = 300 // per server: all of them, and room
)

// runPrepared takes interleaved runs of both poolers, with clients that prepare
// before the time runs.
func (b *bench) runPrepared(ctx context.Context) error {
	statements, err := makeStatements(preparedStatements)
	if err != nil {
		return err
	}
	l := &preparedLoad{statements: statements, rows: 100000 * b.scale}
	what := fmt.Sprintf("%d prepared statements at random, %d clients", preparedStatements, preparedClients)
	throughput := b.report.add("tps, "+what, ratioAtLeast(1))
	cpu := b.report.addCPU("pooler CPU µs per transaction, "+what, ratioAtMost(1.10))
	alone, err := l.connect(ctx, b.database.server.URL(tenant, password, tenant))
	if err != nil {
		return err
	}
	defer alone.leave()
	var poolers []*pooler
	var crowds []*preparedCrowd
	for _, c := range b.poolers {
		if c == bouncer && !b.programs.pgbouncer.knowsPrepared() {
			continue
		}
		p, crowd, err := b.startPrepared(ctx, c, l)
		if err != nil {
			return err
		}
		defer p.stop()
		defer crowd.leave()
		poolers, crowds = append(poolers, p), append(crowds, crowd)
	}
	length := time.Duration(b.seconds) * time.Second
	for pair := range b.pairs {
		for i, p := range poolers {
			o, err := crowds[i].run(ctx, p.child.PID(), length)
			if err != nil {
				return p.explain(err)
			}
			throughput.sample(p.contender, o.tps)
			cpu.sample(p.contender, o)
			b.say("%s, %v: %.0f tps, %.1f µs", what, p.contender, o.tps, o.micros(o.cpu.total()))
		}
		if pair%2 == 0 {
			o, err := alone.run(ctx, 0, length)
			if err != nil {
				return err
			}
			throughput.sample(direct, o.tps)
		}
	}
	return nil
}

// startPrepared starts a pooler that keeps all statements, logs the clients in
// and has all servers learn the statements.
func (b *bench) startPrepared(ctx context.Context, c contender, l *preparedLoad) (*pooler, *preparedCrowd, error) {
	settings := b.overDatabase()
	settings.statements = preparedKept
	p, err := b.startPooler(ctx, c, settings)
	if err != nil {
		return nil, nil, err
	}
	crowd, err := l.connect(ctx, p.url(tenant))
	if err != nil {
		p.stop()
		return nil, nil, p.explain(err)
	}
	if _, err := crowd.run(ctx, 0, time.Duration(max(1, b.warmup))*time.Second); err != nil {
		crowd.leave()
		p.stop()
		return nil, nil, p.explain(err)
	}
	return p, crowd, nil
}
