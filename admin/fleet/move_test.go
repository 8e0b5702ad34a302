package fleet_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// pair is a house with a second cluster.
type pair struct {
	*house
	other   *postgres.Server
	stepped func(kind, step string, begun bool) // told of steps by the fleet behind door
}

func newPair(t *testing.T, options ...wiretest.PostgresOption) *pair {
	t.Helper()
	var other *postgres.Server
	if len(options) == 0 {
		other = servers.Lend(t)
	} else {
		other = wiretest.StartPostgres(t, options...)
	}
	h := newHouse(t, other)
	for i, s := range []*postgres.Server{h.server, other} { // as which Howdah logs in is not who has made the server
		if err := s.Exec(t.Context(), postgres.Superuser, "create role keeper superuser login password 'secret'"); err != nil {
			t.Fatal(err)
		}
		h.admins[i] = s.URL("keeper", "secret", postgres.Superuser)
	}
	h.relog()
	return &pair{house: h, other: other}
}

// contents are what a tenant may have that is moved in different ways: tables with and
// without a key, with an index that tells rows apart, partitioned, inherited; sequences;
// large objects; what depends on other tables; and what must not fire twice.
const contents = `
create table keyed (id serial primary key, name text not null, at timestamptz default now());
insert into keyed (name) select 'Zoë ' || i from generate_series(1, 1000) i;
create index on keyed (unaccent(name));
create table bare (i int, t text);
insert into bare select i, repeat('x', i) from generate_series(1, 100) i;
create table related (a int not null references keyed, b int not null, unique (a, b));
insert into related select i, i from generate_series(1, 50) i;
create table parts (day int, n int, primary key (day, n)) partition by range (day);
create table parts1 partition of parts for values from (0) to (10);
create table parts2 partition of parts for values from (10) to (20);
insert into parts select i % 20, i from generate_series(1, 200) i;
create table parent (i int primary key);
create table child (j int) inherits (parent);
insert into parent values (1);
insert into child values (2, 3);
create table made (i int generated always as identity primary key, twice int generated always as (i * 2) stored);
insert into made select from generate_series(1, 10);
create sequence lonely start 7;
create sequence used; select nextval('used'); select setval('used', 41, false);
create schema own;
create table own."Odd Name" ("Key" int primary key, j json);
insert into own."Odd Name" values (1, '{"a": 1}');
create table log (what text);
create function logged() returns trigger language plpgsql as 'begin insert into log values (tg_op); return new; end';
create trigger logged after insert or update on keyed for each row execute function logged();
create materialized view summary as select count(*) from keyed;
create view names as select name from keyed;
grant select on keyed to public;
comment on table keyed is 'people';
select lo_from_bytea(4711, decode(repeat('ab', 5000), 'hex'));
alter role current_user set work_mem = '7MB';
alter role current_user in database acme set search_path = own, "$user", public;
alter database acme set extra_float_digits = 0;`

// sums are checksums of all that contents has, and of what else the database is.
const sums = `
select string_agg(line, E'\n' order by line collate "C") from (
	select format('%s %s', c.oid::regclass, (xpath('/row/s/text()', query_to_xml(format('select md5(string_agg(x::text, '','' order by x::text)) as s from only %s x', c.oid::regclass), true, true, '')))[1])
	from pg_class c where relkind = 'r' and relnamespace::regnamespace::text in ('public', 'own')
	union all select format('%s %s', c.oid::regclass, query_to_xml(format('select last_value, is_called from %s', c.oid::regclass), true, true, ''))
	from pg_class c where relkind = 'S'
	union all select format('%s is %s''s, identity %s, rights %s, %s', c.oid::regclass, relowner::regrole, relreplident, relacl, obj_description(c.oid))
	from pg_class c where relnamespace::regnamespace::text in ('public', 'own')
	union all select format('object %s of %s: %s', oid, lomowner::regrole, md5(lo_get(oid))) from pg_largeobject_metadata
	union all select format('summary %s', count) from summary
	union all select format('database of %s, %s, limit %s, %s, %s', datdba::regrole, datallowconn, datconnlimit, datacl, shobj_description(oid, 'pg_database')) from pg_database where datname = current_database()
	union all select format('schema %s of %s: %s', nspname, nspowner::regrole, nspacl) from pg_namespace where nspname in ('public', 'own')
	union all select format('setting %s %s %s', setdatabase = 0, setrole = 0, setconfig) from pg_db_role_setting 
		where setdatabase in (0, (select oid from pg_database where datname = current_database()))
	union all select format('role %s %s', rolname, rolpassword) from pg_authid where rolname = 'acme'
) all_of_it(line)`

func value(t *testing.T, s *postgres.Server, database, sql string) (text string) {
	t.Helper()
	if err := s.QueryRow(t.Context(), database, sql, nil, &text); err != nil {
		t.Fatalf("%.100s: %v", sql, err)
	}
	return text
}

func as(t *testing.T, s *postgres.Server, name, password, statements string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL(name, password, name))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}

// left says what of a move is on a server: databases and roles but its own, slots,
// subscriptions, and sessions that follow.
func left(t *testing.T, s *postgres.Server) string {
	t.Helper()
	return value(t, s, postgres.Superuser, `select concat_ws(' ',
		(select string_agg(datname, ' ' order by datname) from pg_database where datname not in ('postgres', 'template0', 'template1', 'catalog')), '|',
		(select string_agg(rolname, ' ' order by rolname) from pg_roles where rolname !~ '^pg_' and not rolsuper), '|',
		(select string_agg(slot_name, ' ') from pg_replication_slots), (select string_agg(subname, ' ') from pg_subscription), (select string_agg(roname, ' ') from pg_replication_origin))`)
}

func (p *pair) start(to, how string) *catalog.Operation {
	p.t.Helper()
	m, err := p.fleet.MoveTenant(p.t.Context(), anna, "acme", fleet.Destination{Cluster: to, How: how}, false)
	if err != nil {
		p.t.Fatal(err)
	}
	return m.Operation
}

// What a tenant has is the same behind a move, in either way, and nothing else is left of
// it but the old database, which is put away.
func TestMove(t *testing.T) {
	p := newPair(t)
	p.run()
	made := p.create("acme")
	as(t, p.server, "acme", made.Password, contents)
	want := value(t, p.server, "acme", sums)
	here, there, away := p.server, p.other, ""
	for i, how := range []string{fleet.Replicate, fleet.Dump} {
		to := []string{"other", "main"}[i]
		before := value(t, here, "acme", "select oid::text from pg_database where datname = 'acme'")
		o := p.await(p.start(to, how), catalog.Done)
		if got := value(t, there, "acme", sums); got != want {
			t.Errorf("%s: what is different:\n%s", how, difference(want, got))
		}
		if got := left(t, there); got != []string{"acme | acme |", "acme " + away + " | acme |"}[i] {
			t.Errorf("%s: at the target there is %s", how, got)
		}
		name := "howdah_drop_" + o.ID
		if got := left(t, here); got != name+" | acme |" {
			t.Errorf("%s: at the source there is %s, want %s", how, got, name)
		}
		away = name
		if got := value(t, here, postgres.Superuser, "select concat_ws(' ', oid, datallowconn, datdba::regrole) from pg_database where datname = '"+name+"'"); got != before+" f keeper" {
			t.Errorf("%s: the old database is %s", how, got)
		}
		as(t, there, "acme", made.Password, "insert into public.keyed (name) values ('new'); delete from public.keyed where name = 'new'; delete from public.log where ctid = (select max(ctid) from public.log)")
		want = value(t, there, "acme", sums)
		here, there = there, here
	}
	p.letGo()
	dropped, err := p.catalog.DroppedTenants(t.Context())
	if err != nil || len(dropped) != 2 || dropped[0].Settings.Text("cluster") != "other" || dropped[1].Settings.Text("cluster") != "main" {
		t.Errorf("dropped are %+v, %v", dropped, err)
	}
}

// difference returns the lines that one has and the other has not.
func difference(want, got string) string {
	has := map[string]int{}
	for line := range strings.Lines(want) {
		has[strings.TrimSpace(line)]++
	}
	for line := range strings.Lines(got) {
		has[strings.TrimSpace(line)]--
	}
	var b strings.Builder
	for line, n := range has {
		if n != 0 {
			fmt.Fprintf(&b, "%+d %s\n", n, line)
		}
	}
	return b.String()
}
