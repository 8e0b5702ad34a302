"""The checks, in the order they run. Each takes the Run and returns what to
print behind its name; what is wrong it raises as Failed."""

import concurrent.futures
import datetime
import io
import re
import statistics
import time
import zipfile

from client import Browser, RPCError
from erp import DATABASE
from servers import ROLE, wait_for

MESSAGES = 3
CHAT_LIMIT = 0.5  # seconds from the answer to the post
CRON_LIMIT = 2.0  # seconds from the answer to the trigger; without NOTIFY it is up to 60
USERS, TURNS = 4, 10  # at once, and what each does
COPY, TWIN = "odoo_restored", "odoo_duplicate"


class Failed(Exception):
    """A check's finding."""


def require(condition, finding):
    if not condition:
        raise Failed(finding)


def install(run):
    """install base and crm"""
    run.odoo.install("base,crm")
    tables = run.postgres.ask(f"SELECT count(*) FROM pg_stat_database WHERE datname = '{DATABASE}'")
    require(tables[0][0] == 1, "the database is not there")


def start(run):
    """start 2 HTTP, 2 cron and the gevent worker"""
    run.odoo.start()


def log_in(run):
    """log in"""
    run.browser = Browser(run.odoo)
    require(DATABASE in run.browser.databases(), "the database is not listed")
    require(run.browser.log_in(DATABASE)["uid"], "no user id")


def read(run):
    """read"""
    modules = run.browser.call("ir.module.module", "search_read", [["state", "=", "installed"]], ["name"])
    names = {module["name"] for module in modules}
    require({"base", "crm", "mail"} <= names, f"installed are only {sorted(names)}")
    return f"{len(names)} modules installed"


def write(run):
    """write"""
    lead = run.browser.call("crm.lead", "create", {"name": "Seat for two", "expected_revenue": 1.5})
    run.browser.call("crm.lead", "write", [lead], {"expected_revenue": 4711.25, "description": "<p>naïve 象</p>"})
    (row,) = run.browser.call("crm.lead", "read", [lead], ["name", "expected_revenue", "description"])
    require(row["expected_revenue"] == 4711.25 and "象" in row["description"], f"read back {row}")
    try:
        run.browser.call("ir.config_parameter", "create", {"key": "database.uuid", "value": "taken"})
    except RPCError as error:
        require("unique" in str(error), f"a second database.uuid was refused with {error}")
    else:
        raise Failed("a second database.uuid was taken")
    run.lead = lead


def report(run):
    """report"""
    (module,) = run.browser.call("ir.module.module", "search", [["name", "=", "crm"]])
    page = run.browser.get(f"/report/html/base.report_irmodulereference/{module}").text
    require("crm.lead" in page, "the report does not name the model crm.lead")
    return f"{len(page) // 1024} kB of HTML"


def page(run):
    """web client with its scripts and styles"""
    text = run.browser.get("/odoo").text
    paths = re.findall(r'(?:src|href)="(/web/assets/[^"]+)"', text)
    require(paths, "the page names no assets")
    sizes = [len(run.browser.get(path).content) for path in paths]
    return f"{len(sizes)} files, {sum(sizes) // 1024} kB"


def together(run):
    """four users read and write at once"""
    def work(user):
        browser = Browser(run.odoo)
        browser.log_in(DATABASE)
        for turn in range(TURNS):
            name = f"load {user} {turn}"
            lead = browser.call("crm.lead", "create", {"name": name, "expected_revenue": user * 1000 + turn})
            (row,) = browser.call("crm.lead", "read", [lead], ["name", "expected_revenue"])
            require((row["name"], row["expected_revenue"]) == (name, user * 1000 + turn), f"read back {row}")

    with concurrent.futures.ThreadPoolExecutor(USERS) as users:
        list(users.map(work, range(USERS)))
    count = run.browser.call("crm.lead", "search_count", [["name", "like", "load "]])
    require(count == USERS * TURNS, f"{count} leads of {USERS * TURNS}")
    return f"{count} leads"


def chat(run):
    """chat to another user over the websocket"""
    user = run.browser.call("res.users", "create", {"name": "Mahout", "login": "mahout", "password": "mahout"})
    (row,) = run.browser.call("res.users", "read", [user], ["partner_id"])
    channel = run.browser.call("discuss.channel", "create", {"name": "Mahouts", "channel_type": "channel"})
    run.browser.call("discuss.channel", "add_members", [channel], partner_ids=[row["partner_id"][0]])
    run.listener = Browser(run.odoo)
    run.listener.log_in(DATABASE, "mahout")
    return deliver(run, channel)


def deliver(run, channel):
    """Posts messages to a channel and requires each on the websocket in time."""
    bus, delays = run.listener.open_bus(), []
    try:
        post(run, channel, "before anybody listens")
        bus.subscribe()
        bus.wait_for("before anybody listens", 1)  # what is kept comes first; it needs no NOTIFY
        for number in range(MESSAGES):
            body = f"elephant {number} {time.time_ns()}"
            post(run, channel, body)
            posted = time.monotonic()
            arrived = bus.wait_for(body, 5)
            delays.append(None if arrived is None else max(0, arrived - posted))
    finally:
        bus.close()
    finding = in_time(delays, CHAT_LIMIT)
    require(finding.startswith(f"{MESSAGES} of"), finding)
    return finding


def post(run, channel, body):
    run.browser.call("discuss.channel", "message_post", [channel], body=body, message_type="comment")


def in_time(delays, limit):
    count = sum(d is not None and d <= limit for d in delays)
    each = ("never" if d is None else f"{d:.3f} s" for d in delays)
    return f"{count} of {MESSAGES} within {limit} s: " + ", ".join(each)


def cron(run):
    """cron triggers"""
    (model,) = run.browser.call("ir.model", "search", [["model", "=", "ir.cron"]])
    job = run.browser.call("ir.cron", "create", {
        "name": "Feed the elephant", "model_id": model, "state": "code", "interval_number": 12,
        "interval_type": "months", "nextcall": str(datetime.datetime.now() + datetime.timedelta(days=300))[:19],
        "code": "n = int(env['ir.config_parameter'].get_param('howdah.fed') or 0)\n"
                "env['ir.config_parameter'].set_param('howdah.fed', str(n + 1))"})
    run.bell = run.browser.call("ir.actions.server", "create", {
        "name": "Ring the bell", "model_id": model, "state": "code",
        "code": f"env['ir.cron'].browse({job})._trigger()"})
    first = ring(run, 100)  # has to wait for all that became due with the installation
    delays = []
    while first is not None and None not in delays and len(delays) < MESSAGES:
        delays.append(ring(run, 5))
    finding = f"{in_time(delays, CRON_LIMIT)}; the first after {first or float('inf'):.1f} s"
    require(finding.startswith(f"{MESSAGES} of"), finding)
    return finding


def ring(run, limit):
    """Triggers the job and returns after how many seconds it had run, or None."""
    def fed():
        return int(run.browser.call("ir.config_parameter", "get_param", "howdah.fed") or 0)

    before = fed()
    run.browser.call("ir.actions.server", "run", [run.bell])
    rung = time.monotonic()
    try:
        wait_for("the job", limit, lambda: fed() > before)
    except TimeoutError:
        return None
    return time.monotonic() - rung


def backup(run):
    """backup by the database manager"""
    answer = run.browser.manage("backup", name=DATABASE, backup_format="zip")
    kind = answer.headers["Content-Type"]
    require(kind.startswith("application/octet-stream"), f"answered with {kind}, see {run.odoo.log}")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        dump = archive.read("dump.sql")
    require(b"PostgreSQL database dump complete" in dump, "the dump is not complete")
    run.backup = answer.content
    return f"{len(run.backup) // 1024} kB, its dump {len(dump) // 1024} kB"


def restore(run):
    """restore by the database manager"""
    answer = run.browser.manage("restore", files={"backup_file": ("backup.zip", run.backup)}, name=COPY, copy="true")
    require(answer.status_code == 303, f"answered {answer.status_code}, see {run.odoo.log}")
    require(COPY in run.browser.databases(), "the copy is not listed")
    other = Browser(run.odoo)
    other.log_in(COPY)
    (row,) = other.call("crm.lead", "read", [run.lead], ["name", "expected_revenue"])
    require(row["expected_revenue"] == 4711.25, f"read back {row}")
    counts = [b.call("res.partner", "search_count", []) for b in (run.browser, other)]
    require(counts[0] == counts[1], f"partners: {counts}")


def duplicate(run):
    """duplicate by the database manager"""
    answer = run.browser.manage("duplicate", name=COPY, new_name=TWIN)
    require(answer.status_code == 303, f"answered {answer.status_code}, see {run.odoo.log}")
    require(TWIN in run.browser.databases(), "the duplicate is not listed")


def drop(run):
    """drop by the database manager"""
    for name in (TWIN, COPY):
        answer = run.browser.manage("drop", name=name)
        require(answer.status_code == 303, f"{name}: answered {answer.status_code}, see {run.odoo.log}")
    require(run.browser.databases() == [DATABASE], "a copy is still listed")


def still_serves(run):
    """read after all this"""
    delays = []
    for _ in range(20):
        began = time.monotonic()
        run.browser.call("crm.lead", "web_search_read", [], {"name": {}, "expected_revenue": {}})
        delays.append(time.monotonic() - began)
    return f"20 reads, median {statistics.median(delays) * 1000:.0f} ms"


def no_trouble(run):
    """no database errors in Odoo's log"""
    quiet(run)
    modes = [line.rsplit(" ", 1)[-1] for line in run.odoo.lines()]
    read_only, writing = modes.count("ro"), modes.count("rw") + modes.count("ro->rw")
    require(read_only > 20, f"the replica's pool was hardly used: {read_only} requests")
    return f"{read_only} requests went to db_replica_host, {writing} did not"


def quiet(run):
    lines = [line for line in run.odoo.trouble() if not expected(line)]
    require(not lines, f"{len(lines)} errors in Odoo's log, the first: {lines[0] if lines else ''}")


def expected(line):
    """The error that the check write provokes, and a script that Debian's package is without."""
    return "ir_config_parameter" in line and "database.uuid" in line or "assetsbundle: 'Could not get content" in line


def servers_lost(run):
    """chat and cron after PostgreSQL cut all servers"""
    cut = f"SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"
    gone = ", ".join(str(pid) for pid, _ in run.postgres.ask(cut))
    # A request sent in the milliseconds of their dying fails with any pooler.
    wait_for("the connections to end", 10, lambda: not run.postgres.ask(
        f"SELECT pid FROM pg_stat_activity WHERE pid IN ({gone})"))
    (channel,) = run.browser.call("discuss.channel", "search", [["name", "=", "Mahouts"]])
    finding, delay = deliver(run, channel), ring(run, 5)
    require(delay is not None and delay <= CRON_LIMIT, f"the job had run after {delay or float('inf'):.3f} s")
    quiet(run)
    return f"{finding}; the job after {delay:.3f} s"


def stop(run):
    """stop"""
    code = run.odoo.stop()
    require(code == 0, f"Odoo ended with {code}")


ALL = (install, start, log_in, read, write, page, report, chat, cron, together, backup, restore, duplicate, drop,
       still_serves, no_trouble, servers_lost, stop)

# Without a pooler that listens again, Odoo's bus sleeps for 50 s after this.
HOWDAH_ONLY = (servers_lost,)
