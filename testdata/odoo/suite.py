"""Odoo's own tests, once directly and once through the pooler: whatever fails
must fail both ways. Some do, for want of newer Python libraries, of a mail
server, of translations; none of that is a pooler's."""

import os
import re
import time

from erp import Odoo

FINDING = re.compile(r" (?:ERROR|CRITICAL) \S+ odoo\.addons\.\S+: ((?:FAIL|ERROR): .*)")
TOTAL = re.compile(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests")


class Outcome:
    """What one run of the tests found."""

    def __init__(self, way, odoo, modules):
        began = time.monotonic()
        odoo.test(f"howdah_suite_{way}", modules)
        self.way, self.seconds = way, time.monotonic() - began
        lines = odoo.lines()
        self.findings = {found[1].strip() for line in lines if (found := FINDING.search(line))}
        totals = [total for line in lines if (total := TOTAL.search(line))]
        self.tests = int(totals[-1][3]) if totals else 0


def compare(run, folder, modules):
    """Prints both outcomes and every difference; returns how many there are."""
    outcomes = []
    for server in (run.postgres, run.pooler):
        home = f"{folder}/suite-{server.name}"
        os.mkdir(home)
        odoo = Odoo(home, run.odoo.tree, server, run.postgres)
        outcome = Outcome(server.name, odoo, modules)
        outcomes.append(outcome)
        print(f"      {outcome.way}: {outcome.tests} tests, {len(outcome.findings)} findings, {outcome.seconds:.0f} s",
              flush=True)
    directly, through = outcomes
    differences = [f"only {directly.way}: {finding}" for finding in directly.findings - through.findings]
    differences += [f"only {through.way}: {finding}" for finding in through.findings - directly.findings]
    if directly.tests != through.tests or not directly.tests:
        differences.append(f"tests run: {directly.tests} and {through.tests}")
    verdict = "FAIL" if differences else "PASS"
    print(f"{verdict}  Odoo's own tests of {modules} fail and pass as they do directly")
    for difference in sorted(differences):
        print(f"      {difference}")
    return len(differences)
