"""What a Python application does through Howdah, by psycopg2.

usage: clients.py DSN SCENARIO

Each scenario ends with "ok", or with a traceback and exit code 1.
"""

import io
import os
import signal
import subprocess
import sys
import threading
import time

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.pool


def transactions(dsn):
    db = psycopg2.connect(dsn)
    with db, db.cursor() as cur:
        cur.execute("create table if not exists py_tx (n int)")
        cur.execute("truncate py_tx")
    with db, db.cursor() as cur:
        cur.execute("insert into py_tx values (%s)", (1,))
    try:
        with db, db.cursor() as cur:
            cur.execute("insert into py_tx values (2)")
            raise KeyError("changed my mind")
    except KeyError:
        pass
    with db.cursor() as cur:
        cur.execute("insert into py_tx values (3)")
        cur.execute("savepoint s")
        cur.execute("insert into py_tx values (4)")
        cur.execute("rollback to savepoint s")
    db.commit()
    with db, db.cursor() as cur:
        cur.execute("select array_agg(n order by n) from py_tx")
        assert cur.fetchone() == ([1, 3],)
    db.set_session(isolation_level="REPEATABLE READ", readonly=True)
    with db, db.cursor() as cur:
        cur.execute("show transaction_isolation")
        assert cur.fetchone() == ("repeatable read",)
    try:
        with db, db.cursor() as cur:
            cur.execute("insert into py_tx values (5)")
        raise AssertionError("wrote in a READ ONLY transaction")
    except psycopg2.errors.ReadOnlySqlTransaction:
        pass
    db.close()


def autocommit(dsn):
    db = psycopg2.connect(dsn)
    db.autocommit = True
    cur = db.cursor()
    cur.execute("create table if not exists py_auto (n int)")
    cur.execute("truncate py_auto")
    for n in range(100):
        cur.execute("insert into py_auto values (%s)", (n,))
        assert db.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE
    cur.execute("vacuum py_auto")
    cur.execute("select count(*) from py_auto; select 'second'")
    assert cur.fetchone() == ("second",)
    db.close()


def errors(dsn):
    db = psycopg2.connect(dsn)
    cur = db.cursor()
    for sql, kind in [
        ("selekt", psycopg2.errors.SyntaxError),
        ("select 1/0", psycopg2.errors.DivisionByZero),
        ("select * from nowhere", psycopg2.errors.UndefinedTable),
        ("select pg_sleep(5)", psycopg2.errors.QueryCanceled),
    ]:
        try:
            cur.execute("set local statement_timeout = 50")
            cur.execute(sql)
            raise AssertionError(sql)
        except kind as e:
            assert e.diag.severity == "ERROR", e
        try:
            cur.execute("select 1")
            raise AssertionError("went on in a failed transaction")
        except psycopg2.errors.InFailedSqlTransaction:
            db.rollback()
    cur.execute("do $$ begin raise notice 'look'; end $$")
    assert db.notices == ["NOTICE:  look\n"], db.notices
    db.close()
    for change, code in [({"password": "wrong"}, "authentication failed"), ({"dbname": "nowhere"}, "does not exist")]:
        try:
            psycopg2.connect(dsn, **change)
            raise AssertionError(change)
        except psycopg2.OperationalError as e:
            assert code in str(e), e


def copy(dsn):
    db = psycopg2.connect(dsn)
    with db, db.cursor() as cur:
        cur.execute("create table if not exists py_copy (n int, s text)")
        cur.execute("truncate py_copy")
        text = "".join("%d\t%s\n" % (n, "x" * 100) for n in range(100_000))
        cur.copy_expert("copy py_copy from stdin", io.StringIO(text))
        out = io.StringIO()
        cur.copy_expert("copy (select * from py_copy order by n) to stdout with (format csv)", out)
        assert out.getvalue() == text.replace("\t", ",")
    try:
        with db, db.cursor() as cur:
            cur.copy_expert("copy py_copy from stdin", io.StringIO("1\tgood\nbad\tbad\n3\tgood\n"))
        raise AssertionError("copied nonsense")
    except psycopg2.errors.InvalidTextRepresentation:
        pass
    with db, db.cursor() as cur:
        cur.execute("select count(*) from py_copy")
        assert cur.fetchone() == (100_000,)
    db.close()


ROWS, WIDTH = 100_000, 1000  # 100 MB


def named_cursor(dsn):
    db = psycopg2.connect(dsn)
    with db, db.cursor("rows") as cur:
        cur.itersize = 1000
        cur.execute("select n, repeat('x', %s) from generate_series(1, %s) n", (WIDTH, ROWS))
        expected = 1
        for n, text in cur:
            assert n == expected and len(text) == WIDTH
            expected += 1
        assert expected == ROWS + 1
    with open("/proc/self/status") as status:
        peak = int(status.read().split("VmHWM:")[1].split()[0]) >> 10
    assert peak < 60, "%d MB" % peak
    db.close()


def big_result(dsn):
    db = psycopg2.connect(dsn)
    with db, db.cursor() as cur:
        cur.execute("select n, repeat('x', %s) from generate_series(1, %s) n", (WIDTH, ROWS))
        assert cur.rowcount == ROWS
        for expected, (n, text) in enumerate(cur, 1):
            assert n == expected and len(text) == WIDTH
    db.close()


def cancel(dsn):
    db = psycopg2.connect(dsn)
    for _ in range(5):
        timer = threading.Timer(0.2, db.cancel)
        timer.start()
        began = time.monotonic()
        try:
            with db, db.cursor() as cur:
                cur.execute("select pg_sleep(30)")
            raise AssertionError("not cancelled")
        except psycopg2.errors.QueryCanceled as e:
            assert "due to user request" in str(e), e
        timer.join()
        assert time.monotonic() - began < 20
        with db, db.cursor() as cur:
            cur.execute("select 'alive'")
            assert cur.fetchone() == ("alive",)
    db.close()


def ctrl_c(dsn):
    """Ctrl-C in psql."""
    watch = psycopg2.connect(dsn)
    watch.autocommit = True
    cur = watch.cursor()
    psql = subprocess.Popen(
        ["psql", "-X", "-c", "select pg_sleep(60)", "-c", "select 'went on'", dsn],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    running = "select count(*) from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60)'"
    deadline = time.monotonic() + 20
    while True:
        cur.execute(running)
        if cur.fetchone()[0] == 1:
            break
        assert time.monotonic() < deadline and psql.poll() is None, psql.communicate()
        time.sleep(0.02)
    psql.send_signal(signal.SIGINT)
    out, err = psql.communicate(timeout=20)
    assert "canceling statement due to user request" in err, (out, err)
    cur.execute(running)
    assert cur.fetchone() == (0,)
    watch.close()


def borrowed(dsn):
    """Odoo's way with its pool: DISCARD ALL with each connection lent."""
    pool = psycopg2.pool.ThreadedConnectionPool(1, 8, dsn + " application_name=odoo-%d" % os.getpid())
    failed = []

    def work(i):
        try:
            for k in range(30):
                db = pool.getconn()
                db.autocommit = True
                db.cursor().execute("discard all")
                db.autocommit = False
                db.set_session(isolation_level="REPEATABLE READ")
                cur = db.cursor()
                cur.execute("select current_setting('lock_timeout'), current_setting('application_name'), %s", ("%d-%d" % (i, k),))
                assert cur.fetchone() == ("0", "odoo-%d" % os.getpid(), "%d-%d" % (i, k))
                cur.execute("set local lock_timeout = '15s'")
                db.commit()
                pool.putconn(db)
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    pool.closeall()
    if failed:
        raise failed[0]


def vanish(dsn):
    """A killed worker drops its socket without Terminate, inside a transaction."""
    db = psycopg2.connect(dsn)
    with db, db.cursor() as cur:
        cur.execute("create table if not exists py_lock (n int)")
        cur.execute("truncate py_lock")
        cur.execute("insert into py_lock values (1)")
    worker = os.fork()
    if worker == 0:
        try:
            mine = psycopg2.connect(dsn)
            mine.cursor().execute("update py_lock set n = 2")
            mine.cursor().execute("select pg_sleep(60)")
        finally:
            os._exit(1)
    watch = psycopg2.connect(dsn)
    watch.autocommit = True
    deadline = time.monotonic() + 20
    while True:
        cur = watch.cursor()
        cur.execute("select count(*) from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60)'")
        if cur.fetchone()[0] == 1:
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    with db, db.cursor() as cur:
        cur.execute("set local lock_timeout = '15s'")
        cur.execute("update py_lock set n = n + 10 returning n")
        assert cur.fetchone() == (11,)
    db.close()
    watch.close()


SCENARIOS = [transactions, autocommit, errors, copy, named_cursor, big_result, cancel, ctrl_c, borrowed, vanish]

if __name__ == "__main__":
    {f.__name__: f for f in SCENARIOS}[sys.argv[2]](sys.argv[1])
    print("ok")
