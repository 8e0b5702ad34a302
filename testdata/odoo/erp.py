"""The Odoo under test: its configuration, its processes and its log."""

import os
import re
import secrets
import subprocess
import sys

import requests

from servers import ROLE, free_port, listening, private, stop, wait_for

DATABASE = "odoo_crm"

# What a trouble with the database looks like in Odoo's log. A retried
# serialization failure is ordinary life and logged at level INFO.
TROUBLE = re.compile(
    r" (ERROR|CRITICAL) |psycopg2\.\w*Error|bad query:|falling back to read-write cursor|Bus\.loop error")


class Odoo:
    """Odoo with two HTTP workers, two cron workers and the gevent worker."""

    def __init__(self, folder, tree, pooler, postgres, tenant=None):
        """A tenant is a row of the console: an Odoo of it has its database alone, and is its user."""
        self.tree, self.packages = tree, f"{tree}/lib/python3/dist-packages"
        self.config, self.log = f"{folder}/odoo.conf", f"{folder}/odoo.log"
        self.http_port, self.gevent_port = free_port(), free_port()
        self.master_password = secrets.token_urlsafe(12)
        self.process = None
        settings = {
            "addons_path": f"{self.packages}/odoo/addons",
            "data_dir": f"{folder}/data",
            "admin_passwd": self.master_password,
            "db_host": "127.0.0.1", "db_port": pooler.port,
            "db_replica_host": "127.0.0.1", "db_replica_port": pooler.port,
            "db_user": tenant["user"] if tenant else ROLE, "db_sslmode": "disable",
            "db_password": tenant["password"] if tenant else postgres.password,
            "pg_path": postgres.bin,
            "http_interface": "127.0.0.1", "http_port": self.http_port, "gevent_port": self.gevent_port,
            "without_demo": True,
            # Nothing may leave this machine: port 1 refuses mail and telemetry.
            "smtp_server": "127.0.0.1", "smtp_port": 1,
            "publisher_warranty_url": "http://127.0.0.1:1/",
        }
        if tenant:
            settings["db_name"] = tenant["database"]
        with open(self.config, "w", opener=private, encoding="utf-8") as file:
            file.write("[options]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))

    def command(self, *arguments):
        # Odoo starts its gevent worker by its own first argument, so it must be the script.
        return [sys.executable, f"{self.tree}/bin/odoo", "-c", self.config, "--logfile", self.log, *arguments]

    def environment(self):
        """The caller's, less what would turn libpq or Odoo elsewhere."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "ODOO"))}
        return kept | {"PYTHONPATH": self.packages}

    def install(self, modules):
        """Makes the database through the pooler, with the modules in it."""
        subprocess.run(
            self.command("-d", DATABASE, "-i", modules, "--stop-after-init", "--no-http", "--max-cron-threads=0"),
            env=self.environment(), check=True, timeout=300, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def test(self, database, modules):
        """Runs the modules' own tests while installing them. Its exit code says
        that some failed, which is the log's to tell."""
        tags = ",".join("/" + module for module in modules.split(","))
        subprocess.run(
            self.command("-d", database, "-i", modules, "--test-tags", tags, "--stop-after-init",
                         "--workers=0", "--max-cron-threads=0"),
            env=self.environment(), check=False, timeout=1800, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        self.process = subprocess.Popen(
            self.command("--workers=2", "--max-cron-threads=2"),
            env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("Odoo to answer", 60, self.answers)
        wait_for("the gevent worker to listen", 30, lambda: listening(self.gevent_port))

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Odoo ended, see {self.log}")
        try:
            return requests.get(f"http://127.0.0.1:{self.http_port}/web/health", timeout=10).ok
        except (requests.ConnectionError, requests.Timeout):  # it is busy with its start
            return False

    def stop(self):
        return stop(self.process) if self.process else 0

    def lines(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read().splitlines()

    def trouble(self):
        """Lines of the log that tell of an error."""
        return [line for line in self.lines() if TROUBLE.search(line)]
