package fleet_test

import (
	"net/url"
	"strings"
	"testing"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// What a tenant has set for its database is not in force for a move, and tables that are
// told apart by what is not sent, or not checked at once, keep their clients working
// meanwhile. The role is at the target what it was.
func TestMoveOfWhatIsOdd(t *testing.T) {
	p := newPair(t)
	named, err := url.Parse(p.admins[0])
	if err != nil {
		t.Fatal(err)
	}
	query := named.Query()
	query.Set("application_name", "mine")
	named.RawQuery = query.Encode()
	p.admins[0] = named.String()
	var password string
	p.stepping(func(_, step string, begun bool) {
		if step == "make ready" && begun {
			as(t, p.server, "acme", password, `begin read write; set local statement_timeout = 0;
				update late set n = n + 1; delete from late where id = 3;
				update computed set n = n + 1 where n % 2 = 0; delete from computed where n = 5;
				update nothing set n = n + 1; commit`)
		}
	})
	p.run()
	made := p.create("acme")
	password = made.Password
	as(t, p.server, "acme", password, `
		create table late (id int primary key deferrable, n int);
		create table computed (n int, twice int generated always as (n * 2) stored primary key, other int not null unique);
		create table nothing (n int not null);
		create unique index one on nothing (n);
		alter table nothing replica identity using index one; drop index one;
		create table big (n int);
		insert into late select i, i from generate_series(1, 5) i;
		insert into computed (n, other) select i * 10 + i % 7, i from generate_series(1, 50) i;
		insert into computed (n, other) values (5, 0);
		insert into nothing values (1);
		insert into big select generate_series(1, 200000);
		alter database acme set default_transaction_read_only = on;
		alter database acme set statement_timeout = 20`)
	const tables = `select string_agg(concat(t, ' ', n), ' ' order by t) from (
		select 'late' t, md5(string_agg(x::text, ',' order by x::text)) n from late x
		union all select 'computed', md5(string_agg(x::text, ',' order by x::text)) from computed x
		union all select 'nothing', string_agg(n::text, ',') from nothing
		union all select 'big', count(*)::text from big) all_of_it`
	const role = "select concat_ws(' ', rolcreatedb, rolconnlimit, extract(epoch from rolvaliduntil), (select count(*) from pg_db_role_setting where setrole not in (0, 'acme'::regrole))) from pg_roles where rolname = 'acme'"
	if err := p.server.Exec(t.Context(), postgres.Superuser, "alter role acme createdb connection limit 50 valid until '2099-01-01'", "grant pg_monitor to acme"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.fleet.MoveTenant(t.Context(), anna, "acme", fleet.Destination{Cluster: "other", How: fleet.Replicate}, true); err == nil || !strings.Contains(err.Error(), "membership in pg_monitor") {
		t.Errorf("a member of another role: %v", err)
	}
	if err := p.server.Exec(t.Context(), postgres.Superuser, "revoke pg_monitor from acme"); err != nil {
		t.Fatal(err)
	}
	wantRole := value(t, p.server, postgres.Superuser, role)
	o := p.await(p.start("other", fleet.Replicate), catalog.Done)
	if got := value(t, p.other, postgres.Superuser, role); got != wantRole {
		t.Errorf("the role is %s, want %s", got, wantRole)
	}
	if got := value(t, p.server, postgres.Superuser, role); got != wantRole {
		t.Errorf("the role at the source is %s, want %s", got, wantRole)
	}
	held := "howdah_drop_" + o.ID
	if err := p.server.Exec(t.Context(), postgres.Superuser, `alter database "`+held+`" allow_connections true`, `alter database "`+held+`" reset all`); err != nil {
		t.Fatal(err)
	}
	if err := p.other.Exec(t.Context(), postgres.Superuser, "alter database acme reset all"); err != nil {
		t.Fatal(err)
	}
	if want, got := value(t, p.server, held, tables), value(t, p.other, "acme", tables); got != want {
		t.Errorf("the target has %s, want %s", got, want)
	}
	p.letGo()
}
