package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"howdah/pool"
	"howdah/router/members"
	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/loop"
)

// worker is one event loop with everything that lives on it: its tenants,
// their pools, and their clients. All of it belongs to the loop's thread.
type worker struct {
	server *Server
	index  int
	loop   *loop.Loop
	log    *slog.Logger

	shared    shared
	up, down  gather
	skeleton  []byte    // scratch
	parked    []*client // reads that wait for a standby, unless they have gone
	spareLine []*client // scratch
	parkTimer loop.Timer
	routes    map[routeKey]*route
	tenants   map[tenantKey]*tenant
	followed  *tenants.Snapshot // by whose names the routes go
	listeners map[databaseKey]*listener
	slots     []*client // by the number in their cancel key
	free      []uint32
	clients   int
	serial    uint32      // of the last client
	servers   uint64      // number of servers ever opened: their identities
	gone      TenantStats // of tenants whose entries were dropped, all together
	draining  bool
	suspended bool
}

// routeKey is what distinguishes routes on one worker.
type routeKey struct {
	tenant tenantKey
	user   string
}

// tenantKey tells tenants apart. The database "postgres" of each role is one
// of its own, so the name is not enough.
type tenantKey struct{ name, owner string }

func keyOf(t *tenants.Tenant) tenantKey { return tenantKey{t.Name, t.User} }

// route leads a tenant's user to its pool.
type route struct {
	w      *worker
	key    routeKey
	tenant *tenant
	pool   *pool.Pool
	member atomic.Pointer[member]

	source *tenants.Tenant // what limits are resolved from, and
	user   *tenants.User   // nil where the registry does not have the user
	limits *tenants.Limits // of the route's clients

	asks, told *rates // of queries and of bytes: the tenant's, or
	own        *rates // the user's; nil where it never had any
	waiting    int    // clients that wait, for a server or in line
	counted    bool   // its servers are, among their user's
	dropped    bool   // it is out of the books
	held       bool   // its cluster has no primary

	standbys []*standby     // that transactions have gone to
	reads    reads          // what may run there
	over     *overQuota     // its tenant cannot write, and the user is not exempt; else nil
	watch    *members.Watch // of the cluster; nil where it has one member
	database atomic.Pointer[database]
	ddlSeen  uint64 // ddl when it was last looked at

	identity atomic.Pointer[string] // of its tenant, if that is of the catalog: operations change its database; "" for none

	taint  taint
	ddl    uint64                      // commands seen that changed the database
	base   *vars                       // settings of a fresh server; nil until there was one
	logins map[string]*vars            // settings that logins asked for and a server accepted
	secret atomic.Pointer[wire.Secret] // of the last login, to open servers with

	counters Counters
	clients  int
	renewal  renewal
}

// tenant is what the clients of one database name share.
type tenant struct {
	w       *worker
	name    string
	key     tenantKey
	cluster string
	group   loop.Group
	limits  tenants.Limits
	source  *tenants.Tenant
	rates   rates
	times   Times
	gone    Counters // of routes that were dropped
	top     *top     // nil until a statement was slow
	clients int
	waiting int // of the clients, for a server or in line
	routes  int

	share     *pool.Share
	away      map[string]*pool.Share // of standbys' budgets, by address
	processes map[processKey]*process
}

func newWorker(s *Server, index int) (*worker, error) {
	l, err := loop.New()
	if err != nil {
		return nil, err
	}
	return &worker{
		server: s, index: index, loop: l, log: s.log,
		routes: map[routeKey]*route{}, tenants: map[tenantKey]*tenant{}, listeners: map[databaseKey]*listener{},
	}, nil
}

// tenantOf returns the tenant's entry, made or brought up to date.
func (w *worker) tenantOf(t *tenants.Tenant) *tenant {
	e := w.tenants[keyOf(t)]
	if e == nil {
		e = &tenant{w: w, name: t.Name, key: keyOf(t), rates: rates{w: w}}
		w.tenants[keyOf(t)] = e
	}
	if e.source != t {
		if e.cluster != t.Cluster {
			e.cluster, e.share, e.away = t.Cluster, nil, nil
		}
		e.source, e.limits = t, t.Limits
		e.joinBudget(w)
		e.rates.moved()
	}
	return e
}

// routeOf returns the way to the servers of t for user, made if need be.
func (w *worker) routeOf(t *tenants.Tenant, m *member, held bool, user string) *route {
	key := routeKey{keyOf(t), user}
	r := w.routes[key]
	if r != nil {
		r.update(t, m, held)
		return r
	}
	r = &route{w: w, key: key, tenant: w.tenantOf(t), logins: map[string]*vars{}}
	r.database.Store(w.server.enterDatabase(databaseKey{t.Cluster, t.Database}))
	r.setReads(t)
	r.watch = w.server.watchOf(t.Cluster)
	r.member.Store(m)
	r.setLimits(t, w.server.userOf(user))
	r.setQuota()
	r.openPool(m)
	w.server.countUser(r)
	r.counted = true
	r.tenant.routes++
	r.moveTo(m, held)
	w.routes[key] = r
	return r
}

// openPool gives the route a pool of servers at m.
func (r *route) openPool(m *member) {
	r.pool = pool.New(r.w.loop, &m.Member, poolConfig(r.limits), r, r, &r.tenant.group)
	r.pool.Join(r.tenant.share)
	if r.paused() {
		pause(r.pool)
	}
}

// update brings a route to what the registry says now.
func (r *route) update(t *tenants.Tenant, m *member, held bool) {
	if (databaseKey{t.Cluster, t.Database}) != r.databaseKey() {
		r.follow(t, m, held)
		return
	}
	if watch := r.w.server.watchOf(t.Cluster); r.watch != watch {
		r.watch = watch
		r.written() // perhaps, while it was not watched
		r.leaveStandbys()
	}
	if u := r.w.server.userOf(r.key.user); r.source != t || r.user != u {
		before := *r.limits
		r.setLimits(t, u)
		r.w.tenantOf(t)
		r.setReads(t)
		r.setQuota()
		if *r.limits != before {
			r.limitClients()
		}
		r.pool.SetConfig(poolConfig(r.limits))
		for _, s := range r.standbys {
			s.pool.SetConfig(standbyConfig(r.limits))
		}
	}
	r.moveTo(m, held)
}

func poolConfig(l *tenants.Limits) pool.Config {
	return pool.Config{
		PoolSize: l.PoolSize, MinPoolSize: l.MinPoolSize,
		ReservePoolSize: l.ReservePoolSize, ReservePoolTimeout: l.ReservePoolTimeout,
		QueryWaitTimeout: l.QueryWaitTimeout, ServerLifetime: l.ServerLifetime,
		ServerIdleTimeout: l.ServerIdleTimeout, ConnectTimeout: l.ServerConnectTimeout,
		LoginRetry: l.ServerLoginRetry, CheckDelay: l.ServerCheckDelay, CheckQuery: l.ServerCheckQuery,
		MaxUserConnections: l.MaxUserConnections,
	}
}

// Open implements pool.Opener.
func (r *route) Open(ctx context.Context) (*wire.Established, error) {
	m := r.member.Load()
	e, err := r.dial(ctx, m)
	var refusal *wire.Error
	if errors.As(err, &refusal) && refusal.Code == wire.CodeInvalidPassword {
		r.w.server.lookups.drop(lookupKey{r.databaseKey().cluster, r.key.user})
	}
	if err != nil {
		return nil, r.passing(err)
	}
	err = r.checkPrimary(ctx, m, e)
	if err == nil {
		err = r.checkOwner(ctx, e)
	}
	if err != nil {
		e.Conn.Close()
		return nil, fmt.Errorf("open server at %s: %w", m.Address, err)
	}
	return e, nil
}

// passing makes a refusal one that passes, where the database may be closed, or go by
// another name, because an operation is changing it and this node has not heard of it: the
// registry will say what is to become of it. Only tenants of the catalog are changed so,
// and whoever asks for a name that is no tenant's never comes here.
func (r *route) passing(err error) error {
	var refusal *wire.Error
	if *r.identity.Load() != "" && errors.As(err, &refusal) && (refusal.Code == wire.CodeObjectNotInState || refusal.Code == wire.CodeInvalidCatalogName) {
		return &pool.PassingError{Reason: err}
	}
	return err
}

// dial logs the route's user in to its database at a member.
func (r *route) dial(ctx context.Context, m *member) (*wire.Established, error) {
	c := r.w.server.dialConfig(m)
	c.Parameters = []wire.Parameter{{Name: "user", Value: r.key.user}, {Name: "database", Value: r.databaseKey().database}}
	return r.w.server.dialAs(ctx, c, r.key.user, r.secret.Load())
}

// Cancel implements pool.Opener.
func (r *route) Cancel(ctx context.Context, key wire.Key) error {
	return wire.SendCancel(ctx, r.dialConfig(), key)
}

func (r *route) dialConfig() wire.DialConfig { return r.w.server.dialConfig(r.member.Load()) }

// dialConfig says how to reach a member; who logs in is for the caller to add.
func (s *Server) dialConfig(m *member) wire.DialConfig {
	return wire.DialConfig{Address: m.Address, TLSMode: m.tlsMode, TLS: m.tls, Transport: s.config().dial}
}

// Opened implements pool.Observer.
func (r *route) Opened(s *pool.Server) {
	base := r.w.shared.vars.of(s.Parameters)
	if r.base == nil || !s.Stale() {
		r.rebase(base)
	}
	r.w.remember(s, base)
}

// remember begins to remember a server that was opened with these settings.
func (w *worker) remember(s *pool.Server, base *vars) {
	w.servers++
	b := newBackend(base)
	b.who = w.servers
	s.Data = b
}

// rebase takes base for the settings of fresh servers. Where they are others
// than before, PostgreSQL was upgraded or reconfigured.
func (r *route) rebase(base *vars) {
	if r.base != base {
		r.base = base
		clear(r.logins)
	}
}

// Reported implements pool.Observer. What a server that nobody uses reports is
// its own doing: it has read its configuration again.
func (r *route) Reported(s *pool.Server, name, value []byte) {
	b, table := s.Data.(*backend), &r.w.shared.vars
	b.vars = table.with(b.vars, string(name), string(value))
	if base := table.with(b.base, string(name), string(value)); base != b.base {
		b.base = base
		if !s.Stale() {
			r.rebase(table.with(r.base, string(name), string(value)))
		}
	}
}

// Closed implements pool.Observer.
func (r *route) Closed(s *pool.Server) { r.w.dropBackend(s) }

// Emptied implements pool.Observer.
func (r *route) Emptied() {
	if r.dropped {
		r.uncount()
	} else {
		r.dropIfUnused()
	}
}

// uncount is for a route out of the books whose servers are gone.
func (r *route) uncount() {
	if r.counted {
		r.counted = false
		r.w.server.uncountUser(r.key.user)
		r.w.server.leaveDatabase(r.database.Load())
	}
}

// dropIfUnused forgets a route with neither clients nor servers, and with a
// tenant's last route the tenant: what idles costs nothing.
func (r *route) dropIfUnused() {
	w := r.w
	if r.clients > 0 || !r.empty() || w.routes[r.key] != r {
		return
	}
	r.close()
	w.dropRoute(r)
}

// dropRoute takes a route out of the books.
func (w *worker) dropRoute(r *route) {
	w.loop.Disarm(&r.renewal.timer)
	if w.routes[r.key] == r { // it may be another's key already
		delete(w.routes, r.key)
	}
	if r.dropped = true; r.pool.Empty() {
		r.uncount()
	}
	if r.own != nil {
		r.own.stop()
	}
	r.tenant.gone.Add(&r.counters)
	w.dropUse(r.tenant)
}

// dropUse forgets a tenant with the last that uses its entry.
func (w *worker) dropUse(t *tenant) {
	if t.routes--; t.routes == 0 {
		t.rates.stop()
		w.gone.Counters.Add(&t.gone)
		w.gone.Times.Add(&t.times)
		delete(w.tenants, t.key)
		w.server.moveOut(homeOf(t.source))
	}
}

// full refuses one more client of a tenant that may have so many.
func (t *tenant) full() *wire.Error {
	return wire.Fatal(wire.CodeTooManyConnections,
		fmt.Sprintf("max_client_conn: tenant %q has %d clients already", t.name, t.limits.MaxClientConn),
		fmt.Sprintf("Close connections, or raise max_client_conn for tenant %q.", t.name))
}

// dropBackend lets go of what is remembered of a server.
func (w *worker) dropBackend(s *pool.Server) {
	if b, ok := s.Data.(*backend); ok {
		b.close(&w.shared.statements)
		if b.stash != nil {
			w.loop.Buffers().Give(b.stash)
			b.stash = nil
		}
		s.Data = nil
	}
}

// minFree is how many slots are left unused before the first is used again.
const minFree = 64

// place gives a client its slot, which is in its cancel key.
func (w *worker) place(c *client) {
	w.serial++
	c.serial = w.serial
	if len(w.free) > minFree { // oldest first: a process id is not soon another's
		c.slot = w.free[0]
		w.free = w.free[1:]
		w.slots[c.slot] = c
	} else {
		c.slot = uint32(len(w.slots))
		w.slots = append(w.slots, c)
	}
	w.clients++
	c.route.clients++
	c.route.tenant.clients++
	w.server.metered.enter(c.route.key.user)
}

// clientClosed counts a client out whose connection is closed.
func (w *worker) clientClosed(c *client, reason string) {
	w.clients--
	c.route.clients--
	c.route.tenant.clients--
	w.server.metered.leave(c.route.key.user)
	w.server.leaveWorker(homeOf(c.route.source))
	c.route.tenant.leaveProcess(c.about.process)
	c.route.dropIfUnused()
	c.login = nil
	w.log.Debug("client closed", "reason", reason, "database", c.route.tenant.name, "user", c.route.key.user, "address", c.about.address)
}

// forget frees the slot of a session that has ended whole.
func (w *worker) forget(c *client) {
	if w.slots[c.slot] == c {
		w.slots[c.slot] = nil
		w.free = append(w.free, c.slot)
	}
}

// count takes over what the machine counted for c.
func (w *worker) count(c *client) {
	n := &w.shared.counts
	t := &c.route.counters
	if n.queries > 0 {
		if c.watched == watchQuery {
			c.watched = watchNothing // the next one's time begins now
		}
		now := w.loop.Now()
		c.timed(now, n.queries)
		c.since = now
	}
	if rate := c.route.limits.MaxQueriesPerSecond; rate > 0 {
		c.pay(n.queries, rate)
	}
	t.Queries += uint64(n.queries)
	if n.transactions > 0 {
		now := w.loop.Now()
		c.route.tenant.times.Transaction.observe(now-c.began, n.transactions)
		c.began = now
	}
	t.Transactions += uint64(n.transactions)
	t.ClientParses += uint64(n.clientParses)
	t.ServerParses += uint64(n.serverParses)
	t.Binds += uint64(n.binds)
	if n.altered != 0 {
		c.defaultsAltered(n.altered)
	}
	if len(n.databases) > 0 {
		c.databasesChanged(n.databases)
	}
	*n = counts{}
}
