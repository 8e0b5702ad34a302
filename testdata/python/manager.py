"""What Odoo's database manager does, in its order, by psycopg2, pg_dump, psql and pg_restore.

usage: manager.py DSN FOLDER

DSN is a login of a role that may create databases, to its database postgres. FOLDER
takes a dump. It ends with "ok", or with a traceback and exit code 1.
"""

import subprocess
import sys

import psycopg2
import psycopg2.errors

LIST = """select datname from pg_database where datdba = (select usesysid from pg_user where usename = current_user)
    and not datistemplate and datallowconn and datname not in ('postgres') order by datname"""


def connect(dsn, name):
    return psycopg2.connect(dsn, dbname=name)


def on_postgres(dsn, *statements):
    db = connect(dsn, "postgres")
    db.autocommit = True
    try:
        with db.cursor() as cur:
            for sql in statements:
                cur.execute(sql)
            return cur.fetchall() if cur.description else None
    finally:
        db.close()


def cut(name):
    return ("select pg_terminate_backend(pid) from pg_stat_activity"
            f" where datname = '{name}' and pid <> pg_backend_pid()")


def databases(dsn):
    return [row[0] for row in on_postgres(dsn, LIST)]


def ask(dsn, name, sql):
    db = connect(dsn, name)
    with db, db.cursor() as cur:
        cur.execute(sql)
        value = cur.fetchone()
    db.close()
    return value and value[0]


def must_not_exist(dsn, name):
    try:
        connect(dsn, name).close()
    except psycopg2.OperationalError as error:
        assert "does not exist" in str(error), error
    else:
        raise AssertionError(f"there is a database {name}")


def create(dsn, name):
    must_not_exist(dsn, name)
    on_postgres(dsn, f"""create database "{name}" encoding 'unicode' lc_collate 'C' template "template0" """)
    ask(dsn, name, "create table kept (n int); insert into kept values (1), (2); select count(*) from kept")


def program(dsn, *words):
    out = subprocess.run([words[0], f"--dbname={dsn}", *words[1:]], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return out.stdout


def manage(dsn, folder):
    before = databases(dsn)
    create(dsn, "manager")
    stays = connect(dsn, "manager")  # a worker's connection, of Odoo's own pool
    stays.autocommit = True
    stays.cursor().execute("select 1")
    try:
        on_postgres(dsn, """create database "manager" encoding 'unicode' template "template0" """)
    except psycopg2.errors.DuplicateDatabase:
        pass
    else:
        raise AssertionError("made twice")

    on_postgres(dsn, cut("manager"), 'create database "twin" encoding \'unicode\' template "manager"')
    assert ask(dsn, "twin", "select count(*) from kept") == 2
    stays.cursor().execute("select count(*) from kept")

    name = psycopg2.extensions.make_dsn(dsn, dbname="twin")
    with open(f"{folder}/dump.sql", "w") as dump:
        dump.write(program(name, "pg_dump", "--no-owner"))
    create(dsn, "restored")
    ask(dsn, "restored", "drop table kept; select 1")
    name = psycopg2.extensions.make_dsn(dsn, dbname="restored")
    program(name, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", f"{folder}/dump.sql")
    assert ask(dsn, "restored", "select count(*) from kept") == 2
    program(psycopg2.extensions.make_dsn(dsn, dbname="twin"), "pg_dump", "--no-owner", "--format=c", "--file", f"{folder}/dump")
    create(dsn, "raw")
    ask(dsn, "raw", "drop table kept; select 1")
    program(psycopg2.extensions.make_dsn(dsn, dbname="raw"), "pg_restore", "--no-owner", f"{folder}/dump")
    assert ask(dsn, "raw", "select count(*) from kept") == 2
    assert databases(dsn) == sorted(before + ["manager", "twin", "restored", "raw"]), databases(dsn)

    ask(dsn, "restored", "select 1")
    on_postgres(dsn, cut("restored"), 'alter database "restored" rename to "renamed"')
    assert ask(dsn, "renamed", "select count(*) from kept") == 2
    must_not_exist(dsn, "restored")

    try:
        on_postgres(dsn, 'create database "Howdah_x"')
    except psycopg2.Error as error:
        assert "could not follow" in str(error), error
    else:
        raise AssertionError("made with a name that is no tenant's")

    print(" ".join(databases(dsn)), flush=True)
    sys.stdin.readline()
    for name in ("twin", "renamed", "raw", "manager"):
        ask(dsn, name, "select 1")
        on_postgres(dsn, cut(name), f'drop database "{name}"')
        must_not_exist(dsn, name)
    assert databases(dsn) == before, databases(dsn)


if __name__ == "__main__":
    manage(sys.argv[1], sys.argv[2])
    print("ok")
