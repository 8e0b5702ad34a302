package admin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"howdah/router"
)

// NewRegistry returns a registry with everything /metrics shows: Howdah's own
// numbers, and those of the process and of Go. Version is what howdah_build_info
// says.
func NewRegistry(p Pooler, version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		&collector{pooler: p, version: version, families: newFamilies()},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// collector asks the router once per scrape, so that all numbers of a scrape are
// of one moment.
type collector struct {
	pooler   Pooler
	version  string
	families families
}

// families are all metrics of Howdah's own.
type families struct {
	build, started, paused, loops      *prometheus.Desc
	clients, logins, servers           *prometheus.Desc
	accepted, refused                  *prometheus.Desc
	poolClients, poolServers, poolWait *prometheus.Desc
	poolEnded, poolPinned              *prometheus.Desc
	poolCounters                       []counterFamily
	databaseSize, databaseReserve      *prometheus.Desc
	databaseServers, databaseClients   *prometheus.Desc
	databaseMaxClients, databasePaused *prometheus.Desc
	databaseMaxServers                 *prometheus.Desc
	loopConns, loopTurns, loopWaits    *prometheus.Desc
	budgetSeats, budgetUsed            *prometheus.Desc
	budgetWaiting, budgetMoved         *prometheus.Desc
	memberUp, memberFresh, memberLag   *prometheus.Desc
	memberRuns, memberStarted          *prometheus.Desc
}

// counterFamily is one of router.Counters as a metric.
type counterFamily struct {
	desc  *prometheus.Desc
	value func(*router.Counters) float64
}

// seconds turns the microseconds of router.Counters into Prometheus' base unit.
func seconds(us uint64) float64 { return float64(us) / 1e6 }

func newFamilies() families {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("howdah_"+name, help, labels, nil)
	}
	return families{
		build:    desc("build_info", "Always 1; the label tells the version of Howdah.", "version"),
		started:  desc("start_time_seconds", "When the pooler started, in seconds since 1970."),
		paused:   desc("paused", "1 while all databases are paused, else 0."),
		loops:    desc("loops", "Event loops that the pooler runs."),
		clients:  desc("clients", "Client connections, logins in progress included."),
		logins:   desc("clients_logging_in", "Client connections that are logging in."),
		servers:  desc("servers", "Server connections."),
		accepted: desc("clients_accepted_total", "Client connections accepted since the start."),
		refused:  desc("clients_refused_total", "Logins and sessions that Howdah itself ended, by SQLSTATE.", "sqlstate"),

		poolClients:  desc("pool_clients", "Clients by state: active has a server, waiting wants one, idle wants none.", "database", "user", "state"),
		poolServers:  desc("pool_servers", "Server connections by state.", "database", "user", "state"),
		poolWait:     desc("pool_max_wait_seconds", "How long the oldest waiting client has waited for a server, in seconds.", "database", "user"),
		poolEnded:    desc("pool_servers_closed_total", "Server connections closed, by reason.", "database", "user", "reason"),
		poolPinned:   desc("pool_pinned_servers", "Servers that clients keep between transactions, by reason; one may have several.", "database", "user", "reason"),
		poolCounters: newCounterFamilies(desc),

		budgetSeats:   desc("budget_seats", "Servers that the cluster may hold; 0 is no limit.", "cluster"),
		budgetUsed:    desc("budget_used_seats", "Servers that the cluster holds, those included that are being opened or closed.", "cluster"),
		budgetWaiting: desc("budget_waiting_tenants", "Tenants that wait for a seat.", "cluster"),
		memberUp:      desc("member_role", "1 for the role that a member of a cluster has: primary, standby or unknown.", "cluster", "member", "role"),
		memberFresh:   desc("standby_behind_seconds", "How old what a standby has is at most.", "cluster", "member"),
		memberLag:     desc("standby_lag_bytes", "What the primary had written when it was last asked, and the standby has not replayed.", "cluster", "member"),
		memberRuns:    desc("standby_running_transactions", "Transactions sent to a standby that have not ended.", "cluster", "member"),
		memberStarted: desc("standby_transactions_total", "Transactions sent to a standby.", "cluster", "member"),
		budgetMoved:   desc("budget_moved_seats_total", "Seats that went from one tenant to another.", "cluster"),

		databaseSize:       desc("database_pool_size", "Servers that a pool of the database may have.", "database"),
		databaseReserve:    desc("database_reserve_pool_size", "Servers on top of the pool size for clients that waited long.", "database"),
		databaseServers:    desc("database_servers", "Server connections to the database.", "database"),
		databaseMaxServers: desc("database_max_servers", "Server connections that the database may have; 0 is no limit.", "database"),
		databaseClients:    desc("database_clients", "Client connections to the database.", "database"),
		databaseMaxClients: desc("database_max_clients", "Client connections that the database may have; 0 is no limit.", "database"),
		databasePaused:     desc("database_paused", "1 while the database is paused, else 0.", "database"),

		loopConns: desc("loop_connections", "Connections that live on the event loop.", "loop"),
		loopTurns: desc("loop_turns_total", "Turns of the event loop.", "loop"),
		loopWaits: desc("loop_waits_total", "Times that the event loop asked the system for events.", "loop"),
	}
}

func newCounterFamilies(desc func(name, help string, labels ...string) *prometheus.Desc) []counterFamily {
	family := func(name, help string, value func(*router.Counters) float64) counterFamily {
		return counterFamily{desc("pool_"+name+"_total", help, "database", "user"), value}
	}
	type c = router.Counters
	return []counterFamily{
		family("server_assignments", "Servers given to clients.", func(n *c) float64 { return float64(n.Assignments) }),
		family("transactions", "Transactions that ended.", func(n *c) float64 { return float64(n.Transactions) }),
		family("queries", "Queries that ended.", func(n *c) float64 { return float64(n.Queries) }),
		family("received_bytes", "Bytes of the protocol that clients sent, without TLS.", func(n *c) float64 { return float64(n.Received) }),
		family("sent_bytes", "Bytes of the protocol sent to clients, without TLS.", func(n *c) float64 { return float64(n.Sent) }),
		family("transaction_seconds", "Time that servers were held for transactions, in seconds.", func(n *c) float64 { return seconds(n.TxTime) }),
		family("query_seconds", "Time that servers worked on queries, in seconds.", func(n *c) float64 { return seconds(n.QueryTime) }),
		family("wait_seconds", "Time that clients waited for a server, in seconds.", func(n *c) float64 { return seconds(n.WaitTime) }),
		family("client_parses", "Prepared statements that clients made.", func(n *c) float64 { return float64(n.ClientParses) }),
		family("server_parses", "Prepared statements that a server had to parse.", func(n *c) float64 { return float64(n.ServerParses) }),
		family("binds", "Executions of prepared statements that clients asked for.", func(n *c) float64 { return float64(n.Binds) }),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	f := &c.families
	for _, d := range []*prometheus.Desc{
		f.build, f.started, f.paused, f.loops, f.clients, f.logins, f.servers, f.accepted, f.refused,
		f.poolClients, f.poolServers, f.poolWait, f.poolEnded, f.poolPinned,
		f.databaseSize, f.databaseReserve, f.databaseServers, f.databaseMaxServers, f.databaseClients,
		f.databaseMaxClients, f.databasePaused, f.loopConns, f.loopTurns, f.loopWaits,
		f.budgetSeats, f.budgetUsed, f.budgetWaiting, f.budgetMoved,
		f.memberUp, f.memberFresh, f.memberLag, f.memberRuns, f.memberStarted,
	} {
		ch <- d
	}
	for _, p := range f.poolCounters {
		ch <- p.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	m := metricSink{ch}
	f, st := &c.families, c.pooler.Stats()
	m.gauge(f.build, 1, c.version)
	if !st.Started.IsZero() {
		m.gauge(f.started, float64(st.Started.UnixNano())/1e9)
	}
	m.gauge(f.paused, oneIf(st.Paused))
	m.gauge(f.loops, float64(st.Loops))
	m.gauge(f.clients, float64(st.Clients))
	m.gauge(f.logins, float64(st.Logins))
	m.gauge(f.servers, float64(st.Servers))
	m.counter(f.accepted, float64(st.Accepted))
	for code, n := range st.Refused {
		m.counter(f.refused, float64(n), cleanText(code))
	}
	for i, l := range st.LoopsStats {
		name := strconv.Itoa(i)
		m.gauge(f.loopConns, float64(l.Conns), name)
		m.counter(f.loopTurns, float64(l.Turns), name)
		m.counter(f.loopWaits, float64(l.Waits), name)
	}
	for _, b := range c.pooler.Budgets() {
		m.gauge(f.budgetSeats, float64(b.Seats), b.Cluster)
		m.gauge(f.budgetUsed, float64(b.Used), b.Cluster)
		m.gauge(f.budgetWaiting, float64(b.Waiting), b.Cluster)
		m.counter(f.budgetMoved, float64(b.Moved), b.Cluster)
	}
	for _, s := range c.pooler.Standbys() {
		m.gauge(f.memberUp, 1, s.Cluster, s.Address, s.Role.String())
		if s.Behind >= 0 {
			m.gauge(f.memberFresh, s.Behind.Seconds(), s.Cluster, s.Address)
		}
		if s.Lag >= 0 {
			m.gauge(f.memberLag, float64(s.Lag), s.Cluster, s.Address)
		}
		m.gauge(f.memberRuns, float64(s.Running), s.Cluster, s.Address)
		m.counter(f.memberStarted, float64(s.Row.Started), s.Cluster, s.Address)
	}
	for _, p := range mergePools(st.Pools) {
		f.collectPool(m, &p)
	}
	for _, d := range mergeDatabases(c.pooler.Databases()) {
		f.collectDatabase(m, &d)
	}
}

func (f *families) collectPool(m metricSink, p *router.PoolStats) {
	for state, n := range map[string]int{
		"active": p.ClientsActive, "waiting": p.ClientsWaiting, "idle": p.ClientsIdle,
	} {
		m.gauge(f.poolClients, float64(n), p.Database, p.User, state)
	}
	for state, n := range map[string]int{
		"active": p.ServersActive, "idle": p.ServersIdle, "used": p.ServersUsed,
		"tested": p.ServersTested, "login": p.ServersLogin, "closing": p.ServersBeingClosed,
		"being_canceled": p.ServersCanceling,
	} {
		m.gauge(f.poolServers, float64(n), p.Database, p.User, state)
	}
	m.gauge(f.poolWait, p.MaxWait.Seconds(), p.Database, p.User)
	for reason, n := range p.Ended {
		m.counter(f.poolEnded, float64(n), p.Database, p.User, cleanText(reason))
	}
	for reason, n := range p.Pinned {
		m.gauge(f.poolPinned, float64(n), p.Database, p.User, reason)
	}
	for _, c := range f.poolCounters {
		m.counter(c.desc, c.value(&p.Counters), p.Database, p.User)
	}
}

func (f *families) collectDatabase(m metricSink, d *router.DatabaseStats) {
	m.gauge(f.databaseSize, float64(d.PoolSize), d.Name)
	m.gauge(f.databaseReserve, float64(d.ReservePoolSize), d.Name)
	m.gauge(f.databaseServers, float64(d.CurrentConnections), d.Name)
	m.gauge(f.databaseMaxServers, float64(d.MaxConnections), d.Name)
	m.gauge(f.databaseClients, float64(d.CurrentClientConns), d.Name)
	m.gauge(f.databaseMaxClients, float64(d.MaxClientConnections), d.Name)
	m.gauge(f.databasePaused, oneIf(d.Paused), d.Name)
}

// metricSink sends values of one scrape.
type metricSink struct{ ch chan<- prometheus.Metric }

func (m metricSink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	m.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (m metricSink) counter(d *prometheus.Desc, v float64, labels ...string) {
	m.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
