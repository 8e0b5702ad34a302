package router_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"howdah/router"
	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// copier is a role that may replicate, and no tenant's.
const copier = "copier"

// TestRealReplication tests replication connections, in front of one PostgreSQL.
func TestRealReplication(t *testing.T) {
	h := startHouse(t)
	h.sql(t, fmt.Sprintf("create role %s login replication password '%s'", copier, strings.ReplaceAll(secret, "'", "''")),
		"alter role acme replication", "create table copied (n int)", "insert into copied values (42)",
		"grant connect on database acme to "+copier)
	h.users = append(h.users, tenants.User{Name: copier, Verifier: wiretest.Verifier(t, h.Server, copier), Replication: true})
	for _, test := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"BaseBackup", testBaseBackup},
		{"ReceiveWAL", testReceiveWAL},
		{"ReceiveLogical", testReceiveLogical},
		{"ReplicationIsRefused", testReplicationIsRefused},
		{"ReplicationFindsItsCluster", testReplicationFindsItsCluster},
		{"ReplicationCounts", testReplicationCounts},
		{"ReplicationIsShownAndKilled", testReplicationIsShownAndKilled},
		{"ReplicationEndsWithShutdown", testReplicationEndsWithShutdown},
		{"ReplicationEndsWithItsPermission", testReplicationEndsWithItsPermission},
		{"ReplicationEndsWithItsServer", testReplicationEndsWithItsServer},
		{"ReplicationEndsWithItsClient", testReplicationEndsWithItsClient},
		{"ReplicationWithoutServer", testReplicationWithoutServer},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(t, h)
			h.walsendersEnd(t)
		})
	}
}

// walsendersEnd waits until the test has left no walsender behind.
func (h *house) walsendersEnd(t *testing.T) {
	t.Helper()
	if !poll(func() bool { return h.walsenders(t) == 0 }) {
		t.Errorf("%d walsenders are left", h.walsenders(t))
	}
}

func (h *house) walsenders(t *testing.T) int {
	t.Helper()
	return ask[int](t, h, "select count(*) from pg_stat_activity where backend_type = 'walsender'")
}

// permit lets a user of the door replicate, or no longer.
func permit(user string, may bool) func(*setup) {
	return func(s *setup) {
		s.users = slices.Clone(s.users)
		for i := range s.users {
			if s.users[i].Name == user {
				s.users[i].Replication = may
			}
		}
	}
}

// replicaConfig logs in to the door for replication.
func (d *door) replicaConfig(user, replication, database string, parameters ...wire.Parameter) wire.DialConfig {
	return wire.DialConfig{
		Address: d.address, Secret: wire.Secret{Password: secret},
		Parameters: append(parameters, wire.Parameter{Name: "user", Value: user}, wire.Parameter{Name: "database", Value: database},
			wire.Parameter{Name: "replication", Value: replication}),
	}
}

func (d *door) tryReplica(c wire.DialConfig) (*raw, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := wire.Dial(ctx, c)
	if err != nil {
		return nil, err
	}
	return newRaw(e), nil
}

// replica is a client that streams physical WAL.
func (d *door) replica(t *testing.T) *raw {
	t.Helper()
	r := newRaw(dial(t, d.replicaConfig(copier, "true", "replication")))
	t.Cleanup(func() { r.Conn.Close() })
	if err := r.send(query("START_REPLICATION PHYSICAL " + ask[string](t, d.house, "select pg_current_wal_flush_lsn()::text"))); err != nil {
		t.Fatal(err)
	}
	if m, err := r.receive(); err != nil || describe(m) != "CopyBothResponse" {
		t.Fatalf("%v, %v", m, err)
	}
	return r
}

func testReplicationIsRefused(t *testing.T, h *house) {
	d := h.open(t)
	for _, c := range []struct {
		name, user, kind, database, password, code string
	}{
		{"a user without permission", "globex", "true", "globex", secret, "42501"},
		{"a role without the attribute", "globex", "true", "globex", secret, "42501"},
		{"a user without permission, logical", "acme", "database", "acme", secret, "42501"},
		{"a wrong password", copier, "true", "replication", "wrong", "28P01"},
		{"nobody", "nobody", "true", "replication", secret, "28P01"},
		{"no kind", copier, "perhaps", "replication", secret, "22023"},
		{"an ambiguous kind", copier, "o", "replication", secret, "22023"},
		{"logical without a tenant", copier, "database", "nowhere", secret, "3D000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.reload(t, permit("globex", strings.Contains(c.name, "attribute")))
			config := d.replicaConfig(c.user, c.kind, c.database)
			config.Secret.Password = c.password
			_, err := d.tryReplica(config)
			wantState(t, err, c.code)
		})
	}
	for _, kind := range []string{"off", "false", "no", "0", "F"} { // are none
		r, err := d.tryReplica(d.replicaConfig("acme", kind, "acme"))
		if err != nil {
			t.Fatalf("replication=%s: %v", kind, err)
		}
		r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
		r.Close()
	}
	for _, kind := range []string{"on", "yes", "1", "TRUE", "t"} {
		r, err := d.tryReplica(d.replicaConfig(copier, kind, "replication"))
		if err != nil {
			t.Fatalf("replication=%s: %v", kind, err)
		}
		if got := r.say(t, query("IDENTIFY_SYSTEM")); len(got) != 3 || !strings.HasPrefix(got[0], "row ") {
			t.Errorf("replication=%s: %q", kind, got)
		}
		r.Close()
	}
}

// testReplicationFindsItsCluster has two clusters, of which one does not exist.
func testReplicationFindsItsCluster(t *testing.T, h *house) {
	d := h.open(t, permit("acme", true))
	snapshot, err := tenants.NewSnapshot([]tenants.Cluster{
		{Name: "far", Members: []tenants.Member{{Address: "/nowhere/.s.PGSQL.1"}}}, d.setup.cluster,
	}, nil, d.setup.tenants, d.setup.users)
	if err != nil {
		t.Fatal(err)
	}
	d.registry.Replace(snapshot)
	d.Reload()
	_, err = d.tryReplica(d.replicaConfig(copier, "true", "replication"))
	wantState(t, err, "3D000")
	for _, c := range [][2]string{{copier, "acme"}, {"acme", "replication"}} {
		r, err := d.tryReplica(d.replicaConfig(c[0], "true", c[1]))
		if err != nil {
			t.Fatalf("%s as %s: %v", c[1], c[0], err)
		}
		r.Close()
	}
}

func testReplicationCounts(t *testing.T, h *house) {
	d := h.open(t, limits(func(l *tenants.Limits) { l.MaxClientConn = 2 }))
	ordinary := d.raw(t)
	first, err := d.tryReplica(d.replicaConfig(copier, "database", "acme"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.tryReplica(d.replicaConfig(copier, "database", "acme"))
	wantState(t, err, "53300")
	_, err = d.tryRaw("acme")
	wantState(t, err, "53300")
	first.Close()
	if !poll(func() bool {
		r, err := d.tryReplica(d.replicaConfig(copier, "database", "acme"))
		if err == nil {
			r.Close()
		}
		return err == nil
	}) {
		t.Error("its place was not freed")
	}
	ordinary.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// testReplicationIsShownAndKilled finds both sides in the reports.
func testReplicationIsShownAndKilled(t *testing.T, h *house) {
	d := h.open(t)
	stays := d.raw(t)
	stream := d.replica(t)
	decoded := newRaw(dial(t, d.replicaConfig(copier, "database", "acme", wire.Parameter{Name: "application_name", Value: "mine"})))
	defer decoded.Close()
	var clients, servers []router.ConnStats
	if !poll(func() bool {
		clients, servers = d.Clients(), d.Servers()
		return len(clients) == 3 && len(servers) >= 2
	}) {
		t.Fatalf("clients %+v, servers %+v", clients, servers)
	}
	if st := d.Stats(); st.Clients != 3 || st.Servers != len(servers) {
		t.Errorf("%d clients and %d servers are counted, %d and %d shown", st.Clients, st.Servers, len(clients), len(servers))
	}
	servers = servers[len(servers)-2:] // a pool's come first
	for i, want := range []router.ConnStats{
		{Replication: "physical", Database: "replication"},
		{Replication: "logical", Database: "acme", ApplicationName: "mine"},
	} {
		c, s := clients[i+1], servers[i]
		if c.Replication != want.Replication || s.Replication != want.Replication || c.Database != want.Database ||
			c.ApplicationName != want.ApplicationName || c.User != copier || c.State != "active" {
			t.Errorf("client %+v, server %+v", c, s)
		}
		if c.ID != s.Link || s.ID != c.Link || c.RemotePID != s.RemotePID || s.Port != h.Port() || c.Port == 0 {
			t.Errorf("client %+v, server %+v", c, s)
		}
		if n := ask[int](t, h, "select count(*) from pg_stat_replication where pid = $1", c.RemotePID); i == 0 && n != 1 {
			t.Errorf("%d walsenders have the process ID shown", n)
		}
		if err := d.KillClient(c.ID); err != nil {
			t.Error(err)
		}
	}
	stream.wantEnd(t, "57P01", "terminating connection")
	decoded.wantEnd(t, "57P01", "terminating connection")
	if !poll(func() bool { return len(d.Clients()) == 1 }) {
		t.Errorf("still shown: %+v", d.Clients())
	}
	if err := d.KillClient(clients[1].ID); !errors.Is(err, router.ErrNotFound) {
		t.Errorf("killed twice: %v", err)
	}
	stays.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
}

// testReplicationEndsWithShutdown drains: the stream goes on beside an open
// transaction, and is not waited for.
func testReplicationEndsWithShutdown(t *testing.T, h *house) {
	d := h.open(t)
	stream, idle, open := d.replica(t), newRaw(dial(t, d.replicaConfig(copier, "database", "acme"))), d.raw(t)
	defer idle.Close()
	open.say(t, query("begin; select 1"))
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- d.Shutdown(ctx)
	}()
	if !poll(func() bool { return d.Stats().ShutDown }) {
		t.Fatal("not shutting down")
	}
	idle.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
	open.expect(t, "COMMIT; ready I", query("commit"))
	if err := <-done; err != nil {
		t.Error(err)
	}
	stream.wantEnd(t, "57P01", "terminating connection")
	idle.wantEnd(t, "57P01", "terminating connection")
}

func testReplicationEndsWithItsPermission(t *testing.T, h *house) {
	d := h.open(t)
	for name, change := range map[string]func(*setup){
		"permission": permit(copier, false),
		"suspension": func(s *setup) { s.tenants = slices.Clone(s.tenants); s.tenants[0].State = tenants.Suspended },
		"member":     func(s *setup) { s.cluster.TLSMode = "disable" },
	} {
		t.Run(name, func(t *testing.T) {
			before := d.setup
			d.reload(t, func(*setup) {})
			stays := newRaw(dial(t, d.replicaConfig(copier, "database", "acme")))
			defer stays.Close()
			d.reload(t, poolSize(3))
			stays.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
			d.reload(t, change)
			stays.wantEnd(t, "57P01", "terminating connection")
			d.reload(t, func(s *setup) { *s = before })
		})
	}
}

// testReplicationEndsWithItsServer has the server's last words reach the
// client, which goes on talking.
func testReplicationEndsWithItsServer(t *testing.T, h *house) {
	d, c := h.openTLS(t, func(s *setup) { s.config.LoginTimeout = 0 })
	plain := h.open(t)
	for range 10 {
		overTLS := d.replicaConfig(copier, "database", "acme")
		overTLS.TLSMode, overTLS.TLS = wire.TLSVerifyFull, c
		for _, config := range []wire.DialConfig{overTLS, plain.replicaConfig(copier, "database", "acme")} {
			r := newRaw(dial(t, config))
			defer r.Close()
			r.expect(t, "row 1; SELECT 1; ready I", query("select 1"))
			h.sql(t, "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender'")
			r.send(query("select 1"))
			r.wantEnd(t, "57P01", "terminating connection")
		}
	}
}

// testReplicationEndsWithItsClient has clients go in all ways, also one that
// reads nothing of a base backup.
func testReplicationEndsWithItsClient(t *testing.T, h *house) {
	d := h.open(t)
	for name, leave := range map[string]func(*raw){
		"Terminate": func(r *raw) { r.send(terminate); r.Close() },
		"close":     func(r *raw) { r.Close() },
		"reset":     (*raw).reset,
		"half":      func(r *raw) { r.Conn.(*net.TCPConn).CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			leave(d.replica(t))
			h.walsendersEnd(t)
			r := newRaw(dial(t, d.replicaConfig(copier, "true", "replication")))
			defer r.Close()
			if err := r.send(query("BASE_BACKUP (CHECKPOINT 'fast')")); err != nil {
				t.Fatal(err)
			}
			if !poll(func() bool {
				return ask[int](t, h, "select count(*) from pg_stat_activity where backend_type = 'walsender' and wait_event = 'ClientWrite'") == 1
			}) {
				t.Fatal("nothing holds the server back that its client does not read")
			}
			leave(r)
			h.walsendersEnd(t)
		})
	}
}

// testReplicationWithoutServer cannot log in to a server, for one reason and
// for another.
func testReplicationWithoutServer(t *testing.T, h *house) {
	d := h.open(t, func(s *setup) { s.cluster.Members[0].Address = "127.0.0.1:1" })
	_, err := d.tryReplica(d.replicaConfig(copier, "true", "replication"))
	wantState(t, err, "08006")
	d = h.open(t, func(s *setup) { s.config.AuthType = "trust" })
	_, err = d.tryReplica(d.replicaConfig(copier, "true", "replication"))
	wantState(t, err, "28000")
	_, err = d.tryReplica(d.replicaConfig("nobody", "true", "replication"))
	wantState(t, err, "42501")
	d = h.open(t, func(s *setup) { s.config.MaxClientConn = 1 })
	first, err := d.tryReplica(d.replicaConfig(copier, "true", "replication"))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = d.tryReplica(d.replicaConfig(copier, "true", "replication"))
	wantState(t, err, "53300")
	_, err = d.tryRaw("acme")
	wantState(t, err, "53300")
}
