package router

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/router/members"
	"howdah/tenants"
	"howdah/wire"
)

// A cluster of several members is watched, on connections of Howdah's own role:
// transactions run at whoever is the primary, and wait while there is none.

// watched is a cluster that is watched.
type watched struct {
	watch   *members.Watch
	cluster tenants.Cluster // as it was when the watch began
	last    string          // address of the last primary, "" for none yet; under the server's mu
	primary *members.Member // the same; nil for none yet
}

// watchName is the application_name of the connections that watch.
const watchName = "howdah watch"

// watchClusters begins to watch clusters that are new or have changed, and leaves
// off where they are gone.
func (s *Server) watchClusters(snapshot *tenants.Snapshot) {
	var left []*members.Watch
	s.mu.Lock()
	if s.watches == nil { // the end has come
		s.mu.Unlock()
		return
	}
	for c := range snapshot.Clusters() {
		old := s.watches[c.Name]
		if old != nil && old.same(c) {
			continue
		}
		if old != nil {
			left = append(left, old.watch)
			delete(s.watches, c.Name)
		}
		if (len(c.Members) > 1 || len(c.Patroni) > 0) && c.AdminURL != "" {
			w, err := s.watch(c)
			if err != nil {
				s.log.Error("cluster not watched", "cluster", c.Name, "error", err)
				continue
			}
			s.watches[c.Name] = w
			if old != nil && slices.ContainsFunc(c.Members, func(m tenants.Member) bool { return m.Address == old.last }) {
				s.watches[c.Name].last = old.last
			}
		}
	}
	for name, old := range s.watches {
		if _, ok := snapshot.Cluster(name); !ok {
			left = append(left, old.watch)
			delete(s.watches, name)
		}
	}
	s.mu.Unlock()
	for _, w := range left {
		w.Close()
	}
}

// same reports whether the cluster is to be watched as it is.
func (w *watched) same(c *tenants.Cluster) bool {
	return slices.Equal(w.cluster.Members, c.Members) && w.cluster.AdminURL == c.AdminURL && readLimits(&w.cluster) == readLimits(c) &&
		w.cluster.TLSMode == c.TLSMode && w.cluster.TLSCAFile == c.TLSCAFile && samePatroni(&w.cluster, c)
}

// watch begins to watch a cluster. s.mu is held.
func (s *Server) watch(c *tenants.Cluster) (*watched, error) {
	w := &watched{cluster: *c}
	name := c.Name
	cfg := members.Config{
		Connect: func(ctx context.Context, address string) (*pgconn.PgConn, error) {
			return s.connectOwn(ctx, &w.cluster, address, "")
		},
		Changed:  func(now *members.Member) { s.primaryChanged(name, w, now) },
		Limits:   readLimits(c),
		Advanced: func() { s.tellParked() },
		Resolve:  s.config().Resolve,
		Log:      s.log.With("cluster", name),
	}
	var err error
	if cfg.Patroni, err = s.patroniOf(c); err != nil {
		return nil, err
	}
	for _, m := range c.Members {
		cfg.Members = append(cfg.Members, m.Address)
	}
	w.watch = members.New(cfg)
	return w, nil
}

// readLimits are a cluster's settings of its reads.
func readLimits(c *tenants.Cluster) members.Limits {
	return members.Limits{
		MaxLag: c.MaxLag, MaxLagBytes: c.MaxLagBytes, MinStandbys: c.MinStandbys, MaxAtPrimary: c.MaxPrimaryReads,
		External: c.Writers == tenants.ExternalWriters,
	}
}

// stopWatching is for the end.
func (s *Server) stopWatching() {
	s.mu.Lock()
	watches := s.watches
	s.watches = nil
	s.mu.Unlock()
	for _, w := range watches {
		w.watch.Close()
	}
}

// connectOwn logs in to a member as Howdah's own role, to the database that
// admin_url names if none is given.
func (s *Server) connectOwn(ctx context.Context, cluster *tenants.Cluster, address, database string) (*pgconn.PgConn, error) {
	own, err := pgconn.ParseConfig(cluster.AdminURL)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	m, err := s.memberAt(cluster, address)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if database == "" {
		database = own.Database
	}
	c := s.dialConfig(m)
	if socket, ok := socketBeside(own, address); ok {
		c.Address = socket
	}
	c.Parameters = ownParameters(own.User, database, watchName)
	c.Secret = wire.Secret{Password: own.Password}
	est, err := wire.Dial(ctx, c)
	if err != nil {
		return nil, err
	}
	told := map[string]string{}
	for _, p := range est.Parameters {
		told[p.Name] = p.Value
	}
	return pgconn.Construct(&pgconn.HijackedConn{
		Conn: est.Conn, PID: est.Key.PID, SecretKey: est.Key.Secret, ParameterStatuses: told, TxStatus: 'I',
		Frontend: pgproto3.NewFrontend(est.Conn, est.Conn), Config: own,
	})
}

// ConnectMember logs in to a member of a cluster as its admin_url says.
func (s *Server) ConnectMember(ctx context.Context, cluster, address string) (*pgconn.PgConn, error) {
	c, ok := s.registry.Snapshot().Cluster(cluster)
	if !ok || c.AdminURL == "" {
		return nil, fmt.Errorf("cluster %q: %w", cluster, ErrNotFound)
	}
	return s.connectOwn(ctx, c, address, "")
}

// socketBeside returns the socket of the member at address, if admin_url names
// the folder of sockets of this machine and there is one of its port.
func socketBeside(own *pgconn.Config, address string) (socket string, ok bool) {
	socket, _, ok = socketBy(own, address)
	if ok {
		_, err := os.Stat(socket)
		ok = err == nil
	}
	return socket, ok
}

// primaryOf returns where a cluster's transactions run, and whether they must
// wait, because there is no primary now. s.mu is held.
func (s *Server) primaryOf(c *tenants.Cluster) (address string, held bool) {
	w := s.watches[c.Name]
	switch {
	case w == nil || !w.same(c):
		return firstOf(c), len(c.Members) == 0
	case w.watch.Primary() != nil:
		return w.watch.Primary().Address, false
	case w.last != "":
		return w.last, true
	}
	return firstOf(c), !w.watch.Blind() || len(c.Members) == 0
}

// primaryChanged brings a cluster's pools to its new primary, or has them wait for
// one. What is open elsewhere is cut: it could be written to a server that nobody
// reads any more.
func (s *Server) primaryChanged(name string, w *watched, now *members.Member) {
	s.mu.Lock()
	if s.watches[name] != w || w.watch.Primary() != now { // or it has changed again: another call tells of that
		s.mu.Unlock()
		return
	}
	if now != nil {
		if w.primary != nil && w.primary != now && w.primary.Address == now.Address {
			s.forgetMember(now.Address)
		}
		w.last, w.primary = now.Address, now
	}
	s.mu.Unlock()
	snapshot := s.registry.Snapshot()
	s.everyWorker(func(worker *worker) {
		for _, r := range worker.routes {
			if r.databaseKey().cluster != name {
				continue
			}
			m, held, err := s.memberOf(snapshot, name)
			if err != nil {
				s.log.Error("cluster not changed", "error", err)
				return
			}
			r.moveTo(m, held)
			r.leaveGone()
		}
		if now == nil || w.watch.Primary() != now { // or it has changed again
			return
		}
		for _, c := range worker.slots {
			if c != nil && c.server != nil && c.away == nil && c.route.databaseKey().cluster == name && c.elsewhere(now) {
				c.serverLost(fmt.Errorf("the primary is %s now", now.Address))
			}
		}
	})
}

// moveTo has a route's servers opened at m, or has those who want one wait.
func (r *route) moveTo(m *member, held bool) {
	moved := r.member.Load() != m
	if moved || r.held && !held {
		r.member.Store(m)
		r.pool.SetMember(&m.Member)
		r.leaveStandbys()
	}
	if r.held = held; held {
		r.pool.Hold()
		return
	}
	if l := r.w.listeners[r.databaseKey()]; l != nil && moved {
		l.route = r
		l.lost(errMoved)
	}
}

// watchOf returns a cluster's watch, nil if it has none.
func (s *Server) watchOf(cluster string) *members.Watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.watches[cluster]; w != nil {
		return w.watch
	}
	return nil
}

// standbyMember returns the member of a cluster at an address.
func (s *Server) standbyMember(snapshot *tenants.Snapshot, cluster, address string) (*member, error) {
	c, ok := snapshot.Cluster(cluster)
	if !ok {
		return nil, fmt.Errorf("there is no cluster %q", cluster)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memberAt(c, address)
}

// StandbyRow is a member of a cluster that is watched.
type StandbyRow struct {
	Cluster string
	members.Row
}

// Standbys returns the members of all clusters that are watched.
func (s *Server) Standbys() (rows []StandbyRow) {
	s.mu.Lock()
	names := slices.Sorted(maps.Keys(s.watches))
	var watches []*members.Watch
	for _, name := range names {
		watches = append(watches, s.watches[name].watch)
	}
	s.mu.Unlock()
	for i, w := range watches {
		for _, row := range w.Rows() {
			rows = append(rows, StandbyRow{names[i], row})
		}
	}
	return rows
}

// primaryAddress returns where a cluster's transactions run, or ran last.
func (s *Server) primaryAddress(c *tenants.Cluster) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	address, _ := s.primaryOf(c)
	return address
}
