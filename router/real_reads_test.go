package router_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/wiretest"
)

// TestRealReadRules has a tenant's rules, and what sessions ask for, send
// transactions to the standby that say nothing themselves.
func TestRealReadRules(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	h.sql(t, "create role reporter login password '"+strings.ReplaceAll(secret, "'", "''")+"'", "grant connect on database acme to reporter")
	d := h.open(t, members, withRules, func(s *setup) {
		s.users = append(slices.Clone(s.users), tenants.User{Name: "reporter", Verifier: wiretest.Verifier(t, h.Server, "reporter")})
	})
	writer := d.connect(t)
	do(t, writer, "create table kept (n int); create table report (n int, at timestamptz); create sequence numbers; grant select on kept to reporter")
	settle := func(t *testing.T) {
		t.Helper()
		var port int
		if !poll(func() bool { return readOnly(t.Context(), writer, where, &port) == nil && port == standby.Port() }) {
			t.Fatal("READ ONLY transactions do not come to the standby")
		}
	}
	// at runs a query in a transaction that begins so, and returns the port.
	at := func(t *testing.T, c *pgx.Conn, begin, query string) int {
		t.Helper()
		settle(t)
		if begin == "" {
			return get[int](t, c, query)
		}
		do(t, c, begin)
		port := get[int](t, c, query)
		do(t, c, "rollback")
		return port
	}
	as := func(t *testing.T, parameters map[string]string, user string) *pgx.Conn {
		t.Helper()
		return d.connect(t, func(c *pgx.ConnConfig) {
			for name, value := range parameters {
				c.RuntimeParams[name] = value
			}
			if user != "" {
				c.User = user
			}
		})
	}
	none := map[string]string{}
	report := "select current_setting('port')::int from (select count(*) from report where n > 7 and at < '2020-01-02') r"
	for _, x := range []struct {
		name       string
		parameters map[string]string
		user       string
		begin      string
		query      string
		away       bool
	}{
		{"nothing said", none, "", "begin", where, false},
		{"BEGIN READ ONLY", none, "", "begin read only", where, true},
		{"SET TRANSACTION", none, "", "begin; set transaction read only", where, false}, // one message: a server has it
		{"a user", none, "reporter", "begin isolation level repeatable read", where, true},
		{"a user's statement of its own", none, "reporter", "", where, true},
		{"a user who says READ WRITE", none, "reporter", "begin read write", where, false},
		{"a user who asks for a sequence", none, "reporter", "", where + " where nextval('numbers') > 0 or true", false},
		{"an application", map[string]string{"application_name": "metabase 47"}, "", "begin", where, true},
		{"another application", map[string]string{"application_name": "odoo-47"}, "", "begin", where, false},
		{"pg_dump", map[string]string{"application_name": "pg_dump"}, "", "begin read only", where, false},
		{"a report", none, "", "begin isolation level repeatable read", report, true},
		{"a report with other literals", none, "", "", strings.Replace(report, "7", "12345", 1), true},
		{"another report", none, "", "", strings.Replace(report, "> 7", "< 7", 1), false},
		{"prefer-standby", map[string]string{"options": "-c target_session_attrs=prefer-standby"}, "", "begin", where, true},
		{"standby", map[string]string{"options": "-c target_session_attrs=standby"}, "", "", where, true},
		{"read-only", map[string]string{"options": "-ctarget_session_attrs=read-only"}, "", "begin", where, true},
		{"read-write", map[string]string{"options": "-c target_session_attrs=read-write"}, "", "begin read only", where, false},
		{"primary", map[string]string{"options": "-c target_session_attrs=primary"}, "", "begin read only", where, false},
		{"any", map[string]string{"options": "-c target_session_attrs=any"}, "", "begin read only", where, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			want := h.Port()
			if x.away {
				want = standby.Port()
			}
			if port := at(t, as(t, x.parameters, x.user), x.begin, x.query); port != want {
				t.Errorf("runs at %d, want %d", port, want)
			}
		})
	}
	t.Run("SET TRANSACTION of its own", func(t *testing.T) {
		settle(t)
		do(t, writer, "begin")
		do(t, writer, "set transaction isolation level repeatable read, read only")
		if port := get[int](t, writer, where); port != standby.Port() {
			t.Errorf("runs at %d, want the standby", port)
		}
		do(t, writer, "commit")
	})
	t.Run("a reporter that writes", func(t *testing.T) {
		settle(t)
		c := as(t, none, "reporter")
		do(t, writer, "grant insert on kept to reporter")
		do(t, c, "insert into kept values (1)")
		do(t, c, "begin")
		do(t, c, "insert into kept values (2)")
		do(t, c, "commit")
		if n := get[int](t, c, "select count(*) from kept"); n != 2 {
			t.Errorf("%d rows of 2", n)
		}
	})
	t.Run("what libpq asks for", func(t *testing.T) {
		for attrs, want := range map[string][2]string{
			"standby": {"on", "on"}, "read-only": {"off", "on"}, "prefer-standby": {"on", "off"}, "any": {"off", "off"},
		} {
			r := d.raw(t, wire.Parameter{Name: "target_session_attrs", Value: attrs})
			if got := [2]string{r.told["in_hot_standby"], r.told["default_transaction_read_only"]}; got != want {
				t.Errorf("with %s the client hears %v, want %v", attrs, got, want)
			}
		}
		c := as(t, map[string]string{"options": "-c target_session_attrs=standby"}, "")
		if _, err := c.Exec(t.Context(), "insert into kept values (3)"); state(err) != "25006" {
			t.Errorf("a read-only session writes: %v", err)
		}
		_, err := d.tryRaw("acme", wire.Parameter{Name: "target_session_attrs", Value: "wherever"})
		if err == nil || !strings.Contains(err.Error(), `target_session_attrs is "wherever"`) {
			t.Errorf("an unknown value: %v", err)
		}
	})
	t.Run("an alias of standbys", func(t *testing.T) {
		c := d.connect(t, func(c *pgx.ConnConfig) { c.Database = "acme_reports" })
		if port := at(t, c, "", where); port != standby.Port() {
			t.Errorf("runs at %d, want the standby", port)
		}
	})
	t.Run("standby_timeout", func(t *testing.T) {
		settle(t)
		d.reload(t, func(s *setup) { s.tenants[0].Reads.Timeout = 300 * time.Millisecond })
		c := as(t, none, "reporter")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := c.Exec(ctx, "select pg_sleep(60)"); state(err) != "57014" || !strings.Contains(err.Error(), "standby_timeout") {
			t.Errorf("a report that lasts: %v", err)
		}
		if _, err := writer.Exec(ctx, "select pg_sleep(0.5)"); err != nil {
			t.Errorf("a statement at the primary that lasts: %v", err)
		}
	})
}

// withRules gives the first tenant rules, and an alias whose sessions are for
// standbys.
func withRules(s *setup) {
	alias := s.tenants[0]
	s.tenants[0].Reads = tenants.Reads{
		Split: tenants.SplitDeclared, Users: []string{"report*"}, Applications: []string{"metabase*"},
		Statements: []string{"select current_setting('port')::int from (select count(*) from report where n > 1 and at < 'x') r"},
	}
	alias.Name, alias.Reads = "acme_reports", tenants.Reads{Split: tenants.SplitDeclared, SessionAttrs: tenants.OnlyStandby}
	s.tenants = append(s.tenants, alias)
}

// TestRealOwnWrites has sessions see what they have written themselves, though the
// standby lacks what others write all the time.
func TestRealOwnWrites(t *testing.T) {
	h := startHouse(t, wiretest.WithSetting("synchronous_commit", "on"))
	standby, members := h.cluster(t)
	d := h.open(t, members, func(s *setup) { s.tenants[0].Reads.OwnWrites = tenants.OfSession })
	mine, other := d.connect(t), d.connect(t)
	do(t, mine, "create table kept (n int)")
	port := 0
	read := func() bool { return readOnly(t.Context(), mine, where, &port) == nil && port == standby.Port() }
	if !poll(read) {
		t.Fatal("READ ONLY transactions do not come to the standby")
	}
	away := 0
	for i := range 50 {
		do(t, other, "insert into kept values (0)")
		if read() {
			away++
		}
		if i%10 == 0 {
			do(t, mine, "insert into kept values (1)")
			n := 0
			if err := readOnly(t.Context(), mine, "select count(*) from kept where n = 1", &n); err != nil || n != i/10+1 {
				t.Fatalf("the session wrote %d rows and sees %d (%v)", i/10+1, n, err)
			}
			poll(read)
		}
	}
	if away < 40 {
		t.Errorf("%d of 50 reads ran at the standby while another session wrote", away)
	}
}
