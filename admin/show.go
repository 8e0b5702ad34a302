package admin

import (
	"cmp"
	"context"
	"runtime/metrics"
	"slices"

	"howdah/router"
)

// compatibleVersion is the PgBouncer whose console this is. Clients parse it;
// Howdah's own version is in SHOW HOWDAH.
const compatibleVersion = "1.25.2"

// view is one SHOW command: its columns, which are a contract, and its rows.
type view struct {
	name    string
	columns string // as columns reads it
	hidden  bool   // not in SHOW HELP
	admins  bool   // not for stats users
	rows    func(s *session, row func(values ...any))
}

func (v view) command() Command {
	c := Command{Name: "SHOW " + v.name, Stats: !v.admins}
	if !v.hidden {
		c.Usage = c.Name
	}
	c.run = func(_ context.Context, s *session, _ string) error {
		v.rows(s, s.begin(columns(v.columns)).row)
		return nil
	}
	return c
}

// socketColumns are those of CLIENTS and SERVERS, bufferColumns what SOCKETS has
// behind them.
const (
	socketColumns = "type s, user s, database s, replication s, state s, addr s, port i, local_addr s, local_port i, " +
		"connect_time T, request_time T, wait i, wait_us i, close_needed i, ptr s, link s, remote_pid i, tls s, " +
		"application_name s, prepared_statements i, id i"
	bufferColumns = ", recv_pos i, pkt_pos i, pkt_remain i, send_pos i, send_remain i, pkt_avail i, send_avail i"
)

// views returns every SHOW command with rows.
func views() []view {
	return []view{
		{name: "VERSION", columns: "version s", rows: showVersion},
		{name: "HOWDAH", columns: "key s, value s", rows: showHowdah},
		{name: "CONFIG", columns: "key s, value s, default s, changeable s", rows: showConfig},
		{name: "DATABASES", rows: showDatabases, columns: "name s, host s, port i, database s, force_user s, " +
			"pool_size i, min_pool_size i, reserve_pool_size i, server_lifetime i, pool_mode s, load_balance_hosts s, " +
			"max_connections i, current_connections i, max_client_connections i, current_client_connections i, " +
			"paused i, disabled i"},
		{name: "POOLS", rows: showPools, columns: "database s, user s, cl_active i, cl_waiting i, " +
			"cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active i, sv_active_cancel i, sv_being_canceled i, " +
			"sv_idle i, sv_used i, sv_tested i, sv_login i, maxwait i, maxwait_us i, pool_mode s, load_balance_hosts s"},
		{name: "CLIENTS", columns: socketColumns, rows: showClients},
		{name: "SERVERS", columns: socketColumns, rows: showServers},
		{name: "PINS", rows: showPins, columns: "database s, user s, addr s, port i, application_name s, reason s, " +
			"held_us q, remote_pid i, id i"},
		{name: "BUDGET", rows: showBudget, columns: "cluster s, budget i, reserve i, used i, free i, waiting_tenants i, " +
			"waiting_processes i, moving i, moved q, overdraft i, quantum_ms q"},
		{name: "STANDBYS", rows: showStandbys, columns: "cluster s, member s, role s, timeline q, since_s q, fresh_ms q, lag_bytes q, " +
			"running q, started q, ejected s, held_up_by s"},
		{name: "CLUSTERS", rows: showClusters, columns: "cluster s, members s, budget i, used i, waiting_tenants i, tenants i, can_create s"},
		{name: "TIERS", rows: showTiers, columns: "tier s, tenants i, " + limitColumns},
		{name: "BACKUPS", rows: showBackups, columns: "cluster s, backup s, kind s, started T, took_s q, size q, stored q, ratio N, databases i, " +
			"start_lsn s, stop_lsn s, timeline q, held s, oldest T, newest T"},
		{name: "WAL", rows: showWAL, columns: "cluster s, state s, timeline q, received s, durable s, rpo_ms q, durable_until T, gaps i, " +
			"slot s, retained q, safe q, standby_slots s, taking s, error s"},
		{name: "DRILLS", rows: showDrills, columns: "cluster s, drill s, database s, started T, took_s q, target s, base_backup s, result s, rpo_ms q, rto_ms q, " +
			"bytes q, wal_bytes q, databases i, error s"},
		{name: "TENANT_BACKUPS", rows: showTenantBackups, columns: "tenant s, cluster s, database s, oldest T, newest T, size q, wal_day q, wal_total q, " +
			"exported T, drilled T, rpo_ms q, rpo_promised_ms q, rto_ms q, rto_promised_ms q"},
		{name: "BLAME", rows: showBlame, columns: "cluster s, tenant s, because s, waited_ms q"},
		{name: "SOCKETS", columns: socketColumns + bufferColumns, rows: showSockets},
		{name: "ACTIVE_SOCKETS", columns: socketColumns + bufferColumns, rows: showActiveSockets},
		{name: "FDS", rows: showFDs, admins: true, columns: "fd i, task s, user s, database s, addr s, port i, cancel q, " +
			"link i, client_encoding s, std_strings s, datestyle s, timezone s, password s, scram_client_key b, " +
			"scram_server_key b"},
		{name: "STATS", rows: showStats, columns: "database s, total_server_assignment_count N, total_xact_count N, " +
			"total_query_count N, total_received N, total_sent N, total_xact_time N, total_query_time N, " +
			"total_wait_time N, total_client_parse_count N, total_server_parse_count N, total_bind_count N, " +
			"avg_server_assignment_count N, avg_xact_count N, avg_query_count N, avg_recv N, avg_sent N, " +
			"avg_xact_time N, avg_query_time N, avg_wait_time N, avg_client_parse_count N, avg_server_parse_count N, " +
			"avg_bind_count N"},
		{name: "STATS_TOTALS", rows: showStatsTotals, columns: "database s, server_assignment_count N, xact_count N, " +
			"query_count N, bytes_received N, bytes_sent N, xact_time N, query_time N, wait_time N, " +
			"client_parse_count N, server_parse_count N, bind_count N"},
		{name: "STATS_AVERAGES", rows: showStatsAverages, columns: "database s, server_assignment_count N, " +
			"xact_count N, query_count N, bytes_received N, bytes_sent N, xact_time N, query_time N, wait_time N, " +
			"avg_client_parse_count N, avg_server_parse_count N, avg_bind_count N"},
		{name: "TOTALS", columns: "name s, value N", rows: showTotals},
		{name: "USERS", rows: showUsers, columns: "name s, pool_size s, reserve_pool_size s, pool_mode s, " +
			"max_user_connections i, current_connections i, max_user_client_connections i, current_client_connections i"},
		{name: "LISTS", columns: "list s, items i", rows: showLists},
		{name: "STATE", columns: "key s, value s", rows: showState},
		{name: "MEM", columns: "name s, size i, used i, free i, memtotal i", rows: showMem},
		// What Howdah has nothing of stays empty: it has no peers, and Go's
		// resolver keeps no cache.
		{name: "PEERS", columns: "peer_id i, host s, port i, pool_size i", rows: showNothing},
		{name: "PEER_POOLS", rows: showNothing, columns: "peer_id i, cl_active_cancel_req i, " +
			"cl_waiting_cancel_req i, sv_active_cancel i, sv_login i"},
		{name: "DNS_HOSTS", columns: "hostname s, ttl q, addrs s", rows: showNothing},
		{name: "DNS_ZONES", columns: "zonename s, serial q, count i", rows: showNothing},
	}
}

func showNothing(*session, func(...any)) {}

func showVersion(_ *session, row func(...any)) { row("PgBouncer " + compatibleVersion) }

func showHowdah(s *session, row func(...any)) {
	if s.console.Info == nil {
		return
	}
	for _, r := range s.console.Info() {
		row(r[0], r[1])
	}
}

func showConfig(s *session, row func(...any)) {
	if s.console.Settings == nil {
		return
	}
	for _, x := range s.console.Settings() {
		row(x.Key, x.Value, x.Default, yesNo(x.Changeable))
	}
}

func showState(s *session, row func(...any)) {
	st := s.console.Stats()
	row("active", yesNo(!st.Paused && !st.Suspended))
	row("paused", yesNo(st.Paused))
	row("suspended", yesNo(st.Suspended))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// showLists counts. Howdah keeps no unused client and server records, and has no
// peers and no resolver of its own.
func showLists(s *session, row func(...any)) {
	st := s.console.Stats()
	row("databases", len(s.console.databases()))
	row("users", len(s.console.users(st.Pools)))
	row("peers", 0)
	row("pools", len(s.console.pools(st.Pools)))
	row("peer_pools", 0)
	row("free_clients", 0)
	row("used_clients", st.Clients)
	row("login_clients", st.Logins)
	row("free_servers", 0)
	row("used_servers", st.Servers)
	for _, name := range []string{"dns_names", "dns_zones", "dns_queries", "dns_pending"} {
		row(name, 0)
	}
}

// showUsers lists the configured users and whoever else has a pool.
func showUsers(s *session, row func(...any)) {
	for _, u := range s.console.users(s.console.Stats().Pools) {
		row(u.Name, "", "", orNull(u.PoolMode), u.MaxConnections, u.servers, u.MaxClientConn, u.clients)
	}
}

type userRow struct {
	User
	servers, clients int
}

func (c *Console) users(pools []router.PoolStats) []userRow {
	byName := make(map[string]*userRow)
	if c.Users != nil {
		for _, u := range c.Users() {
			byName[u.Name] = &userRow{User: u}
		}
	}
	for _, p := range c.pools(pools) {
		u, ok := byName[p.User]
		if !ok {
			u = &userRow{User: User{Name: p.User}}
			byName[p.User] = u
		}
		u.servers += serversOf(&p)
		u.clients += p.ClientsActive + p.ClientsIdle + p.ClientsWaiting
	}
	rows := make([]userRow, 0, len(byName))
	for _, u := range byName {
		rows = append(rows, *u)
	}
	slices.SortFunc(rows, func(a, b userRow) int { return cmp.Compare(a.Name, b.Name) })
	return rows
}

// showMem tells of Go's memory in units of 1 kB (column size); PgBouncer shows
// its own caches here.
func showMem(_ *session, row func(...any)) {
	const unit = 1024
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(samples)
	n := make([]int, len(samples))
	for i, s := range samples {
		n[i] = int(s.Value.Uint64())
	}
	used, free, stacks, total := n[0], n[1]+n[2], n[3], n[4]
	row("heap", unit, used/unit, free/unit, used+free)
	row("stacks", unit, stacks/unit, 0, stacks)
	other := total - used - free - stacks
	row("runtime", unit, other/unit, 0, other)
}

// driverParameter is a setting of PostgreSQL's that drivers ask for or set when
// they connect, and what the console claims it is.
type driverParameter struct{ name, value string }

func driverParameters() []driverParameter {
	return []driverParameter{
		{"CLIENT_ENCODING", "UTF-8"},
		{"DEFAULT_TRANSACTION_ISOLATION", "read committed"},
		{"STANDARD_CONFORMING_STRINGS", "on"},
		{"DATESTYLE", "ISO"},
		{"TIMEZONE", "GMT"},
		{"EXTRA_FLOAT_DIGITS", "2"},
	}
}
