package fleet_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/fleet"
	"howdah/router"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// door puts a router in front of a pair, in place of the one that only remembers, and
// returns its address.
func (p *pair) door() string {
	t := p.t
	servers := []*postgres.Server{p.server, p.other}
	snap := func(entries []catalog.Entry) *tenants.Snapshot {
		var clusters []tenants.Cluster
		for i, name := range []string{"main", "other"} {
			clusters = append(clusters, tenants.Cluster{Name: name, AdminURL: p.admins[i], Members: []tenants.Member{{Address: servers[i].Address()}}})
		}
		var all []tenants.Tenant
		var users []tenants.User
		for _, e := range entries {
			switch s := e.Settings; e.Kind {
			case catalog.Tenant:
				all = append(all, tenants.Tenant{
					ID: e.ID, Name: e.Name, Cluster: s.Text("cluster"), Database: s.Text("database"), User: s.Text("user"),
					Limits: tenants.Limits{PoolSize: 6, QueryWaitTimeout: patience, ServerConnectTimeout: patience, ServerLoginRetry: 50 * time.Millisecond, MaxPreparedStatements: 200, Weight: 1},
				})
			case catalog.User:
				users = append(users, userOf(&e))
			}
		}
		made, err := tenants.NewSnapshot(clusters, nil, all, users)
		if err != nil {
			t.Error(err)
		}
		return made
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	registry := tenants.NewRegistry(snap(nil))
	r, err := router.New(router.Config{Loops: 1, AuthType: "scram-sha-256", LoginTimeout: patience, Log: log}, registry)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	holder := &fleet.Holder{Catalog: p.catalog, Pooler: r, Node: "door", Log: log}
	p.fleet, err = fleet.New(ctx, "door", fleet.Config{
		Catalog: p.catalog, Registry: registry, Log: log, MasterKey: p.key.Load, Check: func([]catalog.Entry) error { return nil },
		Stepped: p.stepped,
	})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Serve(l); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		p.catalog.Follow(ctx, log, catalog.Follower{
			Node: "door", Version: "test",
			Use:  func(now *catalog.Contents) { registry.Replace(snap(now.Entries)); r.Reload() },
			Held: func(holds []catalog.Hold) { holder.Use(ctx, holds) },
		})
	})
	t.Cleanup(func() { cancel(); r.Close(); running.Wait() })
	return l.Addr().String()
}

// pgbench runs PostgreSQL's benchmark as acme.
func pgbench(ctx context.Context, tools postgres.Binaries, address, password string, args ...string) *exec.Cmd {
	host, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(ctx, tools.Path("pgbench"), append([]string{"-h", host, "-p", port, "-U", "acme"}, append(args, "acme")...)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	return cmd
}

// clock measures for how long a client was kept waiting, at most.
type clock struct {
	rows    int
	longest time.Duration
	err     error
}

// write inserts rows into tables without a key, with sequences, until ctx ends, and keeps
// a session with settings and a prepared statement.
func (c *clock) write(ctx context.Context, url string) {
	conn, err := pgx.Connect(context.WithoutCancel(ctx), url)
	if err != nil {
		c.err = err
		return
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), "set application_name = 'mine'"); err != nil {
		c.err = err
		return
	}
	for ctx.Err() == nil {
		begun := time.Now()
		var name string
		c.err = conn.QueryRow(context.Background(), "insert into load (n, t) values ($1, 'x') returning current_setting('application_name')", c.rows).Scan(&name)
		if c.err == nil {
			_, c.err = conn.Exec(context.Background(), "update load set t = t || 'y' where n = $1", c.rows)
		}
		if c.err == nil && name != "mine" {
			c.err = fmt.Errorf("the session's setting is %q", name)
		}
		if c.err != nil {
			return
		}
		c.rows++
		c.longest = max(c.longest, time.Since(begun))
	}
}

// load are clients of acme at work, through a router.
type load struct {
	writer  clock
	running sync.WaitGroup
	stop    context.CancelFunc
	out     []byte // of pgbench
	failed  error  // pgbench
}

// underLoad makes acme, with more beside what its clients use, and has them work.
func (p *pair) underLoad(more string) *load {
	p.t.Helper()
	address := p.door()
	p.run()
	made := p.create("acme")
	tools := wiretest.FindPostgres(p.t)
	if out, err := pgbench(p.t.Context(), tools, p.server.Address(), made.Password, "-i", "-q").CombinedOutput(); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	as(p.t, p.server, "acme", made.Password, "create table load (s serial, n int, t text); "+more)
	l := &load{}
	ctx, stop := context.WithCancel(p.t.Context())
	l.stop = stop
	p.t.Cleanup(func() { stop(); l.running.Wait() })
	host, port, _ := net.SplitHostPort(address)
	l.running.Go(func() {
		l.writer.write(ctx, fmt.Sprintf("host=%s port=%s user=acme dbname=acme password=%s sslmode=disable", host, port, made.Password))
	})
	l.running.Go(func() {
		l.out, l.failed = pgbench(context.WithoutCancel(ctx), tools, address, made.Password, "-n", "-c", "6", "-T", "8", "-M", "prepared").CombinedOutput()
	})
	time.Sleep(500 * time.Millisecond) // the load is on; nothing is proved by it
	return l
}

// processed matches how many transactions pgbench says that it has done.
var processed = regexp.MustCompile(`transactions actually processed: (\d+)`)

// end waits until the writer has written more, and pgbench is through. No client has met an
// error, and what pgbench has done is at the server; how many transactions, it returns.
func (l *load) end(t *testing.T, at *postgres.Server) (transactions string) {
	t.Helper()
	then := value(t, at, "acme", "select count(*)::text from load")
	for end := time.Now().Add(patience); value(t, at, "acme", "select (count(*) > "+then+")::text from load") != "true"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the writer does not go on")
		}
	}
	l.stop()
	l.running.Wait()
	if l.failed != nil || l.writer.err != nil {
		t.Fatalf("pgbench: %v, the writer: %v\n%s", l.failed, l.writer.err, l.out)
	}
	done := processed.FindSubmatch(l.out)
	if done == nil {
		t.Fatalf("pgbench says\n%s", l.out)
	}
	if got := value(t, at, "acme", "select count(*)::text from pgbench_history"); got != string(done[1]) {
		t.Errorf("pgbench has done %s transactions, and %s are there", done[1], got)
	}
	return string(done[1])
}

// A tenant under load moves there and back, and no client meets an error. All that was
// committed is at the target, and nothing was written at the source behind the move.
func TestMoveUnderLoad(t *testing.T) {
	p := newPair(t)
	l := p.underLoad("create table big (n int); insert into big select generate_series(1, 200000); select lo_from_bytea(0, 'x') from generate_series(1, 20)")
	o := p.await(p.start("other", fleet.Replicate), catalog.Done)
	transactions := l.end(t, p.other)
	const balance = "select concat_ws(' ', (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches), (select sum(delta) from pgbench_history))"
	delta := value(t, p.other, "acme", "select sum(delta)::text from pgbench_history")
	if got := value(t, p.other, "acme", balance); got != fmt.Sprint(delta, " ", delta, " ", delta, " ", delta) {
		t.Errorf("balances are %s", got)
	}
	if got := value(t, p.other, "acme", "select concat_ws(' ', count(*), count(distinct s), count(distinct n), min(t), max(t)) from load"); got != fmt.Sprintf("%d %d %d xy xy", l.writer.rows, l.writer.rows, l.writer.rows) {
		t.Errorf("the writer has written %d rows, and there is %s", l.writer.rows, got)
	}
	if got := left(t, p.server); got != "howdah_drop_"+o.ID+" | acme |" {
		t.Errorf("at the source there is %s", got)
	}
	t.Logf("moved under %s transactions of pgbench; the writer waited for %v at most", transactions, l.writer.longest)
}
