"""psycopg2: simple protocol only, libpq underneath."""

import io
import select
import threading
import time

import psycopg2
import psycopg2.extensions as ext

from cases import digest, run, show

STATUS = {ext.TRANSACTION_STATUS_IDLE: "idle", ext.TRANSACTION_STATUS_INTRANS: "in transaction", ext.TRANSACTION_STATUS_INERROR: "failed"}


def connect(autocommit=True, **more):
    db = psycopg2.connect("", **more)
    db.autocommit = autocommit
    return db


def ask(db, sql, args=None):
    """Rows if there are any, else the command tag, or the error's SQLSTATE."""
    cur = db.cursor()
    try:
        cur.execute(sql, args)
        return cur.fetchall() if cur.description else cur.statusmessage
    except psycopg2.Error as e:
        return "%s %s" % (e.pgcode, type(e).__name__)


def try_connect(label, **more):
    try:
        connect(**more).close()
        show(label, "connected")
    except psycopg2.OperationalError as e:
        words = ["password authentication failed", "does not exist", "certificate verify failed", "required"]
        show(label, [w for w in words if w in str(e)] or "refused")


def connecting():
    db = connect()
    show("tls", db.info.ssl_in_use)
    show("server version", db.server_version)
    show("encoding", db.encoding)
    show("who and where", ask(db, "select current_user, session_user, current_database()"))
    for name in ["standard_conforming_strings", "integer_datetimes", "is_superuser", "session_authorization", "DateStyle", "TimeZone", "application_name"]:
        show(name, db.get_parameter_status(name))
    db.close()
    db = connect(application_name="an app", options="-c datestyle=german -c statement_timeout=12345")
    show("startup settings", ask(db, "select current_setting('datestyle'), current_setting('statement_timeout'), current_setting('application_name')"))
    show("reported", [db.get_parameter_status(n) for n in ["DateStyle", "application_name"]])
    try_connect("channel binding", channel_binding="require")
    try_connect("wrong password", password="wrong")
    try_connect("wrong database", dbname="clients_nowhere")
    try_connect("no tls", sslmode="disable")
    try_connect("unknown authority", sslrootcert="/etc/ssl/certs/ca-certificates.crt")
    try_connect("bad option", options="-c datestyle=nonsense")


def transactions():
    db = connect(autocommit=False)
    ask(db, "drop table if exists tx")
    show("create", ask(db, "create table tx (n int)"))
    show("inside", STATUS[db.info.transaction_status])
    db.commit()
    show("after commit", STATUS[db.info.transaction_status])
    ask(db, "insert into tx values (1)")
    db.commit()
    ask(db, "insert into tx values (2)")
    db.rollback()
    ask(db, "insert into tx values (3)")
    ask(db, "savepoint s")
    ask(db, "insert into tx values (4)")
    show("error in savepoint", ask(db, "select 1/0"))
    show("failed", STATUS[db.info.transaction_status])
    show("in failed", ask(db, "select 1"))
    show("back", ask(db, "rollback to savepoint s"))
    show("release", ask(db, "release savepoint s"))
    show("unknown savepoint", ask(db, "rollback to savepoint t"))
    db.rollback()
    show("rows", ask(db, "select n from tx order by n"))
    db.commit()
    for level in ["serializable", "repeatable read", "read uncommitted"]:
        db.set_session(isolation_level=level, readonly=level == "serializable", deferrable=level == "serializable")
        show(level, ask(db, "select current_setting('transaction_isolation'), current_setting('transaction_read_only'), current_setting('transaction_deferrable')"))
        show("write", ask(db, "insert into tx values (5)"))
        db.rollback()
    db = connect()
    odd_endings(db)


def odd_endings(db):
    """What is not one BEGIN and one COMMIT."""
    for sql in [
        "begin", "begin", "select 1/0", "begin", "commit", "commit", "rollback", "commit and chain",
        "begin isolation level serializable", "select 1 as x", "commit and chain", "show transaction_isolation", "rollback and chain", "rollback",
        "begin", "commit", "begin; select 2 as x; commit", "begin; select 1/0; commit", "select 3 as x", "rollback", "savepoint s", "start transaction read only",
        "set transaction isolation level repeatable read", "show transaction_isolation", "abort", "end",
        "insert into tx values (10); select 1/0", "select count(*) from tx", "select 1; select 2", "",
    ]:
        show(sql, ask(db, sql))
        show("status", STATUS[db.info.transaction_status])
    show("notices", [n.strip() for n in db.notices])


def prepared():
    db, other = connect(), connect()
    show("prepare", ask(db, "prepare p (int) as select $1 + 1"))
    show("prepare again", ask(db, "prepare p (int) as select 2"))
    for n in range(8):
        show("execute", ask(db, "execute p (%s)", (n,)))
    show("another's", ask(other, "execute p (1)"))
    show("another's own", ask(other, "prepare p as select 'other'"))
    show("both", [ask(db, "execute p (41)"), ask(other, "execute p")])
    show("listed", ask(db, "select name, statement, from_sql from pg_prepared_statements"))
    show("in failed", ask(db, "begin; prepare q as select 1; select 1/0"))
    db.rollback()
    show("after rollback", ask(db, "execute q"))
    ask(db, "drop table if exists prep")
    ask(db, "create table prep (n int)")
    ask(db, "prepare r as select * from prep")
    show("one column", ask(db, "execute r"))
    ask(other, "alter table prep add column s text")
    show("changed under it", ask(db, "execute r"))
    show("deallocate", ask(db, "deallocate r"))
    show("deallocate again", ask(db, "deallocate r"))
    show("deallocate all", ask(db, "deallocate all"))
    show("gone", ask(db, "execute p (1)"))
    show("other's stays", ask(other, "execute p"))
    db.close()
    show("after reconnect", ask(connect(), "execute p (1)"))


def copy():
    db = connect(autocommit=False)
    cur = db.cursor()
    ask(db, "drop table if exists copied")
    ask(db, "create table copied (n int primary key, s text)")
    rows = "".join("%d\trow %d\n" % (n, n) for n in range(20000))
    cur.copy_expert("copy copied from stdin", io.StringIO(rows))
    show("in", (cur.rowcount, cur.statusmessage))
    db.commit()
    out = io.StringIO()
    cur.copy_expert("copy (select * from copied order by n) to stdout", out)
    show("out", (cur.rowcount, out.getvalue() == rows))
    for label, text in [("bad number", "1\tx\nnonsense\tx\n"), ("missing column", "99999\n"), ("duplicate", "5\tx\n")]:
        try:
            cur.copy_expert("copy copied from stdin", io.StringIO(text))
        except psycopg2.Error as e:
            show(label, (e.pgcode, e.diag.message_primary, e.diag.context))
        show("status", STATUS[db.info.transaction_status])
        db.rollback()

    class Broken:
        def read(self, _):
            raise KeyError("no more")

    try:
        cur.copy_expert("copy copied from stdin", Broken())
    except psycopg2.Error as e:
        show("client gives up", e.pgcode)
    db.rollback()
    show("nothing changed", ask(db, "select count(*) from copied"))
    try:
        cur.copy_expert("copy (select 1/(3-n) from generate_series(1, 5) n) to stdout", io.StringIO())
    except psycopg2.Error as e:
        show("fails while sending", e.pgcode)
    db.rollback()
    binary = io.BytesIO()
    cur.copy_expert("copy (select n, s from copied order by n limit 3) to stdout (format binary)", binary)
    show("binary", digest(binary.getvalue()))


def wait_notify(db, seconds=5.0):
    """What has come, after at most that long; and nothing more within a moment."""
    ends = time.monotonic() + seconds
    while not db.notifies and time.monotonic() < ends:
        select.select([db], [], [], max(0, ends - time.monotonic()))
        db.poll()
    got = [(n.channel, n.payload, n.pid == db.info.backend_pid) for n in db.notifies]
    db.notifies.clear()
    return got


def notify():
    db, other = connect(), connect()
    show("listen", [ask(db, "listen one"), ask(db, "listen two"), ask(db, "listen one")])
    show("channels", ask(db, "select * from pg_listening_channels() order by 1"))
    show("notify", ask(other, "notify one, 'hello'"))
    show("from other", wait_notify(db))
    show("own", (ask(db, "notify one"), wait_notify(db)))
    show("own, in a transaction", [ask(db, s) for s in ["begin", "notify two, 'a'", "notify two, 'a'", "notify two, 'b'", "select 1"]])
    show("not yet", wait_notify(db, 0.3))
    show("commit", (ask(db, "commit"), wait_notify(db)))
    ask(other, "begin")
    show("function", ask(other, "select pg_notify('one', repeat('x', 7000))"))
    show("not before commit", wait_notify(db, 0.3))
    ask(other, "commit")
    show("long payload", [len(p) for _, p, _ in wait_notify(db)])
    show("too long", ask(other, "select pg_notify('one', repeat('x', 8000))"))
    for s in ["begin", "notify one, 'never'", "rollback"]:
        ask(other, s)
    ask(other, "notify one, 'after a rollback'")
    show("rolled back", wait_notify(db))
    listening_in_transactions(db, other)
    order(db, other)


def listening_in_transactions(db, other):
    for s in ["begin", "listen three", "rollback"]:
        ask(db, s)
    ask(other, "notify three, 'not heard'")
    ask(other, "notify one, 'heard'")
    show("listen rolled back", wait_notify(db))
    for s in ["begin", "listen three", "unlisten one", "commit"]:
        ask(db, s)
    ask(other, "notify one, 'not heard'")
    ask(other, "notify three, 'heard'")
    show("listen committed", wait_notify(db))
    show("listen in failed", [ask(db, s) for s in ["begin", "select 1/0", "listen four", "rollback"]])
    show("unlisten", ask(db, "unlisten *"))
    ask(other, "notify three, 'not heard'")
    show("nothing", wait_notify(db, 0.3))


def order(db, other):
    ask(db, "listen one")
    for n in range(500):
        ask(other, "select pg_notify('one', %s)", (str(n),))
    got = []
    while len(got) < 500:
        more = wait_notify(db)
        if not more:
            break
        got += [int(p) for _, p, _ in more]
    wrong = [(at, n) for at, n in enumerate(got) if at != n]
    show("500 in order", (len(got), wrong[:3]))


def cancel():
    db = connect()
    for n in range(5):
        timer = threading.Timer(0.1, db.cancel)
        timer.start()
        show("cancelled", ask(db, "select pg_sleep(30)"))
        timer.join()
        show("alive", ask(db, "select %s", (n,)))
    ask(db, "begin")
    timer = threading.Timer(0.1, db.cancel)
    timer.start()
    show("in transaction", ask(db, "select pg_sleep(30)"))
    timer.join()
    show("status", STATUS[db.info.transaction_status])
    db.rollback()
    db.cancel()
    show("nothing to cancel", ask(db, "select 1"))
    ask(db, "set statement_timeout = 50")
    show("timeout", ask(db, "select pg_sleep(30)"))
    ask(db, "reset statement_timeout")


def large():
    db = connect()
    value = "x" * (10 << 20)
    show("there and back", digest(ask(db, "select %s", (value,))[0][0]))
    data = bytes(range(256)) * (10 << 12)
    show("bytea", digest(bytes(ask(db, "select %s::bytea", (data,))[0][0])))
    rows = ask(db, "select n, repeat('y', 1000) from generate_series(1, 20000) n")
    show("rows", (len(rows), digest(repr(rows))))
    wide = ask(db, "select " + ", ".join("%d" % n for n in range(1600)))
    show("columns", digest(repr(wide)))
    show("too many columns", ask(db, "select " + ", ".join("1" for n in range(1700))))
    ask(db, "drop table if exists large")
    ask(db, "create table large (v text)")
    show("insert", ask(db, "insert into large values (%s)", (value,)))
    show("stored", ask(db, "select md5(v), length(v) from large"))
    show("long statement", len(ask(db, "select array[" + ",".join(["1"] * 500000) + "]")[0][0]))


def diagnosis(db, sql):
    try:
        db.cursor().execute(sql)
        show(sql, "no error")
    except psycopg2.Error as e:
        fields = ["severity", "sqlstate", "message_primary", "message_detail", "message_hint", "statement_position", "internal_position", "internal_query", "context", "schema_name", "table_name", "column_name", "datatype_name", "constraint_name"]
        show(sql, ["%s=%s" % (f, getattr(e.diag, f)) for f in fields if getattr(e.diag, f)])
        show("source", e.diag.source_function)


def errors():
    db = connect()
    ask(db, "drop table if exists err")
    ask(db, "create table err (n int primary key, m int not null check (m > 0))")
    del db.notices[:]
    for sql in [
        "selekt 1", "select * from nowhere", "select nothing from err", "select 1/0", "insert into err values (1, null)", "insert into err values (1, 0)",
        "insert into err values (1, 1), (1, 2)", "select 'x'::int", "select nofunction(1)", "select now() + 1", "select \"", "select 'open", "select 1 +",
        "do $$ begin raise exception 'mine' using errcode = 'HW001', detail = 'the detail', hint = 'the hint', table = 'err'; end $$",
        "do $$ begin execute 'selekt 2'; end $$", "set role nobody", "create table err (n int)", "drop table nowhere", "execute nothing", "fetch from nothing",
    ]:
        diagnosis(db, sql)
    ask(db, "do $$ begin raise notice 'one'; raise warning 'two' using hint = 'h'; end $$")
    ask(db, "drop table if exists nowhere")
    ask(db, "set client_min_messages = error")
    ask(db, "drop table if exists nowhere")
    show("notices", [n.strip() for n in db.notices])
    show("alive", ask(db, "select 1"))


def cursors():
    db = connect(autocommit=False)
    ask(db, "drop table if exists cur")
    ask(db, "create table cur as select n from generate_series(1, 1000) n")
    db.commit()
    with db.cursor("named") as cur:
        cur.itersize = 100
        cur.execute("select n from cur order by n")
        show("sum", sum(n for n, in cur))
    with db.cursor("scrolls", scrollable=True) as cur:
        cur.execute("select n from cur order by n")
        cur.scroll(500, mode="absolute")
        show("scrolled", cur.fetchmany(2))
        cur.scroll(-300)
        show("back", cur.fetchone())
    show("closed", ask(db, "fetch from named"))
    db.rollback()
    held = db.cursor("held", withhold=True)
    held.execute("select n from cur order by n")
    show("held", held.fetchmany(2))
    db.commit()
    ask(db, "select pg_sleep(0.05)")
    db.commit()
    show("after commit", held.fetchmany(2))
    show("listed", ask(db, "select name, is_holdable, is_scrollable from pg_cursors"))
    db.commit()
    held.close()
    db.commit()
    show("closed", ask(db, "fetch from held"))
    db.rollback()
    auto = connect()
    show("needs a transaction", ask(auto, "declare c cursor for select 1"))
    show("hold needs none", ask(auto, "declare c cursor with hold for select n from cur order by n"))
    show("fetch", [ask(auto, "fetch 2 from c") for _ in range(3)])
    show("move", ask(auto, "move forward 10 in c"))
    show("fetch", ask(auto, "fetch c"))
    show("close all", ask(auto, "close all"))
    show("gone", ask(auto, "fetch c"))


def settings():
    db, other = connect(), connect()
    get = "select current_setting('work_mem'), current_setting('timezone'), current_setting('search_path'), current_setting('datestyle')"
    show("first", ask(db, get))
    for sql in ["set work_mem = '7MB'", "set timezone to 'Europe/Paris'", "set search_path = clients, public", "set datestyle = 'SQL, DMY'"]:
        show(sql, ask(db, sql))
    show("set", ask(db, get))
    for _ in range(20):
        ask(db, "select pg_sleep(0.005)")
        if (now := ask(db, get)) != [("7MB", "Europe/Paris", "clients, public", "SQL, DMY")]:
            show("lost", now)
    show("other", ask(other, get))
    show("reported", [db.get_parameter_status(n) for n in ["TimeZone", "DateStyle"]])
    for s in ["begin", "set work_mem = '8MB'", "rollback", "begin", "set local work_mem = '9MB'", "show work_mem", "commit", "show work_mem"]:
        show(s, ask(db, s))
    for s in ["begin", "set work_mem = '8MB'", "savepoint s", "set timezone = 'Asia/Tokyo'", "rollback to s", "commit"]:
        ask(db, s)
    show("after savepoint", ask(db, get))
    for s in ["set work_mem = 'much'", "set timezone = 'Mars/Base'", "set nothing = 1", "set my.own = 'kept'", "show my.own", "set server_version = '1'", "set transaction_isolation = 'serializable'",
              "select set_config('work_mem', '6MB', false)", "show work_mem", "select set_config('work_mem', '5MB', true)", "show work_mem",
              "reset work_mem", "show work_mem", "set role clients_reader", "select current_user, session_user", "reset role", "select current_user",
              "set session authorization postgres", "set time zone -3", "show timezone", "set names 'latin1'", "select 'é'", "reset all", "show timezone", "discard all", "show my.own", "show client_encoding"]:
        show(s, ask(db, s))
    show("reported", [db.get_parameter_status(n) for n in ["TimeZone", "DateStyle", "client_encoding"]])
    show("at the end", ask(db, get))
    show("new session", ask(connect(), get))


def temporary():
    db, other = connect(), connect()
    show("create", ask(db, "create temp table t (n int)"))
    for n in range(10):
        ask(db, "insert into t values (%s)", (n,))
        ask(other, "select pg_sleep(0.01)")
    show("rows", ask(db, "select count(*) from t"))
    show("not other's", ask(other, "select count(*) from t"))
    show("other's own", ask(other, "create temp table t as select 'mine' as s"))
    show("both", [ask(db, "select sum(n) from t"), ask(other, "select * from t")])
    show("like", ask(db, "create temp table u (like t)"))
    show("drop", [ask(db, "drop table u"), ask(db, "drop table t"), ask(db, "select * from t")])
    for s in ["begin", "create temp table v (n int) on commit drop", "insert into v values (1)", "select * from v", "commit", "select * from v"]:
        show(s, ask(db, s))
    show("select into", ask(db, "select 1 as n into temp w"))
    show("hidden", ask(db, "do $$ begin create temp table x as select 5 as n; end $$"))
    show("seen", ask(db, "select w.n, x.n from w, x"))
    show("discard", [ask(db, "discard temp"), ask(db, "select * from w"), ask(db, "select * from x")])
    show("sequence", [ask(db, s) for s in ["create temp sequence s", "select nextval('s')", "select nextval('s')", "select currval('s')", "select lastval()"]])
    db.close()
    other.close()
    show("gone", ask(connect(), "select * from t"))


def locks():
    db, other = connect(), connect()
    show("lock", ask(db, "select pg_advisory_lock(77)"))
    ask(db, "select pg_sleep(0.05)")
    show("other", ask(other, "select pg_try_advisory_lock(77)"))
    show("again", ask(db, "select pg_try_advisory_lock(77)"))
    show("unlock", [ask(db, "select pg_advisory_unlock(77)") for _ in range(3)])
    show("other now", [ask(other, "select pg_try_advisory_lock(77)"), ask(other, "select pg_advisory_unlock_all()")])
    show("in transaction", [ask(db, "begin"), ask(db, "select pg_advisory_xact_lock(78)")])
    show("other", ask(other, "select pg_try_advisory_lock(78)"))
    ask(db, "commit")
    show("other now", ask(other, "select pg_try_advisory_lock(78)"))
    show("shared", [ask(d, "select pg_try_advisory_lock_shared(79)") for d in (db, other)])
    show("exclusive", ask(db, "select pg_try_advisory_lock(79)"))
    show("discard all", ask(other, "discard all"))
    show("exclusive now", ask(db, "select pg_try_advisory_lock(79)"))
    db.close()
    show("after close", ask(other, "select pg_advisory_lock(79)"))
    show("notices", [n.strip() for n in other.notices])


if __name__ == "__main__":
    run({
        "connect": connecting, "transactions": transactions, "prepared": prepared, "copy": copy, "notify": notify,
        "cancel": cancel, "large": large, "errors": errors, "cursors": cursors, "settings": settings,
        "temporary": temporary, "locks": locks,
    })
