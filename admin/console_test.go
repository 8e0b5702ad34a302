package admin_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/admin"
	"howdah/pool"
	"howdah/router"
	"howdah/router/members"
	"howdah/tenants"
	"howdah/wire"
)

// fakePooler is a router.Server that has exactly what the test says.
type fakePooler struct {
	mu        sync.Mutex
	stats     router.Stats
	databases []router.DatabaseStats
	clients   []router.ConnStats
	servers   []router.ConnStats
	tenants   []router.TenantRow
	top       []router.StatementStats
	used      []router.TenantStats
	gone      router.TenantStats
	usage     map[string]tenants.Usage
	calls     []string // of what changes something
	trouble   error    // what every change is refused with

	waiting chan string // if not nil: what may wait tells it, then waits for its context
}

func (f *fakePooler) Stats() router.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

func (f *fakePooler) Databases() []router.DatabaseStats { return f.databases }
func (f *fakePooler) Clients() []router.ConnStats       { return f.clients }
func (f *fakePooler) Servers() []router.ConnStats       { return f.servers }

func (f *fakePooler) Budgets() []router.BudgetRow {
	return []router.BudgetRow{{Cluster: "main", BudgetStats: pool.BudgetStats{Seats: 50, Used: 12, Waiting: 2, Moved: 7}}}
}

func (f *fakePooler) Standbys() []router.StandbyRow {
	return []router.StandbyRow{
		{Cluster: "main", Row: members.Row{Address: "db1:5432", Role: members.Primary, Timeline: 3, Behind: -1, Lag: -1}},
		{Cluster: "main", Row: members.Row{Address: "db2:5432", Role: members.Standby, Timeline: 3, Since: time.Minute, Behind: 70 * time.Millisecond, Lag: 8192, Running: 2, Started: 40}},
		{Cluster: "main", Row: members.Row{Address: "db3:5432", Behind: -1, Lag: -1, Ejected: "connection refused"}},
	}
}

func (f *fakePooler) Usage() map[string]tenants.Usage { return f.usage }

func (f *fakePooler) Blame() []router.BlameRow {
	return []router.BlameRow{{Cluster: "main", Tenant: "acme", Because: "globex", Waited: 1500 * time.Millisecond}}
}

func (f *fakePooler) Pause(ctx context.Context, database string) error {
	return f.wait(ctx, "pause", database)
}

func (f *fakePooler) WaitClose(ctx context.Context, database string) error {
	return f.wait(ctx, "wait", database)
}

func (f *fakePooler) Suspend(ctx context.Context) error { return f.wait(ctx, "suspend", "") }

func (f *fakePooler) Resume(database string) error    { return f.act("resume", database) }
func (f *fakePooler) Kill(database string) error      { return f.act("kill", database) }
func (f *fakePooler) Reconnect(database string) error { return f.act("reconnect", database) }

func (f *fakePooler) Disable(database string, disabled bool) error {
	if disabled {
		return f.act("disable", database)
	}
	return f.act("enable", database)
}

// act notes what it is told. Errors are the test's, or that there is no such
// database.
func (f *fakePooler) act(what, database string) error {
	f.called(what + " " + database)
	f.mu.Lock()
	defer f.mu.Unlock()
	if database == "nosuch" {
		return fmt.Errorf("%w: database %q", router.ErrNotFound, database)
	}
	return f.trouble
}

func (f *fakePooler) wait(ctx context.Context, what, database string) error {
	err := f.act(what, database)
	if f.waiting != nil {
		f.waiting <- what + " " + database
		<-ctx.Done()
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	return err
}

func (f *fakePooler) setTrouble(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trouble = err
}

func (f *fakePooler) KillClient(id uint64) error {
	if id != 7 {
		return fmt.Errorf("%w: client %d", router.ErrNotFound, id)
	}
	f.called("kill_client 7")
	return nil
}

func (f *fakePooler) called(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, what)
}

func (f *fakePooler) history() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.calls...)
}

func (f *fakePooler) setStats(change func(*router.Stats)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.stats)
}

// The roles of the tests' users. The user "peer" comes in as a trusted peer.
func testRoles(user string) admin.Role {
	return admin.RoleOf(user, []string{"boss", "both"}, []string{"watcher", "both"})
}

// consoleServer does for a Console what the router does: startup and
// AuthenticationOk.
type consoleServer struct {
	console *admin.Console
	addr    *net.TCPAddr
	stop    context.CancelFunc // ends all sessions
	wait    func()             // for the sessions to be over
}

func startConsole(t *testing.T, c *admin.Console) *consoleServer {
	t.Helper()
	if c.Pooler == nil {
		c.Pooler = &fakePooler{}
	}
	if c.Roles == nil {
		c.Roles = testRoles
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for n := uint32(1); ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { serveLikeRouter(ctx, c, conn, n) })
		}
	})
	s := &consoleServer{console: c, addr: l.Addr().(*net.TCPAddr), stop: cancel, wait: sessions.Wait}
	t.Cleanup(func() {
		cancel()
		l.Close()
		sessions.Wait()
	})
	return s
}

func serveLikeRouter(ctx context.Context, c *admin.Console, conn net.Conn, n uint32) {
	for {
		start, err := wire.ReadStartup(conn)
		if err != nil {
			conn.Close()
			return
		}
		switch start.Kind {
		case wire.StartTLS, wire.StartGSS:
			conn.Write([]byte{'N'})
		case wire.StartCancel:
			c.Cancel(start.Key)
			conn.Close()
			return
		default:
			conn.Write(wire.AppendAuthentication(nil, wire.AuthOK, nil))
			user := start.Parameter("user")
			c.Serve(ctx, conn, router.VirtualLogin{
				User: user, Database: start.Parameter("database"), Parameters: start.Parameters,
				Key: wire.Key{PID: n, Secret: []byte{1, 2, 3, byte(n)}}, Trusted: user == "peer",
			})
			return
		}
	}
}

// connect logs in as user to one of the console's databases.
func (s *consoleServer) connect(t *testing.T, user, database string) *pgconn.PgConn {
	t.Helper()
	conn, err := s.tryConnect(user, database)
	if err != nil {
		t.Fatalf("connect as %s: %v", user, err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (s *consoleServer) tryConnect(user, database string) (*pgconn.PgConn, error) {
	cfg, err := pgconn.ParseConfig("sslmode=disable host=127.0.0.1")
	if err != nil {
		return nil, err
	}
	cfg.Port, cfg.User, cfg.Database = uint16(s.addr.Port), user, database
	// lib/pq sends this one always.
	cfg.RuntimeParams = map[string]string{"extra_float_digits": "2", "application_name": "test"}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return pgconn.ConnectConfig(ctx, cfg)
}

// ask runs one simple query.
func ask(conn *pgconn.PgConn, text string) ([]*pgconn.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return conn.Exec(ctx, text).ReadAll()
}

// rows returns the rows of a SHOW as texts; NULL is "<null>".
func rows(t *testing.T, conn *pgconn.PgConn, text string) [][]string {
	t.Helper()
	results, err := ask(conn, text)
	if err != nil || len(results) != 1 {
		t.Fatalf("%s: %d results, error %v", text, len(results), err)
	}
	var out [][]string
	for _, r := range results[0].Rows {
		row := make([]string, len(r))
		for i, v := range r {
			if row[i] = string(v); v == nil {
				row[i] = "<null>"
			}
		}
		out = append(out, row)
	}
	return out
}

// wantCode checks that err is a PostgreSQL error with that SQLSTATE and returns
// it.
func wantCode(t *testing.T, err error, code string) *pgconn.PgError {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got error %v, want SQLSTATE %s", err, code)
	}
	return e
}

// The router's server fits the console, and the console fits the router.
var (
	_ admin.Pooler   = (*router.Server)(nil)
	_ router.Handler = (*admin.Console)(nil).Serve
)
