package admin

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"howdah/router"
)

func isDriverParameter(name string) bool {
	return slices.ContainsFunc(driverParameters(), func(p driverParameter) bool { return strings.EqualFold(p.name, name) })
}

func parameterView(p driverParameter) view {
	return view{name: p.name, columns: strings.ToLower(p.name) + " s", hidden: true, rows: func(_ *session, row func(...any)) {
		row(p.value)
	}}
}

// microseconds splits a wait into PgBouncer's two columns.
func microseconds(d time.Duration) (seconds, rest int) {
	return int(d / time.Second), int(d % time.Second / time.Microsecond)
}

// showPools has one row per database and user. The console's clients are active
// in a row of their own, as in PgBouncer.
func showPools(s *session, row func(...any)) {
	for _, p := range s.console.PoolStats() {
		wait, us := microseconds(p.MaxWait)
		row(p.Database, p.User,
			// To PgBouncer a client without work is active.
			p.ClientsActive+p.ClientsIdle, p.ClientsWaiting,
			// A cancel request never waits for a connection: it has its own.
			p.ClientsCanceling, 0,
			p.ServersActive, p.ClientsCanceling, p.ServersCanceling, p.ServersIdle, p.ServersUsed, p.ServersTested, p.ServersLogin,
			wait, us, p.Mode, nil)
	}
}

// PoolStats returns what SHOW POOLS tells, by database and user.
func (c *Console) PoolStats() []router.PoolStats { return c.pools(c.Stats().Pools) }

// pools returns the pools with the console's own, ordered by database and user.
func (c *Console) pools(pools []router.PoolStats) []router.PoolStats {
	c.mu.Lock()
	clients := len(c.sessions)
	c.mu.Unlock()
	own := router.PoolStats{
		Database: consoleName, User: consoleName, Mode: "statement",
		ClientsActive: clients, Counters: c.counters(),
	}
	return mergePools(append(slices.Clone(pools), own))
}

// mergePools returns one row per pair of names that readers can tell apart, in
// order: exporters break on two rows with the same labels.
func mergePools(pools []router.PoolStats) []router.PoolStats {
	type key struct{ database, user string }
	index := make(map[key]int, len(pools))
	out := make([]router.PoolStats, 0, len(pools))
	for _, p := range pools {
		p.Database, p.User = cleanText(p.Database), cleanText(p.User)
		k := key{p.Database, p.User}
		if i, ok := index[k]; ok {
			addPool(&out[i], &p)
			continue
		}
		index[k] = len(out)
		p.Ended, p.Pinned = maps.Clone(p.Ended), maps.Clone(p.Pinned)
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b router.PoolStats) int {
		return cmp.Or(cmp.Compare(a.Database, b.Database), cmp.Compare(a.User, b.User))
	})
	return out
}

func addPool(to, p *router.PoolStats) {
	to.ClientsActive += p.ClientsActive
	to.ClientsWaiting += p.ClientsWaiting
	to.ClientsIdle += p.ClientsIdle
	to.ServersActive += p.ServersActive
	to.ServersIdle += p.ServersIdle
	to.ServersUsed += p.ServersUsed
	to.ServersTested += p.ServersTested
	to.ServersLogin += p.ServersLogin
	to.ServersBeingClosed += p.ServersBeingClosed
	to.ClientsCanceling += p.ClientsCanceling
	to.ServersCanceling += p.ServersCanceling
	to.MaxWait = max(to.MaxWait, p.MaxWait)
	to.Counters.Add(&p.Counters)
	if to.Ended == nil {
		to.Ended = make(map[string]uint64, len(p.Ended))
	}
	for reason, n := range p.Ended {
		to.Ended[reason] += n
	}
	if to.Pinned == nil && len(p.Pinned) > 0 {
		to.Pinned = make(map[string]int, len(p.Pinned))
	}
	for reason, n := range p.Pinned {
		to.Pinned[reason] += n
	}
}

// serversOf counts all of a pool's server connections.
func serversOf(p *router.PoolStats) int {
	return p.ServersActive + p.ServersCanceling + p.ServersIdle + p.ServersUsed + p.ServersTested + p.ServersLogin + p.ServersBeingClosed
}

func showDatabases(s *session, row func(...any)) {
	for _, d := range s.console.databases() {
		row(d.Name, orNull(d.Host), d.Port, d.Database, orNull(d.ForceUser),
			d.PoolSize, d.MinPoolSize, d.ReservePoolSize, int(d.ServerLifetime/time.Second), orNull(d.Mode), nil,
			d.MaxConnections, d.CurrentConnections, d.MaxClientConnections, d.CurrentClientConns,
			d.Paused, d.Disabled)
	}
}

// databases returns the databases with the console's own, one row per name, in
// order.
func (c *Console) databases() []router.DatabaseStats {
	c.mu.Lock()
	clients := len(c.sessions)
	c.mu.Unlock()
	all := append(slices.Clone(c.Databases()), router.DatabaseStats{
		Name: consoleName, Port: c.Port, Database: consoleName, ForceUser: consoleName, Mode: "statement",
		PoolSize: 2, CurrentClientConns: clients,
	})
	return mergeDatabases(all)
}

// mergeDatabases adds the connections of rows of one name: database postgres is
// one of each tenant's.
func mergeDatabases(all []router.DatabaseStats) []router.DatabaseStats {
	index := make(map[string]int, len(all))
	out := make([]router.DatabaseStats, 0, len(all))
	for _, d := range all {
		d.Name = cleanText(d.Name)
		i, ok := index[d.Name]
		if !ok {
			index[d.Name] = len(out)
			out = append(out, d)
			continue
		}
		out[i].CurrentConnections += d.CurrentConnections
		out[i].CurrentClientConns += d.CurrentClientConns
	}
	slices.SortFunc(out, func(a, b router.DatabaseStats) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
