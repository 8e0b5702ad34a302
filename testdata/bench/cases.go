package main

import (
	"context"
	"fmt"
	"strconv"
)

// pgbenchCase is a load and the rows its runs fill; a nil row is not wanted.
type pgbenchCase struct {
	load
	throughput *row
	cpu        *cpuRows
}

// pgbenchCases adds the rows to the report in the order they are printed: all
// throughputs, then CPU, logins, TLS.
func (b *bench) pgbenchCases() []*pgbenchCase {
	var cases []*pgbenchCase
	for _, mode := range []string{"simple", "extended", "prepared"} {
		for _, clients := range []int{1, 8, 64} {
			if b.wants("tps") || b.wants("cpu") && clients == 64 {
				cases = append(cases, &pgbenchCase{load: load{mode: mode, clients: clients}})
			}
		}
	}
	if b.wants("tps") {
		for _, c := range cases {
			c.throughput = b.report.add(fmt.Sprintf("tps, %v", c.load), throughputTarget(c.load))
		}
	}
	if b.wants("cpu") {
		for _, c := range cases {
			if c.clients == 64 {
				b.addCPU(c, "transaction", ratioAtMost(1.10))
			}
		}
	}
	if b.wants("logins") {
		c := &pgbenchCase{load: load{mode: "simple", clients: 8, reconnect: true}}
		c.throughput = b.report.add(fmt.Sprintf("SCRAM logins per second, %v", c.load), ratioAtLeast(1))
		b.addCPU(c, "login", target{})
		cases = append(cases, c)
	}
	if b.wants("tls") {
		for _, mode := range []string{"simple", "prepared"} {
			c := &pgbenchCase{load: load{mode: mode, clients: 64, tls: true}}
			c.throughput = b.report.add(fmt.Sprintf("tps, %v", c.load), target{})
			b.addCPU(c, "transaction", target{})
			cases = append(cases, c)
		}
	}
	return cases
}

func (b *bench) addCPU(c *pgbenchCase, per string, t target) {
	c.cpu = b.report.addCPU(fmt.Sprintf("pooler CPU µs per %s, %v", per, c.load), t)
}

func throughputTarget(l load) target {
	if l.clients == 64 && l.mode != "extended" {
		return ratioAtLeast(1)
	}
	return target{}
}

// runCases keeps both poolers running and takes each case's runs in turn.
func (b *bench) runCases(ctx context.Context) error {
	cases := b.pgbenchCases()
	if len(cases) == 0 {
		return nil
	}
	var poolers []*pooler
	for _, c := range b.poolers {
		p, err := b.startPooler(ctx, c, b.overDatabase())
		if err != nil {
			return err
		}
		defer p.stop()
		poolers = append(poolers, p)
	}
	for _, c := range cases {
		if err := b.runCase(ctx, c, poolers); err != nil {
			return fmt.Errorf("pgbench -S %v: %w", c.load, err)
		}
	}
	return nil
}

// runCase takes -pairs runs of each pooler, and of PostgreSQL alone every other
// time.
func (b *bench) runCase(ctx context.Context, c *pgbenchCase, poolers []*pooler) error {
	for _, p := range poolers {
		if !b.can(p, c) || b.warmup == 0 {
			continue
		}
		if _, err := b.pgbench(ctx, p.port, 0, c.load, "-T", strconv.Itoa(b.warmup)); err != nil {
			return p.explain(err)
		}
	}
	for pair := range b.pairs {
		for _, p := range poolers {
			if !b.can(p, c) {
				continue
			}
			o, err := b.pgbench(ctx, p.port, p.child.PID(), c.load, "-T", strconv.Itoa(b.seconds))
			if err != nil {
				return p.explain(err)
			}
			c.take(p.contender, o)
			b.say("%v, %v: %.0f tps, %.1f µs", c.load, p.contender, o.tps, o.micros(o.cpu.total()))
		}
		if pair%2 == 0 && c.throughput != nil && !c.tls {
			o, err := b.pgbench(ctx, b.database.server.Port(), 0, c.load, "-T", strconv.Itoa(b.seconds))
			if err != nil {
				return err
			}
			c.take(direct, o)
		}
	}
	return nil
}

// can says whether the pooler knows the case at all.
func (b *bench) can(p *pooler, c *pgbenchCase) bool {
	return p.contender != bouncer || c.mode != "prepared" || b.programs.pgbouncer.knowsPrepared()
}

func (c *pgbenchCase) take(who contender, o outcome) {
	if c.throughput != nil {
		c.throughput.sample(who, o.tps)
	}
	if c.cpu != nil && who != direct {
		c.cpu.sample(who, o)
	}
}
