package router

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"howdah/pool"
	"howdah/tenants"
)

// clientID is a client's identity in reports.
func (w *worker) clientID(c *client) uint64 {
	return uint64(c.serial)*uint64(len(w.server.workers)) + uint64(w.index) + 1
}

func (w *worker) serverID(b *backend) uint64 {
	return (b.who*uint64(len(w.server.workers)) + uint64(w.index)) | 1<<62
}

// Stats returns a snapshot of the server.
func (s *Server) Stats() Stats {
	st := Stats{Started: s.started, Loops: len(s.workers), Accepted: s.accepted.Load(), Logins: int(s.starting.Load()), LoopsStats: make([]LoopStats, len(s.workers))}
	var mu sync.Mutex
	s.everyWorker(func(w *worker) {
		pools, servers := w.poolStats()
		l := w.loop.Stats()
		mu.Lock()
		defer mu.Unlock()
		st.Pools = append(st.Pools, pools...)
		st.Clients += w.clients
		st.Servers += servers
		st.LoopsStats[w.index] = LoopStats{Conns: l.Conns, Turns: l.Turns, Waits: l.Waits}
	})
	st.Clients += st.Logins + s.replications.len()
	st.Servers += s.replications.len()
	s.cancels.count(st.Pools)
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Refused = map[string]uint64{}
	for code, n := range s.refusals {
		st.Refused[code] = n
	}
	mode := s.switches.current()
	st.Paused, st.Suspended, st.ShutDown = mode == modePaused, mode == modeSuspended, s.draining
	sort.Slice(st.Pools, func(i, j int) bool {
		a, b := &st.Pools[i], &st.Pools[j]
		return a.Database < b.Database || a.Database == b.Database && a.User < b.User
	})
	return st
}

// poolStats returns a row per route.
func (w *worker) poolStats() (rows []PoolStats, servers int) {
	type sums struct {
		active, idle, throttled int

		canceling int // servers
		pinned    map[string]int
	}
	clients := map[*route]*sums{}
	for _, c := range w.slots {
		if c == nil || c.leaving {
			continue
		}
		n := clients[c.route]
		if n == nil {
			n = &sums{}
			clients[c.route] = n
		}
		for _, reason := range c.pins.names() {
			if n.pinned == nil {
				n.pinned = map[string]int{}
			}
			n.pinned[reason]++
		}
		if c.canceling() {
			n.canceling++
		}
		if c.throttled {
			n.throttled++
		} else if c.server != nil {
			n.active++
		} else if c.waiter == nil {
			n.idle++
		}
	}
	for _, r := range w.routes {
		p := r.stats()
		row := PoolStats{
			Database: r.tenant.name, User: r.key.user, Mode: r.tenant.limits.PoolMode.String(),
			ClientsWaiting: p.Waiting, MaxWait: p.MaxWait,
			ServersActive: p.Active, ServersIdle: p.Idle, ServersTested: p.Tested,
			ServersLogin: p.Login, ServersBeingClosed: p.Closing, Ended: map[string]uint64{},
			Counters: r.counters,
		}
		if n := clients[r]; n != nil {
			row.ClientsActive, row.ClientsIdle, row.Pinned = n.active, n.idle, n.pinned
			row.ServersActive -= n.canceling
			row.ServersCanceling = n.canceling
			row.ClientsWaiting += n.throttled
		}
		for reason, n := range p.Ended {
			row.Ended[reason] = n
		}
		servers += p.Active + p.Idle + p.Tested + p.Login + p.Closing
		rows = append(rows, row)
	}
	return rows, servers
}

// Databases returns what clients may connect to and how it stands.
func (s *Server) Databases() []DatabaseStats {
	type load struct{ servers, clients int }
	loads := map[string]load{}
	used := map[string]*tenants.Tenant{}
	var mu sync.Mutex
	s.everyWorker(func(w *worker) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range w.routes {
			p := r.stats()
			n := loads[r.tenant.name]
			n.servers += p.Active + p.Idle + p.Tested + p.Closing
			n.clients += r.clients
			loads[r.tenant.name] = n
			used[r.tenant.name] = r.tenant.source
		}
	})
	snapshot := s.registry.Snapshot()
	all := slices.Collect(snapshot.Tenants())
	for name := range loads { // in use, but not named in the registry: found by user, or by "*"
		if !slices.ContainsFunc(all, func(t *tenants.Tenant) bool { return t.Name == name }) {
			all = append(all, used[name])
		}
	}
	slices.SortFunc(all, func(a, b *tenants.Tenant) int { return strings.Compare(a.Name, b.Name) })
	var rows []DatabaseStats
	for _, t := range all {
		row := DatabaseStats{
			Name: t.Name, Database: t.Database, Mode: t.Limits.PoolMode.String(),
			PoolSize: t.Limits.PoolSize, MinPoolSize: t.Limits.MinPoolSize, ReservePoolSize: t.Limits.ReservePoolSize,
			ServerLifetime: t.Limits.ServerLifetime, MaxClientConnections: t.Limits.MaxClientConn, MaxConnections: t.Limits.MaxDBConnections,
			CurrentConnections: loads[t.Name].servers, CurrentClientConns: loads[t.Name].clients,
		}
		row.Paused, row.Disabled = s.switches.of(t.Name)
		if c, ok := snapshot.Cluster(t.Cluster); ok && len(c.Members)+len(c.Patroni) > 0 {
			row.Host, row.Port = split(s.primaryAddress(c))
		}
		rows = append(rows, row)
	}
	return rows
}

// Clients returns the clients that are logged in.
func (s *Server) Clients() []ConnStats {
	var rows []ConnStats
	var mu sync.Mutex
	s.everyWorker(func(w *worker) {
		var part []ConnStats
		for _, c := range w.slots {
			if c != nil && !c.leaving {
				part = append(part, w.clientStats(c))
			}
		}
		mu.Lock()
		rows = append(rows, part...)
		mu.Unlock()
	})
	rows = append(rows, s.replications.rows((*replication).clientStats)...)
	return append(rows, s.cancels.rows((*cancelling).clientStats)...)
}

func (w *worker) clientStats(c *client) ConnStats {
	row := ConnStats{
		Type: "C", User: c.route.key.user, Database: c.route.tenant.name, Replication: "none", State: "idle",
		ConnectTime: c.about.connectTime(), RequestTime: w.wall(c.since), ID: w.clientID(c),
		TLS: c.about.tls, PreparedStatements: len(c.named),
	}
	row.Addr, row.Port = split(c.about.address)
	row.LocalAddr, row.LocalPort = split(c.about.local)
	row.settings(c.vars)
	row.FD = c.conn.FD()
	if c.pins != 0 {
		row.Pins, row.PinnedFor = c.pins.names(), w.loop.Now()-c.txSince
	}
	switch {
	case c.throttled:
		row.State = "waiting"
		row.Wait = w.loop.Now() - c.since
	case c.server != nil:
		row.State = "active"
		row.Link = w.serverID(c.backend)
		row.RemotePID = int(c.server.Key.PID)
	case c.waiter != nil:
		row.State = "waiting"
		row.Wait = w.loop.Now() - c.waiter.Since()
	}
	return row
}

// settings fills in what v says; nil says nothing.
func (row *ConnStats) settings(v *vars) {
	if v == nil {
		return
	}
	row.ApplicationName, _ = v.value("application_name")
	row.ClientEncoding, _ = v.value("client_encoding")
	row.StandardStrings, _ = v.value("standard_conforming_strings")
	row.DateStyle, _ = v.value("DateStyle")
	row.TimeZone, _ = v.value("TimeZone")
}

// Servers returns the open server connections.
func (s *Server) Servers() []ConnStats {
	var rows []ConnStats
	var mu sync.Mutex
	s.everyWorker(func(w *worker) {
		var part []ConnStats
		holders := map[*pool.Server]*client{}
		for _, c := range w.slots {
			if c != nil && c.server != nil {
				holders[c.server] = c
			}
		}
		for _, r := range w.routes {
			r.everyPool(func(p *pool.Pool) {
				p.Servers(func(s *pool.Server) { part = append(part, w.serverStats(r, s, holders[s])) })
			})
		}
		mu.Lock()
		rows = append(rows, part...)
		mu.Unlock()
	})
	rows = append(rows, s.replications.rows((*replication).serverStats)...)
	return append(rows, s.cancels.rows((*cancelling).serverStats)...)
}

func (w *worker) serverStats(r *route, s *pool.Server, holder *client) ConnStats {
	b := s.Data.(*backend)
	row := ConnStats{
		Type: "S", User: r.key.user, Database: r.tenant.name, Replication: "none", State: s.State().String(),
		ConnectTime: s.Opened(), RequestTime: s.Opened(), CloseNeeded: s.Stale(), ID: w.serverID(b),
		RemotePID: int(s.Key.PID), TLS: s.TLS, PreparedStatements: len(b.known),
	}
	row.Addr, row.Port = split(s.Member.Address)
	row.LocalAddr, row.LocalPort = split(s.LocalAddr)
	row.settings(b.vars)
	row.FD = s.Conn.FD()
	if holder != nil {
		row.Link = w.clientID(holder)
		row.RequestTime = w.wall(holder.since)
		if holder.canceling() {
			row.State = "being_canceled"
		}
	}
	return row
}

// wall turns an instant of the loop's clock into the time of day.
func (w *worker) wall(d time.Duration) time.Time {
	return time.Now().Add(d - w.loop.Now())
}
