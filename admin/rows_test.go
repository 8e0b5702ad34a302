package admin_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"howdah/admin"
	"howdah/router"
)

func fixedTime() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("far", 3600)) }

func expectRows(t *testing.T, name string, got [][]string, want ...string) {
	t.Helper()
	var lines []string
	for _, r := range got {
		lines = append(lines, strings.Join(r, "|"))
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestShowPoolsHasOneRowPerDatabaseAndUser(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{Pooler: busyPooler()}).connect(t, "watcher", "pgbouncer")
	expectRows(t, "SHOW POOLS", rows(t, conn, "SHOW POOLS"),
		"acme|acme|5|4|3|0|5|3|1|6|7|8|9|2|500001|transaction|<null>",
		"acme|report|0|0|0|0|0|0|0|0|0|0|0|0|0|transaction|<null>",
		"globex|globex|0|0|0|0|0|0|0|0|0|0|0|0|0|session|<null>",
		"pgbouncer|pgbouncer|1|0|0|0|0|0|0|0|0|0|0|0|0|statement|<null>")
}

func TestShowPoolsMergesNamesThatReadersCannotTellApart(t *testing.T) {
	t.Parallel()
	p := &fakePooler{stats: router.Stats{Pools: []router.PoolStats{
		{Database: "a\xff", User: "u", ServersIdle: 1, Mode: "transaction"},
		{Database: "a\xfe", User: "u", ServersIdle: 2, Mode: "transaction"},
	}}}
	conn := startConsole(t, &admin.Console{Pooler: p}).connect(t, "watcher", "pgbouncer")
	got := rows(t, conn, "SHOW POOLS")
	if len(got) != 2 || got[0][0] != "a\uFFFD" || got[0][9] != "3" {
		t.Errorf("got %q", got)
	}
}

func TestShowDatabases(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{Pooler: busyPooler(), Port: 6432}).connect(t, "watcher", "howdah")
	expectRows(t, "SHOW DATABASES", rows(t, conn, "SHOW DATABASES"),
		"acme|10.0.0.1|5432|acme_db|<null>|20|1|2|3600|transaction|<null>|30|4|500|9|1|0",
		"globex|10.0.0.1|5432|globex|<null>|0|0|0|0|session|<null>|0|0|0|0|0|0",
		"pgbouncer|<null>|6432|pgbouncer|pgbouncer|2|0|0|0|statement|<null>|0|0|0|1|0|0")
}

func TestShowStatsSumsUsersOfADatabase(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{Pooler: busyPooler()}).connect(t, "watcher", "howdah")
	got := rows(t, conn, "SHOW STATS_TOTALS")
	expectRows(t, "SHOW STATS_TOTALS", got[:2],
		"acme|2|4|6|8|10|12|14|16|18|20|22",
		"globex|1|2|3|4|5|6|7|8|9|10|11")
	if got[2][0] != "pgbouncer" || got[2][4] == "0" {
		t.Errorf("the console's row is %q", got[2])
	}
	// The pool is old, so the counts per second are 0 and the times are those
	// per transaction, query and assignment.
	expectRows(t, "SHOW STATS", rows(t, conn, "SHOW STATS")[:1],
		"acme|2|4|6|8|10|12|14|16|18|20|22|0|0|0|0|0|3|2|8|0|0|0")
	totals := rows(t, conn, "SHOW TOTALS")
	if len(totals) != 22 || totals[0][0] != "total_server_assignment_count" || totals[0][1] != "3" ||
		totals[3][0] != "total_client_bytes" || totals[11][0] != "avg_server_assignment_count" ||
		totals[21][0] != "avg_ps_bind_count" {
		t.Errorf("SHOW TOTALS: %q", totals)
	}
}

func TestShowClientsAndServers(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{Pooler: busyPooler()}).connect(t, "watcher", "howdah")
	clients := rows(t, conn, "SHOW CLIENTS")
	expectRows(t, "SHOW CLIENTS", clients[:1],
		"C|acme|acme|none|waiting|192.0.2.7|4711|192.0.2.1|6432|2026-01-02 02:04:05 UTC|2026-01-02 02:04:05 UTC|"+
			"1|250000|1|0x7||0||odoo-1|3|7")
	own := clients[1]
	if len(clients) != 2 || own[1] != "watcher" || own[2] != "pgbouncer" || own[4] != "active" || own[18] != "test" || own[20] != "-1" {
		t.Errorf("the console's own client is %q", own)
	}
	expectRows(t, "SHOW SERVERS", rows(t, conn, "SHOW SERVERS"),
		"S|acme|acme|none|idle|10.0.0.1|5432||0|2026-01-02 02:04:05 UTC|2026-01-02 02:04:05 UTC|"+
			"0|0|0|0x4000000000000009|0x7|1234|TLSv1.3/TLS_AES_128_GCM_SHA256||0|9")
	sockets := rows(t, conn, "SHOW SOCKETS")
	if len(sockets) != 3 || sockets[0][4] != "cl_waiting" || sockets[2][4] != "sv_idle" {
		t.Errorf("SHOW SOCKETS: %q", sockets)
	}
	active := rows(t, conn, "SHOW ACTIVE_SOCKETS")
	if len(active) != 1 || strings.Join(active[0][21:], "|") != "20|5|0|5|0|15|0" {
		t.Errorf("SHOW ACTIVE_SOCKETS: %q", active)
	}
}

func TestShowListsUsersStateConfig(t *testing.T) {
	t.Parallel()
	conn := startConsole(t, &admin.Console{
		Pooler: busyPooler(),
		Users:  func() []admin.User { return []admin.User{{Name: "acme", PoolMode: "session", MaxConnections: 8}} },
		Settings: func() []admin.Setting {
			return []admin.Setting{{"pool_size", "30", "20", true}, {"loops", "2", "0", false}}
		},
		Info: func() [][2]string { return [][2]string{{"version", "1.0"}, {"pid", "42"}} },
	}).connect(t, "watcher", "howdah")
	expectRows(t, "SHOW LISTS", rows(t, conn, "SHOW LISTS"),
		"databases|3", "users|4", "peers|0", "pools|4", "peer_pools|0", "free_clients|0", "used_clients|12",
		"login_clients|1", "free_servers|0", "used_servers|6", "dns_names|0", "dns_zones|0", "dns_queries|0", "dns_pending|0")
	expectRows(t, "SHOW USERS", rows(t, conn, "SHOW USERS"),
		"acme|||session|8|46|0|9", "globex|||<null>|0|0|0|0", "pgbouncer|||<null>|0|0|0|1", "report|||<null>|0|0|0|0")
	expectRows(t, "SHOW STATE", rows(t, conn, "SHOW STATE"), "active|yes", "paused|no", "suspended|no")
	expectRows(t, "SHOW CONFIG", rows(t, conn, "SHOW CONFIG"), "pool_size|30|20|yes", "loops|2|0|no")
	expectRows(t, "SHOW HOWDAH", rows(t, conn, "SHOW HOWDAH"), "version|1.0", "pid|42")
	expectRows(t, "SHOW VERSION", rows(t, conn, "SHOW VERSION"), "PgBouncer 1.25.2")
	if mem := rows(t, conn, "SHOW MEM"); len(mem) != 3 || mem[0][2] == "0" {
		t.Errorf("SHOW MEM: %q", mem)
	}
}

func TestShowManyRows(t *testing.T) {
	t.Parallel()
	p := &fakePooler{}
	for i := range 3000 {
		p.clients = append(p.clients, router.ConnStats{ID: uint64(i + 1), State: "idle"})
	}
	conn := startConsole(t, &admin.Console{Pooler: p}).connect(t, "watcher", "howdah")
	got := rows(t, conn, "SHOW CLIENTS")
	if len(got) != 3001 || got[2999][20] != "3000" || got[0][1] != "(nouser)" || got[0][2] != "(nodb)" {
		t.Errorf("%d rows, first %q", len(got), got[0])
	}
}
