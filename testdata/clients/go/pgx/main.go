// Program pgx runs one case by jackc/pgx: extended protocol, its own cache of
// prepared statements, batches and pipelines.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"clients/cases"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func main() {
	cases.Run(map[string]func(){
		"connect": connecting, "transactions": transactions, "prepared": prepared,
		"pipeline": pipeline, "copy": copying, "notify": notify, "cancel": cancel,
		"large": large, "errors": failures, "cursors": cursors, "settings": settings,
		"temporary": temporary, "locks": locks,
	})
}

var ctx = context.Background()

// open connects by the PG… variables. Notices are shown as they come.
func open() *pgx.Conn {
	config, err := pgx.ParseConfig("")
	cases.Must(err)
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		cases.Show("notice", n.Code, n.Message)
	}
	db, err := pgx.ConnectConfig(ctx, config)
	cases.Must(err)
	_, err = db.Exec(ctx, "set client_min_messages = warning")
	cases.Must(err)
	return db
}

// say makes of an error what does not change from run to run.
func say(err error) string {
	var pe *pgconn.PgError
	switch {
	case errors.As(err, &pe):
		return pe.Code + " " + pe.Message
	case err != nil:
		return err.Error()
	}
	return "done"
}

// ask returns the rows, the command tag or the error.
func ask(db *pgx.Conn, sql string, args ...any) string {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return say(err)
	}
	defer rows.Close()
	var text []string
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err.Error()
		}
		text = append(text, fmt.Sprint(values))
	}
	if rows.Err() != nil {
		return say(rows.Err())
	}
	return strings.Join(text, "") + " " + rows.CommandTag().String()
}

// tell shows what each statement gives, and the transaction status after it.
func tell(db *pgx.Conn, statements ...string) {
	for _, sql := range statements {
		cases.Show(sql, ask(db, sql), string(db.PgConn().TxStatus()))
	}
}

func tryConnect(options string) {
	db, err := pgx.Connect(ctx, options)
	if err == nil {
		cases.Show(options, "connected", ask(db, "select current_user, current_database()"))
		cases.Must(db.Close(ctx))
		return
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code != "" {
		cases.Show(options, pe.Code)
	} else {
		cases.Show(options, "refused")
	}
}

func connecting() {
	db := open()
	for _, name := range []string{"server_version", "client_encoding", "TimeZone", "DateStyle", "is_superuser", "session_authorization"} {
		cases.Show(name, db.PgConn().ParameterStatus(name))
	}
	cases.Show("ping", db.Ping(ctx))
	for _, options := range []string{
		"", "channel_binding=require", "min_protocol_version=3.0 max_protocol_version=3.2", "password=wrong", "dbname=clients_nowhere",
		"user=nobody", "sslmode=disable", "sslrootcert=/etc/ssl/certs/ca-certificates.crt",
		"search_path=pg_catalog", "statement_timeout=nonsense", "target_session_attrs=read-write", "target_session_attrs=standby",
		"default_query_exec_mode=simple_protocol", "default_query_exec_mode=exec", "default_query_exec_mode=describe_exec", "default_query_exec_mode=cache_describe",
	} {
		tryConnect(options)
	}
}

func transactions() {
	db := open()
	tell(db, "drop table if exists tx", "create table tx (n int)")
	for _, options := range []pgx.TxOptions{
		{},
		{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly, DeferrableMode: pgx.Deferrable},
		{IsoLevel: pgx.RepeatableRead},
	} {
		tx, err := db.BeginTx(ctx, options)
		cases.Must(err)
		cases.Show("status", string(db.PgConn().TxStatus()))
		cases.Show("insert", ask(db, "insert into tx values ($1)", 1))
		cases.Show("nested", say(pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "select 1/0")
			return err
		})))
		cases.Show("inside", ask(db, "select count(*), current_setting('transaction_isolation') from tx"))
		cases.Show("commit", say(tx.Commit(ctx)))
		cases.Show("again", say(tx.Commit(ctx)))
	}
	tx, err := db.Begin(ctx)
	cases.Must(err)
	cases.Show("fails", ask(db, "select nothing"))
	cases.Show("commit of a failed one", say(tx.Commit(ctx)))
	tx, err = db.Begin(ctx)
	cases.Must(err)
	cases.Show("empty rollback", say(tx.Rollback(ctx)))
	tell(db, "begin", "begin", "select n/0 from tx", "select 1", "commit", "commit", "commit and chain", "begin", "commit and chain", "rollback", "savepoint s",
		"start transaction isolation level serializable", "set transaction isolation level read committed", "show transaction_isolation", "commit",
		"select n from tx")
}

func prepared() {
	db, other := open(), open()
	tell(db, "drop table if exists prep", "create table prep (n int)")
	sd, err := db.Prepare(ctx, "p", "select $1::int + 1 as m")
	cases.Must(err)
	cases.Show("described", sd.ParamOIDs, sd.Fields[0].Name, sd.Fields[0].DataTypeOID)
	_, err = other.Prepare(ctx, "p", "select 'other'")
	cases.Must(err)
	for i := range 8 {
		cases.Show("execute", ask(db, "p", i), ask(other, "p"))
	}
	_, err = db.PgConn().Prepare(ctx, "p", "select 2", nil)
	cases.Show("same name", say(err))
	_, err = db.Prepare(ctx, "bad", "selekt")
	cases.Show("syntax error", say(err))
	const sql = "select * from prep"
	cases.Show("cached", ask(db, sql))
	cases.Show("by other", ask(other, "alter table prep add column s text"))
	cases.Show("changed under it", ask(db, sql))
	cases.Show("again", ask(db, sql))
	cases.Show("type change", ask(db, "select n from prep where n = $1", 5), ask(other, "alter table prep alter n type bigint"), ask(db, "select n from prep where n = $1", 5))
	sum := 0
	for i := range 1200 {
		var n int
		cases.Must(db.QueryRow(ctx, fmt.Sprintf("select $1::int + %d", i%600), i).Scan(&n))
		sum += n
	}
	cases.Show("600 statements twice", sum)
	cases.Show("deallocate", say(db.Deallocate(ctx, "p")))
	cases.Show("gone", ask(db, "select 1"), say(db.PgConn().ExecPrepared(ctx, "p", nil, nil, nil).Read().Err))
	cases.Show("deallocate all", say(db.DeallocateAll(ctx)))
	cases.Show("and on", ask(db, sql))
	cases.Must(db.Close(ctx))
	db = open()
	cases.Show("after reconnect", say(db.PgConn().ExecPrepared(ctx, "p", nil, nil, nil).Read().Err))
	_, err = db.Prepare(ctx, "p", "select $1::text")
	cases.Show("made anew", say(err), ask(db, "p", "x"))
}

func pipeline() {
	db := open()
	tell(db, "drop table if exists pipe", "create table pipe (n int primary key)")
	for _, statements := range [][]string{
		{"insert into pipe values (1)", "select n from pipe", "insert into pipe values (1)", "select 2"},
		{"begin", "insert into pipe values (2)", "commit", "insert into pipe values (2)"},
		{"begin", "insert into pipe values (3)", "commit", "select n/0 from pipe"},
		{"set work_mem = '9MB'", "show work_mem"},
		{"show work_mem"},
		{"begin", "commit", "begin", "rollback", "select 1"},
		{"begin", "select 1"},
		{"select 2", "select 1/0"},
		{"select 3"},
		{"rollback"},
	} {
		batch := &pgx.Batch{}
		for _, sql := range statements {
			batch.Queue(sql)
		}
		results := db.SendBatch(ctx, batch)
		for _, sql := range statements {
			tag, err := results.Exec()
			cases.Show(sql, tag, say(err))
		}
		cases.Show("close", say(results.Close()), string(db.PgConn().TxStatus()))
	}
	cases.Show("rows", ask(db, "select n from pipe order by n"))
	batch := &pgx.Batch{}
	for i := range 3000 {
		batch.Queue("select $1::int + 1", i)
	}
	results, sum := db.SendBatch(ctx, batch), 0
	for range 3000 {
		var n int
		cases.Must(results.QueryRow().Scan(&n))
		sum += n
	}
	cases.Show("3000", sum, say(results.Close()))
	byHand(db.PgConn())
}

// byHand is a pipeline with Prepare, Flush and more than one Sync.
func byHand(conn *pgconn.PgConn) {
	p := conn.StartPipeline(ctx)
	p.SendPrepare("hand", "select $1::int", nil)
	p.SendQueryPrepared("hand", [][]byte{[]byte("7")}, nil, nil)
	cases.Must(p.Sync())
	p.SendQueryParams("select 1/0", nil, nil, nil, nil)
	p.SendQueryPrepared("hand", [][]byte{[]byte("8")}, nil, nil)
	cases.Must(p.Sync())
	p.SendDeallocate("hand")
	p.SendQueryParams("select 'last'", nil, nil, nil, nil)
	p.SendFlushRequest()
	cases.Must(p.Flush())
	for range 6 {
		results, err := p.GetResults()
		if rows, ok := results.(*pgconn.ResultReader); ok {
			got := rows.Read()
			cases.Show("by hand", got.CommandTag, fmt.Sprintf("%s", got.Rows), say(got.Err))
		} else {
			cases.Show("by hand", fmt.Sprintf("%T", results), say(err))
		}
	}
	cases.Must(p.Sync())
	cases.Show("closed", say(p.Close()), string(conn.TxStatus()))
}

func failures() {
	db := open()
	tell(db, "drop table if exists err", "create table err (n int primary key, m int not null)")
	for _, sql := range []string{
		"selekt", "select nothing from err", "insert into err values (1, null)", "insert into err values (1, 1), (1, 2)", "select 1/0",
		"do $$ begin raise exception 'mine' using errcode = 'HW001', detail = 'd', hint = 'h'; end $$", "select 1; select 2",
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
			_, err := db.Exec(ctx, sql, mode)
			var pe *pgconn.PgError
			if errors.As(err, &pe) {
				cases.Show(sql, mode, *pe)
			} else {
				cases.Show(sql, mode, err)
			}
		}
	}
	tell(db, "do $$ begin raise warning 'look'; end $$", "select 'alive'")
}
