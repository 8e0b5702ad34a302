package main

import "time"

// bouncerKind is how PgBouncer reads a setting's value.
type bouncerKind uint8

const (
	kindText    bouncerKind = iota
	kindNumber              // whole, as C writes it: 010 is 8
	kindCount               // whole, of decimal digits: 010 is 10
	kindFlag                // 0 or 1
	kindSeconds             // may have a fraction
	kindMillis              // whole
	kindWord                // of a list, in any case
)

// bouncerSetting is one setting of PgBouncer and what becomes of it.
type bouncerSetting struct {
	name string
	kind bouncerKind

	// The row of our settings table that takes the value. Where there is none,
	// or none of that name in this version, the output has a comment with why.
	in section
	as string

	// initial is PgBouncer's default, written even where the file has none,
	// because ours is another. "" = ours does as well.
	initial string

	zero any    // what to write for 0, where our 0 means something else; nil = 0
	why  string // no equivalent: the reason, and what to do instead; else a remark on 0

	secret bool // the value is not repeated

	// own is true where translating takes more than one value: the code of
	// authentication, addresses, TLS and files has these.
	own bool
}

const noPeers = "one Howdah uses all CPUs of its machine (loops in [server]) and has no peers: a cancel request must come to the Howdah that has the client"

// bouncerSettings are all settings of [pgbouncer] as of 1.26. It is made anew
// each time, so nobody can change it.
func bouncerSettings() []bouncerSetting {
	var table []bouncerSetting
	table = append(table, bouncerDoors()...)
	table = append(table, bouncerLimits()...)
	table = append(table, bouncerTimes()...)
	table = append(table, bouncerSockets()...)
	table = append(table, bouncerProcess()...)
	return table
}

// bouncerSettingOf finds the row of that name.
func bouncerSettingOf(table []bouncerSetting, name string) *bouncerSetting {
	for i := range table {
		if table[i].name == name {
			return &table[i]
		}
	}
	return nil
}

// bouncerDoors are about who comes in, and how.
func bouncerDoors() []bouncerSetting {
	const crypto = "Howdah takes TLS 1.2 and 1.3 with the ciphers and curves that Go holds safe; none of these can be chosen"
	return []bouncerSetting{
		{name: "listen_addr", own: true},
		{name: "listen_port", kind: kindNumber, own: true},
		{name: "unix_socket_dir", own: true},
		{name: "unix_socket_mode", kind: kindNumber, own: true},
		{name: "unix_socket_group", in: sectionListen, as: "unix_socket_group", why: "Howdah's socket has the group of its process; run it with that group, or keep others out with unix_socket_mode"},
		{name: "auth_type", kind: kindWord, own: true},
		{name: "auth_hba_file", own: true},
		{name: "auth_ident_file", own: true},
		{name: "auth_file", own: true},
		{name: "auth_user", own: true},
		{name: "auth_query", own: true},
		{name: "auth_dbname", own: true},
		{name: "auth_ldap_options", secret: true, why: "Howdah asks no LDAP server (the options are not repeated here, as they may hold a password); give each user a verifier"},
		{name: "scram_iterations", kind: kindNumber, own: true},
		{name: "admin_users", own: true},
		{name: "stats_users", own: true},
		{name: "client_tls_sslmode", kind: kindWord, own: true},
		{name: "client_tls_cert_file", own: true},
		{name: "client_tls_key_file", own: true},
		{name: "client_tls_ca_file", own: true},
		{name: "client_tls_protocols", why: crypto},
		{name: "client_tls_ciphers", why: crypto},
		{name: "client_tls13_ciphers", why: crypto},
		{name: "client_tls_ecdhcurve", why: crypto},
		{name: "client_tls_dheparams", why: crypto},
		{name: "server_tls_sslmode", kind: kindWord, own: true},
		{name: "server_tls_ca_file", own: true},
		{name: "server_tls_key_file", why: "Howdah shows servers no certificate of its own; let them ask for scram-sha-256"},
		{name: "server_tls_cert_file", why: "Howdah shows servers no certificate of its own; let them ask for scram-sha-256"},
		{name: "server_tls_protocols", why: crypto},
		{name: "server_tls_ciphers", why: crypto},
		{name: "server_tls13_ciphers", why: crypto},
	}
}

// bouncerLimits are about how many, and of pools.
func bouncerLimits() []bouncerSetting {
	return []bouncerSetting{
		{name: "pool_mode", kind: kindWord, in: sectionLimits, as: "pool_mode", initial: "session"},
		{name: "max_client_conn", kind: kindNumber, in: sectionServer, as: "max_client_conn", initial: "100", zero: int64(1), why: "0 let nobody in"},
		{name: "default_pool_size", kind: kindNumber, in: sectionLimits, as: "pool_size"},
		{name: "min_pool_size", kind: kindNumber, in: sectionLimits, as: "min_pool_size"},
		{name: "reserve_pool_size", kind: kindNumber, in: sectionLimits, as: "reserve_pool_size"},
		{name: "reserve_pool_timeout", kind: kindSeconds, in: sectionLimits, as: "reserve_pool_timeout"},
		{name: "max_db_connections", kind: kindNumber, in: sectionLimits, as: "max_db_connections"},
		{name: "max_db_client_connections", kind: kindNumber, in: sectionLimits, as: "max_client_conn"},
		{name: "max_user_connections", kind: kindNumber, in: sectionLimits, as: "max_user_connections"},
		{name: "max_user_client_connections", kind: kindNumber, in: sectionLimits, as: "max_user_client_connections"},
		{name: "max_prepared_statements", kind: kindNumber, in: sectionLimits, as: "max_prepared_statements", zero: int64(200), why: "0 left prepared statements of transaction mode to their luck; Howdah always keeps them apart"},
		{name: "server_round_robin", kind: kindFlag, why: "Howdah gives out the server that was used last, so that the others can be closed"},
		{name: "server_reset_query", why: "Howdah finds out what a session has changed and undoes that, and runs DISCARD ALL behind clients of session mode; there is nothing to set"},
		{name: "server_reset_query_always", kind: kindFlag, why: "in transaction mode what a session sets follows its client and never reaches another; there is nothing to reset"},
		{name: "server_fast_close", kind: kindFlag, why: "RECONNECT and changed addresses wait for a session's end; KILL_CLIENT on the console cuts one"},
		{name: "server_check_query", own: true},
		{name: "track_extra_parameters", why: "every setting of a session follows its client in Howdah; there is nothing to list"},
		{name: "ignore_startup_parameters", why: "Howdah takes every setting that a client gives at its login, and it holds for this client: what was ignored before has an effect now"},
		{name: "disable_pqexec", kind: kindFlag, why: "Howdah takes simple queries always"},
		{name: "application_name_add_host", kind: kindFlag, why: "Howdah leaves application_name alone; SHOW CLIENTS and SHOW SERVERS tell which client has which server"},
	}
}

// bouncerTimes are how long things may take.
func bouncerTimes() []bouncerSetting {
	return []bouncerSetting{
		{name: "server_check_delay", kind: kindSeconds, in: sectionLimits, as: "server_check_delay", zero: briefly, why: "0 was always; Howdah's 0 is never"},
		{name: "server_lifetime", kind: kindSeconds, in: sectionLimits, as: "server_lifetime", zero: briefly, why: "0 was one use only; Howdah's 0 is no limit"},
		{name: "server_idle_timeout", kind: kindSeconds, in: sectionLimits, as: "server_idle_timeout"},
		{name: "server_connect_timeout", kind: kindSeconds, in: sectionLimits, as: "server_connect_timeout"},
		{name: "server_login_retry", kind: kindSeconds, in: sectionLimits, as: "server_login_retry", zero: 100 * time.Millisecond, why: "0 was at once; Howdah's 0 is 15 seconds"},
		{name: "client_login_timeout", kind: kindSeconds, in: sectionServer, as: "client_login_timeout"},
		{name: "query_timeout", kind: kindSeconds, in: sectionLimits, as: "query_timeout"},
		{name: "query_wait_timeout", kind: kindSeconds, in: sectionLimits, as: "query_wait_timeout"},
		{name: "client_idle_timeout", kind: kindSeconds, in: sectionLimits, as: "client_idle_timeout"},
		{name: "idle_transaction_timeout", kind: kindSeconds, in: sectionLimits, as: "idle_transaction_timeout", initial: "0"},
		{name: "transaction_timeout", kind: kindSeconds, in: sectionLimits, as: "transaction_timeout", why: "Howdah has no limit on a whole transaction yet; PostgreSQL 17 and later have: ALTER ROLE … SET transaction_timeout"},
		{name: "cancel_wait_timeout", kind: kindSeconds, in: sectionLimits, as: "cancel_wait_timeout", why: "a cancel needs no server of the pool in Howdah and does not wait for one"},
		{name: "autodb_idle_timeout", kind: kindSeconds, why: `what "*" has answered is remembered until the next reload, and its servers go by server_idle_timeout`},
		{name: "pool_idle_timeout", kind: kindSeconds, why: "Howdah keeps empty pools; they cost next to nothing"},
		{name: "query_wait_notify", kind: kindSeconds, why: "Howdah sends no notice to those who wait; SHOW POOLS has maxwait"},
		{name: "login_notify_message", why: "Howdah does not welcome its clients"},
	}
}

// bouncerSockets are about the network.
func bouncerSockets() []bouncerSetting {
	const dns = "Howdah looks a member's name up at each connect, as the system does, and keeps no answer"
	return []bouncerSetting{
		{name: "tcp_keepalive", kind: kindFlag, in: sectionServer, as: "tcp_keepalive"},
		{name: "tcp_keepcnt", kind: kindNumber, in: sectionServer, as: "tcp_keepcnt"},
		{name: "tcp_keepidle", kind: kindSeconds, in: sectionServer, as: "tcp_keepidle"},
		{name: "tcp_keepintvl", kind: kindSeconds, in: sectionServer, as: "tcp_keepintvl"},
		{name: "tcp_user_timeout", kind: kindMillis, in: sectionServer, as: "tcp_user_timeout"},
		{name: "max_packet_size", kind: kindNumber, in: sectionServer, as: "max_packet_size"},
		{name: "dns_max_ttl", kind: kindSeconds, why: dns},
		{name: "dns_nxdomain_ttl", kind: kindSeconds, why: dns},
		{name: "dns_zone_check_period", kind: kindSeconds, why: dns},
		{name: "resolv_conf", why: dns + "; change the system's own"},
		{name: "pkt_buf", kind: kindNumber, why: "Howdah's buffers have one size"},
		{name: "sbuf_loopcnt", kind: kindNumber, why: "Howdah's loops share their time between connections by themselves"},
		{name: "listen_backlog", kind: kindNumber, why: "Howdah asks for what the system allows: net.core.somaxconn"},
		{name: "so_reuseport", kind: kindFlag, why: "one Howdah uses all CPUs (loops in [server]): run one in the place of all PgBouncers behind the port"},
		{name: "tcp_defer_accept", kind: kindFlag, why: "Howdah takes connections as they come; client_login_timeout cuts the silent ones"},
		{name: "tcp_socket_buffer", kind: kindNumber, why: "Howdah leaves the sockets' buffers to the system: net.ipv4.tcp_rmem and tcp_wmem"},
	}
}

// bouncerProcess are about the process and what it writes.
func bouncerProcess() []bouncerSetting {
	const (
		syslog = "Howdah writes to its standard error; whoever starts it, such as systemd, takes it to the log"
		logged = "Howdah logs by severity: log_level in [server]; SHOW CLIENTS and /metrics tell the rest"
	)
	return []bouncerSetting{
		{name: "verbose", kind: kindNumber, own: true},
		{name: "logfile", why: syslog},
		{name: "syslog", kind: kindFlag, why: syslog},
		{name: "syslog_ident", why: syslog},
		{name: "syslog_facility", why: syslog},
		{name: "log_connections", kind: kindFlag, why: logged},
		{name: "log_disconnections", kind: kindFlag, why: logged},
		{name: "log_pooler_errors", kind: kindFlag, why: logged},
		{name: "log_stats", kind: kindFlag, why: "Howdah logs no statistics; /metrics and SHOW STATS have them"},
		{name: "stats_period", kind: kindNumber, why: "the averages of SHOW STATS go back one to two minutes, always"},
		{name: "pidfile", why: "Howdah writes none and stays in the foreground; SHOW HOWDAH has its pid"},
		{name: "user", why: "Howdah runs as whoever starts it: User= in a unit of systemd"},
		{name: "conffile", why: "the file is named on the command line: howdah serve -c howdah.toml"},
		{name: "suspend_timeout", kind: kindSeconds, why: "that is of older PgBouncers, which gave up SUSPEND and -R after it"},
		{name: "service_name", why: "that is for Windows"},
		{name: "job_name", why: "that is for Windows"},
		{name: "peer_id", kind: kindNumber, why: noPeers},
	}
}
