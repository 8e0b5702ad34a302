package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"howdah/tenants"
	"howdah/wire"
)

// A replication connection (pg_basebackup, pg_receivewal, a standby, a logical
// subscriber) is one client on one server of its own from its login to its
// end, outside of all pools: its login ends in this file instead of with a
// worker, and replication_copy.go carries its bytes.

// The kinds of replication connections, as SHOW CLIENTS names them.
const (
	physical = "physical" // the WAL and files of a whole cluster, every tenant's
	logical  = "logical"  // the changes of one database
)

// replication is a replication connection.
type replication struct {
	*login    // its tenant is nil where the cluster is found without one
	kind      string
	walsender *wire.Established
	worker    *worker // where it is counted, nil without a tenant
	counted   *tenant // as one of its clients; worker's loop owns it
	id        uint64  // in reports
	kill      context.CancelFunc
}

// replicationKind reads a StartupMessage's parameter "replication" as
// PostgreSQL does: a boolean in any of its spellings, or "database". "" is the
// kind of what is none.
func replicationKind(value string) (kind string, err error) {
	if value == "database" {
		return logical, nil
	}
	v := strings.ToLower(value)
	switch {
	case v == "", v == "0", strings.HasPrefix("false", v), strings.HasPrefix("no", v), len(v) > 1 && strings.HasPrefix("off", v):
		return "", nil
	case v == "1", v == "on", strings.HasPrefix("true", v), strings.HasPrefix("yes", v):
		return physical, nil
	}
	return "", wire.Fatal(wire.CodeInvalidParameter, fmt.Sprintf("invalid value for parameter %q: %q", "replication", value),
		`Valid values are: "false", 0, "true", 1, "database".`)
}

// replicate takes a client that asks for replication through the rest of its
// login and its life. It reports whether there was one.
func (l *login) replicate(ctx context.Context, kind string) (lived bool, err error) {
	start := l.accepted.Startup
	if l.database = start.Parameter("database"); l.database == "" {
		l.database = l.user
	}
	if err := l.negotiate(start); err != nil {
		return false, err
	}
	if err := l.server.admit(); err != nil {
		return false, err
	}
	l.physical = kind == physical
	p := &replication{login: l, kind: kind}
	err = p.open(ctx)
	l.server.admitted() // refused, or a session from here on
	if err != nil {
		return false, err
	}
	defer p.leave()
	defer p.walsender.Conn.Close()
	if !l.past() {
		return false, errShutdown
	}
	p.live()
	l.accepted.Conn.Close()
	return true, nil
}

// open authenticates the client and logs in to the server.
func (p *replication) open(ctx context.Context) error {
	snapshot := p.server.registry.Snapshot()
	if err := p.authenticate(snapshot); err != nil {
		return err
	}
	err := p.aim(snapshot)
	if err == nil {
		err = p.enter()
	}
	if err == nil {
		if err = p.dial(ctx); err == nil {
			return nil
		}
		p.leave()
	}
	p.accepted.Conn.Write(p.final) // authenticated it is, as PostgreSQL would say
	return err
}

// aim decides whether the user may have the connection, and to which member.
func (p *replication) aim(snapshot *tenants.Snapshot) error {
	if u, ok := snapshot.User(p.user); !ok || !u.Replication {
		return wire.Fatal(wire.CodeInsufficientPrivilege, fmt.Sprintf("user %q may not open replication connections", p.user),
			"The operator permits them with replication = true in the [[user]] entry.")
	}
	if p.kind == logical {
		return p.find(snapshot, p.database)
	}
	cluster, err := p.cluster(snapshot)
	if err != nil {
		return err
	}
	p.member, _, err = p.server.memberOf(snapshot, cluster)
	return err
}

// cluster returns the name of the cluster that a physical replication
// connection is for: that of the tenant it names, of the tenant whose user
// it shows, or the only one. Tools for base backups name no database before
// PostgreSQL 17, and then libpq fills in "replication".
func (p *replication) cluster(snapshot *tenants.Snapshot) (string, error) {
	for _, name := range []string{p.database, tenants.Shared} {
		t, ok := snapshot.Lookup(name, p.user)
		if !ok || t.User == "" { // the fallback stands for databases, not for clusters
			continue
		}
		if t.State == tenants.Suspended {
			return "", suspended(t)
		}
		if _, off := p.server.switches.of(t.Name); off {
			return "", disabled(t)
		}
		p.tenant = t
		return t.Cluster, nil
	}
	clusters := slices.Collect(snapshot.Clusters())
	if len(clusters) != 1 {
		return "", wire.Fatal(wire.CodeInvalidCatalogName, fmt.Sprintf("database %q names none of the %d clusters", p.database, len(clusters)),
			"Name a tenant of the cluster as the database, or connect as the user of one.")
	}
	return clusters[0].Name, nil
}

// dial logs in to the member as the client did here, with all it asked for.
func (p *replication) dial(ctx context.Context) error {
	timeout := p.server.config().LoginTimeout
	if p.tenant != nil {
		timeout = p.tenant.Limits.ServerConnectTimeout
	}
	if timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, timeout)
		defer stop()
	}
	c := p.server.dialConfig(p.member)
	c.Parameters = p.parameters()
	var err error
	if p.walsender, err = p.server.dialAs(ctx, c, p.user, p.secret); err != nil {
		return p.explain(err)
	}
	return nil
}

// parameters returns the server's StartupMessage: the client's, but what
// decided who it is and where it goes stands there as we understood it.
func (p *replication) parameters() []wire.Parameter {
	list := []wire.Parameter{{Name: "user", Value: p.user}, {Name: "replication", Value: "true"}}
	if p.kind == logical {
		list = []wire.Parameter{{Name: "user", Value: p.user}, {Name: "replication", Value: "database"}, {Name: "database", Value: p.tenant.Database}}
	}
	for _, q := range p.accepted.Startup.Parameters {
		if q.Name != "user" && q.Name != "replication" && q.Name != "database" {
			list = append(list, q)
		}
	}
	return list
}

// explain makes of an error of wire.Dial what the client is told: what the
// server said, or that it could not be reached.
func (p *replication) explain(err error) error {
	var e *wire.Error
	if errors.As(err, &e) {
		return err
	}
	if errors.Is(err, wire.ErrNoSecret) {
		return wire.Fatal(wire.CodeInvalidAuthorization, fmt.Sprintf("the server wants a secret of user %q", p.user),
			"Only a login with a password brings one; or the server must trust Howdah's address.")
	}
	p.server.log.Warn("cannot open a server for replication", "user", p.user, "member", p.member.Address, "error", err)
	return wire.Fatal(wire.CodeConnectionFailure, "cannot open a server connection for replication", "Howdah's log says why.")
}

// enter counts the connection among the clients, and its tenant's if it has
// one.
func (p *replication) enter() error {
	s := p.server
	if p.tenant == nil {
		s.loggedIn.Add(1)
		return nil
	}
	w := s.workerFor(p.tenant)
	answer := make(chan error, 1)
	if !w.loop.Post(func() { answer <- p.enterTenant(w) }) {
		s.leaveWorker(homeOf(p.tenant))
		return errShutdown
	}
	err := <-answer
	if err != nil {
		s.leaveWorker(homeOf(p.tenant))
		return err
	}
	p.worker = w
	return nil
}

// enterTenant is enter's part on the worker's loop. It keeps the tenant's
// entry as a route does.
func (p *replication) enterTenant(w *worker) error {
	if w.draining {
		return errShutdown
	}
	t := w.tenantOf(p.tenant)
	if max := t.limits.MaxClientConn; max > 0 && t.clients >= max {
		return t.full()
	}
	t.clients++
	t.routes++
	p.counted = t
	return nil
}

// leave undoes enter.
func (p *replication) leave() {
	s := p.server
	if p.tenant == nil {
		s.loggedIn.Add(-1)
		return
	}
	s.leaveWorker(homeOf(p.tenant))
	p.worker.loop.Post(func() {
		p.counted.clients--
		p.worker.dropUse(p.counted)
	})
}
