// Program pq runs one case by lib/pq, under database/sql.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"clients/cases"

	"github.com/lib/pq"
)

func main() {
	cases.Run(map[string]func(){
		"connect": connecting, "transactions": transactions, "prepared": prepared,
		"pipeline": several, "copy": copying, "notify": notify, "cancel": cancel, "large": large,
		"errors": failures, "cursors": cursors, "settings": settings,
		"temporary": temporary, "locks": locks,
	})
}

var ctx = context.Background()

// open returns one connection of a pool of one, by the PG… variables.
func open(options string) *sql.Conn {
	pool, err := sql.Open("postgres", options)
	cases.Must(err)
	db, err := pool.Conn(ctx)
	cases.Must(err)
	_, err = db.ExecContext(ctx, "set client_min_messages = warning")
	cases.Must(err)
	return db
}

// say makes of an error what does not change from run to run.
func say(err error) string {
	var pe *pq.Error
	switch {
	case errors.As(err, &pe):
		return string(pe.Code) + " " + pe.Message
	case err != nil:
		return err.Error()
	}
	return "done"
}

// asker is a connection or a transaction.
type asker interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// ask returns the rows of all result sets, or the error.
func ask(db asker, query string, args ...any) string {
	rows, err := db.QueryContext(ctx, query, args...)
	return read(rows, err)
}

func read(rows *sql.Rows, err error) string {
	if err != nil {
		return say(err)
	}
	defer rows.Close()
	var text []string
	for more := true; more; more = rows.NextResultSet() {
		names, err := rows.Columns()
		cases.Must(err)
		values := make([]any, len(names))
		for i := range values {
			values[i] = new(sql.NullString)
		}
		for rows.Next() {
			cases.Must(rows.Scan(values...))
			for _, v := range values {
				text = append(text, v.(*sql.NullString).String)
			}
		}
		text = append(text, ";")
	}
	if rows.Err() != nil {
		return strings.Join(text, " ") + " " + say(rows.Err())
	}
	return strings.Join(text, " ")
}

func tell(db asker, statements ...string) {
	for _, statement := range statements {
		cases.Show(statement, ask(db, statement))
	}
}

func connecting() {
	for _, options := range []string{
		"", "password=wrong", "dbname=clients_nowhere", "user=nobody", "sslmode=disable", "sslmode=require",
		"sslrootcert=/etc/ssl/certs/ca-certificates.crt", "search_path=pg_catalog", "statement_timeout=nonsense",
		"application_name=mine", "binary_parameters=yes", "connect_timeout=5", "datestyle='ISO, DMY'", "options='-c work_mem=7MB'",
	} {
		pool, err := sql.Open("postgres", options)
		cases.Must(err)
		err = pool.Ping()
		var pe *pq.Error
		switch {
		case err == nil:
			cases.Show(options, ask(pool, "select current_user, current_setting('work_mem'), current_setting('search_path'), current_setting('application_name'), current_setting('datestyle')"))
		case errors.As(err, &pe):
			cases.Show(options, pe.Code)
		default:
			cases.Show(options, "refused")
		}
		cases.Must(pool.Close())
	}
}

func transactions() {
	db := open("")
	tell(db, "drop table if exists tx", "create table tx (n int)")
	for _, options := range []*sql.TxOptions{nil, {Isolation: sql.LevelSerializable}, {ReadOnly: true}, {Isolation: sql.LevelRepeatableRead}} {
		for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
			tx, err := db.BeginTx(ctx, options)
			cases.Must(err)
			tell(tx, "show transaction_isolation", "savepoint s", "insert into tx values (1)", "rollback to s", "select count(*) from tx")
			cases.Show("insert", ask(tx, "insert into tx values ($1) returning n", 2))
			cases.Show("end", say(end(tx)))
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	cases.Must(err)
	tell(tx, "select 1/0", "select 1")
	cases.Show("commit of a failed one", say(tx.Commit()))
	tx, err = db.BeginTx(ctx, nil)
	cases.Must(err)
	cases.Show("empty", say(tx.Commit()))
	tell(db, "select n from tx", "begin; select 1; commit", "begin; select 1/0; commit", "rollback", "select 2")
}

func prepared() {
	db, other := open(""), open("")
	tell(db, "drop table if exists prep", "create table prep (n int)")
	var all []*sql.Stmt
	for i := range 300 {
		statement, err := db.PrepareContext(ctx, fmt.Sprintf("select $1::int + %d", i))
		cases.Must(err)
		all = append(all, statement)
	}
	sum := 0
	for i := len(all) - 1; i >= 0; i-- {
		var n int
		cases.Must(all[i].QueryRow(i).Scan(&n))
		sum += n
	}
	cases.Show("300", sum)
	_, err := db.PrepareContext(ctx, "selekt")
	cases.Show("syntax error", say(err))
	statement, err := db.PrepareContext(ctx, "select * from prep where n = $1")
	cases.Must(err)
	for i := range 8 {
		cases.Show("execute", read(statement.Query(i)))
	}
	tell(other, "alter table prep add column s text")
	cases.Show("changed under it", read(statement.Query(1)))
	tell(db, "deallocate all")
	cases.Show("gone", read(statement.Query(1)))
	cases.Show("made anew", ask(db, "select $1::text", "x"))
	pool, err := sql.Open("postgres", "")
	cases.Must(err)
	statement, err = pool.Prepare("select $1::int + 1")
	cases.Must(err)
	for range 5 {
		pool.SetMaxIdleConns(0)
		cases.Show("over reconnects", read(statement.Query(41)))
	}
}

// several is lib/pq's only kind of batch: many statements in one message.
func several() {
	db := open("")
	tell(db, "drop table if exists pipe", "create table pipe (n int primary key)",
		"select 1; select 2", "insert into pipe values (1); insert into pipe values (1)", "select count(*) from pipe",
		"insert into pipe values (1); select n from pipe; select 1/0; select 3", "select count(*) from pipe",
		"insert into pipe values (1); commit; insert into pipe values (1)", "select count(*) from pipe",
		"begin; insert into pipe values (2); savepoint s; select 1/0", "rollback to s; commit; select n from pipe",
		"set work_mem = '9MB'; select 1/0", "show work_mem", "set work_mem = '9MB'; show work_mem; reset work_mem; show work_mem", "")
}

func copying() {
	db := open("")
	tell(db, "drop table if exists copied", "create table copied (n int primary key, s text)")
	for _, c := range []struct {
		label         string
		first, n, bad int
	}{{"in", 0, 50_000, -1}, {"duplicate", 49_999, 10, -1}, {"bad", 60_000, 10, 5}} {
		tx, err := db.BeginTx(ctx, nil)
		cases.Must(err)
		statement, err := tx.Prepare("copy copied (n, s) from stdin")
		cases.Must(err)
		for i := range c.n {
			var value any = c.first + i
			if i == c.bad {
				value = "nonsense"
			}
			if _, err = statement.Exec(value, fmt.Sprintf("row\t%d\n", i)); err != nil {
				break
			}
		}
		if err == nil {
			_, err = statement.Exec()
		}
		cases.Show(c.label, say(err), say(statement.Close()) != "", say(tx.Commit()))
	}
	tell(db, "select count(*), md5(string_agg(s, '' order by n)) from copied")
}

func hear(l *pq.Listener, wait time.Duration) string {
	select {
	case n := <-l.Notify:
		return fmt.Sprintf("%s %q", n.Channel, n.Extra)
	case <-time.After(wait):
		return "nothing"
	}
}

func notify() {
	db := open("")
	l := pq.NewListener("", time.Second, time.Second, func(_ pq.ListenerEventType, err error) {
		if err != nil {
			cases.Show("event", err)
		}
	})
	cases.Show("listen", l.Listen("one"), l.Listen("two"), l.Listen("one"), l.Ping())
	tell(db, "notify one, 'hello'", "begin", "notify two, 'in a transaction'")
	cases.Show("one", hear(l, 5*time.Second))
	cases.Show("not yet", hear(l, 300*time.Millisecond))
	tell(db, "commit")
	cases.Show("two", hear(l, 5*time.Second))
	cases.Show("unlisten", l.Unlisten("one"), l.Unlisten("one"))
	tell(db, "notify one, 'not heard'", "notify two, 'heard'")
	cases.Show("two", hear(l, 5*time.Second))
	for i := range 300 {
		ask(db, "select pg_notify('two', $1)", fmt.Sprint(i))
	}
	right := true
	for i := range 300 {
		right = right && hear(l, 5*time.Second) == fmt.Sprintf("two %q", fmt.Sprint(i))
	}
	cases.Show("300 in order", right)
	cases.Show("unlisten all", l.UnlistenAll(), l.Ping(), l.Close())
}

func cancel() {
	db := open("")
	for range 5 {
		within, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		rows, err := db.QueryContext(within, "select pg_sleep(30)")
		cases.Show("cancelled", strings.Fields(read(rows, err))[0])
		stop()
		cases.Show("alive", ask(db, "select 1") == "1 ;")
	}
	db = open("")
	tell(db, "set statement_timeout = 50", "select pg_sleep(30)", "reset statement_timeout", "select 'alive'")
}

func large() {
	db := open("")
	value := strings.Repeat("x", 10<<20)
	cases.Show("text", ask(db, "select $1::text", value))
	cases.Show("bytea", ask(db, "select md5($1::bytea)", []byte(value)))
	cases.Show("rows", ask(db, "select n, repeat('y', 1000) from generate_series(1, 20000) n"))
	binary := open("binary_parameters=yes")
	cases.Show("binary", ask(binary, "select md5($1::bytea)", []byte(value)))
	cases.Show("simple", ask(db, "select md5('"+value+"')"))
}

func failures() {
	db := open("")
	tell(db, "drop table if exists err", "create table err (n int primary key, m int not null)")
	for _, statement := range []string{
		"selekt", "select nothing from err", "insert into err values (1, null)", "insert into err values (1, 1), (1, 2)", "select 1/0",
		"do $$ begin raise exception 'mine' using errcode = 'HW001', detail = 'd', hint = 'h'; end $$", "do $$ begin execute 'selekt 2'; end $$",
	} {
		for _, args := range [][]any{nil, {1}} {
			_, err := db.ExecContext(ctx, statement, args...)
			var pe *pq.Error
			if errors.As(err, &pe) {
				cases.Show(statement, pe.Severity, pe.Code, pe.Message, pe.Detail, pe.Hint, pe.Position, pe.InternalQuery, pe.Where, pe.Table, pe.Column, pe.Constraint, pe.Routine)
			} else {
				cases.Show(statement, err)
			}
		}
	}
	tell(db, "select 'alive'")
}
