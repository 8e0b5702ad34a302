package wiretest_test

import (
	"testing"

	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// A server is lent again, and nothing of what a test has left is there; one with what
// nobody removes is not.
func TestLentServersAreAsGoodAsNew(t *testing.T) {
	var servers wiretest.Lender
	t.Cleanup(func() {
		if err := servers.Close(); err != nil {
			t.Error(err)
		}
	})
	var first *postgres.Server
	t.Run("first", func(t *testing.T) {
		first = servers.Lend(t)
		err := first.Exec(t.Context(), postgres.Superuser, "create role \"o'dd\" login", "create database open owner \"o'dd\"", "create database closed",
			"alter role \"o'dd\" in database open set work_mem = '1MB'", "grant create on database postgres to \"o'dd\"", "revoke create on database postgres from \"o'dd\"",
			"select pg_create_physical_replication_slot('left')", "select pg_create_logical_replication_slot('too', 'pgoutput')")
		if err == nil {
			err = first.Exec(t.Context(), "closed", "create subscription s connection 'dbname=open' publication p with (connect = false)")
		}
		if err == nil {
			err = first.Exec(t.Context(), postgres.Superuser, "alter database closed allow_connections false")
		}
		if err != nil {
			t.Fatal(err)
		}
		if servers.Lend(t) == first {
			t.Error("two have one server")
		}
	})
	again := map[*postgres.Server]bool{}
	t.Run("again", func(t *testing.T) {
		again[servers.Lend(t)] = true
		again[servers.Lend(t)] = true
		var left string
		err := first.QueryRow(t.Context(), postgres.Superuser, `select concat_ws(' ', (select string_agg(datname, ' ') from pg_database where datname !~ '^template'),
			(select string_agg(rolname, ' ') from pg_roles where rolname !~ '^pg_'), (select count(*) from pg_replication_slots), (select count(*) from pg_subscription), (select count(*) from pg_db_role_setting))`, nil, &left)
		if err != nil || left != "postgres postgres 0 0 0" {
			t.Errorf("there is %q, %v", left, err)
		}
		if err := first.Exec(t.Context(), postgres.Superuser, "alter system set work_mem = '1MB'", "select pg_reload_conf()"); err != nil {
			t.Fatal(err)
		}
	})
	if !again[first] {
		t.Error("the first server is not lent again")
	}
	t.Run("third", func(t *testing.T) {
		for range 2 {
			if servers.Lend(t) == first {
				t.Error("a server with other settings is lent")
			}
		}
	})
}
