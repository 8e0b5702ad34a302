package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// splitLoad is a load of which no transaction may run at the standby, though each
// is looked at whether it could.
type splitLoad struct {
	load
	what   string
	maxLag time.Duration
}

// runSplit measures what it costs to decide where a transaction runs: one Howdah for
// each read_split, in short windows in turn, with loads that all stay at the primary.
// The row of each has throughput or CPU as a multiple of that of "off".
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

// side is one Howdah of the comparison, with a pgbench of its own that is stopped
// except while it is measured.
type side struct {
	split   string
	pooler  *pooler
	console *pgconn.PgConn
	load    *exec.Cmd
	output  bytes.Buffer
	done    chan error
	tps     series
	cpu     series // µs per transaction
}

// sides are what is compared: "off" a second time shows how much two that are the same
// come out apart.
func sides() []*side {
	return []*side{{split: "off"}, {split: "off"}, {split: "declared"}, {split: "auto"}}
}

// Each side is measured in windows, one behind the other, so that what else the
// machine does is in all of them alike. Before each it runs for a moment.
const (
	window     = 400 * time.Millisecond
	windowLead = 100 * time.Millisecond
)

func (b *bench) runSplitLoad(ctx context.Context, standby *database, l *splitLoad) error {
	all := sides()
	for _, s := range all {
		if err := s.start(ctx, b, standby, l); err != nil {
			return err
		}
		defer s.stop()
	}
	rounds := max(2, int(time.Duration(b.pairs*b.seconds)*time.Second/window))
	for round := range rounds {
		for n := range all {
			s := all[(round+n)%len(all)] // nobody always comes behind the same
			if err := s.measure(ctx, round > 0); err != nil {
				return s.pooler.explain(fmt.Errorf("read_split = %s: %w", s.split, err))
			}
		}
	}
	for _, s := range all {
		found, err := s.pooler.standbys(ctx)
		if err != nil {
			return err
		}
		if found["started"] > 0 {
			return errors.New("transactions ran at the standby")
		}
	}
	b.reportSplit(l, all)
	return nil
}

// start starts the side's Howdah and its pgbench, and stops that.
func (s *side) start(ctx context.Context, b *bench, standby *database, l *splitLoad) (err error) {
	if s.pooler, err = b.startSplit(ctx, standby, splitSettings{split: s.split, maxLag: l.maxLag}); err != nil {
		return err
	}
	if s.console, err = pgconn.Connect(ctx, poolerURL(s.pooler.port, tenant, "howdah")); err != nil {
		return s.pooler.explain(err)
	}
	s.load = b.pgbenchCommand(ctx, s.pooler.port, l.load, "-T", "3600")
	s.load.Stdout, s.load.Stderr = &s.output, &s.output
	if err := s.load.Start(); err != nil {
		return err
	}
	s.done = make(chan error, 1)
	go func() { s.done <- s.load.Wait() }()
	time.Sleep(time.Duration(max(1, b.warmup)) * time.Second)
	return s.load.Process.Signal(syscall.SIGSTOP)
}

func (s *side) stop() {
	if s.done != nil {
		_ = s.load.Process.Kill()
		<-s.done
	}
	if s.console != nil {
		_ = s.console.Close(context.Background())
	}
	if s.pooler != nil {
		s.pooler.stop()
	}
}

// measure has the side's pgbench run for one window.
func (s *side) measure(ctx context.Context, counts bool) error {
	if err := s.load.Process.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	time.Sleep(windowLead)
	before, err := s.count(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	time.Sleep(window)
	after, err := s.count(ctx)
	if err != nil {
		return err
	}
	took := time.Since(begun)
	if err := s.load.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	select {
	case err := <-s.done:
		s.done = nil
		return fmt.Errorf("pgbench ended: %w\n%s", err, lastLines(s.output.String()))
	default:
	}
	n := after.transactions - before.transactions
	if n == 0 {
		return errors.New("no transaction in a window")
	}
	if counts {
		s.tps = append(s.tps, float64(n)/took.Seconds())
		s.cpu = append(s.cpu, float64(after.cpu-before.cpu)/float64(time.Microsecond)/float64(n))
	}
	return nil
}

// counters are what a Howdah has done so far.
type counters struct {
	transactions int64
	cpu          time.Duration
}

func (s *side) count(ctx context.Context) (c counters, err error) {
	if c.cpu, err = readRuntime(s.pooler.child.PID()); err != nil {
		return c, err
	}
	results, err := s.console.Exec(ctx, "SHOW STATS").ReadAll()
	if err != nil {
		return c, err
	}
	for _, result := range results {
		for _, row := range result.Rows {
			for i, column := range result.FieldDescriptions {
				if column.Name == "total_xact_count" && string(row[0]) == tenant {
					c.transactions, err = strconv.ParseInt(string(row[i]), 10, 64)
				}
			}
		}
	}
	return c, err
}

// reportSplit has a row of "off", and one of each other's multiple of it in the
// windows of one round.
func (b *bench) reportSplit(l *splitLoad, all []*side) {
	for _, f := range []struct {
		name   string
		target target
		of     func(*side) series
	}{
		{"tps", aloneAtLeast(0.97), func(s *side) series { return s.tps }},
		{"CPU µs per transaction", aloneAtMost(1.03), func(s *side) series { return s.cpu }},
	} {
		first, again := f.of(all[0]), f.of(all[1])
		row := b.report.add(fmt.Sprintf("%s, %s, %v, read_split = off", f.name, l.what, l.load), target{})
		off := make(series, len(first)) // of both together
		for round := range off {
			off[round] = (first[round] + again[round]) / 2
			row.sample(howdah, off[round])
		}
		b.reportTimes("the second off, times the first", again.dividedBy(first), target{})
		for _, s := range all[2:] {
			b.reportTimes(s.split+", times that", f.of(s).dividedBy(off), f.target)
		}
	}
}

// reportTimes has a row of multiples, one of each round, without those of rounds in
// which something else disturbed one side more than the other.
func (b *bench) reportTimes(what string, times series, t target) {
	row := b.report.add(fmt.Sprintf("– %s (middle half of %d rounds)", what, len(times)), t)
	for _, x := range times.middleHalf() {
		row.sample(howdah, x)
	}
}
