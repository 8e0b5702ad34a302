package admin_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"howdah/admin"
	"howdah/router"
)

// contract has the columns of PgBouncer 1.25.2, in the letters of its sources.
// It is written down a second time here, apart from the code, so that a slip of
// the hand in either shows.
func contract() map[string]string {
	sockets := "type:s user:s database:s replication:s state:s addr:s port:i local_addr:s local_port:i connect_time:s " +
		"request_time:s wait:i wait_us:i close_needed:i ptr:s link:s remote_pid:i tls:s application_name:s " +
		"prepared_statements:i id:i"
	buffers := sockets + " recv_pos:i pkt_pos:i pkt_remain:i send_pos:i send_remain:i pkt_avail:i send_avail:i"
	return map[string]string{
		"VERSION": "version:s",
		"HOWDAH":  "key:s value:s",
		"CONFIG":  "key:s value:s default:s changeable:s",
		"POOLS": "database:s user:s cl_active:i cl_waiting:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active:i " +
			"sv_active_cancel:i sv_being_canceled:i sv_idle:i sv_used:i sv_tested:i sv_login:i maxwait:i maxwait_us:i " +
			"pool_mode:s load_balance_hosts:s",
		"STATS": "database:s total_server_assignment_count:N total_xact_count:N total_query_count:N total_received:N " +
			"total_sent:N total_xact_time:N total_query_time:N total_wait_time:N total_client_parse_count:N " +
			"total_server_parse_count:N total_bind_count:N avg_server_assignment_count:N avg_xact_count:N " +
			"avg_query_count:N avg_recv:N avg_sent:N avg_xact_time:N avg_query_time:N avg_wait_time:N " +
			"avg_client_parse_count:N avg_server_parse_count:N avg_bind_count:N",
		"STATS_TOTALS": "database:s server_assignment_count:N xact_count:N query_count:N bytes_received:N bytes_sent:N " +
			"xact_time:N query_time:N wait_time:N client_parse_count:N server_parse_count:N bind_count:N",
		"STATS_AVERAGES": "database:s server_assignment_count:N xact_count:N query_count:N bytes_received:N " +
			"bytes_sent:N xact_time:N query_time:N wait_time:N avg_client_parse_count:N avg_server_parse_count:N " +
			"avg_bind_count:N",
		"TOTALS":         "name:s value:N",
		"CLIENTS":        sockets,
		"SERVERS":        sockets,
		"SOCKETS":        buffers,
		"ACTIVE_SOCKETS": buffers,
		"BUDGET": "cluster:s budget:i reserve:i used:i free:i waiting_tenants:i waiting_processes:i moving:i moved:q " +
			"overdraft:i quantum_ms:q",
		"STANDBYS": "cluster:s member:s role:s timeline:q since_s:q fresh_ms:q lag_bytes:q running:q started:q ejected:s held_up_by:s",
		"BACKUPS": "cluster:s backup:s kind:s started:s took_s:q size:q stored:q ratio:N databases:i start_lsn:s stop_lsn:s timeline:q " +
			"held:s oldest:s newest:s",
		"WAL":            "cluster:s state:s timeline:q received:s durable:s rpo_ms:q durable_until:s gaps:i slot:s retained:q safe:q standby_slots:s taking:s error:s",
		"DRILLS":         "cluster:s drill:s database:s started:s took_s:q target:s base_backup:s result:s rpo_ms:q rto_ms:q bytes:q wal_bytes:q databases:i error:s",
		"TENANT_BACKUPS": "tenant:s cluster:s database:s oldest:s newest:s size:q wal_day:q wal_total:q exported:s drilled:s rpo_ms:q rpo_promised_ms:q rto_ms:q rto_promised_ms:q",
		"BLAME":          "cluster:s tenant:s because:s waited_ms:q",
		"PINS":           "database:s user:s addr:s port:i application_name:s reason:s held_us:q remote_pid:i id:i",
		"DATABASES": "name:s host:s port:i database:s force_user:s pool_size:i min_pool_size:i reserve_pool_size:i " +
			"server_lifetime:i pool_mode:s load_balance_hosts:s max_connections:i current_connections:i " +
			"max_client_connections:i current_client_connections:i paused:i disabled:i",
		"USERS": "name:s pool_size:s reserve_pool_size:s pool_mode:s max_user_connections:i current_connections:i " +
			"max_user_client_connections:i current_client_connections:i",
		"FDS": "fd:i task:s user:s database:s addr:s port:i cancel:q link:i client_encoding:s std_strings:s datestyle:s " +
			"timezone:s password:s scram_client_key:b scram_server_key:b",
		"TENANTS": "tenant:s cluster:s database:s user:s tier:s state:s clients:i servers:i waiting:i pool_mode:s pool_size:i " +
			"min_pool_size:i reserve_pool_size:i max_db_connections:i max_user_connections:i max_client_conn:i " +
			"max_user_client_connections:i max_waiting_clients:i max_queries_per_second:i max_logins_per_second:i " +
			"max_bytes_per_second:q query_wait_timeout:N query_timeout:N transaction_timeout:N " +
			"idle_transaction_timeout:N client_idle_timeout:N weight:i operation:s " +
			"size:q quota:q quota_state:s quota_grace_until:s",
		"TIERS": "tier:s tenants:i pool_mode:s pool_size:i " +
			"min_pool_size:i reserve_pool_size:i max_db_connections:i max_user_connections:i max_client_conn:i " +
			"max_user_client_connections:i max_waiting_clients:i max_queries_per_second:i max_logins_per_second:i " +
			"max_bytes_per_second:q query_wait_timeout:N query_timeout:N transaction_timeout:N " +
			"idle_transaction_timeout:N client_idle_timeout:N weight:i",
		"CLUSTERS": "cluster:s members:s budget:i used:i waiting_tenants:i tenants:i can_create:s",
		"JOBS": "job:s kind:s tenant:s state:s step:s done:i total:i attempts:i actor:s node:s created:s started:s finished:s " +
			"error:s",
		"EXPORTS":    "export:s tenant:s cluster:s taken:s server:i size:q stored:q held:b",
		"DROPPED":    "tenant:s cluster:s dropped:s kept_until:s",
		"AUDIT":      "seq:q at:s actor:s door:s from:s action:s kind:s name:s before:s after:s",
		"TOKENS":     "token:s role:s tenant:s created:s expires:s old_until:s",
		"TOP":        "tenant:s shape:s calls:q total_ms:N mean_ms:N max_ms:N rows:q",
		"LISTS":      "list:s items:i",
		"STATE":      "key:s value:s",
		"MEM":        "name:s size:i used:i free:i memtotal:i",
		"PEERS":      "peer_id:i host:s port:i pool_size:i",
		"PEER_POOLS": "peer_id:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active_cancel:i sv_login:i",
		"DNS_HOSTS":  "hostname:s ttl:q addrs:s",
		"DNS_ZONES":  "zonename:s serial:q count:i",

		"CLIENT_ENCODING":               "client_encoding:s",
		"DEFAULT_TRANSACTION_ISOLATION": "default_transaction_isolation:s",
		"STANDARD_CONFORMING_STRINGS":   "standard_conforming_strings:s",
		"DATESTYLE":                     "datestyle:s",
		"TIMEZONE":                      "timezone:s",
		"EXTRA_FLOAT_DIGITS":            "extra_float_digits:s",
	}
}

func TestShowColumnsAreTheContract(t *testing.T) {
	t.Parallel()
	server := startConsole(t, newHouse(t).console(busyPooler()))
	letters := map[uint32]string{25: "s", 23: "i", 20: "q", 1700: "N", 17: "b"}
	sizes := map[uint32]int16{25: -1, 23: 4, 20: 8, 1700: -1, 17: -1}
	for _, database := range []string{admin.DatabasePgBouncer, admin.DatabaseHowdah} {
		conn := server.connect(t, "boss", database)
		for show, want := range contract() {
			// ReadAll forgets the columns of a result without rows.
			all := conn.Exec(context.Background(), "show "+strings.ToLower(show)+";")
			if !all.NextResult() {
				t.Errorf("%s: SHOW %s: no result, error %v", database, show, all.Close())
				continue
			}
			var got []string
			for _, f := range all.ResultReader().FieldDescriptions() {
				got = append(got, f.Name+":"+letters[f.DataTypeOID])
				if f.Format != 0 || f.TableOID != 0 || f.TableAttributeNumber != 0 || f.DataTypeSize != sizes[f.DataTypeOID] {
					t.Errorf("SHOW %s: column %s is described as %+v", show, f.Name, f)
				}
			}
			tag, err := all.ResultReader().Close()
			if err := errors.Join(err, all.Close()); err != nil || tag.String() != "SHOW" {
				t.Errorf("%s: SHOW %s ends with tag %q, error %v", database, show, tag, err)
			}
			if line := strings.Join(got, " "); line != want {
				t.Errorf("SHOW %s has columns\n%s\nwant\n%s", show, line, want)
			}
		}
	}
}

func TestEveryShowCommandIsInTheContract(t *testing.T) {
	t.Parallel()
	known := contract()
	for _, c := range admin.Commands() {
		show, ok := strings.CutPrefix(c.Name, "SHOW ")
		if !ok || show == "HELP" {
			continue
		}
		if _, ok := known[show]; !ok {
			t.Errorf("no columns are written down for %s", c.Name)
		}
		delete(known, show)
	}
	for show := range known {
		t.Errorf("SHOW %s is in the contract but not among the commands", show)
	}
}

// TestPgxReadsStats does what telegraf, pgwatch and CloudNativePG do.
func TestPgxReadsStats(t *testing.T) {
	t.Parallel()
	server := startConsole(t, &admin.Console{Pooler: busyPooler()})
	cfg, err := pgx.ParseConfig("sslmode=disable host=127.0.0.1 user=watcher dbname=pgbouncer")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Port = uint16(server.addr.Port)
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.Ping(ctx); err != nil {
		t.Errorf("ping: %v", err)
	}
	found, err := conn.Query(ctx, "SHOW STATS")
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(found, pgx.RowToMap)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Fatalf("SHOW STATS has %d rows: %v", len(all), all)
	}
	var pools int
	if err := conn.QueryRow(ctx, "SHOW POOLS").Scan(new(string), new(string), &pools, nil, nil, nil, nil, nil, nil, nil,
		nil, nil, nil, nil, nil, nil, nil); err != nil || pools != 5 {
		t.Errorf("SHOW POOLS: cl_active %d, error %v", pools, err)
	}
}

// busyPooler has two databases, one of them with two users.
func busyPooler() *fakePooler {
	c := router.Counters{
		Assignments: 1, Transactions: 2, Queries: 3, Received: 4, Sent: 5, TxTime: 6, QueryTime: 7, WaitTime: 8,
		ClientParses: 9, ServerParses: 10, Binds: 11,
	}
	return &fakePooler{
		stats: router.Stats{
			Started: fixedTime(), Loops: 2, Clients: 12, Logins: 1, Servers: 6, Accepted: 99,
			Refused: map[string]uint64{"28P01": 3, "53300": 4},
			Pools: []router.PoolStats{
				{Database: "globex", User: "globex", Mode: "session", Counters: c},
				{
					Database: "acme", User: "report", Mode: "transaction", Counters: c,
					Ended: map[string]uint64{"server_lifetime": 2},
				},
				{
					Database: "acme", User: "acme", Mode: "transaction",
					ClientsActive: 2, ClientsIdle: 3, ClientsWaiting: 4,
					ServersActive: 5, ServersIdle: 6, ServersUsed: 7, ServersTested: 8, ServersLogin: 9,
					ServersBeingClosed: 10, ServersCanceling: 1, ClientsCanceling: 3,
					MaxWait: 2500001 * 1000, Counters: c,
				},
			},
			LoopsStats: []router.LoopStats{{Conns: 3, Turns: 100, Waits: 10}, {Conns: 4, Turns: 200, Waits: 20}},
		},
		databases: []router.DatabaseStats{
			{
				Name: "acme", Host: "10.0.0.1", Port: 5432, Database: "acme_db", Mode: "transaction",
				PoolSize: 20, MinPoolSize: 1, ReservePoolSize: 2, ServerLifetime: 3600e9,
				MaxConnections: 30, CurrentConnections: 4, MaxClientConnections: 500, CurrentClientConns: 9, Paused: true,
			},
			{Name: "globex", Host: "10.0.0.1", Port: 5432, Database: "globex", Mode: "session"},
		},
		clients: []router.ConnStats{{
			Type: "C", User: "acme", Database: "acme", Replication: "none", State: "waiting",
			Addr: "192.0.2.7", Port: 4711, LocalAddr: "192.0.2.1", LocalPort: 6432,
			ConnectTime: fixedTime(), Wait: 1250000 * 1000, CloseNeeded: true, ID: 7,
			ApplicationName: "odoo-1", PreparedStatements: 3, Received: 20, Processed: 5,
		}},
		servers: []router.ConnStats{{
			Type: "S", User: "acme", Database: "acme", State: "idle", Addr: "10.0.0.1", Port: 5432,
			ConnectTime: fixedTime(), ID: 9 | 1<<62, Link: 7, RemotePID: 1234, TLS: "TLSv1.3/TLS_AES_128_GCM_SHA256",
		}},
	}
}
