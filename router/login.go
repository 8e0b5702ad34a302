package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/loop"
)

// login is a client on its way from its first byte to a session. Its first
// part runs on a goroutine of its own; then it is handed to the worker.
type login struct {
	server    *Server
	transport *loop.Transport
	accepted  *wire.Accepted
	tenant    *tenants.Tenant
	entry     *tenants.User // of the user; nil where the registry has none
	member    *member
	held      bool // the cluster has no primary
	user      string
	attrs     tenants.SessionAttrs
	version   uint32
	secret    *wire.Secret // to open servers with; nil where the client showed none
	final     []byte       // the last words of authentication, sent with the welcome
	about     about
	database  string
	stop      func() bool       // of the hook that ends the login at shutdown
	inside    bool              // it takes one of the places of connections that log in
	client    netip.Addr        // where it comes from, unless by Unix socket
	bySocket  bool              // it came by a Unix socket
	proxied   *wire.ProxyHeader // who says so; nil = the connection itself
	deadline  time.Time         // of the login, zero = none
	asked     lookupKey         // whose secret was looked up, zero where none was
	physical  bool              // it asks for physical replication
}

// past ends the time in which the login hangs on the server's: the connection
// has a life of its own now. It reports false when the server is closing.
func (l *login) past() bool {
	if !l.inside {
		return true
	}
	l.inside = false
	<-l.server.entering
	open := l.stop()
	if open {
		l.transport.SetDeadline(time.Time{})
	}
	return open
}

// serveConn takes a new connection through its login.
func (s *Server) serveConn(nc net.Conn) {
	l := &login{server: s, transport: &loop.Transport{Conn: nc}}
	if d := s.config().LoginTimeout; d > 0 {
		l.deadline = time.Now().Add(d)
		nc.SetDeadline(l.deadline)
	}
	l.about = about{address: nc.RemoteAddr().String(), local: nc.LocalAddr().String(), connected: time.Now().UnixNano()}
	l.stop = context.AfterFunc(s.ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	l.inside = true
	handed, err := l.run(s.ctx)
	l.past()
	if handed {
		return
	}
	if err != nil {
		l.sayNo(err)
	}
	nc.Close()
}

// sayNo tells the client and the log why there is no session.
func (l *login) sayNo(err error) {
	var e *wire.Error
	switch {
	case errors.Is(err, io.EOF):
		return // a health check, or a client that gave up
	case errors.As(err, &e):
	case errors.Is(err, wire.ErrAuthentication):
		e = wire.Fatal(wire.CodeInvalidPassword, fmt.Sprintf("password authentication failed for user %q", l.user), "")
	case errors.Is(err, wire.ErrLength), errors.Is(err, wire.ErrMalformed):
		e = wire.Fatal(wire.CodeProtocolViolation, "invalid startup packet", "")
	}
	if e != nil {
		l.server.refused(e.Code)
		if l.accepted != nil && l.accepted.Conn != nil {
			l.accepted.Conn.Write(wire.AppendError(nil, e))
		}
		if l.accepted != nil && l.accepted.Startup == nil {
			select {
			case l.server.entering <- struct{}{}:
				hearOut(l.transport)
				<-l.server.entering
			default: // others wait for the place
			}
		}
	}
	l.server.log.Info("login failed", "address", l.about.address, "user", l.user, "reason", err)
}

// hearOut reads what a client is still sending, a second long at most: closed
// with bytes unread, TCP would reset the connection, and the client might see
// that in place of the error it was sent.
func hearOut(t *loop.Transport) {
	if half, ok := t.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		t.SetReadDeadline(time.Now().Add(time.Second))
		io.CopyN(io.Discard, t, 1<<16)
	}
}

// run reports whether the connection now belongs to somebody else.
func (l *login) run(ctx context.Context) (handed bool, err error) {
	s := l.server
	if err := l.settleOrigin(); err != nil {
		return false, err
	}
	l.accepted, err = wire.Accept(ctx, l.transport, s.config().TLS)
	if err != nil {
		return false, err
	}
	start := l.accepted.Startup
	if start.Kind == wire.StartCancel {
		s.cancel(ctx, start.Key, &l.about, neighbourhood(l.client))
		return false, nil
	}
	if l.user = start.Parameter("user"); l.user == "" {
		return false, wire.Fatal(wire.CodeInvalidAuthorization, "no PostgreSQL user name specified in startup packet", "")
	}
	if s.config().RequireTLS && l.accepted.TLS == nil && !l.bySocket {
		return false, wire.Fatal(wire.CodeInvalidAuthorization, "this server requires TLS", "Set sslmode=require.")
	}
	if kind, err := replicationKind(start.Parameter("replication")); err != nil {
		return false, err
	} else if kind != "" {
		return l.replicate(ctx, kind)
	}
	for _, p := range settings(start.Parameters) {
		if fixedVars[p.Name] {
			return false, wire.Fatal(wire.CodeFeatureNotSupported, fmt.Sprintf("setting %q cannot be asked for at login through a pooler", p.Name),
				"Leave it out of the connection's options.")
		}
	}
	database := start.Parameter("database")
	if database == "" {
		database = l.user
	}
	if err := l.negotiate(start); err != nil {
		return false, err
	}
	l.database = database
	if err := s.admit(); err != nil {
		return false, err
	}
	defer s.admitted()
	if v := s.virtual[database]; v != nil {
		return l.virtual(ctx, v.serve)
	}
	snapshot := s.registry.Snapshot()
	if err := l.authenticate(snapshot); err != nil {
		return false, err
	}
	if err = l.find(snapshot, database); err == nil {
		err = l.settleAttrs()
	}
	if err != nil {
		l.accepted.Conn.Write(l.final)
		return false, err
	}
	return l.handOver()
}

// negotiate settles the protocol version.
func (l *login) negotiate(start *wire.Startup) error {
	version, tell := wire.NegotiateVersion(start)
	l.version = version
	if !tell {
		return nil
	}
	_, err := l.accepted.Conn.Write(wire.AppendNegotiateVersion(nil, version, start.Unknown))
	return err
}

// find looks the tenant up, after the client has proved who it is.
func (l *login) find(snapshot *tenants.Snapshot, database string) error {
	t, ok := snapshot.Lookup(database, l.user)
	if !ok {
		return wire.Fatal(wire.CodeInvalidCatalogName, fmt.Sprintf("database %q does not exist", database), "")
	}
	if t.State == tenants.Suspended {
		return suspended(t)
	}
	if _, off := l.server.switches.of(t.Name); off {
		return disabled(t)
	}
	if u, ok := snapshot.User(l.user); ok {
		if err := l.server.servable(u); err != nil {
			return err
		}
	}
	m, held, err := l.server.memberOf(snapshot, t.Cluster)
	if err != nil {
		return err
	}
	l.tenant, l.member, l.held = t, m, held
	l.entry, _ = snapshot.User(l.user)
	return l.server.metered.mayLogIn(t, l.entry, time.Since(l.server.started))
}

func suspended(t *tenants.Tenant) *wire.Error {
	return wire.Fatal(wire.CodeCannotConnectNow, fmt.Sprintf("tenant %q is suspended", t.Name), "Ask the operator to resume it.")
}

func disabled(t *tenants.Tenant) *wire.Error {
	return wire.Fatal(wire.CodeConnectionRefused, fmt.Sprintf("database %q is disabled", t.Name), "ENABLE in the console takes new clients again.")
}

// handOver gives the connection to the tenant's worker.
func (l *login) handOver() (bool, error) {
	if !l.server.awaitWaking() || !l.past() {
		return false, errShutdown
	}
	if t := l.accepted.TLS; t != nil {
		l.about.tls = wire.TLSName(t.ConnectionState())
	}
	w := l.server.workerFor(l.tenant)
	if !w.loop.Post(func() { w.begin(l) }) {
		l.server.leaveWorker(homeOf(l.tenant))
		return false, errShutdown
	}
	return true, nil
}

// begin makes a client of a login, on the worker's loop.
func (w *worker) begin(l *login) {
	snapshot := w.server.registry.Snapshot()
	if w.followed != snapshot { // what has got other names is not to be there twice
		w.follow(snapshot)
	}
	stands := l.follow(snapshot)
	m, held := l.member, l.held
	if now, heldNow, err := w.server.memberOf(snapshot, l.tenant.Cluster); err == nil {
		m, held = now, heldNow // the primary may have changed meanwhile
	}
	r := w.routeOf(l.tenant, m, held, l.user)
	about := l.about // a copy, or it would keep the login
	about.keyLen = keyLen(l.version)
	c := &client{w: w, route: r, login: l, about: &about, attrs: l.attrs}
	c.session = session{mode: r.tenant.limits.PoolMode, status: wire.TxIdle, shared: &w.shared, ddl: &r.ddl, taint: &r.taint, limit: int32(r.tenant.limits.MaxPreparedStatements), most: int32(r.tenant.limits.MaxClientPreparedStatements)}
	c.quota = r.over
	if w.server.databaseDoor != nil {
		c.mayOnDatabase = c.mayChange
	}
	if err := w.adopt(c); err != nil {
		w.log.Error("cannot adopt client", "error", err)
		l.transport.Conn.Close()
		w.server.leaveWorker(homeOf(r.source))
		return
	}
	about.process = r.tenant.processOf(l.user, about.address, applicationName(l.accepted.Startup.Parameters))
	if max := r.tenant.limits.MaxClientConn; max > 0 && r.tenant.clients > max {
		c.refuseLogin(r.tenant.full())
		return
	}
	if e := r.fullOfUser(); e != nil {
		c.refuseLogin(e)
		return
	}
	if w.draining {
		c.refuseLogin(errShutdown)
		return
	}
	if !stands {
		c.refuseLogin(errShutdown)
		return
	}
	if l.secret != nil {
		r.secret.Store(l.secret)
	}
	w.seedLogin(c)
}

// follow brings the login to what the registry says now, and reports whether the tenant
// that it has found still takes it.
func (l *login) follow(snapshot *tenants.Snapshot) bool {
	user := l.entry
	if user == nil {
		user = &tenants.User{Name: l.user}
	}
	t, name, ok := snapshot.Follow(l.tenant, user)
	if !ok || t.State != tenants.Active || t.ID == "" && keyOf(t) != keyOf(l.tenant) {
		return false
	}
	l.tenant, l.user = t, name
	return true
}

// adopt moves the connection to the loop.
func (w *worker) adopt(c *client) (err error) {
	l := c.login
	if l.accepted.TLS != nil {
		c.conn, err = w.loop.AdoptTLS(l.accepted.TLS, l.transport, c, &c.route.tenant.group)
	} else {
		var fd int
		if fd, err = loop.Detach(l.transport); err == nil {
			c.conn, err = w.loop.Adopt(fd, nil, c, &c.route.tenant.group)
		}
	}
	if err != nil {
		return err
	}
	c.conn.Pause()
	w.place(c)
	return nil
}

// seedLogin answers a login from what is known, or has a server try its
// settings first.
func (w *worker) seedLogin(c *client) {
	r := c.route
	r.pool.Seed()
	if r.base != nil {
		if v := r.logins[settingsKey(c.login.accepted.Startup.Parameters)]; v != nil {
			c.vars, c.base = v, r.base
			c.welcome()
			return
		}
	}
	if c.acquire(nil) {
		c.tryLogin()
	}
}

// wishVars makes the settings that the login asks for the session's.
func (c *client) wishVars() {
	c.base = c.server.Data.(*backend).base
	c.vars = c.base
	for _, p := range settings(c.login.accepted.Startup.Parameters) {
		c.vars = c.shared.vars.with(c.vars, p.Name, p.Value)
	}
}

// tryLogin applies the login's settings to the server just assigned.
func (c *client) tryLogin() {
	if d := c.route.tenant.limits.ServerConnectTimeout; d > 0 {
		c.w.loop.Arm(&c.timer, d, func() {
			c.refuseWith(wire.Fatal(wire.CodeConnectionFailure, "server_connect_timeout: the server did not take the login's settings within "+d.String(), ""))
		})
	}
	c.tryVars()
	c.server.Conn.Write(c.shared.toServer)
	c.shared.toServer = c.shared.toServer[:0]
	c.regulate()
}

// loginTried goes on when the server has answered.
func (c *client) loginTried() {
	if c.session.refused {
		c.end("settings refused")
		return
	}
	key := settingsKey(c.login.accepted.Startup.Parameters)
	current := c.base == c.route.base && !c.server.Stale()
	if current && len(c.route.logins) < maxLogins && len(key) <= maxSharedVars {
		c.route.logins[key] = c.vars
	}
	c.welcome()
	c.settleDown()
}

// maxLogins bounds the combinations of startup settings remembered per route.
const maxLogins = 200

// welcome ends the login: the session begins.
func (c *client) welcome() {
	l, sh := c.login, c.shared
	out := append(sh.toClient, l.final...)
	for _, p := range c.vars.list {
		if _, reported := c.base.value(p.Name); reported {
			if p.Name == "in_hot_standby" && posesAsStandby(c.attrs) {
				p.Value = "on"
			}
			out = wire.AppendParameterStatus(out, p.Name, p.Value)
		}
	}
	out = wire.AppendBackendKeyData(out, c.w.server.cancelKey(c.w.index, c.slot, c.serial, l.version))
	sh.toClient = wire.AppendReadyForQuery(out, wire.TxIdle)
	c.startup = c.vars
	c.login = nil
	c.tell()
	c.w.loop.Disarm(&c.timer)
	c.watchTime()
	c.regulate()
}

// refuseLogin ends a login with an error. The client is told that it was
// authenticated first, as PostgreSQL does.
func (c *client) refuseLogin(e *wire.Error) {
	c.shared.toClient = append(c.shared.toClient, c.login.final...)
	c.refuseWith(e)
}
