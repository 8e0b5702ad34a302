package main

import (
	"math"

	"howdah/tenants"
)

// section is where in the file a setting stands.
type section string

// The sections. Limits are no table of their own: they may be given in
// [defaults], in a [[tier]] and in a [[tenant]].
const (
	sectionListen  section = "listen"
	sectionAdmin   section = "admin"
	sectionServer  section = "server"
	sectionCatalog section = "catalog"
	sectionBackup  section = "backup"
	sectionStore   section = "store"
	sectionLimits  section = "defaults"
	sectionCluster section = "cluster"
	sectionTier    section = "tier"
	sectionTenant  section = "tenant"
	sectionUser    section = "user"
)

// sections returns all sections in the order the manual has them.
func sections() []section {
	return []section{
		sectionListen, sectionAdmin, sectionServer, sectionCatalog, sectionBackup, sectionStore, sectionLimits,
		sectionCluster, sectionTier, sectionTenant, sectionUser,
	}
}

// once reports whether the section is one table rather than an array of them.
func (s section) once() bool {
	switch s {
	case sectionListen, sectionAdmin, sectionServer, sectionCatalog, sectionBackup, sectionLimits:
		return true
	}
	return false
}

// header returns the section's header as it is written in the file.
func (s section) header() string {
	if s.once() {
		return "[" + string(s) + "]"
	}
	return "[[" + string(s) + "]]"
}

// about says in the manual what the section is for.
func (s section) about() string {
	switch s {
	case sectionListen:
		return "Where clients come in and how they prove who they are."
	case sectionAdmin:
		return "The HTTP side, and who may use the console (psql -p 6432 howdah)."
	case sectionServer:
		return "What is one for the whole process."
	case sectionCatalog:
		return "The catalog: clusters, tiers, tenants and users kept in a PostgreSQL database, beside those of this file, and changed over HTTP and by `howdah tenant`."
	case sectionBackup:
		return "Where exports of tenants are kept, and for whose keys they are encrypted."
	case sectionStore:
		return "A store beside that of [backup], for clusters that name it: such as a bucket in another country. One entry per store; every node needs those that clusters and tenants of the catalog name."
	case sectionLimits:
		return "Limits. They may stand in [defaults], in a [[tier]] and in a [[tenant]]; a tenant's own go before its tier's, and those before the defaults."
	case sectionCluster:
		return "A PostgreSQL primary with its standbys. One entry per cluster."
	case sectionTier:
		return "A service class: limits under a name. Takes every limit of [defaults] too."
	case sectionTenant:
		return "A database that clients may ask for. Takes every limit of [defaults] too."
	case sectionUser:
		return "A role that may log in through Howdah. Limits of its own go before its tenant's."
	}
	return ""
}

// place is where values land: a pointer per section, those of other sections
// nil.
type place struct {
	listen  *Listen
	admin   *Admin
	server  *Server
	catalog *Catalog
	backup  *Backup
	store   *Store
	limits  *tenants.Tier // of defaults, a tier or a tenant
	cluster *tenants.Cluster
	tier    *tenants.Tier
	tenant  *tenants.Tenant
	user    *tenants.User
}

// setting is one row of the table that drives reading the file, its defaults,
// `howdah help settings` and SHOW CONFIG.
type setting struct {
	section section
	name    string
	shown   string // in SHOW CONFIG, where PgBouncer has another word; "" = name

	// initial is the default as the file would give it, nil if there is none:
	// initialDoc then says what leaving the setting out means.
	initial    any
	initialDoc string
	example    string // of an entry, for a list without a default

	least, most int64    // of whole numbers and sizes
	choices     []string // of strings; nil = any
	reload      bool     // may change while running
	secret      bool     // never repeated in a message
	doc         string

	at func(*place) any // pointer to the value's home
}

// key is the setting's name in SHOW CONFIG.
func (s *setting) key() string {
	if s.shown != "" {
		return s.shown
	}
	return s.name
}

// maxInt bounds numbers for which no smaller bound makes sense.
const maxInt = math.MaxInt32

// settings returns the table. It is made anew each time, so nobody can change it.
func settings() []setting {
	var table []setting
	table = append(table, listenSettings()...)
	table = append(table, adminSettings()...)
	table = append(table, serverSettings()...)
	table = append(table, catalogSettings()...)
	table = append(table, backupSettings()...)
	table = append(table, storeSettings()...)
	table = append(table, limitSettings()...)
	table = append(table, clusterSettings()...)
	table = append(table, tenantSettings()...)
	table = append(table, placementSettings()...)
	table = append(table, userLimits()...)
	return table
}

func listenSettings() []setting {
	const in = sectionListen
	return []setting{
		{
			section: in, name: "addresses", shown: "listen_addr", initial: []any{"127.0.0.1:6432"},
			doc: "TCP addresses to listen on, each host:port. An empty list listens on the Unix socket only.",
			at:  func(p *place) any { return &p.listen.Addresses },
		},
		{
			section: in, name: "unix_socket_dir", initial: "auto",
			doc: "Folder of the Unix socket, which is named by the first address's port as psql expects. \"auto\" is /var/run/postgresql if it can be written, else /tmp; \"\" is no socket.",
			at:  func(p *place) any { return &p.listen.UnixSocketDir },
		},
		{
			section: in, name: "unix_socket_mode", initial: "0777",
			doc: "Permissions of the Unix socket, in octal.",
			at:  func(p *place) any { return &p.listen.UnixSocketMode },
		},
		{
			section: in, name: "unix_socket_group", initial: "",
			doc: "Group of the Unix socket, by name or number; with a mode such as \"0770\" only its members come in. \"\" is the group that Howdah runs as.",
			at:  func(p *place) any { return &p.listen.UnixSocketGroup },
		},
		{
			section: in, name: "auth_type", initial: "scram-sha-256", reload: true,
			choices: []string{"scram-sha-256", "md5", "trust", "cert"},
			doc:     "How clients prove who they are. md5 takes SCRAM too, by the user's verifier; trust believes everyone and is for loopback addresses only; cert wants a client certificate whose common name is the user.",
			at:      func(p *place) any { return &p.listen.AuthType },
		},
		{
			section: in, name: "hba_file", shown: "auth_hba_file", initial: "", reload: true,
			doc: "Rules in pg_hba.conf's syntax that say who may log in from where and how, in place of auth_type: the first that fits decides, and without one the client is refused. Methods: trust, reject, scram-sha-256, md5, password (over TLS or the Unix socket), cert, peer; options: map, clientcert. A rule that cannot be honoured is a mistake of the configuration.",
			at:  func(p *place) any { return &p.listen.HBAFile },
		},
		{
			section: in, name: "hba_ident_file", shown: "auth_ident_file", initial: "", reload: true,
			doc: "Maps in pg_ident.conf's syntax, which rules name as map=: who by certificate or operating system may be which user.",
			at:  func(p *place) any { return &p.listen.HBAIdentFile },
		},
		{
			section: in, name: "proxy_protocol_from", initial: []any{}, reload: true,
			doc: "Addresses and networks, such as \"10.0.0.5\" or \"10.0.0.0/24\", of proxies: a connection from there must begin with a header of the PROXY protocol, version 2, and the client is whom it names, for rules, the console and the log. From elsewhere no header is looked for. Where proxies are believed trust holds on the Unix socket only.",
			at:  func(p *place) any { return &p.listen.ProxyFrom },
		},
		{
			section: in, name: "login_failures_per_address", initial: int64(60), most: maxInt, reload: true,
			doc: "Wrong passwords a minute from one address (of IPv6, one network of 64 bits), beyond which logins from there are refused with 53300 until fewer have failed. Unix sockets are not counted. 0 is no limit.",
			at:  func(p *place) any { return &p.listen.LoginFailuresPerAddress },
		},
		{
			section: in, name: "login_failures_per_tenant", initial: int64(6000), most: maxInt, reload: true,
			doc: "Wrong passwords a minute for one database, from anywhere, beyond which logins to it are refused with 53300, except from addresses that have logged in to it within the hour. 0 is no limit.",
			at:  func(p *place) any { return &p.listen.LoginFailuresPerTenant },
		},
		{
			section: in, name: "cancel_failures_per_address", initial: int64(300), most: maxInt, reload: true,
			doc: "Cancel requests a minute from one address with a key that is nobody's, beyond which its cancel requests are ignored. 0 is no limit.",
			at:  func(p *place) any { return &p.listen.CancelFailuresPerAddress },
		},
		{
			section: in, name: "tls_mode", shown: "client_tls_sslmode", initial: "disable", reload: true,
			choices: []string{"disable", "allow", "prefer", "require"},
			doc:     "TLS for clients on TCP: disable refuses it, allow and prefer take it when asked, require refuses clients without it.",
			at:      func(p *place) any { return &p.listen.TLSMode },
		},
		{
			section: in, name: "tls_cert_file", shown: "client_tls_cert_file", initial: "", reload: true,
			doc: "Certificate shown to clients, PEM, with its chain.",
			at:  func(p *place) any { return &p.listen.TLSCertFile },
		},
		{
			section: in, name: "tls_key_file", shown: "client_tls_key_file", initial: "", reload: true,
			doc: "Private key of tls_cert_file, PEM.",
			at:  func(p *place) any { return &p.listen.TLSKeyFile },
		},
		{
			section: in, name: "tls_ca_file", shown: "client_tls_ca_file", initial: "", reload: true,
			doc: "Authorities that client certificates must come from, PEM. Needed by auth_type cert.",
			at:  func(p *place) any { return &p.listen.TLSCAFile },
		},
	}
}

func adminSettings() []setting {
	const in = sectionAdmin
	return []setting{
		{
			section: in, name: "http", shown: "admin_http", initial: "127.0.0.1:8432",
			doc: "Address of the API, /metrics, /livez and /readyz. \"\" is no HTTP.",
			at:  func(p *place) any { return &p.admin.HTTP },
		},
		{
			section: in, name: "tls_cert_file", shown: "admin_tls_cert_file", initial: "", reload: true,
			doc: "Certificate shown over HTTP, PEM, with its chain: then http is https. \"\" is no TLS.",
			at:  func(p *place) any { return &p.admin.TLSCertFile },
		},
		{
			section: in, name: "tls_key_file", shown: "admin_tls_key_file", initial: "", reload: true,
			doc: "Private key of tls_cert_file, PEM.",
			at:  func(p *place) any { return &p.admin.TLSKeyFile },
		},
		{
			section: in, name: "tls_ca_file", shown: "admin_tls_ca_file", initial: "", reload: true,
			doc: "Authorities that client certificates must come from, PEM. \"\" is no client certificates.",
			at:  func(p *place) any { return &p.admin.TLSCAFile },
		},
		{
			section: in, name: "client_roles", initial: []any{}, reload: true,
			doc: "Who may use the API by a client certificate in place of a token, each \"NAME: ROLE\": the certificate's common name, and viewer, operator or admin.",
			at:  func(p *place) any { return &p.admin.ClientRoles },
		},
		{
			section: in, name: "requests_per_second", initial: int64(500), most: maxInt, reload: true,
			doc: "Requests to the API with one token or certificate, on average, with bursts of one second's worth; beyond that the answer is 429. 0 is no limit.",
			at:  func(p *place) any { return &p.admin.RequestsPerSecond },
		},
		{
			section: in, name: "token_failures_per_address", initial: int64(60), most: maxInt, reload: true,
			doc: "Wrong tokens a minute from one address (of IPv6, one network of 64 bits), beyond which requests from there get 429, except with tokens that have been good lately. 0 is no limit.",
			at:  func(p *place) any { return &p.admin.TokenFailuresPerAddress },
		},
		{
			section: in, name: "metrics_tenants", initial: int64(50), most: 10_000, reload: true,
			doc: "Tenants that have time series of their own in /metrics: those whose queries took most time; of backups those who write most WAL. The others are summed under the name \"other\", but for backups.",
			at:  func(p *place) any { return &p.admin.MetricsTenants },
		},
		{
			section: in, name: "users", shown: "admin_users", initial: []any{}, reload: true,
			doc: "Users who may do everything in the console. On the Unix socket root and the operating system's user who runs Howdah may too.",
			at:  func(p *place) any { return &p.admin.Users },
		},
		{
			section: in, name: "stats_users", initial: []any{}, reload: true,
			doc: "Users who may look at everything in the console and change nothing.",
			at:  func(p *place) any { return &p.admin.StatsUsers },
		},
	}
}

func serverSettings() []setting {
	const in = sectionServer
	return []setting{
		{
			section: in, name: "loops", initial: int64(0), most: 1024,
			doc: "Event loops, each a thread. 0 is one per CPU.",
			at:  func(p *place) any { return &p.server.Loops },
		},
		{
			section: in, name: "log_level", initial: "info", reload: true,
			choices: []string{"debug", "info", "warn", "error"},
			doc:     "The least severe messages that are logged.",
			at:      func(p *place) any { return &p.server.LogLevel },
		},
		{
			section: in, name: "client_login_timeout", initial: "60s", reload: true,
			doc: "A client that has not logged in by then is cut. 0 is no limit.",
			at:  func(p *place) any { return &p.server.ClientLoginTimeout },
		},
		{
			section: in, name: "max_client_conn", initial: int64(0), most: maxInt, reload: true,
			doc: "Clients over all tenants; more are refused with 53300. 0 is no limit but that of open files.",
			at:  func(p *place) any { return &p.server.MaxClientConn },
		},
		{
			section: in, name: "drain_timeout", initial: "30s", reload: true,
			doc: "How long a stop by TERM waits for running transactions before it cuts them. 0 is no limit.",
			at:  func(p *place) any { return &p.server.DrainTimeout },
		},
		{
			section: in, name: "max_packet_size", initial: "1GB", least: 1024, most: math.MaxInt32, reload: true,
			doc: "Longest message accepted from a logged-in client, which is cut when it sends a longer one. PostgreSQL itself takes no more than 1 GB.",
			at:  func(p *place) any { return &p.server.MaxPacketSize },
		},
		{
			section: in, name: "listen_keep", initial: []any{"cron_trigger", "imbus"}, reload: true,
			doc: "Channels whose listening sessions stay when the connection on which Howdah listens for them is lost; what was sent meanwhile is missed. Sessions that listen on others are closed then, so that they notice. The default is Odoo's.",
			at:  func(p *place) any { return &p.server.ListenKeep },
		},
		{
			section: in, name: "listen_filter", initial: true, reload: true,
			doc: "On the shared database postgres, tell of a notification that names a tenant's database, as Odoo's do, only sessions of that tenant's user.",
			at:  func(p *place) any { return &p.server.ListenFilter },
		},
		{
			section: in, name: "top_statements", initial: int64(20), most: 10_000, reload: true,
			doc: "Shapes of slow statements that are kept for each tenant in use, for SHOW TOP. 0 keeps none.",
			at:  func(p *place) any { return &p.server.TopStatements },
		},
		{
			section: in, name: "top_statement_time", initial: "100ms", reload: true,
			doc: "A statement that takes as long is slow, and counted in SHOW TOP. 0 counts all, which costs some microseconds for each.",
			at:  func(p *place) any { return &p.server.TopStatementTime },
		},
		{
			section: in, name: "tcp_keepalive", initial: true, reload: true,
			doc: "Let the system probe idle TCP connections, of clients and of servers.",
			at:  func(p *place) any { return &p.server.TCPKeepalive },
		},
		{
			section: in, name: "tcp_keepidle", initial: "0s", reload: true,
			doc: "Idle time before the first probe. 0 is the system's.",
			at:  func(p *place) any { return &p.server.TCPKeepidle },
		},
		{
			section: in, name: "tcp_keepintvl", initial: "0s", reload: true,
			doc: "Time between probes. 0 is the system's.",
			at:  func(p *place) any { return &p.server.TCPKeepintvl },
		},
		{
			section: in, name: "tcp_keepcnt", initial: int64(0), most: 127, reload: true,
			doc: "Unanswered probes after which a connection is dead. 0 is the system's.",
			at:  func(p *place) any { return &p.server.TCPKeepcnt },
		},
		{
			section: in, name: "tcp_user_timeout", initial: "0s", reload: true,
			doc: "How long sent data may stay unacknowledged before the connection is dead. 0 is the system's.",
			at:  func(p *place) any { return &p.server.TCPUserTimeout },
		},
	}
}

// defaultAuthQuery honours VALID UNTIL and NOLOGIN, as PgBouncer's does since
// CVE-2025-2291.
const defaultAuthQuery = "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin"

func clusterSettings() []setting {
	const in = sectionCluster
	return []setting{
		{
			section: in, name: "name", initialDoc: "must be given", reload: true,
			doc: "What tenants call the cluster.",
			at:  func(p *place) any { return &p.cluster.Name },
		},
		{
			section: in, name: "members", initialDoc: "must be given unless patroni is", reload: true,
			doc: "Its PostgreSQL servers, primary and standbys in any order: host:port, or a socket's path such as /var/run/postgresql/.s.PGSQL.5432. Several are watched as the role of admin_url: transactions run at the one that is not in recovery (of two, at the one on the higher timeline; without an admin_url, at the first that is named), wait while there is none, and READ ONLY ones may run at standbys. An IP address or socket must always lead to the same server; a host name is looked up again every 3 seconds, and what is open to where it led before is closed.",
			at:  func(p *place) any { return &p.cluster.Members },
		},
		{
			section: in, name: "patroni", initialDoc: "none", example: "http://10.0.0.1:8008", reload: true, secret: true,
			doc: "REST APIs of Patroni, such as \"http://10.0.0.1:8008\", in place of members: whichever answers is asked each second (GET /cluster) who the members are and who leads them. Transactions run at the leader, once it is not in recovery; they wait while there is no leader, and stay where they are while no API answers. Several URLs keep that from depending on one machine. A URL may hold user and password. Needs admin_url, with a role that logs in at every member.",
			at:  func(p *place) any { return &p.cluster.Patroni },
		},
		{
			section: in, name: "patroni_ca_file", initial: "", reload: true,
			doc: "Authorities that the certificates of Patroni's REST APIs must come from, PEM. \"\" is the system's.",
			at:  func(p *place) any { return &p.cluster.PatroniCAFile },
		},
		{
			section: in, name: "admin_url", initial: "", reload: true, secret: true,
			doc: "Superuser connection for provisioning, direct to the primary: postgres://… or key=value pairs. Its user and password also log in at every member to watch it, and at the primary for the connection on which a database's sessions LISTEN, which tenants could end if it were theirs; without it, or where it cannot log in, the tenant's role listens.",
			at:  func(p *place) any { return &p.cluster.AdminURL },
		},
		{
			section: in, name: "replication_url", initial: "", reload: true, secret: true,
			doc: "Connection of a role with REPLICATION, to the primary, for WAL and base backups: WAL is stored while a Howdah with a store runs, and base backups can be taken. It may name several hosts, with target_session_attrs=primary. Where there is no admin_url, the primary is asked by it too, in database postgres, where it is in its WAL and how the slot stands, without which nothing can be restored by a time: pg_hba.conf must let the role in there, beside replication, and whether commits wait for Howdah it sees as a member of pg_read_all_stats. \"\" is none.",
			at:  func(p *place) any { return &p.cluster.ReplicationURL },
		},
		{
			section: in, name: "base_url", initial: "", reload: true, secret: true,
			doc: "Connection of a role with REPLICATION to a standby, of which base backups are taken, to spare the primary; WAL comes from replication_url all the same. From there come the first base backup, those that are due for their age or for what a restore would replay (base_interval, base_changes_interval, backup_rto) and those that somebody asks for; after WAL was lost, a failover, a new tablespace or a file_copy one is taken at replication_url, since a standby begins at its last restart point, which may be before that. Where the standby is away, is promoted meanwhile, or is so far behind that WAL from there on is not stored, the log warns, and it is taken at replication_url: at once, but one that is so due not before the standby has failed for an hour. Incremental ones need summarize_wal on the standby. It may name several hosts, of which the first that answers is asked. \"\" is replication_url.",
			at:  func(p *place) any { return &p.cluster.BaseURL },
		},
		{
			section: in, name: "store", initial: "", reload: true,
			doc: "The [[store]] in which the cluster's WAL, base backups and filestores are kept, and exports of its tenants. Where it is changed, what was stored before stays where it is, and a base backup is taken in the new one. \"\" is that of [backup].",
			at:  func(p *place) any { return &p.cluster.Store },
		},
		{
			section: in, name: "os_user", initial: "", reload: true,
			doc: "The operating system's user that the cluster's servers on this machine run as: its archive_command and restore_command may use wal_socket. \"\" is none.",
			at:  func(p *place) any { return &p.cluster.OSUser },
		},
		{
			section: in, name: "budget", initial: int64(0), most: maxInt, reload: true,
			doc: "Server connections the cluster may hold over all tenants; keep it below its max_connections. Where tenants want more, they share by weight: see SHOW BUDGET. 0 is no limit.",
			at:  func(p *place) any { return &p.cluster.Budget },
		},
		{
			section: in, name: "budget_reserve", initial: int64(-1), least: -1, most: maxInt, reload: true,
			doc: "Seats of the budget that only a process gets which holds a server already and has waited 50 ms for another, as Odoo's cron workers do; without them such processes could wait for each other for ever. -1 is a twentieth of the budget, and at least 2 from 10 seats on, 1 below.",
			at:  func(p *place) any { return &p.cluster.BudgetReserve },
		},
		{
			section: in, name: "seat_quantum", initial: "500ms", reload: true,
			doc: "For how long a server stays with a busy tenant before its seat goes to another that has had less. To move a seat costs a login; a shorter time is fairer, a longer one cheaper. An idle server's seat goes to others after four such times, or at once where its tenant has more than its share. 0 is 500ms.",
			at:  func(p *place) any { return &p.cluster.SeatQuantum },
		},
		{
			section: in, name: "max_lag", initial: "10s", reload: true,
			doc: "A standby that may lack what was committed longer ago than this serves no reads until it has caught up. Whatever it is, a transaction runs only at a standby that has everything its database's clients have written through Howdah. 0 is no limit.",
			at:  func(p *place) any { return &p.cluster.MaxLag },
		},
		{
			section: in, name: "max_lag_bytes", initial: int64(0), most: math.MaxInt64, reload: true,
			doc: "A standby that has so much of the WAL still to replay serves no reads. 0 is no limit.",
			at:  func(p *place) any { return &p.cluster.MaxLagBytes },
		},
		{
			section: in, name: "min_standbys", initial: int64(1), most: 1000, reload: true,
			doc: "With fewer standbys than this that can serve reads, the primary takes its part of them, so that one that is left does not break under what several did.",
			at:  func(p *place) any { return &p.cluster.MinStandbys },
		},
		{
			section: in, name: "max_primary_reads", initial: int64(0), most: maxInt, reload: true,
			doc: "Transactions that the primary runs at once and a standby could have run: because it lacks what was just written, is behind, or is down. More wait for a standby or for one of these to end, up to query_wait_timeout. 0 is no limit.",
			at:  func(p *place) any { return &p.cluster.MaxPrimaryReads },
		},
		{
			section: in, name: "writers", initial: tenants.HowdahWriters, reload: true,
			choices: []string{tenants.HowdahWriters, tenants.ExternalWriters},
			doc:     "Who writes to the cluster: clients of this Howdah only, or others too, such as a second Howdah or what connects to the primary itself. With external a read waits a few milliseconds until the primary has said how far its WAL goes and a standby has replayed that, and runs at the primary where none does in 50 ms.",
			at:      func(p *place) any { return &p.cluster.Writers },
		},
		{
			section: in, name: "auth_user", initial: "", reload: true,
			doc: "Role that runs auth_query on the cluster for users who are no [[user]], or one without a verifier; its server_secret_file logs it in unless the cluster trusts Howdah. It need be no superuser where auth_query calls a SECURITY DEFINER function. \"\" is nobody: then only a [[user]] can log in by password.",
			at:  func(p *place) any { return &p.cluster.AuthUser },
		},
		{
			section: in, name: "auth_query", initial: defaultAuthQuery, reload: true,
			doc: "What auth_user asks: $1 is the user, and the one row is its name and its secret as in pg_authid, NULL for one that may not log in by password. It runs on a connection of its own whose search_path is pg_catalog. The answer is believed for up to a minute, or until a password does not fit it.",
			at:  func(p *place) any { return &p.cluster.AuthQuery },
		},
		{
			section: in, name: "auth_dbname", initial: tenants.Shared, reload: true,
			doc: "The database in which auth_query runs. A tenant's own would let its owner answer.",
			at:  func(p *place) any { return &p.cluster.AuthDatabase },
		},
		{
			section: in, name: "tls_mode", initial: "prefer", reload: true,
			choices: []string{"disable", "prefer", "require", "verify-ca", "verify-full"},
			doc:     "TLS to the members, in libpq's words. Never used on a socket.",
			at:      func(p *place) any { return &p.cluster.TLSMode },
		},
		{
			section: in, name: "tls_ca_file", initial: "", reload: true,
			doc: "Authorities that members' certificates must come from, PEM. \"\" is the system's.",
			at:  func(p *place) any { return &p.cluster.TLSCAFile },
		},
	}
}

func tenantSettings() []setting {
	return []setting{
		{
			section: sectionTier, name: "name", initialDoc: "must be given", reload: true,
			doc: "What tenants call the tier.",
			at:  func(p *place) any { return &p.tier.Name },
		},
		{
			section: sectionTenant, name: "name", initialDoc: "must be given", reload: true,
			doc: "The database clients ask for. \"*\" stands for every name that no other tenant has.",
			at:  func(p *place) any { return &p.tenant.Name },
		},
		{
			section: sectionTenant, name: "cluster", initialDoc: "the only cluster", reload: true,
			doc: "Where the database is.",
			at:  func(p *place) any { return &p.tenant.Cluster },
		},
		{
			section: sectionTenant, name: "database", initialDoc: "the tenant's name", reload: true,
			doc: "The database's name on the cluster.",
			at:  func(p *place) any { return &p.tenant.Database },
		},
		{
			section: sectionTenant, name: "user", initialDoc: "the tenant's name", reload: true,
			doc: "The role that owns the database. Clients of this role reach the database postgres with this tenant's limits.",
			at:  func(p *place) any { return &p.tenant.User },
		},
		{
			section: sectionTenant, name: "tier", initialDoc: "none", reload: true,
			doc: "The tier whose limits the tenant inherits.",
			at:  func(p *place) any { return &p.tenant.Tier },
		},
		{
			section: sectionTenant, name: "state", initial: "active", reload: true,
			choices: []string{"active", "suspended"},
			doc:     "A suspended tenant keeps its data, and its clients are refused.",
			at:      func(p *place) any { return &p.tenant.State },
		},
		{
			section: sectionTenant, name: "quota_grace_until", initialDoc: "no grace", reload: true,
			doc: "Until then all may write though the tenant is over its quota. GRACE TENANT and `howdah tenant grace` write it into the catalog.",
			at:  func(p *place) any { return &p.tenant.QuotaRules.GraceUntil },
		},
		{
			section: sectionUser, name: "name", initialDoc: "must be given", reload: true,
			doc: "The role's name.",
			at:  func(p *place) any { return &p.user.Name },
		},
		{
			section: sectionUser, name: "verifier", initialDoc: "must be given unless auth_type is trust or cert, or there is an hba_file or auth_user", reload: true, secret: true,
			doc: "The role's secret exactly as its clusters have it: SELECT rolpassword FROM pg_authid. Never a password.",
			at:  func(p *place) any { return &p.user.Verifier },
		},
		{
			section: sectionUser, name: "old_verifiers", initialDoc: "none", example: "2026-01-31T12:00:00Z SCRAM-SHA-256$4096:…", reload: true, secret: true,
			doc: "Verifiers of passwords that go on beside the new one until a time, which stands in front. Each has the salt and iterations of verifier. `howdah tenant rotate` writes them into the catalog.",
			at:  func(p *place) any { return &p.user.OldVerifiers },
		},
		{
			section: sectionUser, name: "server_keys", initialDoc: "none", example: "1f2e3d4c:YWdl…", reload: true, secret: true,
			doc: "Of a managed user: what logs it in to its clusters, sealed with the master key, in the order in which they are tried. Howdah writes them into the catalog; verifier is then no server's string.",
			at:  func(p *place) any { return &p.user.ServerKeys },
		},
		{
			section: sectionUser, name: "server_secret_file", initial: "", reload: true,
			doc: "File with the role's password on its clusters, or the md5 form of it, on the first line; nobody but its owner may read it. It logs in to servers where the client's own login gave nothing to do that with: by certificate, peer and trust. Not needed where the clusters trust Howdah.",
			at:  func(p *place) any { return &p.user.ServerSecretFile },
		},
		{
			section: sectionUser, name: "replication", initial: false, reload: true,
			doc: "Let the role open replication connections (pg_basebackup, pg_receivewal, standbys, logical subscribers), as far as PostgreSQL lets it too. A physical copy has every tenant of the cluster in it: never give it to a tenant's own role.",
			at:  func(p *place) any { return &p.user.Replication },
		},
		{
			section: sectionUser, name: "cluster", initial: "", reload: true,
			doc: "Where the user finds the database postgres while no tenant is its own: a role that may create databases makes its first one from there. A role with a tenant is led to that tenant's cluster.",
			at:  func(p *place) any { return &p.user.Cluster },
		},
		{
			section: sectionUser, name: "tier", initial: "", reload: true,
			doc: "Tier of that database, and of the tenants that are made of the databases that the user creates from there.",
			at:  func(p *place) any { return &p.user.Tier },
		},
	}
}
