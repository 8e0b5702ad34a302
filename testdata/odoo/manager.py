"""What Odoo's database manager does where Howdah keeps a catalog: the databases that it
makes, renames and drops by SQL are tenants, and SHOW TENANTS agrees with what Odoo sees.
checks.py has what is checked beside."""

import checks
import clone
from checks import COPY, TWIN, require
from client import Browser
from erp import DATABASE
from servers import ROLE, TIER, rows

MADE, RENAMED, RAW = "odoo_made", "odoo-renamed.1", "odoo_raw"


def agree(run, *want):
    """Requires that Odoo sees the databases, and SHOW TENANTS each of them: active, on the
    cluster and in the tier of those who make them, with nothing under way."""
    listed = run.browser.databases()
    require(listed == sorted(want), f"Odoo sees {listed}, not {sorted(want)}")
    tenants = {row["tenant"]: row for row in rows(run.pooler, "howdah", "SHOW TENANTS")}
    tenants.pop("postgres", None)  # the role's way to it, in no catalog
    require(sorted(tenants) == listed, f"SHOW TENANTS has {sorted(tenants)}, Odoo sees {listed}")
    for name, row in tenants.items():
        found = [row[column] for column in ("database", "user", "cluster", "tier", "state", "operation")]
        require(found == [name, ROLE, "main", TIER, "active", None], f"the tenant {name} is {found}")
    unfinished = [row for row in rows(run.pooler, "howdah", "SHOW JOBS") if row["state"] != "done"]
    require(not unfinished, f"jobs that are not done: {unfinished}")
    return f"SHOW TENANTS: {', '.join(listed)}"


def managed(run, action, files=None, **fields):
    """A form that must be followed, in a session of its own: create logs that in."""
    answer = Browser(run.odoo).manage(action, files, **fields)
    require(answer.status_code == 303, f"{action} answered {answer.status_code}, see {run.odoo.log}")


def refused(run, action, says, **fields):
    """A form that must be answered with a page that says something."""
    answer = Browser(run.odoo).manage(action, **fields)
    require(answer.status_code == 200 and says in answer.text, f"{action} of {fields} answered {answer.status_code}")


def first(run):
    """the first database is a tenant"""
    return agree(run, DATABASE)


def create(run):
    """create by the database manager"""
    managed(run, "create", name=MADE, lang="en_US", login="admin", password="admin", phone="")
    other = Browser(run.odoo)
    other.log_in(MADE)
    require(other.call("res.users", "search_count", []) > 0, "no users")
    return agree(run, DATABASE, MADE)


def restore(run):
    """restore of the zip file"""
    checks.restore(run)
    return agree(run, DATABASE, MADE, COPY)


def restore_dump(run):
    """backup and restore of pg_dump's own format"""
    answer = run.browser.manage("backup", name=DATABASE, backup_format="dump")
    managed(run, "restore", files={"backup_file": ("backup.dump", answer.content)}, name=RAW, copy="true",
            neutralize_database="true")
    other = Browser(run.odoo)
    other.log_in(RAW)
    neutral = other.call("ir.config_parameter", "get_param", "database.is_neutralized")
    require(neutral in (True, "True", "true"), f"is_neutralized is {neutral!r}")
    return agree(run, DATABASE, MADE, COPY, RAW)


def duplicate(run):
    """duplicate of a database in use"""
    require(Browser(run.odoo).log_in(COPY)["uid"], "no user id")
    checks.duplicate(run)
    return agree(run, DATABASE, MADE, COPY, RAW, TWIN)


def rename(run):
    """rename of a database in use"""
    run.browser.service("db", "rename", run.odoo.master_password, TWIN, RENAMED)
    other = Browser(run.odoo)
    other.log_in(RENAMED)
    (row,) = other.call("crm.lead", "read", [run.lead], ["expected_revenue"])
    require(row["expected_revenue"] == 4711.25, f"read back {row}")
    return agree(run, DATABASE, MADE, COPY, RAW, RENAMED)


def cannot(run):
    """what cannot be done is told, and changes nothing"""
    everything = (DATABASE, MADE, COPY, RAW, RENAMED)
    refused(run, "create", "already exists", name=MADE, lang="en_US", login="admin", password="admin", phone="")
    refused(run, "duplicate", "already exists", name=MADE, new_name=COPY)
    refused(run, "duplicate", "Howdah could not follow this", name=MADE, new_name="howdah")
    return agree(run, *everything)


def drop(run):
    """drop"""
    left = [DATABASE, MADE, COPY, RAW, RENAMED]
    for name in (RENAMED, RAW, MADE):
        managed(run, "drop", name=name)
        left.remove(name)
        agree(run, *left)
    # Made anew under a name that was dropped a moment ago.
    managed(run, "duplicate", name=COPY, new_name=MADE, neutralize_database="true")
    agree(run, DATABASE, COPY, MADE)
    for name in (MADE, COPY):
        managed(run, "drop", name=name)
    return agree(run, DATABASE)


def quiet(run):
    """no database errors in Odoo's log"""
    lines = [line for line in run.odoo.trouble() if not checks.expected(line) and not provoked(line)]
    require(not lines, f"{len(lines)} errors in Odoo's log, the first: {lines[0] if lines else ''}")


def provoked(line):
    """The errors of what cannot be done."""
    return any(text in line for text in (
        f'CREATE DATABASE "{COPY}"', 'CREATE DATABASE "howdah"', "Database creation error.", "Database duplication error."))


ALL = (checks.install, checks.start, checks.log_in, first, checks.read, checks.write, create, checks.backup,
       restore, restore_dump, duplicate, rename, cannot, drop, clone.by_template, clone.by_dump, checks.still_serves, quiet, checks.stop)
