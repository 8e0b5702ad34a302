"""Runs Odoo through Howdah and says PASS or FAIL for each check; see README.md.

Started by ./run, which has seen to the programs. Exit code 1 is a failed check.
"""

import argparse
import contextlib
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time

import checks
import manager
import standby
import suite
from erp import Odoo
from servers import ROLE, Howdah, PgBouncer, Postgres

SUITE = "base,bus,crm,sales_team"


class Run:
    """What the checks share: the servers, and what one check leaves to the next."""

    def __init__(self, postgres, standby_server, pooler, odoo):
        self.postgres, self.standby, self.pooler, self.odoo = postgres, standby_server, pooler, odoo
        self.browser = self.listener = self.lead = self.bell = self.backup = None


class Watch(threading.Thread):
    """Counts PostgreSQL's connections all the time, to know the most there were."""

    def __init__(self, postgres):
        super().__init__(daemon=True)
        self.postgres, self.most, self.ended = postgres, 0, threading.Event()

    def run(self):
        query = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}'"
        while not self.ended.wait(0.5):
            self.most = max(self.most, self.postgres.ask(query)[0][0])

    def stop(self):
        self.ended.set()
        self.join()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--through", choices=("howdah", "pgbouncer", "direct"), default="howdah")
    parser.add_argument("--tree", required=True, help="folder of the unpacked Odoo")
    parser.add_argument("--binary", help="the pooler's program")
    parser.add_argument("--pool-size", type=int, default=6, help="servers of the pooler per database and user")
    parser.add_argument("--suite", nargs="?", const=SUITE, metavar="MODULES",
                        help=f"compare Odoo's own tests instead, of {SUITE} unless told otherwise")
    parser.add_argument("--standby", action="store_true",
                        help="check instead what Howdah does with a standby behind it")
    parser.add_argument("--catalog", action="store_true",
                        help="check instead that the catalog follows what Odoo's database manager does")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs")
    options = parser.parse_args()
    if (options.standby or options.catalog) and options.through != "howdah":
        parser.error("--standby and --catalog are for Howdah: nothing else has them")
    if options.standby and options.catalog:
        parser.error("--standby and --catalog are two runs")
    return options


def perform(run, every):
    """Runs the checks and returns how many there were, and how many failed. One
    whose ground an earlier one left out fails too, and says so."""
    chosen = [check for check in every if run.pooler.name == "howdah" or check not in checks.HOWDAH_ONLY]
    failed = 0
    for check in chosen:
        began, verdict = time.monotonic(), "PASS"
        try:
            detail = check(run) or ""
        except checks.Failed as finding:
            verdict, detail = "FAIL", str(finding)
        except Exception as error:  # whatever Odoo or the network did is this check's finding
            verdict, detail = "FAIL", f"{type(error).__name__}: {error}"
        failed += verdict == "FAIL"
        print(f"{verdict}  {check.__doc__:<48} {time.monotonic() - began:6.1f} s  {detail[:300]}".rstrip(), flush=True)
        if verdict == "FAIL" and check in (checks.install, checks.start, checks.log_in):
            break
    return len(chosen), failed


def start(stack, options, folder):
    postgres = Postgres(folder)
    stack.callback(postgres.stop)
    pooler, follower = postgres, None
    if options.standby:
        follower = standby.Standby(folder, postgres)
        stack.callback(follower.stop)
    if options.through == "howdah":
        pooler = Howdah(folder, postgres, options.binary, options.pool_size, follower, options.catalog)
    elif options.through == "pgbouncer":
        pooler = PgBouncer(folder, postgres, options.binary, options.pool_size)
    if pooler is not postgres:
        stack.callback(pooler.stop)
    odoo = Odoo(folder, options.tree, pooler, postgres)
    stack.callback(odoo.stop)
    return Run(postgres, follower, pooler, odoo)


def main():
    options, began = arguments(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all servers are stopped
    folder = tempfile.mkdtemp(prefix="howdah-odoo-")
    os.chmod(folder, 0o755)  # PostgreSQL may run as another OS user
    total, failed = 0, 1
    try:
        with contextlib.ExitStack() as stack:
            run = start(stack, options, folder)
            versions = [f"PostgreSQL {run.postgres.version}", f"Python {platform.python_version()}"]
            if run.pooler is not run.postgres:
                versions.append(f"{run.pooler.version}, transaction pooling, pool_size {options.pool_size}")
            print(f"Odoo 19 through {options.through}: {'; '.join(versions)}", flush=True)
            watch = Watch(run.postgres)
            stack.callback(watch.stop)
            watch.start()
            if options.suite:
                total, failed = 1, min(1, suite.compare(run, folder, options.suite))
            else:
                every = manager.ALL if options.catalog else standby.ALL if options.standby else checks.ALL
                total, failed = perform(run, every)
            watch.stop()
            for line in run.pooler.figures():
                print(f"      {line}")
            print(f"      at most {watch.most} connections to PostgreSQL at once")
    finally:
        if options.keep or failed:
            print(f"      logs are in {folder}")
        else:
            shutil.rmtree(folder)
    print(f"{'FAIL' if failed else 'PASS'}  {failed} of {total} checks failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
