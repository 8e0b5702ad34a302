"""A clone of a tenant that is an Odoo in use, in either way: it is neutralised, has a uuid
of its own, and an Odoo runs on it as the clone's own role. manager.py has the other checks
with a catalog."""

import os

from checks import require
from client import Browser
from erp import DATABASE, Odoo
from servers import rows, wait_for

UUID = "SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'"
NEUTRALISED = "SELECT value FROM ir_config_parameter WHERE key = 'database.is_neutralized'"
ACTIVE_CRONS = """SELECT coalesce(module || '.' || d.name, c.id::text) FROM ir_cron c
    LEFT JOIN ir_model_data d ON d.model = 'ir.cron' AND d.res_id = c.id WHERE c.active ORDER BY 1"""
MAIL_SERVERS = "SELECT smtp_host FROM ir_mail_server WHERE active AND smtp_host <> 'invalid'"


def by_template(run):
    """a clone by template, and an Odoo on it"""
    return clone(run, "odoo-copied", "template")


def by_dump(run):
    """a clone by dump, and an Odoo on it"""
    return clone(run, "odoo-dumped", "dump")


def clone(run, name, how):
    ask = run.postgres.ask
    if not ask(MAIL_SERVERS, DATABASE):
        run.browser.call("ir.mail_server", "create", {"name": "ours", "smtp_host": "mail.example", "smtp_port": 25})
    crons = len(ask(ACTIVE_CRONS, DATABASE))
    require(crons > 1 and ask(MAIL_SERVERS, DATABASE), "the source has nothing to be neutralised")
    (made,) = rows(run.pooler, "howdah", f'CLONE TENANT "{DATABASE}" AS "{name}" BY {how}')
    finished(run, made["job"])
    require(ask(UUID, name) != ask(UUID, DATABASE) and len(ask(UUID, name)) == 1, f"its uuid is {ask(UUID, name)}")
    require(ask(NEUTRALISED, name) == [("true",)], f"is_neutralized is {ask(NEUTRALISED, name)}")
    require(ask(ACTIVE_CRONS, name) == [("base.autovacuum_job",)], f"its active crons: {ask(ACTIVE_CRONS, name)}")
    require(not ask(MAIL_SERVERS, name), f"it would send mail by {ask(MAIL_SERVERS, name)}")
    require(len(ask(ACTIVE_CRONS, DATABASE)) == crons and ask(MAIL_SERVERS, DATABASE) and not ask(NEUTRALISED, DATABASE),
            "the source was neutralised")
    finding = on_it(run, made)
    (dropped,) = rows(run.pooler, "howdah", f'DROP TENANT "{name}" WITHOUT EXPORT')
    finished(run, dropped["job"])
    return finding


def finished(run, job):
    """Waits until a job is done."""
    def done():
        (state,) = [row["state"] for row in rows(run.pooler, "howdah", "SHOW JOBS") if row["job"] == job]
        require(state not in ("failed", "cancelled", "attention"), f"job {job} is {state}, see {run.pooler.log}")
        return state == "done"
    wait_for(f"job {job}", 120, done)


def on_it(run, made):
    """An Odoo that the clone's own role runs on it, and nothing else."""
    folder = os.path.join(os.path.dirname(run.odoo.config), made["database"])
    os.mkdir(folder, 0o700)
    odoo = Odoo(folder, run.odoo.tree, run.pooler, run.postgres, made)
    try:
        odoo.start()
        browser = Browser(odoo)
        require(browser.log_in(made["database"])["uid"], "no user id")
        (row,) = browser.call("crm.lead", "read", [run.lead], ["expected_revenue"])
        require(row["expected_revenue"] == 4711.25, f"read back {row}")
        browser.call("crm.lead", "write", [run.lead], {"expected_revenue": 1})
        (row,) = run.browser.call("crm.lead", "read", [run.lead], ["expected_revenue"])
        require(row["expected_revenue"] == 4711.25, f"written to the clone, the source has {row}")
    finally:
        code = odoo.stop()
    require(code == 0, f"its Odoo ended with {code}")
    require(not odoo.trouble(), f"its Odoo's log: {odoo.trouble()[:1]}")
    return f"neutralised, {len(odoo.lines())} lines of log without an error"
