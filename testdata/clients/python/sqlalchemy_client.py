"""SQLAlchemy over psycopg2: its connection pool, and the ORM's way of working."""

import logging
import threading

import sqlalchemy as sa
from sqlalchemy import exc, orm, text

from cases import digest, run, show
from scripts import scripts

Base = orm.declarative_base()


class Thing(Base):
    __tablename__ = "things"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String, unique=True)
    parts = orm.relationship("Part", cascade="all, delete-orphan", lazy="selectin")


class Part(Base):
    __tablename__ = "parts"
    id = sa.Column(sa.Integer, primary_key=True)
    thing_id = sa.Column(sa.ForeignKey("things.id"))
    data = sa.Column(sa.LargeBinary)


def engine(**more):
    return sa.create_engine("postgresql+psycopg2://", future=True, **more)


def connect():
    return engine(isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool).connect()


def ask(db, sql, **args):
    try:
        result = db.exec_driver_sql(sql) if not args else db.execute(text(sql), args)
        return [tuple(r) for r in result] if result.returns_rows else result.rowcount
    except exc.DBAPIError as e:
        return "%s %s" % (type(e).__name__, e.orig.pgcode)


def connecting():
    with engine().connect() as db:
        show("dialect", (db.dialect.server_version_info, db.dialect.default_schema_name, db.dialect.default_isolation_level))
        show("isolation", db.get_isolation_level())
        show("tables", sa.inspect(db).has_table("nowhere"))
    many = engine(pool_size=5, max_overflow=5)
    sums = []

    def work(n):
        for k in range(20):
            with many.begin() as db:
                sums.append(db.scalar(text("select cast(:n as int)"), {"n": n * k}))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    show("pool of ten", sum(sums))
    pinging = engine(pool_pre_ping=True, pool_recycle=0)
    for n in range(3):
        with pinging.connect() as db:
            show("ping", db.scalar(text("select 1")))


def fresh():
    e = engine()
    Base.metadata.drop_all(e)
    Base.metadata.create_all(e)
    return e


def orm_transactions():
    e = fresh()
    with orm.Session(e) as s:
        s.add_all(Thing(id=n, name="thing %d" % n, parts=[Part(data=b"x" * n)]) for n in range(100))
        s.commit()
        with s.begin_nested():
            s.add(Thing(id=200, name="kept"))
        try:
            with s.begin_nested():
                s.add(Thing(id=201, name="thing 1"))
        except exc.IntegrityError as error:
            show("unique", (error.orig.pgcode, error.orig.diag.constraint_name))
        s.commit()
        thing = s.get(Thing, 50)
        thing.name = "renamed"
        s.delete(s.get(Thing, 51))
        s.flush()
        s.rollback()
        show("rolled back", (s.get(Thing, 50).name, s.get(Thing, 51).name))
        show("count", s.query(Thing).count())
        show("parts", sum(len(p.data) for t in s.query(Thing) for p in t.parts))
    for level in ["SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"]:
        with e.connect().execution_options(isolation_level=level) as db:
            show(level, db.scalar(text("show transaction_isolation")))
    with e.connect().execution_options(postgresql_readonly=True) as db:
        show("read only", ask(db, "insert into things values (300, 'x')"))
    with e.connect() as db:
        tx = db.begin_twophase()
        db.execute(text("insert into things values (400, 'in two phases')"))
        tx.prepare()
        tx.commit()
        show("two phases", db.scalar(text("select name from things where id = 400")))
    with e.connect() as db:
        show("next borrower", ask(db, "select 1"))


def batches():
    e = fresh()
    with orm.Session(e) as s:
        s.bulk_save_objects([Thing(id=n, name=str(n)) for n in range(5000)])
        s.commit()
        s.bulk_update_mappings(Thing, [{"id": n, "name": "n%d" % n} for n in range(5000)])
        s.commit()
        show("bulk", (s.query(Thing).count(), s.get(Thing, 77).name))
    with e.connect() as db:
        for rows in [[{"id": 9000 + n, "name": "b%d" % n} for n in range(100)], [{"id": 9200, "name": "x"}, {"id": 9201, "name": "x"}]]:
            try:
                db.execute(sa.insert(Thing), rows)
                db.commit()
            except exc.IntegrityError as error:
                db.rollback()
                show("error inside", error.orig.pgcode)
        show("returning", db.execute(sa.insert(Thing).values(id=9999, name="r").returning(Thing.id)).all())
        db.rollback()
        show("count", db.scalar(text("select count(*) from things")))


def large():
    e = fresh()
    data = bytes(range(256)) * (10 << 12)
    with orm.Session(e) as s:
        s.add(Thing(id=1, name="x" * (1 << 11), parts=[Part(id=1, data=data)]))
        s.commit()
        s.expire_all()
        show("bytea", digest(bytes(s.get(Part, 1).data)))
    with e.connect() as db:
        show("text", digest(db.scalar(text("select :v"), {"v": "x" * (10 << 20)})))


def streams():
    with engine().connect() as db:
        rows = db.execution_options(stream_results=True, max_row_buffer=50).execute(text("select n from generate_series(1, 10000) n"))
        show("sum", sum(r.n for r in rows))
        rows = db.execution_options(stream_results=True).execute(text("select n from generate_series(1, 10000) n"))
        show("some", [tuple(r) for r in rows.fetchmany(3)])
        rows.close()
        show("after it", ask(db, "select 1"))
        for part in db.execution_options(yield_per=100).execute(text("select n from generate_series(1, 300) n")).partitions():
            show("part", len(part))


if __name__ == "__main__":
    logging.disable()
    common = scripts(connect, ask, lambda db: db.close())
    run({
        **common,
        "connect": connecting, "pipeline": batches, "large": large,
        "transactions": lambda: (orm_transactions(), common["transactions"]()),
        "cursors": lambda: (streams(), common["cursors"]()),
    })
