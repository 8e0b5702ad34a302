package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"howdah/admin"
	"howdah/admin/fleet"
	"howdah/admin/page"
	"howdah/backup/store"
	"howdah/provision/quota"
	"howdah/router"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire"
)

func newServeCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve -c howdah.toml",
		Short: "Run the daemon",
		Long: "Serve runs the pooler, its console and the HTTP door in the foreground.\n\n" +
			"HUP reads the configuration again, TERM finishes running transactions and stops, INT stops at once.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := newDaemon(path, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "howdah.toml", "configuration file")
	return cmd
}

// daemon is a running `howdah serve`.
type daemon struct {
	path     string
	log      *slog.Logger
	level    *slog.LevelVar
	registry *tenants.Registry
	router   *router.Server
	console  *admin.Console
	started  time.Time
	end      chan admin.ShutdownMode

	reloading sync.Mutex        // one reload at a time; guards the next three
	contents  *catalog.Contents // of the catalog, as used last; nil for none
	refused   *catalog.Contents // what it holds now, if that could not be used; else nil
	reviewed  bool              // the catalog was to be reviewed when it was seen last

	backups backupsWatch
	exports exportsWatch

	cached bool                        // the catalog's contents were read from its cache; static
	fleet  atomic.Pointer[fleet.Fleet] // nil without the catalog
	webTLS atomic.Pointer[tls.Config]  // nil for HTTP in clear text

	mu     sync.Mutex // guards what follows
	config *Config
}

func newDaemon(path string, stderr io.Writer) (*daemon, error) {
	config, err := LoadConfig(path)
	if err != nil {
		return nil, err
	}
	level := new(slog.LevelVar)
	level.Set(config.Server.LogLevel)
	d := &daemon{
		path: path, level: level,
		log:     slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
		started: time.Now(), end: make(chan admin.ShutdownMode, 1),
	}
	if config, err = d.readCache(config); err != nil {
		return nil, err
	}
	snapshot, err := config.Snapshot()
	if err != nil {
		return nil, err
	}
	d.config, d.registry = config, tenants.NewRegistry(snapshot)
	rc, err := d.routerConfig(config)
	if err != nil {
		return nil, err
	}
	webTLS, err := adminTLS(&config.Admin)
	if err != nil {
		return nil, err
	}
	d.webTLS.Store(webTLS)
	if d.router, err = router.New(rc, d.registry); err != nil {
		return nil, err
	}
	debug.FreeOSMemory() // to read a hundred thousand tenants takes twice what they need afterwards
	d.console = d.newConsole()
	d.router.Handle(d.console.Serve, admin.DatabaseHowdah, admin.DatabasePgBouncer)
	d.router.HandleCancel(d.console.Cancel)
	if config.Catalog.URL != "" {
		d.router.HandleDatabases(router.DatabaseDoor{May: d.mayChangeDatabase, Follow: d.followDatabase, Vacate: d.vacateDatabase})
	}
	return d, nil
}

// routerConfig returns what of c concerns the router.
func (d *daemon) routerConfig(c *Config) (router.Config, error) {
	l, s := &c.Listen, &c.Server
	rc := router.Config{
		Loops: s.Loops, RequireTLS: l.TLSMode == "require", AuthType: l.AuthType, HBA: c.HBA, Maps: c.Maps, ProxyFrom: l.proxies(),
		LoginFailures: l.LoginFailuresPerAddress, TenantFailures: l.LoginFailuresPerTenant, CancelFailures: l.CancelFailuresPerAddress,
		LoginTimeout: s.ClientLoginTimeout, MaxClientConn: s.MaxClientConn, MaxPacketSize: int(s.MaxPacketSize),
		UserTimeout: s.TCPUserTimeout, Log: d.log, ListenKeep: s.ListenKeep, FilterNotifications: s.ListenFilter,
		TopStatements: s.TopStatements, TopStatementTime: s.TopStatementTime,
		KeepAlive: net.KeepAliveConfig{
			Enable: s.TCPKeepalive, Idle: orSystems(s.TCPKeepidle), Interval: orSystems(s.TCPKeepintvl), Count: orSystems(s.TCPKeepcnt),
		},
	}
	if c.MasterKey != nil {
		rc.OpenKey = c.MasterKey.Open
	}
	if l.TLSMode == "disable" {
		return rc, nil
	}
	cert, err := wire.LoadCertificate(l.TLSCertFile, l.TLSKeyFile)
	if err != nil {
		return rc, err
	}
	authorities, err := readAuthorities(l.TLSCAFile)
	if err != nil {
		return rc, err
	}
	rc.TLS = wire.ServerTLS(cert, authorities)
	return rc, nil
}

// orSystems turns 0, which the configuration has for the system's own value,
// into what net has for it.
func orSystems[T time.Duration | int](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

func (d *daemon) newConsole() *admin.Console {
	port, _ := strconv.Atoi(firstPort(d.config.Listen.Addresses))
	return &admin.Console{
		Pooler: d.router, Port: port, Log: d.log,
		Roles: func(user string) admin.Role {
			c := d.current()
			return admin.RoleOf(user, c.Admin.Users, c.Admin.StatsUsers)
		},
		Settings:   d.settings,
		SetSetting: d.set,
		Reload:     d.reload,
		Shutdown: func(mode admin.ShutdownMode) {
			select {
			case d.end <- mode:
			default: // it is ending already
			}
		},
		Backups: d.clusterBackups,

		TenantBackups: d.tenantBackups,
		Info:          d.info,
		Users:         d.users,
		Registry:      d.registry,
		Fleet:         d.theFleet,
	}
}

func (d *daemon) current() *Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

func (d *daemon) settings() (rows []admin.Setting) {
	for _, s := range d.current().Settings() {
		rows = append(rows, admin.Setting(s))
	}
	return rows
}

func (d *daemon) users() (rows []admin.User) {
	for _, u := range d.current().Users {
		rows = append(rows, userRow(&u))
	}
	return rows
}

// userRow is a user's row of SHOW USERS.
func userRow(u *tenants.User) admin.User {
	l := u.Limits.Over(tenants.Limits{})
	return admin.User{Name: u.Name, MaxConnections: l.MaxUserConnections, MaxClientConn: l.MaxUserClientConn}
}

// info returns the rows of SHOW HOWDAH.
func (d *daemon) info() [][2]string {
	node, _ := os.Hostname()
	path, _ := filepath.Abs(d.path)
	return [][2]string{
		{"version", version},
		{"pid", strconv.Itoa(os.Getpid())},
		{"node", node},
		{"loops", strconv.Itoa(d.router.Stats().Loops)},
		{"uptime", time.Since(d.started).Round(time.Second).String()},
		{"config_file", path},
	}
}

// reload reads the configuration again. What is wrong with it, or cannot
// change while running, is said, and then nothing changes.
func (d *daemon) reload() error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	next, err := LoadConfig(d.path)
	if err != nil {
		return err
	}
	if next, err = d.withContents(next); err != nil {
		return err
	}
	if fixed := d.current().Diff(next); len(fixed) > 0 {
		return fmt.Errorf("cannot change while running: %s; restart Howdah, or undo it in %q", oneOf(fixed), d.path)
	}
	if err := d.apply(next); err != nil {
		return err
	}
	d.log.Info("configuration reloaded", "file", d.path)
	return nil
}

// set changes one setting until the next reload, which takes the file's again.
func (d *daemon) set(key, value string) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	next, err := d.current().With(key, value)
	if err != nil {
		return err
	}
	return d.apply(next)
}

// apply has next in force from now on, or changes nothing.
func (d *daemon) apply(next *Config) error {
	before := d.current()
	if before.MasterKey.Is(next.MasterKey) {
		next.MasterKey = before.MasterKey // which has opened much already
	}
	next.keepStores(before)
	snapshot, err := next.Snapshot()
	if err != nil {
		return err
	}
	rc, err := d.routerConfig(next)
	if err != nil {
		return err
	}
	webTLS, err := adminTLS(&next.Admin)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.config = next
	d.mu.Unlock()
	d.webTLS.Store(webTLS)
	d.level.Set(next.Server.LogLevel)
	d.router.Configure(rc)
	d.registry.Replace(snapshot)
	d.router.Reload()
	d.sayUnopened()
	return nil
}

func (d *daemon) sayUnopened() {
	if err := d.unopened(); err != nil {
		d.log.Error("managed tenants cannot be served", "error", err)
	}
}

// unopened is an error where the master key does not open the secrets of managed users.
func (d *daemon) unopened() error {
	key, n, example := d.current().MasterKey, 0, ""
	for u := range d.registry.Snapshot().Users() {
		if len(u.ServerKeys) > 0 && !slices.ContainsFunc(u.ServerKeys, key.Opens) {
			n, example = n+1, u.Name
		}
	}
	switch {
	case n == 0:
		return nil
	case key == nil:
		return fmt.Errorf("%d users are managed, %q for one, and there is no master key: copy another node's to this one and give [catalog] master_key_file", n, example)
	}
	return fmt.Errorf("of %d managed users, %q for one, the secret was sealed with an identity that is not in master_key_file: copy another node's to this one", n, example)
}

// run serves until a signal or the console ends it.
func (d *daemon) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	raiseFileLimit(d.log)
	d.sayUnopened()

	listeners, err := listen(&d.config.Listen, d.config.SocketPath())
	if err != nil {
		d.router.Close()
		return err
	}
	var serving sync.WaitGroup
	for _, l := range listeners {
		d.log.Info("listening", "address", l.Addr().String())
		serving.Go(func() { d.router.Serve(l) })
	}
	web, err := d.serveWeb(ctx, &serving)
	if err != nil {
		d.router.Close()
		return err
	}
	if err := d.serveWALDoor(ctx, &serving); err != nil {
		d.router.Close()
		return err
	}
	serving.Go(func() { d.console.Run(ctx) })
	watch := quota.Watch{Registry: d.registry, Tell: d.router.SetUsage, Log: d.log}
	serving.Go(func() { watch.Run(ctx) })
	serving.Go(func() { d.receiveWAL(ctx) })
	serving.Go(func() { d.watchBackups(ctx) })
	serving.Go(func() { d.watchExports(ctx) })
	if c := d.config.Catalog; c.URL != "" {
		serving.Go(func() { d.followCatalog(ctx, c) })
	}
	err = d.wait(ctx, signals, web)
	cancel()
	serving.Wait()
	return err
}

// serveWeb starts the HTTP door. What it fails with later comes by the channel.
func (d *daemon) serveWeb(ctx context.Context, serving *sync.WaitGroup) (<-chan error, error) {
	failed := make(chan error, 1)
	if d.config.Admin.HTTP == "" {
		return failed, nil
	}
	l, err := net.Listen("tcp", d.config.Admin.HTTP)
	if err != nil {
		return nil, fmt.Errorf("open the HTTP door: %w", err)
	}
	d.log.Info("listening", "http", l.Addr().String())
	api := d.api()
	w := &admin.Web{API: api, Page: page.Handler(), Guard: api.Guard, Ready: d.ready, Registry: admin.NewRegistry(d.router, version), TLS: d.webTLS.Load, Log: d.log}
	top := func() int { return d.current().Admin.MetricsTenants }
	admin.RegisterTenants(w.Registry, d.router, top)
	admin.RegisterStores(w.Registry, func() map[string]store.MeterStats { return d.current().storeStats() })
	admin.RegisterBackups(w.Registry, d.clusterBackups)
	admin.RegisterTenantBackups(w.Registry, func() []admin.TenantBackups { return d.tenantBackups("") }, top)
	serving.Go(func() { failed <- w.Serve(ctx, l) })
	return failed, nil
}

// wait acts on signals until one ends the daemon.
func (d *daemon) wait(ctx context.Context, signals <-chan os.Signal, web <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return d.drain(signals, 0)
		case err := <-web:
			d.router.Close()
			return err
		case mode := <-d.end:
			d.log.Info("shutting down", "asked_by", "console", "mode", string(mode))
			switch mode {
			case admin.ShutdownNow:
				d.router.Close()
				return nil
			case admin.ShutdownWaitForServers:
				return d.drain(signals, d.current().Server.DrainTimeout)
			}
			return d.waitForClients(signals)
		case s := <-signals:
			switch s {
			case syscall.SIGHUP:
				if err := d.reload(); err != nil {
					d.log.Error("configuration not reloaded; the running one stays", "error", err)
				}
			case syscall.SIGTERM:
				d.log.Info("draining", "signal", s.String())
				return d.drain(signals, d.current().Server.DrainTimeout)
			default:
				d.log.Info("stopping", "signal", s.String())
				d.router.Close()
				return nil
			}
		}
	}
}

// drain lets transactions finish for as long as timeout says (0 means for
// ever), or until INT or a second TERM.
func (d *daemon) drain(signals <-chan os.Signal, timeout time.Duration) error {
	ctx, cancel := context.WithCancel(context.Background())
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), timeout)
	}
	defer cancel()
	go stopOn(ctx, signals, cancel)
	if err := d.router.Shutdown(ctx); err != nil {
		d.log.Warn("drain cut short", "error", err)
	}
	return nil
}

// stopOn calls stop at the first signal that does not just ask for a reload.
func stopOn(ctx context.Context, signals <-chan os.Signal, stop func()) {
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGHUP {
				stop()
			}
		case <-ctx.Done():
			return
		}
	}
}

// waitForClients accepts nobody and waits until the last client has left.
func (d *daemon) waitForClients(signals <-chan os.Signal) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go stopOn(ctx, signals, stop)
	if err := d.router.WaitForClients(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// raiseFileLimit asks for as many file descriptors as the system lets us have.
func raiseFileLimit(log *slog.Logger) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		log.Warn("cannot raise the limit of open files", "error", err, "limit", limit.Cur)
	}
}
