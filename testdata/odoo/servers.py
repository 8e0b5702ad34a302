"""PostgreSQL and what stands in front of it: Howdah, PgBouncer or nothing.

Everything lives in one folder that check.py makes and removes, on ports of
127.0.0.1 that were free. Each class starts its server when made and stops it in
stop(). PostgreSQL and PgBouncer refuse to run as root; then they run as the OS
user postgres.
"""

import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time

import psycopg2

ROLE = "odoo"
TIER = "gold"  # of tenants in a catalog
UNPRIVILEGED = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def free_port():
    """A TCP port nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, seconds, ready):
    """Calls ready until it says something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ready()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def listening(port):
    """Whether somebody listens on the port."""
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def stop(process, signum=signal.SIGTERM, seconds=30):
    """Ends a process that one of these classes started, and returns its exit code."""
    if process.poll() is None:
        process.send_signal(signum)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def private_folder(path):
    """Makes a folder that belongs to whoever runs PostgreSQL and PgBouncer."""
    os.mkdir(path, 0o700)
    if UNPRIVILEGED:
        shutil.chown(path, "postgres", "postgres")
    return path


class Postgres:
    """A PostgreSQL whose role odoo may create databases, as Odoo wants it."""

    name = "direct"

    def __init__(self, folder):
        self.bin = postgres_programs()
        self.port = free_port()
        self.password = secrets.token_urlsafe(18)
        self.sockets = private_folder(f"{folder}/postgres")
        data = f"{self.sockets}/data"
        subprocess.run(
            [f"{self.bin}/initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
             "--auth-local=trust", "--auth-host=scram-sha-256"],
            check=True, stdout=subprocess.DEVNULL, cwd="/", **UNPRIVILEGED)
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.sockets,
                    "fsync": "off", "max_connections": 100, "log_line_prefix": "%m [%p] %q%a %d "}
        self.log = f"{folder}/postgresql.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [f"{self.bin}/postgres", "-D", data] + [f"-c{key}={value}" for key, value in settings.items()],
                stdout=log, stderr=log, cwd="/", **UNPRIVILEGED)
        wait_for("PostgreSQL to start", 30, self.accepts)
        self.ask(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{self.password}'")
        self.verifier = self.ask(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{ROLE}'")[0][0]
        self.version = self.ask("SHOW server_version")[0][0].split()[0]

    def accepts(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended at once, see {self.log}")
        return os.path.exists(f"{self.sockets}/.s.PGSQL.{self.port}") and self.ask("SELECT 1")

    def ask(self, query, database="postgres"):
        """Rows of a query by the superuser, past whatever is in front."""
        try:
            connection = psycopg2.connect(host=self.sockets, port=self.port, user="postgres", dbname=database)
        except psycopg2.OperationalError as error:
            # Its socket is there a moment before anybody listens on it.
            if any(text in str(error) for text in ("starting up", "not yet accepting connections", "Connection refused")):
                return []
            raise
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def figures(self):
        """What it says of itself at the end: nothing, others do."""
        return []

    def stop(self):
        return stop(self.process, signal.SIGINT)


class Howdah:
    """Howdah in transaction mode; databases made at run time go to the tenant *."""

    name = "howdah"

    def __init__(self, folder, postgres, binary, pool_size, standby=None, catalog=False):
        self.port, self.postgres = free_port(), postgres
        members = standby.members() if standby else f'members = ["127.0.0.1:{postgres.port}"]'
        config, self.log = f"{folder}/howdah.toml", f"{folder}/howdah.log"
        with open(config, "w", opener=private, encoding="utf-8") as file:
            file.write(f"""\
[listen]
addresses = ["127.0.0.1:{self.port}"]
unix_socket_dir = ""
[admin]
http = ""
users = ["{ROLE}"]
[defaults]
pool_mode = "transaction"
pool_size = {pool_size}
[[cluster]]
name = "main"
{members}
tls_mode = "disable"
{keep_catalog(postgres, folder) if catalog else EVERY_DATABASE}
[[user]]
name = "{ROLE}"
verifier = "{postgres.verifier}"
{f'cluster = "main"{chr(10)}tier = "{TIER}"' if catalog else ""}
""")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([binary, "serve", "-c", config], stdout=log, stderr=log)
        self.version = first_line([binary, "version"])
        wait_for("Howdah to listen", 15, lambda: alive(self) and listening(self.port))

    def figures(self):
        """Lines of the console's SHOW STATS, SHOW PINS and SHOW STANDBYS."""
        return [line for command in ("STATS", "PINS", "STANDBYS") for line in console(self, "howdah", f"SHOW {command}")]

    def stop(self):
        return stop(self.process)


# The tenant of databases that are in no list.
EVERY_DATABASE = """
[[tenant]]
name = "*"
"""


def keep_catalog(postgres, folder):
    """Makes a database for the catalog, and returns the settings of a Howdah that keeps
    one there. They stand behind those of the cluster."""
    postgres.ask("CREATE DATABASE howdah_catalog")
    url = f"postgres://postgres@/%s?host={postgres.sockets}&port={postgres.port}"
    return f"""
admin_url = "{url % "postgres"}"
[catalog]
url = "{url % "howdah_catalog"}"
cache = "{folder}/catalog.json"
[[tier]]
name = "{TIER}"
"""


class PgBouncer:
    """PgBouncer in transaction mode with as many servers, for the comparison."""

    name = "pgbouncer"

    def __init__(self, folder, postgres, binary, pool_size):
        self.port, self.postgres = free_port(), postgres
        home = private_folder(f"{folder}/pgbouncer")
        config, users, self.log = f"{home}/pgbouncer.ini", f"{home}/users", f"{folder}/pgbouncer.log"
        with open(users, "w", opener=private, encoding="utf-8") as file:
            file.write(f'"{ROLE}" "{postgres.verifier}"\n')
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"""\
[databases]
* = host=127.0.0.1 port={postgres.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
admin_users = {ROLE}
pool_mode = transaction
default_pool_size = {pool_size}
ignore_startup_parameters = extra_float_digits
""")
        if UNPRIVILEGED:
            shutil.chown(users, "postgres", "postgres")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([binary, config], stdout=log, stderr=log, cwd="/", **UNPRIVILEGED)
        self.version = first_line([binary, "--version"])
        wait_for("PgBouncer to listen", 15, lambda: alive(self) and listening(self.port))

    def figures(self):
        return console(self, "pgbouncer", "SHOW STATS")

    def stop(self):
        return stop(self.process, signal.SIGINT)


def alive(server):
    if server.process.poll() is not None:
        raise RuntimeError(f"{server.name} ended, see {server.log}")
    return True


def private(path, flags):
    return os.open(path, flags, 0o600)


def first_line(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def rows(pooler, database, command):
    """A console command's rows, by their columns' names."""
    connection = psycopg2.connect(host="127.0.0.1", port=pooler.port, user=ROLE, dbname=database,
                                  password=pooler.postgres.password, sslmode="disable")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(command)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row)) for row in cursor.fetchall()] if names else []
    finally:
        connection.close()


def console(pooler, database, command):
    """A console command's rows as lines, without averages and zeros."""
    try:
        return [f"{command}: " + " ".join(f"{name}={value}" for name, value in row.items()
                                          if value not in (0, None, "") and not name.startswith("avg_"))
                for row in rows(pooler, database, command)]
    except psycopg2.Error as error:
        return [f"{command}: {str(error).splitlines()[0]}"]


def postgres_programs():
    """The folder of PostgreSQL's programs: HOWDAH_PG_BINDIR, or the newest installed."""
    bindir = os.environ.get("HOWDAH_PG_BINDIR")
    if bindir:
        return bindir
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    if found:
        return os.path.dirname(max(found, key=lambda path: int(path.split("/")[4])))
    return os.path.dirname(shutil.which("initdb") or "/usr/bin/initdb")
