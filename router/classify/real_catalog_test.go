package classify_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"howdah/router/classify"
	"howdah/wire/wiretest"
)

// TestRealCatalog reads what hides a volatile function from a statement's text.
func TestRealCatalog(t *testing.T) {
	server := wiretest.StartPostgres(t)
	c, err := pgx.Connect(t.Context(), server.AdminURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), `
		create table plain (id int);
		create sequence numbers;
		create function quiet(int) returns int immutable language sql as 'select 1';
		create function loud(int) returns int volatile language sql as 'select 1';
		create domain loud_domain as int check (loud(value) = 1);
		create function loud_date(int) returns date volatile language sql as 'select null::date';
		create function of_domain(loud_domain) returns int immutable language sql as 'select 1';
		create function upper(int) returns int volatile language sql as 'select 1';
		create function loud_default(int default loud(1)) returns int immutable language sql as 'select 1';
		create function loud_state(int, int) returns int volatile language sql as 'select 1';
		create function of_row(plain) returns int volatile language sql as 'select 1';
		create aggregate loud_total (int) (sfunc = loud_state, stype = int);
		create operator |+| (leftarg = int, rightarg = int, function = loud_state);
		create operator |-| (leftarg = int, rightarg = int, function = int4pl);
		create view quiet_view as select upper('a'), quiet(id) from plain;
		create view loud_view as select loud(id) from plain;
		create view over_loud_view as select 1 from quiet_view, (select * from loud_view) x;
		create view loud_operator_view as select id |+| 1 as a from plain;
		create view builtin_view as select clock_timestamp();
		create view recovery_view as select * from pg_stat_activity;
		create view sequence_view as select last_value from numbers;
		create materialized view kept as select loud(id) from plain;
		create unlogged table unlogged (id int);
	`); err != nil {
		t.Fatal(err)
	}
	found := map[classify.Name]bool{}
	read := func(shipped bool) {
		t.Helper()
		rows, err := c.Query(t.Context(), classify.CatalogQuery, shipped, classify.PrimaryPattern())
		if err != nil {
			t.Fatal(err)
		}
		var kind, name string
		var safe bool
		if _, err := pgx.ForEachRow(rows, []any{&kind, &name, &safe}, func() error {
			n := classify.Name{Kind: classify.Kind(kind[0]), Text: name}
			if was, ok := found[n]; ok {
				safe = safe && was
			}
			found[n] = safe
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	read(true)
	if len(found) < 2000 || found[classify.Name{Kind: classify.Relation, Text: "plain"}] {
		t.Errorf("PostgreSQL comes with %d names", len(found))
	}
	read(false)
	for kind, names := range map[classify.Kind]map[string]bool{
		classify.Function: {
			"quiet": true, "loud": false, "upper": false, "lower": true, "loud_default": false, "of_domain": false, "loud_total": false, "sum": true,
			"nextval": false, "pg_sleep": true, "pg_stat_get_activity": false, "last_value": true, "pg_is_in_recovery": false,
		},
		classify.Operator: {"=": true, "|+|": false, "|-|": true},
		classify.Relation: {
			"plain": true, "numbers": false, "quiet_view": true, "loud_view": false, "over_loud_view": false, "loud_operator_view": false,
			"builtin_view": false, "recovery_view": false, "sequence_view": false, "kept": true, "unlogged": false, "pg_class": true, "pg_locks": false,
		},
		classify.Type:      {"int4": true, "loud_domain": false},
		classify.Attribute: {"of_row": false, "of_domain": false},
		classify.Field:     {"loud": false},
	} {
		for name, want := range names {
			if safe, ok := found[classify.Name{Kind: kind, Text: name}]; !ok || safe != want {
				t.Errorf("%c %s: safe %v, found %v", kind, name, safe, ok)
			}
		}
	}
	if _, ok := found[classify.Name{Kind: classify.Database}]; ok {
		t.Error("the whole database is not safe")
	}
	if _, err := c.Exec(t.Context(), `
		create function loud_cast(plain) returns int volatile language sql as 'select 1';
		create cast (plain as int) with function loud_cast(plain) as implicit;
	`); err != nil {
		t.Fatal(err)
	}
	read(false)
	if found[classify.Name{Kind: classify.Relation, Text: "plain"}] || !found[classify.Name{Kind: classify.Function, Text: "quiet"}] {
		t.Error("an implicit cast by a volatile function makes more not safe, or less, than what has its type")
	}
	if _, err := c.Exec(t.Context(), `create cast (int as date) with function loud_date(int)`); err != nil {
		t.Fatal(err)
	}
	read(true)
	if !found[classify.Name{Kind: classify.Type, Text: "date"}] {
		t.Error("a cast of this database makes a type not safe in all databases")
	}
	read(false)
	if _, ok := found[classify.Name{Kind: classify.Database}]; !ok {
		t.Error("a cast of PostgreSQL's own types by a volatile function goes unnoticed")
	}
}
