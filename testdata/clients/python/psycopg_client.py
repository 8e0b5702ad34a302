"""psycopg 3: extended protocol, statements prepared at their fifth use, pipelines."""

import threading
import time

import psycopg
from psycopg import sql

from cases import digest, run, show
from scripts import scripts


def connect(**more):
    db = psycopg.connect("", autocommit=True, **more)
    db.execute("set client_min_messages = warning")
    db.add_notice_handler(lambda n: show("notice", (n.sqlstate, n.message_primary)))
    return db


def ask(db, query, args=None, **more):
    """Rows, or the command tag, or the error's fields; and the status after it."""
    try:
        cur = db.execute(query, args, **more)
        got = cur.fetchall() if cur.description else cur.statusmessage
    except psycopg.Error as e:
        d = e.diag
        got = [e.sqlstate, d.message_primary, d.message_detail, d.message_hint, d.statement_position, d.context, d.constraint_name, d.table_name]
    return "%r %s" % (got, db.info.transaction_status.name)


def connecting():
    db = connect()
    for name in ["server_version", "client_encoding", "TimeZone", "DateStyle", "is_superuser", "session_authorization", "application_name"]:
        show(name, db.info.parameter_status(name))
    show("encoding", db.info.encoding)
    for more in [{"channel_binding": "require"}, {"password": "wrong"}, {"dbname": "clients_nowhere"}, {"user": "nobody"}, {"sslmode": "disable"},
                 {"sslrootcert": "/etc/ssl/certs/ca-certificates.crt"}, {"application_name": "mine", "options": "-c work_mem=7MB"}, {"options": "-c work_mem=much"},
                 {"client_encoding": "latin1"}, {"target_session_attrs": "read-write"}, {"target_session_attrs": "read-only"}]:
        try:
            db = connect(**more)
            show(more, ask(db, "select current_setting('application_name'), current_setting('work_mem'), current_setting('client_encoding')"))
        except psycopg.OperationalError as e:
            words = ["password authentication failed", "does not exist", "certificate verify failed", "invalid value for parameter"]
            show(more, [w for w in words if w in str(e)] or "refused")


def api_transactions():
    db = connect()
    ask(db, "drop table if exists tx")
    ask(db, "create table tx (n int)")
    with db.transaction():
        show("insert", ask(db, "insert into tx values (%s)", (1,)))
        try:
            with db.transaction():
                ask(db, "insert into tx values (%s)", (2,))
                db.execute("select 1/0")
        except psycopg.errors.DivisionByZero:
            show("inner", db.info.transaction_status.name)
    with db.transaction(force_rollback=True):
        ask(db, "insert into tx values (3)")
    db.autocommit = False
    db.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    db.read_only = True
    show("isolation", ask(db, "show transaction_isolation"))
    show("read only", ask(db, "insert into tx values (4)"))
    db.rollback()
    show("rows", ask(db, "select n from tx"))
    db.commit()
    show("nothing to end", (db.commit(), db.rollback()))
    other = connect()
    other.autocommit = False
    other.tpc_begin(other.xid(1, "gtrid", "bqual"))
    show("in two phases", ask(other, "select 1"))
    other.tpc_prepare()
    show("prepared", ask(db, "select gid from pg_prepared_xacts"))
    other.tpc_rollback()
    show("after it", ask(other, "select 2"))


def prepared():
    db, other = connect(), connect()
    ask(db, "drop table if exists prep")
    ask(db, "create table prep (n int)")
    for n in range(12):
        show("by use", ask(db, "select %s::int + 1", (n,)))
        show("at once", ask(other, "select %s::int + 2", (n,), prepare=True))
    show("listed", ask(db, "select statement, from_sql from pg_prepared_statements"))
    for n in range(300):
        ask(db, "select %%s::int + %d" % n, (n,), prepare=True)
    show("300 through a cache of 100", ask(db, "select %s::int + 7", (1,), prepare=True))
    show("select *", [ask(db, "select * from prep", prepare=True) for _ in range(3)])
    show("change", ask(other, "alter table prep add column s text"))
    show("changed under it", [ask(db, "select * from prep", prepare=True) for _ in range(2)])
    show("deallocate all", ask(db, "deallocate all"))
    show("after it", [ask(db, "select %s::int + 8", (n,), prepare=True) for n in range(3)])
    show("discard all", ask(db, "discard all"))
    show("after it", [ask(db, "select %s::int + 8", (n,), prepare=True) for n in range(3)])
    db.close()
    db = connect()
    show("after reconnect", [ask(db, "select %s::int + 8", (n,), prepare=True) for n in range(3)])


def pipeline():
    db = connect()
    ask(db, "drop table if exists pipe")
    ask(db, "create table pipe (n int primary key)")
    for statements in [
        ["insert into pipe values (1)", "insert into pipe values (1)", "insert into pipe values (2)"],
        ["begin", "insert into pipe values (3)", "commit", "insert into pipe values (3)", "select 1"],
        ["set work_mem = '9MB'", "select 1/0"], ["begin", "commit", "select 1"], ["begin", "rollback", "select 1/0"],
    ]:
        try:
            with db.pipeline() as p:
                cursors = [db.execute(s) for s in statements]
                p.sync()
            show(statements, [c.statusmessage for c in cursors])
        except psycopg.Error as e:
            show(statements, (e.sqlstate, db.info.transaction_status.name))
        db.rollback()
    show("rows", ask(db, "select n from pipe order by n"))
    with db.pipeline(), db.transaction():
        cur = db.cursor()
        cur.executemany("insert into pipe values (%s)", [(n,) for n in range(10, 3000)])
    show("rows", ask(db, "select count(*), sum(n) from pipe"))
    cur = db.cursor()
    cur.executemany("insert into pipe values (%s) returning n", [(n,) for n in range(3000, 3100)], returning=True)
    total = cur.fetchone()[0]
    while cur.nextset():
        total += cur.fetchone()[0]
    show("returning", total)


def copy():
    db = connect()
    ask(db, "drop table if exists copied")
    ask(db, "create table copied (n int primary key, s text)")

    def copy_in(label, rows, form=""):
        try:
            with db.cursor() as cur:
                with cur.copy("copy copied from stdin" + form) as c:
                    for row in rows:
                        if row is None:
                            raise KeyError("no more")
                        c.write_row(row)
                show(label, cur.statusmessage)
        except (psycopg.Error, KeyError) as e:
            show(label, (getattr(e, "sqlstate", "client"), db.info.transaction_status.name))

    copy_in("in", ((n, "row\t%d" % n) for n in range(20000)))
    copy_in("duplicate", [(1, "x")])
    copy_in("bad", [(30000, "x"), ("nonsense", "x")])
    copy_in("given up", [(30000, "x"), None])
    with db.cursor().copy("copy (select * from copied order by n) to stdout") as c:
        show("out", digest(b"".join(bytes(b) for b in c)))
    with db.cursor().copy("copy (select * from copied order by n) to stdout (format binary)") as c:
        c.set_types(["int4", "text"])
        show("binary", digest(repr(list(c.rows()))))
    try:
        with db.cursor().copy("copy (select 1/(500-n) from copied) to stdout") as c:
            for _ in c:
                pass
    except psycopg.Error as e:
        show("out fails", e.sqlstate)
    with db.cursor().copy("copy (select * from copied) to stdout") as c:
        c.read()
    show("left early", ask(db, "select count(*) from copied"))


def heard(db):
    """Listen in a thread until "stop": notifies() of old versions has no end."""
    got = []

    def listen():
        for n in db.notifies():
            got.append((n.channel, n.payload, n.pid == db.info.backend_pid))
            if n.payload == "stop":
                break

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    return thread, got


def notify():
    db, other = connect(), connect()
    show("listen", ask(db, "listen ch"))
    thread, got = heard(db)
    for s in ["notify ch, 'one'", "begin", "notify ch, 'two'", "notify ch, 'three'", "commit", "begin", "notify ch, 'never'", "rollback"]:
        ask(other, s)
    for n in range(200):
        ask(other, "select pg_notify('ch', %s)", (str(n),))
    ask(other, "notify ch, 'stop'")
    thread.join(10)
    show("got", got)
    own = []
    db.add_notify_handler(lambda n: own.append((n.payload, n.pid == db.info.backend_pid)))
    show("own", (ask(db, "notify ch, 'own'"), own))
    for s in ["begin", "notify ch, 'own in a transaction'", "select 1", "commit"]:
        show(s, (ask(db, s), own))
    show("unlisten", ask(db, "unlisten *"))
    ask(db, "notify ch, 'not heard'")
    show("in the end", own)


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
    show("in a transaction", ask(db, "select pg_sleep(30)"))
    timer.join()
    show("rollback", ask(db, "rollback"))
    db.cancel()
    show("idle", ask(db, "select 1"))
    ask(db, "set statement_timeout = 50")
    began = time.monotonic()
    show("timeout", ask(db, "select pg_sleep(30)"))
    show("soon", time.monotonic() - began < 10)


def large():
    db = connect()
    text, data = "x" * (10 << 20), bytes(range(256)) * (10 << 12)
    for binary in [False, True]:
        cur = db.cursor(binary=binary)
        show("text", digest(cur.execute("select %s::text", (text,)).fetchone()[0]))
        show("bytea", digest(cur.execute("select %s::bytea", (data,)).fetchone()[0]))
    show("literal", len(db.execute(sql.SQL("select {}").format(text)).fetchone()[0]))
    show("rows", digest(repr(db.execute("select n, repeat('y', 1000) from generate_series(1, 20000) n").fetchall())))
    streamed = db.cursor().stream("select n from generate_series(1, 20000) n")
    show("row by row", sum(n for n, in streamed))
    try:
        for _ in db.cursor().stream("select 1/(500-n) from generate_series(1, 1000) n"):
            pass
    except psycopg.Error as e:
        show("row by row, error", e.sqlstate)


def api_cursors():
    db = connect()
    with db.transaction():
        with db.cursor("named", scrollable=True) as cur:
            cur.execute("select n from generate_series(1, 1000) n")
            show("fetch", (cur.fetchmany(3), cur.scroll(100), cur.fetchone(), cur.scroll(1, mode="absolute"), cur.fetchone()))
            cur.itersize = 7
            show("sum", sum(n for n, in cur))
    cur = db.cursor("held", withhold=True)
    cur.execute("select n from generate_series(1, 1000) n")
    show("held", cur.fetchmany(2))
    ask(db, "select pg_sleep(0.02)")
    show("held", cur.fetchmany(2))
    cur.close()
    show("closed", ask(db, "fetch held"))


if __name__ == "__main__":
    common = scripts(connect, ask, lambda db: db.close())
    run({
        **common,
        "connect": connecting, "prepared": prepared, "pipeline": pipeline, "copy": copy, "notify": notify, "cancel": cancel, "large": large,
        "transactions": lambda: (api_transactions(), common["transactions"]()),
        "cursors": lambda: (api_cursors(), common["cursors"]()),
    })
