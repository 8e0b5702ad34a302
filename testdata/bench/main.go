package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2) //nolint:gocritic // nothing is left for the deferred stop
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	pairs    int
	seconds  int
	warmup   int    // seconds
	idle     [2]int // clients between which memory is measured
	scale    int    // of pgbench -i
	poolers  []contender
	only     []string
	pgBindir string
	howdah   string // path of the binary
	keep     bool
}

// sections are the words -only takes, in the order they run.
func sections() []string {
	return []string{"tps", "cpu", "logins", "tls", "odoo", "prepared200", "syscalls", "loops", "memory"}
}

// tenantSections are the words that -tenants takes instead.
func tenantSections() []string { return []string{"fair", "moving", "flood", "known"} }

// standbySections are the words that -standbys takes instead.
func standbySections() []string { return []string{"share", "split"} }

// apiSections are the words that -api takes instead.
func apiSections() []string { return []string{"api"} }

// adminSections are the words that -admin takes instead.
func adminSections() []string { return []string{"create", "churn", "holds", "neighbours"} }

// backupSections are the words that -backup takes instead.
func backupSections() []string { return []string{"wal", "base", "restore", "slow", "age"} }

func (o options) wants(section string) bool { return slices.Contains(o.only, section) }

func (o options) measures(c contender) bool { return slices.Contains(o.poolers, c) }

func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{warmup: 1, idle: [2]int{1000, 11000}, scale: 10}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.IntVar(&o.pairs, "pairs", 5, "interleaved runs of each pooler; medians are printed")
	flags.IntVar(&o.seconds, "seconds", 5, "length of one run")
	flags.StringVar(&o.howdah, "howdah", "bin/howdah", "the binary to measure")
	flags.StringVar(&o.pgBindir, "pg-bindir", "", "folder of PostgreSQL's programs; default the newest installed")
	flags.BoolVar(&o.keep, "keep", false, "keep the temporary folder with configurations and logs")
	quick := flags.Bool("quick", false, "one short pair of each: shows that it works, measures nothing")
	many := flags.Bool("tenants", false, "measure many tenants on few servers: "+strings.Join(tenantSections(), ","))
	standbys := flags.Bool("standbys", false, "measure Howdah in front of a primary with a standby: "+strings.Join(standbySections(), ","))
	api := flags.Bool("api", false, "measure reads of the HTTP API")
	admin := flags.Bool("admin", false, "measure what is done to tenants: "+strings.Join(adminSections(), ","))
	backup := flags.Bool("backup", false, "measure what is stored and restored: "+strings.Join(backupSections(), ","))
	only := flags.String("only", "", "sections to run, of "+strings.Join(sections(), ",")+", or with -tenants, -standbys, -admin or -backup of their own; default all")
	poolers := flags.String("poolers", "pgbouncer,howdah", "poolers to run")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		o.pairs, o.seconds, o.warmup, o.scale, o.idle = 1, 1, 0, 1, [2]int{100, 1100}
	}
	if o.pairs < 1 || o.seconds < 1 || flags.NArg() > 0 {
		return o, fmt.Errorf("-pairs and -seconds must be positive, and nothing follows the flags: %q", flags.Args())
	}
	var err error
	known := sections()
	switch {
	case *many:
		known = tenantSections()
	case *standbys:
		known, *poolers = standbySections(), "howdah" // PgBouncer has nothing like it
	case *api:
		known, *poolers = apiSections(), "howdah"
	case *admin:
		known, *poolers = adminSections(), "howdah"
	case *backup:
		known, *poolers = backupSections(), "howdah"
	}
	if o.only, err = chooseSections(*only, known); err != nil {
		return o, err
	}
	for _, name := range strings.Split(*poolers, ",") {
		c, ok := map[string]contender{"pgbouncer": bouncer, "howdah": howdah}[name]
		if !ok {
			return o, fmt.Errorf("-poolers %q: choose from pgbouncer,howdah", name)
		}
		o.poolers = append(o.poolers, c)
	}
	return o, nil
}

// chooseSections reads -only; "" is all.
func chooseSections(only string, known []string) ([]string, error) {
	if only == "" {
		return known, nil
	}
	chosen := strings.Split(only, ",")
	for _, name := range chosen {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-only %q: sections are %s", name, strings.Join(known, ","))
		}
	}
	return chosen, nil
}

// bench is one run of this program.
type bench struct {
	options
	programs programs
	dir      string // temporary, everyone may enter
	database *database
	cert     certificate
	report   *report
	progress io.Writer
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parseOptions(args, progress)
	if err != nil {
		return err
	}
	b := &bench{options: o, progress: progress, report: &report{}}
	if b.programs, err = findPrograms(ctx, o); err != nil {
		return err
	}
	if err := raiseOpenFiles(uint64(o.idle[1] + 1000)); err != nil {
		return err
	}
	if b.dir, err = makeTempDir(); err != nil {
		return err
	}
	defer func() {
		if o.keep {
			fmt.Fprintln(progress, "kept", b.dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(b.dir))
	}()
	if b.cert, err = makeCertificate(b.dir); err != nil {
		return err
	}
	if b.database, err = startDatabase(ctx, b.programs, b.dir, o.scale); err != nil {
		return err
	}
	defer b.database.stop()
	b.report.machine = describeMachine(ctx, b)
	err = b.runSections(ctx)
	if ctx.Err() != nil {
		err = errors.New("interrupted; the table has what was done")
	}
	return errors.Join(err, b.report.print(out))
}

// runSections goes on after a failed section, but not after Ctrl-C.
func (b *bench) runSections(ctx context.Context) error {
	if b.measures(bouncer) && !b.programs.pgbouncer.knowsPrepared() {
		b.report.note("%v knows no prepared statements under transaction pooling; 1.21 and later do.", b.programs.pgbouncer)
	}
	var failed []error
	for _, section := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"pgbench", b.runCases},
		{"odoo", b.runOdoo},
		{"prepared200", b.runPrepared},
		{"syscalls", b.runSyscalls},
		{"loops", b.runLoops},
		{"memory", b.runMemory},
		{"fair", b.runFair},
		{"moving", b.runMoving},
		{"flood", b.runFlood},
		{"known", b.runKnown},
		{"standbys", b.runStandbys},
		{"api", b.runAPI},
		{"admin", b.runAdmin},
		{"backup", b.runBackup},
	} {
		looksItself := section.name == "pgbench" || section.name == "standbys" || section.name == "admin" || section.name == "backup"
		if !looksItself && !b.wants(section.name) {
			continue
		}
		if err := section.run(ctx); err != nil {
			err = fmt.Errorf("section %s: %w", section.name, err)
			if ctx.Err() == nil {
				fmt.Fprintln(b.progress, err)
			}
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// say writes one line of progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, format+"\n", args...)
}
