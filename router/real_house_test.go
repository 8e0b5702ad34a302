package router_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/router"
	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// The tests in the files named real_* run clients through a router on a real
// PostgreSQL. A house is that PostgreSQL with the tenants acme and globex; a
// door is a router in front of it, of one test's own. They do not run beside
// each other, so that what a test leaves behind can be seen.

// patience is how long anything may take that should happen.
const patience = 20 * time.Second

// secret is every tenant's password.
const secret = "correct horse, battery 'staple'"

type house struct {
	*postgres.Server
	users []tenants.User
	keys  map[string]*wire.ScramKeys // by user, so that logins need not hash
}

func startHouse(t *testing.T, options ...wiretest.PostgresOption) *house {
	t.Helper()
	return houseOf(t, wiretest.StartPostgres(t, options...))
}

// houseOf is startHouse with a server of one's own.
func houseOf(t *testing.T, server *postgres.Server) *house {
	t.Helper()
	h := &house{Server: server, keys: map[string]*wire.ScramKeys{}}
	for _, name := range []string{"acme", "globex"} {
		wiretest.CreateTenant(t, h.Server, name, secret)
		h.users = append(h.users, tenants.User{Name: name, Verifier: wiretest.Verifier(t, h.Server, name)})
		e := dial(t, wire.DialConfig{
			Address: h.Address(), Secret: wire.Secret{Password: secret},
			Parameters: []wire.Parameter{{Name: "user", Value: name}, {Name: "database", Value: name}},
		})
		h.keys[name] = e.Keys
		e.Conn.Close()
	}
	return h
}

// sql runs statements as superuser, past the router.
func (h *house) sql(t *testing.T, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.Exec(ctx, "acme", statements...); err != nil {
		t.Fatal(err)
	}
}

// ask returns the one value of a query as superuser, past the router.
func ask[T any](t *testing.T, h *house, query string, args ...any) (value T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.QueryRow(ctx, "acme", query, args, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// backends counts the tenants' backends.
func (h *house) backends(t *testing.T) int {
	t.Helper()
	return ask[int](t, h, "select count(*) from pg_stat_activity where usename in ('acme', 'globex')")
}

// setup is what a test may change about its door.
type setup struct {
	config  router.Config
	cluster tenants.Cluster
	others  []tenants.Cluster
	tenants []tenants.Tenant
	users   []tenants.User
}

// limits changes the limits of all tenants.
func limits(change func(*tenants.Limits)) func(*setup) {
	return func(s *setup) {
		for i := range s.tenants {
			change(&s.tenants[i].Limits)
		}
	}
}

func poolSize(n int) func(*setup) {
	return limits(func(l *tenants.Limits) { l.PoolSize = n })
}

func poolMode(m tenants.PoolMode) func(*setup) {
	return limits(func(l *tenants.Limits) { l.PoolMode = m })
}

func (s *setup) snapshot(t *testing.T) *tenants.Snapshot {
	t.Helper()
	snapshot, err := tenants.NewSnapshot(append([]tenants.Cluster{s.cluster}, s.others...), nil, s.tenants, s.users)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

type door struct {
	*router.Server
	house    *house
	setup    setup
	registry *tenants.Registry
	address  string
	log      *logBuffer
}

// open starts a router. With the test's end it is closed, and must leave
// nothing behind: no goroutine, no descriptor, no backend.
func (h *house) open(t *testing.T, changes ...func(*setup)) *door {
	t.Helper()
	d := &door{house: h, log: &logBuffer{}, setup: setup{
		cluster: tenants.Cluster{Name: "main", Members: []tenants.Member{{Address: h.Address()}}},
		users:   h.users,
		config: router.Config{
			Loops: 2, AuthType: "scram-sha-256", LoginTimeout: patience,
			KeepAlive: net.KeepAliveConfig{Enable: true},
		},
	}}
	d.setup.config.Log = slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, name := range []string{"acme", "globex"} {
		d.setup.tenants = append(d.setup.tenants, tenants.Tenant{
			Name: name, Cluster: "main", Database: name, User: name,
			Limits: tenants.Limits{
				PoolSize: 5, QueryWaitTimeout: patience, ServerConnectTimeout: patience,
				ServerLoginRetry: 200 * time.Millisecond, MaxPreparedStatements: 200, Weight: 1,
			},
		})
	}
	for _, change := range changes {
		change(&d.setup)
	}
	before := countDescriptors(t)
	goroutines := runtime.NumGoroutine()
	d.registry = tenants.NewRegistry(d.setup.snapshot(t))
	var err error
	if d.Server, err = router.New(d.setup.config, d.registry); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.address = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- d.Serve(l) }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("pools: %+v\nservers: %+v\nclients: %+v", d.Stats().Pools, d.Servers(), d.Clients())
		}
		d.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve returned %v", err)
		}
		d.checkLeftovers(t, before, goroutines)
		if t.Failed() {
			t.Logf("the router's log:\n%s", d.log.tail())
		}
	})
	return d
}

func (d *door) checkLeftovers(t *testing.T, descriptors, goroutines int) {
	t.Helper()
	var now int
	if !poll(func() bool { now = countDescriptors(t); return now <= descriptors }) {
		t.Errorf("%d descriptors are open, %d were before the router", now, descriptors)
	}
	if !poll(func() bool { now = runtime.NumGoroutine(); return now <= goroutines }) {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d were before the router:\n%s", now, goroutines, stacks[:runtime.Stack(stacks, true)])
	}
	if !poll(func() bool { now = d.house.backends(t); return now == 0 }) {
		t.Errorf("%d backends are left", now)
	}
}

// countDescriptors counts the process's sockets, files and the like.
func countDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// reload gives the door another registry.
func (d *door) reload(t *testing.T, change func(*setup)) {
	t.Helper()
	change(&d.setup)
	d.Configure(d.setup.config)
	d.registry.Replace(d.setup.snapshot(t))
	d.Reload()
}

// pool returns the numbers of a tenant's pool, none where there is no pool.
func (d *door) pool(tenant string) router.PoolStats {
	for _, p := range d.Stats().Pools {
		if p.Database == tenant {
			return p
		}
	}
	return router.PoolStats{}
}

// await waits until acme's pool is as wanted.
func (d *door) await(t *testing.T, what string, wanted func(router.PoolStats) bool) {
	t.Helper()
	var last router.PoolStats
	if !poll(func() bool { last = d.pool("acme"); return wanted(last) }) {
		t.Fatalf("no pool with %s in %v: %+v", what, patience, last)
	}
}

// atRest waits until no client is left and every server is idle, or gone.
func (d *door) atRest(t *testing.T) {
	t.Helper()
	var last router.Stats
	if !poll(func() bool {
		last = d.Stats()
		busy := last.Clients
		for _, p := range last.Pools {
			busy += p.ServersActive + p.ServersTested + p.ServersLogin + p.ServersBeingClosed + p.ClientsWaiting
		}
		return busy == 0
	}) {
		t.Fatalf("not at rest after %v: %+v", patience, last)
	}
	var busy int
	if !poll(func() bool {
		busy = ask[int](t, d.house, `select count(*) from pg_stat_activity
			where usename in ('acme', 'globex') and state <> 'idle'`)
		return busy == 0
	}) {
		t.Fatalf("%d backends are not idle", busy)
	}
}

// poll waits until ready says so.
func poll(ready func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ready() {
			return true
		}
	}
	return ready()
}

// config is a pgx configuration that logs in to a tenant through the door.
func (d *door) config(t *testing.T, tenant string) *pgx.ConnConfig {
	t.Helper()
	host, port, _ := net.SplitHostPort(d.address)
	c, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable", host, port, tenant, tenant))
	if err != nil {
		t.Fatal(err)
	}
	c.Password = secret
	return c
}

// connect logs a pgx client in to acme. It is closed with the test.
func (d *door) connect(t *testing.T, changes ...func(*pgx.ConnConfig)) *pgx.Conn {
	t.Helper()
	c := d.config(t, "acme")
	for _, change := range changes {
		change(c)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// do runs a statement that must succeed.
func do(t *testing.T, c *pgx.Conn, sql string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := c.Exec(ctx, sql, args...); err != nil {
		t.Fatalf("%.60s: %v", sql, err)
	}
}

// get returns the one value of a query.
func get[T any](t *testing.T, c *pgx.Conn, sql string, args ...any) (value T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.QueryRow(ctx, sql, args...).Scan(&value); err != nil {
		t.Fatalf("%.60s: %v", sql, err)
	}
	return value
}

// soakTime is how long a test named Soak runs: HOWDAH_SOAK, or short.
func soakTime(t *testing.T, short time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("HOWDAH_SOAK")
	if text == "" {
		return short
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("HOWDAH_SOAK: %v", err)
	}
	return d
}

// logBuffer keeps what a router logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) tail() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	return text[max(0, len(text)-6000):]
}

// lines returns the lines that match a pattern.
func (b *logBuffer) lines(pattern string) (found []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	re := regexp.MustCompile(pattern)
	for line := range strings.Lines(b.text.String()) {
		if re.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}
