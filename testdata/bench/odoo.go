package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The load of the section: what Odoo's worker does with a cursor, again and
// again, and far more workers than servers.
const (
	odooClients = 32
	odooServers = 4
)

// odooScript is one round for pgbench. Every line without a backslash is a Query
// message whose answer is waited for, as psycopg2 sends them. The pause is what
// the application does between two of them.
func odooScript(accounts int, pause time.Duration) string {
	var text strings.Builder
	for _, name := range []string{"first", "second", "third"} {
		fmt.Fprintf(&text, "\\set %s random(1, %d)\n", name, accounts)
	}
	for _, sql := range []string{
		"discard all",
		"begin isolation level repeatable read",
		"select aid, bid, abalance, filler from pgbench_accounts where aid = :first",
		"select aid, bid, abalance, filler from pgbench_accounts where aid = :second",
		"select aid, bid, abalance, filler from pgbench_accounts where aid = :third",
		"commit",
	} {
		fmt.Fprintf(&text, "%s;\n", sql)
		if pause > 0 {
			fmt.Fprintf(&text, "\\sleep %d us\n", pause.Microseconds())
		}
	}
	return text.String()
}

// odooCase is the load at one pace and the rows its runs fill.
type odooCase struct {
	load
	name             string
	throughput, held *row
	cpu              *cpuRows // nil if not wanted
}

// odooCases adds the rows to the report. Without pauses the machine is the
// limit, with them the servers are, as in most places where a pooler runs.
func (b *bench) odooCases() ([]*odooCase, error) {
	var cases []*odooCase
	for _, pause := range []time.Duration{0, time.Millisecond} {
		c := &odooCase{name: "Odoo's round", load: load{
			mode: "simple", clients: odooClients, script: filepath.Join(b.dir, fmt.Sprintf("odoo-%v.sql", pause)),
		}}
		if pause > 0 {
			c.name += fmt.Sprintf(", %v between messages", pause)
		}
		if err := os.WriteFile(c.script, []byte(odooScript(100000*b.scale, pause)), 0o644); err != nil {
			return nil, err
		}
		c.throughput = b.report.add(fmt.Sprintf("rounds per second, %s, %d clients, %d servers", c.name, odooClients, odooServers), ratioAtLeast(1.3))
		c.held = b.report.add("µs that a server is held, "+c.name, target{})
		if pause == 0 {
			c.cpu = b.report.addCPU("pooler CPU µs, "+c.name, target{})
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// runOdoo takes interleaved runs at equal servers, then counts round trips.
func (b *bench) runOdoo(ctx context.Context) error {
	cases, err := b.odooCases()
	if err != nil {
		return err
	}
	settings := b.overDatabase()
	settings.servers = odooServers
	var poolers []*pooler
	for _, c := range b.poolers {
		p, err := b.startPooler(ctx, c, settings)
		if err != nil {
			return err
		}
		defer p.stop()
		poolers = append(poolers, p)
	}
	for _, c := range cases {
		if err := b.runOdooCase(ctx, c, poolers); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	b.report.note("Odoo's round is DISCARD ALL, BEGIN ISOLATION LEVEL REPEATABLE READ, three SELECTs by primary key, COMMIT: six Query messages, each sent when the answer to the one before is there. PostgreSQL alone has a server per client.")
	b.report.note("How long servers are held is total_xact_time of SHOW STATS, for PgBouncer less its total_wait_time: its transactions begin when the client asks, not when it gets a server.")
	return b.reportTrips(ctx, settings, cases[0].load)
}

// runOdooCase takes -pairs runs of each pooler, and of PostgreSQL alone every
// other time.
func (b *bench) runOdooCase(ctx context.Context, c *odooCase, poolers []*pooler) error {
	for _, p := range poolers {
		if _, err := b.pgbench(ctx, p.port, 0, c.load, "-t", "10"); err != nil { // so that all servers are there
			return p.explain(err)
		}
	}
	for pair := range b.pairs {
		for _, p := range poolers {
			if err := b.takeOdoo(ctx, p, c); err != nil {
				return p.explain(err)
			}
		}
		if pair%2 == 0 {
			o, err := b.pgbench(ctx, b.database.server.Port(), 0, c.load, "-T", strconv.Itoa(b.seconds))
			if err != nil {
				return err
			}
			c.throughput.sample(direct, o.tps)
		}
	}
	return nil
}

// takeOdoo does one run through a pooler.
func (b *bench) takeOdoo(ctx context.Context, p *pooler, c *odooCase) error {
	before, err := p.heldTime(ctx)
	if err != nil {
		return err
	}
	o, err := b.pgbench(ctx, p.port, p.child.PID(), c.load, "-T", strconv.Itoa(b.seconds))
	if err != nil {
		return err
	}
	after, err := p.heldTime(ctx)
	if err != nil {
		return err
	}
	held := o.micros(after - before)
	c.throughput.sample(p.contender, o.tps)
	c.held.sample(p.contender, held)
	if c.cpu != nil {
		c.cpu.sample(p.contender, o)
	}
	b.say("%s, %v: %.0f per second, servers held %.0f µs", c.name, p.contender, o.tps, held)
	return nil
}

// reportTrips counts each pooler's round trips to its servers.
func (b *bench) reportTrips(ctx context.Context, s poolerSettings, l load) error {
	figure := b.report.add("server round trips, Odoo's round", valueAtMost(4))
	b.report.note("A server round trip is a time in which PostgreSQL owes an answer: what is sent together makes one. A proxy before PostgreSQL counts them in a run apart.")
	for _, c := range b.poolers {
		trips, err := b.countTrips(ctx, c, s, l)
		if err != nil {
			return fmt.Errorf("count round trips of %v: %w", c, err)
		}
		figure.sample(c, trips)
		b.say("Odoo's round, %v: %.3f server round trips", c, trips)
	}
	return nil
}

// countTrips runs the load through a fresh pooler before a counting proxy. What
// its servers' logins cost is done before it counts.
func (b *bench) countTrips(ctx context.Context, c contender, s poolerSettings, l load) (float64, error) {
	proxy, err := startTripProxy(s.backend)
	if err != nil {
		return 0, err
	}
	defer proxy.stop()
	s.backend = proxy.port()
	p, err := b.startPooler(ctx, c, s)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	if _, err := b.pgbench(ctx, p.port, 0, l, "-t", "20"); err != nil {
		return 0, p.explain(err)
	}
	before := proxy.trips.Load()
	o, err := b.pgbench(ctx, p.port, 0, l, "-t", "100")
	if err != nil {
		return 0, p.explain(err)
	}
	return float64(proxy.trips.Load()-before) / float64(o.transactions), nil
}
