"""asyncpg: its own protocol code, extended and binary, everything prepared."""

import asyncio
import io
import os
import ssl

import asyncpg

from cases import digest, run, show
from scripts import lines


async def connect(**more):
    db = await asyncpg.connect(**{"ssl": verified(), "password": os.environ["PGPASSWORD"], **more})
    await db.execute("set client_min_messages = warning")
    db.add_log_listener(lambda _, n: show("notice", (n.sqlstate, n.message)))
    return db


def verified():
    return ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])


def say(e):
    d = e.as_dict()
    return [d.get(f) for f in ["sqlstate", "message", "detail", "hint", "position", "context", "constraint_name", "table_name"]]


async def ask(db, query, *args):
    try:
        got = [tuple(r) for r in await db.fetch(query, *args)]
    except asyncpg.PostgresError as e:
        got = say(e)
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as e:
        got = str(e)
    return "%r %s" % (got, db.is_in_transaction())


async def script(case):
    """The statements that all clients have in common."""
    open_now = {}
    for letter, sql in lines(case):
        if sql == "closes":
            await open_now.pop(letter).close()
            continue
        if letter not in open_now:
            open_now[letter] = await connect()
        show(letter + " " + sql, await ask(open_now[letter], sql))


async def connecting():
    db = await connect()
    s = db.get_settings()
    show("settings", [getattr(s, n) for n in ["server_encoding", "client_encoding", "TimeZone", "DateStyle", "is_superuser", "session_authorization", "application_name"]])
    show("version", db.get_server_version())
    for more in [{"password": "wrong"}, {"database": "clients_nowhere"}, {"user": "nobody"}, {"ssl": False}, {"ssl": ssl.create_default_context()},
                 {"server_settings": {"application_name": "mine", "work_mem": "7MB", "search_path": "clients"}}, {"server_settings": {"work_mem": "much"}}]:
        try:
            db = await connect(**more)
            show(list(more), await ask(db, "select current_setting('application_name'), current_setting('work_mem'), current_setting('search_path')"))
        except asyncpg.PostgresError as e:
            show(list(more), e.sqlstate)
        except OSError as e:
            show(list(more), type(e).__name__)
    pool = await asyncpg.create_pool(min_size=2, max_size=4, ssl=verified())
    show("pool", sorted(await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in range(20)))))
    async with pool.acquire() as db:
        await db.execute("set work_mem = '7MB'")
    show("reset when returned", sorted({await pool.fetchval("show work_mem") for _ in range(20)}))
    await pool.close()


async def transactions():
    db = await connect()
    await db.execute("drop table if exists tx; create table tx (n int)")
    async with db.transaction():
        await db.execute("insert into tx values ($1)", 1)
        try:
            async with db.transaction():
                await db.execute("insert into tx values (2)")
                await db.execute("select 1/0")
        except asyncpg.PostgresError as e:
            show("inner", say(e)[:2])
    for isolation in ["serializable", "repeatable_read", "read_committed"]:
        tx = db.transaction(isolation=isolation, readonly=True, deferrable=isolation == "serializable")
        await tx.start()
        show(isolation, await ask(db, "show transaction_isolation"))
        show("read only", await ask(db, "insert into tx values (3)"))
        await tx.rollback()
    show("rows", await ask(db, "select n from tx"))
    await script("transactions")


async def prepared():
    db, other = await connect(), await connect()
    await db.execute("drop table if exists prep; create table prep (n int)")
    p = await db.prepare("select $1::int + 1 as m")
    show("described", ([t.name for t in p.get_parameters()], [(a.name, a.type.name) for a in p.get_attributes()]))
    show("execute", [await p.fetchval(n) for n in range(8)])
    show("other", await ask(other, "select $1::int + 1 as m", 3))
    show("300", sum([await db.fetchval("select $1::int + %d" % (n % 150), n) for n in range(300)]))
    show("select *", await ask(db, "select * from prep"))
    show("change", await ask(other, "alter table prep add column s text"))
    show("changed under it", [await ask(db, "select * from prep") for _ in range(2)])
    show("type", await ask(db, "create type color as enum ('red')"))
    show("its array", await ask(db, "select array['red']::color[]"))
    show("drop", await ask(db, "drop type color"))
    show("explain", (await p.explain(1))[0]["Plan"]["Node Type"])
    show("reset", await db.reset())
    show("after reset", await p.fetchval(41))
    await db.execute("deallocate all")
    show("deallocated", await ask(db, "select $1::int + 149", 1))
    await db.close()
    db = await connect()
    show("after reconnect", await ask(db, "select $1::int + 1 as m", 41))
    bare = await connect(statement_cache_size=0)
    show("without a cache", [await ask(bare, "select $1::int + 1 as m", n) for n in range(3)])


async def pipeline():
    """executemany is asyncpg's pipeline: one implicit transaction."""
    db = await connect()
    await db.execute("drop table if exists pipe; create table pipe (n int primary key)")
    for rows in [range(5000), [9000, 9001, 9000, 9002], range(10000, 15000)]:
        try:
            await db.executemany("insert into pipe values ($1)", [(n,) for n in rows])
            show("done", len(rows))
        except asyncpg.PostgresError as e:
            show("error", say(e)[:3])
        show("rows", await ask(db, "select count(*), sum(n) from pipe"))
    for query in ["select 1; select 2", "insert into pipe values (-1); select 1/0", "begin; select 1", "select 1/0; commit", "rollback", "begin; select 1; commit", "set work_mem = '9MB'; select 1/0", "show work_mem"]:
        try:
            show(query, await db.execute(query))
        except asyncpg.PostgresError as e:
            show(query, say(e)[:2])
        show("in transaction", db.is_in_transaction())
    show("rows", await ask(db, "select count(*) from pipe where n < 0"))


async def copy():
    db = await connect()
    await db.execute("drop table if exists copied; create table copied (n int primary key, s text)")

    async def copy_in(label, rows):
        try:
            show(label, await db.copy_records_to_table("copied", records=rows))
        except asyncpg.PostgresError as e:
            show(label, say(e)[:3])
        except Exception as e:
            show(label, type(e).__name__)

    await copy_in("in", [(n, "row\t%d" % n) for n in range(20000)])
    await copy_in("duplicate", [(1, "x")])
    await copy_in("given up", [(30000, "x"), ("nonsense", "x")])
    out = io.BytesIO()
    show("out", await db.copy_from_query("select * from copied where n < $1 order by n", 15000, output=out))
    show("digest", digest(out.getvalue()))
    out.seek(0)
    await db.execute("truncate copied")
    show("back in", await db.copy_to_table("copied", source=out))
    try:
        show("out fails", await db.copy_from_query("select 1/(500-n) from copied", output=io.BytesIO()))
    except asyncpg.PostgresError as e:
        show("out fails", say(e)[:2])

    async def slow(chunk):
        raise KeyError

    try:
        await db.copy_from_query("select repeat('x', 1000) from generate_series(1, 10000)", output=slow)
    except KeyError:
        show("left early", await ask(db, "select count(*) from copied"))


async def notify():
    db, other = await connect(), await connect()
    got, more = [], asyncio.Event()

    def hear(connection, pid, channel, payload):
        got.append((channel, payload, pid == connection.get_server_pid()))
        more.set()

    async def heard(label, count):
        while len(got) < count:
            more.clear()
            try:
                await asyncio.wait_for(more.wait(), 5)
            except asyncio.TimeoutError:
                break
        show(label, got)
        got.clear()

    await db.add_listener("one", hear)
    await db.add_listener("two", hear)
    await other.execute("notify one, 'hello'")
    await heard("from other", 1)
    await db.execute("select pg_notify('two', 'own')")
    await heard("own", 1)
    async with other.transaction():
        await other.execute("notify one, 'a'")
        await other.execute("notify two, 'b'")
        await asyncio.sleep(0.2)
        show("not yet", got)
    await heard("committed", 2)
    async with db.transaction():
        await db.execute("notify two, 'own in a transaction'")
        await other.execute("notify one, 'meanwhile'")
        show("not yet", await ask(db, "select 1"))
        show("not yet", got)
    await heard("after it", 2)
    for n in range(300):
        await other.execute("select pg_notify('one', $1)", str(n))
    await heard("300", 300)
    await db.remove_listener("one", hear)
    await other.execute("notify one, 'not heard'")
    await other.execute("notify two, 'heard'")
    await heard("one left", 1)


async def cancel():
    db = await connect()
    for n in range(5):
        try:
            await db.execute("select pg_sleep(30)", timeout=0.1)
        except asyncio.TimeoutError:
            show("timed out", await ask(db, "select $1::int", n))
    task = asyncio.ensure_future(db.execute("select pg_sleep(30)"))
    await asyncio.sleep(0.1)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        show("task cancelled", await ask(db, "select 1"))
    tx = db.transaction()
    await tx.start()
    try:
        await db.fetch("select pg_sleep(30)", timeout=0.1)
    except asyncio.TimeoutError:
        show("in a transaction", await ask(db, "select 1"))
    await tx.rollback()
    show("in the end", await ask(db, "select 1"))


async def large():
    db = await connect()
    text, data = "x" * (10 << 20), bytes(range(256)) * (10 << 12)
    show("text", digest(await db.fetchval("select $1::text", text)))
    show("bytea", digest(await db.fetchval("select $1::bytea", data)))
    show("simple", await db.execute("select '%s'" % text))
    show("rows", digest(repr([tuple(r) for r in await db.fetch("select n, repeat('y', 1000) from generate_series(1, 20000) n")])))
    show("10000 numbers", len(await db.fetchval("select $1::int[]", list(range(10000)))))


async def cursors():
    db = await connect()
    async with db.transaction():
        show("sum", sum([r[0] async for r in db.cursor("select n from generate_series(1, $1) n", 1000, prefetch=7)]))
        cur = await db.cursor("select n from generate_series(1, 1000) n")
        show("portal", (await cur.fetch(3), await cur.forward(10), await cur.fetchrow()))
        other = await db.cursor("select -n from generate_series(1, 1000) n")
        show("two portals", (await other.fetch(2), await cur.fetch(2)))
    try:
        await db.cursor("select 1")
    except asyncpg.PostgresError as e:
        show("outside", type(e).__name__)
    await script("cursors")


if __name__ == "__main__":
    cases = {
        "connect": connecting, "transactions": transactions, "prepared": prepared, "pipeline": pipeline, "copy": copy, "notify": notify,
        "cancel": cancel, "large": large, "cursors": cursors,
    }
    for name in ["errors", "settings", "temporary", "locks"]:
        cases[name] = lambda name=name: script(name)
    run({name: lambda case=case: asyncio.run(case()) for name, case in cases.items()})
