package main

import (
	"math"
	"slices"
)

// limitSettings returns the rows of limits, with PgBouncer's names and defaults
// where it has them.
func limitSettings() []setting {
	table := slices.Concat(poolLimits(), countLimits(), timeLimits(), readSettings(), policySettings())
	for i := range table {
		table[i].section = sectionLimits
	}
	return table
}

func poolLimits() []setting {
	return []setting{
		{
			name: "pool_mode", initial: "transaction", reload: true,
			choices: []string{"transaction", "session", "statement"},
			doc:     "When a server may go to another client: after each transaction, when its client leaves, or after each statement.",
			at:      func(p *place) any { return &p.limits.Limits.PoolMode },
		},
		{
			name: "pool_size", shown: "default_pool_size", initial: int64(20), least: 1, most: maxInt, reload: true,
			doc: "Servers per member, database and user.",
			at:  func(p *place) any { return &p.limits.Limits.PoolSize },
		},
		{
			name: "min_pool_size", initial: int64(0), most: maxInt, reload: true,
			doc: "Servers kept open even when idle, once a client has logged in.",
			at:  func(p *place) any { return &p.limits.Limits.MinPoolSize },
		},
		{
			name: "reserve_pool_size", initial: int64(0), most: maxInt, reload: true,
			doc: "Servers on top of pool_size for clients that waited for reserve_pool_timeout.",
			at:  func(p *place) any { return &p.limits.Limits.ReservePoolSize },
		},
		{
			name: "reserve_pool_timeout", initial: "5s", reload: true,
			doc: "How long a client waits before the reserve is opened. 0 is never.",
			at:  func(p *place) any { return &p.limits.Limits.ReservePoolTimeout },
		},
		{
			name: "max_prepared_statements", initial: int64(200), least: 1, most: 1_000_000, reload: true,
			doc: "Prepared statements kept on each server; the least recently used goes first.",
			at:  func(p *place) any { return &p.limits.Limits.MaxPreparedStatements },
		},
		{
			name: "max_client_prepared_statements", initial: int64(10_000), most: 10_000_000, reload: true,
			doc: "Prepared statements that one client may have; one more fails with 53400. Howdah remembers their texts, 64 MB for a client at most. 0 is no limit on their number.",
			at:  func(p *place) any { return &p.limits.Limits.MaxClientPreparedStatements },
		},
		{
			name: "weight", initial: int64(1), least: 1, most: 10_000, reload: true,
			doc: "Share of a busy cluster's budget relative to other tenants: one of weight 2 gets twice the servers of one of weight 1, when both want them.",
			at:  func(p *place) any { return &p.limits.Limits.Weight },
		},
		{
			name: "loops", shown: "tenant_loops", initial: int64(1), least: 1, most: 1024,
			doc: "Event loops a tenant is spread over. More than one lets a single tenant use several CPUs. This version reads it and does nothing with it yet.",
			at:  func(p *place) any { return &p.limits.Loops },
		},
	}
}

// countLimits are how many and how much.
func countLimits() []setting {
	return []setting{
		{
			name: "max_client_conn", shown: "max_db_client_connections", initial: int64(0), most: maxInt, reload: true,
			doc: "Clients of the tenant; more are refused with 53300. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.MaxClientConn },
		},
		{
			name: "max_user_client_connections", initial: int64(0), most: maxInt, reload: true,
			doc: "Clients of one user, over all tenants; more are refused with 53300. 0 is no limit. A [[user]] may have its own.",
			at:  func(p *place) any { return &p.limits.Limits.MaxUserClientConn },
		},
		{
			name: "max_db_connections", initial: int64(0), most: maxInt, reload: true,
			doc: "Servers of the tenant, over all its users. Clients beyond wait. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.MaxDBConnections },
		},
		{
			name: "max_user_connections", initial: int64(0), most: maxInt, reload: true,
			doc: "Servers of one user, over all tenants. Clients beyond wait, and the tenants in which the user has more servers give up theirs to those with fewer; it should be the same for all of them. 0 is no limit. A [[user]] may have its own.",
			at:  func(p *place) any { return &p.limits.Limits.MaxUserConnections },
		},
		{
			name: "max_waiting_clients", initial: int64(0), most: maxInt, reload: true,
			doc: "Clients of the tenant that may wait, for a server or for max_queries_per_second; the next one is cut at once with 53300 rather than wait. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.MaxWaitingClients },
		},
		{
			name: "max_queries_per_second", initial: int64(0), most: maxInt, reload: true,
			doc: "Queries of the tenant a second, with bursts of one second's worth. What comes faster waits, which shows as wait time. A transaction that has begun may overdraw by another second's worth before it waits, so that it does not keep its server for nothing. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.MaxQueriesPerSecond },
		},
		{
			name: "max_logins_per_second", initial: int64(0), most: maxInt, reload: true,
			doc: "Logins to the tenant a second, with bursts of one second's worth; more are refused with 53300, after their password was found right. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.MaxLoginsPerSecond },
		},
		{
			name: "max_bytes_per_second", initial: int64(0), most: math.MaxInt32, reload: true,
			doc: "Bytes of answers to the tenant's clients a second, with bursts of one second's worth. What PostgreSQL sends faster is left unread until its time comes. Replication does not count. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.MaxBytesPerSecond },
		},
		{
			name: "quota", initial: int64(0), most: math.MaxInt64, reload: true,
			doc: "Size that the tenant's database may have, such as \"20GB\", as pg_database_size counts it. A tenant that reaches it only reads until it is below 95 % again: every transaction is READ ONLY, whatever it asks for, and writes fail with 25006 and a hint that says why. What is open when that begins ends as it began. VACUUM goes on. Replication connections, and who logs in to PostgreSQL past Howdah, are not concerned; nor are functions of the tenant's own that write large objects in PostgreSQL before 16. 0 is no limit. It is measured every minute, and every ten seconds from 90 % on, through admin_url of its cluster.",
			at:  func(p *place) any { return &p.limits.Limits.Quota },
		},
		{
			name: "quota_exempt_users", initial: []any{}, reload: true,
			doc: "Users who may write though the tenant is over its quota, to clean up; a * at the end of a name stands for anything. Whom a client has logged in as counts, not its SET ROLE.",
			at:  func(p *place) any { return &p.limits.QuotaRules.ExemptUsers },
		},
	}
}

func timeLimits() []setting {
	return []setting{
		{
			name: "query_wait_timeout", initial: "120s", reload: true,
			doc: "A client that has waited this long for a server gets an error. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.QueryWaitTimeout },
		},
		{
			name: "server_lifetime", initial: "1h", reload: true,
			doc: "A server older than this is closed when it is next unused. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.ServerLifetime },
		},
		{
			name: "server_idle_timeout", initial: "10m", reload: true,
			doc: "A server unused for this long is closed. 0 is never.",
			at:  func(p *place) any { return &p.limits.Limits.ServerIdleTimeout },
		},
		{
			name: "server_connect_timeout", initial: "15s", reload: true,
			doc: "A server must be connected and logged in by then. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.ServerConnectTimeout },
		},
		{
			name: "server_login_retry", initial: "15s", reload: true,
			doc: "The longest pause between attempts to reach a member that fails; the pauses grow up to it. 0 is 15 seconds.",
			at:  func(p *place) any { return &p.limits.Limits.ServerLoginRetry },
		},
		{
			name: "server_check_delay", initial: "30s", reload: true,
			doc: "A server idle for longer is asked server_check_query before a client gets it. 0 is never.",
			at:  func(p *place) any { return &p.limits.Limits.ServerCheckDelay },
		},
		{
			name: "server_check_query", initial: "select 1", reload: true,
			doc: "The question that shows a server alive. \"\" asks nothing.",
			at:  func(p *place) any { return &p.limits.Limits.ServerCheckQuery },
		},
		{
			name: "query_timeout", initial: "0s", reload: true,
			doc: "A query that runs longer is cancelled and its client cut. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.QueryTimeout },
		},
		{
			name: "transaction_timeout", initial: "0s", reload: true,
			doc: "A transaction that is open for longer, whether it works or idles, is cancelled and its client cut with 25P04. 0 is no limit.",
			at:  func(p *place) any { return &p.limits.Limits.TransactionTimeout },
		},
		{
			name: "idle_transaction_timeout", initial: "1h", reload: true,
			doc: "A client that leaves a transaction open and idle for this long is cut, because nobody can take its server back. 0 is no limit, PgBouncer's default.",
			at:  func(p *place) any { return &p.limits.Limits.IdleTransactionTimeout },
		},
		{
			name: "client_idle_timeout", initial: "0s", reload: true,
			doc: "A client idle outside a transaction for this long is cut. 0 is never.",
			at:  func(p *place) any { return &p.limits.Limits.ClientIdleTimeout },
		},
		{
			name: "sequence_pin_timeout", initial: "60s", reload: true,
			doc: "A client that uses currval or lastval keeps its server after nextval or INSERT. When it has been idle outside a transaction for this long, and nothing else keeps the server, the server goes to others: currval then fails with 55000 until the next nextval. 0 is never.",
			at:  func(p *place) any { return &p.limits.Limits.SequencePinTimeout },
		},
	}
}

// userLimits returns the rows of limits that a user may have of its own.
func userLimits() []setting {
	const inherited = "the tenant's"
	table := []setting{
		{name: "max_user_connections", at: func(p *place) any { return &p.user.Limits.MaxUserConnections }},
		{name: "max_user_client_connections", at: func(p *place) any { return &p.user.Limits.MaxUserClientConn }},
		{name: "max_waiting_clients", at: func(p *place) any { return &p.user.Limits.MaxWaitingClients }},
		{name: "max_queries_per_second", at: func(p *place) any { return &p.user.Limits.MaxQueriesPerSecond }},
		{name: "max_logins_per_second", at: func(p *place) any { return &p.user.Limits.MaxLoginsPerSecond }},
		{name: "max_bytes_per_second", at: func(p *place) any { return &p.user.Limits.MaxBytesPerSecond }},
		{name: "query_wait_timeout", at: func(p *place) any { return &p.user.Limits.QueryWaitTimeout }},
		{name: "query_timeout", at: func(p *place) any { return &p.user.Limits.QueryTimeout }},
		{name: "transaction_timeout", at: func(p *place) any { return &p.user.Limits.TransactionTimeout }},
		{name: "idle_transaction_timeout", at: func(p *place) any { return &p.user.Limits.IdleTransactionTimeout }},
		{name: "client_idle_timeout", at: func(p *place) any { return &p.user.Limits.ClientIdleTimeout }},
	}
	for i := range table {
		s := &table[i]
		s.section, s.initialDoc, s.reload, s.most = sectionUser, inherited, true, maxInt
		s.doc = "The user's own, which goes before that of the tenant, its tier and the defaults; of rates and of clients that wait it is one for each tenant that the user works in. 0 is no limit."
	}
	return table
}
