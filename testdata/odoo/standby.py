"""A streaming standby of the run's PostgreSQL, and the checks that --standby
performs: Odoo says READ ONLY on the connections to its db_replica_host, and Howdah
sends those transactions to the standby. checks.py has what is checked beside."""

import concurrent.futures
import os
import re
import signal
import subprocess
import threading
import time

import checks
from checks import require
from client import Browser
from erp import DATABASE, TROUBLE
from servers import Postgres, UNPRIVILEGED, console, free_port, private_folder, wait_for

WATCHER = "watcher"  # Howdah's own role
ROUNDS = 40  # of the load that reads
SAVERS, SAVES = 4, 100  # who save and read back at once, and how often each
KILLS = 10


class Standby(Postgres):
    """A standby that streams from a Postgres, which lets Howdah's own role in."""

    name = "standby"

    def __init__(self, folder, primary):  # pylint: disable=super-init-not-called
        self.bin, self.primary, self.port = primary.bin, primary, free_port()
        primary.ask(f"CREATE ROLE {WATCHER} SUPERUSER LOGIN PASSWORD '{primary.password}'")
        self.sockets = private_folder(f"{folder}/standby")
        subprocess.run(
            [f"{self.bin}/pg_basebackup", "-h", primary.sockets, "-p", str(primary.port), "-U", "postgres",
             "-D", f"{self.sockets}/data", "-R", "-X", "stream", "-c", "fast", "-C", "-S", "standby", "--no-sync"],
            check=True, cwd="/", **UNPRIVILEGED)
        self.log = f"{folder}/standby.log"
        self.process = None
        self.start()

    def start(self):
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.sockets,
                    "max_connections": 100, "hot_standby_feedback": "on", "log_line_prefix": "%m [%p] %q%a %d "}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [f"{self.bin}/postgres", "-D", f"{self.sockets}/data"]
                + [f"-c{key}={value}" for key, value in settings.items()],
                stdout=log, stderr=log, cwd="/", **UNPRIVILEGED)
        wait_for("the standby to start", 60, self.accepts)

    def kill(self):
        """Ends all its processes at once, as the end of its machine would."""
        pid = self.process.pid
        os.kill(pid, signal.SIGSTOP)  # it makes no more
        for entry in os.listdir("/proc"):
            if entry.isdigit() and parent(entry) == pid:
                os.kill(int(entry), signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        for left in ("data/postmaster.pid", f".s.PGSQL.{self.port}"):
            os.remove(f"{self.sockets}/{left}")

    def members(self):
        """Lines of howdah.toml's cluster that name primary and standby."""
        url = f"postgres://{WATCHER}:{self.primary.password}@127.0.0.1:{self.primary.port}/postgres"
        return f'members = ["127.0.0.1:{self.primary.port}", "127.0.0.1:{self.port}"]\nadmin_url = "{url}"'


def parent(pid):
    """The parent of a process, None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


def away(run):
    """How many transactions Howdah has sent to the standby."""
    lines = " ".join(console(run.pooler, "howdah", "SHOW STANDBYS"))
    return sum(int(n) for n in re.findall(r" started=(\d+)", lines))


def transactions(run):
    """How many of Odoo's database have had a server."""
    for line in console(run.pooler, "howdah", "SHOW STATS"):
        if f"database={DATABASE} " in line:
            return int(re.search(r"total_server_assignment_count=(\d+)", line)[1])
    return 0


class Share:
    """What part of the transactions since it was made ran at the standby."""

    def __init__(self, run):
        self.run, self.away, self.all = run, away(run), transactions(run)

    def __str__(self):
        n, whole = away(self.run) - self.away, transactions(self.run) - self.all
        return f"{n} of {whole} transactions at the standby, {100 * n / max(1, whole):.0f} %"


def served(run):
    """the standby serves reads"""
    browser, before = run.browser, away(run)
    wait_for("a read at the standby", 30, lambda: browser.call("crm.lead", "search_count", []) is not None
             and away(run) > before)


def reading(run):
    """a load that reads: reports, lists, forms"""
    share = Share(run)
    leads = run.browser.call("crm.lead", "search", [])
    (module,) = run.browser.call("ir.module.module", "search", [["name", "=", "crm"]])
    for _ in range(ROUNDS):
        run.browser.get(f"/report/html/base.report_irmodulereference/{module}")
        run.browser.call("crm.lead", "web_search_read", [], {"name": {}, "expected_revenue": {}})
        run.browser.call("crm.lead", "web_read", leads, {"name": {}, "partner_id": {}})
        run.browser.call("res.partner", "search_read", [], ["name", "email"])
    return str(share)


def saved(run):
    """who saves sees it at once, and so do others"""
    share = Share(run)

    def work(user):
        writer, reader = Browser(run.odoo), Browser(run.odoo)
        for browser in (writer, reader):
            browser.log_in(DATABASE)
        lead = writer.call("crm.lead", "create", {"name": f"saved {user}"})
        for turn in range(SAVES):
            writer.call("crm.lead", "write", [lead], {"expected_revenue": turn})
            browser = writer if turn % 2 else reader
            (row,) = browser.call("crm.lead", "web_read", [lead], {"expected_revenue": {}})
            require(row["expected_revenue"] == turn, f"saved {turn}, read {row['expected_revenue']}")
            time.sleep(0.02 * (turn % 4))

    with concurrent.futures.ThreadPoolExecutor(SAVERS) as users:
        list(users.map(work, range(SAVERS)))
    return f"{SAVERS * SAVES} saves, none read stale; {share}"


def killed(run):
    """the standby is killed under a load, again and again"""
    ended, known, requests, before = threading.Event(), threading.Barrier(SAVERS + 1), [], len(run.odoo.lines())

    def work(user):
        browser, done = Browser(run.odoo), 0
        browser.log_in(DATABASE)
        for _ in range(20):  # every worker has looked the session up: what it does for that it does not run again
            browser.call("crm.lead", "search_count", [])
        known.wait(60)
        while not ended.is_set():
            if user == 0 and done % 10 == 0:
                browser.call("crm.lead", "write", [run.lead], {"expected_revenue": done})
            browser.call("crm.lead", "web_search_read", [], {"name": {}, "expected_revenue": {}})
            done += 1
        requests.append(done)

    with concurrent.futures.ThreadPoolExecutor(SAVERS) as users:
        working = [users.submit(work, user) for user in range(SAVERS)]
        try:
            known.wait(60)
            for _ in range(KILLS):
                sent = away(run)
                wait_for("reads at the standby", 30, lambda: away(run) > sent + 20)
                run.standby.kill()
                time.sleep(0.5)
                run.standby.start()
        finally:
            ended.set()
        errors = [str(work.exception()) for work in working if work.exception()]
    require(not errors, f"{len(errors)} users saw an error, the first: {errors[:1]}")
    lines = run.odoo.lines()[before:]
    again = sum(line.startswith("ERROR: the standby at which") for line in lines)
    told = [line for line in lines if TROUBLE.search(line)]
    others = [line for line in told if "odoo.sql_db: bad query" not in line]
    require(not others and len(told) == again, f"{len(told)} errors in Odoo's log for {again} lost: {others[:1]}")
    return f"{KILLS} kills, {sum(requests)} requests, none failed; Odoo ran {again} again"


def refused(run):
    """no statement was refused by the standby in Odoo's log"""
    checks.quiet(run)
    lines = [line for line in run.odoo.lines() if "25006" in line or "read-only transaction" in line]
    require(not lines, f"{len(lines)} lines, the first: {lines[:1]}")


ALL = (checks.install, checks.start, checks.log_in, checks.read, checks.write, served, checks.page, checks.report,
       reading, saved, refused, checks.no_trouble, killed, checks.stop)
