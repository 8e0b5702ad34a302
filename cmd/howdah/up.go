package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"howdah/wire/postgres"
)

// upOptions are the flags of `howdah up`.
type upOptions struct {
	dir   string
	ports upPorts
	given func(flag string) bool // whether the flag was on the command line
}

func newUpCommand() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run PostgreSQL, a standby and Howdah on this machine",
		Long: `Run everything on this machine, to try Howdah out: a PostgreSQL primary, a
streaming standby, two tenants (acme and globex) and Howdah in front of them.

All of it lives in one folder. The first start makes it and prints how to log
in; later starts find their data there. Ctrl-C stops everything. The folder's
howdah.toml is written once and is yours to edit.

PostgreSQL's own programs must be installed. As root they run as the OS user
postgres, otherwise as you. No other PostgreSQL on the machine is touched.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.given = cmd.Flags().Changed
			return runUp(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".howdah", "folder for data, configuration, secrets and logs")
	f.IntVar(&o.ports.pooler, "port", 6432, "port of the pooler, on 127.0.0.1")
	f.IntVar(&o.ports.http, "http-port", 8432, "port of the admin HTTP API and page, on 127.0.0.1")
	f.IntVar(&o.ports.primary, "primary-port", 5442, "port of the primary, on 127.0.0.1")
	f.IntVar(&o.ports.standby, "standby-port", 5443, "port of the standby, on 127.0.0.1")
	return cmd
}

// runUp runs everything until ctx ends or a signal asks to stop. To be asked to
// stop is success, at whatever moment.
func runUp(ctx context.Context, out io.Writer, o upOptions) error {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup stays nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, cancel := signal.NotifyContext(ctx, signals...)
	defer cancel()

	u, err := newUp(out, o)
	if err != nil {
		return err
	}
	defer u.unlock()
	started := time.Now()
	err = u.start(ctx)
	if err == nil {
		u.supervise(ctx, started)
	}
	u.stop()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// up is one run of `howdah up`.
type up struct {
	// static after newUp
	out      *upPrinter
	folder   upFolder
	ports    upPorts
	web      string // the scheme of the HTTP side
	first    bool   // there is no howdah.toml yet
	binaries postgres.Binaries
	unlock   func()

	// set by start, one after another
	primary *postgres.Server
	standby *postgres.Server
	serve   *serveProcess
	tenants []upUser // with passwords, when this run made them
}

// newUp finds out what to run where. It starts nothing.
func newUp(out io.Writer, o upOptions) (*up, error) {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return nil, fmt.Errorf("find folder %q: %w", o.dir, err)
	}
	u := &up{out: &upPrinter{w: out}, folder: upFolder(dir), ports: o.ports, web: "http"}
	if err := u.folder.make(); err != nil {
		return nil, err
	}
	if u.unlock, err = u.folder.lock(); err != nil {
		return nil, err
	}
	if err := u.prepare(o); err != nil {
		u.unlock()
		return nil, err
	}
	return u, nil
}

func (u *up) prepare(o upOptions) error {
	_, err := os.Stat(u.folder.config())
	u.first = errors.Is(err, os.ErrNotExist)
	if !u.first {
		cfg, err := LoadConfig(u.folder.config())
		if err != nil {
			return err
		}
		if u.ports, err = portsOf(cfg); err != nil {
			return err
		}
		u.web, _, _ = strings.Cut(cfg.Admin.URL(), ":")
		if err := o.ports.agree(u.ports, o.given, u.folder.config()); err != nil {
			return err
		}
	}
	if u.binaries, err = postgres.Find(postgres.DataVersion(u.folder.primary())); err != nil {
		return err
	}
	closed, err := postgres.ClosedParent(u.folder.primary())
	if err != nil {
		return err
	}
	if closed != "" {
		u.out.say("%s is closed to others, so PostgreSQL gets the capability CAP_DAC_READ_SEARCH to reach its data there; --dir with a folder everyone may enter avoids that", closed)
	}
	return nil
}

// start brings everything up, in the order in which one needs the other.
func (u *up) start(ctx context.Context) error {
	sockets, err := postgres.MakeSocketDir(u.folder.run())
	if err != nil {
		return err
	}
	u.serve = newServeProcess(u.folder)
	if err := u.clearLeftovers(ctx, sockets); err != nil {
		return err
	}
	if err := u.ports.checkFree(u.first, u.folder.config()); err != nil {
		return err
	}
	if err := u.startPrimary(ctx, sockets); err != nil {
		return err
	}
	if err := u.startStandby(ctx, sockets); err != nil {
		return err
	}
	if u.first {
		if err := u.setUp(ctx); err != nil {
			return err
		}
	}
	return u.serve.Start(ctx)
}
