package admin

import (
	"context"
	"crypto/subtle"
	"iter"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"howdah/admin/fleet"
	"howdah/router"
	"howdah/tenants"
	"howdah/wire"
)

// Pooler is what the console needs of router.Server.
type Pooler interface {
	Stats() router.Stats
	Databases() []router.DatabaseStats
	Clients() []router.ConnStats
	Servers() []router.ConnStats
	Budgets() []router.BudgetRow
	Standbys() []router.StandbyRow
	Blame() []router.BlameRow

	// Tenants returns the tenants whose names are wanted, Top the slow
	// statements of one tenant or of all (""), TenantStats what the tenants in
	// use did, by name, and the sum of what all others did.
	Tenants(wanted func(name string) bool) iter.Seq[router.TenantRow]
	Top(tenant string) []router.StatementStats
	TenantStats() (used map[string]*router.TenantStats, gone router.TenantStats)
	// Usage returns how those tenants stand to their quotas that have one, by name.
	Usage() map[string]tenants.Usage

	// Of the following, "" is all databases, and one that the router does not
	// know is router.ErrNotFound. What does not fit the state is one of router's
	// other errors.

	// Pause holds new transactions and returns when no server is left, or with
	// ctx's error; then it stays paused. Resume undoes it, Kill and Suspend.
	Pause(ctx context.Context, database string) error
	Resume(database string) error
	// Kill closes clients and servers at once and pauses.
	Kill(database string) error
	// Reconnect has servers replaced once they are released; WaitClose returns
	// when those that were so marked are gone, or with ctx's error.
	Reconnect(database string) error
	WaitClose(ctx context.Context, database string) error
	// Disable has new clients refused, or with false taken again.
	Disable(database string, disabled bool) error
	// Suspend stops listening to everybody and returns when all is written, or
	// with ctx's error; then it stays suspended.
	Suspend(ctx context.Context) error
	// KillClient closes the client that Clients shows with this ID, or returns
	// router.ErrNotFound.
	KillClient(id uint64) error
}

// Names of the virtual databases that open the console.
const (
	DatabaseHowdah    = "howdah"
	DatabasePgBouncer = "pgbouncer"
)

// consoleName is database and user of the row that stands for the console itself
// in POOLS, STATS and DATABASES. Dashboards filter this name out.
const consoleName = DatabasePgBouncer

// Setting is one row of SHOW CONFIG.
type Setting struct {
	Key, Value, Default string
	Changeable          bool // by RELOAD, without a restart
}

// User is one row of SHOW USERS: a role that may log in. Connections are counted
// by the console.
type User struct {
	Name           string
	PoolMode       string // "" = the database's
	MaxConnections int    // servers; 0 = no limit
	MaxClientConn  int    // 0 = no limit
}

// ShutdownMode says what a shutdown waits for.
type ShutdownMode string

// The shutdown modes, in the words of the SHUTDOWN command.
const (
	ShutdownNow            ShutdownMode = ""
	ShutdownWaitForServers ShutdownMode = "WAIT_FOR_SERVERS" // finish transactions
	ShutdownWaitForClients ShutdownMode = "WAIT_FOR_CLIENTS" // until the last client leaves by itself
)

// Console answers PgBouncer's console commands. Set the exported fields before
// the first Serve; a nil function is something this Howdah cannot do, and the
// command says so. All functions may be called from many goroutines at once.
type Console struct {
	Pooler

	Roles    func(user string) Role // nil: only trusted peers are let in
	Registry *tenants.Registry      // for SHOW CLUSTERS and TIERS; nil: none
	// Fleet returns who does what is done to tenants, or why there is nobody; nil: there
	// is no catalog.
	Fleet      func() (*fleet.Fleet, error)
	Settings   func() []Setting
	SetSetting func(key, value string) error
	Reload     func() error
	Shutdown   func(ShutdownMode)      // must not wait: it runs on a console's session
	Backups    func() []ClusterBackups // by name; nil: there is no store
	// TenantBackups returns those of a tenant, or of all ("") by name; nil: there is no store.
	TenantBackups func(tenant string) []TenantBackups
	Info          func() [][2]string // key and value rows of SHOW HOWDAH
	Users         func() []User      // besides those that Stats tells of
	Port          int                // that clients connect to, for SHOW DATABASES
	Period        time.Duration      // of averages; 0 = one minute, PgBouncer's stats_period
	Log           *slog.Logger       // gets one line per command that changes something; nil = none

	commands, queryTime, received, sent atomic.Uint64 // of the console's own clients
	averages                            averages

	mu       sync.Mutex
	sessions map[int64]*session // guarded by mu
	last     int64              // ID of the newest session, guarded by mu
}

// Serve talks to one client that has been authenticated and told so, until it
// leaves or ctx ends, and closes conn.
func (c *Console) Serve(ctx context.Context, conn net.Conn, login router.VirtualLogin) {
	defer conn.Close()
	s := newSession(c, conn, login)
	if s.role == RoleNone {
		s.fatal(&wire.Error{
			Code:    wire.CodeInvalidAuthorization,
			Message: "user \"" + login.User + "\" may not use the console",
			Hint:    "Name the user in users or stats_users of [admin] in the configuration.",
		})
		return
	}
	c.add(s)
	defer c.remove(s)
	s.serve(ctx)
}

// Cancel interrupts what the session with this key is waiting for: PAUSE and
// SUSPEND, which are undone, or WAIT_CLOSE. It reports whether the key is one of
// the console's.
func (c *Console) Cancel(key wire.Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sessions {
		if s.key.PID == key.PID && subtle.ConstantTimeCompare(s.key.Secret, key.Secret) == 1 {
			s.interrupt()
			return true
		}
	}
	return false
}

// Run keeps the samples that averages are made of, until ctx ends. Without it
// the averages are those since the start.
func (c *Console) Run(ctx context.Context) {
	period := c.Period
	if period <= 0 {
		period = time.Minute
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.averages.sample(time.Now(), c.countersByDatabase(c.Stats().Pools))
		}
	}
}

func (c *Console) add(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions == nil {
		c.sessions = make(map[int64]*session)
	}
	c.last++
	// Negative, so that it is none of the router's IDs.
	s.id = -c.last
	c.sessions[s.id] = s
}

func (c *Console) remove(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s.id)
}

// kill ends the console session of that ID, if there is one.
func (c *Console) kill(id int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.sessions[id]
	if ok {
		s.conn.Close()
	}
	return ok
}

// counters are those of the console's own clients. Every command counts as a
// transaction, as PgBouncer counts them.
func (c *Console) counters() router.Counters {
	n := c.commands.Load()
	t := c.queryTime.Load()
	return router.Counters{
		Transactions: n, Queries: n, TxTime: t, QueryTime: t,
		Received: c.received.Load(), Sent: c.sent.Load(),
	}
}
