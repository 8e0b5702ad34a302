package router

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/wire"
)

// listenerName is the application_name of connections that listen.
const listenerName = "howdah listener"

// openListener opens the connection on which a database's sessions listen: as
// Howdah's own role, that of the cluster's admin_url, so that no tenant can end
// it with pg_terminate_backend, nor its limits keep it out. Where there is none,
// or it cannot log in, the tenant's role does.
func (r *route) openListener(ctx context.Context, timeout time.Duration) (*wire.Established, error) {
	est, err := r.logInListener(ctx, timeout)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := r.checkOwner(ctx, est); err != nil {
		est.Conn.Close()
		return nil, err
	}
	return est, nil
}

func (r *route) logInListener(ctx context.Context, timeout time.Duration) (*wire.Established, error) {
	cluster, ok := r.w.server.registry.Snapshot().Cluster(r.databaseKey().cluster)
	if ok && cluster.AdminURL != "" {
		est, err := r.listenAsOwn(ctx, timeout, cluster.AdminURL)
		if err == nil || ctx.Err() != nil {
			return est, err
		}
		r.w.log.Warn("cannot listen as Howdah's own role, so the tenant's listens, whose sessions can end the connection: "+
			"have admin_url name a user and password that can log in at the member", "cluster", cluster.Name,
			"member", r.member.Load().Address, "database", r.databaseKey().database, "error", err)
	}
	c := r.dialConfig()
	c.Parameters = r.listenParameters(r.key.user)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return r.w.server.dialAs(ctx, c, r.key.user, r.secret.Load())
}

func (r *route) listenAsOwn(ctx context.Context, timeout time.Duration, adminURL string) (*wire.Established, error) {
	own, err := pgconn.ParseConfig(adminURL)
	if err != nil {
		return nil, err
	}
	c := r.dialConfig()
	if socket, ok := socketOf(own, c.Address); ok {
		c.Address = socket
	}
	c.Parameters = r.listenParameters(own.User)
	c.Secret = wire.Secret{Password: own.Password}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return wire.Dial(ctx, c)
}

// listenParameters are those of a listening connection's login. What a role
// or a database has for settings does not come before them.
func (r *route) listenParameters(user string) []wire.Parameter {
	return ownParameters(user, r.databaseKey().database, listenerName)
}

// ownParameters are those of the logins of connections of our own.
func ownParameters(user, database, application string) []wire.Parameter {
	return []wire.Parameter{
		{Name: "user", Value: user},
		{Name: "database", Value: database},
		{Name: "client_encoding", Value: "UTF8"},
		{Name: "application_name", Value: application},
	}
}

// socketOf returns the socket that an admin_url names, if it is certain to be
// of the member at address: on this machine and of the same port. Its login may
// hold there only, by the name of the operating system's user.
func socketOf(own *pgconn.Config, address string) (socket string, ok bool) {
	socket, port, ok := socketBy(own, address)
	return socket, ok && port == strconv.Itoa(int(own.Port))
}

// socketBy returns where the socket of the member at address would be, by its port,
// if admin_url names a folder of sockets and the member is on this machine.
func socketBy(own *pgconn.Config, address string) (socket, port string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || !strings.HasPrefix(own.Host, "/") {
		return "", "", false
	}
	ip, err := netip.ParseAddr(host)
	if host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return "", "", false
	}
	return filepath.Join(own.Host, ".s.PGSQL."+port), port, true
}
