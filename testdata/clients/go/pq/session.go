package main

import "clients/cases"

func cursors() {
	db := open("")
	tell(db, "begin", "declare c scroll cursor for select n from generate_series(1, 100) n", "fetch 3 from c", "fetch last from c", "fetch relative -5 from c",
		"commit", "fetch c", "declare h cursor with hold for select n from generate_series(1, 5) n", "fetch 2 from h", "select pg_sleep(0.05)",
		"fetch 2 from h", "fetch 2 from h", "close h", "fetch h", "close all", "declare c cursor for select 1")
}

func settings() {
	db, other := open(""), open("")
	const get = "select current_setting('work_mem'), current_setting('timezone'), current_setting('search_path')"
	tell(db, "set work_mem = '7MB'", "set timezone = 'Europe/Paris'", "set search_path = clients, public")
	for range 20 {
		if now := ask(db, get); now != "7MB Europe/Paris clients, public ;" {
			cases.Show("lost", now)
		}
		ask(db, "select pg_sleep(0.005)")
	}
	tell(other, get)
	tell(db, "begin", "set work_mem = '8MB'", "rollback", "show work_mem", "begin", "set local work_mem = '8MB'", "show work_mem", "commit", "show work_mem",
		"set timezone = 'Mars/Base'", "select now() at time zone 'UTC' - now() at time zone current_setting('timezone') < interval '0'",
		"set role clients_reader", "select current_user", "reset role", "select current_user", "reset all", get, "discard all", get)
	cases.Show("parameter", ask(db, "select set_config('work_mem', $1, false)", "6MB"), ask(db, "show work_mem"))
	cases.Show("new session", ask(open(""), get))
}

func temporary() {
	db, other := open(""), open("")
	tell(db, "create temp table t (n int)")
	for i := range 10 {
		cases.Show("insert", ask(db, "insert into t values ($1)", i), ask(other, "select pg_sleep(0.005)"))
	}
	tell(other, "select count(*) from t", "create temp table t as select 'mine' as s", "select s from t")
	tell(db, "select count(*) from t", "drop table t", "select count(*) from t",
		"begin; create temp table v (n int) on commit drop; insert into v values (1); select n from v; commit", "select n from v")
	cases.Must(other.Close())
	tell(open(""), "select s from t")
}

func locks() {
	db, other := open(""), open("")
	tell(db, "select pg_advisory_lock(77)", "select pg_sleep(0.05)")
	tell(other, "select pg_try_advisory_lock(77)")
	tell(db, "select pg_advisory_unlock(77)", "select pg_advisory_unlock(77)")
	tell(other, "select pg_try_advisory_lock(77)", "select pg_advisory_unlock(77)")
	tell(db, "begin", "select pg_advisory_xact_lock(78)")
	tell(other, "select pg_try_advisory_lock(78)")
	tell(db, "rollback")
	tell(other, "select pg_try_advisory_lock(78)", "select pg_advisory_unlock_all()")
}
