package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"clients/cases"

	"github.com/jackc/pgx/v5"
)

func copying() {
	db := open()
	tell(db, "drop table if exists copied", "create table copied (n int primary key, s text)")
	from := func(first, n int) (int64, error) {
		return db.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"n", "s"}, pgx.CopyFromSlice(n, func(i int) ([]any, error) {
			if first+i == 777_777 {
				return nil, fmt.Errorf("no more")
			}
			return []any{first + i, fmt.Sprintf("row %d", i)}, nil
		}))
	}
	n, err := from(0, 50_000)
	cases.Show("in", n, say(err))
	n, err = from(49_999, 10)
	cases.Show("duplicate", n, say(err))
	n, err = from(777_000, 1000)
	cases.Show("given up", n, say(err))
	var out bytes.Buffer
	tag, err := db.PgConn().CopyTo(ctx, &out, "copy (select * from copied order by n) to stdout")
	cases.Show("out", tag, say(err), cases.Digest(out.String()))
	tag, err = db.PgConn().CopyTo(ctx, &out, "copy (select 1/(500-n) from copied order by n) to stdout")
	cases.Show("out fails", tag, say(err))
	tag, err = db.PgConn().CopyFrom(ctx, strings.NewReader("60000\tx\nbad\n"), "copy copied from stdin")
	cases.Show("bad", tag, say(err))
	tell(db, "select count(*) from copied")
}

// hear waits for one notification, or says that there was none.
func hear(db *pgx.Conn, wait time.Duration) string {
	within, stop := context.WithTimeout(ctx, wait)
	defer stop()
	n, err := db.WaitForNotification(within)
	if err != nil {
		return "nothing"
	}
	return fmt.Sprintf("%s %q own=%v", n.Channel, n.Payload, n.PID == db.PgConn().PID())
}

func notify() {
	db, other := open(), open()
	tell(db, "listen ch")
	tell(other, "notify ch, 'hello'")
	cases.Show("from other", hear(db, 5*time.Second))
	tell(db, "select pg_notify('ch', 'own')")
	cases.Show("own", hear(db, 5*time.Second))
	tell(db, "begin", "notify ch, 'a'", "select 1", "notify ch, 'b'", "commit")
	cases.Show("in transaction", hear(db, 5*time.Second), hear(db, 5*time.Second))
	tell(other, "begin", "notify ch, 'never'", "rollback", "begin", "notify ch, 'late'")
	cases.Show("nothing yet", hear(db, 300*time.Millisecond))
	tell(other, "commit")
	cases.Show("committed", hear(db, 5*time.Second))
	tell(db, "begin")
	tell(other, "notify ch, 'while it is in a transaction'")
	tell(db, "select 1", "commit")
	cases.Show("after the transaction", hear(db, 5*time.Second))
	tell(db, "unlisten ch")
	tell(other, "notify ch, 'not heard'")
	cases.Show("unlistened", hear(db, 300*time.Millisecond))
	tell(db, "select 'alive'")
}

func cancel() {
	db := open()
	for range 5 {
		go func() {
			time.Sleep(100 * time.Millisecond)
			cases.Must(db.PgConn().CancelRequest(ctx))
		}()
		cases.Show("cancelled", ask(db, "select pg_sleep(30)"))
		cases.Show("alive", ask(db, "select 1"))
	}
	within, stop := context.WithTimeout(ctx, 100*time.Millisecond)
	defer stop()
	_, err := db.Exec(within, "select pg_sleep(30)")
	cases.Show("by context", err != nil)
	db = open()
	cases.Must(db.PgConn().CancelRequest(ctx))
	tell(db, "select 'idle cancelled'", "set statement_timeout = 50", "select pg_sleep(30)", "reset statement_timeout")
}

func large() {
	db := open()
	value := strings.Repeat("x", 10<<20)
	var back string
	cases.Must(db.QueryRow(ctx, "select $1::text", value).Scan(&back))
	cases.Show("text", back == value)
	var data []byte
	cases.Must(db.QueryRow(ctx, "select $1::bytea", []byte(value)).Scan(&data))
	cases.Show("bytea", string(data) == value)
	rows, _ := db.Query(ctx, "select n, repeat('y', 1000) from generate_series(1, 20000) n")
	n := 0
	for rows.Next() {
		n += len(rows.RawValues()[1])
	}
	cases.Show("rows", n, say(rows.Err()))
	rows, _ = db.Query(ctx, "select n, repeat('y', 1000) from generate_series(1, 20000) n")
	rows.Next()
	rows.Close()
	cases.Show("left early", say(rows.Err()), ask(db, "select 1"))
	batch := &pgx.Batch{}
	for range 20 {
		batch.Queue("select length($1::text)", value[:1<<20])
	}
	cases.Show("20 MB in a batch", say(db.SendBatch(ctx, batch).Close()))
}

func cursors() {
	db := open()
	tell(db, "begin", "declare c scroll cursor for select n from generate_series(1, 100) n", "fetch 3 from c", "fetch last from c", "fetch relative -5 from c",
		"move absolute 10 in c", "fetch c", "commit", "fetch c",
		"declare h cursor with hold for select n from generate_series(1, 5) n", "fetch 2 from h", "select pg_sleep(0.05)::text", "fetch 2 from h", "fetch 2 from h", "fetch h", "close h", "fetch h",
		"begin", "declare h cursor with hold for select 1/(2-n) from generate_series(1, 5) n", "commit", "select name from pg_cursors",
		"begin", "declare h cursor with hold for select 1", "rollback", "fetch h",
		"declare h cursor with hold for select 1", "discard all", "fetch h")
}

func settings() {
	db, other := open(), open()
	const get = "select current_setting('work_mem'), current_setting('timezone'), current_setting('search_path')"
	tell(db, "set work_mem = '7MB'", "set timezone = 'Europe/Paris'", "set search_path = clients, public")
	for range 20 {
		if now := ask(db, get); now != "[7MB Europe/Paris clients, public] SELECT 1" {
			cases.Show("lost", now)
		}
		ask(db, "select pg_sleep(0.005)")
	}
	tell(other, get)
	cases.Show("reported", db.PgConn().ParameterStatus("TimeZone"))
	tell(db, "begin", "set work_mem = '8MB'", "savepoint s", "set work_mem = '9MB'", "rollback to s", "show work_mem", "rollback", "show work_mem",
		"begin", "set local work_mem = '8MB'", "show work_mem", "commit", "show work_mem",
		"set timezone = 'Mars/Base'", "select set_config('work_mem', '6MB', false)", "show work_mem", "select set_config('work_mem', $$5MB$$, true)", "show work_mem",
		"set role clients_reader", "select current_user::text", "reset role", "select current_user::text", "set my.own = 'kept'", "show my.own",
		"set session characteristics as transaction isolation level serializable", "show transaction_isolation", "reset all", "show transaction_isolation",
		get, "discard all", get)
	cases.Show("reported", db.PgConn().ParameterStatus("TimeZone"))
	cases.Show("new session", ask(open(), get))
}

func temporary() {
	db, other := open(), open()
	tell(db, "create temp table t (n int)")
	for i := range 10 {
		cases.Show("insert", ask(db, "insert into t values ($1)", i), ask(other, "select pg_sleep(0.005)::text"))
	}
	tell(other, "select count(*) from t", "create temp table t as select 'mine' as s", "select s from t")
	tell(db, "select count(*) from t", "drop table t", "select count(*) from t",
		"begin", "create temp table v (n int) on commit drop", "insert into v values (1)", "select n from v", "commit", "select n from v",
		"create temp sequence s", "select nextval('s')", "select currval('s')", "select lastval()", "discard temp", "select nextval('s')")
	cases.Must(db.Close(ctx))
	cases.Must(other.Close(ctx))
	tell(open(), "select s from t")
}

func locks() {
	db, other := open(), open()
	tell(db, "select pg_advisory_lock(77)::text", "select pg_sleep(0.05)::text")
	tell(other, "select pg_try_advisory_lock(77)")
	tell(db, "select pg_try_advisory_lock(77)", "select pg_advisory_unlock(77)", "select pg_advisory_unlock(77)")
	tell(other, "select pg_try_advisory_lock(77)", "select pg_advisory_unlock(77)", "select pg_advisory_unlock(77)")
	tell(db, "begin", "select pg_advisory_xact_lock(78)::text")
	tell(other, "select pg_try_advisory_lock(78)")
	tell(db, "commit", "select pg_advisory_lock(79)::text")
	cases.Must(db.Close(ctx))
	tell(other, "select pg_advisory_lock(79)::text", "select pg_try_advisory_lock(78)", "select pg_advisory_unlock_all()::text")
}
